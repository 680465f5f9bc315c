// Time comes in as an argument. Protocol cores never ask a clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace peat {

using Duration = std::chrono::nanoseconds;

// A clock that is never asked for now(): its readings are handed in by the event loop or the
// simulator. Monotonic; the zero point has no meaning.
struct LoopClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<LoopClock>;
  static constexpr bool is_steady = true;
};
using Instant = LoopClock::time_point;
inline constexpr Instant kNever = Instant::max();

// Wall-clock milliseconds since the Unix epoch; jumps.
struct WallTime {
  std::int64_t ms = 0;
  std::int64_t seconds() const { return ms / 1000; }
  friend auto operator<=>(WallTime, WallTime) = default;
};

struct Now {
  Instant mono;
  WallTime wall;
};

}  // namespace peat
