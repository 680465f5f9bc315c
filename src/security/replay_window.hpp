// Which counters of a sender have been seen: a window of the last 2048, as WireGuard has one.
//
// A counter below the window counts as seen. Ask before opening and mark after it: what was not
// authentic must not move the window (D-47).
//
// Threading: a value. Cost: 264 bytes.
#pragma once

#include <array>
#include <cstdint>

namespace peat::security {

class ReplayWindow {
 public:
  static constexpr std::uint64_t kWindow = 2048;

  bool is_new(std::uint64_t counter) const {
    if (counter >= next_) return true;
    return next_ - counter <= kWindow && (word(counter) & bit(counter)) == 0;
  }

  void mark(std::uint64_t counter) {
    if (counter >= next_) {
      // What the window leaves behind is cleared for the counters that take its place.
      const auto steps = counter - next_ + 1;
      if (steps >= kWindow) {
        words_.fill(0);
      } else {
        for (auto at = next_; at <= counter; ++at) word(at) &= ~bit(at);
      }
      next_ = counter + 1;
    }
    word(counter) |= bit(counter);
  }

 private:
  static constexpr std::uint64_t bit(std::uint64_t counter) {
    return std::uint64_t{1} << (counter % 64);
  }
  std::uint64_t& word(std::uint64_t counter) { return words_[counter % kWindow / 64]; }
  std::uint64_t word(std::uint64_t counter) const { return words_[counter % kWindow / 64]; }

  std::array<std::uint64_t, kWindow / 64> words_{};
  std::uint64_t next_ = 0;  // above the highest seen
};

}  // namespace peat::security
