// What only the store on disk has: files, locks, formats, damage.
#include <lmdb.h>
#include <sys/stat.h>

#include <fstream>

#include "store/lmdb_backend.hpp"
#include "store/record.hpp"
#include "store/store.hpp"
#include "store_fixture.hpp"

namespace peat::store {
namespace {

class OnDisk : public testing::Test {
 protected:
  OnDisk() : disk(On::lmdb) {}

  // Changes rows behind the store's back, with the store closed.
  void tamper(const Rows& rows) {
    auto backend = LmdbBackend::open(disk.dir()).value();
    const auto status = backend->commit(rows);
    ASSERT_TRUE(status) << status.error().message;
  }
  void set_format(const FormatRow& row) {
    Rows rows;
    rows.put(Table::meta, "format", make_record(Table::meta, "format", encode(row)));
    tamper(rows);
  }

  Disk disk;
};

TEST_F(OnDisk, FilesAreForTheirOwnerOnly) {
  disk.open();
  const auto mode = [](const std::filesystem::path& path) {
    struct stat info{};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 0777U;
  };
  EXPECT_EQ(mode(disk.dir()), 0700U);
  for (const auto* name : {"peat.mdb", "peat.mdb-lock", "peat.lock"}) {
    EXPECT_EQ(mode(disk.dir() / name), 0600U) << name;
  }
}

TEST_F(OnDisk, AStoreInUseNamesTheProcessThatHasIt) {
  disk.open();
  const auto second = disk.try_open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::store_in_use);
  EXPECT_NE(second.error().message.find("process " + std::to_string(::getpid())), std::string::npos)
      << second.error().message;
  disk.close();
  EXPECT_TRUE(disk.try_open());
}

TEST_F(OnDisk, AStoreOfALaterFormatIsRefusedByNumberAndLeftAlone) {
  const auto first = disk.open().incarnation();
  disk.close();
  set_format({.format = 7});
  const auto refused = disk.try_open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::store_too_new);
  EXPECT_NE(refused.error().message.find("format 7"), std::string::npos);
  set_format({});
  EXPECT_EQ(disk.open().incarnation().run, first.run + 1);
}

TEST_F(OnDisk, AnUnknownIncompatibleFeatureIsRefusedByItsBitAndACompatibleOneIsNot) {
  disk.open();
  disk.close();
  set_format({.incompatible = 1ULL << 5});
  const auto refused = disk.try_open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::store_too_new);
  EXPECT_NE(refused.error().message.find("feature bit 5"), std::string::npos);
  set_format({.compatible = 1ULL << 5});
  EXPECT_TRUE(disk.try_open());
}

TEST_F(OnDisk, ADamagedRecordIsAnErrorOfItsDocumentOnly) {
  auto& store = disk.open();
  put(store, "roads:a", "1");
  put(store, "roads:b", "1");
  disk.close();
  Rows rows;
  auto record = make_record(Table::documents, "roads:a", encode(DocumentRow{}));
  record.back() ^= 1;
  rows.put(Table::documents, "roads:a", record);
  tamper(rows);
  auto& again = disk.open();
  const auto damaged = again.document("roads:a");
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, Code::store_corrupt);
  EXPECT_NE(damaged.error().message.find("roads:a"), std::string::npos);
  EXPECT_EQ(content(again, "roads:b"), "1");
}

TEST_F(OnDisk, AMissingChunkIsDamageNotAShorterDocument) {
  auto& store = disk.open();
  WriteBatch batch;
  batch.append("roads:a", {bytes_of("one"), bytes_of("two")}, heads_of("two"), std::nullopt);
  ASSERT_TRUE(store.write(std::move(batch)));
  disk.close();
  Rows rows;
  rows.erase(Table::bodies, body_key(1, 2));
  tamper(rows);
  EXPECT_EQ(disk.open().document("roads:a").error().code, Code::store_corrupt);
}

TEST_F(OnDisk, AFileThatIsNoStoreIsRefused) {
  std::filesystem::create_directories(disk.dir());
  std::ofstream(disk.dir() / "peat.mdb") << std::string(8192, 'x');
  const auto refused = disk.try_open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::store_corrupt);
  EXPECT_NE(refused.error().message.find("peat.mdb"), std::string::npos);
}

TEST_F(OnDisk, ATruncatedFileIsRefusedInsteadOfACrashLater) {
  auto& store = disk.open();
  for (int i = 0; i < 100; ++i) put(store, "roads:" + std::to_string(i), std::string(1000, 'x'));
  disk.close();
  const auto file = disk.dir() / "peat.mdb";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  const auto refused = disk.try_open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::store_corrupt);
}

