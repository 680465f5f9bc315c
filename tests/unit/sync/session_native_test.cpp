// The native dialect: resuming, acknowledgement, dependencies, what a hostile peer can do.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "session_fixture.hpp"

namespace peat::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string key_of(int n) { return "depots:" + std::to_string(n); }

class NativeSessionTest : public testing::Test {
 protected:
  void run(Duration duration = seconds(2)) { world.run_for(duration); }
  wire::Hello hello_of(const Replica& node) const {
    auto hello = wire::make_hello();
    hello.store_id = node.store->incarnation().store_id;
    hello.incarnation = 1;
    hello.document_count = 1;
    return hello;
  }

  sim::World world{11};
  Node a{world, 1, "alpha"};
  Node b{world, 2, "bravo"};
};

TEST_F(NativeSessionTest, AnEmptyPeerIsSentDocumentsUnasked) {
  for (int n = 0; n < 600; ++n) a.put(key_of(n), "{\"n\":1}");
  Link link(a, b, Dialect::native);
  run();
  EXPECT_EQ(b.store->count(), 600U);
  EXPECT_EQ(link.to_y.documents, 600U);
  EXPECT_EQ(link.to_y.offers + link.to_x.offers + link.to_x.documents, 0U);
}

TEST_F(NativeSessionTest, AReconnectCostsWhatChangedInBothDirections) {
  auto link = std::make_unique<Link>(a, b, Dialect::native);
  for (int n = 0; n < 1000; ++n) a.put(key_of(n), "{\"n\":1}");
  run(seconds(5));
  ASSERT_EQ(b.store->count(), 1000U);
  link->cut();
  ASSERT_TRUE(a.documents->patch(key_of(7), R"({"a":1})"));
  ASSERT_TRUE(b.documents->patch(key_of(8), R"({"b":1})"));
  b.put("depots:new", "{}");
  const auto offers = link->to_y.offers + link->to_x.offers;
  const auto bytes = link->bytes();
  link->restore();
  run();
  EXPECT_EQ(a.heads(key_of(7)), b.heads(key_of(7)));
  EXPECT_EQ(a.heads(key_of(8)), b.heads(key_of(8)));
  EXPECT_NE(a.json("depots:new"), "");
  EXPECT_EQ(link->to_y.offers + link->to_x.offers - offers, 3U);
  EXPECT_LT(link->bytes() - bytes, 2500U);
}

TEST_F(NativeSessionTest, PositionsSurviveARestartOfBothNodes) {
  auto link = std::make_unique<Link>(a, b, Dialect::native);
  for (int n = 0; n < 1000; ++n) a.put(key_of(n), "{\"n\":1}");
  run(seconds(5));
  for (auto* node : {&a, &b}) {
    node->channels.remove_channel(node == &a ? b.id : a.id);
    node->coordinator.reset();
    node->stop();
    node->start();
    node->coordinate();
  }
  a.put("depots:new", "{}");
  link = std::make_unique<Link>(a, b, Dialect::native);
  run();
  EXPECT_NE(b.json("depots:new"), "");
  EXPECT_LE(link->to_y.offers + link->to_x.offers, 1U);
}

// After an unclean stop the feed goes on under another id; what was durable counts on.
// A peer that dialled us and is gone keeps its place; the number of places is bounded.
TEST_F(NativeSessionTest, PositionsAreKeptForAsManyPeersAsThereMayBe) {
  Limits limits;
  limits.sync_peers = 4;
  Node hub(world, 50, "hub", limits);
  const auto kept = [&](const EndpointId& peer) {
    return load_position(*hub.store, peer)->position > 0;
  };
  std::vector<std::unique_ptr<Node>> peers;
  for (std::uint8_t n = 0; n < 5; ++n) {
    peers.push_back(std::make_unique<Node>(world, static_cast<std::uint8_t>(60 + n), "p"));
    peers.back()->put("depots:" + std::to_string(n), "{}");
    Link link(*peers.back(), hub, Dialect::native);
    run();
    link.cut();
    hub.channels.remove_channel(peers.back()->id);
    run();
    EXPECT_TRUE(kept(peers.back()->id));
  }
  EXPECT_FALSE(kept(peers[0]->id)) << "the one noted longest ago";
  for (std::size_t n = 1; n < 5; ++n) EXPECT_TRUE(kept(peers[n]->id)) << n;
  EXPECT_EQ(hub.store->count(), 5U);
  Link back(*peers[4], hub, Dialect::native);
  run();
  EXPECT_EQ(back.to_x.needs + back.to_y.offers, 0U) << "resumed";
}

