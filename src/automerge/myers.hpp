// The shortest edit from one text to another (Myers, "An O(ND) difference algorithm", the variant
// that divides at a middle snake and so needs linear memory).
//
// Of several shortest edits this finds the one that the Rust implementation finds: it decides which
// operations an update of a text makes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace peat::automerge {

// An erasure (inserted == 0) or an insertion (erased == 0).
struct TextChange {
  std::size_t old_index = 0;
  std::size_t erased = 0;
  std::size_t new_index = 0;
  std::size_t inserted = 0;
};

// In order. Cost: the length times the number of differences. After `steps` steps of the search the
// stretches that are left are replaced whole.
std::vector<TextChange> shortest_edit(std::u32string_view before, std::u32string_view after,
                                      std::uint64_t steps);

}  // namespace peat::automerge