// LMDB does not write a page that one commit takes and gives back: the file ends before it.
TEST_F(OnDisk, AFileThatEndsBeforeItsLastFreePageIsWhole) {
  put(disk.open(), "roads:a", "1");
  disk.close();
  const auto file = disk.dir() / "peat.mdb";
  const auto size = std::filesystem::file_size(file);
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi table = 0;
  ASSERT_EQ(mdb_env_create(&env), 0);
  mdb_env_set_maxdbs(env, kTableCount);
  ASSERT_EQ(mdb_env_open(env, file.c_str(), MDB_NOSUBDIR, 0600), 0);
  ASSERT_EQ(mdb_txn_begin(env, nullptr, 0, &txn), 0);
  ASSERT_EQ(mdb_dbi_open(txn, name(Table::bodies), 0, &table), 0);
  std::string text = "temporary";
  std::string large(300'000, 'x');
  MDB_val key{text.size(), text.data()};
  MDB_val value{large.size(), large.data()};
  ASSERT_EQ(mdb_put(txn, table, &key, &value, 0), 0);
  ASSERT_EQ(mdb_del(txn, table, &key, nullptr), 0);
  ASSERT_EQ(mdb_txn_commit(txn), 0);
  MDB_envinfo info{};
  mdb_env_info(env, &info);
  mdb_env_close(env);
  ASSERT_LT(std::filesystem::file_size(file), (info.me_last_pgno + 1) * 4096) << size;
  auto& store = disk.open();
  EXPECT_EQ(content(store, "roads:a"), "1");
  put(store, "roads:b", large);
  disk.close();
  EXPECT_EQ(content(disk.open(), "roads:b"), large);
}

TEST_F(OnDisk, ADirectoryThatCannotBeMadeIsNamed) {
  test::TestExecutor executor;
  SystemRandom random;
  const auto refused = DocumentStore::open("/proc/no/such/place", executor, random);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::io_error);
  EXPECT_NE(refused.error().message.find("/proc/no/such/place"), std::string::npos);
}

TEST_F(OnDisk, TheMapGrowsWhenItIsFull) {
  const LmdbOptions small{.map_bytes = 256U << 10};
  auto backend = LmdbBackend::open(disk.dir(), small).value();
  auto opened = Store::open(backend, disk.executor, disk.random, {});
  ASSERT_TRUE(opened) << opened.error().message;
  auto& store = **opened;
  for (int i = 0; i < 2000; ++i) put(store, "roads:" + std::to_string(i), std::string(1000, 'x'));
  disk.executor.run();
  EXPECT_EQ(store.durable_seq(), store.last_seq());
  EXPECT_GE(store.stats().map_bytes, 4U << 20);
  EXPECT_LE(store.stats().file_bytes, store.stats().map_bytes);
  EXPECT_EQ(store.stats().failed_commits, 0U);
  EXPECT_EQ(content(store, "roads:1999"), std::string(1000, 'x'));
  EXPECT_EQ(store.keys("roads:", "", 5000).value().size(), 2000U);
}

TEST_F(OnDisk, StoreLargerThanTheInitialMapOpensAgain) {
  auto& store = disk.open();
  for (int i = 0; i < 100; ++i) {
    put(store, "maps:" + std::to_string(i), std::string(1 << 20, 'x'));
    disk.executor.run();
  }
  disk.close();
  EXPECT_EQ(content(disk.open(), "maps:99").size(), 1U << 20);
}

// A power cut between creating the file and filling it leaves a half-made one behind.
TEST_F(OnDisk, AHalfMadeNewFileIsMadeAgain) {
  std::filesystem::create_directories(disk.dir());
  std::ofstream(disk.dir() / "peat.mdb.new") << "torn";
  auto& store = disk.open();
  put(store, "roads:a", "1");
  disk.settle();
  EXPECT_FALSE(std::filesystem::exists(disk.dir() / "peat.mdb.new"));
}

// Stores written by every version that was ever released; see old/README.md.
TEST(OldStores, OfFormat1OpenAndHoldWhatWasWritten) {
  const TempDir temp;
  const auto from = std::filesystem::path(PEAT_STORE_FIXTURES) / "1" / "peat.mdb";
  std::filesystem::copy_file(from, temp.path() / "peat.mdb");
  test::TestExecutor executor;
  SystemRandom random;
  auto opened = DocumentStore::open(temp.path(), executor, random);
  ASSERT_TRUE(opened) << opened.error().message;
  auto& store = **opened;
  EXPECT_EQ(store.count(), 2U);
  EXPECT_EQ(content(store, "roads:a"), "base+one+two");
  EXPECT_EQ(store.heads("roads:a").value(), heads_of("two"));
  EXPECT_EQ(content(store, "roads:" + std::string(1000, 'x')), "long");
  EXPECT_EQ(store.tombstone("tracks:t").value()->tombstone, tombstone("tracks", "t", 5));
  EXPECT_EQ(store.sync_state(peer(1), "roads:a").value(), bytes_of("state"));
  EXPECT_EQ(store.meta("lamport").value(), bytes_of("5"));
  EXPECT_EQ(store.feed(0, 10).value().size(), 3U);
  EXPECT_EQ(store.incarnation().run, 2U);
  EXPECT_FALSE(store.incarnation().continued);
  EXPECT_FALSE(store.version("roads:a").value()->time) << "its writers knew none";
  WriteBatch batch;  // nor indexes: the table is made
  batch.put_index("v", bytes_of("1"));
  ASSERT_TRUE(store.write(std::move(batch)));
  executor.run();
  EXPECT_EQ(store.index_row("v").value(), bytes_of("1"));
}

TEST_F(OnDisk, AStoreFromBeforeTheTimesIsMarkedBeforeItHoldsOne) {
  disk.open();
  disk.close();
  set_format({.incompatible = 0});
  disk.open();
  disk.close();
  auto backend = LmdbBackend::open(disk.dir()).value();
  const auto view = View::open(*backend, {}).value();
  const auto row = decode_format(view.get(Table::meta, "format").value().value()).value();
  EXPECT_EQ(row.incompatible, kFormatIncompatible) << "an earlier version must refuse it by name";
}

}  // namespace
}  // namespace peat::store