TEST_F(NativeSessionTest, ARemovedPeerLeavesNothingInTheStore) {
  a.put("depots:x", "{}");
  b.put("depots:y", "{}");
  {
    Link link(a, b, Dialect::native);
    run();
  }
  Link old(a, b, Dialect::old);
  run();
  ASSERT_GT(load_position(*b.store, a.id)->position, 0U);
  ASSERT_TRUE(*b.store->sync_state(a.id, "depots:x"));
  b.channels.remove_channel(a.id);
  b.coordinator->forget(a.id);
  run();
  EXPECT_EQ(load_position(*b.store, a.id)->position, 0U);
  EXPECT_FALSE(*b.store->sync_state(a.id, "depots:x"));
  EXPECT_TRUE(*a.store->sync_state(b.id, "depots:x")) << "the other side is not asked";
  EXPECT_EQ(b.json("depots:x"), "{}");
}

TEST_F(NativeSessionTest, APositionOutlivesACrashOfTheSender) {
  auto link = std::make_unique<Link>(a, b, Dialect::native);
  for (int n = 0; n < 1000; ++n) a.put(key_of(n), "{\"n\":1}");
  run(seconds(5));
  link->cut();
  a.crash_and_start();
  a.put("depots:new", "{}");
  link = std::make_unique<Link>(a, b, Dialect::native);
  run();
  EXPECT_NE(b.json("depots:new"), "");
  EXPECT_LE(link->to_y.offers, 1U);
}

TEST_F(NativeSessionTest, WhatIsEqualIsOfferedAndNotSent) {
  for (int n = 0; n < 700; ++n) a.put(key_of(n), "{\"n\":1}");
  {
    Link old(a, b, Dialect::old);  // brings the documents, and leaves no position
    run(seconds(5));
    ASSERT_EQ(b.store->count(), 700U);
  }
  Link link(a, b, Dialect::native);
  run(seconds(5));
  EXPECT_EQ(link.to_y.offers, 700U);
  EXPECT_EQ(link.to_y.documents + link.to_x.documents, 0U);
  EXPECT_EQ(a.status(b).acked, a.store->last_seq());

  // And that is remembered.
  link.cut();
  link.restore();
  run();
  EXPECT_EQ(link.to_y.offers, 700U);
}

// Design rule 4.
TEST_F(NativeSessionTest, NothingIsAcknowledgedBeforeItIsOnThePeersDisk) {
  Link link(a, b, Dialect::native);
  run();
  b.disk->fail_commits(Error{Code::store_full, "the disk is full"});
  a.put("depots:x", "{\"n\":1}");
  run(seconds(5));
  EXPECT_EQ(b.json("depots:x"), R"({"n":1})");  // visible
  EXPECT_LT(a.status(b).acked, a.store->last_seq());
  b.disk->fail_commits({});
  run(seconds(5));
  EXPECT_EQ(a.status(b).acked, a.store->last_seq());
  EXPECT_EQ(a.status(b).last_seq, a.store->last_seq());
}

TEST_F(NativeSessionTest, DocumentsThatAFullStoreRefusedAreAskedForWhenThereIsRoomAgain) {
  Link link(a, b, Dialect::native);
  run();
  b.disk->fail_commits(Error{Code::store_full, "the disk is full"});
  a.put(key_of(0), "{\"n\":1}");
  run();
  for (int n = 1; n < 5; ++n) a.put(key_of(n), "{\"n\":1}");  // refused by b's store
  run(seconds(5));
  EXPECT_EQ(b.json(key_of(3)), "");
  EXPECT_EQ(b.status(a).poison, 0U);
  b.disk->fail_commits({});
  run(seconds(5));
  for (int n = 0; n < 5; ++n) EXPECT_EQ(a.heads(key_of(n)), b.heads(key_of(n)));
  EXPECT_EQ(a.status(b).acked, a.store->last_seq());
}

