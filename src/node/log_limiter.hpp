// How often one subject may write a line: strangers and broken documents must leave a trace in the
// log without filling the disk.
//
// Each key writes at most one line per interval; what was left out is counted and told by its next
// line. At most `keys` are remembered; while all of them are in their interval, new ones share one
// line. Threading: none; one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/time.hpp"

namespace peat::node {

class LogLimiter {
 public:
  explicit LogLimiter(std::size_t keys = 256, Duration interval = std::chrono::seconds(10))
      : keys_(keys), interval_(interval) {}

  // nullopt: say nothing. Otherwise say it, and how many were left out since the line before.
  std::optional<std::uint64_t> admit(std::string_view key, Instant now) {
    auto found = lines_.find(key);
    if (found == lines_.end()) {
      if (lines_.size() >= keys_) forget(now);
      if (lines_.size() < keys_) found = lines_.emplace(std::string(key), Line{}).first;
    }
    auto& line = found == lines_.end() ? others_ : found->second;
    if (line.last && now - *line.last < interval_) {
      ++line.left_out;
      return std::nullopt;
    }
    line.last = now;
    return std::exchange(line.left_out, 0);
  }
  std::size_t size() const { return lines_.size(); }

 private:
  struct Line {
    std::optional<Instant> last;
    std::uint64_t left_out = 0;
  };

  void forget(Instant now) {
    std::erase_if(lines_, [&](const auto& entry) { return now - *entry.second.last >= interval_; });
  }

  std::size_t keys_;
  Duration interval_;
  std::map<std::string, Line, std::less<>> lines_;
  Line others_;
};

}  // namespace peat::node
