// What two and three nodes agree on, in either dialect.
#include "sync/session.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "session_fixture.hpp"
#include "sync/session_common.hpp"

namespace peat::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string key_of(int n) { return "depots:" + std::to_string(n); }

class SessionTest : public testing::TestWithParam<Dialect> {
 protected:
  void run(Duration duration = seconds(2)) { world.run_for(duration); }
  static void expect_equal(const Node& x, const Node& y, std::string_view key) {
    EXPECT_EQ(x.heads(key), y.heads(key)) << key;
    EXPECT_FALSE(x.heads(key).empty()) << key;
  }

  sim::World world{7};
  Node a{world, 1, "alpha"};
  Node b{world, 2, "bravo"};
  Node c{world, 3, "charlie"};
};

INSTANTIATE_TEST_SUITE_P(Dialects, SessionTest, testing::Values(Dialect::native, Dialect::old),
                         [](const auto& param) {
                           return std::string(param.param == Dialect::native ? "Native" : "Old");
                         });

// F5: a fresh node that was dialled pulled nothing, because only the dialler pushed.
TEST_P(SessionTest, F5BothSidesPushOnConnectWhoeverDialled) {
  a.put("depots:a", R"({"from":"a"})");
  b.put("depots:b", R"({"from":"b"})");
  Link link(a, b, GetParam());
  run();
  expect_equal(a, b, "depots:a");
  expect_equal(a, b, "depots:b");
}

TEST_P(SessionTest, LocalChangesArriveAtOnceAndBothWays) {
  Link link(a, b, GetParam());
  run();
  a.put("depots:x", R"({"n":1})");
  run(milliseconds(100));
  EXPECT_EQ(b.json("depots:x"), R"({"n":1})");
  for (int n = 2; n < 6; ++n) {
    (n % 2 != 0 ? a : b).put("depots:x", "{\"n\":" + std::to_string(n) + "}");
    run(milliseconds(100));
    expect_equal(a, b, "depots:x");
  }
  EXPECT_EQ(a.json("depots:x"), R"({"n":5})");
}

TEST_P(SessionTest, ConcurrentEditsOfDifferentFieldsBothSurvive) {
  Link link(a, b, GetParam());
  a.put("depots:x", R"({"fuel":1,"water":1})");
  run();
  link.cut();
  ASSERT_TRUE(a.documents->patch("depots:x", R"({"fuel":2})"));
  ASSERT_TRUE(b.documents->patch("depots:x", R"({"water":2})"));
  link.restore();
  run();
  expect_equal(a, b, "depots:x");
  EXPECT_EQ(b.json("depots:x"), R"({"fuel":2,"water":2})");
}

TEST_P(SessionTest, EditsThatCrossOnTheWireMerge) {
  Link link(a, b, GetParam());
  a.put("depots:x", R"({"n":0})");
  run();
  ASSERT_TRUE(a.documents->patch("depots:x", R"({"a":1})"));
  ASSERT_TRUE(b.documents->patch("depots:x", R"({"b":1})"));
  run();
  expect_equal(a, b, "depots:x");
  EXPECT_EQ(a.json("depots:x"), R"({"a":1,"b":1,"n":0})");
}

TEST_P(SessionTest, F21AChangeIsRelayedOverAMiddleNode) {
  Link ab(a, b, GetParam());
  Link bc(b, c, GetParam());
  run();
  a.put("depots:x", R"({"n":1})");
  run(milliseconds(200));
  EXPECT_EQ(c.json("depots:x"), R"({"n":1})");
  c.erase("depots:x");
  run(milliseconds(200));
  EXPECT_EQ(a.json("depots:x"), "");
}

TEST_P(SessionTest, ATriangleConvergesAndFallsSilent) {
  Link ab(a, b, GetParam());
  Link bc(b, c, GetParam());
  Link ca(c, a, GetParam());
  for (int n = 0; n < 20; ++n) a.put(key_of(n), "{\"n\":" + std::to_string(n) + "}");
  b.put("depots:0", R"({"b":1})");
  c.put("tracks:1", R"({"c":1})");
  run(seconds(5));
  for (int n = 0; n < 20; ++n) {
    expect_equal(a, b, key_of(n));
    expect_equal(b, c, key_of(n));
  }
  expect_equal(a, c, "tracks:1");
  const auto frames = ab.frames() + bc.frames() + ca.frames();
  run(seconds(60));
  EXPECT_EQ(ab.frames() + bc.frames() + ca.frames(), frames);
}

