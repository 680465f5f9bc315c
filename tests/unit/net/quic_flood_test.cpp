// Ten thousand strangers at once: those who never answer, and those who finish TLS and then say
// nothing. Members are served meanwhile, and memory ends where the limits say.
#include <gtest/gtest.h>

#include <malloc.h>

#include "net_testing.hpp"

namespace peat::net {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kStrangers = 10'000;

SocketAddress stranger_at(std::uint32_t n) { return SocketAddress::v4(0x64000000U + n, 1); }

// The first datagrams of connections that nobody will go on with, each from another address.
std::vector<Bytes> first_datagrams(const World::Node& target, std::uint32_t count) {
  std::vector<Bytes> out;
  World liars;
  auto& stand_in = liars.add({}, target.address, 1);
  auto& liar = liars.add({}, stranger_at(0), 50);
  liars.filter = [&](const SocketAddress&, const SocketAddress&, ByteView bytes) {
    out.emplace_back(bytes.begin(), bytes.end());
    return false;
  };
  for (std::uint32_t i = 0; i < count; ++i) {
    liars.dial(liar, stand_in, target.core->id());
    liars.run_until([&] { return out.size() > i; }, milliseconds(1));
  }
  out.resize(count);
  return out;
}

class Flood : public ::testing::Test {
 protected:
  Flood() {
    World::listen(node, {"test/1"}, false);
    node.recorder.echo = true;
    connection = world.connect(member, node);
    node.accepted.front()->mark_authenticated();
    stream = connection->open_bidirectional().value();
  }
  // A word of the member's that comes back; false if it takes more than a second.
  bool served() {
    const auto before = member.recorder.received[stream].size();
    EXPECT_TRUE(connection->write(stream, pattern(100), false));
    return world.run_until([&] { return member.recorder.received[stream].size() >= before + 100; },
                           seconds(1));
  }

  World world;
  World::Node& node = world.add();
  World::Node& member = world.add();
  std::shared_ptr<Connection> connection;
  StreamId stream = 0;
};

TEST_F(Flood, D07TenThousandHalfOpenConnectionsTakeNothingFromMembers) {
  const auto initials = first_datagrams(node, kStrangers);
  ASSERT_TRUE(served());
  const auto before = ::mallinfo2().uordblks;
  std::size_t most = 0;
  for (std::uint32_t i = 0; i < kStrangers; ++i) {
    node.core->on_datagram(world.now, node.address, stranger_at(i), 0, initials[i]);
    if (i % 500 != 0) continue;
    EXPECT_TRUE(served()) << "after " << i;
    most = std::max(most, ::mallinfo2().uordblks);
    EXPECT_LE(node.core->stats().unauthenticated_connections,
              Limits{}.net_unauthenticated_connections);
  }
  EXPECT_LT(most - std::min(most, before), std::size_t{16} << 20);
  EXPECT_FALSE(node.recorder.closed);
  // And an honest newcomer comes in all the same: it answers the Retry.
  auto& newcomer = world.add({}, SocketAddress::v4(0x0a0a0a0aU, 1), 77);
  EXPECT_NE(world.connect(newcomer, node), nullptr);
}

TEST_F(Flood, D07StrangersWhoFinishTlsAndSayNothingFillTheirPlacesAlone) {
  auto& crowd = world.add({}, SocketAddress::v4(0x7f000001U, 9), 60);  // exempt per address
  constexpr std::size_t kTries = 500;
  for (std::size_t i = 0; i < kTries; ++i) {
    world.dial(crowd, node, node.core->id());
    world.run_until([&] { return crowd.dialled.size() + crowd.dial_errors.size() > i; });
    if (i % 50 == 0) {
      EXPECT_TRUE(served()) << "after " << i;
    }
  }
  EXPECT_EQ(crowd.dialled.size(), Limits{}.net_unauthenticated_connections);
  EXPECT_EQ(crowd.dial_errors.size(), kTries - crowd.dialled.size());
  EXPECT_TRUE(served());
}

}  // namespace
}  // namespace peat::net
