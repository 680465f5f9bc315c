// What strangers and peers can make grow ends at the limits of the table; each is exceeded here.
#include <gtest/gtest.h>

#include "net_testing.hpp"

namespace peat::net {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

SocketAddress address(std::uint32_t ip, std::uint16_t port) { return SocketAddress::v4(ip, port); }

// Adds nodes that dial `to` and stay strangers; returns how many were accepted, refused.
struct Crowd {
  explicit Crowd(World& w, World::Node& target) : world(w), to(target) {}

  void dial_from(const SocketAddress& from) {
    auto& node = world.add({}, from, static_cast<std::uint8_t>(100 + nodes.size() % 100));
    nodes.push_back(&node);
    world.dial(node, to, to.core->id());
    world.run_until([&] { return !node.dialled.empty() || !node.dial_errors.empty(); });
    world.run_for(milliseconds(50));  // the acceptor completes after the dialler
  }
  std::size_t refused() const {
    std::size_t n = 0;
    for (const auto* node : nodes) {
      for (const auto& error : node->dial_errors) {
        EXPECT_EQ(error.code, Code::connection_refused) << error.message;
        ++n;
      }
    }
    return n;
  }

  World& world;
  World::Node& to;
  std::vector<World::Node*> nodes;
};

TEST(NetLimits, FourStrangersPerAddress) {
  World world;
  auto& b = world.add();
  World::listen(b, {"test/1"}, false);
  Crowd crowd(world, b);
  for (std::uint16_t i = 0; i < 7; ++i) crowd.dial_from(address(0xc0000201U, 1000 + i));
  EXPECT_EQ(b.accepted.size(), 4U);
  EXPECT_EQ(crowd.refused(), 3U);
  EXPECT_EQ(b.core->stats().refused_for_address, 3U);
  // Another address is not affected, and a place that gets free can be taken.
  crowd.dial_from(address(0xc0000202U, 1));
  EXPECT_EQ(b.accepted.size(), 5U);
  b.accepted[0]->close(0, "");
  world.run_for(seconds(1));
  crowd.dial_from(address(0xc0000201U, 2000));
  EXPECT_EQ(b.accepted.size(), 6U);
  // Proving membership frees a place, too, and exempts the address.
  b.accepted[1]->mark_authenticated();
  for (std::uint16_t i = 0; i < 6; ++i) crowd.dial_from(address(0xc0000201U, 3000 + i));
  EXPECT_EQ(b.accepted.size(), 12U);
}

TEST(NetLimits, AnIpv6PrefixCountsAsOneAddress) {
  World world;
  auto& b = world.add({}, SocketAddress::parse("[2001:db8::1]:1").value());
  World::listen(b, {"test/1"}, false);
  Crowd crowd(world, b);
  for (int i = 1; i <= 6; ++i) {
    const auto text = "[2001:db8:0:7::" + std::to_string(i) + "]:1";
    crowd.dial_from(SocketAddress::parse(text).value());
  }
  EXPECT_EQ(b.accepted.size(), 4U);
  crowd.dial_from(SocketAddress::parse("[2001:db8:0:8::1]:1").value());
  EXPECT_EQ(b.accepted.size(), 5U);
}

TEST(NetLimits, LoopbackIsExemptPerAddressAndSixtyFourStrangersAreAllThereCanBe) {
  World world;
  auto& b = world.add();
  World::listen(b, {"test/1"}, false);
  Crowd crowd(world, b);
  for (std::uint16_t i = 0; i < 64; ++i) crowd.dial_from(address(0x7f000001U, 1000 + i));
  EXPECT_EQ(b.accepted.size(), 64U);
  EXPECT_EQ(crowd.refused(), 0U);
  crowd.dial_from(address(0x7f000001U, 2000));
  crowd.dial_from(address(0x0a090909U, 1));
  EXPECT_EQ(b.accepted.size(), 64U);
  EXPECT_EQ(crowd.refused(), 2U);
  EXPECT_EQ(b.core->stats().refused_connections, 2U);
  for (std::size_t i = 0; i < 10; ++i) b.accepted[i]->mark_authenticated();
  crowd.dial_from(address(0x0a090909U, 2));
  EXPECT_EQ(b.accepted.size(), 65U);
  EXPECT_EQ(b.core->stats().unauthenticated_connections, 55U);
}

// Forged source addresses must not take the places of those who are really there.
TEST(NetLimits, ManyOpenHandshakesMakeNewcomersProveTheirAddress) {
  World world;
  auto& b = world.add();
  World::listen(b, {"test/1"}, false);
  // 40 handshakes from addresses that never answer.
  world.filter = [&](const SocketAddress& from, const SocketAddress& to, ByteView) {
    return from == b.address || to == b.address;
  };
  std::vector<Bytes> initials;
  {
    World liars;
    auto& target = liars.add({}, b.address, 1);
    liars.filter = [&](const SocketAddress&, const SocketAddress&, ByteView bytes) {
      initials.emplace_back(bytes.begin(), bytes.end());
      return false;
    };
    for (std::uint32_t i = 0; i < 40; ++i) {
      auto& liar = liars.add({}, address(0xcb007100U + i, 1), 50);
      liars.dial(liar, target, target.core->id());
      liars.run_for(milliseconds(1));
    }
  }
  ASSERT_EQ(initials.size(), 40U);
  for (std::uint32_t i = 0; i < 40; ++i) {
    b.core->on_datagram(world.now, b.address, address(0xcb007100U + i, 1), 0, initials[i]);
  }
  EXPECT_EQ(b.core->stats().connections, Limits{}.net_retry_above_handshakes);
  EXPECT_EQ(b.core->stats().retries_sent, 40 - Limits{}.net_retry_above_handshakes);
  // An honest newcomer answers the Retry and gets in.
  Crowd crowd(world, b);
  crowd.dial_from(address(0x0a000063U, 1));
  EXPECT_EQ(b.accepted.size(), 1U);
  EXPECT_EQ(crowd.refused(), 0U);
  // The forged ones are forgotten when their time is over.
  world.run_for(seconds(20));
  EXPECT_EQ(b.core->stats().connections, 1U);
  EXPECT_EQ(b.core->stats().unauthenticated_connections, 1U);
}

TEST(NetLimits, ARetryTokenServesItsOwnAddressOnly) {
  World world;
  CoreOptions strict;
  strict.limits.net_retry_above_handshakes = 0;
  auto& a = world.add();
  auto& b = world.add(strict);
  World::listen(b);
  std::vector<Bytes> sent;
  world.filter = [&](const SocketAddress& from, const SocketAddress&, ByteView bytes) {
    if (from == a.address) sent.emplace_back(bytes.begin(), bytes.end());
    return true;
  };
  world.connect(a, b);
  EXPECT_EQ(b.core->stats().retries_sent, 1U);
  ASSERT_GE(sent.size(), 2U);
  // The second Initial, with the token, as if from elsewhere, at a third endpoint's twin.
  World other;
  auto& twin = other.add(strict, b.address, 2);
  World::listen(twin);
  twin.core->on_datagram(other.now, b.address, address(0x08080808U, 1), 0, sent[1]);
  EXPECT_EQ(twin.core->stats().connections, 0U);
}

TEST(NetLimits, AStrangerGetsSixtyFourKibibytesAndFourStreams) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b, {"test/1"}, false);
  b.recorder.consume = false;
  const auto connection = world.connect(a, b);
  for (int i = 0; i < 4; ++i) {
    const auto stream = connection->open_bidirectional();
    ASSERT_TRUE(stream) << i;
    ASSERT_TRUE(connection->write(*stream, pattern(100'000), true));
  }
  EXPECT_EQ(connection->open_bidirectional().error().code, Code::would_block);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(connection->open_unidirectional()) << i;
  EXPECT_EQ(connection->open_unidirectional().error().code, Code::would_block);
  world.run_for(seconds(5));
  EXPECT_EQ(b.recorder.total(), 64U << 10);
  // Once it has proved itself everything flows.
  b.accepted[0]->mark_authenticated();
  ASSERT_TRUE(world.run_until([&] { return b.recorder.finished.size() == 4; }, seconds(5)));
  EXPECT_EQ(b.recorder.total(), 400'000U);
  EXPECT_GT(a.recorder.streams_available, 0);
  EXPECT_TRUE(connection->open_bidirectional());
}

TEST(NetLimits, AStrangersStreamsAreNotRenewedAsTheyEnd) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b, {"test/1"}, false);
  const auto connection = world.connect(a, b);
  int opened = 0;
  for (int i = 0; i < 10; ++i) {
    const auto stream = connection->open_unidirectional();
    if (!stream) break;
    ++opened;
    ASSERT_TRUE(connection->write(*stream, as_bytes("x"), true));
    world.run_for(seconds(1));
  }
  EXPECT_EQ(opened, 4);
  b.accepted[0]->mark_authenticated();
  world.run_for(seconds(1));
  for (std::uint64_t i = 0; i < Limits{}.net_streams; ++i) {
    ASSERT_TRUE(connection->open_unidirectional()) << i;
  }
  EXPECT_FALSE(connection->open_unidirectional());
}

TEST(NetLimits, AMembersStreamsEndAtAHundredAtOnceAndUnreadOnesStillCount) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  b.recorder.consume = false;
  const auto connection = world.connect(a, b);
  world.run_for(seconds(1));
  std::uint64_t opened = 0;
  while (opened < 500) {
    const auto stream = connection->open_unidirectional();
    if (!stream) {
      world.run_for(seconds(1));
      if (!connection->open_unidirectional()) break;
      continue;
    }
    ++opened;
    ASSERT_TRUE(connection->write(*stream, as_bytes("unread"), true));
  }
  EXPECT_EQ(opened, Limits{}.net_streams);
  for (const auto stream : b.recorder.finished) b.accepted[0]->consumed(stream, 6);
  world.run_for(seconds(1));
  EXPECT_TRUE(connection->open_unidirectional());
}

