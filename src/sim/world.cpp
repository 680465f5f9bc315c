#include "sim/world.hpp"

#include <algorithm>
#include <utility>

namespace peat::sim {
namespace {

constexpr std::int64_t kWallStartMs = 1'700'000'000'000;
constexpr std::uint64_t kEventRun = 1;

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) {
    hash ^= (value >> (8 * i)) & 0xff;
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

}  // namespace

World::World(std::uint64_t seed) : seed_(seed), random_(seed) {}

Now World::now() const {
  const auto since_start = now_.time_since_epoch();
  return {
      now_,
      {kWallStartMs + std::chrono::duration_cast<std::chrono::milliseconds>(since_start).count()}};
}

std::uint64_t World::below(std::uint64_t n) { return random_.next_u64() % n; }

bool World::chance(double probability) {
  constexpr double kSteps = 1ULL << 53;
  return static_cast<double>(random_.next_u64() >> 11) < probability * kSteps;
}

Duration World::between(Duration low, Duration high) {
  const auto span = static_cast<std::uint64_t>((high - low).count()) + 1;
  return low + Duration(static_cast<std::int64_t>(below(span)));
}

EventId World::at(Instant when, std::function<void()> task) {
  const Key key{std::max(when, now_), next_id_++};
  queue_.emplace(key, std::move(task));
  when_of_.emplace(key.id, key.when);
  return key.id;
}

EventId World::after(Duration delay, std::function<void()> task) {
  return at(now_ + delay, std::move(task));
}

void World::cancel(EventId event) {
  const auto found = when_of_.find(event);
  if (found == when_of_.end()) return;
  queue_.erase({found->second, event});
  when_of_.erase(found);
}

bool World::step() {
  if (queue_.empty()) return false;
  auto node = queue_.extract(queue_.begin());
  when_of_.erase(node.key().id);
  now_ = node.key().when;
  ++events_run_;
  trace(kEventRun, static_cast<std::uint64_t>(now_.time_since_epoch().count()), node.key().id);
  node.mapped()();
  return true;
}

void World::run_for(Duration duration) {
  const Instant end = now_ + duration;
  while (!queue_.empty() && queue_.begin()->first.when <= end) step();
  now_ = end;
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const Instant end = now_ + limit;
  while (!done()) {
    if (queue_.empty() || queue_.begin()->first.when > end) {
      now_ = std::max(now_, end);
      return done();
    }
    const Instant next = queue_.begin()->first.when;
    while (!queue_.empty() && queue_.begin()->first.when == next) step();
  }
  return true;
}

void World::trace(std::uint64_t kind, std::uint64_t a, std::uint64_t b) {
  trace_ = mix(mix(mix(trace_, kind), a), b);
}

SimExecutor::SimExecutor(World& world, Duration work_time)
    : world_(world), work_time_(work_time), running_(std::make_shared<bool>(true)) {}

SimExecutor::~SimExecutor() { stop(); }

void SimExecutor::post(std::function<void()> task) {
  world_.after(Duration{}, [running = running_, task = std::move(task)] {
    if (*running) task();
  });
}

TimerId SimExecutor::at(Instant when, std::function<void()> task) {
  return world_.at(when, [running = running_, task = std::move(task)] {
    if (*running) task();
  });
}

void SimExecutor::offload(std::function<void()> work, std::function<void()> done) {
  pool_free_ = std::max(pool_free_, world_.now().mono) + work_time_;
  world_.at(pool_free_, [running = running_, work = std::move(work), done = std::move(done)] {
    if (!*running) return;
    work();
    done();
  });
}

void SimExecutor::stop() { *running_ = false; }

}  // namespace peat::sim
