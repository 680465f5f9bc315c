// Sealing anew: slice by slice, each a commit of its own that also says how far it has come.
#include <utility>

#include "store/sealed_backend.hpp"
#include "store/store.hpp"

namespace peat::store {
namespace {

constexpr std::size_t kSliceRows = 256;
constexpr std::size_t kSliceBytes = 1U << 20;
constexpr Duration kPause = std::chrono::milliseconds(1);  // others have the loop meanwhile
constexpr Duration kRetryAfter = std::chrono::seconds(1);

}  // namespace

Status Store::reseal(Random& random) {
  auto* const sealed = backend_->sealed();
  if (sealed == nullptr) {
    return fail(Code::unsupported,
                "the store is not encrypted; give the node a store_key_file or a "
                "store_passphrase_file and start it again");
  }
  if (resealing_) return fail(Code::unavailable, "the records are being sealed anew already");
  PEAT_TRY_VOID(writable());
  PEAT_TRY(const auto ring, sealed->ring()->with_new_key(random));
  resealing_ = true;
  put_ring({}, *ring);
  return {};
}

void Store::put_ring(Rows rows, const SealingRing& ring) {
  rows.put(Table::meta, std::string(kSealingName), SealedBackend::ring_row(ring));
  commit_->add(std::move(rows), last_seq_);
  // Only then: what is committed from there on is sealed with the current key.
  commit_->on_durable([this](const Status& status) {
    if (status) return reseal_step();
    reseal_later();
  });
}

void Store::reseal_later() {
  if (reseal_timer_ != 0) return;
  const auto pause = commit_->failure() ? kRetryAfter : kPause;
  reseal_timer_ = executor_.at(executor_.now().mono + pause, [this] {
    reseal_timer_ = 0;
    if (auto done = reseal_slice(); !done) reseal_later();
  });
}

void Store::reseal_step() {
  resealing_ = backend_->sealed()->ring()->walk().has_value();
  if (resealing_ && !closed_) reseal_later();
}

Status Store::reseal_slice() {
  PEAT_TRY_VOID(writable());
  auto& sealed = *backend_->sealed();
  const auto ring = sealed.ring();
  const auto walk = ring->walk().value_or(SealingRing::Walk{});
  Rows rows;
  std::optional<SealingRing::Walk> next;
  {
    PEAT_TRY(const auto view, this->view());
    PEAT_TRY(auto stale, sealed.stale(walk, kSliceRows, kSliceBytes));
    next = std::move(stale.next);
    reseal_failures_ += stale.failed;
    const auto* in_flight = commit_->in_flight();
    for (auto& [key, record] : stale.rows) {
      // What is on its way to the disk is sealed with the current key, and newer.
      if (commit_->accumulating()[walk.table].contains(key)) continue;
      if (in_flight != nullptr && (*in_flight)[walk.table].contains(key)) continue;
      rows.put(walk.table, std::move(key), std::move(record));
    }
  }
  resealed_rows_ += rows.count();
  put_ring(std::move(rows), next ? *ring->with_walk(std::move(*next)) : *ring->finished());
  return {};
}

}  // namespace peat::store
