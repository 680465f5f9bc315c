#include "net/quic_connection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "base/encoding.hpp"
#include "net/quic_callbacks.hpp"
#include "net/quic_core.hpp"

namespace peat::net {
namespace {

std::uint64_t next_stable_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

ngtcp2_duration to_ngtcp2(Duration d) { return static_cast<ngtcp2_duration>(d.count()); }

ngtcp2_path make_path(const SocketAddress& local, const SocketAddress& remote) {
  return {{const_cast<sockaddr*>(local.raw()), local.size()},
          {const_cast<sockaddr*>(remote.raw()), remote.size()},
          nullptr};
}

std::unexpected<Error> ngtcp2_failure(const char* step, int rv) {
  if (rv == NGTCP2_ERR_NOMEM) return fail(Code::out_of_memory, "no memory for a QUIC connection");
  return fail(Code::internal, fmt::format("QUIC, {}: {}", step, ngtcp2_strerror(rv)));
}

}  // namespace

QuicConnection::QuicConnection(QuicCore& core, bool dialled, const SocketAddress& local,
                               const SocketAddress& remote)
    : core_(&core),
      id_(next_stable_id()),
      dialled_(dialled),
      local_(local),
      remote_(remote),
      group_(remote.group()) {}

QuicConnection::~QuicConnection() { release(); }

void QuicConnection::release() {
  if (conn_ != nullptr) ngtcp2_conn_del(conn_);  // before what its callbacks use
  conn_ = nullptr;
  tls_.reset();
  qlog_ = nullptr;
  streams_.clear();
  unconsumed_.clear();
  ready_.clear();
  blocked_.clear();
}

// ---- start

ngtcp2_settings QuicConnection::settings(Instant now) {
  ngtcp2_settings out;
  ngtcp2_settings_default(&out);
  out.initial_ts = to_ngtcp2(now.time_since_epoch());
  out.handshake_timeout = to_ngtcp2(core_->options().handshake_timeout);
  out.rand_ctx.native_handle = core_->options().random;
  // Windows are ours to tune (tune_window): ngtcp2's tuning knows no total over all connections.
  out.max_window = 0;
  out.max_stream_window = 0;
  return out;
}

ngtcp2_transport_params QuicConnection::transport_params() const {
  const Limits& limits = core_->options().limits;
  ngtcp2_transport_params out;
  ngtcp2_transport_params_default(&out);
  out.initial_max_stream_data_bidi_local = limits.net_unauthenticated_window_bytes;
  out.initial_max_stream_data_bidi_remote = limits.net_unauthenticated_window_bytes;
  out.initial_max_stream_data_uni = limits.net_unauthenticated_window_bytes;
  out.initial_max_data = limits.net_unauthenticated_window_bytes;
  out.initial_max_streams_bidi = limits.net_unauthenticated_streams;
  out.initial_max_streams_uni = limits.net_unauthenticated_streams;
  out.max_idle_timeout = to_ngtcp2(core_->options().idle_timeout);
  out.active_connection_id_limit = 7;
  return out;
}

void QuicConnection::open_qlog(ngtcp2_settings& settings, const ngtcp2_cid& dcid,
                               const char* side) {
  const auto& factory = core_->options().qlog;
  if (!factory) return;
  qlog_ = factory(fmt::format("{}_{}.sqlog", to_hex({dcid.data, dcid.datalen}), side));
  if (!qlog_) return;
  settings.qlog.odcid = dcid;
  settings.qlog.write = &qlog_callback;
}

Status QuicConnection::start_dialling(const EndpointId& expected,
                                      const std::vector<std::string>& alpns) {
  peer_ = expected;
  PEAT_TRY(tls_, TlsSession::create(core_->identity(), expected, alpns));
  auto set = settings(core_->now());
  const auto params = transport_params();
  const auto dcid = core_->random_cid(NGTCP2_MAX_CIDLEN);
  const auto scid = core_->random_cid(QuicCore::kCidLength);
  open_qlog(set, dcid, "client");
  const auto path = make_path(local_, remote_);
  const int rv = ngtcp2_conn_client_new(&conn_, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1,
                                        &callback_table(), &set, &params, nullptr, this);
  if (rv != 0) return ngtcp2_failure("dialling", rv);
  tls_->bind(conn_);
  core_->add_route(scid, *this);
  window_ = granted_ = core_->options().limits.net_unauthenticated_window_bytes;
  return {};
}

Status QuicConnection::start_accepting(const ngtcp2_pkt_hd& initial,
                                       const ngtcp2_cid* original_dcid,
                                       const std::vector<std::string>& alpns) {
  PEAT_TRY(tls_, TlsSession::create(core_->identity(), std::nullopt, alpns));
  auto set = settings(core_->now());
  auto params = transport_params();
  const auto scid = core_->random_cid(QuicCore::kCidLength);
  if (original_dcid != nullptr) {  // this Initial answers our Retry and carries its token
    params.original_dcid = *original_dcid;
    params.retry_scid = initial.dcid;
    params.retry_scid_present = 1;
    set.token = initial.token;
  } else {
    params.original_dcid = initial.dcid;
  }
  params.stateless_reset_token_present = 1;
  core_->make_reset_token(scid, params.stateless_reset_token);
  open_qlog(set, params.original_dcid, "server");
  const auto path = make_path(local_, remote_);
  const int rv = ngtcp2_conn_server_new(&conn_, &initial.scid, &scid, &path, initial.version,
                                        &callback_table(), &set, &params, nullptr, this);
  if (rv != 0) return ngtcp2_failure("accepting", rv);
  tls_->bind(conn_);
  core_->add_route(scid, *this);
  core_->add_route(initial.dcid, *this);
  window_ = granted_ = core_->options().limits.net_unauthenticated_window_bytes;
  return {};
}

// ---- streams, as their user sees them

QuicConnection::Stream* QuicConnection::find(StreamId id) {
  const auto it = streams_.find(id);
  return it == streams_.end() ? nullptr : &it->second;
}

const QuicConnection::Stream* QuicConnection::find(StreamId id) const {
  const auto it = streams_.find(id);
  return it == streams_.end() ? nullptr : &it->second;
}

QuicConnection::Stream& QuicConnection::add_stream(StreamId id) {
  Stream& stream = streams_[id];
  const bool ours = transport::opened_by_dialler(id) == dialled_;
  stream.can_write = ours || transport::is_bidirectional(id);
  stream.can_read = !ours || transport::is_bidirectional(id);
  stream.granted = core_->options().limits.net_unauthenticated_window_bytes;
  if (authenticated_) open_stream_window(id, stream);
  return stream;
}

Result<transport::StreamId> QuicConnection::open(bool bidirectional) {
  if (!open_for_use()) return fail(Code::connection_lost, "the connection has ended");
  std::int64_t id = -1;
  const int rv = bidirectional ? ngtcp2_conn_open_bidi_stream(conn_, &id, nullptr)
                               : ngtcp2_conn_open_uni_stream(conn_, &id, nullptr);
  if (rv == NGTCP2_ERR_STREAM_ID_BLOCKED) {
    return fail(Code::would_block,
                fmt::format("{} allows no further stream now; on_streams_available follows",
                            peer_.short_form()));
  }
  if (rv != 0) return ngtcp2_failure("opening a stream", rv);
  add_stream(static_cast<StreamId>(id));
  return static_cast<StreamId>(id);
}

Result<transport::StreamId> QuicConnection::open_bidirectional() { return open(true); }
Result<transport::StreamId> QuicConnection::open_unidirectional() { return open(false); }

Status QuicConnection::use_error(StreamId stream) const {
  if (!open_for_use()) {
    return fail(Code::connection_lost,
                fmt::format("the connection with {} has ended", peer_.short_form()));
  }
  return fail(Code::not_found, fmt::format("stream {} is not open for writing: it ended, or was "
                                           "reset or refused by the peer",
                                           stream));
}

Status QuicConnection::write(StreamId id, ByteView data, bool fin) {
  Stream* stream = open_for_use() ? find(id) : nullptr;
  if (stream == nullptr || !stream->can_write) return use_error(id);
  if (stream->fin) {
    return fail(Code::invalid_argument,
                fmt::format("stream {} was already finished; nothing may follow", id));
  }
  try {
    stream->send.push(data);
  } catch (const std::bad_alloc&) {
    return fail(Code::out_of_memory,
                fmt::format("no memory to queue {} bytes on stream {}", data.size(), id));
  }
  stream->fin = fin;
  if (data.empty() && !fin && stream->send.unsent() == 0) stream->announce = true;
  if (stream->send.unsent() >= packet_size()) stream->above_mark = true;
  make_ready(id, *stream);
  core_->touch(*this);
  return {};
}

std::uint64_t QuicConnection::unsent(StreamId id) const {
  const Stream* stream = find(id);
  return stream == nullptr ? 0 : stream->send.unsent();
}

std::uint64_t QuicConnection::unacknowledged(StreamId id) const {
  const Stream* stream = find(id);
  return stream == nullptr ? 0 : stream->send.unacknowledged();
}

bool QuicConnection::wants_data(StreamId id) const {
  const Stream* stream = open_for_use() ? find(id) : nullptr;
  return stream != nullptr && stream->can_write && !stream->fin &&
         stream->send.unsent() < packet_size();
}

std::size_t QuicConnection::packet_size() const {
  return conn_ == nullptr ? std::size_t{NGTCP2_MAX_UDP_PAYLOAD_SIZE}
                          : ngtcp2_conn_get_path_max_tx_udp_payload_size(conn_);
}

void QuicConnection::shut_write(Stream& stream) {
  stream.can_write = false;
  stream.announce = false;
  stream.send.abandon_unsent();
}

void QuicConnection::reset(StreamId id, std::uint64_t code) {
  Stream* stream = open_for_use() ? find(id) : nullptr;
  if (stream == nullptr || !stream->can_write) return;
  shut_write(*stream);
  ngtcp2_conn_shutdown_stream_write(conn_, static_cast<std::int64_t>(id), code);
  core_->touch(*this);
}

void QuicConnection::stop_sending(StreamId id, std::uint64_t code) {
  if (!open_for_use()) return;
  if (const auto ended = unconsumed_.find(id); ended != unconsumed_.end()) {
    credit(ended->second);
    unconsumed_.erase(ended);
    return_stream_credit(id);
    return;
  }
  Stream* stream = find(id);
  if (stream == nullptr || !stream->can_read) return;
  stream->can_read = false;
  credit(stream->received - stream->consumed);
  stream->consumed = stream->received;
  ngtcp2_conn_shutdown_stream_read(conn_, static_cast<std::int64_t>(id), code);
  end_unidirectional(id);
  core_->touch(*this);
}

void QuicConnection::close(std::uint64_t code, std::string_view reason) {
  if (conn_ == nullptr || close_request_) return;
  close_request_ = CloseRequest{code, std::string(reason.substr(0, kLongestReason)), std::nullopt};
  core_->touch(*this);
}

transport::ConnectionStats QuicConnection::stats() const {
  transport::ConnectionStats out;
  out.bytes_sent = bytes_sent_;
  out.bytes_received = bytes_received_;
  out.packets_lost = loss_episodes_;
  if (conn_ == nullptr) return out;
  ngtcp2_conn_stat stat;
  ngtcp2_conn_get_conn_stat(conn_, &stat);
  out.smoothed_rtt = Duration(static_cast<std::int64_t>(stat.smoothed_rtt));
  out.congestion_window = stat.cwnd;
  return out;
}

// ---- receive windows

void QuicConnection::mark_authenticated() {
  if (conn_ == nullptr || authenticated_) return;
  authenticated_ = true;
  core_->authenticated(*this);
  const Limits& limits = core_->options().limits;
  const auto wanted = std::min(kAuthenticatedWindow, limits.net_connection_window_bytes);
  if (wanted > window_) window_ += core_->take_window(wanted - window_);
  credit(0);
  for (auto& [id, stream] : streams_) open_stream_window(id, stream);
  if (limits.net_streams > limits.net_unauthenticated_streams) {
    const auto more = limits.net_streams - limits.net_unauthenticated_streams;
    ngtcp2_conn_extend_max_streams_bidi(conn_, more + withheld_bidi_);
    ngtcp2_conn_extend_max_streams_uni(conn_, more + withheld_uni_);
  }
  core_->touch(*this);
}

// ngtcp2 announces credit by itself once it is half of the first window, so small grants cost
// no packet; a quarter of the present window keeps the calls few.
void QuicConnection::credit(std::uint64_t bytes) {
  consumed_ += bytes;
  epoch_consumed_ += bytes;
  const auto target = consumed_ + window_;
  if (target < granted_ + window_ / 4) return;
  ngtcp2_conn_extend_max_offset(conn_, target - granted_);
  granted_ = target;
  core_->touch(*this);
}

void QuicConnection::open_stream_window(StreamId id, Stream& stream) {
  // MAX_STREAM_DATA shows a stream to the peer, like data does: not before there was data.
  const bool ours = transport::opened_by_dialler(id) == dialled_;
  if (!stream.can_read || (ours && stream.received == 0)) return;
  const auto target = stream.consumed + window_;
  if (target < stream.granted + window_ / 4) return;
  ngtcp2_conn_extend_max_stream_offset(conn_, static_cast<std::int64_t>(id),
                                       target - stream.granted);
  stream.granted = target;
  core_->touch(*this);
}

// A window that is used up within four round trips is what limits the peer: double it.
void QuicConnection::tune_window() {
  if (!authenticated_ || epoch_consumed_ < window_ / 2) return;
  ngtcp2_conn_stat stat;
  ngtcp2_conn_get_conn_stat(conn_, &stat);
  const auto now = core_->now();
  const auto limit = core_->options().limits.net_connection_window_bytes;
  if (now - epoch_start_ < 4 * Duration(static_cast<std::int64_t>(stat.smoothed_rtt)) &&
      window_ < limit) {
    window_ += core_->take_window(std::min(window_, limit - window_));
  }
  epoch_start_ = now;
  epoch_consumed_ = 0;
}

void QuicConnection::consumed(StreamId id, std::uint64_t bytes) {
  if (conn_ == nullptr || bytes == 0) return;
  if (const auto ended = unconsumed_.find(id); ended != unconsumed_.end()) {
    const auto counted = std::min(bytes, ended->second);
    ended->second -= counted;
    credit(counted);
    if (ended->second == 0) {
      unconsumed_.erase(ended);
      return_stream_credit(id);
    }
    return;
  }
  Stream* stream = find(id);
  if (stream == nullptr) return;
  const auto counted = std::min(bytes, stream->received - stream->consumed);
  stream->consumed += counted;
  credit(counted);
  tune_window();
  open_stream_window(id, *stream);
}

// ---- events

void QuicConnection::deliver(std::function<void()> event) {
  if (announced_) {
    event();
  } else {
    early_events_.push_back(std::move(event));
  }
}

void QuicConnection::announce() {
  announced_ = true;
  auto self = shared_from_this();
  core_->announce(self);
  auto events = std::move(early_events_);
  for (auto& event : events) event();
}

void QuicConnection::handshake_completed() {
  handshaken_ = true;
  peer_ = tls_->peer();
  alpn_ = tls_->alpn();
  epoch_start_ = core_->now();
  const auto* theirs = ngtcp2_conn_get_remote_transport_params(conn_);
  auto idle = to_ngtcp2(core_->options().idle_timeout);
  if (theirs != nullptr && theirs->max_idle_timeout != 0) {
    idle = std::min(idle, theirs->max_idle_timeout);
  }
  // A third: two keep-alives may be lost before the connection times out.
  ngtcp2_conn_set_keep_alive_timeout(conn_, idle / 3);
}

void QuicConnection::on_stream_opened(StreamId id) {
  add_stream(id);
  deliver([this, id] {
    if (handler_ != nullptr && !close_request_) handler_->on_stream_opened(*this, id);
  });
}

void QuicConnection::on_stream_data(StreamId id, ByteView data, bool fin) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->received += data.size();
  // The handler is on its way out once close() was called: it asked for nothing more.
  if (!stream->can_read || close_request_) return;
  if (!announced_) {
    early_events_.push_back([this, id, fin, copy = Bytes(data.begin(), data.end())] {
      if (handler_ != nullptr && !close_request_) handler_->on_data(*this, id, copy, fin);
    });
  } else if (handler_ != nullptr) {
    handler_->on_data(*this, id, data, fin);
  }
  if (fin) end_unidirectional(id);
}