TEST_P(SessionTest, AnIdleConvergedPairSendsAndWritesNothing) {
  Link link(a, b, GetParam());
  for (int n = 0; n < 50; ++n) a.put(key_of(n), "{\"n\":1}");
  b.put("tracks:1", "{\"n\":1}");
  run(seconds(5));
  const auto frames = link.frames();
  const auto commits = a.disk->commits() + b.disk->commits();
  run(seconds(600));
  EXPECT_EQ(link.frames(), frames);
  EXPECT_EQ(a.disk->commits() + b.disk->commits(), commits);
}

TEST_P(SessionTest, AChangeIsNeverSentBackToWhereItCameFrom) {
  Link link(a, b, GetParam());
  run();
  a.put("tracks:1", R"({"n":1})");
  a.put("depots:1", R"({"n":1})");
  run();
  EXPECT_EQ(link.to_x.documents + link.to_x.snapshots + link.to_x.offers, 0U);
  EXPECT_LE(link.to_x.deltas, 2U);  // the answers of Automerge's protocol (A11), without changes
}

// F2, D6a: whatever a peer that was away still has, the document stays deleted.
TEST_P(SessionTest, F2ADeletedDocumentStaysDeletedWhenAnOldCopyReturns) {
  Link link(a, b, GetParam());
  a.put("depots:x", R"({"n":1})");
  a.put("tracks:x", R"({"n":1})");
  run();
  expect_equal(a, b, "tracks:x");
  link.cut();
  a.erase("depots:x");
  a.erase("tracks:x");
  ASSERT_TRUE(b.documents->patch("depots:x", R"({"n":2})"));
  ASSERT_TRUE(b.documents->patch("tracks:x", R"({"n":2})"));
  link.restore();
  run(seconds(5));
  for (const auto* key : {"depots:x", "tracks:x"}) {
    EXPECT_EQ(a.json(key), "") << key;
    EXPECT_EQ(b.json(key), "") << key;
  }
}

TEST_P(SessionTest, ARecreatedDocumentReplacesTheDeletedOneEverywhere) {
  Link ab(a, b, GetParam());
  Link bc(b, c, GetParam());
  a.put("depots:x", R"({"old":1})");
  run();
  expect_equal(a, c, "depots:x");
  ab.cut();
  a.erase("depots:x");
  a.put("depots:x", R"({"new":1})");
  ab.restore();
  run(seconds(5));
  for (const auto* node : {&a, &b, &c}) EXPECT_EQ(node->json("depots:x"), R"({"new":1})");
  expect_equal(a, c, "depots:x");
  ASSERT_TRUE(a.documents->patch("depots:x", R"({"more":1})"));
  run();
  EXPECT_EQ(c.json("depots:x"), R"({"more":1,"new":1})");
}

TEST_P(SessionTest, UpdateWinsBringsAnAlertBackEverywhere) {
  Link link(a, b, GetParam());
  a.put("alerts:x", R"({"level":1})");
  run();
  link.cut();
  a.erase("alerts:x");
  run(seconds(5));
  ASSERT_TRUE(b.documents->patch("alerts:x", R"({"level":2})"));
  link.restore();
  run(seconds(5));
  EXPECT_EQ(a.json("alerts:x"), R"({"level":2})");
  expect_equal(a, b, "alerts:x");
}

