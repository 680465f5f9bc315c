// What the engine's own code does with operation ids and indexes.
#pragma once

#include <cstdint>

#include "peat/automerge/types.hpp"

namespace peat::automerge {

inline constexpr std::uint32_t kNone = 0xffffffff;  // no index

// The id `n` operations further.
inline OpId advance(OpId id, std::int64_t n) {
  OpId out;
  out.packed = id.packed + (static_cast<std::uint64_t>(n) << 32);
  return out;
}

}  // namespace peat::automerge
