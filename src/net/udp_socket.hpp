// A UDP socket for QUIC: batches in, segmentation offload out, the packet's own addresses.
//
// Linux. Non-blocking; readiness is the caller's affair. One thread.
//
// Receiving: one system call takes up to kBatch messages, each of which the kernel may have put
// together from up to 64 datagrams (GRO); they are handed out one by one with the address they
// were sent to (IP_PKTINFO), so that answers come from there even when the socket is bound to
// every address. Sending: a series of equal datagrams in one call (GSO). Some links refuse GSO
// (EIO on Docker, veth and other virtual devices, EINVAL where checksums are not computed): it is
// then switched off for good and the series is sent again datagram by datagram (sendmmsg), so
// nothing is lost.
// The socket never fragments (IP_PMTUDISC_PROBE): QUIC finds the path's size itself.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "net/address.hpp"
#include "net/quic_core.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"

namespace peat::net {

struct UdpSocketOptions {
  SocketAddress bind;
  bool gso = true;
  bool gro = true;
  std::uint32_t buffer_bytes = 4U << 20;
};

struct UdpSocketStats {
  std::uint64_t send_calls = 0;
  std::uint64_t receive_calls = 0;
  std::uint64_t send_errors = 0;  // datagrams that the kernel refused to take
};

class UdpSocket {
 public:
  static constexpr std::size_t kBatch = 8;  // messages of up to 64 KiB in one receive call

  // Code::io_error or Code::invalid_argument names the address and what to do.
  static Result<std::unique_ptr<UdpSocket>> open(const UdpSocketOptions& options);
  ~UdpSocket();
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  int fd() const { return fd_; }
  // As bound, with the port that the kernel chose. Its address may be unspecified.
  const SocketAddress& local() const { return local_; }
  bool gso() const { return gso_; }
  const UdpSocketStats& stats() const { return stats_; }

  // Calls `sink` for each datagram of one batch. False if there was none.
  using Sink = std::function<void(const SocketAddress& local, const SocketAddress& remote,
                                  std::uint8_t ecn, ByteView datagram)>;
  bool receive(const Sink& sink);

  // True if it is off one's hands: sent, or refused by the kernel for good (counted, and lost as
  // any datagram may be). False: the socket's buffer is full, try again when it is writable.
  bool send(const Transmit& what);

  // The address from which the kernel would send to `remote`, with our port: `local()` unless
  // that is unspecified. Code::unreachable if there is no route or the family does not fit.
  Result<SocketAddress> source_for(const SocketAddress& remote) const;
  // `remote` in the family of this socket. Code::unreachable if that cannot be.
  Result<SocketAddress> fit(const SocketAddress& remote) const;

 private:
  enum class Sent { yes, full, refused };
  struct Outgoing;
  struct Buffers;

  UdpSocket(int fd, bool gso);
  Sent send_series(const Transmit& what);
  bool send_one_by_one(const Transmit& what);

  int fd_;
  bool gso_;
  SocketAddress local_;
  std::unique_ptr<Buffers> buffers_;
  std::size_t resume_at_ = 0;  // bytes of a series already sent one by one
  UdpSocketStats stats_;
};

}  // namespace peat::net
