// The executor of a running node: an Asio loop on one thread and one thread beside it for commits.
//
// run() is the loop and returns after stop(). Timers are one ordered map behind one Asio timer.
// Threading: as Executor says; run() by one thread.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <map>
#include <unordered_map>

#include "base/executor.hpp"

namespace peat::node {

class AsioExecutor final : public Executor {
 public:
  AsioExecutor();
  ~AsioExecutor() override;
  AsioExecutor(const AsioExecutor&) = delete;
  AsioExecutor& operator=(const AsioExecutor&) = delete;

  boost::asio::io_context& loop() { return loop_; }
  void run();
  void stop();  // from any thread; run() returns soon

  Now now() const override;
  void post(std::function<void()> task) override;
  TimerId at(Instant when, std::function<void()> task) override;
  void cancel(TimerId timer) override;
  void offload(std::function<void()> work, std::function<void()> done) override;

 private:
  void arm();
  void fire();

  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::thread_pool pool_{1};
  boost::asio::steady_timer timer_;
  std::map<std::pair<Instant, TimerId>, std::function<void()>> timers_;
  std::unordered_map<TimerId, Instant> when_of_;
  TimerId next_timer_ = 1;
  Instant armed_for_ = kNever;
};

}  // namespace peat::node
