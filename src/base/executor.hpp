// Where work runs: the loop, timers on the loop, and a pool beside it.
//
// Seam: node::AsioExecutor in production, sim::World in simulation (the pool then runs in order
// on the one thread).
#pragma once

#include <cstdint>
#include <functional>

#include "base/time.hpp"

namespace peat {

using TimerId = std::uint64_t;

class Executor {
 public:
  virtual ~Executor() = default;

  virtual Now now() const = 0;
  // Runs on the loop, after the current handler; callable from any thread.
  virtual void post(std::function<void()> task) = 0;
  // Loop thread only. The returned id is never 0.
  virtual TimerId at(Instant when, std::function<void()> task) = 0;
  virtual void cancel(TimerId timer) = 0;
  // Runs `work` on a pool thread, then `done` on the loop. Loop thread only.
  virtual void offload(std::function<void()> work, std::function<void()> done) = 0;
};

}  // namespace peat
