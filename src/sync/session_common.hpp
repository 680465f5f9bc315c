// What both dialects of a session share: the seam to PeerSession, counters, bounded sets.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "sync/session.hpp"

namespace peat::sync {

// Keys in the order in which they came, each once, at most `limit` of them.
class KeyQueue {
 public:
  explicit KeyQueue(std::uint64_t limit) : limit_(limit) {}

  // False if it is full and the key is not in it.
  bool push(std::string_view key) {
    if (members_.contains(std::string(key))) return true;
    if (order_.size() >= limit_) return false;
    order_.emplace_back(key);
    members_.insert(order_.back());
    return true;
  }
  bool empty() const { return order_.empty(); }
  std::size_t size() const { return order_.size(); }
  // How many stand before it; nullopt: it is not in it.
  std::optional<std::size_t> place(std::string_view key) const {
    if (!members_.contains(std::string(key))) return std::nullopt;
    return static_cast<std::size_t>(std::ranges::find(order_, key) - order_.begin());
  }
  const std::string& front() const { return order_.front(); }
  void pop() {
    members_.erase(order_.front());
    order_.pop_front();
  }
  void clear() {
    order_.clear();
    members_.clear();
  }

 private:
  std::uint64_t limit_;
  std::deque<std::string> order_;
  std::unordered_set<std::string> members_;
};

// Urgent keys by the class of their collection, each class bounded for itself.
class UrgentKeys {
 public:
  UrgentKeys(std::uint64_t limit, const Documents& documents)
      : documents_(documents),
        queues_{KeyQueue(limit), KeyQueue(limit), KeyQueue(limit), KeyQueue(limit),
                KeyQueue(limit)} {}

  QosClass class_of(std::string_view key) const {
    const auto parts = split_key(key);
    return parts ? documents_.collections().rule(parts->collection).qos : QosClass::normal;
  }
  // False if its class is full and the key is not in it.
  bool push(std::string_view key) { return of(class_of(key)).push(key); }
  KeyQueue& of(QosClass qos) { return queues_[static_cast<std::size_t>(qos)]; }
  const KeyQueue& of(QosClass qos) const { return queues_[static_cast<std::size_t>(qos)]; }
  bool empty() const {
    return std::ranges::all_of(queues_, [](const auto& queue) { return queue.empty(); });
  }

 private:
  const Documents& documents_;
  std::array<KeyQueue, kQosClasses> queues_;
};

// Shares of one link among flows that may or may not have something to send: each gets at least
// its weight's part of the bytes, what others leave goes to whoever has something, and one that
// was silent has saved nothing up.
template <std::size_t n>
class FairShare {
 public:
  explicit FairShare(const std::array<std::uint64_t, n>& weights) : weights_(weights) {}

  // Whose turn it is, next ones behind; of equals the lower number first.
  std::array<std::size_t, n> order() const {
    std::array<std::size_t, n> flows;
    for (std::size_t i = 0; i < n; ++i) flows[i] = i;
    std::ranges::sort(flows, {}, [this](auto flow) { return std::pair(start(flow), flow); });
    return flows;
  }
  void charge(std::size_t flow, std::uint64_t bytes) {
    now_ = start(flow);
    finished_[flow] = now_ + bytes * kScale / weights_[flow];
  }

 private:
  static constexpr std::uint64_t kScale = 1024;
  std::uint64_t start(std::size_t flow) const { return std::max(now_, finished_[flow]); }

  std::array<std::uint64_t, n> weights_;
  std::array<std::uint64_t, n> finished_{};
  std::uint64_t now_ = 0;
};

// How large the next message may be: what one did to the link says it.
class Pacer {
 public:
  // A message should hold the link for no longer than the one, and is worth its own for the other.
  static constexpr Duration kSlow = std::chrono::milliseconds(150);
  static constexpr Duration kQuick = std::chrono::milliseconds(30);

  Pacer(std::size_t least, std::size_t most)
      : least_(least), most_(most), bytes_(std::min(4 * least, most)) {}

