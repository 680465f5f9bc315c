// The change feed and observers.
#include <algorithm>

#include "store_fixture.hpp"

namespace peat::store {
namespace {

using Strings = std::vector<std::string>;

class Feed : public testing::TestWithParam<On> {
 protected:
  Feed() : disk(GetParam()) {}
  Disk disk;
};
INSTANTIATE_TEST_SUITE_P(Backends, Feed, testing::ValuesIn(kBackends), backend_name);

TEST_P(Feed, AChangeMovesItsDocumentToTheEnd) {
  auto& store = disk.open();
  put(store, "roads:a", "1");
  put(store, "roads:b", "1");
  put(store, "roads:c", "1");
  disk.settle();
  const auto seen = store.last_seq();
  put(store, "roads:a", "2");
  EXPECT_EQ(feed_of(store), (Strings{"document roads:b", "document roads:c", "document roads:a"}));
  EXPECT_EQ(feed_of(store, seen), Strings{"document roads:a"});
  disk.settle();
  EXPECT_EQ(feed_of(store), (Strings{"document roads:b", "document roads:c", "document roads:a"}));
  EXPECT_TRUE(feed_of(store, store.last_seq()).empty());
}

TEST_P(Feed, ATombstoneStandsBeforeTheDocumentThatReCreatesIt) {
  auto& store = disk.open();
  put(store, "tracks:t", "old");
  WriteBatch deletion;
  deletion.bury("tracks:t", tombstone("tracks", "t", 1), {}, std::nullopt);
  ASSERT_TRUE(store.write(std::move(deletion)));
  put(store, "tracks:t", "new");
  EXPECT_EQ(feed_of(store), (Strings{"tombstone tracks:t", "document tracks:t"}));

  // A newer tombstone that an existing document survives: again before it.
  put(store, "tracks:u", "other");
  WriteBatch newer;
  newer.bury("tracks:t", tombstone("tracks", "t", 2), {}, peer(1), true);
  ASSERT_TRUE(store.write(std::move(newer)));
  disk.settle();
  EXPECT_EQ(feed_of(store),
            (Strings{"document tracks:u", "tombstone tracks:t", "document tracks:t"}));
  EXPECT_EQ(content(store, "tracks:t"), "new");
  EXPECT_EQ(store.count("tracks"), 2U);
}

TEST_P(Feed, NamesWhereEachChangeCameFrom) {
  auto& store = disk.open();
  put(store, "roads:a", "1", peer(7));
  put(store, "roads:b", "1");
  WriteBatch deletion;
  deletion.bury("roads:c", tombstone("roads", "c", 1), {}, peer(8));
  ASSERT_TRUE(store.write(std::move(deletion)));
  disk.settle();
  const auto rows = store.feed(0, 10).value();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].origin, peer(7));
  EXPECT_EQ(rows[1].origin, std::nullopt);
  EXPECT_EQ(rows[2].origin, peer(8));
  EXPECT_LT(rows[0].seq, rows[1].seq);
  EXPECT_LT(rows[1].seq, rows[2].seq);
}

TEST_P(Feed, IsReadInPagesWithoutGapOrRepetition) {
  auto& store = disk.open();
  for (int i = 0; i < 25; ++i) put(store, "roads:" + std::to_string(i), "1");
  disk.settle();
  for (int i = 0; i < 5; ++i) put(store, "roads:" + std::to_string(i), "2");  // not durable
  std::vector<std::string> seen;
  Seq after = 0;
  for (;;) {
    const auto rows = store.feed(after, 4).value();
    if (rows.empty()) break;
    EXPECT_LE(rows.size(), 4U);
    for (const auto& row : rows) seen.push_back(row.key);
    after = rows.back().seq;
  }
  EXPECT_EQ(seen.size(), 25U);
  EXPECT_EQ(seen.front(), "roads:5");
  EXPECT_EQ(seen.back(), "roads:4");
  std::ranges::sort(seen);
  EXPECT_EQ(std::ranges::unique(seen).size(), 0U);
}

TEST_P(Feed, PositionsAreNeverUsedTwiceEvenAfterTheLastRowsAreGone) {
  Seq last = 0;
  {
    auto& store = disk.open();
    put(store, "roads:a", "1");
    WriteBatch batch;
    batch.bury("roads:a", tombstone("roads", "a", 1), {}, std::nullopt);
    batch.remove_tombstone("roads:a");
    last = store.write(std::move(batch)).value();
    disk.close();
  }
  auto& store = disk.open();
  EXPECT_EQ(store.last_seq(), last);
  EXPECT_GT(put(store, "roads:b", "1"), last);
}

// F20, D6f: in the reference nobody hears of a deletion that came from elsewhere.
TEST_P(Feed, F20ObserversHearOfEveryChangeDeletionsIncluded) {
  auto& store = disk.open();
  Strings heard;
  const auto id = store.subscribe([&heard](const ChangeEvent& event) {
    const bool erased = event.action == ChangeEvent::Action::erase;
    heard.push_back((erased ? "erase " : "put ") + event.key + (event.origin ? " remote" : ""));
  });
  put(store, "roads:a", "1");
  EXPECT_EQ(heard, Strings{"put roads:a"});  // before it is durable
  put(store, "roads:b", "1", peer(1));
  WriteBatch batch;
  batch.erase("roads:b", std::nullopt);
  batch.bury("roads:a", tombstone("roads", "a", 1), {}, peer(2));
  batch.erase("roads:never", std::nullopt);
  batch.put_meta("lamport", bytes_of("1"));
  ASSERT_TRUE(store.write(std::move(batch)));
  EXPECT_EQ(heard, (Strings{"put roads:a", "put roads:b remote", "erase roads:b",
                            "erase roads:a remote"}));
  store.unsubscribe(id);
  put(store, "roads:c", "1");
  EXPECT_EQ(heard.size(), 4U);
}

TEST_P(Feed, CompactionAndRefusedWritesAreNoNews) {
  auto& store = disk.open();
  put(store, "roads:a", "1");
  int heard = 0;
  store.subscribe([&heard](const ChangeEvent&) { ++heard; });
  WriteBatch compaction;
  compaction.compact("roads:a", bytes_of("1'"), heads_of("1"));
  ASSERT_TRUE(store.write(std::move(compaction)));
  WriteBatch refused;
  refused.replace("roads:b", {}, {}, std::nullopt);
  refused.replace("", {}, {}, std::nullopt);
  EXPECT_EQ(store.write(std::move(refused)).error().code, Code::invalid_argument);
  EXPECT_EQ(heard, 0);
}

TEST_P(Feed, AnObserverMayWriteAndUnsubscribeWhileItIsTold) {
  auto& store = disk.open();
  std::vector<Seq> first;
  std::vector<Seq> second;
  std::uint64_t self = 0;
  self = store.subscribe([&](const ChangeEvent& event) {
    first.push_back(event.seq);
    if (event.key == "roads:a") put(store, "roads:b", "1");
    if (event.key == "roads:b") store.unsubscribe(self);
  });
  store.subscribe([&](const ChangeEvent& event) { second.push_back(event.seq); });
  put(store, "roads:a", "1");
  put(store, "roads:c", "1");
  EXPECT_EQ(first, (std::vector<Seq>{1, 2}));
  EXPECT_EQ(second, (std::vector<Seq>{1, 2, 3}));
}

}  // namespace
}  // namespace peat::store
