#include "sync/write_waits.hpp"

#include <algorithm>
#include <utility>

namespace peat::sync {

WriteWaits::~WriteWaits() {
  for (auto& [number, wait] : waits_) executor_.cancel(wait.timer);
}

bool WriteWaits::is_enough(const Wait& wait) {
  if (wait.wanted.peer) return wait.holders.contains(*wait.wanted.peer);
  return wait.holders.size() >= wait.wanted.peers;
}

void WriteWaits::add(Write write, const WaitFor& wanted, Duration deadline,
                     const std::map<EndpointId, store::Seq>& acked, Done done) {
  if (waits_.size() >= limits_.sync_write_waits) {
    return done(fail(Code::limit_exceeded,
                     std::to_string(waits_.size()) +
                         " writes wait for peers already "
                         "(sync_write_waits); the write is made, its holders are not awaited"));
  }
  Wait wait{std::move(write), wanted, {}, {}, 0, std::move(done)};
  for (const auto& [peer, position] : acked) {
    if (position >= wait.write.seq && may_hold(peer, wait)) wait.holders.insert(peer);
  }
  const auto number = next_++;
  const bool enough = is_enough(wait);
  wait.timer = executor_.at(executor_.now().mono + deadline, [this, number] { finish(number); });
  waits_.emplace(number, std::move(wait));
  if (enough) finish(number);
}

void WriteWaits::on_ack(const EndpointId& peer, store::Seq acked,
                        const std::vector<wire::DocumentHeads>& declined) {
  std::vector<std::uint64_t> finished;
  for (auto& [number, wait] : waits_) {
    const auto named = std::ranges::find(declined, wait.write.key, &wire::DocumentHeads::key);
    // A deletion has no heads: whoever names its document has not taken it.
    if (named != declined.end() &&
        (wait.write.heads.empty() || !std::ranges::includes(named->heads, wait.write.heads))) {
      wait.declined.insert(peer);
    }
    if (acked >= wait.write.seq && !wait.declined.contains(peer) && may_hold(peer, wait)) {
      wait.holders.insert(peer);
    }
    if (is_enough(wait)) finished.push_back(number);
  }
  for (const auto number : finished) finish(number);
}

void WriteWaits::finish(std::uint64_t number) {
  auto node = waits_.extract(number);
  if (node.empty()) return;
  auto& wait = node.mapped();
  executor_.cancel(wait.timer);
  wait.done(Holders{is_enough(wait), {wait.holders.begin(), wait.holders.end()}});
}

}  // namespace peat::sync
