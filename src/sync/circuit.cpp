#include "sync/circuit.hpp"

#include <algorithm>

namespace peat::sync {

namespace {

constexpr std::size_t kFailures = 5;
constexpr Duration kWindow = std::chrono::minutes(1);
constexpr std::uint32_t kSuccesses = 2;
constexpr Duration kFirstWait = std::chrono::seconds(5);
constexpr Duration kLongestWait = std::chrono::minutes(5);
constexpr Duration kProbeEvery = std::chrono::seconds(5);

}  // namespace

std::string_view name(CircuitBreaker::State state) {
  switch (state) {
    case CircuitBreaker::State::closed:
      return "closed";
    case CircuitBreaker::State::open:
      return "open";
    case CircuitBreaker::State::half_open:
      break;
  }
  return "half-open";
}

Duration jittered(Duration base, std::uint64_t seed, std::uint64_t step) {
  // SplitMix64.
  auto x = seed + (step + 1) * 0x9e3779b97f4a7c15U;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
  x = (x ^ x >> 27) * 0x94d049bb133111ebU;
  x ^= x >> 31;
  const auto thousandths = 750 + static_cast<std::int64_t>(x % 501);
  return base / 1000 * thousandths;
}

void CircuitBreaker::open(Instant now) {
  auto wait = kFirstWait;
  for (std::uint32_t i = 0; i < openings_ && wait < kLongestWait; ++i) wait *= 2;
  until_ = now + jittered(std::min(wait, kLongestWait), jitter_, opened_);
  ++openings_;
  ++opened_;
  state_ = State::open;
  failures_.clear();
}

void CircuitBreaker::failure(Instant now, std::string_view reason) {
  reason_ = reason;
  if (state_ == State::open) return;
  if (state_ == State::half_open) return open(now);
  failures_.push_back(now);
  while (now - failures_.front() > kWindow) failures_.pop_front();
  if (failures_.size() >= kFailures) open(now);
}

void CircuitBreaker::success(Instant) {
  if (state_ != State::half_open) return;
  probe_at_.reset();
  if (++successes_ < kSuccesses) return;
  state_ = State::closed;
  openings_ = 0;
}

bool CircuitBreaker::allows(Instant now) {
  if (state_ == State::open && now >= until_) {
    state_ = State::half_open;
    successes_ = 0;
    probe_at_.reset();
  }
  if (state_ == State::half_open) return !probe_at_ || now >= *probe_at_;
  return state_ == State::closed;
}

void CircuitBreaker::sent(Instant now) {
  if (state_ == State::half_open) probe_at_ = now + kProbeEvery;
}

std::optional<Instant> CircuitBreaker::next_timeout() const {
  if (state_ == State::open) return until_;
  if (state_ == State::half_open) return probe_at_;
  return std::nullopt;
}

}  // namespace peat::sync