TEST_F(NativeSessionTest, MissingDependenciesAreAskedForAndHoldTheAcknowledgement) {
  a.put("depots:x", "{\"n\":1}");
  const auto first = a.heads("depots:x");
  a.put("depots:x", "{\"n\":2}");
  PlayedPeer peer(world, b, 1, Dialect::native);
  run(milliseconds(20));
  peer.channel.inject_native(hello_of(a));
  wire::DocChanges only_second;
  only_second.position = 5;
  only_second.documents.push_back(
      {"depots:x", {}, a.heads("depots:x"), a.changes("depots:x", first)});
  peer.channel.inject_native(only_second);
  run();
  const auto needs = peer.heard.all<wire::Need>();
  ASSERT_EQ(needs.size(), 1U);
  EXPECT_FALSE(needs[0].answer);
  EXPECT_EQ(needs[0].documents[0].key, "depots:x");
  EXPECT_TRUE(needs[0].documents[0].have.empty());
  EXPECT_TRUE(peer.heard.all<wire::DurableAck>().empty());

  wire::DocChanges whole;
  whole.documents.push_back({"depots:x", {}, a.heads("depots:x"), a.changes("depots:x")});
  peer.channel.inject_native(whole);
  run();
  EXPECT_EQ(b.json("depots:x"), R"({"n":2})");
  const auto acks = peer.heard.all<wire::DurableAck>();
  ASSERT_EQ(acks.size(), 1U);
  EXPECT_EQ(acks[0].position, 5U);
}

TEST_F(NativeSessionTest, APeerThatNeverSendsDependenciesIsNotAskedForEver) {
  a.put("depots:x", "{\"n\":1}");
  const auto first = a.heads("depots:x");
  a.put("depots:x", "{\"n\":2}");
  PlayedPeer peer(world, b, 1, Dialect::native);
  run(milliseconds(20));
  peer.channel.inject_native(hello_of(a));
  wire::DocChanges only_second;
  only_second.documents.push_back(
      {"depots:x", {}, a.heads("depots:x"), a.changes("depots:x", first)});
  for (int n = 0; n < 50; ++n) {
    peer.channel.inject_native(only_second);
    run(milliseconds(50));
  }
  std::size_t asked = 0;
  for (const auto& need : peer.heard.all<wire::Need>()) asked += need.documents.size();
  EXPECT_LE(asked, 50U);
  EXPECT_GE(b.status(a).poison, 1U);
}

TEST_F(NativeSessionTest, EveryOfferIsAnsweredOnceAndAFloodOfThemIsBounded) {
  PlayedPeer peer(world, b, 1, Dialect::native);
  run(milliseconds(20));
  peer.channel.inject_native(hello_of(a));
  wire::DocHeads offer;
  automerge::ChangeHash hash;
  hash.bytes.fill(7);
  offer.documents.push_back({"depots:x", {}, {hash}});
  peer.channel.inject_native(offer);
  run();
  ASSERT_EQ(peer.heard.all<wire::Need>().size(), 1U);
  EXPECT_TRUE(peer.heard.all<wire::Need>()[0].answer);

  peer.of_node.stalled = true;
  for (int n = 0; n < 100; ++n) peer.channel.inject_native(offer);
  peer.of_node.resume();
  run();
  EXPECT_LT(peer.heard.all<wire::Need>().size(), 20U);
  EXPECT_GT(b.status(a).violations, 80U);
}

TEST_F(NativeSessionTest, WhatAPeerMayAskForAtOnceIsBounded) {
  Limits limits;
  limits.sync_needs = 10;
  Node small(world, 5, "small", limits);
  for (int n = 0; n < 30; ++n) small.put(key_of(n), "{\"n\":1}");
  PlayedPeer peer(world, small, 1, Dialect::native);
  run(milliseconds(20));
  auto hello = hello_of(a);
  hello.resume = {small.store->incarnation().store_id, small.store->last_seq()};
  peer.channel.inject_native(hello);
  peer.of_node.stalled = true;
  wire::Need need;
  for (int n = 0; n < 30; ++n) need.documents.push_back({key_of(n), {}, {}});
  peer.channel.inject_native(need);
  EXPECT_EQ(small.coordinator->status(peer.id)->violations, 1U);
  peer.of_node.resume();
  run();
  std::size_t documents = 0;
  for (const auto& frame : peer.heard.all<wire::DocChanges>()) documents += frame.documents.size();
  EXPECT_EQ(documents, 10U);
}

TEST_F(NativeSessionTest, NothingIsTakenBeforeTheHelloNorASecondHello) {
  PlayedPeer peer(world, b, 1, Dialect::native);
  run(milliseconds(20));
  a.put("depots:x", "{}");
  wire::DocChanges early;
  early.documents.push_back({"depots:x", {}, a.heads("depots:x"), a.changes("depots:x")});
  peer.channel.inject_native(early);
  run();
  EXPECT_EQ(b.json("depots:x"), "");
  peer.channel.inject_native(hello_of(a));
  peer.channel.inject_native(hello_of(a));
  EXPECT_EQ(b.status(a).violations, 2U);
}