  std::size_t bytes() const { return bytes_; }
  // The channel wants the next message.
  void ready(Instant now) {
    if (!blocked_since_) return;
    const auto held = now - *std::exchange(blocked_since_, std::nullopt);
    if (held > kSlow) bytes_ = std::max(bytes_ / 2, least_);
    if (held < kQuick && was_large_) bytes_ = std::min(bytes_ * 2, most_);
  }
  // It has taken one. A small one says nothing of what the link can do.
  void sent(Instant now, std::size_t size) {
    blocked_since_ = now;
    was_large_ = size >= bytes_ / 2;
  }

 private:
  std::size_t least_;
  std::size_t most_;
  std::size_t bytes_;
  bool was_large_ = false;
  std::optional<Instant> blocked_since_;
};

// A memory of at most `limit` keys; the least recently used is forgotten.
template <class Value>
class RecentMap {
 public:
  explicit RecentMap(std::uint64_t limit) : limit_(limit) {}

  Value* find(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return &found->second->second;
  }
  // Without making it recent.
  const Value* peek(std::string_view key) const {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &found->second->second;
  }
  Value& put(std::string_view key, Value value) {
    if (auto* known = find(key)) return *known = std::move(value);
    if (order_.size() >= limit_) erase(order_.back().first);
    order_.emplace_front(std::string(key), std::move(value));
    index_.emplace(order_.front().first, order_.begin());
    return order_.front().second;
  }
  void erase(std::string_view key) {
    const auto found = index_.find(key);
    if (found == index_.end()) return;
    const auto node = found->second;
    index_.erase(found);
    order_.erase(node);
  }
  std::size_t size() const { return order_.size(); }
  void clear() {
    index_.clear();
    order_.clear();
  }

 private:
  using Order = std::list<std::pair<std::string, Value>>;  // most recently used first

  std::uint64_t limit_;
  Order order_;
  std::unordered_map<std::string_view, typename Order::iterator> index_;  // views into order_
};

// What was given to a connection that lives on for so long has arrived.
inline constexpr Duration kSurelyArrived = std::chrono::minutes(10);

// Outlives the dialect's state: a status counts over all connections.
struct SessionCounters {
  explicit SessionCounters(const Limits& limits) : declined(limits.sync_known_heads) {}

  wire::Resume held;  // how far the peer's feed is durably here
  store::Seq sent = 0;
  store::Seq acked = 0;
  std::uint64_t documents_sent = 0;
  std::uint64_t documents_received = 0;
  std::uint64_t tombstones_sent = 0;
  std::uint64_t tombstones_received = 0;
  std::uint64_t refused = 0;
  std::uint64_t poison = 0;
  std::uint64_t violations = 0;
  // Those among them that are the peer's own fault, and no later version's or single document's.
  std::uint64_t nonsense = 0;
  std::uint64_t withheld = 0;
  std::uint64_t denied = 0;
  std::deque<DocumentFault> faults;
  RecentMap<bool> declined;  // by the peer, when it acknowledged our feed
  std::function<void(const DocumentFault&)> on_fault;

  void fault(std::string_view key, Error error, const Limits& limits) {
    ++(error.code == Code::permission_denied ? denied : poison);
    if (faults.size() >= limits.sync_faults) faults.pop_front();
    faults.push_back({std::string(key), std::move(error)});
    if (on_fault) on_fault(faults.back());
  }
};

// Whether the peer may be sent anything of the document. What is said to a peer about a document
// asks this first.
inline bool may_read(const SessionContext& context, const EndpointId& peer, std::string_view key,
                     SessionCounters& counters) {
  if (context.access == nullptr || context.access->may_read(peer, key)) return true;
  ++counters.withheld;
  return false;
}

// One connection's state in one dialect.
class DialectSession {
 public:
  virtual ~DialectSession() = default;
  virtual void on_change(const store::ChangeEvent& event) = 0;
  virtual void on_frame(wire::Frame) {}
  virtual void on_native(wire::NativeFrame) {}
  // Gives the channel one message; false if there is nothing to say or it did not take it.
  virtual bool send_next() = 0;
  // send_next has said nothing only because it had read enough for one turn of the loop.
  virtual bool wants_turn() const { return false; }
  virtual void note_time(Instant) {}
  // Asks the peer for a document, which it need not have; `have`: what is here of it.
  virtual void request(std::string_view key, const automerge::Heads& have) = 0;
  // The document is to be said again, whatever was said of it before.
  virtual void resend(std::string_view key) = 0;
  virtual KeyPlace locate(std::string_view key) const = 0;
};

}  // namespace peat::sync
