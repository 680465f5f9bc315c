// How old a position of the change feed is, in time that this node has run.
//
// One clock counts the time between advance() calls and nothing else: not the wall clock, and not
// the time between two runs. Marks tie it to positions: "when the clock showed `age`, the feed
// ended at `seq`". What has not changed since then is at least as old as the mark. Old marks are
// thinned: an answer is late by at most a sixteenth of the age asked for, plus one advance().
//
//   record := 01, u64be clock_ms, mark*; mark := u64be age_ms, u64be seq; oldest first
//
// Threading: a value. Cost: some 16 marks for each doubling of the age; at most 1024.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "store/document_store.hpp"

namespace peat::sync {

class FeedAges {
 public:
  static Result<FeedAges> decode(ByteView record);
  Bytes encode() const;

  // `passed` has gone by, and the feed ends at `seq`.
  void advance(Duration passed, store::Seq seq);
  std::chrono::milliseconds clock() const { return clock_; }
  // Every row up to here is at least so old; 0: none surely is.
  store::Seq older_than(Duration age) const;

 private:
  struct Mark {
    std::chrono::milliseconds at{};
    store::Seq seq = 0;
  };

  void thin();

  std::chrono::milliseconds clock_{};
  Duration rest_{};  // below a millisecond
  std::vector<Mark> marks_;
};

}  // namespace peat::sync
