// One QUIC connection: transport::Connection over ngtcp2, without I/O.
//
// What a user sees is documented at transport::Connection. Particular to this one:
//  - Receive windows open with consumed(): every byte given to on_data must be consumed once,
//    also after the stream ended. Resetting (by either side) or stop_sending() consumes the rest.
//  - Before mark_authenticated() the peer may have net_unauthenticated_window_bytes unconsumed,
//    and opens net_unauthenticated_streams streams of each kind in all. Afterwards windows start
//    at kAuthenticatedWindow and double up to net_connection_window_bytes while the peer uses
//    them up within a few round trips and net_total_window_bytes allows.
//  - mark_authenticated() on a dialled connection opens our windows in the same way.
//  - After net_unidirectional_streams of the peer's the connection closes with kRenewCode.
//  - Data that is queued when the peer resets or stops a stream is dropped; write() then fails
//    with Code::not_found.
//  - After the connection ended every call is harmless: writes fail with Code::connection_lost.
#pragma once

#include <ngtcp2/ngtcp2.h>

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/address.hpp"
#include "net/frame_scan.hpp"
#include "net/options.hpp"
#include "net/send_queue.hpp"
#include "net/tls.hpp"
#include "transport/connection.hpp"

namespace peat::net {

class QuicCore;

class QuicConnection final : public transport::Connection,
                             public std::enable_shared_from_this<QuicConnection> {
 public:
  static constexpr std::uint64_t kAuthenticatedWindow = 1280ULL << 10;
  static constexpr std::size_t kLongestReason = 512;  // bytes; longer ones are cut
  static constexpr std::uint64_t kRenewCode = 0;

  ~QuicConnection() override;
  QuicConnection(const QuicConnection&) = delete;
  QuicConnection& operator=(const QuicConnection&) = delete;

  EndpointId peer() const override { return peer_; }
  std::string_view alpn() const override { return alpn_; }
  bool dialled() const override { return dialled_; }
  std::uint64_t stable_id() const override { return id_; }
  std::string remote_address() const override { return remote_.to_string(); }
  transport::ConnectionStats stats() const override;
  void set_handler(transport::ConnectionHandler* handler) override { handler_ = handler; }
  void mark_authenticated() override;
  Result<transport::StreamId> open_bidirectional() override;
  Result<transport::StreamId> open_unidirectional() override;
  Status write(transport::StreamId stream, ByteView data, bool fin) override;
  std::uint64_t unsent(transport::StreamId stream) const override;
  std::uint64_t unacknowledged(transport::StreamId stream) const override;
  bool wants_data(transport::StreamId stream) const override;
  void consumed(transport::StreamId stream, std::uint64_t bytes) override;
  void reset(transport::StreamId stream, std::uint64_t code) override;
  void stop_sending(transport::StreamId stream, std::uint64_t code) override;
  void close(std::uint64_t code, std::string_view reason) override;

 private:
  friend class QuicCore;
  friend struct ConnectionCallbacks;

  struct Stream {
    SendQueue send;
    bool can_write = false;  // our half is open
    bool can_read = false;   // theirs
    bool fin = false;        // write() with fin was called
    bool fin_sent = false;
    bool announce = false;    // a zero-length frame is wanted
    bool ready = false;       // in ready_
    bool blocked = false;     // in blocked_
    bool above_mark = false;  // unsent grew to a packet: on_wants_data follows
    std::uint64_t received = 0;
    std::uint64_t consumed = 0;
    std::uint64_t granted = 0;  // the peer may send up to this offset

    bool has_output() const {
      return can_write && (send.unsent() > 0 || announce || (fin && !fin_sent));
    }
  };
  struct CloseRequest {
    std::uint64_t code;
    std::string reason;
    std::optional<Instant> deadline;  // set when first looked at
  };
  using StreamId = transport::StreamId;

  QuicConnection(QuicCore& core, bool dialled, const SocketAddress& local,
                 const SocketAddress& remote);
  // Exactly one of the two, once.
  Status start_dialling(const EndpointId& expected, const std::vector<std::string>& alpns);
  Status start_accepting(const ngtcp2_pkt_hd& initial, const ngtcp2_cid* original_dcid,
                         const std::vector<std::string>& alpns);
  ngtcp2_settings settings(Instant now);
  ngtcp2_transport_params transport_params() const;
  void open_qlog(ngtcp2_settings& settings, const ngtcp2_cid& dcid, const char* side);

  // Returns ngtcp2's verdict; 0 is fine.
  int read(const SocketAddress& local, const SocketAddress& remote, std::uint8_t ecn,
           ByteView datagram, Instant now);
  // One packet into `out`: its length, 0 if there is nothing to send now, or ngtcp2's error.
  ngtcp2_ssize write_packet(std::span<std::uint8_t> out, ngtcp2_path_storage& path,
                            ngtcp2_pkt_info& info, Instant now);
  bool close_is_due(Instant now);
  Instant next_timeout() const;
  // Frees ngtcp2 and GnuTLS state; the object stays for those who still hold it.
  void release();

  Stream* find(StreamId id);
  const Stream* find(StreamId id) const;
  Result<StreamId> open(bool bidirectional);
  Stream& add_stream(StreamId id);
  std::size_t packet_size() const;
  void make_ready(StreamId id, Stream& stream);
  void account_sent(StreamId id, Stream& stream, ngtcp2_ssize written, std::uint64_t offered,
                    bool fin_offered);
  void shut_write(Stream& stream);
  void unblock();
  void deliver_stop_sending();
  void deliver_wants_data();
  void credit(std::uint64_t bytes);
  void return_stream_credit(StreamId id);
  void end_unidirectional(StreamId id);
  void open_stream_window(StreamId id, Stream& stream);
  void tune_window();
  bool open_for_use() const { return conn_ != nullptr && handshaken_ && !close_request_; }
  Status use_error(StreamId stream) const;

  // Hands the connection to whoever dialled or listens, then what came meanwhile.
  void announce();
  // Runs `event` now, or after announce().
  void deliver(std::function<void()> event);

  // From ngtcp2's callbacks.
  void handshake_completed();
  void on_stream_opened(StreamId id);
  void on_stream_data(StreamId id, ByteView data, bool fin);
  void on_acknowledged(StreamId id, std::uint64_t offset, std::uint64_t length);
  void on_stream_closed(StreamId id);
  void on_stream_reset(StreamId id, std::uint64_t code);

  QuicCore* core_;  // nullptr once ended
  const std::uint64_t id_;
  const bool dialled_;
  const SocketAddress local_;
  SocketAddress remote_;
  const SocketAddress group_;  // of the first remote address: what limits count
  EndpointId peer_;
  std::string alpn_;
  transport::ConnectionHandler* handler_ = nullptr;
  transport::DialCallback dial_done_;
  std::unique_ptr<TlsSession> tls_;
  ngtcp2_conn* conn_ = nullptr;
  QlogSink qlog_;

  bool handshaken_ = false;
  bool announced_ = false;
  // Stream events of the very datagram that completed the handshake; at most one datagram's.
  std::vector<std::function<void()>> early_events_;
  bool authenticated_ = false;
  bool dirty_ = false;  // queued for poll_transmit
  Instant timer_ = kNever;
  std::optional<CloseRequest> close_request_;

  std::unordered_map<StreamId, Stream> streams_;
  // Streams that ended with bytes that the handler has not consumed yet.
  std::unordered_map<StreamId, std::uint64_t> unconsumed_;
  std::deque<StreamId> ready_;        // have output, in the order of their turns
  std::vector<StreamId> blocked_;     // have output, the peer has no room
  std::vector<StreamId> wants_data_;  // on_wants_data to be delivered
  std::vector<StopSending> stops_;    // found in the datagram being read

  std::uint64_t window_ = 0;  // of the connection; each stream has as much, if granted
  std::uint64_t consumed_ = 0;
  std::uint64_t granted_ = 0;
  std::uint64_t epoch_consumed_ = 0;
  Instant epoch_start_;
  // Streams of the peer that ended before it was authenticated: their credit is held back.
  std::size_t withheld_bidi_ = 0;
  std::size_t withheld_uni_ = 0;
  std::uint64_t ended_uni_ = 0;

  std::vector<std::array<std::uint8_t, 21>> routes_;  // length byte, connection id
  std::vector<std::array<std::uint8_t, 16>> reset_tokens_;
  std::uint64_t bytes_sent_ = 0;
  std::uint64_t bytes_received_ = 0;
  std::uint64_t loss_episodes_ = 0;
  ngtcp2_tstamp last_recovery_ = UINT64_MAX;
};

}  // namespace peat::net
