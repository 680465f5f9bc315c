// Group commit: what waits for its commit, what is in one, and who wants to hear of it.
//
// As soon as no commit is under way and rows wait, one commit takes them all. It starts at the end
// of the loop's current handler, so that what a handler writes goes together.
//
// Failure: the rows of a failed commit stay visible and waiting; `failure` holds its error; every
// second the commit is tried again until one succeeds.
//
// Threading: the loop; the backend's commit runs on the pool. Held by shared_ptr because the pool
// may still work for it when its owner is gone.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/executor.hpp"
#include "store/backend.hpp"
#include "store/document_store.hpp"

namespace peat::store {

class GroupCommit : public std::enable_shared_from_this<GroupCommit> {
 public:
  using Callback = std::function<void(Status)>;

  // `complete` adds the rows that every commit carries (positions, counts) before it starts.
  GroupCommit(std::shared_ptr<Backend> backend, Executor& executor, Seq durable,
              std::function<void(Rows&)> complete);

  void add(Rows&& rows, Seq last_seq);
  void on_durable(Callback done);
  // Runs `work` on the pool and then `done` on the loop, with everything written by now committed,
  // and no commit under way until `done` has returned. An error of the commit skips `work`.
  void between(std::function<Status()> work, Callback done);
  // After a failure: tries again now instead of when the second is over.
  void retry_now();
  // Forgets waiters and timers; a commit under way ends by itself.
  void abandon();

  const Rows& accumulating() const { return waiting_; }
  const Rows* in_flight() const { return flight_ ? &flight_->rows : nullptr; }
  std::size_t pending_bytes() const;
  Seq durable_seq() const { return durable_; }
  const std::optional<Error>& failure() const { return failure_; }
  StoreStats stats() const;

 private:
  struct Flight {
    Rows rows;
    Seq last_seq = 0;
    std::vector<Callback> waiters;
    Instant started;
    Status result;
  };

  struct Pause {
    std::function<Status()> work;
    Callback done;
  };

  void schedule();
  void start();
  void pause();
  void offload();
  void landed();
  void succeeded();
  void failed(Error error);

  std::shared_ptr<Backend> backend_;
  Executor& executor_;
  std::function<void(Rows&)> complete_;
  Rows waiting_;
  Seq waiting_seq_;
  std::vector<Callback> waiters_;
  std::shared_ptr<Flight> flight_;
  Seq durable_;
  std::optional<Error> failure_;
  std::deque<Pause> pauses_;  // wait for the commit under way
  bool paused_ = false;
  TimerId retry_ = 0;
  bool scheduled_ = false;
  bool abandoned_ = false;
  StoreStats stats_;
};

}  // namespace peat::store
