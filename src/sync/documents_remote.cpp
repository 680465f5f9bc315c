// What peers send and what they are sent.
#include <algorithm>
#include <utility>

#include "sync/documents_impl.hpp"

namespace peat::sync {
namespace {

// From this many changes on, one saved document may be smaller than the changes it holds.
constexpr std::size_t kWholeDocumentChanges = 64;

void append_bytes(Bytes& out, ByteView view) { out.insert(out.end(), view.begin(), view.end()); }

Status append_changes(const automerge::Document& document, const automerge::Heads& have,
                      Bytes& out) {
  PEAT_TRY(const auto chunks, document.changes_since(have));
  std::size_t size = 0;
  for (const auto chunk : chunks) size += chunk.size();
  if (have.empty() && chunks.size() > kWholeDocumentChanges) {
    auto saved = document.save({.deflate = true, .retain_orphans = false});
    if (saved && saved->size() < size) {
      append_bytes(out, *saved);
      return {};
    }
  }
  out.reserve(out.size() + size);
  for (const auto chunk : chunks) append_bytes(out, chunk);
  return {};
}

Error about(std::string_view key, Error error) {
  error.message = "document '" + std::string(key) + "': " + error.message;
  return error;
}

}  // namespace

// --- sending -----------------------------------------------------------------------------------

Result<Epoch> DocumentsImpl::epoch(std::string_view key) {
  PEAT_TRY(const auto buried, store_.tombstone(key));
  return buried ? epoch_of(buried->tombstone) : Epoch{};
}

Result<std::optional<Outgoing>> DocumentsImpl::with_document(
    std::string_view key, const std::function<Status(automerge::Document&, Outgoing&)>& use) {
  std::optional<OpenDocument> loaded;
  auto* open = cache_.find(key);
  if (open == nullptr) {
    PEAT_TRY(const auto record, store_.document(key));
    if (!record) return std::nullopt;
    PEAT_TRY(loaded, load(*record));
    open = &*loaded;
  }
  if (open->document.heads().empty()) return std::nullopt;
  Outgoing out;
  PEAT_TRY(out.epoch, epoch(key));
  out.heads = open->document.heads();
  PEAT_TRY_VOID(use(open->document, out));
  return out;
}

Result<std::optional<Outgoing>> DocumentsImpl::outgoing(std::string_view key,
                                                        const automerge::Heads& have) {
  return with_document(key, [&](automerge::Document& document, Outgoing& out) {
    return append_changes(document, have, out.changes);
  });
}

Result<std::optional<Outgoing>> DocumentsImpl::outgoing_newest(std::string_view key) {
  return with_document(key, [](automerge::Document& document, Outgoing& out) -> Status {
    for (const auto& hash : out.heads) {
      PEAT_TRY(const auto chunk, document.change_bytes(hash));
      append_bytes(out.changes, chunk);
    }
    return {};
  });
}

Result<std::optional<Bytes>> DocumentsImpl::snapshot(std::string_view key) {
  PEAT_TRY(auto out, with_document(key, [](automerge::Document& document, Outgoing& to) -> Status {
             auto saved = document.save({.deflate = true, .retain_orphans = false});
             if (!saved) return append_changes(document, {}, to.changes);  // as good, unmerged
             to.changes = std::move(*saved);
             return {};
           }));
  if (!out) return std::nullopt;
  return std::move(out->changes);
}

Result<std::optional<Bytes>> DocumentsImpl::sync_message(std::string_view key,
                                                         automerge::SyncState& state) {
  if (auto* open = cache_.find(key)) {
    return automerge::generate_sync_message(open->document, state);
  }
  PEAT_TRY(const auto record, store_.document(key));
  if (!record) return automerge::generate_sync_message(empty_document(), state);
  PEAT_TRY(const auto open, load(*record));
  return automerge::generate_sync_message(open.document, state);
}

// --- receiving ---------------------------------------------------------------------------------

Result<Guard> DocumentsImpl::guard(std::string_view key, const std::optional<Epoch>& epoch) const {
  const auto parts = split_key(key);
  if (!parts) {
    return fail(Code::malformed,
                "document key '" + std::string(key) + "': not of the form collection:id; skipped");
  }
  PEAT_TRY(const auto buried, store_.tombstone(key));
  const auto ours = buried ? epoch_of(buried->tombstone) : Epoch{};
  if (epoch && *epoch > ours) {
    return fail(Code::malformed, "document '" + std::string(key) +
                                     "': stands behind a deletion that was not sent first");
  }
  if (!buried || epoch == ours) return Guard::open;
  PEAT_TRY(const auto heads, store_.heads(key));
  if (heads) return Guard::descendants;
  if (options_.modes.deletion_rule(parts->collection) == DeletionRule::update_wins) {
    return Guard::survivors;
  }
  return epoch ? Guard::closed : Guard::reborn;
}

Result<RemoteResult> DocumentsImpl::unchanged(std::string_view key, bool refused) const {
  PEAT_TRY(auto heads, store_.heads(key));
  return RemoteResult{false, refused, std::move(heads).value_or(automerge::Heads{}), {}};
}

Result<bool> DocumentsImpl::allowed(std::string_view key, Guard guard,
                                    const automerge::Document& document,
                                    const automerge::Heads& before) const {
  if (guard == Guard::open) return true;
  PEAT_TRY(const auto buried, store_.tombstone(key));
  if (!buried) return true;
  if (guard == Guard::survivors) return survives(key, *buried, document);
  const auto deleted_at = static_cast<std::int64_t>(buried->tombstone.deleted_at_ms / 1000);
  return std::ranges::none_of(document.hashes_since(before), [&](const auto& hash) {
    const auto change = document.change(hash);
    return change->deps.empty() && (guard == Guard::descendants || change->time <= deleted_at);
  });
}

bool DocumentsImpl::survives(std::string_view key, const store::TombstoneRecord& buried,
                             const automerge::Document& document) const {
  const auto parts = split_key(key);
  if (options_.modes.deletion_rule(parts->collection) != DeletionRule::update_wins) return false;
  const auto& seen = buried.deleted_heads;
  const bool ours = !buried.origin && !seen.empty();
  if (ours && std::ranges::all_of(seen, [&](const auto& h) { return document.has_change(h); })) {
    return !document.hashes_since(seen).empty();
  }
  const auto deleted_at = static_cast<std::int64_t>(buried.tombstone.deleted_at_ms / 1000);
  return std::ranges::any_of(document.changes(),
                             [&](const auto& change) { return change.time > deleted_at; });
}

Result<RemoteResult> DocumentsImpl::merge(std::string_view key, Guard guard, const EndpointId& from,
                                          const Merge& apply) {
  PEAT_TRY(auto* open, open_cached(key));
  std::optional<OpenDocument> fresh;
  if (open == nullptr) {
    fresh.emplace(empty_document(), 0U);
    open = &*fresh;
  }
  auto& document = open->document;
  const auto before = document.heads();
  if (auto applied = apply(document); !applied) {
    cache_.erase(key);
    return std::unexpected(about(key, applied.error()));
  }
  RemoteResult result{false, false, document.heads(), document.missing_deps()};
  if (result.heads != before) {
    auto may_stay = allowed(key, guard, document, before);
    if (!may_stay || !*may_stay) {
      cache_.erase(key);
      if (!may_stay) return std::unexpected(may_stay.error());
      return unchanged(key, result.missing.empty());
    }
    if (auto saved = save(key, *open, before, from); !saved) {
      cache_.erase(key);
      return std::unexpected(about(key, saved.error()));
    }
    result.changed = true;
  }
  // Changes that wait for their dependencies are held in the cache only.
  if (fresh && !result.missing.empty()) {
    cache_.insert(key, std::move(*fresh));
  } else if (!fresh) {
    cache_.recount(key);
  }
  return result;
}

Result<RemoteResult> DocumentsImpl::apply_chunks(std::string_view key,
                                                 const std::optional<Epoch>& epoch,
                                                 ByteView changes, const EndpointId& from) {
  PEAT_TRY(const auto guarded, guard(key, epoch));
  if (guarded == Guard::closed || changes.empty()) {
    return unchanged(key, guarded == Guard::closed);
  }
  return merge(key, guarded, from, [&](automerge::Document& document) -> Status {
    PEAT_TRY_VOID(document.load_incremental(changes, options_.load_limits));
    return {};
  });
}

Result<RemoteResult> DocumentsImpl::apply_changes(std::string_view key, const Epoch& epoch,
                                                  ByteView changes, const EndpointId& from) {
  return apply_chunks(key, epoch, changes, from);
}

Result<RemoteResult> DocumentsImpl::apply_snapshot(std::string_view key, ByteView saved,
                                                   const EndpointId& from) {
  return apply_chunks(key, std::nullopt, saved, from);
}

Result<RemoteResult> DocumentsImpl::apply_sync_message(std::string_view key,
                                                       automerge::SyncState& state,
                                                       ByteView message, const EndpointId& from) {
  PEAT_TRY(const auto guarded, guard(key, std::nullopt));
  if (guarded == Guard::closed) return unchanged(key, true);
  auto next = state;
  PEAT_TRY(auto result, merge(key, guarded, from, [&](automerge::Document& document) -> Status {
             PEAT_TRY_VOID(
                 automerge::receive_sync_message(document, next, message, options_.load_limits));
             return {};
           }));
  if (!result.refused) state = std::move(next);
  return result;
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
  PEAT_TRY(const auto known, store_.tombstone(key));
  if (known && !wire::supersedes(tombstone, known->tombstone)) return false;
  bool keep = false;
  if (options_.modes.deletion_rule(parts->collection) == DeletionRule::update_wins) {
    PEAT_TRY(const auto* document, open_document(key));
    const store::TombstoneRecord buried{tombstone, {}, 0, from};
    keep = document != nullptr && survives(key, buried, *document);
  }
  PEAT_TRY_VOID(bury(key, tombstone, {}, from, keep));
  return true;
}

}  // namespace peat::sync
