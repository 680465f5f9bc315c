// Encryption at rest: what is on the disk, whose key opens it, and how keys are changed.
#include <fstream>
#include <functional>
#include <iterator>
#include <set>

#include "store/memory_backend.hpp"
#include "store/record.hpp"
#include "store/sealed_backend.hpp"
#include "store_fixture.hpp"

namespace peat::store {
namespace {

StoreKey passphrase(std::string_view words) {
  return {StoreKey::Kind::passphrase, crypto::SecretBytes(as_bytes(words)), {1, 64}};
}

class Sealed : public testing::Test {
 protected:
  Sealed() : disk(On::sealed_memory) {}

  // Everything that is on the disk, as one text.
  std::string image(std::shared_ptr<MemoryDisk> of) {
    std::string out;
    for_each_row(std::move(of), [&](Table, std::string_view, ByteView value) {
      out += as_text(value);
      out += '\n';
    });
    return out;
  }
  void for_each_row(std::shared_ptr<MemoryDisk> of,
                    const std::function<void(Table, std::string_view, ByteView)>& see) {
    MemoryBackend backend(std::make_shared<MemoryDisk>(*of));
    ASSERT_TRUE(backend.begin_read());
    for (std::size_t table = 0; table < kTableCount; ++table) {
      std::string from;
      for (bool first = true;; first = false) {
        const auto row = backend.next(static_cast<Table>(table), from, first);
        ASSERT_TRUE(row);
        if (!*row) break;
        from = (*row)->key;
        see(static_cast<Table>(table), from, (*row)->value);
      }
    }
    backend.end_read();
  }
  // Ids of the keys that rows are sealed with; 0: in the clear.
  std::set<std::uint32_t> keys_in_use() {
    std::set<std::uint32_t> ids;
    for_each_row(disk.shared_memory(), [&](Table table, std::string_view, ByteView value) {
      if (table == Table::meta) return;
      ids.insert(value[1] == 2 ? value[2] + (std::uint32_t{value[3]} << 8) : 0);
    });
    return ids;
  }
  // Puts the value of one row in another's place.
  void move_row(Table table, const std::string& from, const std::string& to) {
    Bytes value;
    for_each_row(disk.shared_memory(), [&](Table of, std::string_view key, ByteView bytes) {
      if (of == table && key == from) value.assign(bytes.begin(), bytes.end());
    });
    ASSERT_FALSE(value.empty());
    MemoryBackend backend(disk.shared_memory());
    Rows rows;
    rows.put(table, to, value);
    ASSERT_TRUE(backend.commit(rows));
  }
  void fill(DocumentStore& store, int n, std::string_view what) {
    for (int i = 0; i < n; ++i) put(store, "plans:" + std::to_string(i), what);
    disk.settle();
  }
  // Lets sealing anew go on to its end.
  void finish(const DocumentStore& store) {
    for (int i = 0; i < 200 && store.stats().resealing; ++i) {
      disk.executor.advance(std::chrono::milliseconds(5));
    }
    ASSERT_FALSE(store.stats().resealing);
  }

  Disk disk;
};

TEST_F(Sealed, NothingThatWasWrittenIsToBeReadOnTheDisk) {
  auto& store = disk.open();
  put(store, "plans:1", "attack at dawn", peer(0x51));
  WriteBatch batch;
  batch.append("plans:1", {bytes_of("or at noon")}, heads_of("noon"), std::nullopt);
  batch.bury("plans:2", tombstone("plans", "2", 7), heads_of("gone"), std::nullopt);
  batch.put_sync_state(peer(2), "plans:1", bytes_of("state of a peer"));
  batch.put_meta("peers", bytes_of("names of peers"));
  ASSERT_TRUE(store.write(std::move(batch)));
  disk.settle();
  const auto on_disk = image(disk.shared_memory());
  for (const auto* text : {"attack", "noon", "depot-1", "state of a peer", "names of peers"}) {
    EXPECT_EQ(on_disk.find(text), std::string::npos) << text;
  }
  EXPECT_EQ(keys_in_use(), (std::set<std::uint32_t>{1}));
  EXPECT_EQ(content(store, "plans:1"), "attack at dawn+or at noon");
}

TEST(SealedFiles, TheFileOfAnEncryptedStoreShowsKeysAndSizesAlone) {
  Disk disk(On::lmdb);
  disk.keys.key.emplace(key_of(3));
  put(disk.open(), "plans:visible-name", "attack at dawn");
  disk.close();
  std::ifstream file(disk.dir() / "peat.mdb", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  EXPECT_NE(bytes.find("plans:visible-name"), std::string::npos);
  EXPECT_EQ(bytes.find("attack at dawn"), std::string::npos);
  EXPECT_EQ(content(disk.open(), "plans:visible-name"), "attack at dawn");
}

TEST_F(Sealed, WithoutItsKeyOrWithAnotherOneTheStoreStaysShutAndUnharmed) {
  fill(disk.open(), 3, "attack at dawn");
  disk.close();
  const auto before = image(disk.shared_memory());
  disk.keys.key.reset();
  auto opened = disk.try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::missing_setting);
  disk.keys.key.emplace(key_of(2));
  opened = disk.try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::decryption_failed);
  EXPECT_NE(opened.error().message.find("previous"), std::string::npos) << "the remedy";
  disk.keys.key.emplace(passphrase("correct horse battery"));
  opened = disk.try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::decryption_failed);
  EXPECT_EQ(image(disk.shared_memory()), before);
  disk.keys.key.emplace(key_of(1));
  EXPECT_EQ(content(disk.open(), "plans:1"), "attack at dawn");
}

