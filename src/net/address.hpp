// Internet socket addresses: numeric text, equality, and the groups that limits count by.
//
// Numeric only. A host name is a job for the resolver (resolver.hpp); an address that is already
// numeric never touches DNS.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "peat/error.hpp"

namespace peat::net {

// A value: an IPv4 or IPv6 address with a port. Default-constructed: 0.0.0.0:0.
class SocketAddress {
 public:
  SocketAddress();
  // Precondition: `raw` is a sockaddr_in or a sockaddr_in6.
  explicit SocketAddress(const sockaddr* raw);

  // "192.0.2.1:11204" or "[2001:db8::1]:11204" (a scope as in "[fe80::1%2]:1" by number).
  // Code::invalid_argument names what is wrong.
  static Result<SocketAddress> parse(std::string_view text);
  static SocketAddress v4(std::uint32_t host_order_address, std::uint16_t port);

  const sockaddr* raw() const { return &any_; }
  socklen_t size() const;
  bool is_v6() const { return any_.sa_family == AF_INET6; }
  std::uint16_t port() const;
  bool is_unspecified() const;  // 0.0.0.0 or ::
  bool is_loopback() const;     // 127.0.0.0/8 or ::1, IPv4-mapped too

  // The same address as a dual-stack socket spells it: IPv4 becomes ::ffff:a.b.c.d.
  SocketAddress mapped() const;
  SocketAddress unmapped() const;
  SocketAddress with_port(std::uint16_t port) const;

  // Whom a per-address limit counts: the IPv4 address, or the /64 of the IPv6 address; port 0.
  SocketAddress group() const;
  std::uint64_t hash() const;
  std::string to_string() const;  // as parse takes it; a mapped IPv4 address prints as IPv4

  friend bool operator==(const SocketAddress& a, const SocketAddress& b);

 private:
  union {
    sockaddr any_;
    sockaddr_in v4_;
    sockaddr_in6 v6_;
  };
};

// "host:port" or "[v6]:port" in two pieces; the host may be a name.
struct HostAndPort {
  std::string host;
  std::uint16_t port = 0;
  static Result<HostAndPort> parse(std::string_view text);
};

}  // namespace peat::net

template <>
struct std::hash<peat::net::SocketAddress> {
  std::size_t operator()(const peat::net::SocketAddress& a) const noexcept { return a.hash(); }
};
