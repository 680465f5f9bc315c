#include "net/quic_core.hpp"

#include <fmt/format.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "base/encoding.hpp"

namespace peat::net {
namespace {

// One Transmit carries at most what one UDP datagram could: the kernel splits it afterwards.
constexpr std::size_t kBurstBytes = 65000;
constexpr std::size_t kPacketBytes = 1500;

std::array<std::uint8_t, 21> key_of(const std::uint8_t* cid, std::size_t length) {
  std::array<std::uint8_t, 21> key{};
  key[0] = static_cast<std::uint8_t>(length);
  std::memcpy(key.data() + 1, cid, length);
  return key;
}

std::size_t short_hash(const void* data, std::size_t size, const std::uint8_t* key) {
  static_assert(crypto_shorthash_BYTES == sizeof(std::size_t));
  std::array<std::uint8_t, crypto_shorthash_BYTES> out;
  crypto_shorthash(out.data(), static_cast<const std::uint8_t*>(data), size, key);
  std::size_t value;
  std::memcpy(&value, out.data(), sizeof value);
  return value;
}

Status check(const CoreOptions& o) {
  const auto outside = [](Duration d, std::chrono::seconds low, std::chrono::seconds high) {
    return d < low || d > high;
  };
  using std::chrono::seconds;
  if (o.random == nullptr) return fail(Code::invalid_argument, "a QUIC core needs randomness");
  if (outside(o.idle_timeout, seconds(1), seconds(600))) {
    return fail(Code::invalid_argument, "the idle timeout must be 1 s to 10 min");
  }
  if (outside(o.handshake_timeout, seconds(1), seconds(600))) {
    return fail(Code::invalid_argument, "the handshake timeout must be 1 s to 10 min");
  }
  if (outside(o.close_flush_timeout, seconds(0), seconds(60))) {
    return fail(Code::invalid_argument, "the flush time at close must be at most 60 s");
  }
  return {};
}

}  // namespace

std::size_t QuicCore::KeyedHash::operator()(const CidKey& cid) const {
  return short_hash(cid.data(), std::size_t{1} + cid[0], key.data());
}

std::size_t QuicCore::KeyedHash::operator()(const ResetToken& token) const {
  return short_hash(token.data(), token.size(), key.data());
}

// ---- set-up

Result<std::unique_ptr<QuicCore>> QuicCore::create(CoreOptions options) {
  PEAT_TRY_VOID(check(options));
  if (sodium_init() < 0) return fail(Code::internal, "libsodium cannot be initialised");
  PEAT_TRY(auto identity, TlsIdentity::create(options.id, options.sign));
  return std::unique_ptr<QuicCore>(new QuicCore(std::move(options), std::move(identity)));
}

QuicCore::QuicCore(CoreOptions options, std::shared_ptr<TlsIdentity> identity)
    : options_(std::move(options)), identity_(std::move(identity)) {
  // Tokens must outlive the process, or nobody believes the reset that follows a restart. Ed25519
  // signatures are deterministic and only the key's holder can make them: no file is needed.
  reset_secret_ = sha256(identity_->signer()(as_bytes("peat stateless reset secret 1")));
  options_.random->fill(retry_secret_);
  KeyedHash hash{};
  options_.random->fill(hash.key);
  routes_ = decltype(routes_)(64, hash);
  reset_tokens_ = decltype(reset_tokens_)(64, hash);
  buffer_ = std::make_unique_for_overwrite<std::uint8_t[]>(kBurstBytes + kPacketBytes);
}

QuicCore::~QuicCore() {
  for (auto& [id, connection] : live_) {
    connection->release();
    connection->core_ = nullptr;
    connection->handler_ = nullptr;
  }
}

ngtcp2_cid QuicCore::random_cid(std::size_t length) {
  ngtcp2_cid cid{};
  cid.datalen = length;
  options_.random->fill({cid.data, length});
  return cid;
}

void QuicCore::make_reset_token(const ngtcp2_cid& cid, std::uint8_t* token) const {
  ngtcp2_crypto_generate_stateless_reset_token(token, reset_secret_.data(), reset_secret_.size(),
                                               &cid);
}

void QuicCore::add_route(const ngtcp2_cid& cid, QuicConnection& connection) {
  const auto key = key_of(cid.data, cid.datalen);
  routes_[key] = {&connection, connection.id_};
  connection.routes_.push_back(key);
}

void QuicCore::remove_route(const ngtcp2_cid& cid, QuicConnection& connection) {
  const auto key = key_of(cid.data, cid.datalen);
  routes_.erase(key);
  std::erase(connection.routes_, key);
}

void QuicCore::add_reset_token(const std::uint8_t* token, QuicConnection& connection) {
  ResetToken key;
  std::memcpy(key.data(), token, key.size());
  reset_tokens_[key] = &connection;
  connection.reset_tokens_.push_back(key);
}

void QuicCore::remove_reset_token(const std::uint8_t* token, QuicConnection& connection) {
  ResetToken key;
  std::memcpy(key.data(), token, key.size());
  if (const auto it = reset_tokens_.find(key);
      it != reset_tokens_.end() && it->second == &connection) {
    reset_tokens_.erase(it);
  }
  std::erase(connection.reset_tokens_, key);
}

// ---- for users

std::uint64_t QuicCore::dial(Instant now, const EndpointId& peer, const SocketAddress& local,
                             const SocketAddress& remote, const std::vector<std::string>& alpns,
                             transport::DialCallback done) {
  advance(now);
  ConnectionPtr connection(new QuicConnection(*this, true, local, remote));
  const auto attempt = connection->id_;
  Status started;
  if (shutting_down_) {
    started = fail(Code::shut_down, "the endpoint is shutting down");
  } else if (peer == options_.id) {
    started =
        fail(Code::invalid_argument, "this is our own endpoint id; a node has no link to itself");
  } else {
    started = connection->start_dialling(peer, alpns);
  }
  if (!started) {
    for (const auto& key : connection->routes_) routes_.erase(key);
    failed_dials_.push_back({attempt, std::move(done), started.error()});
    if (!inside_ && wake_) wake_();
    return attempt;
  }
  connection->dial_done_ = std::move(done);
  stats_.window_bytes += connection->window_;
  live_.emplace(attempt, connection);
  touch(*connection);
  return attempt;
}

void QuicCore::cancel_dial(std::uint64_t attempt) {
  std::erase_if(failed_dials_, [&](const FailedDial& f) { return f.attempt == attempt; });
  const auto it = live_.find(attempt);
  if (it == live_.end() || !it->second->dial_done_) return;
  it->second->dial_done_ = [](auto&&) {};
  it->second->close(0, "");
}

void QuicCore::listen(std::vector<std::string> alpns, transport::AcceptCallback accept) {
  alpns_ = std::move(alpns);
  accept_ = std::move(accept);
}

void QuicCore::shutdown(std::uint64_t code, std::string_view reason) {
  shutting_down_ = true;
  accept_ = nullptr;
  for (auto& [id, connection] : live_) connection->close(code, reason);
}

bool QuicCore::idle() const {
  return live_.empty() && replies_.empty() && failed_dials_.empty() && !held_;
}

EndpointStats QuicCore::stats() const {
  EndpointStats out = stats_;
  out.connections = live_.size();
  out.lingering_connections = lingering_.size();
  return out;
}

// ---- for connections

void QuicCore::touch(QuicConnection& connection) {
  if (!connection.dirty_) {
    connection.dirty_ = true;
    dirty_.push_back(connection.id_);
  }
  if (!inside_ && wake_) wake_();
}

void QuicCore::announce(const ConnectionPtr& connection) {
  if (connection->dialled_) {
    const auto done = std::exchange(connection->dial_done_, nullptr);
    if (done) done(ConnectionPtr(connection));
    return;
  }
  --handshakes_;
  if (accept_) {
    accept_(connection);
  } else {
    connection->close(0, "shutting down");
  }
}

void QuicCore::authenticated(QuicConnection& connection) {
  ++authenticated_by_group_[connection.group_];
  if (connection.dialled_) return;
  --stats_.unauthenticated_connections;
  if (--unauthenticated_by_group_[connection.group_] == 0) {
    unauthenticated_by_group_.erase(connection.group_);
  }
}

std::uint64_t QuicCore::take_window(std::uint64_t wanted) {
  const auto limit = options_.limits.net_total_window_bytes;
  const auto left = limit > stats_.window_bytes ? limit - stats_.window_bytes : 0;
  const auto granted = std::min(wanted, left);
  stats_.window_bytes += granted;
  return granted;
}

// ---- time

void QuicCore::arm(QuicConnection& connection) {
  const auto when = connection.next_timeout();
  if (when == connection.timer_) return;
  if (connection.timer_ != kNever) timers_.erase({connection.timer_, connection.id_});
  connection.timer_ = when;
  if (when != kNever) timers_.insert({when, connection.id_});
}

Instant QuicCore::next_timeout() const { return timers_.empty() ? kNever : timers_.begin()->first; }

void QuicCore::on_timeout(Instant now) {
  advance(now);
  const Inside inside(inside_);
  while (!timers_.empty() && timers_.begin()->first <= now_) {
    const auto id = timers_.begin()->second;
    timers_.erase(timers_.begin());
    if (const auto gone = lingering_.find(id); gone != lingering_.end()) {
      for (const auto& key : gone->second.routes) routes_.erase(key);
      lingering_.erase(gone);
      continue;
    }
    const auto it = live_.find(id);
    if (it == live_.end()) continue;
    const ConnectionPtr connection = it->second;
    connection->timer_ = kNever;
    touch(*connection);
    const int rv = ngtcp2_conn_handle_expiry(
        connection->conn_, static_cast<ngtcp2_tstamp>(now_.time_since_epoch().count()));
    if (rv != 0) failed(connection, rv);
  }
}

// ---- output

std::optional<Transmit> QuicCore::poll_transmit(Instant now) {
  advance(now);
  const Inside inside(inside_);
  for (auto failures = std::exchange(failed_dials_, {}); auto& failure : failures) {
    failure.done(std::unexpected(std::move(failure.error)));
  }
  if (held_) return take_held();
  for (;;) {
    if (!replies_.empty()) {
      Reply next = std::move(replies_.front());
      replies_.pop_front();
      reply_buffer_ = std::move(next.bytes);
      ++stats_.datagrams_sent;
      stats_.bytes_sent += reply_buffer_.size();
      return Transmit{next.local, next.remote, 0, reply_buffer_.size(), reply_buffer_};
    }
    if (dirty_.empty()) return std::nullopt;
    const auto id = dirty_.front();
    dirty_.pop_front();
    const auto it = live_.find(id);
    if (it == live_.end()) continue;
    const ConnectionPtr connection = it->second;
    connection->dirty_ = false;
    if (connection->close_is_due(now_)) {
      close_now(connection);
      continue;
    }
    auto out = burst(connection);
    if (connection->conn_ == nullptr) {
      if (out) return out;
      continue;
    }
    // Sending moved its timers; a closed deadline, too, is only known now.
    arm(*connection);
    if (out) {
      touch(*connection);  // there may be more; the others have their turn first
      return out;
    }
  }
}

std::optional<Transmit> QuicCore::burst(const ConnectionPtr& connection) {
  ngtcp2_path_storage storage;
  ngtcp2_path_storage_zero(&storage);
  Transmit out;
  std::size_t used = 0;
  std::size_t count = 0;
  const std::size_t quantum =
      std::min<std::size_t>(kBurstBytes, ngtcp2_conn_get_send_quantum(connection->conn_));
  while (count < kMaxSegments && (used == 0 || used + out.segment <= quantum)) {
    ngtcp2_pkt_info info{};
    const auto size = std::min<std::size_t>(
        kPacketBytes, ngtcp2_conn_get_max_tx_udp_payload_size(connection->conn_));
    const auto n = connection->write_packet({buffer_.get() + used, size}, storage, info, now_);
    if (n < 0) {
      failed(connection, static_cast<int>(n));
      break;
    }
    if (connection->handshaken_ && !connection->announced_) connection->announce();
    connection->deliver_wants_data();
    if (n == 0) break;
    const auto length = static_cast<std::size_t>(n);
    const auto ecn = static_cast<std::uint8_t>(info.ecn);
    connection->bytes_sent_ += length;
    ++stats_.datagrams_sent;
    stats_.bytes_sent += length;
    // To where ngtcp2 says: it may be validating a new path while the old one is still in use.
    const SocketAddress local(storage.path.local.addr);
    const SocketAddress remote(storage.path.remote.addr);
    if (used == 0) {
      out = {local, remote, ecn, length, {}};
    } else if (length > out.segment || ecn != out.ecn || local != out.local ||
               remote != out.remote) {
      held_ = Held{local, remote, ecn, used, length};
      break;
    }
    used += length;
    ++count;
    if (length < out.segment) break;  // only the last segment may be shorter
  }
  if (used == 0) return std::nullopt;
  // After each burst, or pacing believes that nothing was sent.
  if (connection->conn_ != nullptr) {
    ngtcp2_conn_update_pkt_tx_time(connection->conn_,
                                   static_cast<ngtcp2_tstamp>(now_.time_since_epoch().count()));
  }
  out.data = {buffer_.get(), used};
  return out;
}

Transmit QuicCore::take_held() {
  const Held held = *held_;
  held_.reset();
  return {held.local, held.remote, held.ecn, held.size, {buffer_.get() + held.offset, held.size}};
}

}  // namespace peat::net