// F4: one undecodable document stopped sync with a healthy peer.
TEST_P(SessionTest, F4APoisonDocumentDoesNotStopTheOthers) {
  Link link(a, b, GetParam());
  run();
  if (GetParam() == Dialect::native) {
    wire::DocChanges bad;
    bad.documents.push_back({"depots:bad", {}, a.heads("x:y"), Bytes(40, 0x85)});
    bad.documents.push_back({"nocolon", {}, {}, Bytes(40, 0x85)});
    link.to_y.inject_native(bad);
  } else {
    link.to_y.inject({"depots:bad", wire::FrameType::delta, Bytes(40, 0x85)});
    link.to_y.inject({"nocolon", wire::FrameType::snapshot, Bytes(40, 0x85)});
    link.to_y.inject({"batch", wire::FrameType::batch, Bytes(3, 0)});
  }
  a.put("depots:good", R"({"n":1})");
  run();
  expect_equal(a, b, "depots:good");
  const auto status = b.status(a);
  EXPECT_TRUE(status.connected);
  EXPECT_EQ(status.poison, 2U);
  ASSERT_FALSE(status.faults.empty());
  EXPECT_EQ(status.faults[0].key, "depots:bad");
  using Told = std::vector<std::pair<EndpointId, std::string>>;
  EXPECT_EQ(b.faults, (Told{{a.id, "depots:bad"}, {a.id, "nocolon"}}));
}

TEST_P(SessionTest, AnUnreadableDocumentIsRelayedByNodesThatCannotReadIt) {
  ASSERT_TRUE(a.documents->apply_changes("depots:bad", {}, unreadable_change(), endpoint(9)));
  Link ab(a, b, GetParam());
  Link bc(b, c, GetParam());
  run();
  expect_equal(a, c, "depots:bad");
  EXPECT_EQ(c.documents->get("depots:bad").error().code, Code::document_invalid);
}

TEST_P(SessionTest, MessagesLostWithTheConnectionAreMadeUpForAfterTheReconnect) {
  Link link(a, b, GetParam());
  run();
  link.to_y.losing = true;
  link.to_x.losing = true;
  for (int n = 0; n < 10; ++n) a.put(key_of(n), "{\"n\":1}");
  b.put("depots:b", "{\"n\":1}");
  run(milliseconds(100));
  link.cut();
  link.to_y.losing = false;
  link.to_x.losing = false;
  link.restore();
  run();
  for (int n = 0; n < 10; ++n) expect_equal(a, b, key_of(n));
  expect_equal(a, b, "depots:b");
}

TEST_P(SessionTest, MessagesThatArriveTwiceChangeNothing) {
  Link link(a, b, GetParam());
  link.to_y.doubling = true;
  link.to_x.doubling = true;
  for (int n = 0; n < 10; ++n) a.put(key_of(n), "{\"n\":1}");
  b.put("depots:0", "{\"b\":1}");
  run(seconds(5));
  for (int n = 0; n < 10; ++n) expect_equal(a, b, key_of(n));
  const auto frames = link.frames();
  run(seconds(60));
  EXPECT_EQ(link.frames(), frames);
}

// A slow link coalesces: what left is one message of the newest state.
TEST_P(SessionTest, AStalledChannelCostsNoMemoryAndSendsTheNewestState) {
  Link link(a, b, GetParam());
  run();
  link.to_y.stalled = true;
  const auto frames = link.to_y.frames;
  for (int n = 0; n < 500; ++n) a.put("depots:x", "{\"n\":" + std::to_string(n) + "}");
  run();
  EXPECT_EQ(link.to_y.frames, frames);
  link.to_y.resume();
  run();
  expect_equal(a, b, "depots:x");
  EXPECT_EQ(b.json("depots:x"), R"({"n":499})");
  EXPECT_LT(link.to_y.frames - frames, 10U);
}

// 10,000 documents, and a change made in the middle of it does not wait for the rest (D4c).
TEST_P(SessionTest, ManyDocumentsAllArriveAndANewChangeOvertakesThem) {
  constexpr int kMany = 10'000;
  for (int n = 0; n < kMany; ++n) a.put(key_of(n), R"({"n":)" + std::to_string(n) + "}");
  a.settle();
  b.put("depots:own", "{}");
  Link link(a, b, GetParam());
  run(milliseconds(60));
  a.put("depots:urgent", "{}");
  run(milliseconds(60));
  EXPECT_NE(b.json("depots:urgent"), "");
  EXPECT_LT(b.store->count(), static_cast<std::uint64_t>(kMany));
  run(seconds(20));
  EXPECT_EQ(b.store->count(), static_cast<std::uint64_t>(kMany) + 2);
  for (int n = 0; n < kMany; n += 500) expect_equal(a, b, key_of(n));
  EXPECT_EQ(b.status(a).documents_received, static_cast<std::uint64_t>(kMany) + 1);
  const auto frames = link.frames();
  run(seconds(60));
  EXPECT_EQ(link.frames(), frames);
}

