// Opening and local edits. Deletion: documents_deletion.cpp. What peers send and get:
// documents_remote.cpp.
#include "sync/documents.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "automerge/json_write.hpp"
#include "base/encoding.hpp"
#include "base/reader.hpp"
#include "sync/documents_impl.hpp"

namespace peat::sync {
namespace {

// A document that JSON leaves without any operation still has to exist.
Result<std::optional<automerge::ChangeHash>> commit_empty(automerge::Document& document,
                                                          const automerge::CommitOptions& options) {
  PEAT_TRY(auto transaction, document.begin());
  auto with_empty = options;
  with_empty.allow_empty = true;
  return transaction.commit(with_empty);
}

}  // namespace

Result<std::unique_ptr<Documents>> Documents::open(store::DocumentStore& store, Executor& executor,
                                                   Options options) {
  auto documents = std::make_unique<DocumentsImpl>(store, executor, std::move(options));
  PEAT_TRY_VOID(documents->load_clocks());
  PEAT_TRY_VOID(documents->load_quarantine());
  return documents;
}

DocumentsImpl::DocumentsImpl(store::DocumentStore& store, Executor& executor, Options options)
    : store_(store),
      executor_(executor),
      options_(std::move(options)),
      cache_(options_.cache_bytes),
      quarantine_(options_.limits.sync_quarantined) {}

std::int64_t newest_time(const automerge::Document& document) {
  auto newest = std::numeric_limits<std::int64_t>::min();
  for (const auto& head : document.heads()) {
    if (const auto change = document.change(head)) newest = std::max(newest, change->time);
  }
  return newest;
}

Status require_key(std::string_view key) {
  const auto parts = split_key(key);
  if (!parts) {
    return fail(Code::invalid_argument,
                "document key '" + std::string(key) + "': needs the form collection:id");
  }
  PEAT_TRY_VOID(document_key(parts->collection, parts->id));
  return {};
}

// --- opening -----------------------------------------------------------------------------------

Result<OpenDocument> DocumentsImpl::load(const store::DocumentRecord& record) const {
  automerge::LoadOptions options;
  options.verify = automerge::Verify::lazy;
  options.limits = options_.load_limits;
  options.actor = own_actor();
  const std::vector<ByteView> tail(record.tail.begin(), record.tail.end());
  PEAT_TRY(auto document, automerge::Document::from_stored(record.stored, tail, options));
  return OpenDocument{std::move(document), record.tail.size()};
}

Result<std::optional<OpenDocument>> DocumentsImpl::load(std::string_view key) {
  auto record = store_.document(key);
  if (record && !*record) return std::nullopt;
  auto error = record ? Error{} : record.error();
  if (record) {
    auto open = load(**record);
    if (open) return std::move(*open);
    error = std::move(open).error();
    if (error.code == Code::out_of_memory) return std::unexpected(std::move(error));
    error = {Code::store_corrupt,
             "what the store holds of '" + std::string(key) + "' cannot be read: " + error.message};
  }
  if (error.code == Code::store_corrupt) {
    set_aside(key, QuarantineKind::corrupt, error, std::nullopt);
  }
  return std::unexpected(std::move(error));
}

automerge::Document DocumentsImpl::empty_document() const {
  return automerge::Document(own_actor());
}

Result<OpenDocument*> DocumentsImpl::open_cached(std::string_view key) {
  if (auto* open = cache_.find(key)) return open;
  PEAT_TRY(auto open, load(key));
  if (!open) return nullptr;
  return &cache_.insert(key, std::move(*open));
}

Result<automerge::Document*> DocumentsImpl::open_document(std::string_view key) {
  PEAT_TRY(auto* open, open_cached(key));
  if (open == nullptr || open->document.heads().empty()) return nullptr;
  return &open->document;
}

Error DocumentsImpl::quarantine(std::string_view key, const Error& cause) {
  if (cause.code == Code::out_of_memory) return cause;
  set_aside(key, QuarantineKind::unreadable, cause, std::nullopt);
  return {Code::document_invalid, "document '" + std::string(key) +
                                      "' cannot be read: " + cause.message +
                                      "; its changes are kept and relayed, delete it to end this"};
}

// --- reading -----------------------------------------------------------------------------------

Result<std::optional<DocumentView>> DocumentsImpl::get(std::string_view key) {
  PEAT_TRY(auto* document, open_document(key));
  if (document == nullptr) return std::nullopt;
  return view_of(key, *document);
}

Result<DocumentView> DocumentsImpl::view_of(std::string_view key, automerge::Document& document) {
  auto json = document.to_json();
  if (!json) return std::unexpected(quarantine(key, json.error()));
  if (quarantine_.clear(key, QuarantineKind::unreadable)) quarantine_changed();
  cache_.recount(key);
  return DocumentView{std::move(*json), document.heads(), is_softly_deleted(document)};
}

Result<std::optional<ConflictsView>> DocumentsImpl::conflicts(std::string_view key) {
  PEAT_TRY(auto* document, open_document(key));
  if (document == nullptr) return std::nullopt;
  ConflictsView out;
  PEAT_TRY(out.document, view_of(key, *document));
  const auto view = document->read();
  PEAT_TRY(auto found, view.conflicts());
  for (auto& place : found) {
    auto& conflict = out.conflicts.emplace_back();
    conflict.path = automerge::path_text(place.path);
    for (auto& value : place.values) {
      ConflictValue shown{{}, std::move(value.actor), value.change, value.time};
      if (&value == &place.values.back()) {
        conflict.winner = std::move(shown);
      } else {
        PEAT_TRY(shown.json, view.to_json(value.value));
        conflict.others.push_back(std::move(shown));
      }
    }
  }
  return out;
}

Result<std::optional<DocumentView>> DocumentsImpl::glance(std::string_view key) {
  if (cache_.find(key) != nullptr) return get(key);
  PEAT_TRY(const auto record, store_.document(key));
  if (!record) return std::nullopt;
  PEAT_TRY(auto open, load(*record));
  if (open.document.heads().empty()) return std::nullopt;
  return view_of(key, open.document);
}

Result<std::vector<automerge::ChangeInfo>> DocumentsImpl::history(std::string_view key) {
  PEAT_TRY(auto* document, open_document(key));
  if (document == nullptr) {
    return fail(Code::not_found, "document '" + std::string(key) + "': there is none");
  }
  return document->changes();
}

// --- local edits -------------------------------------------------------------------------------

Status DocumentsImpl::check(std::string_view key, const Precondition& precondition) const {
  if (!precondition.if_absent && !precondition.if_heads) return {};
  PEAT_TRY(const auto heads, store_.heads(key));
  if (precondition.if_absent && heads) {
    return fail(Code::precondition_failed,
                "document '" + std::string(key) + "': exists already, If-None-Match was given");
  }
  if (precondition.if_heads && (!heads || *heads != *precondition.if_heads)) {
    return fail(Code::precondition_failed,
                "document '" + std::string(key) + "': " +
                    (heads ? "has changed since the version named by If-Match; read it again"
                           : "does not exist, If-Match was given"));
  }
  return {};
}

// Stamps go on from what they follow: see the guard in documents.hpp.
Result<std::int64_t> DocumentsImpl::commit_time(std::string_view key) const {
  const auto now = executor_.now().wall.seconds();
  PEAT_TRY(const auto buried, store_.tombstone(key));
  if (!buried) return now;
  return std::max(now, static_cast<std::int64_t>(buried->tombstone.deleted_at_ms / 1000) + 1);
}

automerge::ActorId DocumentsImpl::marked(automerge::ActorId actor) const {
  if (options_.device) {
    std::copy_n(options_.device->bytes.begin(), kAuthorBytes, actor.bytes.begin());
  }
  return actor;
}

automerge::ActorId DocumentsImpl::own_actor() const { return marked(store_.incarnation().actor); }

// A re-created document begins a new history. Its actor must not repeat sequence numbers of the
// deleted one, because peers that still hold that would see an actor contradict itself.
Result<automerge::ActorId> DocumentsImpl::actor_for(std::string_view key) const {
  const auto actor = own_actor();
  PEAT_TRY(const auto buried, store_.tombstone(key));
  if (!buried) return actor;
  Bytes numbers;
  Writer writer(numbers);
  writer.u64be(buried->tombstone.lamport);
  writer.u64be(buried->tombstone.deleted_at_ms);
  const auto digest = sha256({actor.bytes, numbers, as_bytes(buried->tombstone.deleted_by)});
  return marked({Bytes(digest.begin(), digest.begin() + 16)});
}

Result<WriteResult> DocumentsImpl::edit(std::string_view key, const Precondition& precondition,
                                        const Edit& change) {
  PEAT_TRY_VOID(require_key(key));
  PEAT_TRY_VOID(check(key, precondition));
  PEAT_TRY(auto* open, open_cached(key));
  if (open == nullptr) open = &cache_.insert(key, {empty_document(), 0});
  auto& document = open->document;
  const auto before = document.heads();
  PEAT_TRY(auto actor, actor_for(key));
  PEAT_TRY_VOID(document.set_actor(std::move(actor)));

  PEAT_TRY(const auto time, commit_time(key));
  const automerge::CommitOptions options{.time = time, .message = {}, .allow_empty = false};
  auto edited = change(document, options);
  if (edited && !*edited && before.empty()) edited = commit_empty(document, options);
  if (!edited) {
    if (before.empty()) cache_.erase(key);
    if (edited.error().code != Code::document_invalid) return std::unexpected(edited.error());
    return std::unexpected(quarantine(key, edited.error()));
  }
  WriteResult result{store_.last_seq(), document.heads(), before.empty(), edited->has_value()};
  if (!result.changed) return result;

  auto anew = begin_anew(key, *open, before, options);
  if (!anew) {
    cache_.erase(key);
    return std::unexpected(anew.error());
  }
  result.heads = open->document.heads();
  auto seq = save(key, *open, before, std::nullopt, *anew ? Save::whole : Save::changes);
  if (!seq) {
    cache_.erase(key);
    return std::unexpected(seq.error());
  }
  result.seq = *seq;
  cache_.recount(key);
  return result;
}

Result<WriteResult> DocumentsImpl::put(std::string_view key, std::string_view json,
                                       const Precondition& precondition) {
  return edit(key, precondition, [&](auto& document, const auto& options) {
    return document.update_from_json(json, options);
  });
}

Result<WriteResult> DocumentsImpl::patch(std::string_view key, std::string_view merge_patch,
                                         const Precondition& precondition) {
  return edit(key, precondition, [&](auto& document, const auto& options) {
    return document.merge_patch(merge_patch, options);
  });
}

Result<WriteResult> DocumentsImpl::settle(std::string_view key, std::string_view settlements,
                                          const Precondition& precondition) {
  PEAT_TRY(const auto heads, store_.heads(key));
  if (!heads) {
    return fail(Code::not_found, "document '" + std::string(key) + "': there is none");
  }
  return edit(key, precondition, [&](auto& document, const auto& options) {
    return document.settle(settlements, options);
  });
}

Result<store::Seq> DocumentsImpl::save(std::string_view key, OpenDocument& open,
                                       const automerge::Heads& before, const store::Origin& origin,
                                       Save how) {
  const auto hashes = open.document.hashes_since(before);
  const auto time = newest_time(open.document);
  store::WriteBatch batch;
  // A document that is new, or has gathered many changes, is written whole. One that cannot be
  // written so (its history contradicts itself) keeps its changes as they came.
  const bool whole =
      how != Save::changes || before.empty() || open.tail + hashes.size() >= options_.compact_after;
  auto stored = whole ? open.document.to_stored() : Result<Bytes>(Bytes{});
  if (whole && stored) {
    auto heads = open.document.heads();
    if (how == Save::repair) {
      batch.repair(std::string(key), std::move(*stored), std::move(heads), origin, time);
    } else {
      batch.replace(std::string(key), std::move(*stored), std::move(heads), origin, time);
    }
    open.tail = 0;
  } else {
    std::vector<Bytes> chunks;
    chunks.reserve(hashes.size());
    for (const auto& hash : hashes) {
      PEAT_TRY(const auto chunk, open.document.change_bytes(hash));
      chunks.emplace_back(chunk.begin(), chunk.end());
    }
    open.tail += chunks.size();
    batch.append(std::string(key), std::move(chunks), open.document.heads(), origin, time);
  }
  return store_.write(std::move(batch));
}

}  // namespace peat::sync
