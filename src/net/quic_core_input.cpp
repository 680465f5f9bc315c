// What QuicCore does with a datagram: to whom it belongs, and what strangers are told.
#include <fmt/format.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "net/quic_core.hpp"

namespace peat::net {
namespace {

constexpr std::uint64_t kConnectionRefused = 0x02;
constexpr std::uint64_t kInvalidToken = 0x0b;
constexpr ngtcp2_duration kRetryTokenLifetime = 10 * NGTCP2_SECONDS;
// RFC 9000 section 10.3: at least 21 bytes, and shorter than what it answers so that two
// endpoints never keep answering each other; 43 looks like any other short packet.
constexpr std::size_t kResetSize = 43;
// Replies that wait for the socket; beyond it they are dropped, like any datagram may be.
constexpr std::size_t kMaxQueuedReplies = 256;

ngtcp2_tstamp stamp(Instant t) { return static_cast<ngtcp2_tstamp>(t.time_since_epoch().count()); }

}  // namespace

void QuicCore::on_datagram(Instant now, const SocketAddress& local, const SocketAddress& remote,
                           std::uint8_t ecn, ByteView datagram) {
  advance(now);
  const Inside inside(inside_);
  ++stats_.datagrams_received;
  stats_.bytes_received += datagram.size();
  // Never by the fixed bit: iroh greases it (RFC 9287) and ngtcp2 0.12 cannot decline that.
  ngtcp2_version_cid header{};
  const int rv = datagram.empty() ? NGTCP2_ERR_INVALID_ARGUMENT
                                  : ngtcp2_pkt_decode_version_cid(&header, datagram.data(),
                                                                  datagram.size(), kCidLength);
  const bool long_header = !datagram.empty() && (datagram[0] & 0x80) != 0;
  if (rv == NGTCP2_ERR_VERSION_NEGOTIATION ||
      (rv == 0 && long_header && header.version != 0 && header.version != NGTCP2_PROTO_VER_V1)) {
    if (datagram.size() >= NGTCP2_MAX_UDP_PAYLOAD_SIZE && accept_) {
      send_version_negotiation(local, remote, header);
    }
    return;
  }
  if (rv != 0 || header.dcidlen > NGTCP2_MAX_CIDLEN) {
    ++stats_.dropped_datagrams;
    return;
  }
  CidKey key{};
  key[0] = static_cast<std::uint8_t>(header.dcidlen);
  std::memcpy(key.data() + 1, header.dcid, header.dcidlen);
  if (const auto route = routes_.find(key); route != routes_.end()) {
    if (route->second.live != nullptr) {
      read(*route->second.live, local, remote, ecn, datagram);
      return;
    }
    // Of a connection that ended: repeat the farewell, ever more rarely.
    Lingering& ended = lingering_.at(route->second.id);
    const auto n = ++ended.packets;
    if (!ended.close_packet.empty() && (n & (n - 1)) == 0) {
      reply(local, remote, ended.close_packet);
    }
    return;
  }
  if (long_header) {
    accept(local, remote, ecn, datagram);
  } else if (!read_stateless_reset(datagram)) {
    send_stateless_reset(local, remote, datagram);
  }
}

void QuicCore::read(QuicConnection& connection, const SocketAddress& local,
                    const SocketAddress& remote, std::uint8_t ecn, ByteView datagram) {
  const ConnectionPtr keep = connection.shared_from_this();
  touch(connection);
  const int rv = connection.read(local, remote, ecn, datagram, now_);
  if (rv != 0) failed(keep, rv);
}

// A stateless reset has a random connection id and ends in a token that only the peer's process
// (or its successor) and we know.
bool QuicCore::read_stateless_reset(ByteView datagram) {
  ResetToken token;
  if (datagram.size() < token.size() + NGTCP2_MIN_STATELESS_RESET_RANDLEN) return false;
  std::memcpy(token.data(), datagram.data() + datagram.size() - token.size(), token.size());
  const auto it = reset_tokens_.find(token);
  if (it == reset_tokens_.end()) return false;
  const ConnectionPtr connection = it->second->shared_from_this();
  const transport::CloseInfo info{transport::CloseInfo::Kind::reset, 0,
                                  "the peer has forgotten this connection (it restarted)"};
  end(connection, info, Error{Code::connection_lost, info.reason}, false, {});
  return true;
}

void QuicCore::accept(const SocketAddress& local, const SocketAddress& remote, std::uint8_t ecn,
                      ByteView datagram) {
  ngtcp2_pkt_hd initial{};
  if (!accept_ || ngtcp2_accept(&initial, datagram.data(), datagram.size()) != 0) {
    ++stats_.dropped_datagrams;
    return;
  }
  ngtcp2_cid original_dcid{};
  bool validated = false;
  if (initial.token.len > 0 && initial.token.base[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY) {
    const int rv = ngtcp2_crypto_verify_retry_token(
        &original_dcid, initial.token.base, initial.token.len, retry_secret_.data(),
        retry_secret_.size(), initial.version, remote.raw(), remote.size(), &initial.dcid,
        kRetryTokenLifetime, stamp(now_));
    if (rv != 0) {
      send_refusal(local, remote, initial, kInvalidToken, "the retry token is stale or foreign");
      return;
    }
    validated = true;
  }
  if (!admit(local, remote, initial, validated)) return;

  ConnectionPtr connection(new QuicConnection(*this, false, local, remote));
  const auto started =
      connection->start_accepting(initial, validated ? &original_dcid : nullptr, alpns_);
  if (!started) {
    for (const auto& key : connection->routes_) routes_.erase(key);
    ++stats_.dropped_datagrams;
    return;
  }
  ++handshakes_;
  ++stats_.unauthenticated_connections;
  ++unauthenticated_by_group_[connection->group_];
  stats_.window_bytes += connection->window_;
  live_.emplace(connection->id_, connection);
  read(*connection, local, remote, ecn, datagram);
}

bool QuicCore::admit(const SocketAddress& local, const SocketAddress& remote,
                     const ngtcp2_pkt_hd& initial, bool validated) {
  const Limits& limits = options_.limits;
  if (stats_.unauthenticated_connections >= limits.net_unauthenticated_connections) {
    ++stats_.refused_connections;
    send_refusal(local, remote, initial, kConnectionRefused, "too many strangers at once");
    return false;
  }
  const auto group = remote.group();
  std::uint64_t from_here = 0;
  if (!remote.is_loopback() && !authenticated_by_group_.contains(group)) {
    const auto it = unauthenticated_by_group_.find(group);
    from_here = it == unauthenticated_by_group_.end() ? 0 : it->second;
  }
  if (from_here >= limits.net_unauthenticated_per_address) {
    ++stats_.refused_for_address;
    send_refusal(local, remote, initial, kConnectionRefused, "too many strangers at this address");
    return false;
  }
  // Forged source addresses can take part of the places only: the rest goes to those who answer.
  const bool crowded = handshakes_ >= limits.net_retry_above_handshakes ||
                       from_here >= (limits.net_unauthenticated_per_address + 1) / 2;
  if (crowded && !validated) {
    send_retry(local, remote, initial);
    return false;
  }
  return true;
}

// ---- replies without a connection

bool QuicCore::may_reply() {
  if (now_ - reply_second_ >= std::chrono::seconds(1)) {
    reply_second_ = now_;
    replies_in_second_ = 0;
  }
  if (replies_in_second_ >= options_.limits.net_stateless_replies_per_second ||
      replies_.size() >= kMaxQueuedReplies) {
    ++stats_.replies_suppressed;
    return false;
  }
  ++replies_in_second_;
  return true;
}

void QuicCore::reply(const SocketAddress& local, const SocketAddress& remote, Bytes bytes) {
  if (replies_.size() >= kMaxQueuedReplies) {
    ++stats_.replies_suppressed;
    return;
  }
  replies_.push_back({local, remote, std::move(bytes)});
}

void QuicCore::send_version_negotiation(const SocketAddress& local, const SocketAddress& remote,
                                        const ngtcp2_version_cid& header) {
  if (!may_reply()) return;
  Bytes packet(1 + 4 + 2 * 256 + 2 * 4);
  // A version of the greased form keeps clients honest about versions they do not know.
  const std::array<std::uint32_t, 2> versions{0x3a4a5a6aU, NGTCP2_PROTO_VER_V1};
  std::uint8_t random = 0;
  options_.random->fill({&random, 1});
  const auto n = ngtcp2_pkt_write_version_negotiation(
      packet.data(), packet.size(), random, header.scid, header.scidlen, header.dcid,
      header.dcidlen, versions.data(), versions.size());
  if (n <= 0) return;
  packet.resize(static_cast<std::size_t>(n));
  ++stats_.version_negotiations_sent;
  reply(local, remote, std::move(packet));
}

void QuicCore::send_retry(const SocketAddress& local, const SocketAddress& remote,
                          const ngtcp2_pkt_hd& initial) {
  if (!may_reply()) return;
  const auto scid = random_cid(kCidLength);
  std::array<std::uint8_t, NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN> token{};
  const auto token_size = ngtcp2_crypto_generate_retry_token(
      token.data(), retry_secret_.data(), retry_secret_.size(), initial.version, remote.raw(),
      remote.size(), &scid, &initial.dcid, stamp(now_));
  if (token_size < 0) return;
  Bytes packet(NGTCP2_MAX_UDP_PAYLOAD_SIZE);
  const auto n =
      ngtcp2_crypto_write_retry(packet.data(), packet.size(), initial.version, &initial.scid, &scid,
                                &initial.dcid, token.data(), static_cast<std::size_t>(token_size));
  if (n <= 0) return;
  packet.resize(static_cast<std::size_t>(n));
  ++stats_.retries_sent;
  reply(local, remote, std::move(packet));
}

void QuicCore::send_refusal(const SocketAddress& local, const SocketAddress& remote,
                            const ngtcp2_pkt_hd& initial, std::uint64_t code,
                            std::string_view reason) {
  if (!may_reply()) return;
  Bytes packet(NGTCP2_MAX_UDP_PAYLOAD_SIZE);
  const auto n = ngtcp2_crypto_write_connection_close(
      packet.data(), packet.size(), initial.version, &initial.scid, &initial.dcid, code,
      reinterpret_cast<const std::uint8_t*>(reason.data()), reason.size());
  if (n <= 0) return;
  packet.resize(static_cast<std::size_t>(n));
  reply(local, remote, std::move(packet));
}

void QuicCore::send_stateless_reset(const SocketAddress& local, const SocketAddress& remote,
                                    ByteView datagram) {
  ++stats_.dropped_datagrams;
  // Shorter than what it answers, so that two endpoints never answer each other for ever; and a
  // keep-alive is small, yet all that an idle peer of a restarted process sends.
  const auto size = std::min(kResetSize, datagram.size() - 1);
  constexpr std::size_t kSmallest =
      NGTCP2_MIN_STATELESS_RESET_RANDLEN + NGTCP2_STATELESS_RESET_TOKENLEN;
  if (size < kSmallest || !may_reply()) return;
  ngtcp2_cid cid{};
  cid.datalen = kCidLength;
  std::memcpy(cid.data, datagram.data() + 1, kCidLength);
  std::array<std::uint8_t, NGTCP2_STATELESS_RESET_TOKENLEN> token{};
  make_reset_token(cid, token.data());
  Bytes filler(size - NGTCP2_STATELESS_RESET_TOKENLEN);
  options_.random->fill(filler);
  Bytes packet(size);
  const auto n = ngtcp2_pkt_write_stateless_reset(packet.data(), packet.size(), token.data(),
                                                  filler.data(), filler.size());
  if (n <= 0) return;
  packet.resize(static_cast<std::size_t>(n));
  ++stats_.stateless_resets_sent;
  reply(local, remote, std::move(packet));
}

}  // namespace peat::net
