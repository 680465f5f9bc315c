#include "sim/connection.hpp"

#include <algorithm>
#include <utility>

namespace peat::sim {
namespace {

using transport::CloseInfo;
using transport::StreamId;

constexpr std::size_t kSegmentBytes = 1200;
constexpr std::size_t kPacketOverhead = 40;
constexpr Duration kCloseFlush = std::chrono::milliseconds(200);
constexpr Duration kLinkBacklog = std::chrono::milliseconds(10);
constexpr std::uint64_t kTraceDelivery = 2;
constexpr std::uint64_t kTraceData = 3;

StreamId stream_id(bool by_dialler, bool bidirectional, std::uint64_t index) {
  return index * 4 + (bidirectional ? 0 : 2) + (by_dialler ? 0 : 1);
}

std::uint64_t fingerprint(ByteView data) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const auto byte : data) hash = (hash ^ byte) * 0x100000001b3ULL;
  return hash;
}

}  // namespace

SimConnection::SimConnection(Network& network, Setup setup)
    : network_(network),
      setup_(std::move(setup)),
      window_(setup_.options.unproven_window),
      stream_window_(setup_.options.unproven_window),
      last_heard_(network.world_.now().mono) {
  for (auto& kind : credit_) {
    kind.allowed = setup_.peer_options.unproven_stream_credit;
    kind.granted = setup_.options.unproven_stream_credit;
  }
  send_limit_ = setup_.peer_options.unproven_window;
  announced_ = window_;
}

transport::ConnectionStats SimConnection::stats() const {
  const auto& link = network_.link(setup_.self, setup_.other);
  return {2 * link.latency + link.jitter, bytes_sent_, bytes_received_, 0,
          setup_.options.congestion_window};
}

void SimConnection::set_handler(transport::ConnectionHandler* handler) {
  handler_ = handler;
  if (handler == nullptr) return;
  later([](SimConnection& self) {
    for (auto it = self.streams_.begin(); it != self.streams_.end();) {
      const auto id = (it++)->first;
      self.deliver(id);
      if (self.state_ != State::open) return;
      it = self.streams_.upper_bound(id);
    }
  });
}

void SimConnection::mark_authenticated() {
  if (proven_) return;
  proven_ = true;
  window_ = setup_.options.connection_window;
  stream_window_ = setup_.options.stream_window;
  for (std::size_t kind = 0; kind < 2; ++kind) {
    credit_[kind].granted += setup_.options.stream_credit - setup_.options.unproven_stream_credit;
    grant(kind);
  }
  free_window(0);
  const auto window = stream_window_;
  send(kPacketOverhead, [window](SimConnection& peer) {
    peer.setup_.peer_options.unproven_window = window;  // of streams made from now on
    for (auto& [id, stream] : peer.streams_) {
      stream.out.limit = std::max(stream.out.limit, window);
    }
    peer.schedule_pump();
  });
  for (auto& [id, stream] : streams_) stream.in.limit = std::max(stream.in.limit, window);
}

Result<StreamId> SimConnection::open(bool bidirectional) {
  if (state_ != State::open) {
    return peat::fail(Code::connection_lost, "no stream can be opened: the connection has ended");
  }
  auto& kind = credit_[bidirectional ? 0 : 1];
  if (kind.opened >= kind.allowed) {
    kind.blocked = true;
    network_.count(Fault::stream_credit_used_up);
    return peat::fail(Code::would_block,
                      "the peer's stream credit is used up: wait for "
                      "on_streams_available");
  }
  const auto id = stream_id(setup_.dialled, bidirectional, kind.opened++);
  make_stream(id);
  return id;
}

SimConnection::Stream& SimConnection::make_stream(StreamId id) {
  auto& stream = streams_[id];
  const bool both = transport::is_bidirectional(id);
  stream.out.exists = both || ours(id);
  stream.out.limit = setup_.peer_options.unproven_window;
  stream.in.exists = both || !ours(id);
  stream.in.limit = stream_window_;
  return stream;
}

