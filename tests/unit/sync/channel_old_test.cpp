// The old dialect with every population of peer: nothing is lost, nothing grows, nothing stalls.
#include <gtest/gtest.h>

#include "channel_fixture.hpp"

namespace peat::sync {
namespace {

using namespace test;
using transport::StreamId;

// One of ours and a foreign acceptor that we dial.
struct WithForeign : Mesh {
  explicit WithForeign(Reads reads, std::uint64_t seed = 1, sim::TransportOptions transport = {},
                       sim::LinkOptions link = {})
      : Mesh(seed, transport, link), node(*this), peer(*this, reads) {
    node.knows(peer.host, PeerAuth::none);
    node.to(peer.host);
    world.run_for(seconds(1));
  }
  SyncChannel& channel() { return node.to(peer.host); }
  // Sends and lets time pass until it was taken.
  void send(const wire::Frame& frame) {
    for (int i = 0; i < 1000 && !channel().send_frame(frame); ++i) world.run_for(milliseconds(20));
  }
  Node node;
  Foreign peer;
};

// One of ours that a foreign peer has dialled.
struct DialledByForeign : Mesh {
  explicit DialledByForeign(Reads reads = Reads::on, ChannelOptions options = {})
      : node(*this, open_to_all(), options), peer(*this, reads) {
    peer.dial(node);
    world.run_for(seconds(3));
  }
  Listener& heard() { return node.heard(peer.host); }
  ChannelStats stats() { return node.to(peer.host).stats(); }
  Node node;
  Foreign peer;
};

// --- sending -----------------------------------------------------------------------------------

TEST(OldChannel, D3aAPeerThatReadsOneFramePerStreamGetsEveryFrame) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    WithForeign mesh(Reads::one_frame, seed, {}, {milliseconds(40), milliseconds(30), 0, 0.05});
    for (int i = 0; i < 50; ++i) {
      mesh.send(delta("doc:" + std::to_string(i)));
      mesh.world.run_for(milliseconds(static_cast<std::int64_t>(mesh.world.below(200))));
    }
    mesh.world.run_for(seconds(5));
    for (int i = 0; i < 50; ++i) {
      EXPECT_TRUE(mesh.peer.has("doc:" + std::to_string(i))) << "seed " << seed << " doc " << i;
    }
    EXPECT_TRUE(mesh.channel().is_connected());
    EXPECT_EQ(mesh.channel().stats().reconnections, 0U);
  }
}

TEST(OldChannel, D3gAPeerThatReadsOnGetsOneStreamForEverything) {
  WithForeign mesh(Reads::on);
  mesh.send(delta("first"));
  mesh.world.run_for(seconds(2));
  for (int i = 0; i < 200; ++i) mesh.send(delta("doc:" + std::to_string(i)));
  mesh.world.run_for(seconds(2));
  EXPECT_EQ(mesh.peer.keys.size(), 201U);
  EXPECT_EQ(mesh.peer.streams_opened, 1);
  EXPECT_EQ(mesh.channel().stats().streams_opened, 1U);
}

TEST(OldChannel, BeforeTheVerdictEveryFrameHasItsOwnStream) {
  WithForeign mesh(Reads::on);
  for (int i = 0; i < 3; ++i) mesh.send(delta("doc:" + std::to_string(i)));
  mesh.world.run_for(milliseconds(100));
  EXPECT_EQ(mesh.peer.streams_opened, 3);
  mesh.world.run_for(seconds(2));
  mesh.send(delta("doc:3"));
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(mesh.peer.streams_opened, 3);
  EXPECT_EQ(mesh.peer.keys.size(), 4U);
}

TEST(OldChannel, TheVerdictHoldsForOneConnectionOnly) {
  WithForeign mesh(Reads::one_frame);
  mesh.send(delta("a"));
  mesh.world.run_for(seconds(2));
  mesh.peer.reads = Reads::on;  // the peer was upgraded
  mesh.network.reset_connection(mesh.node.host, mesh.peer.host);
  mesh.world.run_for(seconds(3));
  ASSERT_TRUE(mesh.channel().is_connected());
  mesh.peer.streams_opened = 0;
  mesh.send(delta("b"));
  mesh.world.run_for(seconds(2));
  mesh.send(delta("c"));
  mesh.send(delta("d"));
  mesh.world.run_for(seconds(2));
  EXPECT_EQ(mesh.peer.streams_opened, 1);
  EXPECT_TRUE(mesh.peer.has("d"));
}

