#include "net/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cstring>

namespace peat::net {
namespace {

std::uint64_t load64(const void* bytes) {
  std::uint64_t value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// Well spread for tables of addresses; the tables are bounded, so it need not be keyed.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = (a ^ 0x9e3779b97f4a7c15ULL) * 0xbf58476d1ce4e5b9ULL + b;
  x = (x ^ (x >> 29)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 32);
}

}  // namespace

SocketAddress::SocketAddress() : v6_{} { v4_.sin_family = AF_INET; }

SocketAddress::SocketAddress(const sockaddr* raw) : v6_{} {
  if (raw->sa_family == AF_INET6) {
    std::memcpy(&v6_, raw, sizeof v6_);
    v6_.sin6_flowinfo = 0;
  } else {
    std::memcpy(&v4_, raw, sizeof v4_);
    std::memset(v4_.sin_zero, 0, sizeof v4_.sin_zero);
  }
}

Result<SocketAddress> SocketAddress::parse(std::string_view text) {
  PEAT_TRY(const auto parts, HostAndPort::parse(text));
  SocketAddress out;
  if (inet_pton(AF_INET, parts.host.c_str(), &out.v4_.sin_addr) == 1) {
    out.v4_.sin_port = htons(parts.port);
    return out;
  }
  std::string host = parts.host;
  std::uint32_t scope = 0;
  if (const auto percent = host.find('%'); percent != std::string::npos) {
    const char* end = host.data() + host.size();
    const auto parsed = std::from_chars(host.data() + percent + 1, end, scope);
    if (parsed.ec != std::errc{} || parsed.ptr != end) {
      return fail(Code::invalid_argument,
                  fmt::format("\"{}\": the scope after % must be an interface number", text));
    }
    host.resize(percent);
  }
  out.v6_ = {};
  if (inet_pton(AF_INET6, host.c_str(), &out.v6_.sin6_addr) != 1) {
    return fail(Code::invalid_argument,
                fmt::format("\"{}\" is not a numeric address; write 192.0.2.1:11204 or "
                            "[2001:db8::1]:11204",
                            text));
  }
  out.v6_.sin6_family = AF_INET6;
  out.v6_.sin6_port = htons(parts.port);
  out.v6_.sin6_scope_id = scope;
  return out;
}

SocketAddress SocketAddress::v4(std::uint32_t host_order_address, std::uint16_t port) {
  SocketAddress out;
  out.v4_.sin_addr.s_addr = htonl(host_order_address);
  out.v4_.sin_port = htons(port);
  return out;
}

socklen_t SocketAddress::size() const {
  return is_v6() ? socklen_t{sizeof(sockaddr_in6)} : socklen_t{sizeof(sockaddr_in)};
}

std::uint16_t SocketAddress::port() const { return ntohs(is_v6() ? v6_.sin6_port : v4_.sin_port); }

bool SocketAddress::is_unspecified() const {
  return is_v6() ? IN6_IS_ADDR_UNSPECIFIED(&v6_.sin6_addr) : v4_.sin_addr.s_addr == 0;
}

bool SocketAddress::is_loopback() const {
  if (is_v6() && IN6_IS_ADDR_LOOPBACK(&v6_.sin6_addr)) return true;
  const auto plain = unmapped();
  return !plain.is_v6() && (ntohl(plain.v4_.sin_addr.s_addr) >> 24) == 127;
}

SocketAddress SocketAddress::mapped() const {
  if (is_v6()) return *this;
  SocketAddress out;
  out.v6_ = {};
  out.v6_.sin6_family = AF_INET6;
  out.v6_.sin6_port = v4_.sin_port;
  if (is_unspecified()) return out;  // "any address" is :: on a dual-stack socket
  out.v6_.sin6_addr.s6_addr[10] = 0xff;
  out.v6_.sin6_addr.s6_addr[11] = 0xff;
  std::memcpy(out.v6_.sin6_addr.s6_addr + 12, &v4_.sin_addr, 4);
  return out;
}

SocketAddress SocketAddress::unmapped() const {
  if (!is_v6() || !IN6_IS_ADDR_V4MAPPED(&v6_.sin6_addr)) return *this;
  SocketAddress out;
  out.v4_.sin_port = v6_.sin6_port;
  std::memcpy(&out.v4_.sin_addr, v6_.sin6_addr.s6_addr + 12, 4);
  return out;
}

SocketAddress SocketAddress::with_port(std::uint16_t port) const {
  SocketAddress out = *this;
  (is_v6() ? out.v6_.sin6_port : out.v4_.sin_port) = htons(port);
  return out;
}

SocketAddress SocketAddress::group() const {
  SocketAddress out = unmapped().with_port(0);
  if (out.is_v6()) {
    std::memset(out.v6_.sin6_addr.s6_addr + 8, 0, 8);
    out.v6_.sin6_scope_id = 0;
  }
  return out;
}

std::uint64_t SocketAddress::hash() const {
  if (!is_v6()) return mix(v4_.sin_addr.s_addr, v4_.sin_port);
  return mix(load64(v6_.sin6_addr.s6_addr) ^ load64(v6_.sin6_addr.s6_addr + 8), v6_.sin6_port);
}

std::string SocketAddress::to_string() const {
  const auto plain = unmapped();
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (!plain.is_v6()) {
    inet_ntop(AF_INET, &plain.v4_.sin_addr, text.data(), text.size());
    return fmt::format("{}:{}", text.data(), plain.port());
  }
  inet_ntop(AF_INET6, &plain.v6_.sin6_addr, text.data(), text.size());
  if (plain.v6_.sin6_scope_id == 0) return fmt::format("[{}]:{}", text.data(), plain.port());
  return fmt::format("[{}%{}]:{}", text.data(), plain.v6_.sin6_scope_id, plain.port());
}

bool operator==(const SocketAddress& a, const SocketAddress& b) {
  if (a.any_.sa_family != b.any_.sa_family) return false;
  if (!a.is_v6()) {
    return a.v4_.sin_port == b.v4_.sin_port && a.v4_.sin_addr.s_addr == b.v4_.sin_addr.s_addr;
  }
  return a.v6_.sin6_port == b.v6_.sin6_port && a.v6_.sin6_scope_id == b.v6_.sin6_scope_id &&
         std::memcmp(&a.v6_.sin6_addr, &b.v6_.sin6_addr, sizeof a.v6_.sin6_addr) == 0;
}

Result<HostAndPort> HostAndPort::parse(std::string_view text) {
  HostAndPort out;
  const auto colon = text.rfind(':');
  const auto bad = [&](std::string_view why) {
    return fail(Code::invalid_argument,
                fmt::format("\"{}\": {}; write host:port or [v6]:port", text, why));
  };
  if (colon == std::string_view::npos) return bad("there is no port");
  auto host = text.substr(0, colon);
  const auto digits = text.substr(colon + 1);
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (digits.empty() || parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) {
    return bad("the port must be a number from 0 to 65535");
  }
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) return bad("a [ without its ]");
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad("an IPv6 address needs brackets");
  }
  if (host.empty()) return bad("there is no host");
  if (host.size() > 253) return bad("a host name has at most 253 characters");
  out.host = std::string(host);
  return out;
}

}  // namespace peat::net
