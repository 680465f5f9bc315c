// What scenarios rely on when they run in the simulated world.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/network.hpp"
#include "sim/world.hpp"

namespace peat::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using transport::CloseInfo;
using transport::Connection;
using transport::StreamId;

EndpointId id_of(std::uint8_t n) {
  EndpointId id;
  id.bytes.fill(n);
  return id;
}

// Remembers everything, consumes at once unless told otherwise.
struct Recorder final : transport::ConnectionHandler {
  std::shared_ptr<Connection> connection;
  std::map<StreamId, std::string> data;
  std::vector<StreamId> opened, finished, acknowledged, wanted;
  std::map<StreamId, std::uint64_t> resets, stops;
  int credits = 0;
  bool consume = true;
  std::optional<CloseInfo> closed;

  void attach(std::shared_ptr<Connection> c) {
    connection = std::move(c);
    connection->set_handler(this);
  }
  void on_stream_opened(Connection&, StreamId id) override { opened.push_back(id); }
  void on_data(Connection& c, StreamId id, ByteView bytes, bool fin) override {
    data[id] += as_text(bytes);
    if (consume) c.consumed(id, bytes.size());
    if (fin) finished.push_back(id);
  }
  void on_wants_data(Connection&, StreamId id) override { wanted.push_back(id); }
  void on_acknowledged(Connection&, StreamId id) override { acknowledged.push_back(id); }
  void on_reset(Connection&, StreamId id, std::uint64_t code) override { resets[id] = code; }
  void on_stop_sending(Connection&, StreamId id, std::uint64_t code) override { stops[id] = code; }
  void on_streams_available(Connection&) override { ++credits; }
  void on_closed(Connection&, const CloseInfo& info) override { closed = info; }
};

// Two hosts, one connection between them.
struct Pair {
  explicit Pair(std::uint64_t seed = 1, TransportOptions transport = {}, LinkOptions link = {})
      : world(seed), network(world, transport, link) {
    network.add_host(id_of(1), executor_a);
    network.add_host(id_of(2), executor_b);
    network.endpoint(1).listen({"x"}, [this](std::shared_ptr<Connection> c) { b.attach(c); });
  }
  void connect() {
    dial();
    world.run_for(seconds(1));
    ASSERT_TRUE(a.connection && b.connection);
    a.connection->mark_authenticated();
    b.connection->mark_authenticated();
    world.run_for(seconds(1));
  }
  void dial(const EndpointId& whom = id_of(2), std::vector<std::string> alpns = {"x"}) {
    network.endpoint(0).dial(whom, network.address(1), std::move(alpns), [this](auto result) {
      if (result) {
        a.attach(*result);
      } else {
        error = result.error();
      }
    });
  }

  World world;
  SimExecutor executor_a{world}, executor_b{world};
  Network network;
  Recorder a, b;
  std::optional<Error> error;
};

TEST(World, EventsRunInOrderOfTimeAndThenOfScheduling) {
  World world(1);
  std::string order;
  world.after(milliseconds(2), [&] { order += 'c'; });
  world.after(milliseconds(1), [&] { order += 'a'; });
  world.after(milliseconds(1), [&] { order += 'b'; });
  const auto gone = world.after(milliseconds(1), [&] { order += 'x'; });
  world.cancel(gone);
  world.run_for(milliseconds(5));
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(world.now().mono.time_since_epoch(), milliseconds(5));
}

TEST(World, AStoppedExecutorRunsNothingMore) {
  World world(1);
  SimExecutor executor(world);
  int ran = 0;
  executor.post([&] { ++ran; });
  executor.offload([&] { ++ran; }, [&] { ++ran; });
  executor.at(world.now().mono + seconds(1), [&] { ++ran; });
  world.run_for(milliseconds(1));
  executor.stop();
  world.run_for(seconds(2));
  EXPECT_EQ(ran, 1);
}

TEST(Network, AStreamArrivesWholeAndInOrderThoughPacketsOvertakeEachOther) {
  Pair pair(7, {}, {milliseconds(20), milliseconds(15), 0, 0.1});
  pair.connect();
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += static_cast<char>('a' + i % 23);
  const auto stream = *pair.a.connection->open_bidirectional();
  ASSERT_TRUE(pair.a.connection->write(stream, as_bytes(text), true));
  pair.world.run_for(seconds(30));
  EXPECT_EQ(pair.b.data[stream], text);
  EXPECT_EQ(pair.b.finished, std::vector{stream});
  EXPECT_EQ(pair.a.acknowledged, std::vector{stream});
  EXPECT_EQ(pair.a.connection->unacknowledged(stream), 0U);
  EXPECT_GT(pair.network.faults_happened().at(Fault::packet_overtaken), 0U);
  EXPECT_GT(pair.network.faults_happened().at(Fault::packet_lost), 0U);
}

