// Two protocol cores exchange datagrams in virtual time: everything that streams promise.
#include <gtest/gtest.h>

#include "net_testing.hpp"

namespace peat::net {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(QuicStreams, EchoOverALossyDuplicatingReorderingLink) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    world.link = {0.05, 0.02, milliseconds(20), milliseconds(10)};
    auto& a = world.add();
    auto& b = world.add();
    World::listen(b);
    b.recorder.echo = true;
    const auto connection = world.connect(a, b);
    ASSERT_TRUE(connection);
    EXPECT_EQ(connection->peer(), b.core->id());
    EXPECT_EQ(b.accepted.at(0)->peer(), a.core->id());
    EXPECT_EQ(connection->alpn(), "test/1");

    const auto data = pattern(300'000);
    std::vector<StreamId> streams;
    for (int i = 0; i < 4; ++i) {
      streams.push_back(connection->open_bidirectional().value());
      ASSERT_TRUE(connection->write(streams.back(), data, true));
    }
    ASSERT_TRUE(world.run_until([&] { return a.recorder.finished.size() == 4; }));
    for (const auto stream : streams) EXPECT_EQ(a.recorder.received[stream], data);
    EXPECT_GT(world.lost, 0U);
    EXPECT_GT(world.duplicated, 0U);
    EXPECT_GT(world.overtaken, 0U);
    EXPECT_GT(connection->stats().packets_lost, 0U);
  }
}

TEST(QuicStreams, AnEmptyWriteShowsTheStreamToThePeer) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto connection = world.connect(a, b);
  const auto stream = connection->open_bidirectional().value();
  world.run_for(seconds(1));
  EXPECT_TRUE(b.recorder.opened.empty());
  ASSERT_TRUE(connection->write(stream, {}, false));
  ASSERT_TRUE(world.run_until([&] { return b.recorder.opened.size() == 1; }, seconds(1)));
  EXPECT_EQ(b.recorder.opened[0], stream);
  // The acceptor may now speak first.
  ASSERT_TRUE(b.accepted[0]->write(stream, as_bytes("challenge"), false));
  ASSERT_TRUE(world.run_until([&] { return a.recorder.total() == 9; }, seconds(1)));
}

TEST(QuicStreams, UnidirectionalStreamsRunBothWays) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto connection = world.connect(a, b);
  const auto to_b = connection->open_unidirectional().value();
  const auto to_a = b.accepted[0]->open_unidirectional().value();
  ASSERT_TRUE(connection->write(to_b, as_bytes("heartbeat"), true));
  ASSERT_TRUE(b.accepted[0]->write(to_a, as_bytes("answer"), true));
  ASSERT_TRUE(world.run_until([&] { return a.recorder.ended(to_a) && b.recorder.ended(to_b); }));
  EXPECT_EQ(as_text(b.recorder.received[to_b]), "heartbeat");
  EXPECT_EQ(as_text(a.recorder.received[to_a]), "answer");
  EXPECT_FALSE(b.accepted[0]->write(to_b, as_bytes("no way back"), false));
  world.run_for(seconds(1));
  EXPECT_EQ(a.recorder.acknowledged, std::vector<StreamId>{to_b});
}

TEST(QuicStreams, AThousandStreamsInSequenceDoNotRunOutOfCredit) {
  World world;
  world.link.delay = milliseconds(1);
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  b.recorder.echo = true;
  const auto connection = world.connect(a, b);
  for (std::size_t i = 1; i <= 1000; ++i) {
    auto stream = connection->open_bidirectional();
    if (!stream) {
      EXPECT_EQ(stream.error().code, Code::would_block);
      const auto before = a.recorder.streams_available;
      ASSERT_TRUE(world.run_until([&] { return a.recorder.streams_available > before; }));
      stream = connection->open_bidirectional();
    }
    ASSERT_TRUE(stream) << i;
    ASSERT_TRUE(connection->write(*stream, as_bytes("hello"), true));
    ASSERT_TRUE(world.run_until([&] { return a.recorder.finished.size() == i; })) << i;
    EXPECT_EQ(as_text(a.recorder.received[*stream]), "hello");
  }
}

