// Live queries: what a query finds, and then what becomes of it.
//
//   reset?  enter…  complete  (enter | update | leave)…
//
// First every document that matches, by id; then `complete`: the follower has the whole answer, as
// of a moment in between; from then on each change of it. A document that changes meanwhile may be
// told again.
//
// Resuming. From `complete` on every line has a token. With it a later live query of the same text
// on this node tells what changed since instead of everything: an `enter` for each document that
// changed and matches, a `leave` for each that changed and does not (whether it did before, nobody
// knows any more), then `complete`. Where that cannot be told, because deletions of that time have
// been forgotten or the store is another one, it begins with `reset`: forget what you have,
// everything follows.
//
// A follower is a cursor in the change feed (event_log.hpp), not a queue: one that is slow gets
// fewer lines, each document in its newest state, and costs no memory.
//
// Memory: 8 bytes and a node of a hash set for each document that matches. Limits: query_live at
// once; query_live_matches, beyond which it ends with Code::limit_exceeded. Threading: the loop.
// Lifetime: no step after the node is gone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/limits.hpp"
#include "node/event_log.hpp"
#include "peat/error.hpp"
#include "peat/query.hpp"
#include "query/run.hpp"

namespace peat::node {

class NodeApi;
class LiveQueries;

struct LiveLine {
  enum class Kind : std::uint8_t { reset, enter, update, leave, complete };
  Kind kind = Kind::enter;
  std::string id;
  std::string json;    // of enter and update
  std::string resume;  // from `complete` on
};

class LiveQuery {
 public:
  enum class State : std::uint8_t { more, waiting };

  ~LiveQuery();
  LiveQuery(const LiveQuery&) = delete;
  LiveQuery& operator=(const LiveQuery&) = delete;

  // Appends what is ready, a piece at a time; `waiting` until the node's events go on. After an
  // error it is over.
  Result<State> step(std::vector<LiveLine>& lines);

 private:
  friend class LiveQueries;
  LiveQuery(LiveQueries& owner, Query query);

  Status begin(std::string_view resume);
  Status take_snapshot();
  Result<State> step_snapshot(std::vector<LiveLine>& lines);
  Result<State> step_changes(std::vector<LiveLine>& lines);
  Status tell(const Event& event, std::vector<LiveLine>& lines);
  Status remember(std::uint64_t name);
  std::uint64_t name_of(std::string_view id) const;
  std::string token(std::uint64_t position) const;

  LiveQueries& owner_;
  std::shared_ptr<std::uint64_t> open_;  // the owner's, which may be gone before this is
  Query query_;
  std::optional<query::Run> run_;  // while the snapshot is taken
  EventCursor cursor_;
  std::uint64_t complete_at_ = 0;  // changes up to here are no news
  bool complete_ = false;
  bool resumed_ = false;  // what the follower has is not told again
  bool reset_ = false;    // and has to be said
  std::unordered_set<std::uint64_t> matching_;
};

class LiveQueries {
 public:
  LiveQueries(NodeApi& node, const Limits& limits) : node_(node), limits_(limits) {}

  // `resume`: a line's token, "" for none. Code::invalid_argument for one that is none, and for a
  // query with order by, limit or offset; Code::limit_exceeded beyond query_live.
  Result<std::unique_ptr<LiveQuery>> begin(Query query, std::string_view resume);
  std::uint64_t open() const { return *open_; }

 private:
  friend class LiveQuery;
  NodeApi& node_;
  const Limits& limits_;
  std::shared_ptr<std::uint64_t> open_ = std::make_shared<std::uint64_t>(0);
};

}  // namespace peat::node
