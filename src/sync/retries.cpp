#include "sync/retries.hpp"

#include <algorithm>

#include "sync/circuit.hpp"

namespace peat::sync {

namespace {

constexpr Duration kFirst = std::chrono::seconds(1);
constexpr Duration kLongest = std::chrono::minutes(5);
// Not heard of for so long after a try, it has worked.
constexpr Duration kForgottenAfter = std::chrono::minutes(10);

}  // namespace

bool DocumentRetries::note(std::string_view key, const Error& error, Instant now) {
  if (key.empty() || info(error.code).retry != RetryClass::later) return false;
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    if (entries_.size() >= limit_) return false;
    found = entries_.emplace(std::string(key), Entry{}).first;
  }
  auto& entry = found->second;
  if (entry.waits) return true;
  auto wait = kFirst;
  for (std::uint32_t i = 0; i < entry.attempts && wait < kLongest; ++i) wait *= 2;
  entry.due = now + jittered(std::min(wait, kLongest), jitter_, entry.attempts);
  ++entry.attempts;
  entry.waits = true;
  return true;
}

std::vector<std::string> DocumentRetries::due(Instant now) {
  std::vector<std::string> out;
  std::erase_if(entries_, [now](const auto& entry) {
    return !entry.second.waits && now - entry.second.due > kForgottenAfter;
  });
  for (auto& [key, entry] : entries_) {
    if (!entry.waits || entry.due > now) continue;
    entry.waits = false;
    out.push_back(key);
  }
  return out;
}

std::optional<Instant> DocumentRetries::next_timeout() const {
  std::optional<Instant> next;
  for (const auto& [key, entry] : entries_) {
    if (entry.waits && (!next || entry.due < *next)) next = entry.due;
  }
  return next;
}

std::optional<std::uint32_t> DocumentRetries::attempts(std::string_view key) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  return found->second.attempts;
}

}  // namespace peat::sync