TEST_F(NativeSessionTest, AVersionThatIsNotSpokenEndsInAGoodbyeThatSaysSo) {
  PlayedPeer peer(world, b, 1, Dialect::native);
  run(milliseconds(20));
  auto hello = hello_of(a);
  hello.version_min = 40;
  hello.version_max = 41;
  peer.channel.inject_native(hello);
  run();
  const auto goodbyes = peer.heard.all<wire::Goodbye>();
  ASSERT_EQ(goodbyes.size(), 1U);
  EXPECT_NE(goodbyes[0].reason.find("41"), std::string::npos) << goodbyes[0].reason;
  ASSERT_FALSE(b.status(a).faults.empty());
}

TEST_F(NativeSessionTest, APingIsAnswered) {
  PlayedPeer peer(world, b, 1, Dialect::native);
  run(milliseconds(20));
  peer.channel.inject_native(hello_of(a));
  peer.channel.inject_native(wire::Ping{77});
  run();
  ASSERT_EQ(peer.heard.all<wire::Pong>().size(), 1U);
  EXPECT_EQ(peer.heard.all<wire::Pong>()[0].token, 77U);
}

TEST_F(NativeSessionTest, HeadsThatAPeerNamesAreNotKeptWithoutBound) {
  Limits limits;
  limits.sync_needs = 10;
  Node small(world, 5, "small", limits);
  small.put("depots:x", "{}");
  PlayedPeer peer(world, small, 1, Dialect::native);
  run(milliseconds(20));
  auto hello = hello_of(a);
  hello.resume = {small.store->incarnation().store_id, small.store->last_seq()};
  peer.channel.inject_native(hello);
  wire::Need need;
  need.documents.push_back({"depots:x", {}, automerge::Heads(161)});
  peer.channel.inject_native(need);
  EXPECT_EQ(small.coordinator->status(peer.id)->violations, 1U);
  need.documents[0].have.resize(160);
  peer.channel.inject_native(need);
  EXPECT_EQ(small.coordinator->status(peer.id)->violations, 1U);
}

// With hardly any memory for what the peer has, everything still converges and falls silent.
TEST_F(NativeSessionTest, TinyMemoriesCostMessagesAndNoData) {
  Limits limits;
  limits.sync_urgent_keys = 2;
  limits.sync_known_heads = 2;
  limits.sync_faults = 1;
  Node x(world, 5, "x", limits);
  Node y(world, 6, "y", limits);
  for (int n = 0; n < 100; ++n) x.put(key_of(n), "{\"n\":1}");
  Link link(x, y, Dialect::native);
  run(milliseconds(12));
  for (int n = 0; n < 100; ++n) ASSERT_TRUE(y.documents->patch(key_of(n), R"({"y":1})"));
  for (int n = 0; n < 100; ++n) ASSERT_TRUE(x.documents->patch(key_of(n), R"({"x":1})"));
  run(seconds(10));
  for (int n = 0; n < 100; ++n) {
    EXPECT_EQ(x.heads(key_of(n)), y.heads(key_of(n))) << n;
    EXPECT_EQ(x.json(key_of(n)), R"({"n":1,"x":1,"y":1})");
  }
  const auto frames = link.frames();
  run(seconds(60));
  EXPECT_EQ(link.frames(), frames);
}

TEST_F(NativeSessionTest, ADocumentTooLargeForThePeerIsCountedAndTheOthersGo) {
  PlayedPeer peer(world, b, 1, Dialect::native);
  run(milliseconds(20));
  auto hello = hello_of(a);
  hello.document_count = 0;
  hello.max_frame_bytes = 1U << 16;
  b.put("depots:big", R"({"t":")" + std::string(200'000, 'x') + "\"}");
  b.put("depots:small", "{}");
  peer.channel.inject_native(hello);
  run();
  std::vector<std::string> got;
  for (const auto& frame : peer.heard.all<wire::DocChanges>()) {
    for (const auto& document : frame.documents) got.push_back(document.key);
  }
  EXPECT_EQ(got, std::vector<std::string>{"depots:small"});
  ASSERT_EQ(b.status(a).faults.size(), 1U);
  EXPECT_EQ(b.status(a).faults[0].key, "depots:big");
}

}  // namespace
}  // namespace peat::sync
