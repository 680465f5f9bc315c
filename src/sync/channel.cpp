#include <algorithm>
#include <utility>

#include "sync/channel_impl.hpp"

namespace peat::sync {
namespace {

// A connection that lasted this long was a good one: the next delay starts small again.
constexpr Duration kGoodConnection = std::chrono::seconds(5);
constexpr std::uint32_t kMaxBackoff = 20;

std::unexpected<Error> closed_error(const EndpointId& peer) {
  return fail(Code::channel_closed,
              "the channel to peer " + peer.short_form() + " is closed: get a new one");
}

}  // namespace

ChannelImpl::ChannelImpl(const Context& context, const EndpointId& peer)
    : context_(context), peer_(peer) {}

ChannelImpl::~ChannelImpl() {
  if (timer_ != 0) context_.executor.cancel(timer_);
  if (link_) link_->detach();
}

void ChannelImpl::later(std::function<void(ChannelImpl&)> task) {
  context_.executor.post([weak = weak_from_this(), task = std::move(task)] {
    if (const auto self = weak.lock()) task(*self);
  });
}

void ChannelImpl::start() {
  later([](ChannelImpl& self) {
    if (self.state_ == ChannelState::reconnecting) self.attempt();
  });
}

void ChannelImpl::obey(std::stop_token stop) {
  if (!stop.stop_possible()) return;
  // Runs on whichever thread stops: only post is safe there.
  stop_.emplace(std::move(stop), [&executor = context_.executor, weak = weak_from_this()] {
    executor.post([weak] {
      if (const auto self = weak.lock()) self->close();
    });
  });
}

// --- connections come and go
// -----------------------------------------------------------------------

void ChannelImpl::adopt(AuthenticatedConnection connection) {
  if (state_ == ChannelState::closed) {
    connection.connection->close(0, "disconnecting");
    return;
  }
  const auto keep = shared_from_this();
  if (link_ && connection_id() == connection.connection->stable_id()) return;
  if (link_) lose_connection();
  if (state_ == ChannelState::closed) return;  // by the listener
  if (timer_ != 0) context_.executor.cancel(std::exchange(timer_, 0));
  connection_ = std::move(connection);
  state_ = ChannelState::connected;
  failures_ = 0;
  connected_since_ = context_.executor.now().mono;
  if (std::exchange(ever_connected_, true)) ++stats_.reconnections;
  const LinkContext context{*this, context_.executor, context_.limits, context_.options};
  link_ = connection_.dialect == Dialect::native ? make_native_link(context, connection_.connection)
                                                 : make_old_link(context, connection_.connection);
  link_->start();
  if (listener_ != nullptr) listener_->on_connected(*this);
  if (!has_live_link()) return;
  give_kept();
  awaiting_room_ = true;
  signal();
}

// Not at once: the call may come from inside it.
void ChannelImpl::retire_link() {
  if (!link_) return;
  link_->detach();
  context_.executor.post([link = std::shared_ptr<ChannelLink>(std::move(link_))] {});
}

void ChannelImpl::lose_connection() {
  retire_link();
  state_ = ChannelState::reconnecting;
  for (auto& kept : kept_) kept.given = false;
  if (context_.executor.now().mono - connected_since_ >= kGoodConnection) backoff_ = 0;
  if (listener_ != nullptr) listener_->on_disconnected(*this);
}

void ChannelImpl::on_link_closed(const transport::CloseInfo&) {
  const auto keep = shared_from_this();
  if (state_ == ChannelState::closed) {
    retire_link();
    if (drained_) std::exchange(drained_, nullptr)();
    return;
  }
  lose_connection();
  if (state_ != ChannelState::reconnecting) return;
  if (context_.transport.is_configured(peer_)) {
    schedule_attempt();
  } else {
    orphaned_();
  }
}

void ChannelImpl::on_link_restart() {
  if (!has_live_link() || listener_ == nullptr) return;
  listener_->on_disconnected(*this);
  if (has_live_link()) listener_->on_connected(*this);
}

void ChannelImpl::schedule_attempt() {
  const auto& options = context_.options;
  auto delay = options.reconnect_delay;
  for (std::uint32_t i = 0; i < backoff_ && delay < options.reconnect_delay_cap; ++i) delay *= 2;
  delay = std::min(delay, options.reconnect_delay_cap);
  backoff_ = std::min(backoff_ + 1, kMaxBackoff);
  // Between half of it and all of it, so that two peers do not meet in step for ever.
  const auto half = static_cast<std::uint64_t>(delay.count() / 2);
  const auto jittered =
      Duration(static_cast<std::int64_t>(half + context_.random.next_u64() % (half + 1)));
  timer_ = context_.executor.at(context_.executor.now().mono + jittered, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->timer_ = 0;
    self->attempt();
  });
}