TEST(QuicStreams, ASlowReaderHoldsTheSenderBackAndMemoryStaysBounded) {
  World world;
  world.link.delay = milliseconds(5);
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  b.recorder.consume = false;
  const auto connection = world.connect(a, b);
  const auto stream = connection->open_bidirectional().value();
  constexpr std::size_t kTotal = 20'000'000;
  const auto data = pattern(kTotal);
  ASSERT_TRUE(connection->write(stream, data, true));
  std::size_t consumed = 0;
  const auto window = Limits{}.net_connection_window_bytes;
  while (!b.recorder.ended(stream)) {
    const auto before = b.recorder.total();
    world.run_for(milliseconds(100));
    const auto held = b.recorder.total() - consumed;
    ASSERT_LE(held, window) << "the peer was let ahead of the reader";
    ASSERT_TRUE(b.recorder.total() > before || held > 0) << "the transfer is stuck";
    const auto take = std::min<std::size_t>(held, 500'000);
    b.accepted[0]->consumed(stream, take);
    consumed += take;
  }
  EXPECT_EQ(b.recorder.received[stream], data);
}

// Design rule 3: the sender learns when the stream can take the next message.
TEST(QuicStreams, WantsDataWhenLessThanAPacketIsUnsent) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto connection = world.connect(a, b);
  const auto stream = connection->open_bidirectional().value();
  EXPECT_TRUE(connection->wants_data(stream));
  ASSERT_TRUE(connection->write(stream, pattern(100'000), false));
  EXPECT_FALSE(connection->wants_data(stream));
  EXPECT_EQ(connection->unsent(stream), 100'000U);
  EXPECT_EQ(connection->unacknowledged(stream), 100'000U);
  ASSERT_TRUE(world.run_until([&] { return !a.recorder.wants.empty(); }));
  EXPECT_TRUE(connection->wants_data(stream));
  EXPECT_LT(connection->unsent(stream), 1500U);
  ASSERT_TRUE(world.run_until([&] { return connection->unacknowledged(stream) == 0; }));
  EXPECT_EQ(a.recorder.wants.size(), 1U) << "announced once, not with every packet";
}

TEST(QuicStreams, ResetReachesThePeerWithItsCode) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto connection = world.connect(a, b);
  const auto stream = connection->open_bidirectional().value();
  ASSERT_TRUE(connection->write(stream, as_bytes("half a message"), false));
  ASSERT_TRUE(world.run_until([&] { return b.recorder.total() > 0; }));
  connection->reset(stream, 77);
  ASSERT_TRUE(world.run_until([&] { return b.recorder.resets.contains(stream); }));
  EXPECT_EQ(b.recorder.resets[stream], 77U);
  const auto after = connection->write(stream, as_bytes("more"), false);
  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().code, Code::not_found);
  // The other half goes on.
  ASSERT_TRUE(b.accepted[0]->write(stream, as_bytes("reply"), true));
  ASSERT_TRUE(world.run_until([&] { return a.recorder.ended(stream); }));
}

TEST(QuicStreams, StopSendingReachesThePeerWithItsCode) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  b.recorder.consume = false;
  const auto connection = world.connect(a, b);
  const auto stream = connection->open_bidirectional().value();
  ASSERT_TRUE(connection->write(stream, pattern(5'000'000), false));
  ASSERT_TRUE(world.run_until([&] { return b.recorder.total() > 100'000; }));
  b.accepted[0]->stop_sending(stream, 9);
  ASSERT_TRUE(world.run_until([&] { return a.recorder.stops.contains(stream); }));
  EXPECT_EQ(a.recorder.stops[stream], 9U);
  EXPECT_EQ(connection->unsent(stream), 0U) << "what nobody reads is not kept";
  EXPECT_FALSE(connection->write(stream, as_bytes("more"), false));
}

// What a stream that was given up had received must not stay counted against the connection.
TEST(QuicStreams, ResetAndStoppedStreamsGiveTheirWindowBack) {
  World world;
  world.link.delay = milliseconds(1);
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  b.recorder.consume = false;
  const auto connection = world.connect(a, b);
  for (int i = 0; i < 40; ++i) {  // 40 times 1 MB, against a window of 8 MiB at most
    const auto stream = connection->open_bidirectional().value();
    ASSERT_TRUE(connection->write(stream, pattern(1'000'000), false));
    ASSERT_TRUE(world.run_until([&] { return b.recorder.received[stream].size() > 600'000; }));
    if (i % 2 == 0) {
      connection->reset(stream, 1);
      ASSERT_TRUE(world.run_until([&] { return b.recorder.resets.contains(stream); }));
    } else {
      b.accepted[0]->stop_sending(stream, 1);
      ASSERT_TRUE(world.run_until([&] { return a.recorder.stops.contains(stream); }));
    }
    ASSERT_TRUE(b.accepted[0]->write(stream, {}, true));
    world.run_for(milliseconds(50));
  }
}

TEST(QuicStreams, ManySmallStreamsShareAPacket) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto connection = world.connect(a, b);
  world.run_for(seconds(1));
  const auto before = a.core->stats().datagrams_sent;
  for (int i = 0; i < 30; ++i) {
    const auto stream = connection->open_unidirectional().value();
    ASSERT_TRUE(connection->write(stream, as_bytes("a small message"), true));
  }
  ASSERT_TRUE(world.run_until([&] { return b.recorder.finished.size() == 30; }));
  EXPECT_LE(a.core->stats().datagrams_sent - before, 4U);
}

TEST(QuicStreams, AFatLongLinkIsFilled) {
  World world;
  world.link.delay = milliseconds(50);  // 100 ms there and back
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto connection = world.connect(a, b);
  const auto stream = connection->open_bidirectional().value();
  ASSERT_TRUE(connection->write(stream, pattern(60'000'000), true));
  const auto start = world.now;
  ASSERT_TRUE(world.run_until([&] { return b.recorder.ended(stream); }));
  // With the first window of 1.25 MiB for ever it would be 12.5 MB/s: 4.8 s.
  EXPECT_LT(world.now - start, seconds(3));
  EXPECT_GT(b.core->stats().window_bytes, QuicConnection::kAuthenticatedWindow);
}

}  // namespace
}  // namespace peat::net
