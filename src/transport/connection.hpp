// The stream seam: connections with streams, as sync sees them.
//
// Two implementations: net::QuicEndpoint (ngtcp2 on a UDP socket) and sim::Network (virtual
// time). Nothing above knows which one it has.
//
// Threading: everything happens on one thread, the event loop's. Handlers are called from the
// loop, never from inside a call on the same connection (no re-entry); a handler may call
// anything, including close().
//
// Ownership: a Connection lives until its handler's on_closed returned; after that the pointer is
// dead. StreamId follows RFC 9000 section 2.1.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"

namespace peat::transport {

using StreamId = std::uint64_t;
constexpr bool is_bidirectional(StreamId id) { return (id & 2) == 0; }
constexpr bool opened_by_dialler(StreamId id) { return (id & 1) == 0; }

// Why a connection ended.
struct CloseInfo {
  enum class Kind : std::uint8_t {
    local,         // we called close
    peer,          // the peer closed with an application code
    transport,     // a QUIC transport or TLS error (code holds it)
    idle_timeout,  // nothing heard for the negotiated time
    reset,         // stateless reset, or the network said unreachable
  };
  Kind kind = Kind::local;
  std::uint64_t code = 0;
  std::string reason;
};

struct ConnectionStats {
  Duration smoothed_rtt{};
  std::uint64_t bytes_sent = 0;      // UDP payload
  std::uint64_t bytes_received = 0;  // UDP payload
  // Losses as congestion control sees them: a burst of lost packets counts once.
  std::uint64_t packets_lost = 0;
  std::uint64_t congestion_window = 0;
};

class ConnectionHandler;

class Connection {
 public:
  virtual ~Connection() = default;

  virtual EndpointId peer() const = 0;  // proven by TLS
  virtual std::string_view alpn() const = 0;
  virtual bool dialled() const = 0;                // true: we dialled it
  virtual std::uint64_t stable_id() const = 0;     // never reused in this process
  virtual std::string remote_address() const = 0;  // "ip:port"
  virtual ConnectionStats stats() const = 0;

  // Events go to `handler` from now on; must outlive the connection or be replaced. Give it one
  // before the dial or accept callback returns: events that find none are lost.
  virtual void set_handler(ConnectionHandler* handler) = 0;

  // The peer has proved membership: windows and stream credit grow to their full size.
  virtual void mark_authenticated() = 0;

  // Code::would_block when the peer's stream credit is used up; on_streams_available follows.
  virtual Result<StreamId> open_bidirectional() = 0;
  virtual Result<StreamId> open_unidirectional() = 0;

  // Queues all of `data` (it is copied; kept until acknowledged). Callers hold back by asking
  // unsent() first: the queue is theirs to bound. An empty write without `fin` puts a zero-length
  // STREAM frame on the wire, which makes the stream visible to the peer.
  virtual Status write(StreamId stream, ByteView data, bool fin) = 0;
  virtual std::uint64_t unsent(StreamId stream) const = 0;          // queued, not yet in a packet
  virtual std::uint64_t unacknowledged(StreamId stream) const = 0;  // queued or in flight
  // Less than one packet (or half a small congestion window) of this stream is unsent: the
  // moment to generate the next message (design rule 3).
  virtual bool wants_data(StreamId stream) const = 0;

  // Opens the receive window by `bytes` that the handler has consumed. Each byte given to on_data
  // must be consumed once, also after the stream's end; a reset or stop_sending() does the rest.
  virtual void consumed(StreamId stream, std::uint64_t bytes) = 0;

  virtual void reset(StreamId stream, std::uint64_t code) = 0;         // our sending half
  virtual void stop_sending(StreamId stream, std::uint64_t code) = 0;  // their sending half
  // Sends what is queued on streams for at most a short while, then closes. on_closed follows.
  virtual void close(std::uint64_t code, std::string_view reason) = 0;
};

class ConnectionHandler {
 public:
  virtual ~ConnectionHandler() = default;

  virtual void on_stream_opened(Connection&, StreamId) {}  // by the peer
  // In order, without gaps; `data` dies with the call. fin: no more will come.
  virtual void on_data(Connection&, StreamId, ByteView data, bool fin) = 0;
  // wants_data became true; after a fin: what the stream still has fits a packet, so that another
  // may begin.
  virtual void on_wants_data(Connection&, StreamId) {}
  // Everything written so far, the fin too if there was one, has arrived. Again after each write.
  virtual void on_acknowledged(Connection&, StreamId) {}
  virtual void on_reset(Connection&, StreamId, std::uint64_t /*code*/) {}  // their sending half
  virtual void on_stop_sending(Connection&, StreamId, std::uint64_t /*code*/) {}
  virtual void on_streams_available(Connection&) {}
  virtual void on_closed(Connection&, const CloseInfo&) = 0;
};

// Called once per dial: a connection whose handshake is complete, or why there is none.
using DialCallback = std::function<void(Result<std::shared_ptr<Connection>>)>;
// Called for each accepted connection whose handshake is complete.
using AcceptCallback = std::function<void(std::shared_ptr<Connection>)>;

class Endpoint {
 public:
  virtual ~Endpoint() = default;

  virtual EndpointId id() const = 0;
  virtual std::string local_address() const = 0;  // "ip:port" as bound
  // `address` is "host:port" or "[v6]:port" (host names are resolved by the implementation).
  // `alpns` in order of preference.
  virtual void dial(const EndpointId& peer, const std::string& address,
                    std::vector<std::string> alpns, DialCallback done) = 0;
  virtual void listen(std::vector<std::string> alpns, AcceptCallback accept) = 0;
  // Closes every connection with `code` and ends; `done` when the last packet is out.
  virtual void shutdown(std::uint64_t code, std::string_view reason,
                        std::function<void()> done) = 0;
};

}  // namespace peat::transport