Status SimConnection::write(StreamId id, ByteView data, bool fin) {
  if (state_ != State::open) {
    return peat::fail(Code::connection_lost, "write on a connection that has ended");
  }
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second.out.done() || found->second.out.fin_written) {
    return peat::fail(Code::invalid_argument,
                      "write on stream " + std::to_string(id) + ", whose sending half has ended");
  }
  auto& out = found->second.out;
  out.queue.insert(out.queue.end(), data.begin(), data.end());
  out.written += data.size();
  out.fin_written = fin;
  out.announce = out.announce || (data.empty() && !fin && out.written == 0);
  out.above = out.above || out.pending() >= kSegmentBytes;
  ready_.insert(id);
  schedule_pump();
  return {};
}

std::uint64_t SimConnection::unsent(StreamId id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? 0 : found->second.out.pending();
}

std::uint64_t SimConnection::unacknowledged(StreamId id) const {
  const auto found = streams_.find(id);
  return found == streams_.end() ? 0 : found->second.out.written - found->second.out.acked;
}

bool SimConnection::wants_data(StreamId id) const {
  const auto found = streams_.find(id);
  if (state_ != State::open || found == streams_.end()) return false;
  const auto& out = found->second.out;
  return !out.done() && !out.fin_written && out.pending() < kSegmentBytes;
}

void SimConnection::consumed(StreamId id, std::uint64_t bytes) {
  if (state_ != State::open) return;
  const auto found = streams_.find(id);
  if (found != streams_.end()) {
    auto& in = found->second.in;
    in.consumed += bytes;
    if (!in.done() && in.consumed + stream_window_ >= in.limit + stream_window_ / 2) {
      in.limit = in.consumed + stream_window_;
      send(kPacketOverhead, [id, limit = in.limit](SimConnection& peer) {
        const auto it = peer.streams_.find(id);
        if (it == peer.streams_.end()) return;
        it->second.out.limit = std::max(it->second.out.limit, limit);
        peer.schedule_pump();
      });
    }
  }
  free_window(bytes);
}

void SimConnection::free_window(std::uint64_t bytes) {
  freed_ += bytes;
  if (freed_ + window_ < announced_ + window_ / 2) return;
  announced_ = freed_ + window_;
  send(kPacketOverhead, [limit = announced_](SimConnection& peer) {
    peer.send_limit_ = std::max(peer.send_limit_, limit);
    peer.schedule_pump();
  });
}

void SimConnection::grant(std::size_t kind) {
  send(kPacketOverhead, [kind, granted = credit_[kind].granted](SimConnection& peer) {
    auto& theirs = peer.credit_[kind];
    theirs.allowed = std::max(theirs.allowed, granted);
    if (!theirs.blocked || theirs.opened >= theirs.allowed) return;
    theirs.blocked = false;
    if (peer.handler_ != nullptr) peer.handler_->on_streams_available(peer);
  });
}

void SimConnection::reset(StreamId id, std::uint64_t code) {
  if (state_ != State::open) return;
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second.out.done()) return;
  drop_half(id, found->second.out);
  send(kPacketOverhead, [id, code](SimConnection& peer) { peer.on_reset(id, code); });
  conclude(id);
}

void SimConnection::drop_half(StreamId id, Out& out) {
  out.was_reset = true;
  in_flight_ -= std::min(in_flight_, out.sent - out.acked);
  out.queue.clear();
  out.taken = 0;
  out.acked = out.written;
  ready_.erase(id);
  schedule_pump();
}

void SimConnection::stop_sending(StreamId id, std::uint64_t code) {
  if (state_ != State::open) return;
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second.in.done() || found->second.in.stopped) return;
  found->second.in.stopped = true;
  send(kPacketOverhead, [id, code](SimConnection& peer) { peer.on_stop(id, code); });
}

void SimConnection::close(std::uint64_t code, std::string_view reason) {
  if (state_ != State::open) return;
  state_ = State::closing;
  close_info_ = {CloseInfo::Kind::local, code, std::string(reason)};
  close_deadline_ = network_.world_.now().mono + kCloseFlush;
  schedule_pump();
  later([](SimConnection& self) { self.try_finish_close(); });
  network_.world_.at(close_deadline_, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->try_finish_close();
  });
}

