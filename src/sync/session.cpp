#include "sync/session.hpp"

#include <algorithm>
#include <utility>

#include "sync/session_common.hpp"
#include "sync/session_native.hpp"
#include "sync/session_old.hpp"

namespace peat::sync {

namespace {

// So that nodes do not come back to one peer at the same moment.
std::uint64_t seed_of(const EndpointId& peer, const store::StoreId& store) {
  std::uint64_t seed = 0;
  for (std::size_t i = 0; i < sizeof seed; ++i) {
    seed = seed << 8 | static_cast<std::uint8_t>(peer.bytes[i] ^ store[i]);
  }
  return seed;
}

}  // namespace

PeerSession::PeerSession(SyncChannel& channel, SessionContext context)
    : channel_(&channel),
      peer_(channel.peer_id()),
      context_(std::move(context)),
      counters_(std::make_unique<SessionCounters>(context_.limits)),
      circuit_(seed_of(peer_, context_.documents.store().incarnation().store_id)),
      retries_(context_.limits.sync_urgent_keys,
               seed_of(peer_, context_.documents.store().incarnation().store_id)) {
  counters_->on_fault = [this](const DocumentFault& fault) { note_fault(fault); };
  if (auto told = std::move(context_.on_ack)) {
    context_.on_ack = [this, told = std::move(told)](store::Seq acked, const auto& declined) {
      for (const auto& document : declined) counters_->declined.put(document.key, true);
      told(acked, declined);
    };
  }
  // Unreadable: as if nothing were held, which costs time and no data.
  if (auto held = load_position(context_.documents.store(), peer_)) counters_->held = *held;
}

PeerSession::~PeerSession() {
  if (wake_ != 0) context_.executor.cancel(wake_);
}

void PeerSession::on_change(const store::ChangeEvent& event) {
  if (dialect_) dialect_->on_change(event);
}

void PeerSession::pump() {
  while (dialect_ && channel_ != nullptr && channel_->is_connected() && channel_->wants_data()) {
    const auto now = context_.executor.now().mono;
    if (!circuit_.allows(now)) return wake_at(circuit_.next_timeout());
    if (dialect_->send_next()) {
      circuit_.sent(now);
      continue;
    }
    if (dialect_->wants_turn() && !std::exchange(turn_posted_, true)) {
      context_.executor.post([this, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        turn_posted_ = false;
        pump();
      });
    }
    return;
  }
}

// Also of documents that came in: what is said of one again then is what the peer has.
void PeerSession::note_fault(const DocumentFault& fault) {
  const auto now = context_.executor.now().mono;
  if (retries_.note(fault.key, fault.error, now)) wake_at(retries_.next_timeout());
  if (context_.on_fault) context_.on_fault(fault);
}

void PeerSession::note_answer(std::uint64_t nonsense_before) {
  const auto now = context_.executor.now().mono;
  if (counters_->nonsense == nonsense_before) return circuit_.success(now);
  circuit_.failure(now, "its messages break the protocol");
}

// One timer, for whatever is due first.
void PeerSession::wake_at(std::optional<Instant> when) {
  if (!when || (wake_ != 0 && wake_at_ <= *when)) return;
  if (wake_ != 0) context_.executor.cancel(wake_);
  wake_at_ = *when;
  wake_ = context_.executor.at(*when, [this] { on_wake(); });
}

void PeerSession::on_wake() {
  wake_ = 0;
  for (const auto& key : retries_.due(context_.executor.now().mono)) {
    if (dialect_) dialect_->resend(key);
  }
  wake_at(retries_.next_timeout());
  pump();
}

bool PeerSession::request(std::string_view key, const automerge::Heads& have) {
  if (!dialect_) return false;
  dialect_->request(key, have);
  pump();
  return true;
}

std::optional<KeyPlace> PeerSession::locate(std::string_view key) const {
  if (!dialect_) return std::nullopt;
  return dialect_->locate(key);
}

bool PeerSession::declined(std::string_view key) const {
  return counters_->declined.peek(key) != nullptr;
}

void PeerSession::note_time(Instant now) {
  if (dialect_) dialect_->note_time(now);
}

SessionStatus PeerSession::status() const {
  SessionStatus status;
  status.peer = peer_;
  status.connected = dialect_ != nullptr;
  status.dialect = last_dialect_;
  status.sent = counters_->sent;
  status.acked = counters_->acked;
  status.last_seq = context_.documents.store().last_seq();
  status.received = counters_->held.position;
  status.documents_sent = counters_->documents_sent;
  status.documents_received = counters_->documents_received;
  status.tombstones_sent = counters_->tombstones_sent;
  status.tombstones_received = counters_->tombstones_received;
  status.refused = counters_->refused;
  status.poison = counters_->poison;
  status.violations = counters_->violations;
  status.withheld = counters_->withheld;
  status.denied = counters_->denied;
  status.faults.assign(counters_->faults.begin(), counters_->faults.end());
  status.circuit = circuit_.state();
  status.circuit_reason = circuit_.reason();
  status.circuit_opened = circuit_.opened();
  if (const auto until = circuit_.next_timeout();
      until && status.circuit == CircuitBreaker::State::open) {
    status.circuit_wait = std::max(*until - context_.executor.now().mono, Duration{});
  }
  status.retries = retries_.size();
  return status;
}

void PeerSession::on_connected(SyncChannel& channel) {
  last_dialect_ = channel.dialect();
  if (last_dialect_ == Dialect::native) {
    dialect_ = std::make_unique<NativeSession>(channel, context_, *counters_, [this] { pump(); });
  } else {
    dialect_ = std::make_unique<OldSession>(channel, context_, *counters_, [this] { pump(); });
  }
  pump();
}

// The next connection says everything that is due by itself.
void PeerSession::on_disconnected(SyncChannel&) {
  dialect_.reset();
  retries_.clear();
}

void PeerSession::on_frame(SyncChannel&, wire::Frame frame) {
  const auto before = counters_->nonsense;
  if (dialect_) dialect_->on_frame(std::move(frame));
  note_answer(before);
  pump();
}

void PeerSession::on_native(SyncChannel&, wire::NativeFrame frame) {
  const auto before = counters_->nonsense;
  if (dialect_) dialect_->on_native(std::move(frame));
  note_answer(before);
  pump();
}

void PeerSession::on_wants_data(SyncChannel&) { pump(); }

void PeerSession::on_closed(SyncChannel&) {
  dialect_.reset();
  channel_ = nullptr;
}

}  // namespace peat::sync
