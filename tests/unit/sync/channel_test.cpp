// What both dialects share: a channel's life, its manager, and everything that goes wrong.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "channel_fixture.hpp"

namespace peat::sync {
namespace {

using namespace test;

// Both dialects, by name.
struct Channel : testing::TestWithParam<bool> {
  bool native() const { return GetParam(); }
  ConnectorOptions options() const {
    return {.formation = formation(), .allow_unauthenticated_peers = false, .native = native()};
  }
  std::unique_ptr<Two> two(ChannelOptions channels = {}, std::uint64_t seed = 1) const {
    return std::make_unique<Two>(options(), options(), channels, seed);
  }
};
INSTANTIATE_TEST_SUITE_P(Dialects, Channel, testing::Values(false, true), [](const auto& param) {
  return param.param ? std::string("Native") : std::string("Old");
});

void send_until_taken(Mesh& mesh, SyncChannel& channel, const wire::SyncBatch& batch) {
  for (int i = 0; i < 1000; ++i) {
    const auto sent = channel.send(batch);
    if (sent) return;
    ASSERT_EQ(sent.error().code, Code::would_block) << sent.error().message;
    mesh.world.run_for(milliseconds(20));
  }
  FAIL() << "never taken";
}

TEST_P(Channel, BatchesTravelBothWays) {
  const auto mesh = two();
  mesh->connect();
  for (int i = 0; i < 100; ++i) {
    send_until_taken(*mesh, mesh->a.to(mesh->b.host), batch("a:" + std::to_string(i)));
    send_until_taken(*mesh, mesh->b.to(mesh->a.host), batch("b:" + std::to_string(i)));
  }
  mesh->world.run_for(seconds(2));
  EXPECT_EQ(mesh->b.heard(mesh->a.host).entries.size(), 100U);
  EXPECT_EQ(mesh->a.heard(mesh->b.host).entries.size(), 100U);
}

TEST_P(Channel, F5BothSidesLearnOfTheConnectionWhoeverDialled) {
  const auto mesh = two();
  mesh->connect();
  EXPECT_EQ(mesh->a.heard(mesh->b.host).connected, 1);
  EXPECT_EQ(mesh->b.heard(mesh->a.host).connected, 1);
  EXPECT_GE(mesh->a.heard(mesh->b.host).wants, 1);
  EXPECT_EQ(mesh->a.to(mesh->b.host).dialect(), native() ? Dialect::native : Dialect::old);
  EXPECT_TRUE(mesh->a.to(mesh->b.host).dialled());
  EXPECT_FALSE(mesh->b.to(mesh->a.host).dialled());
}

// The reference's reconnect left the channel without a receiver.
TEST_P(Channel, F8AfterAReconnectDataFlowsBothWays) {
  const auto mesh = two();
  mesh->connect();
  for (int round = 0; round < 5; ++round) {
    mesh->network.reset_connection(mesh->a.host, mesh->b.host);
    mesh->world.run_for(seconds(10));
    ASSERT_TRUE(mesh->a.to(mesh->b.host).is_connected());
    const auto name = std::to_string(round);
    send_until_taken(*mesh, mesh->a.to(mesh->b.host), batch("a:" + name));
    send_until_taken(*mesh, mesh->b.to(mesh->a.host), batch("b:" + name));
    mesh->world.run_for(seconds(1));
    EXPECT_TRUE(mesh->b.heard(mesh->a.host).has("a:" + name));
    EXPECT_TRUE(mesh->a.heard(mesh->b.host).has("b:" + name));
  }
  // Both redial; now and then one connection replaces another.
  EXPECT_GE(mesh->a.to(mesh->b.host).stats().reconnections, 5U);
  const auto& heard = mesh->b.heard(mesh->a.host);
  EXPECT_EQ(heard.connected, heard.disconnected + 1);
}

// The reference's channel ended after 30 s without incoming data.
TEST_P(Channel, D3bAnIdleHourIsNoFailure) {
  const auto mesh = two();
  mesh->connect();
  send_until_taken(*mesh, mesh->a.to(mesh->b.host), batch("first"));
  mesh->world.run_for(std::chrono::hours(1));
  EXPECT_TRUE(mesh->a.to(mesh->b.host).is_connected());
  EXPECT_EQ(mesh->a.to(mesh->b.host).stats().reconnections, 0U);
  EXPECT_EQ(mesh->a.heard(mesh->b.host).disconnected, 0);
  send_until_taken(*mesh, mesh->a.to(mesh->b.host), batch("second"));
  mesh->world.run_for(seconds(1));
  EXPECT_TRUE(mesh->b.heard(mesh->a.host).has("second"));
}

TEST_P(Channel, AnIdleConvergedPairOfTheNativeDialectIsSilent) {
  const auto mesh = two();
  mesh->connect();
  const auto before = mesh->a.to(mesh->b.host).stats().bytes_sent;
  mesh->world.run_for(minutes(10));
  const auto after = mesh->a.to(mesh->b.host).stats();
  EXPECT_EQ(after.frames_sent, 0U);
  EXPECT_EQ(after.bytes_sent - before, native() ? 0U : 120U * 9) << "E6 heartbeats only";
}

TEST_P(Channel, D3cHoweverManyAskThereIsOneChannelAndOneConnection) {
  const auto mesh = two();
  std::set<SyncChannel*> seen;
  for (int i = 0; i < 50; ++i) {
    seen.insert(&mesh->a.to(mesh->b.host));
    if (i % 10 == 9) mesh->world.run_for(milliseconds(3));
  }
  EXPECT_EQ(seen.size(), 1U);
  EXPECT_EQ(mesh->a.manager->channel_count(), 1U);
  mesh->world.run_for(seconds(2));
  EXPECT_EQ(mesh->network.connections(mesh->a.host, mesh->b.host), 1U);
  EXPECT_EQ(mesh->a.heard(mesh->b.host).connected, 1);
}

TEST_P(Channel, D2cPeersThatDialEachOtherAtOnceShareOneConnection) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Mesh mesh(seed, {}, {milliseconds(30), milliseconds(20), 0, 0});
    Node a(mesh, options()), b(mesh, options());
    a.knows(b.host);
    b.knows(a.host);
    a.to(b.host);
    mesh.world.run_for(milliseconds(static_cast<std::int64_t>(mesh.world.below(200))));
    b.to(a.host);
    for (int i = 0; i < 20; ++i) {
      send_until_taken(mesh, a.to(b.host), batch("a:" + std::to_string(i)));
      send_until_taken(mesh, b.to(a.host), batch("b:" + std::to_string(i)));
      mesh.world.run_for(milliseconds(static_cast<std::int64_t>(mesh.world.below(40))));
    }
    mesh.world.run_for(seconds(20));
    EXPECT_EQ(mesh.network.connections(a.host, b.host), 1U) << "seed " << seed;
    for (int i = 0; i < 20; ++i) {
      EXPECT_TRUE(b.heard(a.host).has("a:" + std::to_string(i))) << "seed " << seed << ' ' << i;
      EXPECT_TRUE(a.heard(b.host).has("b:" + std::to_string(i))) << "seed " << seed << ' ' << i;
    }
  }
}

