#include "net/udp_socket.hpp"

#include <fmt/format.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace peat::net {
namespace {

constexpr std::size_t kMessageBytes = 65536;
constexpr std::size_t kControlBytes = 128;

void enable(int fd, int level, int option, int value) {
  // Not every kernel knows every option; each has a harmless absence.
  (void)setsockopt(fd, level, option, &value, sizeof value);
}

template <class T>
T control_value(cmsghdr* header) {
  T value;
  std::memcpy(&value, CMSG_DATA(header), sizeof value);
  return value;
}

template <class T>
void add_control(msghdr& message, std::size_t& used, int level, int type, const T& value) {
  auto* header = reinterpret_cast<cmsghdr*>(static_cast<std::uint8_t*>(message.msg_control) + used);
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(header), &value, sizeof value);
  used += CMSG_SPACE(sizeof value);
}

// ECONNREFUSED reports what became of an earlier datagram; this one was not tried.
bool worth_repeating(int error, int& tries) {
  return error == EINTR || (error == ECONNREFUSED && ++tries < 3);
}

}  // namespace

// One message to send, with what it points to.
struct UdpSocket::Outgoing {
  iovec piece;
  alignas(cmsghdr) std::array<std::uint8_t, kControlBytes> control;

  void prepare(msghdr& message, const Transmit& what, ByteView data, bool segmented);
};

struct UdpSocket::Buffers {
  std::array<std::array<std::uint8_t, kMessageBytes>, kBatch> data;
  alignas(cmsghdr) std::array<std::array<std::uint8_t, kControlBytes>, kBatch> control;
  std::array<sockaddr_storage, kBatch> from;
  std::array<iovec, kBatch> pieces;
  std::array<mmsghdr, kBatch> messages;
  std::array<Outgoing, QuicCore::kMaxSegments> outgoing;
  std::array<mmsghdr, QuicCore::kMaxSegments> outgoing_messages;
};

UdpSocket::UdpSocket(int fd, bool gso)
    : fd_(fd), gso_(gso), buffers_(std::make_unique_for_overwrite<Buffers>()) {}

UdpSocket::~UdpSocket() { ::close(fd_); }

