// The QUIC protocol core of an endpoint: all its connections, no I/O.
//
// Datagrams come in through on_datagram(), go out through poll_transmit(); time comes in as an
// argument. The same core runs behind a UDP socket (QuicEndpoint) and in simulated networks.
//
//   core.on_datagram(now, …);            any number of times
//   core.on_timeout(now);                when next_timeout() has come
//   while (auto t = core.poll_transmit(now)) send(*t);
//   arm a timer for core.next_timeout();  only now: sending moves it
//
// Handlers and callbacks run inside these calls and may call anything on connections and the core
// except on_datagram, on_timeout and poll_transmit. dial() and shutdown() never call back before
// they return.
//
// Time may stand still but never goes backwards: an earlier `now` counts as the latest one.
//
// What it does beyond carrying streams: demultiplexes by connection id; answers unknown versions
// with version negotiation; asks for address validation (Retry) while many handshakes are open;
// refuses connections over the limits of unauthenticated ones; answers packets for connections it
// does not know with a stateless reset, by which peers of a restarted process learn at once;
// keeps the ids of closed connections for three probe timeouts. All stateless replies together
// are limited per second (net_stateless_replies_per_second).
//
// Threading: one thread. Cost: one hash look-up per datagram; a connection takes about 20 KiB
// plus what its streams queue.
// Sources: RFC 9000, RFC 9001, RFC 9002; the QUIC chapter of the specification.
#pragma once

#include <ngtcp2/ngtcp2.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/address.hpp"
#include "net/options.hpp"
#include "net/quic_connection.hpp"
#include "net/tls.hpp"
#include "transport/connection.hpp"

namespace peat::net {

// What to send: one datagram, or several of `segment` bytes each (the last may be shorter) that
// one system call can carry. `data` is valid until the next poll_transmit().
struct Transmit {
  SocketAddress local;  // to send from: the address the peer knows
  SocketAddress remote;
  std::uint8_t ecn = 0;
  std::size_t segment = 0;
  ByteView data;
};

class QuicCore {
 public:
  static constexpr std::size_t kCidLength = 16;
  // In one Transmit: the kernel's bound for segmentation offload.
  static constexpr std::size_t kMaxSegments = 64;

  // Code::invalid_argument if an option is out of its range or the signer does not fit the id.
  static Result<std::unique_ptr<QuicCore>> create(CoreOptions options);
  // Connections that still live end without a word; their handlers are not called.
  ~QuicCore();
  QuicCore(const QuicCore&) = delete;
  QuicCore& operator=(const QuicCore&) = delete;

  const EndpointId& id() const { return options_.id; }
  // Called when there is something to transmit because of a call from outside the four functions
  // above (a write, a dial …). It must only schedule, not transmit.
  void set_wake(std::function<void()> wake) { wake_ = std::move(wake); }

  // Dials `peer` at `remote` from `local`. `done` is called once, later. Returns the attempt's
  // number for cancel_dial().
  std::uint64_t dial(Instant now, const EndpointId& peer, const SocketAddress& local,
                     const SocketAddress& remote, const std::vector<std::string>& alpns,
                     transport::DialCallback done);
  // Gives up an attempt without calling back. No effect once its callback was called.
  void cancel_dial(std::uint64_t attempt);
  void listen(std::vector<std::string> alpns, transport::AcceptCallback accept);
  // Takes no new connections, ends handshakes, closes the rest. Over when idle().
  void shutdown(std::uint64_t code, std::string_view reason);
  // No live connection and nothing to send.
  bool idle() const;

  void on_datagram(Instant now, const SocketAddress& local, const SocketAddress& remote,
                   std::uint8_t ecn, ByteView datagram);
  void on_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now);
  Instant next_timeout() const;  // kNever: none

  EndpointStats stats() const;

 private:
  friend class QuicConnection;
  friend struct ConnectionCallbacks;

  using ConnectionPtr = std::shared_ptr<QuicConnection>;
  using CidKey = std::array<std::uint8_t, 21>;  // length byte, connection id
  using ResetToken = std::array<std::uint8_t, NGTCP2_STATELESS_RESET_TOKENLEN>;
  // Peers choose some of these keys: the hash is keyed, so they cannot make it collide.
  struct KeyedHash {
    std::array<std::uint8_t, 16> key;
    std::size_t operator()(const CidKey& cid) const;
    std::size_t operator()(const ResetToken& token) const;
  };
  struct Route {
    QuicConnection* live;  // nullptr: lingering
    std::uint64_t id;
  };
  // A connection that has ended, and whose late packets must not look like new ones.
  struct Lingering {
    std::vector<CidKey> routes;
    Bytes close_packet;  // empty: the peer closed, nothing is answered
    std::uint64_t packets = 0;
    Instant until;
  };
  struct Reply {
    SocketAddress local, remote;
    Bytes bytes;
  };
  struct Held {  // a packet that did not fit into the last Transmit
    SocketAddress local, remote;
    std::uint8_t ecn;
    std::size_t offset, size;
  };
  // Notes that one of the four functions runs.
  class Inside {
   public:
    explicit Inside(bool& flag) : flag_(flag), before_(flag) { flag_ = true; }
    ~Inside() { flag_ = before_; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    bool& flag_;
    bool before_;
  };
  struct FailedDial {
    std::uint64_t attempt;
    transport::DialCallback done;
    Error error;
  };

