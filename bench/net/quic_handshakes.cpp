// What strangers cost: handshakes per second, both ends on one thread, and refusals of a flood
// while a member is served. Figures: bench/README.md.
#include <sys/resource.h>

#include <cstdio>

#include "../../tests/unit/net/net_testing.hpp"

namespace {

using namespace peat;
using namespace peat::net;
using namespace peat::net::testing;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void handshakes() {
  constexpr int kCount = 500;
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto before = cpu_seconds();
  for (int i = 0; i < kCount; ++i) {
    world.connect(a, b)->close(0, "");
    world.run_for(std::chrono::milliseconds(50));
  }
  const auto spent = cpu_seconds() - before;
  std::printf("%d handshakes, both ends: %.0f per second, %.0f us of CPU each\n", kCount,
              kCount / spent, spent / kCount * 1e6);
}

void refusals() {
  constexpr std::uint32_t kCount = 20'000;
  World world;
  auto& node = world.add();
  World::listen(node, {"test/1"}, false);
  std::vector<Bytes> initials;
  {
    World liars;
    auto& stand_in = liars.add({}, node.address, 1);
    auto& liar = liars.add({}, SocketAddress::v4(0x64000000U, 1), 50);
    liars.filter = [&](const SocketAddress&, const SocketAddress&, ByteView bytes) {
      initials.emplace_back(bytes.begin(), bytes.end());
      return false;
    };
    for (std::uint32_t i = 0; i < kCount; ++i) {
      liars.dial(liar, stand_in, node.core->id());
      liars.run_until([&] { return initials.size() > i; }, std::chrono::milliseconds(1));
    }
  }
  const auto before = cpu_seconds();
  for (std::uint32_t i = 0; i < kCount; ++i) {
    node.core->on_datagram(world.now, node.address, SocketAddress::v4(0x64000000U + i, 1), 0,
                           initials[i]);
    while (node.core->poll_transmit(world.now)) {
    }
  }
  const auto spent = cpu_seconds() - before;
  std::printf("%u first datagrams of strangers: %.0f per second of CPU, %.2f us each\n", kCount,
              kCount / spent, spent / kCount * 1e6);
}

}  // namespace

int main() {
  handshakes();
  refusals();
  return 0;
}
