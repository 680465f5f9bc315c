// How far peers are behind: per peer and collection, how many documents they have not acknowledged,
// how large these are, and how old the oldest is.
//
// A survey walks the change feed from where the peer that is farthest behind stands, once for all
// peers, in steps, so that the loop goes on between them. Changes made meanwhile do not count, and
// neither does what came from the peer itself. Bytes are those of the documents as they are stored:
// what travels is at most about that, usually a fraction. Age is the time since the oldest was
// changed, by its writer's clock.
//
// Threading: the loop. Cost: about 2 us a row. Memory: a row for each peer and collection.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "store/document_store.hpp"

namespace peat::sync {

struct Lag {
  std::uint64_t documents = 0;  // deletions among them
  std::uint64_t bytes = 0;
  std::optional<std::uint64_t> oldest_ms;  // nullopt: nothing behind, or no time is known

  void add(const Lag& other);
};

struct PeerLag {
  EndpointId peer;
  store::Seq position = 0;  // acknowledged up to here
  Lag total;
  std::map<std::string, Lag> collections;  // only those with something behind
};

class LagSurvey {
 public:
  struct Peer {
    EndpointId id;
    store::Seq position = 0;
  };
  LagSurvey(const store::DocumentStore& store, const std::vector<Peer>& peers, WallTime now);

  // Walks at most `rows` rows; false: that was all, and `result` is complete. An error ends it.
  Result<bool> step(std::size_t rows);

  std::vector<PeerLag> result;  // in the order of `peers`

 private:
  Status add(const store::FeedRow& row);
  Result<Lag> weigh(const store::FeedRow& row) const;

  const store::DocumentStore& store_;
  WallTime now_;
  store::Seq at_ = 0;
  store::Seq end_ = 0;
};

}  // namespace peat::sync