void SimConnection::try_finish_close() {
  if (state_ != State::closing) return;
  const bool flushed = in_flight_ == 0 && ready_.empty();
  if (!flushed && network_.world_.now().mono < close_deadline_) return;
  ++network_.closes_[close_info_.code];
  send(kPacketOverhead, [info = close_info_](SimConnection& peer) {
    peer.fail(CloseInfo::Kind::peer, info.code, info.reason);
  });
  finish(close_info_);
}

void SimConnection::fail(CloseInfo::Kind kind, std::uint64_t code, std::string reason) {
  if (state_ == State::gone) return;
  if (kind == CloseInfo::Kind::idle_timeout) network_.count(Fault::idle_timeout);
  finish({kind, code, std::move(reason)});
}

void SimConnection::finish(CloseInfo info) {
  const auto keep = shared_from_this();
  state_ = State::gone;
  close_info_ = info;
  held_.clear();
  auto* handler = std::exchange(handler_, nullptr);
  if (handler != nullptr) handler->on_closed(*this, info);
  network_.forget(*this);
}

void SimConnection::vanish() {
  state_ = State::gone;
  close_info_.kind = CloseInfo::Kind::reset;
  handler_ = nullptr;
  held_.clear();
}

void SimConnection::start() {
  if (setup_.dialled) {
    send(kPacketOverhead, [](SimConnection&) {});
    earliest_arrival_ = last_arrival_;
  }
  keep_alive();
}

void SimConnection::keep_alive() {
  const auto idle = std::min(setup_.options.idle_timeout, setup_.peer_options.idle_timeout);
  const auto now = network_.world_.now().mono;
  if (now >= last_heard_ + idle) {
    fail(CloseInfo::Kind::idle_timeout, 0, "nothing was heard for the idle timeout");
    return;
  }
  send(kPacketOverhead,
       [](SimConnection& peer) { peer.send(kPacketOverhead, [](SimConnection&) {}); });
  network_.world_.at(std::min(now + idle / 3, last_heard_ + idle), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && self->state_ != State::gone) self->keep_alive();
  });
}

void SimConnection::send(std::size_t size, Delivery delivery) {
  auto& world = network_.world_;
  bytes_sent_ += size;
  const auto arrival =
      std::max(network_.arrival(setup_.self, setup_.other, size), earliest_arrival_);
  if (arrival < last_arrival_) network_.count(Fault::packet_overtaken);
  last_arrival_ = std::max(last_arrival_, arrival);
  world.at(arrival,
           [network = &network_, from = weak_from_this(), to = peer_, a = setup_.self,
            b = setup_.other, number = setup_.number, size, delivery = std::move(delivery)] {
             if (network->is_cut(a, b) || !network->is_up(b)) {
               const auto sender = from.lock();
               if (!sender || sender->gone()) return;
               network->count(Fault::packet_delayed_by_cut);
               sender->held_.emplace_back(size, delivery);
               return;
             }
             network->world_.trace(kTraceDelivery, number * 2 + (a < b ? 1 : 0), size);
             const auto receiver = to.lock();
             if (receiver && !receiver->gone()) {
               receiver->bytes_received_ += size;
               receiver->receive(delivery);
             } else if (const auto sender = from.lock(); sender && !sender->gone()) {
               network->answer_for_gone(*sender, receiver.get());
             }
           });
}

void SimConnection::receive(const Delivery& delivery) {
  const auto keep = shared_from_this();
  last_heard_ = network_.world_.now().mono;
  if (accept_) std::exchange(accept_, nullptr)();
  if (state_ != State::gone) delivery(*this);
}

void SimConnection::resend_held() {
  const auto held = std::exchange(held_, {});
  for (const auto& [size, delivery] : held) send(size, delivery);
}

void SimConnection::later(std::function<void(SimConnection&)> task) {
  network_.world_.after(Duration{}, [weak = weak_from_this(), task = std::move(task)] {
    const auto self = weak.lock();
    if (self && self->state_ != State::gone) task(*self);
  });
}