Result<std::unique_ptr<UdpSocket>> UdpSocket::open(const UdpSocketOptions& options) {
  const auto& bind_to = options.bind;
  const int fd =
      ::socket(bind_to.is_v6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return fail(Code::io_error,
                fmt::format("no UDP socket for {}: {}", bind_to.to_string(), std::strerror(errno)));
  }
  std::unique_ptr<UdpSocket> out(new UdpSocket(fd, options.gso));
  if (bind_to.is_v6()) {
    enable(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
    enable(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    enable(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    enable(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
  } else {
    enable(fd, IPPROTO_IP, IP_PKTINFO, 1);
  }
  // On a dual-stack socket these count for its IPv4 half.
  enable(fd, IPPROTO_IP, IP_RECVTOS, 1);
  enable(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  if (options.gro) enable(fd, SOL_UDP, UDP_GRO, 1);
  const int size = static_cast<int>(std::min<std::uint32_t>(options.buffer_bytes, 1U << 30));
  enable(fd, SOL_SOCKET, SO_RCVBUF, size);
  enable(fd, SOL_SOCKET, SO_SNDBUF, size);
  enable(fd, SOL_SOCKET, SO_RCVBUFFORCE, size);  // above rmem_max, if we are privileged
  enable(fd, SOL_SOCKET, SO_SNDBUFFORCE, size);
  if (::bind(fd, bind_to.raw(), bind_to.size()) != 0) {
    const int error = errno;
    const char* remedy = error == EADDRINUSE      ? "; another process has it, choose another port"
                         : error == EADDRNOTAVAIL ? "; this machine has no such address"
                         : error == EACCES        ? "; ports below 1024 need a privilege"
                                                  : "";
    return fail(Code::io_error, fmt::format("cannot bind UDP {}: {}{}", bind_to.to_string(),
                                            std::strerror(error), remedy));
  }
  sockaddr_storage name{};
  socklen_t name_size = sizeof name;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &name_size) != 0) {
    return fail(Code::io_error, fmt::format("getsockname: {}", std::strerror(errno)));
  }
  out->local_ = SocketAddress(reinterpret_cast<sockaddr*>(&name));
  return out;
}

// ---- receiving

bool UdpSocket::receive(const Sink& sink) {
  Buffers& b = *buffers_;
  for (std::size_t i = 0; i < kBatch; ++i) {
    b.pieces[i] = {b.data[i].data(), b.data[i].size()};
    b.messages[i] = {};
    msghdr& m = b.messages[i].msg_hdr;
    m.msg_name = &b.from[i];
    m.msg_namelen = sizeof b.from[i];
    m.msg_iov = &b.pieces[i];
    m.msg_iovlen = 1;
    m.msg_control = b.control[i].data();
    m.msg_controllen = b.control[i].size();
  }
  int count;
  do {
    count = recvmmsg(fd_, b.messages.data(), kBatch, MSG_DONTWAIT, nullptr);
  } while (count < 0 && errno == EINTR);
  ++stats_.receive_calls;
  if (count <= 0) return false;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    msghdr& m = b.messages[i].msg_hdr;
    const SocketAddress remote(reinterpret_cast<sockaddr*>(&b.from[i]));
    SocketAddress local = local_;
    std::size_t segment = b.messages[i].msg_len;
    std::uint8_t ecn = 0;
    for (auto* h = CMSG_FIRSTHDR(&m); h != nullptr; h = CMSG_NXTHDR(&m, h)) {
      if (h->cmsg_level == SOL_UDP && h->cmsg_type == UDP_GRO) {
        segment = static_cast<std::size_t>(std::max(control_value<int>(h), 1));
      } else if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO) {
        const auto info = control_value<in_pktinfo>(h);
        local = SocketAddress::v4(ntohl(info.ipi_addr.s_addr), local_.port());
      } else if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_PKTINFO) {
        sockaddr_in6 to{};
        to.sin6_family = AF_INET6;
        to.sin6_addr = control_value<in6_pktinfo>(h).ipi6_addr;
        to.sin6_port = htons(local_.port());
        local = SocketAddress(reinterpret_cast<sockaddr*>(&to));
      } else if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_TOS) {
        ecn = control_value<std::uint8_t>(h) & 3;
      } else if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_TCLASS) {
        ecn = static_cast<std::uint8_t>(control_value<int>(h) & 3);
      }
    }
    ByteView rest(b.data[i].data(), b.messages[i].msg_len);
    while (!rest.empty()) {
      const auto datagram = rest.first(std::min(segment, rest.size()));
      rest = rest.subspan(datagram.size());
      sink(local, remote, ecn, datagram);
    }
  }
  return true;
}

// ---- sending

void UdpSocket::Outgoing::prepare(msghdr& message, const Transmit& what, ByteView data,
                                  bool segmented) {
  piece = {const_cast<std::uint8_t*>(data.data()), data.size()};
  message = {};
  message.msg_name = const_cast<sockaddr*>(what.remote.raw());
  message.msg_namelen = what.remote.size();
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  std::size_t used = 0;
  if (segmented) {
    add_control(message, used, SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(what.segment));
  }
  if (!what.local.is_unspecified()) {
    if (what.local.is_v6()) {
      in6_pktinfo from{};
      from.ipi6_addr = reinterpret_cast<const sockaddr_in6*>(what.local.raw())->sin6_addr;
      add_control(message, used, IPPROTO_IPV6, IPV6_PKTINFO, from);
    } else {
      in_pktinfo from{};
      from.ipi_spec_dst = reinterpret_cast<const sockaddr_in*>(what.local.raw())->sin_addr;
      add_control(message, used, IPPROTO_IP, IP_PKTINFO, from);
    }
  }
  if (what.ecn != 0 && what.remote.unmapped().is_v6()) {
    add_control(message, used, IPPROTO_IPV6, IPV6_TCLASS, int{what.ecn});
  } else if (what.ecn != 0) {
    add_control(message, used, IPPROTO_IP, IP_TOS, int{what.ecn});
  }
  message.msg_controllen = used;
  if (used == 0) message.msg_control = nullptr;
}

