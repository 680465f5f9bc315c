// What happened, in order, for everyone who wants to follow.
//
// A follower is a cursor, not a queue (design rule 3): it holds a position and reads when it can.
// The newest events are kept exactly, in a ring (limit events_kept). A follower whose position is
// older than the ring gets one `gap` event and then, from the store's change feed, each document
// that changed since, once, in its newest state: nothing is missed, intermediate changes are.
//
// Positions are those of the change feed, so they stay good over a restart. A peer event carries
// the position of the last document event before it and is not repeated on a resume.
//
// Threading: the loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "peat/error.hpp"
#include "peat/ids.hpp"

namespace peat::node {

struct Event {
  enum class Kind : std::uint8_t { document, peer_connected, peer_disconnected, denied, gap };
  Kind kind = Kind::document;
  std::uint64_t seq = 0;
  std::string key;                 // document, denied: "collection:id"
  std::string_view action;         // document: insert, update, delete or merge; denied: the right
  std::optional<EndpointId> peer;  // document: whom it came from; peer events: who
  std::string reason;              // peer_disconnected, denied
};

// Where a follower stands.
struct EventCursor {
  std::uint64_t seq = 0;         // everything up to here was seen
  std::uint64_t ring_index = 0;  // next index in the ring, when it reads from there
  bool from_ring = false;
  bool catching_up = false;  // the gap was told, the feed is being read
};

class EventLog {
 public:
  // Document events after a position from the store's feed, at most `limit`, ascending.
  using Feed = std::function<Result<std::vector<Event>>(std::uint64_t after, std::size_t limit)>;
  EventLog(std::size_t kept, std::uint64_t last_seq, Feed feed);

  void publish(Event event);  // seq: set by the caller for documents, here for peers

  EventCursor now() const;
  EventCursor after(std::uint64_t seq) const;
  // The next events, at most `limit`; none: nothing new.
  Result<std::vector<Event>> read(EventCursor& cursor, std::size_t limit) const;

  // `wake` runs (on the loop, inside publish) when there is something new.
  std::uint64_t on_event(std::function<void()> wake);
  void off_event(std::uint64_t id);
  std::uint64_t published() const { return next_index_; }

 private:
  std::uint64_t first_index() const { return next_index_ - ring_.size(); }
  // Events up to this position may have left the ring.
  std::uint64_t lost_up_to_;
  std::size_t kept_;
  std::uint64_t last_seq_;
  Feed feed_;
  std::deque<Event> ring_;
  std::uint64_t next_index_ = 0;
  std::map<std::uint64_t, std::function<void()>> wakes_;
  std::uint64_t next_wake_ = 1;
};

}  // namespace peat::node