// The QUIC library keeps a record of each for as long as the connection lives.
TEST(NetLimits, AConnectionEndsAfterItsShareOfUnidirectionalStreams) {
  World world;
  world.link.delay = milliseconds(1);
  CoreOptions small;
  small.limits.net_unidirectional_streams = 1000;
  auto& a = world.add();
  auto& b = world.add(small);
  World::listen(b);
  const auto connection = world.connect(a, b);
  int sent = 0;
  while (!a.recorder.closed && sent < 2000) {
    if (const auto stream = connection->open_unidirectional()) {
      ASSERT_TRUE(connection->write(*stream, as_bytes("heartbeat"), true));
      ++sent;
    } else {
      world.run_for(milliseconds(5));
    }
  }
  ASSERT_TRUE(a.recorder.closed);
  EXPECT_EQ(a.recorder.closed->kind, CloseInfo::Kind::peer);
  EXPECT_EQ(a.recorder.closed->code, QuicConnection::kRenewCode);
  EXPECT_EQ(b.recorder.finished.size(), 1000U);
}

TEST(NetLimits, AConnectionsWindowEndsAtItsLimit) {
  World world;
  CoreOptions small;
  small.limits.net_connection_window_bytes = 300'000;
  auto& a = world.add();
  auto& b = world.add(small);
  World::listen(b);
  b.recorder.consume = false;
  const auto connection = world.connect(a, b);
  for (int i = 0; i < 3; ++i) {
    const auto stream = connection->open_unidirectional().value();
    ASSERT_TRUE(connection->write(stream, pattern(200'000), true));
  }
  world.run_for(seconds(5));
  EXPECT_EQ(b.recorder.total(), 300'000U);
  EXPECT_EQ(b.core->stats().window_bytes, 300'000U);
}

TEST(NetLimits, AllWindowsTogetherEndAtTheTotalAndComeBack) {
  World world;
  CoreOptions small;
  small.limits.net_total_window_bytes = 3'000'000;
  auto& b = world.add(small);
  World::listen(b);
  std::vector<World::Node*> peers;
  for (int i = 0; i < 6; ++i) {
    auto& peer = world.add();
    world.connect(peer, b);
    peers.push_back(&peer);
    ASSERT_LE(b.core->stats().window_bytes, 3'000'000U + 6 * (64U << 10));
  }
  EXPECT_GE(b.core->stats().window_bytes, 3'000'000U);
  // The last ones have a stranger's window; they still work.
  b.recorder.echo = true;
  const auto stream = peers.back()->dialled[0]->open_bidirectional().value();
  ASSERT_TRUE(peers.back()->dialled[0]->write(stream, pattern(500'000), true));
  ASSERT_TRUE(world.run_until([&] { return peers.back()->recorder.ended(stream); }));
  for (auto& connection : b.accepted) connection->close(0, "");
  world.run_for(seconds(1));
  EXPECT_EQ(b.core->stats().window_bytes, 0U);
}

TEST(NetLimits, StatelessRepliesPerSecondAreLimited) {
  World world;
  CoreOptions quiet;
  quiet.limits.net_stateless_replies_per_second = 10;
  auto& b = world.add(quiet);
  World::listen(b);
  SeededRandom random(7);
  Bytes stray(100);
  for (int i = 0; i < 50; ++i) {
    random.fill(stray);
    stray[0] = 0x40;
    b.core->on_datagram(world.now, b.address, address(0x08080808U, 1), 0, stray);
  }
  EXPECT_EQ(b.core->stats().stateless_resets_sent, 10U);
  EXPECT_EQ(b.core->stats().replies_suppressed, 40U);
  world.run_for(seconds(2));
  b.core->on_datagram(world.now, b.address, address(0x08080808U, 1), 0, stray);
  EXPECT_EQ(b.core->stats().stateless_resets_sent, 11U);
}

// Or two endpoints that know nothing of each other would answer for ever.
TEST(NetLimits, AResetIsSmallerThanWhatCausedIt) {
  World world;
  auto& b = world.add();
  World::listen(b);
  for (std::size_t size = 0; size <= 1500; ++size) {
    b.core->on_datagram(world.now, b.address, address(0x08080808U, 1), 0, Bytes(size, 0x40));
    const auto out = b.core->poll_transmit(world.now);
    world.now += milliseconds(1);
    EXPECT_EQ(out.has_value(), size >= 22) << size;
    if (out) {
      EXPECT_LT(out->data.size(), size);
    }
  }
}

TEST(NetLimits, ClosedConnectionsThatLingerAreLimited) {
  World world;
  CoreOptions small;
  small.limits.net_lingering_connections = 3;
  auto& a = world.add();
  auto& b = world.add(small);
  World::listen(b);
  for (int i = 0; i < 5; ++i) {
    world.connect(a, b)->close(0, "");
    world.run_for(milliseconds(11));
  }
  EXPECT_EQ(b.core->stats().lingering_connections, 3U);
  world.run_for(seconds(10));
  EXPECT_EQ(b.core->stats().lingering_connections, 0U);
}

TEST(VersionNegotiation, AnUnknownVersionIsToldWhatWeSpeak) {
  World world;
  auto& b = world.add();
  World::listen(b);
  Bytes packet(1200, 0);
  packet[0] = 0xc0;
  packet[1] = 0x0a, packet[2] = 0x0b, packet[3] = 0x0c, packet[4] = 0x0d;
  packet[5] = 8;
  packet[14] = 4;
  packet[15] = 0x77;
  b.core->on_datagram(world.now, b.address, address(0x08080808U, 1), 0, packet);
  const auto out = b.core->poll_transmit(world.now);
  ASSERT_TRUE(out);
  ASSERT_EQ(out->data.size(), 1U + 4 + 1 + 4 + 1 + 8 + 8);
  EXPECT_NE(out->data[0] & 0x80, 0);
  EXPECT_EQ(Bytes(out->data.begin() + 1, out->data.begin() + 5), Bytes(4, 0));
  EXPECT_EQ(out->data[6], 0x77) << "their source id is our destination";
  EXPECT_EQ(Bytes(out->data.end() - 4, out->data.end()), (Bytes{0, 0, 0, 1}));
  // Not in answer to a small packet, which would make us a loudspeaker.
  packet.resize(1100);
  b.core->on_datagram(world.now, b.address, address(0x08080808U, 1), 0, packet);
  EXPECT_FALSE(b.core->poll_transmit(world.now));
}

TEST(Robustness, GarbageIsDroppedWithoutAWord) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  b.recorder.echo = true;
  const auto connection = world.connect(a, b);
  std::vector<Bytes> real;
  world.filter = [&](const SocketAddress&, const SocketAddress&, ByteView bytes) {
    real.emplace_back(bytes.begin(), bytes.end());
    return true;
  };
  const auto stream = connection->open_bidirectional().value();
  ASSERT_TRUE(connection->write(stream, pattern(50'000), false));
  world.run_for(seconds(1));
  SeededRandom random(11);
  for (int i = 0; i < 5000; ++i) {
    Bytes packet = real[random.next_u64() % real.size()];
    const auto flips = 1 + random.next_u64() % 8;
    for (std::uint64_t k = 0; k < flips; ++k) {
      packet[random.next_u64() % packet.size()] ^= static_cast<std::uint8_t>(random.next_u64());
    }
    if (i % 3 == 0) packet.resize(random.next_u64() % (packet.size() + 1));
    b.core->on_datagram(world.now, b.address, a.address, 0, packet);
  }
  ASSERT_TRUE(connection->write(stream, as_bytes("after the storm"), true));
  ASSERT_TRUE(world.run_until([&] { return a.recorder.ended(stream); }));
  EXPECT_EQ(a.recorder.received[stream].size(), 50'015U);
  EXPECT_FALSE(b.recorder.closed);
}

}  // namespace
}  // namespace peat::net
