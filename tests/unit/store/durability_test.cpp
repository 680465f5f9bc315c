// Acknowledged means durable; visible does not (design rule 4).
#include <chrono>

#include "store_fixture.hpp"

namespace peat::store {
namespace {

using namespace std::chrono_literals;

class Durability : public testing::TestWithParam<On> {
 protected:
  Durability() : disk(GetParam()) {}
  Disk disk;
};
INSTANTIATE_TEST_SUITE_P(Backends, Durability, testing::ValuesIn(kBackends), backend_name);

TEST_P(Durability, AWriteIsVisibleAtOnceAndAcknowledgedOnlyAfterItsCommit) {
  auto& store = disk.open();
  disk.executor.hold_pool(true);
  const auto seq = put(store, "roads:a", "1");
  bool acknowledged = false;
  store.on_durable([&acknowledged](Status status) { acknowledged = status.has_value(); });
  disk.executor.run();
  EXPECT_EQ(content(store, "roads:a"), "1");
  EXPECT_EQ(store.heads("roads:a").value(), heads_of("1"));
  EXPECT_EQ(store.keys("roads:", "", 10).value().size(), 1U);
  EXPECT_LT(store.durable_seq(), seq);
  EXPECT_FALSE(acknowledged);
  disk.executor.hold_pool(false);
  disk.executor.run();
  EXPECT_TRUE(acknowledged);
  EXPECT_EQ(store.durable_seq(), seq);
}

TEST_P(Durability, ACrashLosesOnlyWhatWasNotAcknowledged) {
  {
    auto& store = disk.open();
    put(store, "roads:a", "1");
    disk.settle();
    put(store, "roads:a", "2");
    put(store, "roads:b", "1");
    disk.crash();
  }
  auto& store = disk.open();
  EXPECT_EQ(content(store, "roads:a"), "1");
  EXPECT_EQ(content(store, "roads:b"), "-");
  EXPECT_EQ(store.count(), 1U);
}

TEST_P(Durability, ACrashDuringACommitLosesAllOfTheBatchOrNothing) {
  {
    auto& store = disk.open();
    put(store, "tracks:t", "1");
    disk.settle();
    disk.executor.hold_pool(true);
    WriteBatch batch;
    batch.bury("tracks:t", tombstone("tracks", "t", 1), {}, std::nullopt);
    ASSERT_TRUE(store.write(std::move(batch)));
    disk.executor.run();  // handed to the pool, not done
    disk.crash();
    disk.executor.hold_pool(false);
  }
  auto& store = disk.open();
  EXPECT_EQ(content(store, "tracks:t"), "1");
  EXPECT_FALSE(store.tombstone("tracks:t").value());
}

TEST_P(Durability, AllThatGathersDuringOneCommitSharesTheNext) {
  auto& store = disk.open();
  disk.executor.hold_pool(true);
  put(store, "roads:first", "1");
  disk.executor.run();
  int acknowledged = 0;
  for (int i = 0; i < 100; ++i) {
    put(store, "roads:" + std::to_string(i), "1");
    store.on_durable([&acknowledged](Status status) { acknowledged += status ? 1 : 0; });
    disk.executor.run();
  }
  EXPECT_EQ(disk.executor.waiting_work(), 1U);
  disk.executor.hold_pool(false);
  disk.executor.run();
  EXPECT_EQ(acknowledged, 100);
  EXPECT_EQ(store.stats().commits, 2U);
  EXPECT_EQ(store.stats().batches, 101U);
  EXPECT_EQ(store.stats().pending_bytes, 0U);
}

TEST_P(Durability, ReadsMergeWhatIsCommittedWhatIsBeingCommittedAndWhatWaits) {
  auto& store = disk.open();
  for (const auto* key : {"roads:a", "roads:b", "roads:c", "roads:d"}) put(store, key, "committed");
  disk.settle();
  disk.executor.hold_pool(true);
  put(store, "roads:b", "in flight");
  put(store, "roads:e", "in flight");
  WriteBatch first;
  first.erase("roads:c", std::nullopt);
  ASSERT_TRUE(store.write(std::move(first)));
  disk.executor.run();
  put(store, "roads:c", "waiting");
  put(store, "roads:bb", "waiting");
  WriteBatch second;
  second.erase("roads:a", std::nullopt);
  second.erase("roads:e", std::nullopt);
  ASSERT_TRUE(store.write(std::move(second)));

  const std::vector<std::string> expected{"roads:b", "roads:bb", "roads:c", "roads:d"};
  for (const bool durable : {false, true}) {
    if (durable) {
      disk.executor.hold_pool(false);
      disk.executor.run();
    }
    EXPECT_EQ(store.keys("roads:", "", 10).value(), expected);
    EXPECT_EQ(content(store, "roads:a"), "-");
    EXPECT_EQ(content(store, "roads:b"), "in flight");
    EXPECT_EQ(content(store, "roads:c"), "waiting");
    EXPECT_EQ(content(store, "roads:e"), "-");
    EXPECT_EQ(feed_of(store), (std::vector<std::string>{"document roads:d", "document roads:b",
                                                        "document roads:c", "document roads:bb"}));
    EXPECT_EQ(store.count("roads"), 4U);
  }
}

TEST_P(Durability, OnDurableWithNothingPendingAnswersOnTheLoopNotInside) {
  auto& store = disk.open();
  bool called = false;
  store.on_durable([&called](Status status) { called = status.has_value(); });
  EXPECT_FALSE(called);
  disk.executor.run();
  EXPECT_TRUE(called);
}

TEST_P(Durability, ClosingWaitsForEverythingWritten) {
  {
    auto& store = disk.open();
    put(store, "roads:a", "1");
    disk.close();
  }
  EXPECT_EQ(content(disk.open(), "roads:a"), "1");
}

TEST_P(Durability, WritesAfterCloseAreRefused) {
  auto& store = disk.open();
  store.close([](Status) {});
  WriteBatch batch;
  batch.replace("roads:a", {}, {}, std::nullopt);
  EXPECT_EQ(store.write(std::move(batch)).error().code, Code::shut_down);
  disk.executor.run();
}

// Limit store_pending_bytes.
TEST_P(Durability, WritesWaitWhenTheDiskCannotKeepUp) {
  Limits limits;
  limits.store_pending_bytes = 10'000;
  auto& store = disk.open(limits);
  disk.executor.hold_pool(true);
  int accepted = 0;
  std::optional<Error> refused;
  for (int i = 0; i < 100 && !refused; ++i) {
    WriteBatch batch;
    batch.replace("roads:" + std::to_string(i), Bytes(1000), {}, std::nullopt);
    const auto result = store.write(std::move(batch));
    disk.executor.run();
    result ? void(++accepted) : void(refused = result.error());
  }
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->code, Code::unavailable);
  EXPECT_GE(accepted, 5);
  EXPECT_LT(accepted, 12);
  disk.executor.hold_pool(false);
  disk.executor.run();
  put(store, "roads:later", "1");
  disk.settle();
  EXPECT_EQ(store.count(), static_cast<std::uint64_t>(accepted) + 1);
}

TEST(FailingDisk, ServesReadsRefusesWritesAndRecoversByItself) {
  Disk disk(On::memory);
  auto& store = disk.open();
  put(store, "roads:a", "1");
  disk.settle();

  disk.memory().fail_commits(Error{Code::store_full, "the disk is full"});
  put(store, "roads:b", "1");
  std::optional<Status> told;
  store.on_durable([&told](Status status) { told = std::move(status); });
  disk.executor.run();
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->error().code, Code::store_full);
  EXPECT_EQ(store.durable_seq(), 1U);
  EXPECT_EQ(content(store, "roads:a"), "1");
  EXPECT_EQ(content(store, "roads:b"), "1");
  WriteBatch batch;
  batch.replace("roads:c", {}, {}, std::nullopt);
  EXPECT_EQ(store.write(std::move(batch)).error().code, Code::store_full);

