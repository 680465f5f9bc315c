// Who a store is: the same after a clean stop, somebody new after anything else (design rule 4).
#include <sys/stat.h>

#include <fstream>

#include "store_fixture.hpp"

namespace peat::store {
namespace {

class Incarnations : public testing::TestWithParam<On> {
 protected:
  Incarnations() : disk(GetParam()) {}
  Disk disk;
};
INSTANTIATE_TEST_SUITE_P(Backends, Incarnations, testing::ValuesIn(kBackends), backend_name);

TEST_P(Incarnations, ACleanRestartContinuesTheActor) {
  const auto first = disk.open().incarnation();
  EXPECT_FALSE(first.continued);
  EXPECT_EQ(first.run, 1U);
  EXPECT_EQ(first.actor.bytes.size(), 16U);
  disk.close();
  for (std::uint64_t run = 2; run < 5; ++run) {
    const auto next = disk.open().incarnation();
    EXPECT_TRUE(next.continued);
    EXPECT_EQ(next.run, run);
    EXPECT_EQ(next.store_id, first.store_id);
    EXPECT_EQ(next.actor, first.actor);
    disk.close();
  }
}

TEST_P(Incarnations, AnUncleanStopMakesANewActorAndSkipsFeedPositions) {
  auto& store = disk.open();
  const auto first = store.incarnation();
  put(store, "roads:a", "1");
  disk.settle();
  const auto lost = put(store, "roads:b", "seen by others, then lost");
  disk.crash();
  auto& again = disk.open();
  EXPECT_FALSE(again.incarnation().continued);
  EXPECT_EQ(again.incarnation().run, 2U);
  EXPECT_NE(again.incarnation().store_id, first.store_id);
  EXPECT_NE(again.incarnation().actor, first.actor);
  EXPECT_GT(put(again, "roads:c", "1"), lost);
  EXPECT_EQ(again.feed(0, 10).value().size(), 2U);
}

TEST_P(Incarnations, ACrashRightAfterACleanStartIsUncleanToo) {
  disk.open();
  disk.close();
  const auto before = disk.open().incarnation();
  EXPECT_TRUE(before.continued);
  disk.crash();
  EXPECT_FALSE(disk.open().incarnation().continued);
}

TEST_P(Incarnations, ACopiedDirectoryIsSomebodyElse) {
  auto& store = disk.open();
  put(store, "roads:a", "1");
  const auto original = store.incarnation();
  disk.close();
  disk.become_copy();
  auto& copy = disk.open();
  EXPECT_EQ(content(copy, "roads:a"), "1");
  EXPECT_FALSE(copy.incarnation().continued);
  EXPECT_NE(copy.incarnation().store_id, original.store_id);
  EXPECT_NE(copy.incarnation().actor, original.actor);
}

// A backup restored over the very same file: neither its name nor its inode tells.
TEST(RestoredBackup, InPlaceIsNoticed) {
  Disk disk(On::lmdb);
  disk.open();
  disk.close();
  const TempDir backup;
  const auto copied = std::filesystem::copy_options::overwrite_existing;
  for (const auto* name : {"peat.mdb", "peat.stop"}) {
    std::filesystem::copy_file(disk.dir() / name, backup.path() / name, copied);
  }
  auto& store = disk.open();
  const auto before = store.incarnation();
  EXPECT_TRUE(before.continued);
  put(store, "roads:a", "after the backup");
  disk.close();

  for (const auto* name : {"peat.mdb", "peat.stop"}) {
    std::ifstream from(backup.path() / name, std::ios::binary);
    std::ofstream to(disk.dir() / name, std::ios::binary | std::ios::trunc);
    to << from.rdbuf();
  }
  auto& restored = disk.open();
  EXPECT_EQ(content(restored, "roads:a"), "-");
  EXPECT_FALSE(restored.incarnation().continued);
  EXPECT_NE(restored.incarnation().actor, before.actor);
}

TEST(RestoredBackup, ADamagedStopMarkIsAnUncleanStop) {
  for (const std::string_view text : {"", "1", "one two three", "99999999999999999999 1 1 1.1 x"}) {
    Disk disk(On::lmdb);
    disk.open();
    disk.close();
    std::ofstream(disk.dir() / "peat.stop", std::ios::trunc) << text;
    EXPECT_FALSE(disk.open().incarnation().continued) << text;
  }
}

}  // namespace
}  // namespace peat::store
