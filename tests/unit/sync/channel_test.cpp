// What both dialects share: a channel's life, its manager, and everything that goes wrong.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "channel_fixture.hpp"

namespace peat::sync {
namespace {

using namespace test;

INSTANTIATE_TEST_SUITE_P(Dialects, Channel, testing::Values(false, true), [](const auto& param) {
  return param.param ? std::string("Native") : std::string("Old");
});

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

}  // namespace
}  // namespace peat::sync