TEST(Network, BandwidthTakesItsTimeAndTheSenderIsAskedForMore) {
  Pair pair(1, {}, {milliseconds(5), milliseconds(0), 100'000, 0});
  pair.connect();
  const auto stream = *pair.a.connection->open_bidirectional();
  const Bytes megabyte(1'000'000, 1);
  ASSERT_TRUE(pair.a.connection->write(stream, megabyte, false));
  EXPECT_FALSE(pair.a.connection->wants_data(stream));
  pair.world.run_for(seconds(5));
  EXPECT_LT(pair.b.data[stream].size(), 600'000U);
  pair.world.run_for(seconds(7));
  EXPECT_EQ(pair.b.data[stream].size(), megabyte.size());
  EXPECT_TRUE(pair.a.connection->wants_data(stream));
  EXPECT_EQ(pair.a.wanted, std::vector{stream});
}

TEST(Network, AReceiverThatDoesNotConsumeHoldsTheSender) {
  Pair pair;
  pair.connect();
  pair.b.consume = false;
  const auto stream = *pair.a.connection->open_bidirectional();
  ASSERT_TRUE(pair.a.connection->write(stream, Bytes(3'000'000, 1), false));
  pair.world.run_for(seconds(20));
  const auto held = pair.b.data[stream].size();
  EXPECT_LE(held, 1'250'000U);
  pair.b.consume = true;
  pair.b.connection->consumed(stream, held);
  pair.world.run_for(seconds(20));
  EXPECT_EQ(pair.b.data[stream].size(), 3'000'000U);
}

TEST(Network, AnUnprovenPeerGetsFourStreamsAnd64KiB) {
  Pair pair;
  pair.dial();
  pair.world.run_for(seconds(1));
  pair.b.consume = false;
  StreamId last = 0;
  for (int i = 0; i < 4; ++i) last = *pair.a.connection->open_bidirectional();
  EXPECT_EQ(pair.a.connection->open_bidirectional().error().code, Code::would_block);
  ASSERT_TRUE(pair.a.connection->write(last, Bytes(200'000, 1), false));
  pair.world.run_for(seconds(2));
  EXPECT_EQ(pair.b.data[last].size(), 64U << 10);
  EXPECT_EQ(pair.b.opened.size(), 4U);

  pair.b.connection->mark_authenticated();
  pair.world.run_for(seconds(2));
  EXPECT_EQ(pair.b.data[last].size(), 200'000U);
  EXPECT_EQ(pair.a.credits, 1);
  EXPECT_TRUE(pair.a.connection->open_bidirectional());
}

TEST(Network, CreditComesBackWhenBothHalvesOfAStreamEnd) {
  Pair pair;
  pair.connect();
  std::vector<StreamId> streams;
  for (;;) {
    const auto stream = pair.a.connection->open_unidirectional();
    if (!stream) break;
    ASSERT_TRUE(pair.a.connection->write(*stream, as_bytes("x"), true));
  }
  EXPECT_EQ(pair.network.faults_happened().at(Fault::stream_credit_used_up), 1U);
  pair.world.run_for(seconds(1));
  EXPECT_EQ(pair.b.finished.size(), 100U);
  EXPECT_TRUE(pair.a.connection->open_unidirectional());
}

TEST(Network, StopSendingResetsTheOtherSideAndTellsIt) {
  Pair pair;
  pair.connect();
  const auto stream = *pair.a.connection->open_bidirectional();
  ASSERT_TRUE(pair.a.connection->write(stream, as_bytes("hello"), false));
  pair.world.run_for(seconds(1));
  pair.b.connection->stop_sending(stream, 5);
  pair.world.run_for(seconds(1));
  EXPECT_EQ(pair.a.stops.at(stream), 5U);
  EXPECT_EQ(pair.b.resets.at(stream), 5U);
  EXPECT_FALSE(pair.a.connection->write(stream, as_bytes("more"), false));
}

TEST(Network, ACloseDeliversWhatIsQueuedAndItsReason) {
  Pair pair;
  pair.connect();
  const auto stream = *pair.a.connection->open_bidirectional();
  ASSERT_TRUE(pair.a.connection->write(stream, as_bytes("last words"), true));
  pair.a.connection->close(42, "done");
  EXPECT_FALSE(pair.a.closed) << "never from inside the call";
  pair.world.run_for(seconds(1));
  EXPECT_EQ(pair.b.data[stream], "last words");
  ASSERT_TRUE(pair.a.closed && pair.b.closed);
  EXPECT_EQ(pair.a.closed->kind, CloseInfo::Kind::local);
  EXPECT_EQ(pair.b.closed->kind, CloseInfo::Kind::peer);
  EXPECT_EQ(pair.b.closed->code, 42U);
  EXPECT_EQ(pair.b.closed->reason, "done");
  EXPECT_EQ(pair.network.connections(0, 1), 0U);
}

TEST(Network, AShortCutDelaysAndALongOneEndsTheConnection) {
  Pair pair;
  pair.connect();
  const auto stream = *pair.a.connection->open_bidirectional();
  pair.network.cut(0, 1);
  ASSERT_TRUE(pair.a.connection->write(stream, as_bytes("through"), false));
  pair.world.run_for(seconds(10));
  EXPECT_EQ(pair.b.data[stream], "");
  pair.network.heal(0, 1);
  pair.world.run_for(seconds(1));
  EXPECT_EQ(pair.b.data[stream], "through");

  pair.network.cut(0, 1);
  pair.world.run_for(seconds(61));
  ASSERT_TRUE(pair.a.closed && pair.b.closed);
  EXPECT_EQ(pair.a.closed->kind, CloseInfo::Kind::idle_timeout);
}

TEST(Network, AHostThatComesBackAnswersOldConnectionsWithAReset) {
  Pair pair;
  pair.connect();
  pair.network.crash(1);
  EXPECT_FALSE(pair.b.closed) << "a crashed host hears nothing";
  SimExecutor second_life(pair.world);
  pair.network.restart(1, second_life);
  pair.world.run_for(seconds(15));
  ASSERT_TRUE(pair.a.closed);
  EXPECT_EQ(pair.a.closed->kind, CloseInfo::Kind::reset);
}

TEST(Network, AnIdleConnectionStaysUp) {
  Pair pair;
  pair.connect();
  pair.world.run_for(std::chrono::hours(1));
  EXPECT_FALSE(pair.a.closed);
  EXPECT_EQ(pair.network.connections(0, 1), 1U);
}

TEST(Network, DialsFailAsTheyDoInTheField) {
  Pair pair;
  pair.dial(id_of(9));
  pair.world.run_for(seconds(1));
  EXPECT_EQ(pair.error->code, Code::wrong_peer);
  pair.dial(id_of(2), {"y"});
  pair.world.run_for(seconds(1));
  EXPECT_EQ(pair.error->code, Code::protocol_refused);
  pair.network.cut(0, 1);
  pair.dial();
  pair.world.run_for(seconds(11));
  EXPECT_EQ(pair.error->code, Code::timeout);
  pair.network.heal(0, 1);
  pair.network.options(1).refuse_dials = 1.0;
  pair.dial();
  pair.world.run_for(seconds(1));
  EXPECT_EQ(pair.error->code, Code::connection_refused);
  EXPECT_FALSE(pair.a.connection);
}

std::uint64_t trace_of(std::uint64_t seed) {
  Pair pair(seed, {}, {milliseconds(20), milliseconds(15), 200'000, 0.05});
  pair.connect();
  const auto stream = *pair.a.connection->open_bidirectional();
  EXPECT_TRUE(pair.a.connection->write(stream, Bytes(50'000, 1), false));
  pair.world.run_for(milliseconds(60));
  pair.network.reset_random_stream();
  pair.world.run_for(seconds(5));
  pair.network.reset_random_connection();
  pair.world.run_for(seconds(5));
  EXPECT_TRUE(pair.a.closed);
  return pair.world.trace_hash();
}

TEST(Network, ARunRepeatsBitForBitFromItsSeed) {
  EXPECT_EQ(trace_of(3), trace_of(3));
  EXPECT_NE(trace_of(3), trace_of(4));
}

}  // namespace
}  // namespace peat::sim
