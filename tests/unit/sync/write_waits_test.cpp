// Who holds a write, and when that is known.
#include "sync/write_waits.hpp"

#include <gtest/gtest.h>

#include "session_fixture.hpp"

namespace peat::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class WriteWaitsTest : public testing::Test {
 protected:
  Write write_of(Node& node, std::string_view key) {
    return {std::string(key), node.heads(key), (*node.store->document(key))->seq};
  }
  // As the outcome of the last wait.
  WriteWaits::Done remember() {
    outcome.reset();
    return [this](Result<Holders> holders) { outcome = std::move(holders); };
  }
  void wait(Node& node, std::string_view key, const WaitFor& wanted) {
    node.coordinator->await_holders(write_of(node, key), wanted, seconds(5), remember());
  }

  sim::World world{1};
  Node a{world, 1, "alpha"};
  Node b{world, 2, "bravo"};
  Node c{world, 3, "charlie"};
  std::optional<Result<Holders>> outcome;
};

TEST_F(WriteWaitsTest, AWriteIsHeldWhenItIsOnTheDisksOfSoManyPeers) {
  Link ab(a, b, Dialect::native);
  Link ac(a, c, Dialect::native);
  world.run_for(seconds(1));
  a.put("depots:x", R"({"n":1})");
  wait(a, "depots:x", {.peers = 2, .peer = {}});
  EXPECT_FALSE(outcome) << "nobody can have it yet";
  ASSERT_TRUE(world.run_until([&] { return outcome.has_value(); }, seconds(4)));
  ASSERT_TRUE(*outcome);
  EXPECT_TRUE((*outcome)->enough);
  EXPECT_EQ((*outcome)->peers, (std::vector{b.id, c.id}));
  b.crash_and_start();  // what was not durable is lost
  EXPECT_EQ(b.json("depots:x"), R"({"n":1})");
  EXPECT_EQ(a.coordinator->quorum_peers(), 1U) << "two of three";
}

TEST_F(WriteWaitsTest, TheDeadlineSaysWhoHoldsItByThen) {
  Link ab(a, b, Dialect::native);
  Link ac(a, c, Dialect::native);
  world.run_for(seconds(1));
  ac.cut();
  a.put("depots:x", R"({"n":1})");
  wait(a, "depots:x", {.peers = 2, .peer = {}});
  world.run_for(seconds(4));
  EXPECT_FALSE(outcome);
  world.run_for(seconds(2));
  ASSERT_TRUE(outcome && *outcome);
  EXPECT_FALSE((*outcome)->enough);
  EXPECT_EQ((*outcome)->peers, std::vector{b.id});

  wait(a, "depots:x", {.peers = 1, .peer = b.id});
  ASSERT_TRUE(outcome && *outcome) << "it is known already";
  EXPECT_TRUE((*outcome)->enough);
  wait(a, "depots:x", {.peers = 1, .peer = c.id});
  EXPECT_FALSE(outcome);
  ac.restore();
  world.run_for(seconds(4));
  EXPECT_TRUE(outcome && *outcome && (*outcome)->enough);
}

TEST_F(WriteWaitsTest, APeerWhoseDiskFailsIsNoHolder) {
  Link ab(a, b, Dialect::native);
  world.run_for(seconds(1));
  b.disk->fail_commits(Error{Code::store_full, "the disk is full"});
  a.put("depots:x", R"({"n":1})");
  wait(a, "depots:x", {.peers = 1, .peer = {}});
  world.run_for(seconds(6));
  ASSERT_TRUE(outcome && *outcome);
  EXPECT_FALSE((*outcome)->enough);
  EXPECT_TRUE((*outcome)->peers.empty());
  EXPECT_EQ(b.json("depots:x"), R"({"n":1})") << "visible, which is not enough";
}

TEST_F(WriteWaitsTest, APeerThatDoesNotTakeTheDocumentIsNoHolder) {
  b.put("depots:x", R"({"n":0})");
  b.erase("depots:x");
  auto link = std::make_unique<Link>(a, b, Dialect::native);
  link->to_x.stalled = true;  // a does not hear of the deletion
  world.run_for(seconds(1));
  a.put("depots:x", R"({"n":1})");
  wait(a, "depots:x", {.peers = 1, .peer = {}});
  link->to_x.resume();
  world.run_for(seconds(6));
  ASSERT_TRUE(outcome && *outcome);
  EXPECT_FALSE((*outcome)->enough);
}

// The peer has documents of its own, so that it is asked before anything is sent.
TEST_F(WriteWaitsTest, APeerThatRefusesTheOfferIsNoHolder) {
  b.put("depots:other", R"({"n":0})");
  b.put("depots:x", R"({"n":0})");
  b.erase("depots:x");
  auto link = std::make_unique<Link>(a, b, Dialect::native);
  link->to_x.stalled = true;  // a does not hear of the deletion
  world.run_for(seconds(1));
  a.put("depots:x", R"({"n":1})");
  wait(a, "depots:x", {.peers = 1, .peer = {}});
  link->to_x.resume();
  world.run_for(seconds(6));
  ASSERT_TRUE(outcome && *outcome);
  EXPECT_FALSE((*outcome)->enough);
}

TEST_F(WriteWaitsTest, AnOldPeerAcknowledgesNothing) {
  Link ab(a, b, Dialect::old);
  world.run_for(seconds(1));
  a.put("depots:x", R"({"n":1})");
  wait(a, "depots:x", {.peers = 1, .peer = {}});
  world.run_for(seconds(6));
  ASSERT_TRUE(outcome && *outcome);
  EXPECT_FALSE((*outcome)->enough);
}

TEST_F(WriteWaitsTest, SoManyMayWaitAndNoMore) {
  Limits limits;
  limits.sync_write_waits = 2;
  WriteWaits waits(*a.executor, limits);
  const Write write{"depots:x", {}, 1};
  for (int n = 0; n < 2; ++n) waits.add(write, {}, seconds(5), {}, [](auto) {});
  waits.add(write, {}, seconds(5), {}, remember());
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->error().code, Code::limit_exceeded);
  world.run_for(seconds(6));
  EXPECT_EQ(waits.size(), 0U);
}

}  // namespace
}  // namespace peat::sync