void ChannelImpl::attempt() {
  if (asking_) return;
  asking_ = true;
  context_.transport.get_or_connect(peer_, [weak = weak_from_this()](auto result) {
    if (const auto self = weak.lock()) self->on_attempt(std::move(result));
  });
}

void ChannelImpl::on_attempt(Result<AuthenticatedConnection> result) {
  asking_ = false;
  if (state_ != ChannelState::reconnecting) return;
  if (result) {
    adopt(std::move(*result));
    return;
  }
  ++failures_;
  const bool over =
      !context_.options.reconnect_forever && failures_ >= context_.options.reconnect_attempts;
  if (over || result.error().code == Code::shut_down) {
    close_for_good();
  } else if (timer_ == 0) {
    schedule_attempt();
  }
}

void ChannelImpl::close() {
  if (state_ == ChannelState::closed) return;
  const bool live = has_live_link();
  close_for_good();
  if (live) {
    link_->finish();
  }
}

void ChannelImpl::close_for_good() {
  state_ = ChannelState::closed;
  if (timer_ != 0) context_.executor.cancel(std::exchange(timer_, 0));
  if (asking_) context_.transport.give_up(peer_);
  kept_.clear();
  kept_bytes_ = 0;
  later([](ChannelImpl& self) {
    if (self.listener_ != nullptr) self.listener_->on_closed(self);
    if (!self.link_ && self.drained_) std::exchange(self.drained_, nullptr)();
  });
}

void ChannelImpl::on_drained(std::function<void()> drained) {
  drained_ = std::move(drained);
  if (link_) return;
  later([](ChannelImpl& self) {
    if (self.drained_) std::exchange(self.drained_, nullptr)();
  });
}

// --- sending -------------------------------------------------------------------------------------

Status ChannelImpl::send(const wire::SyncBatch& batch) {
  if (state_ == ChannelState::closed) return closed_error(peer_);
  if (has_live_link() && !link_->has_room()) {
    awaiting_room_ = true;
    return fail(Code::would_block, "the batch before is unsent: wait for on_wants_data");
  }
  Bytes frame;
  PEAT_TRY_VOID(wire::encode_batch_frame(batch, frame, context_.limits));
  if (kept_bytes_ + frame.size() > context_.limits.sync_kept_bytes && !kept_.empty()) {
    awaiting_room_ = true;
    return fail(Code::would_block, "batches for peer " + peer_.short_form() +
                                       " fill sync_kept_bytes (" +
                                       std::to_string(context_.limits.sync_kept_bytes) +
                                       "): wait until it acknowledges them");
  }
  kept_bytes_ += frame.size();
  kept_.push_back({next_ticket_++, std::move(frame)});
  if (has_live_link()) give_kept();
  awaiting_room_ = awaiting_room_ || !wants_data();
  return {};
}

void ChannelImpl::give_kept() {
  for (auto& kept : kept_) {
    if (kept.given) continue;
    if (!link_->has_room()) return;
    give(kept);
  }
}