TEST_F(Sealed, TheOperatorsKeyIsChangedByNamingTheOneBeforeOnce) {
  fill(disk.open(), 3, "attack at dawn");
  disk.close();
  disk.keys.key.emplace(passphrase("correct horse battery"));
  disk.keys.previous.emplace(key_of(1));
  EXPECT_EQ(content(disk.open(), "plans:1"), "attack at dawn");
  disk.crash();
  disk.keys.previous.reset();
  EXPECT_EQ(content(disk.open(), "plans:1"), "attack at dawn") << "it was durable at once";
  disk.close();
  disk.keys.key.emplace(key_of(1));
  EXPECT_FALSE(disk.try_open()) << "the one before opens nothing any more";
}

TEST_F(Sealed, AShortPassphraseIsRefused) {
  disk.keys.key.emplace(passphrase("short"));
  const auto opened = disk.try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::weak_secret);
}

TEST_F(Sealed, APlainStoreIsSealedWhileItIsInUse) {
  disk.keys.key.reset();
  fill(disk.open(), 1000, "attack at dawn");
  disk.close();
  ASSERT_EQ(keys_in_use(), (std::set<std::uint32_t>{0}));
  disk.keys.key.emplace(key_of(1));
  auto& store = disk.open();
  EXPECT_TRUE(store.stats().resealing);
  EXPECT_EQ(content(store, "plans:999"), "attack at dawn");
  disk.executor.advance(std::chrono::milliseconds(2));
  put(store, "plans:5", "attack at noon");
  finish(store);
  EXPECT_EQ(keys_in_use(), (std::set<std::uint32_t>{1}));
  EXPECT_EQ(image(disk.shared_memory()).find("attack"), std::string::npos);
  EXPECT_EQ(content(store, "plans:5"), "attack at noon");
  EXPECT_EQ(content(store, "plans:999"), "attack at dawn");
}

// D-51: a reader that takes plain text where it has a key can be given anything.
TEST_F(Sealed, D51WhereEveryRowIsSealedOneThatIsNotIsDamage) {
  fill(disk.open(), 2, "attack at dawn");
  disk.close();
  MemoryBackend backend(disk.shared_memory());
  std::string body;
  for_each_row(disk.shared_memory(), [&](Table table, std::string_view key, ByteView) {
    if (table == Table::bodies && body.empty()) body = key;
  });
  Rows rows;
  rows.put(Table::bodies, body, make_record(Table::bodies, body, bytes_of("stay at home")));
  ASSERT_TRUE(backend.commit(rows));
  const auto& store = disk.open();
  const auto read = store.document("plans:0");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::store_corrupt);
  EXPECT_EQ(content(store, "plans:1"), "attack at dawn");
}

// D-51: in the reference sealed documents can change places.
TEST_F(Sealed, D51SealedRowsCannotChangePlaces) {
  auto& store = disk.open();
  put(store, "plans:a", "attack at dawn");
  put(store, "plans:b", "stay at home");
  disk.settle();
  disk.close();
  move_row(Table::documents, "plans:b", "plans:a");
  const auto read = disk.open().document("plans:a");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::store_corrupt);
  EXPECT_NE(read.error().message.find("plans:a"), std::string::npos);
}

TEST_F(Sealed, ARowOfTheSameContentLooksDifferentEachTime) {
  auto& store = disk.open();
  std::set<std::string> seen;
  for (int i = 0; i < 3; ++i) {
    put(store, "plans:1", "attack at dawn");
    disk.settle();
    for_each_row(disk.shared_memory(), [&](Table table, std::string_view, ByteView value) {
      if (table == Table::bodies) seen.emplace(as_text(value));
    });
  }
  EXPECT_EQ(seen.size(), 3U);
}