TEST_P(Channel, D3dABatchCutOffInTheMiddleArrivesWholeAfterTheReconnect) {
  for (std::uint64_t seed = 1; seed <= 15; ++seed) {
    const auto mesh = two({}, seed);
    mesh->network.set_link(0, 1, {milliseconds(20), milliseconds(5), 200'000, 0});
    mesh->connect();
    ASSERT_TRUE(mesh->a.to(mesh->b.host).send(batch("big", 300'000)));
    mesh->world.run_for(milliseconds(static_cast<std::int64_t>(100 + mesh->world.below(1200))));
    ASSERT_FALSE(mesh->b.heard(mesh->a.host).has("big"));
    mesh->network.reset_connection(mesh->a.host, mesh->b.host);
    mesh->world.run_for(milliseconds(100));
    EXPECT_EQ(mesh->a.to(mesh->b.host).state(), ChannelState::reconnecting);
    mesh->world.run_for(seconds(15));
    EXPECT_TRUE(mesh->b.heard(mesh->a.host).has("big")) << "seed " << seed;
    const auto stats = mesh->a.to(mesh->b.host).stats();
    EXPECT_EQ(stats.batches_sent, 1U) << "counted once";
    EXPECT_GE(stats.frames_resent, 1U);
  }
}

TEST_P(Channel, BatchesGivenWhileReconnectingAreSentAfterwards) {
  const auto mesh = two();
  auto& channel = mesh->a.to(mesh->b.host);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(channel.send(batch("early:" + std::to_string(i))));
  mesh->world.run_for(seconds(3));
  mesh->network.crash(mesh->b.host);
  mesh->world.run_for(minutes(1));
  EXPECT_EQ(channel.state(), ChannelState::reconnecting);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(channel.send(batch("late:" + std::to_string(i))));
  mesh->b.crash();
  mesh->b.restart();
  mesh->world.run_for(minutes(1));
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(mesh->b.heard(mesh->a.host).has("early:" + std::to_string(i)));
    EXPECT_TRUE(mesh->b.heard(mesh->a.host).has("late:" + std::to_string(i)));
  }
}

TEST_P(Channel, BatchesKeptForAReconnectAreBounded) {
  Mesh mesh;
  mesh.limits.sync_kept_bytes = 1000;
  Node a(mesh, options()), b(mesh, options());
  auto& channel = a.to(b.host);
  int taken = 0;
  while (taken < 100 && channel.send(batch("x", 100))) ++taken;
  EXPECT_GE(taken, 5);
  EXPECT_LE(taken, 10);
  EXPECT_EQ(channel.send(batch("x")).error().code, Code::would_block);
}

TEST_P(Channel, ASecondBatchIsRefusedWhileTheFirstIsUnsent) {
  const auto mesh = two();
  mesh->network.set_link(0, 1, {milliseconds(5), milliseconds(0), 50'000, 0});
  mesh->connect();
  auto& channel = mesh->a.to(mesh->b.host);
  int taken = 0;
  while (taken < 100 && channel.send(batch("x:" + std::to_string(taken), 100'000))) ++taken;
  EXPECT_LE(taken, 3);
  EXPECT_EQ(channel.send(batch("y")).error().code, Code::would_block);
  const auto wants = mesh->a.heard(mesh->b.host).wants;
  mesh->world.run_for(minutes(1));
  EXPECT_GT(mesh->a.heard(mesh->b.host).wants, wants) << "told when to go on";
  EXPECT_TRUE(channel.send(batch("y")));
}

TEST_P(Channel, D3eCloseRightAfterOpeningLeavesNothing) {
  for (const auto wait : {0, 3, 12, 20, 30, 50, 500}) {
    const auto mesh = two();
    auto& channel = mesh->a.to(mesh->b.host);
    mesh->world.run_for(milliseconds(wait));
    channel.close();
    EXPECT_EQ(channel.state(), ChannelState::closed) << "at once";
    EXPECT_EQ(mesh->a.heard(mesh->b.host).closed, 0) << "never from inside the call";
    const auto connected = mesh->a.heard(mesh->b.host).connected;
    EXPECT_EQ(channel.send(batch("x")).error().code, Code::channel_closed);
    mesh->world.run_for(milliseconds(200));
    EXPECT_EQ(mesh->a.heard(mesh->b.host).closed, 1);
    EXPECT_EQ(mesh->a.heard(mesh->b.host).connected, connected) << "after " << wait << " ms";
    EXPECT_EQ(mesh->network.connections(mesh->a.host, mesh->b.host), 0U);
  }
}

TEST_P(Channel, AClosedChannelIsReplacedWhenAskedFor) {
  const auto mesh = two();
  mesh->connect();
  auto* const old = &mesh->a.to(mesh->b.host);
  old->close();
  mesh->world.run_for(milliseconds(100));
  auto& fresh = mesh->a.to(mesh->b.host);
  EXPECT_NE(fresh.state(), ChannelState::closed);
  EXPECT_EQ(mesh->a.manager->channel_count(), 1U);
  mesh->world.run_for(seconds(3));
  ASSERT_TRUE(fresh.send(batch("again")));
  mesh->world.run_for(seconds(1));
  EXPECT_TRUE(mesh->b.heard(mesh->a.host).has("again"));
}

TEST_P(Channel, WhatWasTakenForSendingLeavesBeforeTheClose) {
  const auto mesh = two();
  mesh->connect();
  ASSERT_TRUE(mesh->a.to(mesh->b.host).send(batch("last words", 5000)));
  mesh->a.to(mesh->b.host).close();
  mesh->world.run_for(seconds(1));
  EXPECT_TRUE(mesh->b.heard(mesh->a.host).has("last words"));
}

TEST_P(Channel, D3fAStopTokenIsObeyedInTheMiddleOfARead) {
  Mesh mesh;
  std::stop_source stop;
  Node a(mesh, options()), b(mesh, options());
  a.knows(b.host);
  auto& channel = **a.manager->get_channel(mesh.id(b.host), stop.get_token());
  mesh.world.run_for(seconds(2));
  ASSERT_TRUE(channel.is_connected());
  mesh.network.set_link(0, 1, {milliseconds(5), milliseconds(0), 1000, 0});
  ASSERT_TRUE(b.to(a.host).send(batch("slow", 100'000)));
  mesh.world.run_for(seconds(3));
  stop.request_stop();
  mesh.world.run_for(milliseconds(1));
  EXPECT_EQ(channel.state(), ChannelState::closed);
  EXPECT_EQ(a.heard(b.host).closed, 1);
  mesh.network.set_link(0, 1, {});
  mesh.world.run_for(milliseconds(200));
  EXPECT_FALSE(a.heard(b.host).has("slow"));
}

TEST_P(Channel, D3fTheManagersStopTokenEndsEveryChannelAlsoBetweenConnections) {
  const auto mesh = two();
  auto& unreachable = mesh->a.to(7);
  mesh->connect();
  std::jthread([&] { mesh->a.stop.request_stop(); }).join();
  mesh->world.run_for(seconds(2));
  EXPECT_EQ(unreachable.state(), ChannelState::closed);
  EXPECT_EQ(mesh->a.manager->get_channel(mesh->id(1)).error().code, Code::shut_down);
  EXPECT_EQ(mesh->a.manager->send_to_peer(mesh->id(1), batch("x")).error().code, Code::shut_down);
  mesh->world.run_for(minutes(2));
  EXPECT_EQ(mesh->network.connections(0, 1), 0U) << "a peer that redials finds it closed";
}

// --- reconnecting ------------------------------------------------------------------------------

TEST_P(Channel, F7APeerComesBackHoweverLongItWasGone) {
  const auto mesh = two();
  mesh->connect();
  mesh->network.cut(mesh->a.host, mesh->b.host);
  mesh->world.run_for(std::chrono::hours(3));
  EXPECT_EQ(mesh->a.to(mesh->b.host).state(), ChannelState::reconnecting);
  mesh->network.heal(mesh->a.host, mesh->b.host);
  mesh->world.run_for(seconds(45));
  EXPECT_TRUE(mesh->a.to(mesh->b.host).is_connected());
  EXPECT_TRUE(mesh->b.to(mesh->a.host).is_connected());
}

TEST_P(Channel, AttemptsGrowRareAndNeverRarerThanTheCap) {
  const auto mesh = two();
  mesh->network.options(mesh->b.host).refuse_dials = 1.0;
  mesh->a.to(mesh->b.host);
  const auto refused = [&] { return mesh->a.connector->peers().at(0).failures; };
  mesh->world.run_for(seconds(4));
  const auto early = refused();
  EXPECT_GE(early, 3U);
  EXPECT_LE(early, 6U);
  mesh->world.run_for(minutes(10));
  const auto settled = refused();
  mesh->world.run_for(minutes(10));
  EXPECT_GE(refused() - settled, 20U);
  EXPECT_LE(refused() - settled, 41U);
}

TEST_P(Channel, AFixedNumberOfAttemptsEndsTheChannelAndASuccessStartsTheCountAnew) {
  ChannelOptions channels;
  channels.reconnect_forever = false;
  const auto mesh = two(channels);
  mesh->connect();
  for (int round = 0; round < 4; ++round) {
    mesh->network.options(mesh->b.host).refuse_dials = 1.0;
    mesh->network.reset_connection(0, 1);
    mesh->b.manager->remove_channel(mesh->id(0));
    mesh->world.run_for(milliseconds(600));
    mesh->network.options(mesh->b.host).refuse_dials = 0;
    mesh->world.run_for(seconds(10));
    ASSERT_TRUE(mesh->a.to(mesh->b.host).is_connected()) << "round " << round;
  }
  mesh->network.options(mesh->b.host).refuse_dials = 1.0;
  mesh->b.manager->remove_channel(mesh->id(0));
  mesh->network.reset_connection(0, 1);
  auto* const channel = mesh->a.manager->find_channel(mesh->id(1));
  mesh->world.run_for(minutes(1));
  EXPECT_EQ(channel->state(), ChannelState::closed);
  EXPECT_EQ(mesh->a.heard(mesh->b.host).closed, 1);
}

TEST_P(Channel, ARestartedPeerIsBackSoonAndNothingOfTheOldConnectionRemains) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto mesh = two({}, seed);
    mesh->b.knows(mesh->a.host);
    mesh->connect();
    mesh->world.run_for(seconds(static_cast<std::int64_t>(mesh->world.below(30))));
    mesh->b.crash();
    mesh->b.restart();
    mesh->b.to(mesh->a.host);
    mesh->world.run_for(seconds(45));
    EXPECT_TRUE(mesh->a.to(mesh->b.host).is_connected()) << "seed " << seed;
    EXPECT_TRUE(mesh->b.to(mesh->a.host).is_connected()) << "seed " << seed;
    EXPECT_EQ(mesh->network.connections(0, 1), 1U) << "seed " << seed;
    send_until_taken(*mesh, mesh->b.to(mesh->a.host), batch("b"));
    send_until_taken(*mesh, mesh->a.to(mesh->b.host), batch("a"));
    mesh->world.run_for(seconds(2));
    EXPECT_TRUE(mesh->a.heard(mesh->b.host).has("b")) << "seed " << seed;
    EXPECT_TRUE(mesh->b.heard(mesh->a.host).has("a")) << "seed " << seed;
  }
}

// --- the manager -------------------------------------------------------------------------------

TEST_P(Channel, ABroadcastReachesEveryConnectedPeerAndOneFailureStopsNobody) {
  Mesh mesh;
  Node hub(mesh, options());
  std::vector<std::unique_ptr<Node>> leaves;
  for (int i = 0; i < 4; ++i) {
    leaves.push_back(std::make_unique<Node>(mesh, options()));
    leaves.back()->knows(hub.host);
    leaves.back()->to(hub.host);
  }
  hub.to(99);  // nobody knows where
  mesh.world.run_for(seconds(2));
  // The first leaf's link is full.
  mesh.network.set_link(hub.host, leaves[0]->host, {milliseconds(5), milliseconds(0), 1000, 0});
  while (hub.to(leaves[0]->host).send(batch("fill", 100'000))) {
  }
  const auto results = hub.manager->broadcast(batch("news"));
  ASSERT_EQ(results.size(), 4U) << "connected peers only";
  EXPECT_EQ(results.at(leaves[0]->id()).error().code, Code::would_block);
  for (int i = 1; i < 4; ++i) EXPECT_TRUE(results.at(leaves[i]->id()));
  mesh.world.run_for(seconds(2));
  for (int i = 1; i < 4; ++i) EXPECT_TRUE(leaves[i]->heard(hub.host).has("news"));
}

TEST_P(Channel, EveryKindOfMessageHasItsCall) {
  const auto mesh = two();
  mesh->connect();
  auto& manager = *mesh->a.manager;
  const auto peer = mesh->b.id();
  wire::Tombstone tombstone;
  tombstone.collection = "docs";
  tombstone.id = "x";
  tombstone.deleted_by = "a";
  const auto settle = [&] { mesh->world.run_for(seconds(1)); };
  EXPECT_TRUE(manager.send_delta_sync(peer, "docs:delta", Bytes{1}));
  settle();
  EXPECT_TRUE(manager.send_state_snapshot(peer, "docs:snapshot", Bytes{1}));
  settle();
  EXPECT_TRUE(manager.send_tombstone(peer, tombstone));
  settle();
  EXPECT_TRUE(manager.send_tombstone_batch(peer, std::vector{tombstone, tombstone}));
  settle();
  EXPECT_TRUE(manager.broadcast_delta_sync("docs:all-delta", Bytes{1}).at(peer));
  settle();
  EXPECT_TRUE(manager.broadcast_state_snapshot("docs:all-snapshot", Bytes{1}).at(peer));
  settle();
  EXPECT_TRUE(manager.broadcast_tombstone(tombstone).at(peer));
  settle();
  EXPECT_EQ(mesh->b.heard(mesh->a.host).entries,
            (std::vector<std::string>{"docs:delta", "docs:snapshot", "tombstones:docs:x",
                                      "tombstones:docs:x", "tombstones:docs:x", "docs:all-delta",
                                      "docs:all-snapshot", "tombstones:docs:x"}));
}

TEST_P(Channel, StatisticsCountEveryStreamByteOnce) {
  const auto mesh = two();
  mesh->connect();
  for (int i = 0; i < 30; ++i) {
    send_until_taken(*mesh, mesh->a.to(mesh->b.host), batch("a:" + std::to_string(i), 1000));
    send_until_taken(*mesh, mesh->b.to(mesh->a.host), batch("b:" + std::to_string(i), 100));
    mesh->world.run_for(milliseconds(300));
  }
  mesh->world.run_for(milliseconds(500));
  const auto a = mesh->a.manager->stats();
  const auto b = mesh->b.manager->stats();
  EXPECT_EQ(a.sum.bytes_sent, b.sum.bytes_received);
  EXPECT_EQ(b.sum.bytes_sent, a.sum.bytes_received);
  EXPECT_EQ(a.sum.batches_sent, 30U);
  EXPECT_EQ(b.sum.batches_received, 30U);
  EXPECT_EQ(a.total_channels, 1U);
  EXPECT_EQ(a.connected_channels, 1U);
  ASSERT_TRUE(a.sum.last_send && b.sum.last_receive);
  EXPECT_LE(*a.sum.last_send, *b.sum.last_receive);
  // 30 batches of 7 + 5 + 21 + 7 + key + 1000 bytes and the frame around them.
  EXPECT_GT(a.sum.bytes_sent, 30U * 1040);
  EXPECT_LT(a.sum.bytes_sent, 30U * 1070 + 200);

  mesh->a.manager->remove_channel(mesh->b.id());
  EXPECT_EQ(mesh->a.manager->channel_count(), 0U);
  EXPECT_GE(mesh->a.manager->stats().sum.bytes_sent, a.sum.bytes_sent)
      << "what was sent stays counted";
}

TEST_P(Channel, ShutdownFlushesClosesInOrderAndSaysWhenItIsDone) {
  Mesh mesh;
  Node hub(mesh, options());
  std::vector<std::unique_ptr<Node>> leaves;
  for (int i = 0; i < 5; ++i) {
    leaves.push_back(std::make_unique<Node>(mesh, options()));
    hub.knows(leaves.back()->host);
    hub.to(leaves.back()->host);
  }
  mesh.world.run_for(seconds(2));
  for (const auto& leaf : leaves) ASSERT_TRUE(hub.to(leaf->host).send(batch("bye")));
  int done = 0;
  hub.manager->shutdown([&] { ++done; });
  EXPECT_EQ(done, 0);
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(done, 1);
  for (const auto& leaf : leaves) {
    EXPECT_TRUE(leaf->heard(hub.host).has("bye"));
    EXPECT_EQ(hub.heard(leaf->host).closed, 1);
  }
}

TEST_P(Channel, ShutdownEndsWithinASecondThoughAPeerIsGone) {
  const auto mesh = two();
  mesh->connect();
  mesh->network.cut(0, 1);
  ASSERT_TRUE(mesh->a.to(mesh->b.host).send(batch("never")));
  int done = 0;
  mesh->a.manager->shutdown([&] { ++done; });
  mesh->world.run_for(seconds(1));
  EXPECT_EQ(done, 1);
  mesh->world.run_for(minutes(2));
  EXPECT_EQ(done, 1);
}

// --- encoding ----------------------------------------------------------------------------------

TEST_P(Channel, D3iWhatDoesNotFitItsLengthFieldIsRefusedNotCutOff) {
  const auto mesh = two();
  mesh->connect();
  auto& channel = mesh->a.to(mesh->b.host);
  EXPECT_EQ(channel.send(batch(std::string(70'000, 'k'))).error().code, Code::limit_exceeded);
  const wire::Frame huge{"k", wire::FrameType::delta, Bytes((64U << 20) + 1)};
  const auto refused =
      native() ? channel.send_native(wire::LegacyFrame{huge}) : channel.send_frame(huge);
  EXPECT_EQ(refused.error().code, Code::limit_exceeded);
  ASSERT_TRUE(channel.send(batch("after")));
  mesh->world.run_for(seconds(1));
  EXPECT_EQ(mesh->b.heard(mesh->a.host).entries, std::vector<std::string>{"after"});
}

TEST_P(Channel, AFrameOfTheOtherDialectIsRefused) {
  const auto mesh = two();
  mesh->connect();
  auto& channel = mesh->a.to(mesh->b.host);
  const auto refused =
      native() ? channel.send_frame(delta("x")) : channel.send_native(wire::Ping{1});
  EXPECT_EQ(refused.error().code, Code::unsupported);
}

TEST_P(Channel, ADetachedListenerHearsNothing) {
  const auto mesh = two();
  mesh->connect();
  mesh->b.to(mesh->a.host).set_listener(nullptr);
  ASSERT_TRUE(mesh->a.to(mesh->b.host).send(batch("x")));
  mesh->world.run_for(seconds(1));
  EXPECT_FALSE(mesh->b.heard(mesh->a.host).has("x"));
  EXPECT_EQ(mesh->b.to(mesh->a.host).stats().batches_received, 1U);
}

// --- the native dialect's own --------------------------------------------------------------------

TEST(NativeChannel, EitherSideMaySpeakFirst) {
  Two mesh;
  mesh.a.manager->set_listener_factory({});
  Listener acceptor(mesh.a.id());
  acceptor.greeting = wire::Ping{7};
  Listener dialler(mesh.b.id());
  mesh.b.manager->set_listener_factory([&](SyncChannel&) { return &acceptor; });
  mesh.a.manager->set_listener_factory([&](SyncChannel&) { return &dialler; });
  mesh.connect();
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(dialler.pings, std::vector<std::uint64_t>{7});
}

TEST(NativeChannel, TheFirstFrameIsTheSessionsEvenIfBatchesWereWaiting) {
  Two mesh;
  auto& channel = mesh.a.to(mesh.b.host);
  mesh.a.heard(mesh.b.host).greeting = wire::Ping{1};
  ASSERT_TRUE(channel.send(batch("waiting")));
  std::vector<std::string> order;
  struct Order final : ChannelListener {
    explicit Order(std::vector<std::string>& o) : order(o) {}
    void on_connected(SyncChannel&) override {}
    void on_disconnected(SyncChannel&) override {}
    void on_frame(SyncChannel&, wire::Frame) override {}
    void on_native(SyncChannel&, wire::NativeFrame frame) override {
      order.push_back(std::holds_alternative<wire::Ping>(frame) ? "session" : "batch");
    }
    void on_wants_data(SyncChannel&) override {}
    void on_closed(SyncChannel&) override {}
    std::vector<std::string>& order;
  } listener(order);
  mesh.b.manager->set_listener_factory([&](SyncChannel&) { return &listener; });
  mesh.world.run_for(seconds(2));
  EXPECT_EQ(order, (std::vector<std::string>{"session", "batch"}));
}

// Speaks peat/sync/2 byte by byte.
struct RawNative final : transport::ConnectionHandler {
  explicit RawNative(Mesh& m) : mesh(m), host(m.add_host()), key(formation()) {
    mesh.network.endpoint(host).listen({std::string(kAlpnNative)}, [this](auto c) {
      connection = c;
      c->set_handler(this);
      acceptor.emplace(mesh.world.now().mono,
                       security::HandshakeEnds{*key, mesh.id(host), c->peer()}, mesh.world.random(),
                       security::AcceptorOptions{});
    });
  }
  void on_data(transport::Connection& c, transport::StreamId stream, ByteView data,
               bool fin) override {
    c.consumed(stream, data.size());
    if (stream != 0) return;
    acceptor->on_stream_bytes(mesh.world.now().mono, data, fin);
    while (auto output = acceptor->poll_output()) {
      if (auto* write = std::get_if<security::HandshakeWrite>(&*output)) {
        ASSERT_TRUE(c.write(stream, write->bytes, write->fin));
      }
    }
    if (acceptor->done()) c.mark_authenticated();
  }
  void on_stop_sending(transport::Connection&, transport::StreamId stream,
                       std::uint64_t code) override {
    stopped[stream] = code;
  }
  void on_closed(transport::Connection&, const transport::CloseInfo& info) override {
    closes.push_back(info);
  }
  Mesh& mesh;
  sim::HostId host;
  std::optional<security::FormationKey> key;
  std::optional<security::FormationAcceptor> acceptor;
  std::shared_ptr<transport::Connection> connection;
  std::map<transport::StreamId, std::uint64_t> stopped;
  std::vector<transport::CloseInfo> closes;
};

struct WithRawNative : Mesh {
  WithRawNative() : node(*this), peer(*this) {
    node.knows(peer.host);
    node.to(peer.host);
    world.run_for(seconds(1));
  }
  void send(const Bytes& bytes) {
    ASSERT_TRUE(peer.connection->write(kStream, bytes, false));
    world.run_for(seconds(1));
  }
  static constexpr transport::StreamId kStream = 4;  // after the handshake's
  Node node;
  RawNative peer;
};

TEST(NativeChannel, UnknownFramesAreSkippedAndCounted) {
  WithRawNative mesh;
  ASSERT_TRUE(mesh.node.to(mesh.peer.host).is_connected());
  Bytes bytes{3, 200, 1, 2, 3};
  ASSERT_TRUE(wire::encode(wire::Ping{5}, bytes));
  mesh.send(bytes);
  EXPECT_EQ(mesh.node.heard(mesh.peer.host).pings, std::vector<std::uint64_t>{5});
  EXPECT_EQ(mesh.node.to(mesh.peer.host).stats().undecodable, 1U);
}

TEST(NativeChannel, ABrokenFrameEndsTheConnectionAndTheChannelReconnects) {
  WithRawNative mesh;
  mesh.send(Bytes(20, 0xff));
  ASSERT_EQ(mesh.peer.closes.size(), 1U);
  EXPECT_EQ(mesh.peer.closes[0].code, 300U);
  mesh.world.run_for(seconds(3));
  EXPECT_TRUE(mesh.node.to(mesh.peer.host).is_connected());
  EXPECT_EQ(mesh.node.to(mesh.peer.host).stats().reconnections, 1U);
}

TEST(NativeChannel, AFrameThatStopsInItsMiddleEndsTheConnectionAfterTheReadLimit) {
  WithRawNative mesh;
  mesh.send({50, 7, 1, 2, 3});
  mesh.world.run_for(seconds(28));
  EXPECT_TRUE(mesh.peer.closes.empty());
  mesh.world.run_for(seconds(3));
  ASSERT_EQ(mesh.peer.closes.size(), 1U);
  EXPECT_EQ(mesh.peer.closes[0].code, 8U);
}

TEST(NativeChannel, OtherStreamsAreOfNoUse) {
  WithRawNative mesh;
  const auto stream = *mesh.peer.connection->open_bidirectional();
  ASSERT_TRUE(mesh.peer.connection->write(stream, Bytes(100, 1), false));
  mesh.world.run_for(seconds(1));
  EXPECT_TRUE(mesh.peer.stopped.contains(stream));
  EXPECT_TRUE(mesh.node.to(mesh.peer.host).is_connected());
}

}  // namespace
}  // namespace peat::sync
