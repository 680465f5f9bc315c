// A simulated world: virtual time, one queue of events, seeded randomness.
//
// Everything that happens in a simulation is an event of one World: timers, posted tasks, work on
// the pool, deliveries of sim::Network. Events run in the order (time, order of scheduling), on
// the calling thread, and time jumps from one to the next, so that an hour of mesh life takes as
// long as its events take to run. All randomness comes from the seed. Two runs of one program
// with one seed are therefore equal, and trace_hash() proves it: it covers every event and
// everything that trace() was told, bit for bit.
//
// Units: time begins at 0 (monotonic) and 1,700,000,000,000 ms (wall clock).
// Threading: one thread. Cost: O(log n) per event.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "base/executor.hpp"
#include "base/random.hpp"
#include "base/time.hpp"

namespace peat::sim {

using EventId = std::uint64_t;

class World {
 public:
  explicit World(std::uint64_t seed);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  std::uint64_t seed() const { return seed_; }
  Now now() const;
  Random& random() { return random_; }
  std::uint64_t below(std::uint64_t n);  // uniform in [0, n); n > 0
  bool chance(double probability);
  Duration between(Duration low, Duration high);  // uniform in [low, high]

  EventId at(Instant when, std::function<void()> task);  // `when` in the past: now
  EventId after(Duration delay, std::function<void()> task);
  void cancel(EventId event);

  // Runs the next event; false if there is none.
  bool step();
  void run_for(Duration duration);
  // Runs until `done` holds (asked after each event that was followed by a jump in time), at most
  // for `limit`; says whether it holds.
  bool run_until(const std::function<bool()>& done, Duration limit);

  // Makes part of the run's fingerprint.
  void trace(std::uint64_t kind, std::uint64_t a = 0, std::uint64_t b = 0);
  std::uint64_t trace_hash() const { return trace_; }
  std::uint64_t events_run() const { return events_run_; }

 private:
  struct Key {
    Instant when;
    EventId id;
    friend auto operator<=>(const Key&, const Key&) = default;
  };

  std::uint64_t seed_;
  SeededRandom random_;
  Instant now_;
  EventId next_id_ = 1;
  std::map<Key, std::function<void()>> queue_;
  std::unordered_map<EventId, Instant> when_of_;
  std::uint64_t trace_ = 0xcbf29ce484222325ULL;
  std::uint64_t events_run_ = 0;
};

// The executor of one simulated node. The pool runs in order: `work` and `done` of an offload run
// as events, `work_time` apart, so that a crash can fall between a write and its commit.
//
// stop() is the power switch: nothing scheduled through this executor runs any more.
class SimExecutor final : public Executor {
 public:
  explicit SimExecutor(World& world, Duration work_time = std::chrono::milliseconds(2));
  ~SimExecutor() override;
  SimExecutor(const SimExecutor&) = delete;
  SimExecutor& operator=(const SimExecutor&) = delete;

  Now now() const override {
    auto now = world_.now();
    now.wall.ms += wall_offset_.count();
    return now;
  }
  // The node's wall clock jumps; its monotonic clock does not.
  void step_wall_clock(std::chrono::milliseconds by) { wall_offset_ += by; }
  void post(std::function<void()> task) override;
  TimerId at(Instant when, std::function<void()> task) override;
  void cancel(TimerId timer) override { world_.cancel(timer); }
  void offload(std::function<void()> work, std::function<void()> done) override;

  void stop();
  bool stopped() const { return !*running_; }

 private:
  World& world_;
  Duration work_time_;
  Instant pool_free_;
  std::chrono::milliseconds wall_offset_{};
  std::shared_ptr<bool> running_;
};

}  // namespace peat::sim