// Design rule 4: a change may be seen by others before the crash that loses it here.
TEST_P(SessionTest, AChangeLostInACrashComesBackFromThePeerThatSawIt) {
  a.put("depots:x", R"({"n":1})");
  auto link = std::make_unique<Link>(a, b, GetParam());
  run();
  a.disk->fail_commits(Error{Code::io_error, "no more flushes"});
  a.put("depots:x", R"({"n":2})");
  run(milliseconds(8));
  ASSERT_EQ(b.json("depots:x"), R"({"n":2})");
  link->cut();
  a.disk->fail_commits({});
  a.crash_and_start();
  EXPECT_EQ(a.json("depots:x"), R"({"n":1})");
  a.put("depots:y", R"({"after":1})");
  link = std::make_unique<Link>(a, b, GetParam());
  run();
  EXPECT_EQ(a.json("depots:x"), R"({"n":2})");
  expect_equal(a, b, "depots:x");
  expect_equal(a, b, "depots:y");
}

TEST_P(SessionTest, APeerThatLostItsStoreGetsEverythingAgain) {
  auto link = std::make_unique<Link>(a, b, GetParam());
  for (int n = 0; n < 30; ++n) a.put(key_of(n), "{\"n\":1}");
  run(seconds(5));
  link->cut();
  b.coordinator.reset();
  b.crash();
  b.disk = std::make_shared<store::MemoryDisk>();
  b.start();
  b.coordinate();
  link = std::make_unique<Link>(a, b, GetParam());
  run(seconds(5));
  for (int n = 0; n < 30; ++n) expect_equal(a, b, key_of(n));
}

TEST(MixedDialects, AnOldAndANativeLinkFormOneMesh) {
  sim::World world(3);
  Node a(world, 1, "alpha");
  Node b(world, 2, "bravo");
  Node c(world, 3, "charlie");
  Node d(world, 4, "delta");
  Link ab(a, b, Dialect::old);
  Link bc(b, c, Dialect::native);
  Link cd(c, d, Dialect::old);
  a.put("depots:x", R"({"a":1})");
  d.put("tracks:x", R"({"d":1})");
  world.run_for(seconds(5));
  EXPECT_EQ(d.json("depots:x"), R"({"a":1})");
  EXPECT_EQ(a.json("tracks:x"), R"({"d":1})");
  ASSERT_TRUE(a.documents->patch("tracks:x", R"({"a":2})"));
  d.erase("depots:x");
  d.put("depots:x", R"({"again":1})");
  world.run_for(seconds(5));
  EXPECT_EQ(d.json("tracks:x"), R"({"a":2,"d":1})");
  EXPECT_EQ(a.json("depots:x"), R"({"again":1})");
  const auto frames = ab.frames() + bc.frames() + cd.frames();
  world.run_for(seconds(60));
  EXPECT_EQ(ab.frames() + bc.frames() + cd.frames(), frames);
}

TEST(SessionSets, AreBoundedAndKeepTheirOrder) {
  KeyQueue queue(2);
  EXPECT_TRUE(queue.push("a"));
  EXPECT_TRUE(queue.push("b"));
  EXPECT_FALSE(queue.push("c"));
  EXPECT_TRUE(queue.push("a"));
  EXPECT_EQ(queue.front(), "a");
  queue.pop();
  EXPECT_TRUE(queue.push("c"));

  RecentMap<int> recent(2);
  recent.put("a", 1);
  recent.put("b", 2);
  EXPECT_NE(recent.find("a"), nullptr);
  recent.put("c", 3);
  EXPECT_EQ(recent.find("b"), nullptr);
  EXPECT_EQ(*recent.find("a"), 1);
  EXPECT_EQ(recent.size(), 2U);
}

}  // namespace
}  // namespace peat::sync
