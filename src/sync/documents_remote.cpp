// What peers send and what they are sent.
#include <algorithm>
#include <set>
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

bool holds_all(const automerge::Document& document, const automerge::Heads& heads) {
  return std::ranges::all_of(heads, [&](const auto& hash) { return document.has_change(hash); });
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
    PEAT_TRY(loaded, load(key));
    if (!loaded) return std::nullopt;
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
  const auto open = load(key);
  // Of a damaged record nothing is known: who has the document sends it whole.
  if (!open && open.error().code != Code::store_corrupt) return std::unexpected(open.error());
  if (!open || !*open) return automerge::generate_sync_message(empty_document(), state);
  return automerge::generate_sync_message((*open)->document, state);
}

// --- receiving ---------------------------------------------------------------------------------

Result<RemoteResult> DocumentsImpl::unchanged(std::string_view key, bool refused) const {
  PEAT_TRY(auto heads, store_.heads(key));
  return RemoteResult{false, refused, false, std::move(heads).value_or(automerge::Heads{}), {}};
}

Result<RemoteResult> DocumentsImpl::merge(std::string_view key, Guard guard, const EndpointId& from,
                                          const Merge& apply) {
  auto cached = open_cached(key);
  const bool damaged = !cached && cached.error().code == Code::store_corrupt;
  if (!cached && !damaged) return std::unexpected(std::move(cached).error());
  auto* open = damaged ? nullptr : *cached;
  std::optional<OpenDocument> fresh;
  if (open == nullptr) {
    fresh.emplace(empty_document(), 0U);
    open = &*fresh;
  }
  auto& document = open->document;
  const auto before = document.heads();
  if (auto applied = apply(document); !applied) {
    cache_.erase(key);
    auto error = about(key, applied.error());
    if (!is_local(error)) set_aside(key, QuarantineKind::refused, error, from);
    return std::unexpected(std::move(error));
  }
  RemoteResult result{false, false, false, document.heads(), document.missing_deps()};
  if (options_.access != nullptr && options_.access->asks_for_authors(from, key)) {
    if (auto may = authorised(key, from, document, before); !may) {
      cache_.erase(key);
      return std::unexpected(may.error());
    }
    // What waits would later count as handed over by whoever brings its dependencies.
    if (!result.missing.empty()) {
      cache_.erase(key);
      PEAT_TRY(auto kept, unchanged(key, false));
      kept.missing = std::move(result.missing);
      return kept;
    }
  }
  if (result.heads != before) {
    auto may_stay = allowed(key, guard, document, before);
    if (!may_stay || !*may_stay) {
      cache_.erase(key);
      if (!may_stay) return std::unexpected(may_stay.error());
      return unchanged(key, result.missing.empty());
    }
    const auto dropped = drop_outdated(key, *open);
    const bool stays = dropped && *dropped && document.heads() == before;
    auto saved = !dropped ? Result<store::Seq>(std::unexpected(dropped.error()))
                 : stays  ? Result<store::Seq>(0)
                          : save(key, *open, before, from,
                                damaged    ? Save::repair
                                 : *dropped ? Save::whole
                                            : Save::changes);
    if (!saved) {
      cache_.erase(key);
      return std::unexpected(about(key, saved.error()));
    }
    if (damaged && !stays && quarantine_.clear(key, QuarantineKind::corrupt)) quarantine_changed();
    result.changed = !stays;
    result.superseded = dropped && *dropped && !holds_all(document, result.heads);
    result.heads = document.heads();
  }
  if (quarantine_.clear_refused(key, from)) quarantine_changed();
  // Changes that wait for their dependencies are held in the cache only.
  if (fresh && !result.missing.empty()) {
    cache_.insert(key, std::move(*fresh));
  } else if (!fresh) {
    cache_.recount(key);
  }
  return result;
}

Status DocumentsImpl::authorised(std::string_view key, const EndpointId& from,
                                 const automerge::Document& document,
                                 const automerge::Heads& before) const {
  std::set<automerge::ActorId> judged;
  for (const auto& hash : document.hashes_since(before)) {
    const auto change = document.change(hash);
    if (!judged.insert(change->actor).second) continue;
    PEAT_TRY_VOID(options_.access->may_hand_over(from, key, change->actor));
  }
  return {};
}

Result<RemoteResult> DocumentsImpl::apply_chunks(std::string_view key,
                                                 const std::optional<Epoch>& epoch,
                                                 ByteView changes, const EndpointId& from) {
  if (options_.access != nullptr) PEAT_TRY_VOID(options_.access->may_send(from, key));
  PEAT_TRY(const auto guarded, guard(key, epoch, from));
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
  PEAT_TRY(const auto guarded, guard(key, std::nullopt, from));
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

}  // namespace peat::sync
