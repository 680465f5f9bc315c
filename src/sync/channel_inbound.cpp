#include "sync/channel_inbound.hpp"

#include <algorithm>
#include <utility>

#include "wire/heartbeat.hpp"

namespace peat::sync {

using transport::StreamId;

InboundStreams::InboundStreams(const LinkContext& context, transport::Connection& connection)
    : context_(context), connection_(connection) {}

InboundStreams::~InboundStreams() {
  *alive_ = false;
  if (timer_ != 0) context_.executor.cancel(timer_);
}

void InboundStreams::on_data(StreamId stream, ByteView data, bool fin, bool ours) {
  auto& stats = context_.host.link_stats();
  stats.bytes_received += data.size();
  stats.last_receive = context_.executor.now().mono;
  if (!transport::is_bidirectional(stream)) {
    on_unidirectional(stream, data, fin);
    return;
  }
  const auto keyless = ours ? wire::KeylessBatches::accept : wire::KeylessBatches::refuse;
  const auto [it, fresh] = halves_.try_emplace(stream, context_.limits, keyless);
  auto& half = it->second;
  if (fresh && !ours) answerable_.insert(stream);
  half.fin = half.fin || fin;
  half.progress = context_.executor.now().mono;
  if (half.dead) {
    connection_.consumed(stream, data.size());
    if (fin) end(stream, half);
    return;
  }
  if (half.waiting.empty() && !parse(stream, half, data)) return;
  half.waiting.insert(half.waiting.end(), data.begin(), data.end());
  if (half.fin && half.waiting.empty() && !end(stream, half)) return;
  run_waiting();
}

void InboundStreams::on_reset(StreamId stream) {
  beats_.erase(stream);
  const auto found = halves_.find(stream);
  if (found == halves_.end()) return;
  connection_.consumed(stream, found->second.waiting.size());
  found->second.waiting.clear();
  if (end(stream, found->second)) run_waiting();
}

// One heartbeat and nothing else: nine bytes, the first is 1.
void InboundStreams::on_unidirectional(StreamId stream, ByteView data, bool fin) {
  connection_.consumed(stream, data.size());
  auto& beat = beats_[stream];
  beat.insert(beat.end(), data.begin(),
              data.begin() + static_cast<std::ptrdiff_t>(
                                 std::min(data.size(), wire::kHeartbeatBytes + 1 - beat.size())));
  const bool wrong = beat.size() > wire::kHeartbeatBytes || (!beat.empty() && beat[0] != 1);
  auto& stats = context_.host.link_stats();
  if (wrong) {
    ++stats.undecodable;
    ++stats.streams_stopped;
    connection_.stop_sending(stream, kMalformedCode);
    beats_.erase(stream);
  } else if (fin) {
    if (wire::decode_heartbeat(beat)) {
      ++stats.heartbeats_received;
    } else {
      ++stats.undecodable;
    }
    beats_.erase(stream);
  }
}

bool InboundStreams::may_parse(const Half& half) const {
  const bool inside = !half.reader.at_boundary();
  if (!inside && inside_ >= context_.limits.sync_streams_per_peer) return false;
  if (buffered_ < context_.limits.sync_parse_bytes) return true;
  // One must always get on: the one that has been at its frame for longest.
  return std::ranges::none_of(halves_, [&](const auto& entry) {
    const auto& other = entry.second;
    return !other.reader.at_boundary() && (!inside || other.order < half.order);
  });
}

void InboundStreams::account(Half& half, bool was_inside) {
  const bool inside = !half.dead && !half.reader.at_boundary();
  if (inside && !was_inside) half.order = next_order_++;
  inside_ += inside ? 1 : 0;
  inside_ -= was_inside ? 1 : 0;
  const auto buffered = inside ? half.reader.buffered() : 0;
  buffered_ += buffered;
  buffered_ -= std::exchange(half.buffered, buffered);
  context_.host.link_stats().undecodable +=
      half.reader.skipped() - std::exchange(half.skipped, half.reader.skipped());
}

bool InboundStreams::parse(StreamId stream, Half& half, ByteView& input) {
  const auto alive = alive_;
  while (!input.empty() && may_parse(half)) {
    const bool was_inside = !half.reader.at_boundary();
    const auto before = input.size();
    auto frame = half.reader.read(input);
    connection_.consumed(stream, before - input.size());
    account(half, was_inside);
    if (!frame) {
      ++context_.host.link_stats().undecodable;
      connection_.consumed(stream, input.size());
      input = {};
      stop(stream, half, kMalformedCode);
    } else if (*frame) {
      context_.host.on_link_frame(std::move(**frame));
      if (!*alive) return false;
    }
  }
  arm_timer();
  return true;
}

// The half is over: a frame that it left unfinished is thrown away. False: cut off meanwhile.
bool InboundStreams::end(StreamId stream, Half& half) {
  const bool was_inside = !half.dead && !half.reader.at_boundary();
  if (was_inside) ++context_.host.link_stats().undecodable;
  half.dead = true;
  account(half, was_inside);
  halves_.erase(stream);
  answer_fin(stream);
  return *alive_;
}

void InboundStreams::answer_fin(StreamId stream) {
  // Not earlier: an old sender takes the end of our half for the end of its stream.
  if (answerable_.erase(stream) > 0) (void)connection_.write(stream, {}, true);
}

void InboundStreams::stop(StreamId stream, Half& half, std::uint64_t code) {
  const bool was_inside = !half.reader.at_boundary() && !half.dead;
  half.dead = true;
  account(half, was_inside);
  connection_.consumed(stream, half.waiting.size());
  half.waiting.clear();
  ++context_.host.link_stats().streams_stopped;
  connection_.stop_sending(stream, code);
  answer_fin(stream);
}

void InboundStreams::run_waiting() {
  const auto alive = alive_;
  bool progress = true;
  while (progress) {
    progress = false;
    for (auto& [stream, half] : halves_) {
      if (half.waiting.empty() || half.dead || !may_parse(half)) continue;
      const auto bytes = std::exchange(half.waiting, {});
      ByteView input = bytes;
      half.progress = context_.executor.now().mono;
      if (!parse(stream, half, input)) return;
      half.waiting.assign(input.begin(), input.end());
      progress = true;
      if (half.fin && half.waiting.empty()) {
        if (!end(stream, half)) return;
        break;  // the iterator is gone
      }
    }
  }
}

void InboundStreams::arm_timer() {
  if (timer_ != 0 || inside_ == 0) return;
  timer_ = context_.executor.at(context_.executor.now().mono + context_.options.read_limit,
                                [this, alive = std::weak_ptr(alive_)] {
                                  if (!alive.expired()) on_timer();
                                });
}

void InboundStreams::on_timer() {
  timer_ = 0;
  const auto now = context_.executor.now().mono;
  auto next = kNever;
  for (auto& [stream, half] : halves_) {
    const bool reading = !half.dead && !half.reader.at_boundary() && half.waiting.empty();
    if (!reading) continue;
    if (now - half.progress >= context_.options.read_limit) {
      ++context_.host.link_stats().undecodable;
      stop(stream, half, kStalledCode);
    } else {
      next = std::min(next, half.progress + context_.options.read_limit);
    }
  }
  if (next != kNever) {
    timer_ = context_.executor.at(next, [this, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) on_timer();
    });
  }
  run_waiting();
}

}  // namespace peat::sync