TEST(OldChannel, E4AFrameWhoseStreamWasStoppedGoesOutAgain) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    WithForeign mesh(Reads::on, seed, {}, {milliseconds(30), milliseconds(10), 100'000, 0});
    mesh.send(delta("big", 60'000));
    mesh.world.run_for(milliseconds(static_cast<std::int64_t>(100 + mesh.world.below(400))));
    mesh.network.reset_random_stream();
    mesh.world.run_for(seconds(10));
    EXPECT_TRUE(mesh.peer.has("big")) << "seed " << seed;
    ASSERT_TRUE(mesh.network.faults_happened().contains(sim::Fault::stream_reset)) << seed;
  }
}

TEST(OldChannel, APeerThatStopsTheStreamItReadMakesTheSessionBeginAnew) {
  WithForeign mesh(Reads::on);
  mesh.send(delta("a"));
  mesh.world.run_for(seconds(2));
  mesh.send(delta("b"));
  mesh.world.run_for(seconds(1));
  auto& heard = mesh.node.heard(mesh.peer.host);
  EXPECT_EQ(heard.connected, 1);
  mesh.peer.connection->stop_sending(mesh.peer.readers.begin()->first, 0);
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(heard.disconnected, 1);
  EXPECT_EQ(heard.connected, 2);
  EXPECT_EQ(mesh.channel().stats().reconnections, 0U) << "on the same connection";
  mesh.send(delta("c"));
  mesh.world.run_for(seconds(1));
  EXPECT_TRUE(mesh.peer.has("c"));
}

TEST(OldChannel, WithoutStreamCreditOneFrameWaitsAndTheRestIsRefused) {
  WithForeign mesh(Reads::one_frame);
  mesh.send(delta("probe"));
  mesh.world.run_for(seconds(2));
  mesh.peer.done.clear();
  mesh.network.cut(mesh.node.host, mesh.peer.host);
  int taken = 0;
  while (taken < 1000 && mesh.channel().send_frame(delta("doc:" + std::to_string(taken)))) ++taken;
  EXPECT_LE(taken, 101);
  EXPECT_EQ(mesh.channel().send_frame(delta("more")).error().code, Code::would_block);
  EXPECT_FALSE(mesh.channel().wants_data());
  auto& heard = mesh.node.heard(mesh.peer.host);
  const auto wants = heard.wants;
  mesh.network.heal(mesh.node.host, mesh.peer.host);
  mesh.world.run_for(seconds(5));
  EXPECT_GT(heard.wants, wants);
  EXPECT_TRUE(mesh.channel().wants_data());
  for (int i = 0; i < taken; ++i) EXPECT_TRUE(mesh.peer.has("doc:" + std::to_string(i)));
  EXPECT_GT(mesh.network.faults_happened().at(sim::Fault::stream_credit_used_up), 0U);
}

TEST(OldChannel, FramesWithoutAcknowledgementAreBounded) {
  Mesh mesh;
  mesh.limits.sync_unproven_bytes = 10'000;
  Node node(mesh);
  Foreign peer(mesh, Reads::one_frame);
  node.knows(peer.host, PeerAuth::none);
  auto& channel = node.to(peer.host);
  mesh.world.run_for(seconds(1));
  mesh.network.cut(node.host, peer.host);
  int taken = 0;
  while (taken < 90 && channel.send_frame(delta("x", 1000))) {
    ++taken;
    mesh.world.run_for(milliseconds(1));
  }
  EXPECT_GE(taken, 9);
  EXPECT_LE(taken, 11);
}

TEST(OldChannel, D2dHeartbeatsStopForAPeerThatNeverTakesThem) {
  WithForeign mesh(Reads::one_frame);
  mesh.world.run_for(minutes(8));
  EXPECT_EQ(mesh.channel().stats().heartbeats_sent, 96U);
  mesh.world.run_for(minutes(30));
  EXPECT_EQ(mesh.channel().stats().heartbeats_sent, 100U) << "the credit of streams";
  EXPECT_EQ(mesh.network.faults_happened().at(sim::Fault::stream_credit_used_up), 50U)
      << "then fifty are skipped and no more are tried";
  EXPECT_TRUE(mesh.channel().is_connected());
  mesh.send(delta("still"));
  mesh.world.run_for(seconds(1));
  EXPECT_TRUE(mesh.peer.has("still"));
}

TEST(OldChannel, D2dHeartbeatsGoOnWhereTheyAreTaken) {
  Two mesh(old_only(), old_only());
  mesh.connect();
  mesh.world.run_for(minutes(20));
  const auto sent = mesh.a.to(mesh.b.host).stats().heartbeats_sent;
  EXPECT_EQ(sent, 240U);
  EXPECT_EQ(mesh.b.to(mesh.a.host).stats().heartbeats_received, sent);
}

// --- receiving ---------------------------------------------------------------------------------

TEST(OldChannel, A1FramesAreReadUntilFinOnEveryStream) {
  DialledByForeign mesh;
  Bytes two = encoded(delta("one"));
  const auto second = encoded(delta("two"));
  two.insert(two.end(), second.begin(), second.end());
  const auto stream = mesh.peer.open(two, false);
  mesh.world.run_for(minutes(10));
  ASSERT_TRUE(mesh.peer.connection->write(stream, encoded(delta("three")), true));
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(mesh.heard().keys, (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_TRUE(mesh.peer.stopped.empty()) << "A2";
}

TEST(OldChannel, E5OurHalfOfAPeersStreamStaysOpenUntilItsFin) {
  DialledByForeign mesh;
  const auto stream = mesh.peer.open(encoded(delta("one")), false);
  mesh.world.run_for(minutes(2));
  EXPECT_EQ(mesh.network.connections(mesh.node.host, mesh.peer.host), 1U);
  for (int i = 0; i < 300; ++i) {
    mesh.peer.open(encoded(delta("more:" + std::to_string(i))), true);
    mesh.world.run_for(milliseconds(50));
  }
  EXPECT_EQ(mesh.heard().keys.size(), 301U) << "finished streams give their credit back";
  ASSERT_TRUE(mesh.peer.connection->write(stream, encoded(delta("last")), true));
  mesh.world.run_for(seconds(1));
  EXPECT_TRUE(mesh.heard().has("last"));
}

// Population P1: a stream per message, every document again every five seconds.
TEST(OldChannel, AnHourOfAStreamPerMessageUsesUpNoCredit) {
  DialledByForeign mesh(Reads::one_frame);
  for (int round = 0; round < 720; ++round) {
    for (int i = 0; i < 3; ++i) {
      mesh.peer.connection->stop_sending(mesh.peer.open(encoded(delta("doc")), true), 0);
    }
    mesh.world.run_for(seconds(5));
  }
  EXPECT_EQ(mesh.heard().keys.size(), 720U * 3);
  EXPECT_EQ(mesh.network.connections(mesh.node.host, mesh.peer.host), 1U);
  EXPECT_EQ(mesh.stats().undecodable, 0U);
}

// Population P2: a channel stream that its receiver task gives up after 30 s of our silence.
TEST(OldChannel, AChannelThatGivesUpItsStreamEveryThirtySecondsLosesNothing) {
  DialledByForeign mesh(Reads::one_frame);
  int sent = 0;
  for (int round = 0; round < 60; ++round) {
    Bytes frame;
    const auto next = [&] {
      frame.clear();
      ASSERT_TRUE(wire::encode_batch_frame(batch("doc:" + std::to_string(sent++)), frame));
    };
    next();
    const auto stream = mesh.peer.open(frame, false);
    mesh.world.run_for(seconds(10));
    next();
    ASSERT_TRUE(mesh.peer.connection->write(stream, frame, false));
    mesh.world.run_for(seconds(20));
    ASSERT_TRUE(mesh.peer.connection->write(stream, {}, true));
    mesh.peer.connection->stop_sending(stream, 0);
  }
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(mesh.heard().entries.size(), static_cast<std::size_t>(sent));
  EXPECT_TRUE(mesh.peer.stopped.empty());
  EXPECT_TRUE(mesh.node.to(mesh.peer.host).is_connected());
}

TEST(OldChannel, A1AFrameCutShortByFinCostsOnlyItself) {
  DialledByForeign mesh;
  auto bytes = encoded(delta("whole"));
  const auto half = encoded(delta("half", 100));
  bytes.insert(bytes.end(), half.begin(), half.end() - 50);
  mesh.peer.open(bytes, true);
  mesh.peer.open(encoded(delta("next")), true);
  mesh.world.run_for(seconds(1));
  EXPECT_TRUE(mesh.heard().has("whole"));
  EXPECT_TRUE(mesh.heard().has("next"));
  EXPECT_EQ(mesh.heard().keys.size(), 2U);
  EXPECT_EQ(mesh.stats().undecodable, 1U);
  EXPECT_TRUE(mesh.node.to(mesh.peer.host).is_connected());
}

TEST(OldChannel, A3AnUnknownTypeIsSkippedAndCounted) {
  DialledByForeign mesh;
  Bytes bytes = encoded(delta("doc:a"));
  bytes[2 + 5] = 0x0B;
  const auto next = encoded(delta("doc:b"));
  bytes.insert(bytes.end(), next.begin(), next.end());
  mesh.peer.open(bytes, true);
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(mesh.heard().keys, std::vector<std::string>{"doc:b"});
  EXPECT_EQ(mesh.stats().undecodable, 1U);
}

TEST(OldChannel, A4AKeylessBatchOnTheReverseHalfIsUnderstood) {
  WithForeign mesh(Reads::on);
  mesh.send(delta("first"));
  mesh.world.run_for(seconds(2));
  Bytes keyless;
  ASSERT_TRUE(wire::encode_batch_frame(batch("doc:reverse"), keyless));
  keyless.erase(keyless.begin(), keyless.begin() + 7);
  ASSERT_TRUE(mesh.peer.connection->write(mesh.peer.readers.begin()->first, keyless, false));
  mesh.world.run_for(seconds(1));
  EXPECT_TRUE(mesh.node.heard(mesh.peer.host).has("doc:reverse"));
}

TEST(OldChannel, A8OnlyHeartbeatsAreWelcomeOnUnidirectionalStreams) {
  DialledByForeign mesh;
  const auto send = [&](const Bytes& bytes) {
    const auto stream = *mesh.peer.connection->open_unidirectional();
    ASSERT_TRUE(mesh.peer.connection->write(stream, bytes, true));
    mesh.world.run_for(milliseconds(200));
  };
  send({1, 0, 0, 0, 0, 0, 0, 0, 9});
  EXPECT_EQ(mesh.stats().heartbeats_received, 1U);
  send({2, 0, 0, 0, 0, 0, 0, 0, 9});
  send({1, 0, 0});
  send(Bytes(5000, 1));
  EXPECT_EQ(mesh.stats().heartbeats_received, 1U);
  EXPECT_EQ(mesh.stats().undecodable, 3U);
  EXPECT_TRUE(mesh.node.to(mesh.peer.host).is_connected());
}

TEST(OldChannel, D3hALengthOf4GiBIsRefusedBeforeAnythingIsAllocated) {
  DialledByForeign mesh;
  const Bytes hostile{0, 1, 'k', 0, 0xff, 0xff, 0xff, 0xff, 'x'};
  const auto stream = mesh.peer.open(hostile, false);
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(mesh.peer.stopped.at(stream), 300U);
  EXPECT_EQ(mesh.stats().undecodable, 1U);
  mesh.peer.open(encoded(delta("next")), true);
  mesh.world.run_for(seconds(1));
  EXPECT_TRUE(mesh.heard().has("next")) << "the connection goes on";
}

TEST(OldChannel, TheReadLimitCountsInsideAFrameOnly) {
  DialledByForeign mesh;
  const auto quiet = mesh.peer.open(encoded(delta("quiet")), false);
  auto half = encoded(delta("half", 100));
  half.resize(50);
  const auto stalled = mesh.peer.open(half, false);
  mesh.world.run_for(seconds(29));
  EXPECT_TRUE(mesh.peer.stopped.empty());
  mesh.world.run_for(seconds(3));
  EXPECT_EQ(mesh.peer.stopped, (std::map<StreamId, std::uint64_t>{{stalled, 8}}));
  mesh.world.run_for(minutes(5));
  EXPECT_FALSE(mesh.peer.stopped.contains(quiet));
  EXPECT_TRUE(mesh.node.to(mesh.peer.host).is_connected());
}

TEST(OldChannel, ASlowFrameThatMovesIsNotStalled) {
  DialledByForeign mesh;
  const auto bytes = encoded(delta("slow", 10));
  const auto stream = *mesh.peer.connection->open_bidirectional();
  for (const auto byte : bytes) {
    ASSERT_TRUE(mesh.peer.connection->write(stream, Bytes{byte}, false));
    mesh.world.run_for(seconds(20));
  }
  EXPECT_TRUE(mesh.heard().has("slow"));
}

// Streams in the middle of a frame, more than are parsed at once.
TEST(OldChannel, StreamsBeyondTheLimitWaitAndThenGoOn) {
  Mesh mesh(1, {}, {milliseconds(5), milliseconds(0), 0, 0});
  mesh.limits.sync_streams_per_peer = 3;
  Node node(mesh, open_to_all());
  Foreign peer(mesh, Reads::on);
  peer.dial(node);
  mesh.world.run_for(seconds(3));
  std::vector<std::pair<StreamId, Bytes>> rests;
  for (int i = 0; i < 8; ++i) {
    auto bytes = encoded(delta("doc:" + std::to_string(i), 100));
    const Bytes rest(bytes.begin() + 50, bytes.end());
    bytes.resize(50);
    rests.emplace_back(peer.open(bytes, false), rest);
  }
  mesh.world.run_for(seconds(1));
  // The last ones are complete, but three others are at it.
  for (std::size_t i = 3; i < 8; ++i) {
    ASSERT_TRUE(peer.connection->write(rests[i].first, rests[i].second, true));
  }
  mesh.world.run_for(seconds(1));
  EXPECT_TRUE(node.heard(peer.host).keys.empty());
  ASSERT_TRUE(peer.connection->write(rests[0].first, rests[0].second, true));
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(node.heard(peer.host).keys.size(), 6U);
  // The two that never move run into the read limit and hold nobody up.
  mesh.world.run_for(seconds(40));
  EXPECT_EQ(node.to(peer.host).stats().streams_stopped, 2U);
}

TEST(OldChannel, BytesOfUnfinishedFramesAreBoundedAndOneFrameAlwaysGetsOn) {
  Mesh mesh;
  mesh.limits.sync_parse_bytes = 100'000;
  Node node(mesh, open_to_all());
  Foreign peer(mesh, Reads::on);
  peer.dial(node);
  mesh.world.run_for(seconds(3));
  std::vector<StreamId> streams;
  for (int i = 0; i < 4; ++i) {
    auto bytes = encoded(delta("doc:" + std::to_string(i), 3'000'000));
    streams.push_back(peer.open(bytes, true));
  }
  // Without the bound all four would arrive side by side.
  ASSERT_TRUE(
      mesh.world.run_until([&] { return node.heard(peer.host).keys.size() == 1; }, minutes(1)));
  EXPECT_LT(node.to(peer.host).stats().bytes_received, 3'000'000U + 3 * 1'300'000U);
  mesh.world.run_for(minutes(3));
  EXPECT_EQ(node.heard(peer.host).keys.size(), 4U);
  EXPECT_EQ(node.to(peer.host).stats().streams_stopped, 0U);
}

TEST(OldChannel, AnUndecodableBatchIsCountedAndReadingGoesOn) {
  DialledByForeign mesh;
  const wire::Frame broken{std::string(wire::kBatchKey), wire::FrameType::batch, Bytes(5, 1)};
  auto bytes = encoded(broken);
  Bytes good;
  ASSERT_TRUE(wire::encode_batch_frame(batch("doc:good"), good));
  bytes.insert(bytes.end(), good.begin(), good.end());
  mesh.peer.open(bytes, true);
  mesh.world.run_for(seconds(1));
  EXPECT_TRUE(mesh.heard().has("doc:good"));
  EXPECT_EQ(mesh.stats().undecodable, 1U);
  EXPECT_EQ(mesh.stats().batches_received, 2U);
}

TEST(OldChannel, D3kReservedTypesAreSkipped) {
  DialledByForeign mesh;
  Bytes bytes;
  for (const auto type : Bytes{0x02, 0x03, 0x06, 0x0A, 0x00}) {
    auto frame = encoded(delta("doc:x"));
    frame[2 + 5] = type;
    bytes.insert(bytes.end(), frame.begin(), frame.end());
  }
  mesh.peer.open(bytes, true);
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(mesh.heard().keys.size(), 1U);
  EXPECT_EQ(mesh.stats().undecodable, 4U);
}

}  // namespace
}  // namespace peat::sync
