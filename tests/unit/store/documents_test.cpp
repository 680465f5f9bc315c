// Documents, tombstones, sync states and settings: what is written is what is read.
#include "store_fixture.hpp"

namespace peat::store {
namespace {

using Strings = std::vector<std::string>;

class Documents : public testing::TestWithParam<On> {
 protected:
  Documents() : disk(GetParam()) {}
  Disk disk;
};
INSTANTIATE_TEST_SUITE_P(Backends, Documents, testing::ValuesIn(kBackends), backend_name);

TEST_P(Documents, AnEmptyStoreHoldsNothing) {
  auto& store = disk.open();
  EXPECT_EQ(content(store, "roads:a"), "-");
  EXPECT_EQ(store.count(), 0U);
  EXPECT_TRUE(store.collections().empty());
  EXPECT_TRUE(feed_of(store).empty());
  EXPECT_EQ(store.keys("", "", 10).value(), Strings{});
  EXPECT_FALSE(store.heads("roads:a").value());
  EXPECT_FALSE(store.tombstone("roads:a").value());
}

TEST_P(Documents, AreSnapshotPlusAppendedChangesUntilCompacted) {
  auto& store = disk.open();
  put(store, "roads:a", "base");
  WriteBatch batch;
  batch.append("roads:a", {bytes_of("one"), bytes_of("two")}, heads_of("two"), peer(3));
  batch.append("roads:a", {bytes_of("three")}, heads_of("three"), peer(4));
  const auto seq = store.write(std::move(batch)).value();
  for (const bool durable : {false, true}) {
    if (durable) disk.settle();
    const auto record = store.document("roads:a").value().value();
    EXPECT_EQ(content(store, "roads:a"), "base+one+two+three");
    EXPECT_EQ(record.heads, heads_of("three"));
    EXPECT_EQ(record.origin, peer(4));
    EXPECT_EQ(record.seq, seq);
  }
  WriteBatch compaction;
  compaction.compact("roads:a", bytes_of("all"), heads_of("three"));
  EXPECT_EQ(store.write(std::move(compaction)).value(), seq);
  for (const bool durable : {false, true}) {
    if (durable) disk.settle();
    EXPECT_EQ(content(store, "roads:a"), "all");
    EXPECT_EQ(store.document("roads:a").value()->seq, seq);
  }
}

TEST_P(Documents, KeepTheTimeOfTheirHeadsBesideThem) {
  auto& store = disk.open();
  WriteBatch batch;
  batch.replace("roads:a", bytes_of("base"), heads_of("base"), std::nullopt, 1'700'000'000);
  ASSERT_TRUE(store.write(std::move(batch)));
  WriteBatch change;
  change.append("roads:a", {bytes_of("one")}, heads_of("one"), std::nullopt, 1'700'000'060);
  const auto seq = store.write(std::move(change)).value();
  WriteBatch compaction;
  compaction.compact("roads:a", bytes_of("all"), heads_of("one"));
  ASSERT_TRUE(store.write(std::move(compaction)));
  disk.settle();
  const auto version = store.version("roads:a").value().value();
  EXPECT_EQ(version.heads, heads_of("one"));
  EXPECT_EQ(version.time, 1'700'000'060);
  EXPECT_EQ(version.seq, seq);
  EXPECT_FALSE(store.version("roads:b").value());
  put(store, "roads:b", "by a writer that knows no time");
  EXPECT_FALSE(store.version("roads:b").value()->time);
}

TEST_P(Documents, MayBeginWithAnAppendedChange) {
  auto& store = disk.open();
  WriteBatch batch;
  batch.append("roads:a", {bytes_of("first")}, heads_of("first"), std::nullopt);
  ASSERT_TRUE(store.write(std::move(batch)));
  disk.settle();
  EXPECT_EQ(content(store, "roads:a"), "+first");
  EXPECT_EQ(store.count("roads"), 1U);
}

// D7: the reference's compaction may overwrite an update that arrived meanwhile.
TEST_P(Documents, D7ACompactionOfAnOlderStateDoesNotDropALaterChange) {
  auto& store = disk.open();
  put(store, "roads:a", "base");
  WriteBatch change;
  change.append("roads:a", {bytes_of("late")}, heads_of("late"), std::nullopt);
  ASSERT_TRUE(store.write(std::move(change)));
  WriteBatch compaction;
  compaction.compact("roads:a", bytes_of("older"), heads_of("base"));
  compaction.compact("roads:gone", bytes_of("older"), heads_of("base"));
  ASSERT_TRUE(store.write(std::move(compaction)));
  EXPECT_EQ(content(store, "roads:a"), "base+late");
  EXPECT_EQ(content(store, "roads:gone"), "-");
  EXPECT_EQ(store.count(), 1U);
}

TEST_P(Documents, ReplacingDropsTheChangesAppendedBefore) {
  auto& store = disk.open();
  WriteBatch batch;
  batch.append("roads:a", {bytes_of("one"), bytes_of("two")}, heads_of("two"), std::nullopt);
  batch.replace("roads:a", bytes_of("snapshot"), heads_of("snapshot"), std::nullopt);
  batch.append("roads:a", {bytes_of("three")}, heads_of("three"), std::nullopt);
  ASSERT_TRUE(store.write(std::move(batch)));
  EXPECT_EQ(content(store, "roads:a"), "snapshot+three");
  disk.settle();
  EXPECT_EQ(content(store, "roads:a"), "snapshot+three");
}

TEST_P(Documents, ADocumentReCreatedAfterErasureHasNothingOfTheOld) {
  auto& store = disk.open();
  WriteBatch batch;
  batch.append("roads:a", {bytes_of("one"), bytes_of("two")}, heads_of("two"), std::nullopt);
  ASSERT_TRUE(store.write(std::move(batch)));
  disk.settle();
  WriteBatch again;
  again.erase("roads:a", std::nullopt);
  again.append("roads:a", {bytes_of("new")}, heads_of("new"), std::nullopt);
  ASSERT_TRUE(store.write(std::move(again)));
  disk.settle();
  EXPECT_EQ(content(store, "roads:a"), "+new");
  EXPECT_EQ(store.count("roads"), 1U);
}

// D6f: in the reference deletion and tombstone are two transactions, and memory mode has none.
TEST_P(Documents, D6fBuryingStoresTheTombstoneAndRemovesTheDocumentAtOnce) {
  auto& store = disk.open();
  put(store, "tracks:t1", "moving");
  disk.settle();
  WriteBatch batch;
  const auto stone = tombstone("tracks", "t1", 5);
  batch.bury("tracks:t1", stone, heads_of("moving"), peer(9));
  const auto seq = store.write(std::move(batch)).value();
  for (const bool durable : {false, true}) {
    if (durable) disk.settle();
    EXPECT_EQ(content(store, "tracks:t1"), "-");
    EXPECT_EQ(store.count("tracks"), 0U);
    const auto record = store.tombstone("tracks:t1").value().value();
    EXPECT_EQ(record.tombstone, stone);
    EXPECT_EQ(record.deleted_heads, heads_of("moving"));
    EXPECT_EQ(record.origin, peer(9));
    EXPECT_EQ(record.seq, seq);
    EXPECT_EQ(feed_of(store), Strings{"tombstone tracks:t1"});
  }
}

TEST_P(Documents, ATombstoneCanBeReplacedAndRemoved) {
  auto& store = disk.open();
  WriteBatch batch;
  batch.bury("tracks:t1", tombstone("tracks", "t1", 5), {}, std::nullopt);
  batch.bury("tracks:t2", tombstone("tracks", "t2", 6), {}, std::nullopt);
  batch.bury("tracks:t1", tombstone("tracks", "t1", 7), {}, std::nullopt);
  ASSERT_TRUE(store.write(std::move(batch)));
  disk.settle();
  EXPECT_EQ(store.tombstone("tracks:t1").value()->tombstone.lamport, 7U);
  EXPECT_EQ(feed_of(store), (Strings{"tombstone tracks:t2", "tombstone tracks:t1"}));
  WriteBatch removal;
  removal.remove_tombstone("tracks:t1");
  removal.remove_tombstone("tracks:never");
  ASSERT_TRUE(store.write(std::move(removal)));
  disk.settle();
  EXPECT_FALSE(store.tombstone("tracks:t1").value());
  EXPECT_EQ(feed_of(store), Strings{"tombstone tracks:t2"});
}

TEST_P(Documents, ATombstoneOfAnotherDocumentIsRefusedAndTheBatchWithIt) {
  auto& store = disk.open();
  WriteBatch batch;
  batch.replace("roads:a", bytes_of("a"), heads_of("a"), std::nullopt);
  batch.bury("tracks:t1", tombstone("tracks", "t2", 5), {}, std::nullopt);
  const auto result = store.write(std::move(batch));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::invalid_argument);
  EXPECT_EQ(content(store, "roads:a"), "-");
  EXPECT_EQ(store.count(), 0U);
  EXPECT_EQ(store.last_seq(), 0U);
}

// D7f: the reference decodes every document to count them.
TEST_P(Documents, D7fCountsPerCollectionFollowEveryWriteAndSurvive) {
  {
    auto& store = disk.open();
    put(store, "roads:a", "1");
    put(store, "roads:b", "1");
    put(store, "roads:b", "2");
    put(store, "tracks:1", "1");
    put(store, "no-collection", "1");
    WriteBatch batch;
    batch.erase("roads:a", std::nullopt);
    batch.erase("roads:never", std::nullopt);
    ASSERT_TRUE(store.write(std::move(batch)));
    disk.close();
  }
  auto& store = disk.open();
  EXPECT_EQ(store.count("roads"), 1U);
  EXPECT_EQ(store.count("tracks"), 1U);
  EXPECT_EQ(store.count("no-collection"), 0U);
  EXPECT_EQ(store.count(), 3U);
  EXPECT_EQ(store.collections(), (Strings{"roads", "tracks"}));
  WriteBatch batch;
  batch.bury("tracks:1", tombstone("tracks", "1", 1), {}, std::nullopt);
  ASSERT_TRUE(store.write(std::move(batch)));
  EXPECT_EQ(store.collections(), Strings{"roads"});
  disk.close();
  EXPECT_EQ(disk.open().collections(), Strings{"roads"});
}

TEST_P(Documents, SyncStatesArePerPeerAndDocument) {
  const std::string long_key = "roads:" + std::string(3000, 'x');
  {
    auto& store = disk.open();
    WriteBatch batch;
    batch.put_sync_state(peer(1), "roads:a", bytes_of("1a"));
    batch.put_sync_state(peer(2), "roads:a", bytes_of("2a"));
    batch.put_sync_state(peer(1), long_key, bytes_of("1long"));
    batch.put_sync_state(peer(1), "roads:b", {});
    batch.put_sync_state(peer(1), "roads:c", bytes_of("1c"));
    batch.erase_sync_state(peer(1), "roads:c");
    ASSERT_TRUE(store.write(std::move(batch)));
    disk.close();
  }
  auto& store = disk.open();
  EXPECT_EQ(store.sync_state(peer(1), "roads:a").value(), bytes_of("1a"));
  EXPECT_EQ(store.sync_state(peer(2), "roads:a").value(), bytes_of("2a"));
  EXPECT_EQ(store.sync_state(peer(1), long_key).value(), bytes_of("1long"));
  EXPECT_EQ(store.sync_state(peer(1), "roads:b").value(), Bytes{});
  EXPECT_EQ(store.sync_state(peer(1), "roads:c").value(), std::nullopt);
  EXPECT_EQ(store.sync_state(peer(2), "roads:b").value(), std::nullopt);
}

TEST_P(Documents, APeersSyncStatesGoTogether) {
  const std::string long_key = "roads:" + std::string(600, 'x');
  auto& store = disk.open();
  WriteBatch first;
  for (const auto& key : {std::string("roads:a"), std::string("roads:b"), long_key}) {
    for (std::uint8_t n = 1; n <= 3; ++n) first.put_sync_state(peer(n), key, bytes_of("state"));
  }
  ASSERT_TRUE(store.write(std::move(first)));
  WriteBatch second;
  second.put_sync_state(peer(2), "roads:new", bytes_of("state"));
  second.erase_sync_states(peer(2));
  second.put_sync_state(peer(2), "roads:after", bytes_of("state"));
  ASSERT_TRUE(store.write(std::move(second)));
  disk.close();
  auto& again = disk.open();
  for (const auto& key : {std::string("roads:a"), std::string("roads:b"), long_key}) {
    EXPECT_TRUE(again.sync_state(peer(1), key).value());
    EXPECT_FALSE(again.sync_state(peer(2), key).value());
    EXPECT_TRUE(again.sync_state(peer(3), key).value());
  }
  EXPECT_FALSE(again.sync_state(peer(2), "roads:new").value());
  EXPECT_TRUE(again.sync_state(peer(2), "roads:after").value());
}

// F20: the Lamport clock of deletions must outlive the process.
TEST_P(Documents, F20SettingsOfTheNodeSurviveARestart) {
  {
    auto& store = disk.open();
    WriteBatch batch;
    batch.put_meta("lamport", bytes_of("41"));
    batch.put_meta("lamport", bytes_of("42"));
    batch.put_meta("peers", bytes_of("list"));
    batch.erase_meta("peers");
    ASSERT_TRUE(store.write(std::move(batch)));
    EXPECT_EQ(store.meta("lamport").value(), bytes_of("42"));
    disk.close();
  }
  auto& store = disk.open();
  EXPECT_EQ(store.meta("lamport").value(), bytes_of("42"));
  EXPECT_EQ(store.meta("peers").value(), std::nullopt);
  WriteBatch batch;
  batch.put_meta(std::string(480, 'n'), {});
  EXPECT_EQ(store.write(std::move(batch)).error().code, Code::invalid_argument);
}

TEST_P(Documents, LargeOnesComeBackWhole) {
  std::string large(3 << 20, 'x');
  for (std::size_t i = 0; i < large.size(); ++i)
    large[i] = static_cast<char>(i * 2654435761U >> 24);
  {
    auto& store = disk.open();
    put(store, "maps:city", large);
    disk.close();
  }
  EXPECT_EQ(content(disk.open(), "maps:city"), large);
}

// D7e: the reference's memory mode silently evicts beyond 10,000.
TEST_P(Documents, D7eTenThousandAndMoreAreAllKept) {
  auto& store = disk.open();
  WriteBatch batch;
  for (int i = 0; i < 10'500; ++i) {
    const auto text = std::to_string(i);
    batch.replace("items:" + text, bytes_of(text), heads_of(text), std::nullopt);
  }
  ASSERT_TRUE(store.write(std::move(batch)));
  disk.settle();
  EXPECT_EQ(store.count("items"), 10'500U);
  EXPECT_EQ(store.keys("items:", "", 20'000).value().size(), 10'500U);
  EXPECT_EQ(content(store, "items:0"), "0");
  EXPECT_EQ(content(store, "items:10499"), "10499");
}

}  // namespace
}  // namespace peat::store