  told.reset();
  store.on_durable([&told](Status status) { told = std::move(status); });
  disk.executor.advance(5s);
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->error().code, Code::store_full);
  EXPECT_GE(store.stats().failed_commits, 5U);

  told.reset();
  store.on_durable([&told](Status status) { told = std::move(status); });
  disk.memory().fail_commits(std::nullopt);
  disk.executor.advance(2s);
  ASSERT_TRUE(told.has_value());
  EXPECT_TRUE(*told);
  put(store, "roads:c", "1");
  disk.settle();
  disk.crash();
  EXPECT_EQ(disk.open().count("roads"), 3U);
}

TEST(FailingDisk, ACloseThatCannotBeMadeDurableSaysSoAndIsAnUncleanStop) {
  Disk disk(On::memory);
  auto& store = disk.open();
  const auto id = store.incarnation().store_id;
  disk.memory().fail_commits(Error{Code::store_full, "the disk is full"});
  put(store, "roads:a", "1");
  std::optional<Status> told;
  store.close([&told](Status status) { told = std::move(status); });
  disk.executor.run();
  ASSERT_TRUE(told.has_value());
  EXPECT_EQ(told->error().code, Code::store_full);
  disk.crash();
  disk.memory().fail_commits(std::nullopt);
  auto& again = disk.open();
  EXPECT_FALSE(again.incarnation().continued);
  EXPECT_NE(again.incarnation().store_id, id);
}

TEST(MemoryTwin, ACommitOfACrashedStoreDoesNotReachItsSuccessor) {
  Disk disk(On::memory);
  auto& store = disk.open();
  put(store, "roads:a", "1");
  disk.executor.hold_pool(true);
  disk.executor.run();
  auto successor = disk.try_open().value();  // the old process's commit is still on its way
  disk.executor.hold_pool(false);
  disk.executor.run();
  EXPECT_EQ(content(*successor, "roads:a"), "-");
}

}  // namespace
}  // namespace peat::store
