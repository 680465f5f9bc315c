// Documents that could not be sent for a reason that passes (a disk that failed to read, memory):
// each is tried again after a second, then after twice as long, five minutes at most, moved by up
// to a quarter. What will not pass by itself (a document that is too large, damaged or malformed)
// is not tried again before it changes.
//
// Threading: values; time comes in as an argument. Limits: sync_urgent_keys; over it further ones
// wait for their next change or the next connection.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "peat/error.hpp"

namespace peat::sync {

class DocumentRetries {
 public:
  DocumentRetries(std::uint64_t limit, std::uint64_t jitter) : limit_(limit), jitter_(jitter) {}

  // Whether it will be tried again.
  bool note(std::string_view key, const Error& error, Instant now);
  // Those whose time has come. One that fails again is noted again.
  std::vector<std::string> due(Instant now);
  std::optional<Instant> next_timeout() const;
  std::optional<std::uint32_t> attempts(std::string_view key) const;
  std::size_t size() const { return entries_.size(); }
  void clear() { entries_.clear(); }

 private:
  struct Entry {
    std::uint32_t attempts = 0;
    Instant due{};
    bool waits = false;  // false: tried, and nothing was heard of it since
  };

  std::uint64_t limit_;
  std::uint64_t jitter_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace peat::sync