  QuicCore(CoreOptions options, std::shared_ptr<TlsIdentity> identity);

  // For QuicConnection.
  const CoreOptions& options() const { return options_; }
  const std::shared_ptr<TlsIdentity>& identity() const { return identity_; }
  Instant now() const { return now_; }
  ngtcp2_cid random_cid(std::size_t length);
  void make_reset_token(const ngtcp2_cid& cid, std::uint8_t* token) const;
  void add_route(const ngtcp2_cid& cid, QuicConnection& connection);
  void remove_route(const ngtcp2_cid& cid, QuicConnection& connection);
  void add_reset_token(const std::uint8_t* token, QuicConnection& connection);
  void remove_reset_token(const std::uint8_t* token, QuicConnection& connection);
  void touch(QuicConnection& connection);
  void announce(const ConnectionPtr& connection);
  void authenticated(QuicConnection& connection);
  std::uint64_t take_window(std::uint64_t wanted);

  void advance(Instant now) { now_ = std::max(now_, now); }
  void arm(QuicConnection& connection);
  void read(QuicConnection& connection, const SocketAddress& local, const SocketAddress& remote,
            std::uint8_t ecn, ByteView datagram);
  bool read_stateless_reset(ByteView datagram);
  void accept(const SocketAddress& local, const SocketAddress& remote, std::uint8_t ecn,
              ByteView datagram);
  bool admit(const SocketAddress& local, const SocketAddress& remote, const ngtcp2_pkt_hd& initial,
             bool validated);
  std::optional<Transmit> burst(const ConnectionPtr& connection);
  Transmit take_held();

  // The ways a connection ends. Each calls its handler or its dial callback.
  void failed(const ConnectionPtr& connection, int ngtcp2_error);
  void close_now(const ConnectionPtr& connection);
  void write_close(QuicConnection& connection, const ngtcp2_connection_close_error& error,
                   Bytes& packet);
  void end(const ConnectionPtr& connection, const transport::CloseInfo& info, Error dial_error,
           bool linger, Bytes close_packet);

  bool may_reply();
  void reply(const SocketAddress& local, const SocketAddress& remote, Bytes bytes);
  void send_version_negotiation(const SocketAddress& local, const SocketAddress& remote,
                                const ngtcp2_version_cid& header);
  void send_retry(const SocketAddress& local, const SocketAddress& remote,
                  const ngtcp2_pkt_hd& initial);
  void send_refusal(const SocketAddress& local, const SocketAddress& remote,
                    const ngtcp2_pkt_hd& initial, std::uint64_t code, std::string_view reason);
  void send_stateless_reset(const SocketAddress& local, const SocketAddress& remote,
                            ByteView datagram);

  CoreOptions options_;
  std::shared_ptr<TlsIdentity> identity_;
  std::function<void()> wake_;
  bool inside_ = false;  // in one of the four functions: no wake-up needed
  Instant now_;
  std::array<std::uint8_t, 32> reset_secret_{};
  std::array<std::uint8_t, 32> retry_secret_{};
  std::vector<std::string> alpns_;
  transport::AcceptCallback accept_;
  bool shutting_down_ = false;

  std::map<std::uint64_t, ConnectionPtr> live_;
  std::unordered_map<std::uint64_t, Lingering> lingering_;
  std::unordered_map<CidKey, Route, KeyedHash> routes_;
  std::unordered_map<ResetToken, QuicConnection*, KeyedHash> reset_tokens_;
  std::set<std::pair<Instant, std::uint64_t>> timers_;  // of live and lingering connections
  std::deque<std::uint64_t> dirty_;
  std::vector<FailedDial> failed_dials_;

  std::unordered_map<SocketAddress, std::uint64_t> unauthenticated_by_group_;
  std::unordered_map<SocketAddress, std::uint64_t> authenticated_by_group_;
  std::size_t handshakes_ = 0;  // accepted ones under way

  std::deque<Reply> replies_;
  Bytes reply_buffer_;
  Instant reply_second_;
  std::uint64_t replies_in_second_ = 0;
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::optional<Held> held_;
  EndpointStats stats_;
};

}  // namespace peat::net