void ChannelImpl::give(Kept& kept) {
  kept.given = true;
  if (kept.counted) {
    ++stats_.frames_resent;
  } else {
    kept.counted = true;
    ++stats_.batches_sent;
    ++stats_.frames_sent;
  }
  if (connection_.dialect == Dialect::old) {
    link_->send(kept.frame, kept.ticket);
    return;
  }
  wire::LegacyFrame legacy;
  const auto header = kept.frame.begin() + wire::kFrameOverhead +
                      static_cast<std::ptrdiff_t>(wire::kBatchKey.size());
  legacy.frame = {std::string(wire::kBatchKey), wire::FrameType::batch,
                  Bytes(header, kept.frame.end())};
  Bytes out;
  // Cannot fail: the frame was within the same limits when it was kept.
  (void)wire::encode(legacy, out, wire::Compression::none, context_.limits);
  link_->send(std::move(out), kept.ticket);
}

Status ChannelImpl::ready_to_send(Dialect dialect) const {
  if (state_ == ChannelState::closed) return closed_error(peer_);
  if (!has_live_link()) {
    return fail(Code::would_block, "the channel is reconnecting: wait for on_connected");
  }
  if (connection_.dialect != dialect) {
    return fail(Code::unsupported, "this connection speaks the other dialect");
  }
  if (!link_->has_room()) {
    return fail(Code::would_block, "the frame before is unsent: wait for on_wants_data");
  }
  return {};
}

Status ChannelImpl::send_frame(wire::Frame frame) {
  if (auto ready = ready_to_send(Dialect::old); !ready) {
    awaiting_room_ = true;
    return ready;
  }
  Bytes out;
  PEAT_TRY_VOID(wire::encode_frame(frame.key, frame.type, frame.payload, out, context_.limits));
  ++stats_.frames_sent;
  if (frame.type == wire::FrameType::batch) ++stats_.batches_sent;
  link_->send(std::move(out), 0);
  awaiting_room_ = awaiting_room_ || !wants_data();
  return {};
}

Status ChannelImpl::send_native(const wire::NativeFrame& frame) {
  if (auto ready = ready_to_send(Dialect::native); !ready) {
    awaiting_room_ = true;
    return ready;
  }
  Bytes out;
  PEAT_TRY_VOID(wire::encode(frame, out, wire::Compression::none, context_.limits));
  ++stats_.frames_sent;
  link_->send(std::move(out), 0);
  awaiting_room_ = awaiting_room_ || !wants_data();
  return {};
}

bool ChannelImpl::wants_data() const { return has_live_link() && link_->wants_data(); }

void ChannelImpl::on_link_delivered(Ticket ticket) {
  const auto found = std::ranges::find(kept_, ticket, &Kept::ticket);
  if (found == kept_.end()) return;
  kept_bytes_ -= found->frame.size();
  kept_.erase(found);
}

void ChannelImpl::on_link_room() {
  if (!has_live_link()) return;
  give_kept();
  signal();
}

void ChannelImpl::signal() {
  if (!awaiting_room_ || !wants_data()) return;
  awaiting_room_ = false;
  if (listener_ != nullptr) listener_->on_wants_data(*this);
}

// --- receiving -----------------------------------------------------------------------------------

void ChannelImpl::on_link_frame(wire::Frame frame) {
  if (state_ != ChannelState::connected) return;
  ++stats_.frames_received;
  if (frame.type == wire::FrameType::batch) ++stats_.batches_received;
  if (listener_ != nullptr) listener_->on_frame(*this, std::move(frame));
}

void ChannelImpl::on_link_native(wire::NativeFrame frame) {
  if (state_ != ChannelState::connected) return;
  ++stats_.frames_received;
  const auto* legacy = std::get_if<wire::LegacyFrame>(&frame);
  if (legacy != nullptr && legacy->frame.type == wire::FrameType::batch) ++stats_.batches_received;
  if (listener_ != nullptr) listener_->on_native(*this, std::move(frame));
}

}  // namespace peat::sync
