// Upkeep: what a node forgets by itself, and when.
//
//   - documents of implicit-ttl collections, `ttl` after their last change. A change moves the
//     document's row to the feed's end, so a refresh postpones the expiry with nothing to cancel;
//   - softly deleted content, when the collection's retention is over: then it is really gone, and
//     an expiry tombstone stands in its place;
//   - tombstones, when the greater of the collection's and the preset's retention is over and
//     every peer that counts has acknowledged them. One beside a re-created document stays with it.
//
// Expiry walks the change feed from where it stopped: each row is looked at once for each distinct
// age, over restarts too. Collection goes over all tombstones every five minutes, a page per turn
// of the loop, so that nothing that cannot go stands before what can (D6g).
//
// Ages are those of FeedAges: running time of this node. They are kept in the store ("sync.ages")
// every minute while something can expire, else every ten; what a crash loses of them only
// postpones.
//
// An error of one document or tombstone is counted and passed over; one of the store ends the
// pass, and the next begins where it stopped.
//
// Threading: the loop. Cost: a pass without anything due reads one page of the feed.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/executor.hpp"
#include "peat/error.hpp"
#include "store/document_store.hpp"
#include "sync/documents.hpp"

namespace peat::sync {

struct UpkeepStats {
  std::uint64_t looked_at = 0;   // feed rows, for each distinct age
  std::uint64_t expired = 0;     // documents, by their ttl
  std::uint64_t purged = 0;      // documents, softly deleted before
  std::uint64_t collected = 0;   // tombstones
  std::uint64_t failed = 0;      // documents and tombstones passed over for an error
  std::uint64_t passes = 0;      // over all tombstones
  std::uint64_t tombstones = 0;  // that the last complete pass saw
  std::uint64_t held = 0;        // of those: old enough, and some peer has not acknowledged them
};

class Upkeep {
 public:
  struct Options {
    Duration look_every = std::chrono::seconds(10);      // for what has expired
    Duration collect_every = std::chrono::seconds(300);  // tombstones
    std::size_t page = 1000;                             // tombstones a turn
    // Before each pass over the tombstones; `clock` is the node's running time.
    std::function<void(std::chrono::milliseconds clock)> before_collection;
    // Whether nobody has to hear of it any more; empty: nobody ever has to.
    std::function<bool(const store::TombstoneRecord&)> acknowledged;
  };
  // Begins at once; ends with the object.
  static Result<std::unique_ptr<Upkeep>> open(Documents& documents, Executor& executor,
                                              Options options);
  virtual ~Upkeep() = default;

  virtual UpkeepStats stats() const = 0;
  virtual std::chrono::milliseconds clock() const = 0;
  // Writes the ages down: before a clean stop.
  virtual void save() = 0;
};

}  // namespace peat::sync
