// Latest-only and windowed collections: flat memory, and still one truth.
#include <gtest/gtest.h>

#include <algorithm>

#include "session_fixture.hpp"

namespace peat::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ModesTest : public testing::Test {
 protected:
  static std::size_t stored_bytes(const Replica& node, std::string_view key) {
    const auto record = *node.store->document(key);
    if (!record) return 0;
    std::size_t bytes = record->stored.size();
    for (const auto& chunk : record->tail) bytes += chunk.size();
    return bytes;
  }
  static std::size_t changes(const Replica& node, std::string_view key) {
    return node.documents->history(key)->size();
  }
  static RemoteResult send(Replica& from, Replica& to, std::string_view key) {
    const auto out = **from.documents->outgoing(key, to.heads(key));
    const auto result = to.documents->apply_changes(key, out.epoch, out.changes, from.id);
    EXPECT_TRUE(result) << result.error().message;
    return *result;
  }

  sim::World world{1};
  Node a{world, 1, "alpha"};
  Node b{world, 2, "bravo"};
  Node c{world, 3, "charlie"};
};

// F10: memory grew without bound under steady telemetry.
TEST_F(ModesTest, F10TenThousandUpdatesOverThreeNodesEndEqualAndFlat) {
  Link ab(a, b, Dialect::native);
  Link bc(b, c, Dialect::native);
  std::array<Node*, 3> nodes{&a, &b, &c};
  a.put("tracks:t", R"({"lat":1.5,"lon":2.5,"n":0})");
  world.run_for(seconds(1));
  std::size_t most = 0;
  for (int n = 1; n <= 10'000; ++n) {
    // Mostly one writer, sometimes two at once.
    nodes[static_cast<std::size_t>(n) % 3]->put(
        "tracks:t", R"({"lat":1.5,"lon":2.5,"n":)" + std::to_string(n) + "}");
    if (n % 2 == 0) world.run_for(milliseconds(40));
    if (n % 1000 == 0) {
      world.run_for(seconds(1));
      for (auto* node : nodes) most = std::max(most, stored_bytes(*node, "tracks:t"));
    }
  }
  a.put("tracks:t", R"({"lat":1.5,"lon":2.5,"n":10001})");
  world.run_for(seconds(5));
  for (auto* node : nodes) {
    EXPECT_EQ(node->heads("tracks:t"), a.heads("tracks:t"));
    EXPECT_EQ(node->json("tracks:t"), R"({"lat":1.5,"lon":2.5,"n":10001})");
    EXPECT_EQ(changes(*node, "tracks:t"), 1U);
    EXPECT_LT(stored_bytes(*node, "tracks:t"), 400U);
  }
  EXPECT_LT(most, 1000U);
}

TEST_F(ModesTest, ALatestOnlyWriteIsOneFreshChangeAboveAllThatWasSeen) {
  a.put("tracks:t", R"({"n":1})");
  a.put("tracks:t", R"({"n":2})");
  const auto first = a.documents->history("tracks:t")->front();
  a.put("tracks:t", R"({"n":3})");
  const auto second = a.documents->history("tracks:t")->front();
  EXPECT_EQ(second.seq, 1U);
  EXPECT_TRUE(second.deps.empty());
  EXPECT_GT(second.start_op, first.max_op());
  EXPECT_NE(first.actor, second.actor);
  a.settle();
  a.crash_and_start();
  EXPECT_EQ(a.json("tracks:t"), R"({"n":3})");
  EXPECT_FALSE(a.documents->put("tracks:t", R"({"n":3})")->changed);
}

TEST_F(ModesTest, AFieldThatALatestOnlyWriteLeavesOutIsGoneEverywhere) {
  a.put("tracks:t", R"({"n":1,"old":true})");
  send(a, b, "tracks:t");
  a.put("tracks:t", R"({"n":2})");
  EXPECT_TRUE(send(a, b, "tracks:t").changed);
  EXPECT_EQ(b.json("tracks:t"), R"({"n":2})");
  EXPECT_EQ(a.heads("tracks:t"), b.heads("tracks:t"));
}

