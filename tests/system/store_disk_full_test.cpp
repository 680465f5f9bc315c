// A full disk: writes are refused by name, reads go on, and all is well when there is room again.
#include <gtest/gtest.h>

#include <chrono>
#include <limits>

#include "../unit/store/store_fixture.hpp"
#include "disk_recorder.hpp"
#include "store/lmdb_backend.hpp"
#include "store/store.hpp"
#include "store_workload.hpp"

namespace peat::test {
namespace {

using namespace std::chrono_literals;

class FullDisk : public testing::TestWithParam<std::uint64_t> {};
// Full at once, within a page, and after a few pages: an error, a short write, one in a run.
INSTANTIATE_TEST_SUITE_P(Room, FullDisk, testing::Values(0, 1000, 4096, 10'000, 40'000));

TEST_P(FullDisk, RefusesWritesServesReadsAndRecovers) {
  DiskRecorder recorder("peat.mdb");
  store::Disk disk(store::On::lmdb);
  auto& store = disk.open();
  for (std::uint64_t n = 1; n <= 20; ++n) ASSERT_TRUE(store.write(workload_batch(n)));
  disk.settle();
  Model model;
  model.advance(20);

  recorder.set_room(GetParam());
  std::uint64_t written = 20;
  std::optional<Error> refused;
  while (!refused && written < 200) {
    const auto result = store.write(workload_batch(written + 1));
    if (!result) {
      refused = result.error();
      break;
    }
    ++written;
    disk.executor.run();
  }
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code, Code::store_full) << refused->message;
  EXPECT_NE(refused->message.find("peat.mdb"), std::string::npos) << refused->message;
  model.advance(written);
  EXPECT_EQ(model.difference(store), "");  // what was seen stays readable
  EXPECT_LT(store.durable_seq(), store.last_seq());
  std::optional<Status> told;
  store.on_durable([&told](Status status) { told = std::move(status); });
  disk.executor.advance(3s);
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->error().code, Code::store_full);

  recorder.set_room(std::numeric_limits<std::uint64_t>::max());
  disk.executor.advance(2s);
  EXPECT_EQ(store.durable_seq(), store.last_seq());
  ASSERT_TRUE(store.write(workload_batch(written + 1)));
  disk.settle();
  disk.crash();
  model.advance(written + 1);
  EXPECT_EQ(model.difference(disk.open()), "");
}

TEST(FullDisk, AMapThatCannotGrowStopsWritesNotReads) {
  DiskRecorder recorder("peat.mdb");
  const store::TempDir temp;
  TestExecutor executor;
  SystemRandom random;
  auto backend = store::LmdbBackend::open(temp.path(), {.map_bytes = 256U << 10});
  ASSERT_TRUE(backend) << backend.error().message;
  const auto opened = store::Store::open(*backend, executor, random, {});
  auto& store = **opened;
  store::put(store, "roads:a", "1");
  executor.run();

  recorder.set_largest_map(300U << 10);
  store::put(store, "roads:b", std::string(1 << 20, 'x'));
  executor.run();
  store::WriteBatch batch;
  batch.erase("roads:a", std::nullopt);
  const auto refused = store.write(std::move(batch));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::out_of_memory) << refused.error().message;
  EXPECT_EQ(store::content(store, "roads:a"), "1");
  EXPECT_EQ(store::content(store, "roads:b").size(), 1U << 20);

  recorder.set_largest_map(std::numeric_limits<std::uint64_t>::max());
  executor.advance(2s);
  EXPECT_EQ(store.durable_seq(), store.last_seq());
  EXPECT_EQ(store::content(store, "roads:b").size(), 1U << 20);
}

TEST(FullDisk, AStoreThatCannotBeMadeSaysSo) {
  DiskRecorder recorder("peat.mdb.new");
  recorder.set_room(0);
  store::Disk disk(store::On::lmdb);
  const auto refused = disk.try_open();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::store_full) << refused.error().message;
  recorder.set_room(std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(disk.try_open());
}

}  // namespace
}  // namespace peat::test
