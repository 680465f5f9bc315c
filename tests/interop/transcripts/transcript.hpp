// A recorded session: what a foreign peer did to our connections, and what our node then held.
//
// One line per fact; README.md in this folder has the grammar and says how they are made. Streams
// are numbered as in RFC 9000, connections from 1 in the order in which they began.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "transport/connection.hpp"

namespace peat::transcripts {

struct ConnectionBegan {
  bool dialled = false;  // by us
  std::string alpn;
};
struct PeerProven {};  // our connector handed the connection to sync
struct StreamOpened {
  transport::StreamId stream = 0;
};
struct DataCame {
  transport::StreamId stream = 0;
  Bytes bytes;
  bool fin = false;
};
struct StreamReset {
  transport::StreamId stream = 0;
  std::uint64_t code = 0;
};
struct StreamStopped {
  transport::StreamId stream = 0;
  std::uint64_t code = 0;
};
struct ConnectionEnded {};
// What happened at our own node meanwhile: it is there before the session goes on.
struct LocalChanges {
  std::string key;
  Bytes changes;  // the whole document, as change chunks
};
struct LocalDeletion {
  Bytes tombstone;
};

struct Event {
  std::chrono::milliseconds at{};  // since the session began
  std::uint32_t connection = 0;    // 0: of none
  std::variant<ConnectionBegan, PeerProven, StreamOpened, DataCame, StreamReset, StreamStopped,
               ConnectionEnded, LocalChanges, LocalDeletion>
      what;
};

struct Expected {
  std::string json;
  std::set<std::string> heads;  // 64 hex digits each
};

struct Transcript {
  EndpointId peer;
  std::map<std::string, Expected> documents;
  std::set<std::string> deleted;  // keys
  std::uint64_t frames = 0;       // that came
  std::uint64_t heartbeats = 0;   // that came
  std::vector<Event> events;
};

// One line, without its end.
std::string to_line(const Event& event);
// Errors name the line.
Result<Transcript> parse(std::string_view text);

}  // namespace peat::transcripts
