#include "node/event_log.hpp"

namespace peat::node {

EventLog::EventLog(std::size_t kept, std::uint64_t last_seq, Feed feed)
    : lost_up_to_(last_seq), kept_(kept), last_seq_(last_seq), feed_(std::move(feed)) {}

void EventLog::publish(Event event) {
  if (event.kind == Event::Kind::document) {
    last_seq_ = event.seq;
  } else {
    event.seq = last_seq_;
  }
  ring_.push_back(std::move(event));
  ++next_index_;
  if (ring_.size() > kept_) {
    lost_up_to_ = ring_.front().seq;
    ring_.pop_front();
  }
  // A wake may add or remove followers.
  std::vector<std::function<void()>> wakes;
  wakes.reserve(wakes_.size());
  for (const auto& [id, wake] : wakes_) wakes.push_back(wake);
  for (const auto& wake : wakes) wake();
}

EventCursor EventLog::now() const { return {last_seq_, next_index_, true}; }

EventCursor EventLog::after(std::uint64_t seq) const { return {seq, 0, false}; }

Result<std::vector<Event>> EventLog::read(EventCursor& cursor, std::size_t limit) const {
  std::vector<Event> events;
  if (cursor.from_ring && cursor.ring_index < first_index()) cursor.from_ring = false;
  if (!cursor.from_ring && cursor.seq >= lost_up_to_ && cursor.seq <= last_seq_) {
    // The ring reaches back to this position: skip what the follower has seen.
    cursor.ring_index = first_index();
    while (cursor.ring_index < next_index_ &&
           ring_[cursor.ring_index - first_index()].seq <= cursor.seq) {
      ++cursor.ring_index;
    }
    cursor.from_ring = true;
  }
  if (!cursor.from_ring) {
    // Too old, or from another store's future: say so, then catch up from the feed.
    const bool future = cursor.seq > last_seq_;
    if (!cursor.catching_up) {
      events.push_back({Event::Kind::gap, cursor.seq, {}, {}, {}, {}});
      cursor.catching_up = true;
      if (future) cursor.seq = 0;
    }
    PEAT_TRY(auto rows, feed_(cursor.seq, limit));
    for (auto& row : rows) {
      cursor.seq = row.seq;
      events.push_back(std::move(row));
    }
    if (rows.empty()) cursor = now();
    return events;
  }
  cursor.catching_up = false;
  while (cursor.ring_index < next_index_ && events.size() < limit) {
    events.push_back(ring_[cursor.ring_index - first_index()]);
    cursor.seq = events.back().seq;
    ++cursor.ring_index;
  }
  return events;
}

std::uint64_t EventLog::on_event(std::function<void()> wake) {
  wakes_.emplace(next_wake_, std::move(wake));
  return next_wake_++;
}

void EventLog::off_event(std::uint64_t id) { wakes_.erase(id); }

}  // namespace peat::node
