// How often a stranger may try: a token bucket per subject (an address, a key).
//
// `burst` attempts at once, then one more each `burst`th of a minute. At most kSubjects are
// remembered; beyond, the one that was idle longest is forgotten, which costs an attacker as many
// addresses as there are places to gain one attempt.
//
// Threading: one thread. Cost: O(log n).
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.hpp"

namespace peat::security {

class AttemptLimiter {
 public:
  static constexpr std::size_t kSubjects = 4096;
  static constexpr Duration kMinute = std::chrono::minutes(1);

  explicit AttemptLimiter(std::uint64_t burst) : burst_(std::max<std::uint64_t>(burst, 1)) {}

  // Takes one attempt; false: none is left.
  bool admit(std::string_view subject, Instant now) {
    const Duration price = kMinute / static_cast<std::int64_t>(burst_);
    const Duration most = price * static_cast<std::int64_t>(burst_);
    auto found = free_at_.find(subject);
    if (found == free_at_.end()) {
      if (free_at_.size() >= kSubjects) forget_oldest();
      found = free_at_.emplace(std::string(subject), now).first;
    } else {
      order_.erase({found->second, found->first});
    }
    const auto from = std::max(found->second, now);
    const bool admitted = from + price <= now + most;
    if (admitted) found->second = from + price;
    order_.emplace(found->second, found->first);
    return admitted;
  }

  // Whether none is left; takes none.
  bool exhausted(std::string_view subject, Instant now) const {
    const auto found = free_at_.find(subject);
    const Duration price = kMinute / static_cast<std::int64_t>(burst_);
    const Duration most = price * static_cast<std::int64_t>(burst_);
    return found != free_at_.end() && found->second + price > now + most;
  }

  std::size_t subjects() const { return free_at_.size(); }

 private:
  void forget_oldest() {
    free_at_.erase(order_.begin()->second);
    order_.erase(order_.begin());
  }

  std::uint64_t burst_;
  std::map<std::string, Instant, std::less<>> free_at_;  // when a subject's bucket is full again
  std::set<std::pair<Instant, std::string>> order_;
};

}  // namespace peat::security
