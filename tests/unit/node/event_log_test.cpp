// Followers of events: exact while the log remembers, honest when it does not.
#include "node/event_log.hpp"

#include <gtest/gtest.h>

#include <map>

#include "base/limits.hpp"

namespace peat::node {
namespace {

// A store with one row per document, as the change feed keeps it.
struct Rows {
  std::map<std::uint64_t, std::string> by_seq;

  void put(EventLog& log, std::uint64_t seq, const std::string& key) {
    std::erase_if(by_seq, [&](const auto& row) { return row.second == key; });
    by_seq.emplace(seq, key);
    Event event;
    event.seq = seq;
    event.key = key;
    event.action = "update";
    log.publish(event);
  }
  EventLog::Feed feed() {
    return [this](std::uint64_t after, std::size_t limit) -> Result<std::vector<Event>> {
      std::vector<Event> events;
      for (auto row = by_seq.upper_bound(after); row != by_seq.end() && events.size() < limit;
           ++row) {
        Event event;
        event.seq = row->first;
        event.key = row->second;
        events.push_back(event);
      }
      return events;
    };
  }
};

std::vector<std::string> drain(const EventLog& log, EventCursor& cursor, std::size_t limit = 2) {
  std::vector<std::string> seen;
  while (true) {
    const auto events = log.read(cursor, limit);
    EXPECT_TRUE(events);
    if (!events || events->empty()) return seen;
    for (const auto& event : *events) {
      seen.push_back(event.kind == Event::Kind::gap ? "gap" : event.key);
    }
  }
}

TEST(EventLog, AFollowerSeesEveryEventOnce) {
  Rows rows;
  EventLog log(10, 0, rows.feed());
  auto cursor = log.now();
  for (std::uint64_t i = 1; i <= 5; ++i) rows.put(log, i, "c:same");
  EXPECT_EQ(drain(log, cursor).size(), 5U);
  EXPECT_TRUE(drain(log, cursor).empty());
}

TEST(EventLog, AResumeInsideTheLogIsExact) {
  Rows rows;
  EventLog log(10, 0, rows.feed());
  rows.put(log, 1, "c:a");
  rows.put(log, 2, "c:a");
  rows.put(log, 3, "c:b");
  auto cursor = log.after(1);
  EXPECT_EQ(drain(log, cursor), (std::vector<std::string>{"c:a", "c:b"}));
}

TEST(EventLog, MoreThanEventsKeptIsOneGapAndThenTheNewestStateOfEachDocument) {
  Rows rows;
  const auto kept = Limits{}.events_kept;
  EventLog log(kept, 0, rows.feed());
  auto slow = log.now();
  rows.put(log, 1, "c:old");
  for (std::uint64_t i = 2; i <= kept + 10; ++i) rows.put(log, i, "c:hot");
  EXPECT_EQ(drain(log, slow), (std::vector<std::string>{"gap", "c:old", "c:hot"}));
  rows.put(log, kept + 11, "c:next");
  EXPECT_EQ(drain(log, slow), (std::vector<std::string>{"c:next"}));
}

TEST(EventLog, APositionFromBeforeTheStartBeginsWithAGap) {
  Rows rows;
  rows.by_seq = {{3, "c:a"}, {7, "c:b"}};
  EventLog log(10, 7, rows.feed());
  auto old = log.after(4);
  EXPECT_EQ(drain(log, old), (std::vector<std::string>{"gap", "c:b"}));
  auto current = log.after(7);
  EXPECT_TRUE(drain(log, current).empty());
}

TEST(EventLog, APositionOfAnotherStoreGetsEverything) {
  Rows rows;
  rows.by_seq = {{3, "c:a"}};
  EventLog log(10, 3, rows.feed());
  auto cursor = log.after(1000);
  EXPECT_EQ(drain(log, cursor), (std::vector<std::string>{"gap", "c:a"}));
}

TEST(EventLog, AFollowerMayLeaveWhileItIsWoken) {
  Rows rows;
  EventLog log(10, 0, rows.feed());
  int woken = 0;
  std::uint64_t id = 0;
  id = log.on_event([&] {
    ++woken;
    log.off_event(id);
  });
  rows.put(log, 1, "c:a");
  rows.put(log, 2, "c:a");
  EXPECT_EQ(woken, 1);
}

}  // namespace
}  // namespace peat::node
