// The ways a connection ends.
#include <fmt/format.h>
#include <gnutls/gnutls.h>

#include <algorithm>

#include "net/quic_core.hpp"

namespace peat::net {
namespace {

using transport::CloseInfo;

constexpr std::uint64_t kConnectionRefused = 0x02;
constexpr std::uint64_t kTlsAlerts = 0x100;  // transport errors 0x100 to 0x1ff are TLS alerts
constexpr std::uint64_t kNoApplicationProtocol = 120;

std::string_view text_of(const ngtcp2_connection_close_error& e) {
  if (e.reason == nullptr) return {};
  return {reinterpret_cast<const char*>(e.reason), e.reasonlen};
}

std::string alert_name(std::uint64_t alert) {
  const char* name = gnutls_alert_get_strname(static_cast<gnutls_alert_description_t>(alert));
  return fmt::format("TLS alert {} ({})", alert, name == nullptr ? "unknown" : name);
}

// What a dialler is told when the handshake ended with this transport error.
Error dial_error_of(std::uint64_t code, std::string_view reason, const std::string& where) {
  if (code == (kTlsAlerts | kNoApplicationProtocol)) {
    return {Code::protocol_refused,
            fmt::format("{} speaks none of the protocols (ALPN) offered to it", where)};
  }
  if (code == kConnectionRefused) {
    return {Code::connection_refused, fmt::format("{} refused the connection: {}", where, reason)};
  }
  if ((code & ~std::uint64_t{0xff}) == kTlsAlerts) {
    return {Code::connection_refused,
            fmt::format("the handshake with {} failed: {}", where, alert_name(code & 0xff))};
  }
  return {Code::connection_refused,
          fmt::format("the handshake with {} failed: QUIC error 0x{:x} {}", where, code, reason)};
}

}  // namespace

void QuicCore::failed(const ConnectionPtr& connection, int error) {
  const auto where =
      fmt::format("{} at {}", connection->peer_.short_form(), connection->remote_.to_string());
  ngtcp2_connection_close_error close{};
  ngtcp2_connection_close_error_default(&close);
  switch (error) {
    case NGTCP2_ERR_DRAINING: {
      ngtcp2_conn_get_connection_close_error(connection->conn_, &close);
      const bool application = close.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION;
      const CloseInfo info{application ? CloseInfo::Kind::peer : CloseInfo::Kind::transport,
                           close.error_code, std::string(text_of(close))};
      end(connection, info, dial_error_of(close.error_code, info.reason, where), true, {});
      return;
    }
    case NGTCP2_ERR_IDLE_CLOSE: {
      const CloseInfo info{CloseInfo::Kind::idle_timeout, 0, "nothing heard from the peer"};
      end(connection, info, {Code::timeout, fmt::format("no answer from {}", where)}, false, {});
      return;
    }
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT: {
      const CloseInfo info{CloseInfo::Kind::idle_timeout, 0, "the handshake took too long"};
      end(connection, info,
          {Code::timeout, fmt::format("no answer from {} within {} ms", where,
                                      options_.handshake_timeout / std::chrono::milliseconds(1))},
          false, {});
      return;
    }
    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION: {
      const CloseInfo info{CloseInfo::Kind::transport, 0, "no QUIC version in common"};
      end(connection, info,
          {Code::unsupported, fmt::format("{} does not speak QUIC version 1", where)}, false, {});
      return;
    }
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_RETRY: {
      const CloseInfo info{CloseInfo::Kind::transport, 0, "not a usable handshake"};
      end(connection, info, {Code::connection_refused, info.reason}, false, {});
      return;
    }
    case NGTCP2_ERR_CRYPTO:
      ngtcp2_connection_close_error_set_transport_error_tls_alert(
          &close, ngtcp2_conn_get_tls_alert(connection->conn_), nullptr, 0);
      break;
    default:
      ngtcp2_connection_close_error_set_transport_error_liberr(&close, error, nullptr, 0);
      break;
  }
  Error dial_error = dial_error_of(close.error_code, ngtcp2_strerror(error), where);
  if (connection->tls_->wrong_peer()) {
    dial_error = {Code::wrong_peer,
                  fmt::format("at {} answers endpoint {}, not {}", connection->remote_.to_string(),
                              connection->tls_->peer().to_string(), connection->peer_.to_string())};
  }
  Bytes packet;
  write_close(*connection, close, packet);
  const auto reason =
      error == NGTCP2_ERR_CRYPTO ? alert_name(close.error_code & 0xff) : ngtcp2_strerror(error);
  end(connection, {CloseInfo::Kind::transport, close.error_code, reason}, std::move(dial_error),
      true, std::move(packet));
}

void QuicCore::close_now(const ConnectionPtr& connection) {
  const auto request = *connection->close_request_;
  ngtcp2_connection_close_error close{};
  std::string reason = request.reason;
  ngtcp2_connection_close_error_set_application_error(
      &close, request.code, reinterpret_cast<std::uint8_t*>(reason.data()), reason.size());
  Bytes packet;
  write_close(*connection, close, packet);
  end(connection, {CloseInfo::Kind::local, request.code, request.reason},
      {Code::shut_down, "the endpoint is shutting down"}, true, std::move(packet));
}

void QuicCore::write_close(QuicConnection& connection, const ngtcp2_connection_close_error& error,
                           Bytes& packet) {
  packet.resize(NGTCP2_MAX_UDP_PAYLOAD_SIZE);
  ngtcp2_path_storage path;
  ngtcp2_path_storage_zero(&path);
  ngtcp2_pkt_info info{};
  const auto n = ngtcp2_conn_write_connection_close(
      connection.conn_, &path.path, &info, packet.data(), packet.size(), &error,
      static_cast<ngtcp2_tstamp>(now_.time_since_epoch().count()));
  packet.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  if (n <= 0) return;
  connection.bytes_sent_ += packet.size();
  reply(SocketAddress(path.path.local.addr), SocketAddress(path.path.remote.addr), packet);
}

void QuicCore::end(const ConnectionPtr& connection, const CloseInfo& info, Error dial_error,
                   bool linger, Bytes close_packet) {
  QuicConnection& c = *connection;
  if (c.timer_ != kNever) timers_.erase({c.timer_, c.id_});
  c.timer_ = kNever;
  if (linger && lingering_.size() < options_.limits.net_lingering_connections) {
    // Otherwise the peer's late packets look like new connections and get a fresh handshake each.
    const auto pto = Duration(static_cast<std::int64_t>(ngtcp2_conn_get_pto(c.conn_)));
    const auto until = now_ + 3 * pto;
    for (const auto& key : c.routes_) routes_[key] = {nullptr, c.id_};
    lingering_.emplace(c.id_, Lingering{c.routes_, std::move(close_packet), 0, until});
    timers_.insert({until, c.id_});
  } else {
    for (const auto& key : c.routes_) routes_.erase(key);
  }
  for (const auto& token : c.reset_tokens_) reset_tokens_.erase(token);
  stats_.window_bytes -= c.window_;
  if (c.authenticated_) {
    if (--authenticated_by_group_[c.group_] == 0) authenticated_by_group_.erase(c.group_);
  } else if (!c.dialled_) {
    --stats_.unauthenticated_connections;
    if (--unauthenticated_by_group_[c.group_] == 0) unauthenticated_by_group_.erase(c.group_);
  }
  if (!c.dialled_ && !c.announced_) --handshakes_;

  live_.erase(c.id_);
  c.release();
  c.core_ = nullptr;
  if (const auto done = std::exchange(c.dial_done_, nullptr); done) {
    done(std::unexpected(std::move(dial_error)));
  } else if (c.announced_ && c.handler_ != nullptr) {
    c.handler_->on_closed(c, info);
  }
}

}  // namespace peat::net
