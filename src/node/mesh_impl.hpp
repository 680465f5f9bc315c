// What a Mesh holds, shared by its source files.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include "node/asio_executor.hpp"
#include "node/node.hpp"
#include "peat/mesh.hpp"

namespace peat {

// One watch(): a cursor that is read in slices on the loop.
struct Watch {
  node::EventCursor cursor;
  WatchOptions options;
  std::function<void(const Change&)> callback;
  std::uint64_t wake_id = 0;
  bool scheduled = false;
  bool cancelled = false;

  bool wanted(const Change& change) const {
    if (change.kind == Change::Kind::gap) return true;
    return (options.collection.empty() || change.collection == options.collection) &&
           change.id.starts_with(options.prefix);
  }
};

// One watch() of a query.
struct LiveWatch {
  std::unique_ptr<node::LiveQuery> live;
  std::function<void(const QueryChange&)> callback;
  std::uint64_t wake_id = 0;
  bool scheduled = false;
  bool cancelled = false;

  // True if there is more to tell at once.
  bool tell() {
    std::vector<node::LiveLine> lines;
    const auto state = live->step(lines);
    for (auto& line : lines) {
      if (cancelled) return false;
      callback({static_cast<QueryChange::Kind>(line.kind),
                std::move(line.id),
                std::move(line.json),
                std::move(line.resume),
                {}});
    }
    if (state) return *state == node::LiveQuery::State::more;
    if (!cancelled) callback({QueryChange::Kind::ended, {}, {}, {}, state.error().message});
    cancelled = true;
    return false;
  }
};

struct Mesh::Impl : std::enable_shared_from_this<Mesh::Impl> {
  node::AsioExecutor executor;
  std::unique_ptr<node::Node> node;
  std::thread thread;
  std::mutex closing;
  bool closed = false;

  // Runs `task` on the loop and waits for what it hands to its argument.
  template <class T, class Task>
  T run(Task task) {
    if (std::this_thread::get_id() == thread.get_id()) {
      return fail(Code::invalid_argument,
                  "a Mesh was called from its own callback; hand the work to another thread");
    }
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    {
      // Nothing is posted to a loop that has ended: nobody would answer.
      const std::lock_guard lock(closing);
      if (closed) return fail(Code::shut_down, "this Mesh is closed");
      executor.post([promise, task = std::move(task)]() mutable {
        task([promise](T value) { promise->set_value(std::move(value)); });
      });
    }
    try {
      return future.get();
    } catch (const std::future_error&) {
      return fail(Code::shut_down, "this Mesh was closed before the answer");
    }
  }

  void pump(const std::shared_ptr<Watch>& watch);
  void pump(const std::shared_ptr<LiveWatch>& watch);
  // Ends the watch when it goes.
  template <class AnyWatch>
  Subscription subscription_to(const std::shared_ptr<AnyWatch>& watch);
  Status close();
};

}  // namespace peat
