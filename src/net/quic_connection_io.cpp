// The datagram side of QuicConnection: reading, writing, timers.
#include <algorithm>
#include <array>

#include "net/quic_callbacks.hpp"
#include "net/quic_connection.hpp"
#include "net/quic_core.hpp"

namespace peat::net {

int QuicConnection::read(const SocketAddress& local, const SocketAddress& remote, std::uint8_t ecn,
                         ByteView datagram, Instant now) {
  bytes_received_ += datagram.size();
  const ngtcp2_path path{{const_cast<sockaddr*>(local.raw()), local.size()},
                         {const_cast<sockaddr*>(remote.raw()), remote.size()},
                         nullptr};
  const ngtcp2_pkt_info info{ecn};
  int rv;
  {
    const ScanScope scope(stops_);
    rv = ngtcp2_conn_read_pkt(conn_, &path, &info, datagram.data(), datagram.size(),
                              static_cast<ngtcp2_tstamp>(now.time_since_epoch().count()));
  }
  if (rv != 0) return rv;
  if (handshaken_ && !announced_) announce();
  deliver_stop_sending();
  unblock();
  ngtcp2_conn_stat stat;
  ngtcp2_conn_get_conn_stat(conn_, &stat);
  if (stat.congestion_recovery_start_ts != last_recovery_) {
    last_recovery_ = stat.congestion_recovery_start_ts;
    ++loss_episodes_;
  }
  // The peer may have moved (new Wi-Fi, a NAT's new port); ngtcp2 has then validated the path.
  remote_ = SocketAddress(ngtcp2_conn_get_path(conn_)->remote.addr);
  return 0;
}

void QuicConnection::deliver_stop_sending() {
  if (stops_.empty()) return;
  const auto stops = std::move(stops_);
  stops_.clear();
  for (const auto& stop : stops) {
    Stream* stream = find(stop.stream);
    // Once, and not if everything had arrived before: then there is nothing to stop.
    if (stream == nullptr || !stream->can_write) continue;
    if (stream->fin_sent && stream->send.unacknowledged() == 0) continue;
    shut_write(*stream);
    if (handler_ != nullptr && !close_request_) {
      handler_->on_stop_sending(*this, stop.stream, stop.code);
    }
  }
}

void QuicConnection::make_ready(StreamId id, Stream& stream) {
  if (stream.ready || stream.blocked || !stream.has_output()) return;
  ready_.push_back(id);
  stream.ready = true;
}

// ngtcp2 says when a stream gets room, but not when the connection does; so look after each read.
void QuicConnection::unblock() {
  if (blocked_.empty() || ngtcp2_conn_get_max_data_left(conn_) == 0) return;
  std::erase_if(blocked_, [&](StreamId id) {
    Stream* stream = find(id);
    if (stream == nullptr) return true;
    if (ngtcp2_conn_get_max_stream_data_left(conn_, static_cast<std::int64_t>(id)) == 0) {
      return false;
    }
    stream->blocked = false;
    make_ready(id, *stream);
    return true;
  });
}

void QuicConnection::account_sent(StreamId id, Stream& stream, ngtcp2_ssize written,
                                  std::uint64_t offered, bool fin_offered) {
  if (written < 0) return;
  stream.announce = false;
  stream.send.sent(static_cast<std::uint64_t>(written));
  if (fin_offered && static_cast<std::uint64_t>(written) == offered) stream.fin_sent = true;
  if (stream.above_mark && stream.send.unsent() < packet_size()) {
    stream.above_mark = false;
    if (!stream.fin) wants_data_.push_back(id);
  }
}

ngtcp2_ssize QuicConnection::write_packet(std::span<std::uint8_t> out, ngtcp2_path_storage& path,
                                          ngtcp2_pkt_info& info, Instant now) {
  const auto ts = static_cast<ngtcp2_tstamp>(now.time_since_epoch().count());
  for (;;) {
    while (!ready_.empty()) {  // forget streams that ended or have nothing left
      Stream* front = find(ready_.front());
      if (front != nullptr && front->has_output()) break;
      if (front != nullptr) front->ready = false;
      ready_.pop_front();
    }
    const StreamId id = ready_.empty() ? 0 : ready_.front();
    Stream* stream = ready_.empty() ? nullptr : find(id);
    std::array<ngtcp2_vec, 8> pieces;
    std::size_t count = 0;
    std::uint64_t offered = 0;
    bool fin = false;
    std::uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
    if (stream != nullptr) {
      count = stream->send.gather(pieces);
      for (std::size_t i = 0; i < count; ++i) offered += pieces[i].len;
      fin = stream->fin && offered == stream->send.unsent();
      // MORE: other streams' data may share the packet.
      flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
      if (fin) flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
    }
    ngtcp2_ssize written = -1;
    const auto n = ngtcp2_conn_writev_stream(
        conn_, &path.path, &info, out.data(), out.size(), &written, flags,
        stream == nullptr ? -1 : static_cast<std::int64_t>(id), pieces.data(), count, ts);
    if (stream == nullptr) return n;
    switch (n) {
      case NGTCP2_ERR_WRITE_MORE:
        account_sent(id, *stream, written, offered, fin);
        continue;
      case NGTCP2_ERR_STREAM_DATA_BLOCKED:
        ready_.pop_front();
        stream->ready = false;
        stream->blocked = true;
        blocked_.push_back(id);
        continue;
      case NGTCP2_ERR_STREAM_SHUT_WR:
      case NGTCP2_ERR_STREAM_NOT_FOUND:
        shut_write(*stream);
        continue;
      default:
        break;
    }
    if (n > 0) {
      account_sent(id, *stream, written, offered, fin);
      // The next packet begins with the next stream.
      ready_.pop_front();
      ready_.push_back(id);
    }
    return n;
  }
}

// Between packets, when ngtcp2 is not in the middle of one: handlers may do anything.
void QuicConnection::deliver_wants_data() {
  while (!wants_data_.empty()) {
    const auto ids = std::move(wants_data_);
    wants_data_.clear();
    for (const auto id : ids) {
      const Stream* stream = open_for_use() ? find(id) : nullptr;
      const bool room = stream != nullptr && stream->send.unsent() < packet_size();
      if (handler_ != nullptr && room) handler_->on_wants_data(*this, id);
    }
  }
}

// A close waits for what was written before it, but not for long.
bool QuicConnection::close_is_due(Instant now) {
  if (!close_request_) return false;
  if (!close_request_->deadline) {
    close_request_->deadline = now + core_->options().close_flush_timeout;
  }
  if (!handshaken_ || now >= *close_request_->deadline) return true;
  return std::none_of(streams_.begin(), streams_.end(), [](const auto& entry) {
    const Stream& stream = entry.second;
    return stream.can_write && (stream.send.unacknowledged() > 0 || stream.has_output());
  });
}

Instant QuicConnection::next_timeout() const {
  const auto expiry = ngtcp2_conn_get_expiry(conn_);
  // UINT64_MAX means no timer, not one in 584 years; as a signed number it would be the past.
  Instant out = kNever;
  if (expiry <= static_cast<ngtcp2_tstamp>(INT64_MAX)) {
    out = Instant(Duration(static_cast<std::int64_t>(expiry)));
  }
  if (close_request_ && close_request_->deadline) out = std::min(out, *close_request_->deadline);
  return out;
}

}  // namespace peat::net