TEST_F(ModesTest, WritesAtTheSameTimeAreMergedAndTheNextOneSettlesThem) {
  a.put("tracks:t", R"({"n":1})");
  send(a, b, "tracks:t");
  ASSERT_TRUE(a.documents->patch("tracks:t", R"({"a":1})"));
  ASSERT_TRUE(b.documents->patch("tracks:t", R"({"b":1})"));
  send(a, b, "tracks:t");
  send(b, a, "tracks:t");
  EXPECT_EQ(a.heads("tracks:t"), b.heads("tracks:t"));
  EXPECT_EQ(a.json("tracks:t"), R"({"a":1,"b":1,"n":1})");
  a.put("tracks:t", R"({"n":2})");
  send(a, b, "tracks:t");
  EXPECT_EQ(changes(b, "tracks:t"), 1U);
  EXPECT_EQ(b.json("tracks:t"), R"({"n":2})");
}

TEST(Snapshot, KeepsEveryTypeAndLoadsLikeAnyOtherChange) {
  using namespace automerge;
  Document document(ActorId{Bytes(16, 1)});
  {
    auto tx = *document.begin();
    ASSERT_TRUE(tx.put(kRoot, "count", Counter{7}));
    ASSERT_TRUE(tx.put(kRoot, "at", Timestamp{1234}));
    ASSERT_TRUE(tx.put(kRoot, "big", std::uint64_t{1} << 63));
    const auto bytes = Bytes{1, 2, 3};
    ASSERT_TRUE(tx.put(kRoot, "bytes", ByteView(bytes)));
    const auto list = *tx.put_object(kRoot, "list", ObjectType::list);
    ASSERT_TRUE(tx.insert(list, 0, std::int64_t{1}));
    const auto inner = *tx.insert_object(list, 1, ObjectType::map);
    ASSERT_TRUE(tx.put(inner, "deep", true));
    const auto text = *tx.put_object(kRoot, "text", ObjectType::text);
    ASSERT_TRUE(tx.splice_text(text, 0, 0, "grüße"));
    ASSERT_TRUE(tx.commit({.time = 5}));
  }
  const auto snapshot = document.snapshot(ActorId{Bytes(16, 2)}, {.time = 6});
  ASSERT_TRUE(snapshot) << snapshot.error().message;
  EXPECT_EQ(*snapshot->to_json(), *document.to_json());
  EXPECT_EQ(snapshot->changes().front().start_op, document.max_op() + 1);
  const auto again = Document::load(*snapshot->save());  // proves the hash
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->heads(), snapshot->heads());
  const auto count = *again->get(kRoot, "count");
  EXPECT_TRUE(std::holds_alternative<Counter>(std::get<Scalar>(count->data)));
  ASSERT_TRUE(document.merge(*snapshot));
  EXPECT_EQ(*document.to_json(), *snapshot->to_json()) << "it wins every key";
}

// Whatever the order in which states arrive: three writers, all orders of their writes.
TEST_F(ModesTest, ReplicasAgreeWhateverTheOrder) {
  a.put("tracks:t", R"({"n":1})");
  send(a, b, "tracks:t");
  b.put("tracks:t", R"({"n":2,"x":1,"y":2})");
  a.put("tracks:t", R"({"n":3})");
  a.put("tracks:t", R"({"n":4})");
  std::vector<Bytes> states = {a.changes("tracks:t"), b.changes("tracks:t")};
  c.put("tracks:t", R"({"n":9})");
  states.push_back(c.changes("tracks:t"));
  std::vector<std::size_t> order = {0, 1, 2};
  std::optional<automerge::Heads> heads;
  std::uint8_t number = 10;
  do {
    Node d{world, ++number, "delta"};
    for (const auto i : order) {
      ASSERT_TRUE(d.documents->apply_changes("tracks:t", {}, states[i], a.id));
    }
    for (const auto i : order) {  // and once more
      EXPECT_FALSE(d.documents->apply_changes("tracks:t", {}, states[i], a.id)->changed);
    }
    if (!heads) heads = d.heads("tracks:t");
    EXPECT_EQ(*heads, d.heads("tracks:t"));
  } while (std::ranges::next_permutation(order).found);
}

