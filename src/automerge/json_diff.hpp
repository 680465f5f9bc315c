// What to erase and insert so that one sequence becomes another.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace peat::automerge {

// From position `at` of the old sequence, `erase` elements give way to `insert` elements of the new
// one from position `from`. Everything between two edits stays.
struct SequenceEdit {
  std::size_t at = 0;
  std::size_t erase = 0;
  std::size_t from = 0;
  std::size_t insert = 0;
};

// The fewest insertions and erasures (E. Myers, An O(ND) difference algorithm, 1986), ascending.
// Beyond kMostDifferences, one edit replaces all between the common beginning and end. Cost: the
// length times the differences; memory: the square of the differences.
inline constexpr std::size_t kMostDifferences = 1024;
std::vector<SequenceEdit> diff(std::span<const std::uint32_t> before,
                               std::span<const std::uint32_t> after);

}  // namespace peat::automerge
