// What is set aside, and the way back.
#include <utility>

#include "sync/documents_impl.hpp"

namespace peat::sync {
namespace {

constexpr std::string_view kQuarantineName = "sync.quarantine";
// A peer that sends nothing but rubbish costs a write in so long, not one for each.
constexpr Duration kKeepAfter = std::chrono::seconds(1);

std::unexpected<Error> not_listed(std::string_view key) {
  return fail(Code::not_found, "document '" + std::string(key) + "' is not quarantined");
}

}  // namespace

// A list that cannot be read is lost, and nothing but it: what is in it will be found again.
Status DocumentsImpl::load_quarantine() {
  PEAT_TRY(const auto record, store_.meta(kQuarantineName));
  if (record) static_cast<void>(quarantine_.decode(*record));
  return {};
}

void DocumentsImpl::set_aside(std::string_view key, QuarantineKind kind, const Error& cause,
                              const std::optional<EndpointId>& peer) {
  const auto noted = quarantine_.note(key, kind, cause, peer, executor_.now().wall);
  if (noted == Quarantine::Noted::again) return;
  if (noted == Quarantine::Noted::listed) quarantine_changed();
  if (options_.on_quarantine) options_.on_quarantine(key, cause.message);
}

void DocumentsImpl::quarantine_changed() {
  if (std::exchange(keep_posted_, true)) return;
  executor_.at(executor_.now().mono + kKeepAfter, [this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) keep_quarantine();
  });
}

void DocumentsImpl::keep_quarantine() {
  if (!std::exchange(keep_posted_, false)) return;
  store::WriteBatch batch;
  if (quarantine_.empty()) {
    batch.erase_meta(std::string(kQuarantineName));
  } else {
    batch.put_meta(std::string(kQuarantineName), quarantine_.encode());
  }
  // A store that takes no writes now is asked again.
  if (!store_.write(std::move(batch))) quarantine_changed();
}

Result<automerge::Heads> DocumentsImpl::retry_quarantined(std::string_view key) {
  if (quarantine_.of(key).empty()) return not_listed(key);
  cache_.erase(key);
  const auto view = get(key);
  if (view) {
    // Read as it should be: what was damaged has been repaired meanwhile.
    if (quarantine_.clear(key, QuarantineKind::corrupt)) quarantine_changed();
    return *view ? (*view)->heads : automerge::Heads{};
  }
  if (view.error().code == Code::store_corrupt) return automerge::Heads{};
  PEAT_TRY(auto heads, store_.heads(key));
  return std::move(heads).value_or(automerge::Heads{});
}

Status DocumentsImpl::drop_quarantined(std::string_view key) {
  const auto listed = quarantine_.of(key);
  if (listed.empty()) return not_listed(key);
  for (const auto& entry : listed) {
    if (entry.kind == QuarantineKind::corrupt && !load(key)) {
      cache_.erase(key);
      store::WriteBatch batch;
      batch.erase(std::string(key), std::nullopt);
      PEAT_TRY_VOID(store_.write(std::move(batch)));
    }
    quarantine_.clear(key, entry.kind);
  }
  quarantine_changed();
  return {};
}

}  // namespace peat::sync
