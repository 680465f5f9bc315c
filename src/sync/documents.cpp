// Opening, local edits and deletion. What peers send and get: documents_remote.cpp.
#include "sync/documents.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/encoding.hpp"
#include "base/reader.hpp"
#include "sync/documents_impl.hpp"

namespace peat::sync {
namespace {

constexpr std::string_view kLamportName = "sync.lamport";

Status require_key(std::string_view key) {
  const auto parts = split_key(key);
  if (!parts) {
    return fail(Code::invalid_argument,
                "document key '" + std::string(key) + "': needs the form collection:id");
  }
  PEAT_TRY_VOID(document_key(parts->collection, parts->id));
  return {};
}

bool is_soft_deleted(const automerge::Document& document) {
  const auto value = document.get(automerge::kRoot, "_deleted");
  if (!value || !*value) return false;
  const auto* scalar = std::get_if<automerge::Scalar>(&(*value)->data);
  const auto* flag = scalar == nullptr ? nullptr : std::get_if<bool>(scalar);
  return flag != nullptr && *flag;
}

// A document that JSON leaves without any operation still has to exist.
Result<std::optional<automerge::ChangeHash>> commit_empty(automerge::Document& document,
                                                          const automerge::CommitOptions& options) {
  PEAT_TRY(auto transaction, document.begin());
  auto with_empty = options;
  with_empty.allow_empty = true;
  return transaction.commit(with_empty);
}

Bytes encode_lamport(std::uint64_t lamport) {
  Bytes out;
  Writer(out).u64be(lamport);
  return out;
}

}  // namespace

Result<std::unique_ptr<Documents>> Documents::open(store::DocumentStore& store, Executor& executor,
                                                   Options options) {
  auto documents = std::make_unique<DocumentsImpl>(store, executor, std::move(options));
  PEAT_TRY_VOID(documents->load_lamport());
  return documents;
}

DocumentsImpl::DocumentsImpl(store::DocumentStore& store, Executor& executor, Options options)
    : store_(store),
      executor_(executor),
      options_(std::move(options)),
      cache_(options_.cache_bytes) {}

Status DocumentsImpl::load_lamport() {
  PEAT_TRY(const auto value, store_.meta(kLamportName));
  if (!value) return {};
  PEAT_TRY(lamport_, Reader(*value).u64be("the Lamport clock of the store"));
  return {};
}

void DocumentsImpl::note_lamport(store::WriteBatch& batch, std::uint64_t lamport) {
  if (lamport <= lamport_) return;
  lamport_ = lamport;
  batch.put_meta(std::string(kLamportName), encode_lamport(lamport));
}

// --- opening -----------------------------------------------------------------------------------

Result<OpenDocument> DocumentsImpl::load(const store::DocumentRecord& record) const {
  automerge::LoadOptions options;
  options.verify = automerge::Verify::lazy;
  options.limits = options_.load_limits;
  options.actor = store_.incarnation().actor;
  const std::vector<ByteView> tail(record.tail.begin(), record.tail.end());
  PEAT_TRY(auto document, automerge::Document::from_stored(record.stored, tail, options));
  return OpenDocument{std::move(document), record.tail.size()};
}

automerge::Document DocumentsImpl::empty_document() const {
  return automerge::Document(store_.incarnation().actor);
}

Result<OpenDocument*> DocumentsImpl::open_cached(std::string_view key) {
  if (auto* open = cache_.find(key)) return open;
  PEAT_TRY(const auto record, store_.document(key));
  if (!record) return nullptr;
  PEAT_TRY(auto open, load(*record));
  return &cache_.insert(key, std::move(open));
}

Result<automerge::Document*> DocumentsImpl::open_document(std::string_view key) {
  PEAT_TRY(auto* open, open_cached(key));
  if (open == nullptr || open->document.heads().empty()) return nullptr;
  return &open->document;
}

Error DocumentsImpl::quarantine(std::string_view key, const Error& cause) {
  if (cause.code == Code::out_of_memory) return cause;
  const bool known = quarantine_.contains(key);
  if (quarantine_.size() < options_.limits.sync_quarantined || known) {
    quarantine_.insert_or_assign(std::string(key), cause.message);
  }
  if (!known && options_.on_quarantine) options_.on_quarantine(key, cause.message);
  return {Code::document_invalid, "document '" + std::string(key) +
                                      "' cannot be read: " + cause.message +
                                      "; its changes are kept and relayed, delete it to end this"};
}

std::vector<Documents::Quarantined> DocumentsImpl::quarantined() const {
  std::vector<Quarantined> out;
  for (const auto& [key, reason] : quarantine_) out.push_back({key, reason});
  return out;
}

// --- reading -----------------------------------------------------------------------------------

Result<std::optional<DocumentView>> DocumentsImpl::get(std::string_view key) {
  PEAT_TRY(auto* document, open_document(key));
  if (document == nullptr) return std::nullopt;
  auto json = document->to_json();
  if (!json) return std::unexpected(quarantine(key, json.error()));
  quarantine_.erase(std::string(key));
  DocumentView view{std::move(*json), document->heads(), is_soft_deleted(*document)};
  cache_.recount(key);
  return view;
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

std::uint64_t DocumentsImpl::deletion_time(std::string_view key) {
  constexpr auto kLast = std::numeric_limits<std::int64_t>::max() / 1000;  // peers stamp anything
  auto time = executor_.now().wall.ms;
  if (const auto document = open_document(key); document && *document != nullptr) {
    for (const auto& change : (*document)->changes()) {
      time = std::max(time, std::min(change.time, kLast) * 1000);
    }
  }
  return static_cast<std::uint64_t>(time);
}

// A re-created document begins a new history. Its actor must not repeat sequence numbers of the
// deleted one, because peers that still hold that would see an actor contradict itself.
Result<automerge::ActorId> DocumentsImpl::actor_for(std::string_view key) const {
  const auto& actor = store_.incarnation().actor;
  PEAT_TRY(const auto buried, store_.tombstone(key));
  if (!buried) return actor;
  Bytes numbers;
  Writer writer(numbers);
  writer.u64be(buried->tombstone.lamport);
  writer.u64be(buried->tombstone.deleted_at_ms);
  const auto digest = sha256({actor.bytes, numbers, as_bytes(buried->tombstone.deleted_by)});
  return automerge::ActorId{Bytes(digest.begin(), digest.begin() + 16)};
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

  auto seq = save(key, *open, before, std::nullopt);
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

Result<WriteResult> DocumentsImpl::erase(std::string_view key, std::optional<std::string> reason,
                                         const Precondition& precondition) {
  PEAT_TRY_VOID(require_key(key));
  PEAT_TRY_VOID(check(key, precondition));
  PEAT_TRY(auto heads, store_.heads(key));
  if (!heads) return fail(Code::not_found, "document '" + std::string(key) + "': there is none");

  const auto parts = *split_key(key);
  wire::Tombstone tombstone{.collection = std::string(parts.collection),
                            .id = std::string(parts.id),
                            .deleted_at_ms = deletion_time(key),
                            .lamport = lamport_ + 1,
                            .deleted_by = options_.node_id,
                            .reason = std::move(reason).value_or(""),
                            .direction = wire::default_direction(parts.collection)};
  PEAT_TRY_VOID(
      bury(std::string(key), std::move(tombstone), std::move(*heads), std::nullopt, false));
  return WriteResult{store_.last_seq(), {}, false, true};
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
    quarantine_.erase(key);
  }
  return {};
}

Result<store::Seq> DocumentsImpl::save(std::string_view key, OpenDocument& open,
                                       const automerge::Heads& before,
                                       const store::Origin& origin) {
  const auto hashes = open.document.hashes_since(before);
  store::WriteBatch batch;
  // A document that is new, or has gathered many changes, is written whole. One that cannot be
  // written so (its history contradicts itself) keeps its changes as they came.
  const bool whole = before.empty() || open.tail + hashes.size() >= options_.compact_after;
  auto stored = whole ? open.document.to_stored() : Result<Bytes>(Bytes{});
  if (whole && stored) {
    batch.replace(std::string(key), std::move(*stored), open.document.heads(), origin);
    open.tail = 0;
  } else {
    std::vector<Bytes> chunks;
    chunks.reserve(hashes.size());
    for (const auto& hash : hashes) {
      PEAT_TRY(const auto chunk, open.document.change_bytes(hash));
      chunks.emplace_back(chunk.begin(), chunk.end());
    }
    open.tail += chunks.size();
    batch.append(std::string(key), std::move(chunks), open.document.heads(), origin);
  }
  return store_.write(std::move(batch));
}

}  // namespace peat::sync
