// The actors of one document and the order of operation ids.
//
// An actor's index is its order of arrival and never changes, so that ids held anywhere stay
// valid; comparisons go through its rank among all actors' bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "peat/automerge/types.hpp"

namespace peat::automerge {

class ActorTable {
 public:
  std::uint32_t size() const { return static_cast<std::uint32_t>(rank_.size()); }
  ByteView bytes(std::uint32_t actor) const;
  std::optional<std::uint32_t> find(ByteView actor) const;
  std::uint32_t add(ByteView actor);  // or finds it; cost: O(actors) when new
  std::uint32_t rank(std::uint32_t actor) const { return rank_[actor]; }
  std::uint32_t at_rank(std::uint32_t rank) const { return order_[rank]; }
  std::size_t memory_bytes() const;

  bool less(OpId a, OpId b) const {
    if (a.counter() != b.counter()) return a.counter() < b.counter();
    return rank_[a.actor()] < rank_[b.actor()];
  }

 private:
  std::size_t lower_bound(ByteView actor) const;

  Bytes arena_;
  std::vector<std::uint32_t> begin_;  // offset in arena_, by index
  std::vector<std::uint32_t> rank_;   // by index
  std::vector<std::uint32_t> order_;  // index, by rank
};

int compare_bytes(ByteView a, ByteView b);

}  // namespace peat::automerge