TEST_F(Sealed, RowsAreSealedAnewAndTheOldKeyIsGone) {
  auto& store = disk.open();
  fill(store, 700, "attack at dawn");
  ASSERT_TRUE(store.reseal(disk.random));
  EXPECT_EQ(store.reseal(disk.random).error().code, Code::unavailable);
  disk.executor.advance(std::chrono::milliseconds(2));
  EXPECT_EQ(keys_in_use(), (std::set<std::uint32_t>{1, 2})) << "in slices";
  // What is written, overwritten and erased meanwhile is what it is afterwards.
  put(store, "plans:699", "attack at noon");
  put(store, "plans:new", "dig in");
  WriteBatch batch;
  batch.erase("plans:698", std::nullopt);
  ASSERT_TRUE(store.write(std::move(batch)));
  finish(store);
  EXPECT_EQ(keys_in_use(), (std::set<std::uint32_t>{2}));
  EXPECT_EQ(store.stats().data_key, 2U);
  EXPECT_EQ(content(store, "plans:699"), "attack at noon");
  EXPECT_EQ(content(store, "plans:new"), "dig in");
  EXPECT_EQ(content(store, "plans:698"), "-");
  disk.close();
  EXPECT_EQ(content(disk.open(), "plans:0"), "attack at dawn");
}

TEST_F(Sealed, WhatIsOnItsWayToTheDiskIsNotOverwrittenBySealingAnew) {
  auto& store = disk.open();
  fill(store, 24, "attack at dawn");
  ASSERT_TRUE(store.reseal(disk.random));
  disk.executor.run();  // the new key is durable, the first slice is due
  const auto name = [](int n) { return "plans:" + std::to_string(n); };
  for (int round = 0; round < 12; ++round) {  // a slice each, through all tables
    disk.executor.hold_pool(true);
    put(store, name(round), "attack at noon");  // in a commit that is under way
    disk.executor.run();
    put(store, name(12 + round), "dig in");  // waiting for the next one
    disk.executor.advance(std::chrono::milliseconds(2));
    disk.executor.hold_pool(false);
    disk.executor.run();
  }
  finish(store);
  disk.close();
  const auto& again = disk.open();
  for (int round = 0; round < 12; ++round) {
    EXPECT_EQ(content(again, name(round)), "attack at noon");
    EXPECT_EQ(content(again, name(12 + round)), "dig in");
  }
}

TEST_F(Sealed, ACrashAtAnyMomentOfSealingAnewLosesNothing) {
  for (int moment = 0; moment < 14; ++moment) {
    disk.close_if_open();
    auto& store = disk.open();
    fill(store, 600, "attack " + std::to_string(moment));
    ASSERT_TRUE(store.reseal(disk.random));
    disk.executor.hold_pool(moment % 2 == 1);  // a commit that is under way is lost as well
    disk.executor.advance(std::chrono::milliseconds(moment));
    disk.crash();
    disk.executor.hold_pool(false);
    auto& again = disk.open();
    for (const int n : {0, 299, 599}) {
      ASSERT_EQ(content(again, "plans:" + std::to_string(n)), "attack " + std::to_string(moment));
    }
    finish(again);
    EXPECT_EQ(keys_in_use().size(), 1U) << "it goes on where it was";
    disk.settle();
  }
}

TEST_F(Sealed, AnUnencryptedStoreIsNotSealedAnew) {
  disk.keys.key.reset();
  EXPECT_EQ(disk.open().reseal(disk.random).error().code, Code::unsupported);
}

TEST_F(Sealed, ADamagedRowIsPassedOverAndCounted) {
  fill(disk.open(), 3, "attack at dawn");
  disk.close();
  move_row(Table::documents, "plans:1", "plans:0");
  auto& store = disk.open();
  ASSERT_TRUE(store.reseal(disk.random));
  finish(store);
  EXPECT_EQ(store.stats().reseal_failures, 1U);
  EXPECT_EQ(content(store, "plans:2"), "attack at dawn");
}

TEST(Rings, NoMoreKeysThanTheLimitAreInUseAtOnce) {
  SeededRandom random(1);
  auto ring = SealingRing::create(key_of(1), false, random).value();
  for (std::size_t i = 1; i < kMaxDataKeys; ++i) ring = ring->with_new_key(random).value();
  const auto more = ring->with_new_key(random);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code, Code::limit_exceeded);
  EXPECT_EQ(ring->reread(ring->encode()).value()->keys(), kMaxDataKeys);
  constexpr std::size_t kCountAt = 1 + 25 + 2 + 3 + 4;  // behind the place of the walk
  auto row = ring->encode();
  ASSERT_EQ(row[kCountAt], kMaxDataKeys);
  row[kCountAt] = kMaxDataKeys + 1;
  EXPECT_EQ(ring->reread(row).error().code, Code::limit_exceeded);
}

TEST(Rings, ARingThatWasChangedAnywhereIsRefused) {
  SeededRandom random(2);
  const auto ring = SealingRing::create(key_of(1), true, random).value();
  const auto row = ring->encode();
  ASSERT_TRUE(ring->reread(row));
  for (std::size_t at = 0; at < row.size(); ++at) {
    auto changed = row;
    changed[at] ^= 1;
    EXPECT_FALSE(ring->reread(changed)) << "byte " << at;
    EXPECT_FALSE(ring->reread(ByteView(row).first(at))) << "cut at " << at;
  }
}

}  // namespace
}  // namespace peat::store