// The peer says that it has everything of ours, and then sends what a newer state has outdated.
TEST_F(ModesTest, AnOutdatedStateIsAnsweredWithTheNewest) {
  a.put("tracks:t", R"({"n":1})");
  const auto old_heads = a.heads("tracks:t");
  const auto old_state = a.changes("tracks:t");
  const auto old_saved = **a.documents->snapshot("tracks:t");
  for (int n = 2; n < 9; ++n) a.put("tracks:t", "{\"n\":" + std::to_string(n) + "}");
  const auto newest = a.heads("tracks:t");
  {
    PlayedPeer peer(world, a, 9, Dialect::native);
    world.run_for(milliseconds(20));
    auto hello = wire::make_hello();
    hello.store_id.fill(9);
    hello.incarnation = 1;
    hello.document_count = 1;
    hello.resume = {a.store->incarnation().store_id, a.store->last_seq()};
    peer.channel.inject_native(hello);
    world.run_for(seconds(5));
    ASSERT_TRUE(peer.heard.all<wire::DocChanges>().empty());
    wire::DocChanges outdated;
    outdated.documents.push_back({"tracks:t", {}, old_heads, old_state});
    peer.channel.inject_native(outdated);
    world.run_for(seconds(5));
    const auto answers = peer.heard.all<wire::DocChanges>();
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(answers[0].documents.at(0).heads, newest);
  }
  {
    PlayedPeer peer(world, a, 8, Dialect::old);
    world.run_for(seconds(5));
    peer.heard.frames.clear();
    peer.channel.inject({"tracks:t", wire::FrameType::snapshot, old_saved});
    world.run_for(seconds(5));
    const auto answers = peer.heard.entries();
    ASSERT_EQ(answers.size(), 1U);
    const auto got = automerge::Document::load(answers[0].payload);
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->heads(), newest);
  }
  EXPECT_EQ(a.heads("tracks:t"), newest);
  EXPECT_EQ(a.json("tracks:t"), R"({"n":8})");
}

TEST_F(ModesTest, ACollectionThatKeepsItsFullHistoryHereKeepsIt) {
  auto rules = b.documents->collections();
  rules.set("tracks", {});
  b.documents->set_collections(rules);
  a.put("tracks:t", R"({"n":1})");
  send(a, b, "tracks:t");
  a.put("tracks:t", R"({"n":2})");
  send(a, b, "tracks:t");
  EXPECT_EQ(changes(b, "tracks:t"), 2U);
  EXPECT_EQ(b.json("tracks:t"), R"({"n":2})");
}

// D19: a windowed history was a full one.
TEST_F(ModesTest, D19AWindowedHistoryReachesNoFartherBackThanItsWindow) {
  Link link(a, b, Dialect::native);
  for (int n = 0; n < 200; ++n) {
    a.put("track_history:t", "{\"n\":" + std::to_string(n) + "}");
    world.run_for(seconds(10));
    const auto history = *a.documents->history("track_history:t");
    ASSERT_LE(history.size(), 32U);
    ASSERT_GE(history.front().time, world.now().wall.seconds() - 320);
  }
  world.run_for(seconds(5));
  EXPECT_EQ(a.heads("track_history:t"), b.heads("track_history:t"));
  EXPECT_EQ(changes(a, "track_history:t"), changes(b, "track_history:t"));
  EXPECT_GT(changes(a, "track_history:t"), 1U);
}

TEST_F(ModesTest, AModeCanChangeWhileTheNodeRuns) {
  for (int n = 0; n < 20; ++n) a.put("depots:x", "{\"n\":" + std::to_string(n) + "}");
  EXPECT_EQ(changes(a, "depots:x"), 20U);
  auto rules = a.documents->collections();
  CollectionRule latest;
  latest.mode = SyncMode::latest_only;
  rules.set("depots", latest);
  a.documents->set_collections(rules);
  a.put("depots:x", R"({"n":20})");
  EXPECT_EQ(changes(a, "depots:x"), 1U);
  rules.set("depots", {});
  a.documents->set_collections(rules);
  a.put("depots:x", R"({"n":21})");
  EXPECT_EQ(changes(a, "depots:x"), 2U);
}

}  // namespace
}  // namespace peat::sync
