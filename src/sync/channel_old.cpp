#include "sync/channel_old.hpp"

#include <algorithm>
#include <utility>

#include "wire/heartbeat.hpp"

namespace peat::sync {
namespace {

using transport::Connection;
using transport::StreamId;

constexpr Duration kVerdictWait = std::chrono::milliseconds(500);
constexpr std::uint64_t kPacketBytes = 1200;  // unsent beyond this: the next message can wait
constexpr std::uint32_t kMaxTries = 3;
constexpr std::uint32_t kMaxBeatsSkipped = 50;

}  // namespace

OldLink::OldLink(const LinkContext& context, std::shared_ptr<Connection> connection)
    : context_(context), connection_(std::move(connection)), inbound_(context, *connection_) {}

OldLink::~OldLink() { detach(); }

void OldLink::start() {
  connection_->set_handler(this);
  arm_beat();
}

void OldLink::detach() {
  if (std::exchange(detached_, true)) return;
  if (!closed_) connection_->set_handler(nullptr);
  for (auto* timer : {&probe_timer_, &beat_timer_}) {
    if (*timer != 0) context_.executor.cancel(std::exchange(*timer, 0));
  }
}

// --- sending -------------------------------------------------------------------------------------

bool OldLink::has_room() const {
  return !closed_ && !waiting_ && again_.empty() &&
         unproven_bytes_ < context_.limits.sync_unproven_bytes;
}

bool OldLink::wants_data() const { return has_room() && !backed_up(); }

bool OldLink::backed_up() const { return latest_ && connection_->unsent(*latest_) >= kPacketBytes; }

void OldLink::send(Bytes message, Ticket ticket) {
  waiting_ = Message{std::move(message), ticket, 0};
  flush();
}

void OldLink::flush() {
  while (!closed_ && !again_.empty() && try_send(again_.front())) again_.pop_front();
  if (!closed_ && again_.empty() && waiting_ && try_send(*waiting_)) waiting_.reset();
}

// False: not now.
bool OldLink::try_send(Message& message) {
  if (unproven_bytes_ >= context_.limits.sync_unproven_bytes || backed_up()) return false;
  if (verdict_ == Verdict::reads_on && kept_open_) return write(*kept_open_, message, false);
  const auto stream = connection_->open_bidirectional();
  if (!stream) return false;
  ++context_.host.link_stats().streams_opened;
  const bool keep_open = verdict_ == Verdict::unknown || verdict_ == Verdict::reads_on;
  if (!write(*stream, message, !keep_open)) return false;
  if (keep_open) {
    kept_open_ = *stream;
    if (verdict_ == Verdict::unknown) verdict_ = Verdict::probing;
  } else {
    connection_->stop_sending(*stream, 0);
  }
  return true;
}

bool OldLink::write(StreamId stream, Message& message, bool fin) {
  if (!connection_->write(stream, message.bytes, fin)) return false;
  auto& stats = context_.host.link_stats();
  stats.bytes_sent += message.bytes.size();
  stats.last_send = context_.executor.now().mono;
  if (message.tries++ > 0) ++stats.frames_resent;
  latest_ = stream;
  auto& out = out_[stream];
  out.written += message.bytes.size();
  out.fin = fin;
  unproven_bytes_ += message.bytes.size();
  out.unproven.push_back({std::move(message), out.written});
  return true;
}

void OldLink::release(StreamId stream) {
  const auto found = out_.find(stream);
  if (found == out_.end()) return;
  auto& out = found->second;
  const auto proven = out.written - std::min(out.written, connection_->unacknowledged(stream));
  while (!out.unproven.empty() && out.unproven.front().end <= proven) {
    const auto sent = std::move(out.unproven.front());
    out.unproven.pop_front();
    unproven_bytes_ -= sent.message.bytes.size();
    if (sent.message.ticket != 0) context_.host.on_link_delivered(sent.message.ticket);
  }
  if (out.fin && out.unproven.empty()) out_.erase(found);
}

void OldLink::deliver_all(StreamId stream) {
  auto sent = std::move(out_.extract(stream).mapped().unproven);
  for (const auto& each : sent) {
    unproven_bytes_ -= each.message.bytes.size();
    if (each.message.ticket != 0) context_.host.on_link_delivered(each.message.ticket);
  }
}

void OldLink::take_back(StreamId stream) {
  const auto found = out_.find(stream);
  if (found == out_.end()) return;
  auto unproven = std::move(found->second.unproven);
  out_.erase(found);
  if (latest_ == stream) latest_.reset();
  for (auto& sent : unproven) {
    unproven_bytes_ -= sent.message.bytes.size();
    again_.push_back(std::move(sent.message));
  }
}

void OldLink::finish() {
  const auto write_all = [this](Message& message) {
    if (verdict_ == Verdict::reads_on && kept_open_) {
      write(*kept_open_, message, false);
    } else if (const auto stream = connection_->open_bidirectional()) {
      write(*stream, message, true);
    }
  };
  for (auto& message : again_) write_all(message);
  if (waiting_) write_all(*waiting_);
  again_.clear();
  waiting_.reset();
  if (kept_open_) (void)connection_->write(*kept_open_, {}, true);
  connection_->close(0, "disconnecting");
}

// --- what the peer makes of our streams (E3, E4)
// ---------------------------------------------------

void OldLink::on_acknowledged(Connection&, StreamId stream) {
  release(stream);
  if (!spoken_to()) return;
  if (verdict_ == Verdict::probing && kept_open_ == stream) on_probe_acknowledged();
  flush();
  context_.host.on_link_room();
}

void OldLink::on_probe_acknowledged() {
  if (probe_timer_ != 0) return;
  const auto wait = std::max(kVerdictWait, 3 * connection_->stats().smoothed_rtt);
  probe_timer_ = context_.executor.at(context_.executor.now().mono + wait,
                                      [this, alive = std::weak_ptr(alive_)] {
                                        if (alive.expired()) return;
                                        probe_timer_ = 0;
                                        if (verdict_ != Verdict::probing) return;
                                        verdict_ = Verdict::reads_on;
                                        flush();
                                        context_.host.on_link_room();
                                      });
}

void OldLink::on_stop_sending(Connection&, StreamId stream, std::uint64_t code) {
  if (!ours(stream)) {
    inbound_.on_stop_sending(stream);
    return;
  }
  if (kept_open_ == stream) {
    if (verdict_ == Verdict::probing && code == 0) {
      on_one_frame(stream);
    } else {
      on_persistent_lost(stream);
    }
    return;
  }
  const auto found = out_.find(stream);
  if (found == out_.end()) return;
  // A one-frame acceptor stops a stream once it has read the frame, which can overtake the
  // acknowledgement: after our FIN that is no failure (E1).
  if (code == 0 && found->second.fin) {
    deliver_all(stream);
    flush();
    context_.host.on_link_room();
    return;
  }
  const bool hopeless =
      !found->second.unproven.empty() && found->second.unproven.front().message.tries >= kMaxTries;
  take_back(stream);
  if (hopeless) {
    connection_->close(0, "streams are refused");
    return;
  }
  flush();
  context_.host.on_link_room();
}

void OldLink::on_one_frame(StreamId stream) {
  verdict_ = Verdict::one_frame;
  kept_open_.reset();
  if (probe_timer_ != 0) context_.executor.cancel(std::exchange(probe_timer_, 0));
  take_back(stream);
  (void)connection_->write(stream, {}, true);  // if it was not stopped
  flush();
  context_.host.on_link_room();
}

// What the peer acknowledged and did not read is lost without a trace: only a new beginning of the
// session finds it.
void OldLink::on_persistent_lost(StreamId stream) {
  const bool was_proven = verdict_ == Verdict::reads_on;
  on_one_frame(stream);
  if (was_proven && spoken_to()) context_.host.on_link_restart();
}

void OldLink::on_wants_data(Connection&, StreamId stream) {
  release(stream);
  if (!spoken_to()) return;
  flush();
  context_.host.on_link_room();
}

void OldLink::on_streams_available(Connection&) {
  flush();
  context_.host.on_link_room();
}

// --- receiving -----------------------------------------------------------------------------------

void OldLink::on_data(Connection&, StreamId stream, ByteView data, bool fin) {
  const auto alive = std::weak_ptr(alive_);
  const bool own = ours(stream);
  inbound_.on_data(stream, data, fin, own);
  if (alive.expired() || !spoken_to()) return;
  if (own && fin && kept_open_ == stream) on_persistent_lost(stream);
}

void OldLink::on_reset(Connection&, StreamId stream, std::uint64_t) {
  const auto alive = std::weak_ptr(alive_);
  inbound_.on_reset(stream);
  if (alive.expired() || !spoken_to()) return;
  if (ours(stream) && kept_open_ == stream) on_persistent_lost(stream);
}

void OldLink::on_closed(Connection&, const transport::CloseInfo& info) {
  closed_ = true;
  detach();
  context_.host.on_link_closed(info);
}

// --- heartbeats (E6) -----------------------------------------------------------------------------

void OldLink::arm_beat() {
  const auto when = context_.executor.now().mono + context_.options.heartbeat;
  beat_timer_ = context_.executor.at(when, [this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) beat();
  });
}

void OldLink::beat() {
  beat_timer_ = 0;
  if (closed_) return;
  const auto now = context_.executor.now();
  if (const auto stream = connection_->open_unidirectional()) {
    beats_skipped_ = 0;
    const auto bytes = wire::encode_heartbeat(static_cast<std::uint64_t>(now.wall.ms));
    if (connection_->write(*stream, bytes, true)) {
      auto& stats = context_.host.link_stats();
      ++stats.heartbeats_sent;
      stats.bytes_sent += bytes.size();
    }
  } else if (++beats_skipped_ >= kMaxBeatsSkipped) {
    return;
  }
  arm_beat();
}

std::unique_ptr<ChannelLink> make_old_link(const LinkContext& context,
                                           std::shared_ptr<Connection> connection) {
  return std::make_unique<OldLink>(context, std::move(connection));
}

}  // namespace peat::sync
