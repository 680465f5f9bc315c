// What both dialects of a session share: the seam to PeerSession, counters, bounded sets.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

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

// Outlives the dialect's state: a status counts over all connections.
struct SessionCounters {
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
  std::deque<DocumentFault> faults;
  std::function<void(const DocumentFault&)> on_fault;

  void fault(std::string_view key, Error error, const Limits& limits) {
    ++poison;
    if (faults.size() >= limits.sync_faults) faults.pop_front();
    faults.push_back({std::string(key), std::move(error)});
    if (on_fault) on_fault(faults.back());
  }
};

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
};

}  // namespace peat::sync
