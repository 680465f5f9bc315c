// An executor with a real pool thread: the calling thread is the loop.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "base/executor.hpp"

namespace peat::test {

class LoopExecutor final : public Executor {
 public:
  LoopExecutor() : pool_([this] { work(); }) {}
  ~LoopExecutor() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    pool_.join();
  }

  Now now() const override {
    const auto mono = std::chrono::steady_clock::now().time_since_epoch();
    return {Instant(std::chrono::duration_cast<Duration>(mono)), WallTime{}};
  }
  void post(std::function<void()> task) override {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_all();
  }
  TimerId at(Instant when, std::function<void()> task) override {
    timers_.emplace(std::pair{when, ++last_timer_}, std::move(task));
    return last_timer_;
  }
  void cancel(TimerId timer) override {
    std::erase_if(timers_, [timer](const auto& entry) { return entry.first.second == timer; });
  }
  void offload(std::function<void()> work, std::function<void()> done) override {
    {
      const std::lock_guard lock(mutex_);
      works_.emplace_back(std::move(work), std::move(done));
    }
    changed_.notify_all();
  }

  // Runs the loop until `finished` says so.
  void run_until(const std::function<bool()>& finished) {
    while (!finished()) step();
  }

 private:
  void step() {
    if (!timers_.empty() && timers_.begin()->first.first <= now().mono) {
      const auto task = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      return task();
    }
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(20), [this] { return !tasks_.empty(); });
    if (tasks_.empty()) return;
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
  }
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return stopping_ || !works_.empty(); });
      if (stopping_) return;
      const auto [work, done] = std::move(works_.front());
      works_.pop_front();
      lock.unlock();
      work();
      lock.lock();
      tasks_.push_back(done);
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::deque<std::pair<std::function<void()>, std::function<void()>>> works_;
  std::map<std::pair<Instant, TimerId>, std::function<void()>> timers_;  // loop thread only
  TimerId last_timer_ = 0;
  bool stopping_ = false;
  std::thread pool_;
};

}  // namespace peat::test
