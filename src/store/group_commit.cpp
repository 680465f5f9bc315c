#include "store/group_commit.hpp"

#include <chrono>
#include <utility>

namespace peat::store {

namespace {

constexpr Duration kRetryAfter = std::chrono::seconds(1);

}  // namespace

GroupCommit::GroupCommit(std::shared_ptr<Backend> backend, Executor& executor, Seq durable,
                         std::function<void(Rows&)> complete)
    : backend_(std::move(backend)),
      executor_(executor),
      complete_(std::move(complete)),
      waiting_seq_(durable),
      durable_(durable) {}

void GroupCommit::add(Rows&& rows, Seq last_seq) {
  ++stats_.batches;
  waiting_seq_ = last_seq;
  waiting_.absorb(std::move(rows));
  schedule();
}

void GroupCommit::on_durable(Callback done) {
  if (!waiting_.empty()) {
    waiters_.push_back(std::move(done));
  } else if (flight_) {
    flight_->waiters.push_back(std::move(done));
  } else {
    executor_.post([done = std::move(done)] { done({}); });
  }
}

void GroupCommit::between(std::function<Status()> work, Callback done) {
  on_durable([this, weak = weak_from_this(), work = std::move(work),
              done = std::move(done)](Status status) mutable {
    const auto self = weak.lock();
    if (!self || abandoned_) return;
    if (!status) return done(std::move(status));
    pauses_.push_back({std::move(work), std::move(done)});
    pause();
  });
}

void GroupCommit::pause() {
  if (paused_ || flight_ || pauses_.empty()) return;
  paused_ = true;
  auto next = std::move(pauses_.front());
  pauses_.pop_front();
  auto result = std::make_shared<Status>();
  executor_.offload([result, work = std::move(next.work)] { *result = work(); },
                    [weak = weak_from_this(), result, done = std::move(next.done)] {
                      const auto self = weak.lock();
                      if (!self || self->abandoned_) return;
                      done(std::move(*result));
                      self->paused_ = false;
                      self->pause();
                      self->schedule();
                    });
}

void GroupCommit::retry_now() {
  if (retry_ == 0) return;
  executor_.cancel(std::exchange(retry_, 0));
  schedule();
}

void GroupCommit::abandon() {
  abandoned_ = true;
  if (retry_ != 0) executor_.cancel(std::exchange(retry_, 0));
  waiters_.clear();
  pauses_.clear();
  if (flight_) flight_->waiters.clear();
}

std::size_t GroupCommit::pending_bytes() const {
  return waiting_.bytes() + (flight_ ? flight_->rows.bytes() : 0);
}

StoreStats GroupCommit::stats() const {
  auto stats = stats_;
  stats.pending_bytes = pending_bytes();
  return stats;
}

void GroupCommit::schedule() {
  if (scheduled_ || paused_ || flight_ || retry_ != 0 || waiting_.empty()) return;
  scheduled_ = true;
  executor_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock(); self && !self->abandoned_) self->start();
  });
}

void GroupCommit::start() {
  scheduled_ = false;
  if (paused_) return;
  complete_(waiting_);
  flight_ = std::make_shared<Flight>();
  flight_->rows = std::exchange(waiting_, {});
  flight_->last_seq = waiting_seq_;
  flight_->waiters = std::exchange(waiters_, {});
  flight_->started = executor_.now().mono;
  offload();
}

void GroupCommit::offload() {
  executor_.offload(
      [backend = backend_, flight = flight_] { flight->result = backend->commit(flight->rows); },
      [weak = weak_from_this()] {
        if (const auto self = weak.lock(); self && !self->abandoned_) self->landed();
      });
}

void GroupCommit::landed() {
  if (flight_->result) return succeeded();
  auto error = std::move(flight_->result).error();
  flight_->result = {};
  const auto retry = backend_->recover();
  if (retry && *retry) return offload();
  failed(retry ? std::move(error) : retry.error());
}

void GroupCommit::succeeded() {
  const auto flight = std::exchange(flight_, nullptr);
  durable_ = flight->last_seq;
  failure_.reset();
  ++stats_.commits;
  stats_.rows += flight->rows.count();
  stats_.bytes += flight->rows.bytes();
  stats_.last_commit = executor_.now().mono - flight->started;
  // One that pauses has its turn before the next commit, which would be under way for it.
  for (const auto& waiter : flight->waiters) waiter({});
  pause();
  schedule();
}

void GroupCommit::failed(Error error) {
  ++stats_.failed_commits;
  auto waiters = std::move(flight_->waiters);
  for (auto& waiter : std::exchange(waiters_, {})) waiters.push_back(std::move(waiter));
  flight_->rows.absorb(std::move(waiting_));
  waiting_ = std::move(std::exchange(flight_, nullptr)->rows);
  retry_ = executor_.at(executor_.now().mono + kRetryAfter, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->abandoned_) return;
    self->retry_ = 0;
    self->schedule();
  });
  failure_ = error;
  for (const auto& waiter : waiters) waiter(std::unexpected(error));
  pause();
}

}  // namespace peat::store
