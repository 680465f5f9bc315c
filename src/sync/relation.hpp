// Which way a deletion may travel to a peer.
#pragma once

#include <cstdint>

#include "wire/tombstone.hpp"

namespace peat::sync {

// Where a peer stands: decides which deletions travel to it (wire::Direction).
enum class Relation : std::uint8_t { unknown, up, down, lateral };

constexpr bool may_travel(wire::Direction direction, Relation to) {
  switch (to) {
    case Relation::unknown:
      return true;
    case Relation::up:
      return wire::allows_up(direction);
    case Relation::down:
      return wire::allows_down(direction);
    case Relation::lateral:
      break;
  }
  return wire::allows_up(direction) && wire::allows_down(direction);
}

}  // namespace peat::sync
