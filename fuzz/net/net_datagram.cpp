// Datagrams from strangers to a listening endpoint. Input: datagrams, each after its length as a
// big-endian u16. Whatever comes: no more than three times as many bytes go back (RFC 9000
// section 8.1), nobody is accepted without a handshake, and in the end everything is forgotten.
#include <sodium.h>

#include <cstdlib>

#include "../report.hpp"
#include "net/quic_core.hpp"

namespace {

using namespace peat;
using namespace peat::net;

CoreOptions options(Random& random) {
  std::array<std::uint8_t, 32> seed{};
  std::array<std::uint8_t, 64> secret{};
  CoreOptions out;
  crypto_sign_seed_keypair(out.id.bytes.data(), secret.data(), seed.data());
  out.sign = [secret](ByteView message) {
    Bytes signature(64);
    crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret.data());
    return signature;
  };
  out.random = &random;
  out.limits.net_retry_above_handshakes = 2;
  return out;
}

std::size_t drain(QuicCore& core, Instant now) {
  std::size_t bytes = 0;
  while (const auto out = core.poll_transmit(now)) bytes += out->data.size();
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("net_datagram");
  SeededRandom random(1);
  const auto core = QuicCore::create(options(random)).value();
  bool accepted = false;
  core->listen({"fuzz"}, [&](auto) { accepted = true; });
  const auto local = SocketAddress::v4(0x7f000001, 1);
  const auto remote = SocketAddress::v4(0xc0000201, 2);
  Instant now{std::chrono::seconds(1)};
  ByteView rest(data, size);
  std::size_t in = 0;
  std::size_t out = 0;
  bool handshake = false;
  while (rest.size() > 2) {
    const std::size_t length = std::size_t{rest[0]} << 8 | rest[1];
    rest = rest.subspan(2);
    const auto datagram = rest.first(std::min(length, rest.size()));
    rest = rest.subspan(datagram.size());
    in += datagram.size();
    core->on_datagram(now, local, remote, 0, datagram);
    out += drain(*core, now);
    handshake = handshake || core->stats().connections > 0;
    now += std::chrono::milliseconds(1);
    if (out > 3 * in) std::abort();
  }
  report.input(handshake);
  for (int i = 0; i < 1000 && core->next_timeout() != kNever; ++i) {
    now = core->next_timeout();
    core->on_timeout(now);
    out += drain(*core, now);
    if (out > 3 * in) std::abort();
  }
  const auto stats = core->stats();
  if (accepted || stats.connections + stats.lingering_connections + stats.window_bytes != 0) {
    std::abort();
  }
  return 0;
}