void SimConnection::schedule_pump(Duration delay) {
  if (pump_scheduled_ || state_ == State::gone) return;
  pump_scheduled_ = true;
  network_.world_.after(delay, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->pump_scheduled_ = false;
    if (self->state_ != State::gone) self->pump();
  });
}

void SimConnection::pump() {
  std::vector<StreamId> order(ready_.upper_bound(last_served_), ready_.end());
  order.insert(order.end(), ready_.begin(), ready_.upper_bound(last_served_));
  bool progress = true;
  while (progress) {
    progress = false;
    for (const auto id : order) {
      if (in_flight_ >= setup_.options.congestion_window) return;
      if (const auto backlog = network_.backlog(setup_.self, setup_.other);
          backlog > kLinkBacklog) {
        schedule_pump(backlog - kLinkBacklog + std::chrono::microseconds(1));
        return;
      }
      const auto found = streams_.find(id);
      if (found == streams_.end() || !ready_.contains(id)) continue;
      if (!send_segment(id, found->second.out)) continue;
      progress = true;
      last_served_ = id;
      after_sending(id);
      if (state_ == State::gone) return;
    }
  }
}

bool SimConnection::send_segment(StreamId id, Out& out) {
  const auto room = std::min(out.limit - std::min(out.limit, out.sent),
                             send_limit_ - std::min(send_limit_, sent_));
  const auto n = std::min<std::uint64_t>({kSegmentBytes, out.pending(), room});
  const bool fin = out.fin_written && !out.fin_sent && n == out.pending();
  if (n == 0 && !fin && !out.announce) return false;
  const auto begin = out.queue.begin() + static_cast<std::ptrdiff_t>(out.taken);
  Bytes data(begin, begin + static_cast<std::ptrdiff_t>(n));
  const auto offset = out.sent;
  out.taken += n;
  out.sent += n;
  sent_ += n;
  in_flight_ += n;
  out.fin_sent = out.fin_sent || fin;
  out.announce = false;
  if (out.taken == out.queue.size()) {
    out.queue.clear();
    out.taken = 0;
  } else if (out.taken > (64 << 10)) {
    out.queue.erase(out.queue.begin(), begin + static_cast<std::ptrdiff_t>(n));
    out.taken = 0;
  }
  if (out.pending() == 0 && (!out.fin_written || out.fin_sent)) ready_.erase(id);
  send(n + kPacketOverhead, [id, offset, data = std::move(data), fin](SimConnection& peer) {
    peer.on_segment(id, offset, data, fin);
  });
  return true;
}

void SimConnection::after_sending(StreamId id) {
  auto& out = streams_.at(id).out;
  if (!out.above || out.pending() >= kSegmentBytes) return;
  out.above = false;
  if (handler_ != nullptr && state_ == State::open) handler_->on_wants_data(*this, id);
}

bool SimConnection::ensure_peer_stream(StreamId id) {
  auto& kind = credit(id);
  const auto index = id / 4;
  while (kind.peer_opened <= index) {
    const auto fresh =
        stream_id(!setup_.dialled, transport::is_bidirectional(id), kind.peer_opened++);
    make_stream(fresh);
    if (handler_ != nullptr && state_ == State::open) handler_->on_stream_opened(*this, fresh);
  }
  return streams_.contains(id);
}

void SimConnection::on_segment(StreamId id, std::uint64_t offset, const Bytes& data, bool fin) {
  const bool known = ours(id) ? streams_.contains(id) : ensure_peer_stream(id);
  if (state_ == State::gone) return;
  network_.world_.trace(kTraceData, offset, fingerprint(data));
  std::uint64_t up_to = offset + data.size();
  bool fin_arrived = fin;
  if (!known || streams_.at(id).in.done() || streams_.at(id).in.stopped) {
    free_window(data.size());
    if (known && fin) {
      streams_.at(id).in.fin_at = up_to;
      streams_.at(id).in.fin_delivered = true;
      conclude(id);
    }
  } else {
    auto& in = streams_.at(id).in;
    if (fin) in.fin_at = up_to;
    if (!data.empty() || fin) in.ahead.emplace(offset, data);
    up_to = in.delivered;
    for (const auto& [at, bytes] : in.ahead) {
      if (at > up_to) break;
      up_to = at + bytes.size();
    }
    fin_arrived = in.fin_at == up_to;
  }
  send(kPacketOverhead, [id, up_to, bytes = data.size(), fin_arrived](SimConnection& peer) {
    peer.on_ack(id, up_to, bytes, fin_arrived);
  });
  if (known) deliver(id);
}

