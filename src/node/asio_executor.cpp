#include "node/asio_executor.hpp"

#include <boost/asio/post.hpp>

namespace peat::node {

namespace {

Instant instant_of(std::chrono::steady_clock::time_point when) {
  return Instant(std::chrono::duration_cast<Duration>(when.time_since_epoch()));
}

}  // namespace

AsioExecutor::AsioExecutor() : work_(loop_.get_executor()), timer_(loop_) {}

AsioExecutor::~AsioExecutor() {
  // Commits under way end before the memory they write from goes.
  pool_.join();
}

void AsioExecutor::run() { loop_.run(); }

void AsioExecutor::stop() { loop_.stop(); }

Now AsioExecutor::now() const {
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  return {instant_of(std::chrono::steady_clock::now()),
          WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(wall).count()}};
}

void AsioExecutor::post(std::function<void()> task) { boost::asio::post(loop_, std::move(task)); }

TimerId AsioExecutor::at(Instant when, std::function<void()> task) {
  const auto id = next_timer_++;
  timers_.emplace(std::pair(when, id), std::move(task));
  when_of_.emplace(id, when);
  if (when < armed_for_) arm();
  return id;
}

void AsioExecutor::cancel(TimerId timer) {
  const auto found = when_of_.find(timer);
  if (found == when_of_.end()) return;
  timers_.erase({found->second, timer});
  when_of_.erase(found);
}

void AsioExecutor::arm() {
  armed_for_ = timers_.empty() ? kNever : timers_.begin()->first.first;
  if (armed_for_ == kNever) return;
  timer_.expires_at(std::chrono::steady_clock::time_point(armed_for_.time_since_epoch()));
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) fire();
  });
}

void AsioExecutor::fire() {
  const auto now = instant_of(std::chrono::steady_clock::now());
  // A timer set by one that fires here waits for the next turn, even if it is due.
  const auto last = next_timer_;
  while (!timers_.empty() && timers_.begin()->first.first <= now &&
         timers_.begin()->first.second < last) {
    auto node = timers_.extract(timers_.begin());
    when_of_.erase(node.key().second);
    node.mapped()();
  }
  arm();
}

void AsioExecutor::offload(std::function<void()> work, std::function<void()> done) {
  boost::asio::post(pool_, [this, work = std::move(work), done = std::move(done)]() mutable {
    work();
    work = nullptr;
    boost::asio::post(loop_, std::move(done));
  });
}

}  // namespace peat::node