// ngtcp2 0.12 never closes a unidirectional stream of the peer (fixed in 0.13), so its
// stream_close does not come and we take the end of the data for it. The library also keeps a
// record of each such stream as long as the connection lives: hence a limit on their number.
void QuicConnection::end_unidirectional(StreamId id) {
  const bool theirs = transport::opened_by_dialler(id) != dialled_;
  if (!theirs || transport::is_bidirectional(id) || find(id) == nullptr) return;
  on_stream_closed(id);
  if (++ended_uni_ == core_->options().limits.net_unidirectional_streams) {
    close(kRenewCode, "this connection has carried its share of streams; dial again");
  }
}

void QuicConnection::on_acknowledged(StreamId id, std::uint64_t offset, std::uint64_t length) {
  Stream* stream = find(id);
  if (stream == nullptr) return;
  stream->send.acknowledge(offset + length);
  if (!stream->can_write || stream->send.unacknowledged() > 0) return;
  if (stream->fin && !stream->fin_sent) return;
  if (handler_ != nullptr && !close_request_) handler_->on_acknowledged(*this, id);
}

void QuicConnection::on_stream_reset(StreamId id, std::uint64_t code) {
  Stream* stream = find(id);
  if (stream == nullptr || !stream->can_read) return;
  stream->can_read = false;
  credit(stream->received - stream->consumed);
  stream->consumed = stream->received;
  deliver([this, id, code] {
    if (handler_ != nullptr && !close_request_) handler_->on_reset(*this, id, code);
  });
  end_unidirectional(id);
}

void QuicConnection::on_stream_closed(StreamId id) {
  const auto it = streams_.find(id);
  if (it == streams_.end()) return;
  const auto held = it->second.received - it->second.consumed;
  const bool readable = it->second.can_read;
  streams_.erase(it);
  if (held > 0 && readable) {
    // What the handler holds still counts against windows and streams, although it ended.
    unconsumed_[id] = held;
    return;
  }
  credit(held);
  return_stream_credit(id);
}

// Without this the peer stops at its first hundred streams.
void QuicConnection::return_stream_credit(StreamId id) {
  if (transport::opened_by_dialler(id) == dialled_) return;
  const bool bidirectional = transport::is_bidirectional(id);
  if (!authenticated_) {
    ++(bidirectional ? withheld_bidi_ : withheld_uni_);
    return;
  }
  if (bidirectional) {
    ngtcp2_conn_extend_max_streams_bidi(conn_, 1);
  } else {
    ngtcp2_conn_extend_max_streams_uni(conn_, 1);
  }
  core_->touch(*this);
}

}  // namespace peat::net