void SimConnection::deliver(StreamId id) {
  for (;;) {
    const auto found = streams_.find(id);
    if (handler_ == nullptr || state_ != State::open || found == streams_.end()) return;
    auto& in = found->second.in;
    if (in.stopped || in.done() || in.ahead.empty()) return;
    const auto first = in.ahead.begin();
    if (first->first > in.delivered) return;
    const auto data = std::move(first->second);
    in.ahead.erase(first);
    in.delivered += data.size();
    const bool fin = in.fin_at == in.delivered && in.ahead.empty();
    in.fin_delivered = fin;
    handler_->on_data(*this, id, data, fin);
    if (fin) {
      if (state_ == State::open) conclude(id);
      return;
    }
  }
}

void SimConnection::on_ack(StreamId id, std::uint64_t up_to, std::uint64_t bytes, bool fin) {
  const auto found = streams_.find(id);
  if (found != streams_.end() && !found->second.out.was_reset) {
    auto& out = found->second.out;
    in_flight_ -= std::min(in_flight_, bytes);
    const bool before = out.acked == out.written && (!out.fin_written || out.fin_acked);
    out.acked = std::max(out.acked, std::min(up_to, out.written));
    out.fin_acked = out.fin_acked || (fin && out.fin_sent);
    const bool all = out.acked == out.written && (!out.fin_written || out.fin_acked);
    if (all && !before && handler_ != nullptr && state_ == State::open) {
      handler_->on_acknowledged(*this, id);
    }
    if (state_ != State::gone) conclude(id);
  }
  if (state_ == State::closing) try_finish_close();
  schedule_pump();
}

void SimConnection::on_stop(StreamId id, std::uint64_t code) {
  if (!ours(id)) ensure_peer_stream(id);
  const auto found = streams_.find(id);
  if (found == streams_.end() || state_ != State::open) return;
  if (!found->second.out.done()) {
    drop_half(id, found->second.out);
    send(kPacketOverhead, [id, code](SimConnection& peer) { peer.on_reset(id, code); });
  }
  if (handler_ != nullptr) handler_->on_stop_sending(*this, id, code);
  if (state_ == State::open) conclude(id);
}

void SimConnection::on_reset(StreamId id, std::uint64_t code) {
  if (!ours(id)) ensure_peer_stream(id);
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second.in.done()) return;
  auto& in = found->second.in;
  in.was_reset = true;
  for (const auto& [offset, data] : in.ahead) free_window(data.size());
  in.ahead.clear();
  if (handler_ != nullptr && state_ == State::open) handler_->on_reset(*this, id, code);
  if (state_ != State::gone) conclude(id);
}

void SimConnection::conclude(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || !found->second.out.done() || !found->second.in.done()) return;
  streams_.erase(found);
  if (ours(id)) return;
  const bool uni = !transport::is_bidirectional(id);
  if (uni && !setup_.options.returns_uni_credit) return;
  ++credit(id).granted;
  grant(uni ? 1 : 0);
}

bool SimConnection::stop_some_stream() {
  std::vector<StreamId> candidates;
  for (const auto& [id, stream] : streams_) {
    if (stream.in.exists && !stream.in.done() && !stream.in.stopped && stream.in.delivered > 0) {
      candidates.push_back(id);
    }
  }
  if (candidates.empty() || state_ != State::open) return false;
  constexpr std::uint64_t kOverloaded = 0x77;
  stop_sending(candidates[network_.world_.below(candidates.size())], kOverloaded);
  return true;
}

}  // namespace peat::sim