UdpSocket::Sent UdpSocket::send_series(const Transmit& what) {
  msghdr message;
  buffers_->outgoing[0].prepare(message, what, what.data, true);
  ssize_t sent;
  int tries = 0;
  do {
    sent = sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    ++stats_.send_calls;
  } while (sent < 0 && worth_repeating(errno, tries));
  if (sent >= 0) return Sent::yes;
  return errno == EAGAIN || errno == ENOBUFS ? Sent::full : Sent::refused;
}

bool UdpSocket::send(const Transmit& what) {
  const bool series = what.data.size() > what.segment;
  if (!series || !gso_ || resume_at_ > 0) return send_one_by_one(what);
  switch (send_series(what)) {
    case Sent::yes:
      return true;
    case Sent::full:
      return false;
    case Sent::refused:
      break;
  }
  // The link refuses the series. If it takes the single datagrams, offload is what it refuses.
  const auto errors = stats_.send_errors;
  const bool done = send_one_by_one(what);
  if (stats_.send_errors == errors) gso_ = false;
  return done;
}

bool UdpSocket::send_one_by_one(const Transmit& what) {
  Buffers& b = *buffers_;
  int tries = 0;
  while (resume_at_ < what.data.size()) {
    unsigned count = 0;
    for (auto at = resume_at_; at < what.data.size() && count < b.outgoing.size();
         at += what.segment) {
      const auto size = std::min(what.segment, what.data.size() - at);
      b.outgoing[count].prepare(b.outgoing_messages[count].msg_hdr, what,
                                what.data.subspan(at, size), false);
      ++count;
    }
    const int sent = sendmmsg(fd_, b.outgoing_messages.data(), count, MSG_DONTWAIT | MSG_NOSIGNAL);
    ++stats_.send_calls;
    if (sent > 0) {
      resume_at_ += static_cast<std::size_t>(sent) * what.segment;
    } else if (errno == EAGAIN || errno == ENOBUFS) {
      return false;  // the rest when the socket is writable
    } else if (!worth_repeating(errno, tries)) {
      // EMSGSIZE for a probe of a larger path: its loss is the answer.
      ++stats_.send_errors;
      resume_at_ += what.segment;
    }
  }
  resume_at_ = 0;
  return true;
}

// ---- addresses

Result<SocketAddress> UdpSocket::fit(const SocketAddress& remote) const {
  if (local_.is_v6()) return remote.mapped();
  const auto plain = remote.unmapped();
  if (plain.is_v6()) {
    return fail(
        Code::unreachable,
        fmt::format("{} is IPv6 and this endpoint is bound to IPv4 ({}); bind [::] for both",
                    remote.to_string(), local_.to_string()));
  }
  return plain;
}

// Asks the routing table by connecting a socket that sends nothing. ngtcp2 compares the local
// address of packets that come back with this one.
Result<SocketAddress> UdpSocket::source_for(const SocketAddress& remote) const {
  PEAT_TRY(const auto to, fit(remote));
  if (!local_.is_unspecified()) return local_;
  const int probe = ::socket(to.is_v6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return fail(Code::io_error, fmt::format("no socket: {}", std::strerror(errno)));
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  const bool found = ::connect(probe, to.raw(), to.size()) == 0 &&
                     getsockname(probe, reinterpret_cast<sockaddr*>(&name), &size) == 0;
  const int error = errno;
  ::close(probe);
  if (!found) {
    return fail(Code::unreachable,
                fmt::format("no route to {}: {}", remote.to_string(), std::strerror(error)));
  }
  return SocketAddress(reinterpret_cast<sockaddr*>(&name)).with_port(local_.port());
}

}  // namespace peat::net
