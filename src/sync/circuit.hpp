// A circuit breaker: stops talking to a peer that answers with nonsense, and tries again by itself.
//
//   closed ── 5 failures within a minute ──► open ── wait ──► half-open ── 2 successes ──► closed
//                                              ▲                  │ one failure: twice the wait
//                                              └──────────────────┘
//
// Failures are the peer's: messages that break the protocol. What is wrong with a document is never
// one (faults F3, F4), and a connection that ends is its channel's matter. Half open, one message
// goes out at a time, the next when the peer has answered sensibly or after five seconds. The wait
// is 5 s, then twice the last, 5 minutes at most, each moved by up to a quarter: by what the caller
// gives, so that a run can be repeated.
//
// Threading: values; time comes in as an argument.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace peat::sync {

class CircuitBreaker {
 public:
  enum class State : std::uint8_t { closed, open, half_open };

  // `jitter`: what makes the waits of different peers differ.
  explicit CircuitBreaker(std::uint64_t jitter) : jitter_(jitter) {}

  void failure(Instant now, std::string_view reason);
  void success(Instant now);
  // Whether a message may go out now.
  bool allows(Instant now);
  void sent(Instant now);
  // When `allows` may say something else than now; nullopt: not by time.
  std::optional<Instant> next_timeout() const;

  State state() const { return state_; }
  const std::string& reason() const { return reason_; }  // of the last failure
  std::uint64_t opened() const { return opened_; }       // how often

 private:
  void open(Instant now);

  std::uint64_t jitter_;
  State state_ = State::closed;
  std::deque<Instant> failures_;  // of the last minute
  std::uint32_t successes_ = 0;   // half-open
  std::uint32_t openings_ = 0;    // since it was closed
  std::uint64_t opened_ = 0;
  Instant until_{};                  // open: when it is tried again
  std::optional<Instant> probe_at_;  // half-open: when the next message may go unanswered
  std::string reason_;
};

std::string_view name(CircuitBreaker::State state);

// `base` moved by up to a quarter; the same `seed` and `step` move it the same way.
Duration jittered(Duration base, std::uint64_t seed, std::uint64_t step);

}  // namespace peat::sync
