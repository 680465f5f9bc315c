// Deletion: local, by peers and by age; and the guard that keeps deleted things away.
#include <algorithm>
#include <limits>
#include <utility>

#include "base/reader.hpp"
#include "sync/documents_impl.hpp"

namespace peat::sync {
namespace {

constexpr std::string_view kLamportName = "sync.lamport";
constexpr std::string_view kHorizonName = "sync.horizon";
constexpr std::string_view kFloorName = "sync.floor";
constexpr std::string_view kExpiredReason = "expired";

Bytes encode_clock(std::uint64_t clock) {
  Bytes out;
  Writer(out).u64be(clock);
  return out;
}

Result<std::uint64_t> load_clock(const store::DocumentStore& store, std::string_view name) {
  PEAT_TRY(const auto value, store.meta(name));
  if (!value) return std::uint64_t{0};
  return Reader(*value).u64be("a logical clock of the store");
}

// Peers stamp anything; what is taken over must still fit milliseconds.
std::uint64_t newest_stamp_ms(const automerge::Document& document) {
  constexpr auto kLast = std::numeric_limits<std::int64_t>::max() / 1000;
  std::int64_t newest = 0;
  for (const auto& change : document.changes()) {
    newest = std::max(newest, std::min(change.time, kLast));
  }
  return static_cast<std::uint64_t>(newest) * 1000;
}

std::int64_t deleted_at_seconds(const wire::Tombstone& tombstone) {
  return static_cast<std::int64_t>(tombstone.deleted_at_ms / 1000);
}

bool begins_after(const wire::Tombstone& tombstone, const automerge::ChangeInfo& change) {
  return !change.deps.empty() || change.time > deleted_at_seconds(tombstone);
}

}  // namespace

bool is_softly_deleted(const automerge::Document& document) {
  const auto value = document.get(automerge::kRoot, "_deleted");
  if (!value || !*value) return false;
  const auto* scalar = std::get_if<automerge::Scalar>(&(*value)->data);
  const auto* flag = scalar == nullptr ? nullptr : std::get_if<bool>(scalar);
  return flag != nullptr && *flag;
}

// --- clocks -------------------------------------------------------------------------------------

Status DocumentsImpl::load_clocks() {
  PEAT_TRY(lamport_, load_clock(store_, kLamportName));
  PEAT_TRY(horizon_, load_clock(store_, kHorizonName));
  PEAT_TRY(feed_floor_, load_clock(store_, kFloorName));
  return {};
}

void DocumentsImpl::note_lamport(store::WriteBatch& batch, std::uint64_t lamport) {
  if (lamport <= lamport_) return;
  lamport_ = lamport;
  batch.put_meta(std::string(kLamportName), encode_clock(lamport));
}

void DocumentsImpl::note_horizon(std::uint64_t lamport) {
  if (lamport <= horizon_ || lamport > options_.limits.sync_lamport) return;
  store::WriteBatch batch;
  batch.put_meta(std::string(kHorizonName), encode_clock(lamport));
  if (store_.write(std::move(batch))) horizon_ = lamport;
}

std::uint64_t DocumentsImpl::deletion_time(std::string_view key) {
  auto time = static_cast<std::uint64_t>(executor_.now().wall.ms);
  if (const auto document = open_document(key); document && *document != nullptr) {
    time = std::max(time, newest_stamp_ms(**document));
  }
  return time;
}

bool DocumentsImpl::maybe_collected(const wire::Tombstone& tombstone) const {
  const auto kept = std::chrono::duration_cast<std::chrono::milliseconds>(
      options_.collections.retention(tombstone.collection));
  const auto now = static_cast<std::uint64_t>(executor_.now().wall.ms);
  return tombstone.lamport <= horizon_ && tombstone.deleted_at_ms <= now &&
         now - tombstone.deleted_at_ms >= static_cast<std::uint64_t>(kept.count());
}

bool DocumentsImpl::update_wins(const wire::Tombstone& tombstone) const {
  return is_expiry(tombstone) ||
         options_.collections.deletion_rule(tombstone.collection) == DeletionRule::update_wins;
}

// --- local --------------------------------------------------------------------------------------

Result<WriteResult> DocumentsImpl::erase(std::string_view key, std::optional<std::string> reason,
                                         const Precondition& precondition) {
  PEAT_TRY_VOID(require_key(key));
  const auto parts = *split_key(key);
  const auto policy = options_.collections.rule(parts.collection).deletion;
  if (policy == DeletionPolicy::immutable) {
    return fail(Code::permission_denied, "collection '" + std::string(parts.collection) +
                                             "' is immutable: its documents are not deleted");
  }
  PEAT_TRY_VOID(check(key, precondition));
  PEAT_TRY(auto heads, store_.heads(key));
  if (!heads) return fail(Code::not_found, "document '" + std::string(key) + "': there is none");
  if (policy == DeletionPolicy::soft_delete) {
    auto marked = erase_softly(key, reason, precondition);
    // One that cannot be read cannot be marked either.
    if (marked || marked.error().code != Code::document_invalid) return marked;
  }
  wire::Tombstone tombstone{.collection = std::string(parts.collection),
                            .id = std::string(parts.id),
                            .deleted_at_ms = deletion_time(key),
                            .lamport = lamport_ + 1,
                            .deleted_by = options_.node_id,
                            .reason = std::move(reason).value_or(""),
                            .direction = wire::default_direction(parts.collection)};
  PEAT_TRY_VOID(
      bury(std::string(key), std::move(tombstone), std::move(*heads), std::nullopt, false));
  return WriteResult{store_.last_seq(), {}, false, true, false};
}

Result<WriteResult> DocumentsImpl::erase_softly(std::string_view key,
                                                const std::optional<std::string>& reason,
                                                const Precondition& precondition) {
  PEAT_TRY(auto* present, open_document(key));
  if (present == nullptr || is_softly_deleted(*present)) {
    return fail(Code::not_found, "document '" + std::string(key) + "': there is none");
  }
  PEAT_TRY(auto result,
           edit(key, precondition,
                [&](automerge::Document& document, const automerge::CommitOptions& options)
                    -> Result<std::optional<automerge::ChangeHash>> {
                  PEAT_TRY(auto transaction, document.begin());
                  const auto root = automerge::kRoot;
                  PEAT_TRY_VOID(transaction.put(root, "_deleted", true));
                  PEAT_TRY_VOID(
                      transaction.put(root, "_deleted_at", std::int64_t{executor_.now().wall.ms}));
                  PEAT_TRY_VOID(transaction.put(root, "_deleted_by", options_.node_id));
                  if (reason) PEAT_TRY_VOID(transaction.put(root, "_deleted_reason", *reason));
                  return transaction.commit(options);
                }));
  result.softly = true;
  return result;
}

// The tombstone, the removal and the clock that numbers it are one batch.
Status DocumentsImpl::bury(std::string key, wire::Tombstone tombstone,
                           automerge::Heads deleted_heads, const store::Origin& origin,
                           bool keep_document) {
  const auto clock = lamport_;
  store::WriteBatch batch;
  note_lamport(batch, tombstone.lamport);
  batch.bury(key, std::move(tombstone), std::move(deleted_heads), origin, keep_document);
  if (auto written = store_.write(std::move(batch)); !written) {
    lamport_ = clock;
    return std::unexpected(written.error());
  }
  if (!keep_document) {
    cache_.erase(key);
    bool listed = quarantine_.clear(key, QuarantineKind::unreadable);
    listed = quarantine_.clear(key, QuarantineKind::corrupt) || listed;
    if (listed) quarantine_changed();
  }
  return {};
}

// --- by age -------------------------------------------------------------------------------------

Result<bool> DocumentsImpl::expire(std::string_view key, bool if_deleted) {
  PEAT_TRY(const auto* document, open_document(key));
  if (document == nullptr || (if_deleted && !is_softly_deleted(*document))) return false;
  PEAT_TRY(auto heads, store_.heads(key));
  PEAT_TRY(const auto before, epoch(key));
  const auto parts = split_key(key).value_or(KeyParts{});
  wire::Tombstone tombstone{
      .collection = std::string(parts.collection),
      .id = std::string(parts.id),
      .deleted_at_ms = std::max(newest_stamp_ms(*document), before.deleted_at_ms + 1),
      .lamport = before.lamport,
      .deleted_by = "",
      .reason = std::string(kExpiredReason),
      .direction = wire::Direction::bidirectional};
  PEAT_TRY_VOID(bury(std::string(key), std::move(tombstone), heads.value_or(automerge::Heads{}),
                     std::nullopt, false));
  return true;
}

Status DocumentsImpl::collect(const std::vector<store::TombstoneRecord>& tombstones) {
  auto horizon = horizon_;
  auto floor = feed_floor_;
  store::WriteBatch batch;
  for (const auto& record : tombstones) {
    const auto& tombstone = record.tombstone;
    const auto key = tombstone.key();
    PEAT_TRY(const auto present, store_.tombstone(key));
    PEAT_TRY(const auto heads, store_.heads(key));
    if (heads || !present || present->seq != record.seq) continue;
    if (!is_expiry(tombstone)) horizon = std::max(horizon, tombstone.lamport);
    floor = std::max(floor, record.seq);
    batch.remove_tombstone(key);
  }
  if (batch.empty()) return {};
  batch.put_meta(std::string(kFloorName), encode_clock(floor));
  if (horizon > horizon_) batch.put_meta(std::string(kHorizonName), encode_clock(horizon));
  PEAT_TRY_VOID(store_.write(std::move(batch)));
  horizon_ = horizon;
  feed_floor_ = floor;
  return {};
}

// --- peers --------------------------------------------------------------------------------------

Result<Guard> DocumentsImpl::guard(std::string_view key, const std::optional<Epoch>& epoch,
                                   const EndpointId& from) {
  const auto parts = split_key(key);
  if (!parts) {
    return fail(Code::malformed,
                "document key '" + std::string(key) + "': not of the form collection:id; skipped");
  }
  PEAT_TRY(const auto buried, store_.tombstone(key));
  const auto ours = buried ? epoch_of(buried->tombstone) : Epoch{};
  if (epoch && *epoch > ours) {
    PEAT_TRY_VOID(apply_tombstone({.collection = std::string(parts->collection),
                                   .id = std::string(parts->id),
                                   .deleted_at_ms = epoch->deleted_at_ms,
                                   .lamport = epoch->lamport,
                                   .deleted_by = epoch->deleted_by,
                                   .reason = {},
                                   .direction = wire::default_direction(parts->collection)},
                                  from));
    return Guard::open;
  }
  return judge(key, epoch, buried);
}

Result<Guard> DocumentsImpl::judge(std::string_view key, const std::optional<Epoch>& epoch,
                                   const std::optional<store::TombstoneRecord>& buried) const {
  if (!buried || (epoch && *epoch >= epoch_of(buried->tombstone))) return Guard::open;
  const auto& tombstone = buried->tombstone;
  const bool stamped = !epoch || (*epoch == Epoch{} && maybe_collected(tombstone));
  PEAT_TRY(const auto heads, store_.heads(key));
  if (heads && is_expiry(tombstone)) return Guard::open;
  if (heads) return stamped ? Guard::reborn : Guard::descendants;
  if (update_wins(tombstone)) return Guard::survivors;
  return stamped ? Guard::reborn : Guard::closed;
}

Result<bool> DocumentsImpl::admits(std::string_view key, const Epoch& theirs) const {
  PEAT_TRY(const auto buried, store_.tombstone(key));
  PEAT_TRY(const auto guarded, judge(key, theirs, buried));
  return guarded != Guard::closed;
}

Result<bool> DocumentsImpl::allowed(std::string_view key, Guard guard,
                                    const automerge::Document& document,
                                    const automerge::Heads& before) const {
  if (guard == Guard::open) return true;
  PEAT_TRY(const auto buried, store_.tombstone(key));
  if (!buried) return true;
  if (guard == Guard::survivors) return survives(*buried, document);
  return std::ranges::all_of(document.hashes_since(before), [&](const auto& hash) {
    const auto change = document.change(hash);
    return guard == Guard::descendants ? !change->deps.empty()
                                       : begins_after(buried->tombstone, *change);
  });
}

bool DocumentsImpl::survives(const store::TombstoneRecord& buried,
                             const automerge::Document& document) const {
  if (!update_wins(buried.tombstone)) return false;
  const auto& seen = buried.deleted_heads;
  const bool ours = !buried.origin && !seen.empty();
  if (ours && std::ranges::all_of(seen, [&](const auto& h) { return document.has_change(h); })) {
    return !document.hashes_since(seen).empty();
  }
  return std::ranges::any_of(document.changes(), [&](const auto& change) {
    return change.time > deleted_at_seconds(buried.tombstone);
  });
}

// What stands where the tombstone would go; nullptr also for what cannot be opened.
Result<automerge::Document*> DocumentsImpl::document_beside(std::string_view key) {
  auto document = open_document(key);
  if (!document && document.error().code == Code::document_invalid) return nullptr;
  return document;
}

Status DocumentsImpl::may_bury(const wire::Tombstone& tombstone,
                               const automerge::Document* document) const {
  const auto policy = options_.collections.rule(tombstone.collection).deletion;
  if (policy == DeletionPolicy::immutable) {
    return fail(Code::permission_denied,
                "tombstone of '" + tombstone.key() + "': the collection is immutable here");
  }
  if (policy == DeletionPolicy::soft_delete && document != nullptr && document->materialise() &&
      !is_softly_deleted(*document)) {
    return fail(Code::permission_denied,
                "tombstone of '" + tombstone.key() +
                    "': the collection deletes softly here, and the document is not marked");
  }
  return {};
}

Result<bool> DocumentsImpl::apply_tombstone(const wire::Tombstone& tombstone,
                                            const EndpointId& from) {
  const auto key = tombstone.key();
  const auto parts = split_key(key);
  if (!parts || parts->collection != tombstone.collection) {
    return fail(Code::malformed, "tombstone of '" + key + "': not of the form collection:id");
  }
  if (tombstone.lamport > options_.limits.sync_lamport) {
    return fail(Code::limit_exceeded, "tombstone of '" + key + "': its Lamport clock of " +
                                          std::to_string(tombstone.lamport) +
                                          " leaves no room for later deletions");
  }
  if (tombstone.deleted_at_ms > static_cast<std::uint64_t>(INT64_MAX)) {
    return fail(Code::limit_exceeded, "tombstone of '" + key + "': its time of " +
                                          std::to_string(tombstone.deleted_at_ms) +
                                          " ms leaves no room for later deletions");
  }
  PEAT_TRY(const auto known, store_.tombstone(key));
  if (known && !wire::supersedes(tombstone, known->tombstone)) return false;
  if (options_.access != nullptr) PEAT_TRY_VOID(options_.access->may_delete(from, key));
  PEAT_TRY(const auto* document, document_beside(key));
  PEAT_TRY_VOID(may_bury(tombstone, document));
  bool keep = false;
  if (document != nullptr && update_wins(tombstone)) {
    keep = survives({tombstone, {}, 0, from}, *document);
  } else if (document != nullptr && !known && maybe_collected(tombstone)) {
    keep = std::ranges::all_of(document->changes(),
                               [&](const auto& change) { return begins_after(tombstone, change); });
  }
  PEAT_TRY_VOID(bury(key, tombstone, {}, from, keep));
  return true;
}

}  // namespace peat::sync
