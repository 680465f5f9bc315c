// Documents: what a node does to its documents, local and remote, in one place.
//
// Over the store and the engine: JSON in and out, deletion with tombstones and the Lamport clock,
// applying what peers send, compaction, quarantine. Every receive path and every send path asks
// the same guard (may_send, and the guard inside each apply_*), so that nothing deleted comes back
// (fault F2).
//
// The guard. A tombstone's identity is (lamport, deleted_at, deleted_by). A document that exists
// beside a stored tombstone was re-created after it; that tombstone is its *epoch*. A peer's
// changes are accepted if the peer's epoch for that key is not older than our tombstone; else the
// peer has not heard of the deletion: its changes are refused and it is sent our tombstone. Old
// peers know no epoch: theirs is none.
//
// Visible when a call returns, durable later (design rule 4): callers that acknowledge wait for
// store().on_durable.
//
// Threading: the loop. Cost: an open document is cached (by bytes, LRU); receiving changes does
// not materialise it (design rule 7).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/executor.hpp"
#include "peat/automerge/document.hpp"
#include "peat/automerge/sync.hpp"
#include "peat/error.hpp"
#include "store/document_store.hpp"
#include "wire/tombstone.hpp"

namespace peat::sync {

// Which tombstone a document stands behind; all zero: none. Orders by age.
struct Epoch {
  std::uint64_t lamport = 0;
  std::uint64_t deleted_at_ms = 0;
  std::string deleted_by;
  friend auto operator<=>(const Epoch&, const Epoch&) = default;
};

struct DocumentView {
  std::string json;  // of the winners, compact
  automerge::Heads heads;
  bool deleted = false;  // root `_deleted` is true (soft deletion)
};

struct WriteResult {
  store::Seq seq = 0;
  automerge::Heads heads;
  bool created = false;
  bool changed = false;  // false: equal content, nothing was written
};

// Conditions on the heads before a write; at most one of them.
struct Precondition {
  std::optional<automerge::Heads> if_heads;  // If-Match
  bool if_absent = false;                    // If-None-Match: *
};

struct RemoteResult {
  bool changed = false;       // something new is now stored
  bool refused = false;       // guarded by our tombstone: send it
  std::vector<automerge::ChangeHash> missing;  // dependencies we lack
};


class Documents {
 public:
  struct Options {
    std::string node_id;                   // `deleted_by` of our tombstones
    std::size_t cache_bytes = 4U << 20;    // open documents
    std::uint32_t compact_after = 64;      // appended changes
    automerge::LoadLimits load_limits;
  };
  static Result<std::unique_ptr<Documents>> open(store::DocumentStore& store, Executor& executor,
                                                 Options options);
  virtual ~Documents() = default;

  virtual store::DocumentStore& store() = 0;

  // --- local -----------------------------------------------------------------------------------
  // nullopt: absent or deleted by a tombstone. Code::document_invalid: quarantined.
  virtual Result<std::optional<DocumentView>> get(std::string_view key) = 0;
  virtual Result<WriteResult> put(std::string_view key, std::string_view json,
                                  const Precondition& precondition = {}) = 0;
  virtual Result<WriteResult> patch(std::string_view key, std::string_view merge_patch,
                                    const Precondition& precondition = {}) = 0;
  // Code::not_found if there is nothing to delete.
  virtual Result<WriteResult> erase(std::string_view key, std::optional<std::string> reason,
                                    const Precondition& precondition = {}) = 0;
  virtual Result<std::vector<automerge::ChangeInfo>> history(std::string_view key) = 0;

  // --- for sessions ------------------------------------------------------------------------------
  // The document, opened lazily; nullptr if there is none. Valid until the next call on Documents.
  virtual Result<automerge::Document*> open_document(std::string_view key) = 0;
  virtual Result<Epoch> epoch(std::string_view key) = 0;
  virtual Result<RemoteResult> apply_changes(std::string_view key, const Epoch& epoch,
                                             std::span<const ByteView> chunks,
                                             const EndpointId& from) = 0;
  // A whole saved document (StateSnapshot) of the old dialect.
  virtual Result<RemoteResult> apply_snapshot(std::string_view key, ByteView saved,
                                              const EndpointId& from) = 0;
  // An Automerge sync message of the old dialect; `reply` is the answer, if there is one.
  virtual Result<RemoteResult> apply_sync_message(std::string_view key,
                                                  automerge::SyncState& state, ByteView message,
                                                  const EndpointId& from) = 0;
  // True if it was new (and then the document it deletes is gone).
  virtual Result<bool> apply_tombstone(const wire::Tombstone& tombstone,
                                       const EndpointId& from) = 0;

  struct Quarantined {
    std::string key;
    std::string reason;
  };
  virtual std::vector<Quarantined> quarantined() const = 0;
};

// "collection:id". A collection contains neither ':' nor '/' and is not empty; ids may.
Result<std::string> document_key(std::string_view collection, std::string_view id);
struct KeyParts {
  std::string_view collection;
  std::string_view id;
};
std::optional<KeyParts> split_key(std::string_view key);

}  // namespace peat::sync
