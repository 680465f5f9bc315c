// An executor for tests: everything in order on the calling thread, in virtual time.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "base/executor.hpp"

namespace peat::test {

class TestExecutor final : public Executor {
 public:
  Now now() const override { return {mono_, WallTime{}}; }
  void post(std::function<void()> task) override { tasks_.push_back(std::move(task)); }
  TimerId at(Instant when, std::function<void()> task) override {
    timers_.emplace(std::pair{when, ++last_timer_}, std::move(task));
    return last_timer_;
  }
  void cancel(TimerId timer) override {
    std::erase_if(timers_, [timer](const auto& entry) { return entry.first.second == timer; });
  }
  void offload(std::function<void()> work, std::function<void()> done) override {
    pool_.emplace_back(std::move(work), std::move(done));
  }

  // While held, offloaded work waits.
  void hold_pool(bool held) { held_ = held; }
  std::size_t waiting_work() const { return pool_.size(); }
  // A crash: nothing that was planned happens any more.
  void drop_everything() {
    tasks_.clear();
    pool_.clear();
    timers_.clear();
  }

  // Runs until nothing is left to do at this moment.
  void run() {
    for (;;) {
      if (!tasks_.empty()) {
        const auto task = std::move(tasks_.front());
        tasks_.pop_front();
        task();
      } else if (!held_ && !pool_.empty()) {
        const auto [work, done] = std::move(pool_.front());
        pool_.pop_front();
        work();
        tasks_.push_back(done);
      } else {
        return;
      }
    }
  }
  void advance(Duration by) {
    const auto until = mono_ + by;
    run();
    while (!timers_.empty() && timers_.begin()->first.first <= until) {
      mono_ = timers_.begin()->first.first;
      const auto task = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      task();
      run();
    }
    mono_ = until;
  }

 private:
  Instant mono_{};
  std::deque<std::function<void()>> tasks_;
  std::deque<std::pair<std::function<void()>, std::function<void()>>> pool_;
  std::map<std::pair<Instant, TimerId>, std::function<void()>> timers_;
  TimerId last_timer_ = 0;
  bool held_ = false;
};

}  // namespace peat::test
