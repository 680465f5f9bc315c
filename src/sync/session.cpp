#include "sync/session.hpp"

#include <utility>

#include "sync/session_common.hpp"
#include "sync/session_native.hpp"
#include "sync/session_old.hpp"

namespace peat::sync {

PeerSession::PeerSession(SyncChannel& channel, SessionContext context)
    : channel_(&channel),
      peer_(channel.peer_id()),
      context_(std::move(context)),
      counters_(std::make_unique<SessionCounters>()) {
  counters_->on_fault = context_.on_fault;
  // Unreadable: as if nothing were held, which costs time and no data.
  if (auto held = load_position(context_.documents.store(), peer_)) counters_->held = *held;
}

PeerSession::~PeerSession() = default;

void PeerSession::on_change(const store::ChangeEvent& event) {
  if (dialect_) dialect_->on_change(event);
}

void PeerSession::pump() {
  while (dialect_ && channel_ != nullptr && channel_->is_connected() && channel_->wants_data()) {
    if (dialect_->send_next()) continue;
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

void PeerSession::on_disconnected(SyncChannel&) { dialect_.reset(); }

void PeerSession::on_frame(SyncChannel&, wire::Frame frame) {
  if (dialect_) dialect_->on_frame(std::move(frame));
  pump();
}

void PeerSession::on_native(SyncChannel&, wire::NativeFrame frame) {
  if (dialect_) dialect_->on_native(std::move(frame));
  pump();
}

void PeerSession::on_wants_data(SyncChannel&) { pump(); }

void PeerSession::on_closed(SyncChannel&) {
  dialect_.reset();
  channel_ = nullptr;
}

}  // namespace peat::sync
