// Documents: what a node does to its documents, local and remote, in one place.
//
// Over the store and the engine: JSON in and out, deletion with tombstones and the Lamport clock,
// applying what peers send, compaction, quarantine. Every receive path goes through one guard, so
// that nothing deleted comes back (fault F2).
//
// The guard. A tombstone's identity is (lamport, deleted_at, deleted_by). A document that exists
// beside a stored tombstone was re-created after it; that tombstone is its *epoch*. What a peer
// sends is judged by the epoch that the peer gives for the key:
//   - not older than our tombstone: applied;
//   - older, and we hold a re-created document: applied as far as every change stands on what is
//     here; a change without dependencies that is new here belongs to the deleted document, and
//     refuses the whole message;
//   - older, and we hold nothing: refused; in an update-wins collection (collections.hpp) applied
//     if the result survives the tombstone;
//   - unknown (`cap/automerge/1` has no epochs), and we hold nothing: applied if every change
//     without dependencies is stamped later than the deletion. This tells a re-created document
//     from the deleted one whatever the clocks say, because a deletion is never stamped earlier
//     than what it deletes, nor a re-creation earlier than the second after the deletion.
// A refused peer has not heard of the deletion: send it our tombstone. A peer that gives a newer
// epoch than ours has: the epoch is the tombstone's identity, and is taken as one.
//
// Expiry. What goes by itself (implicit ttl, softly deleted content whose retention is over)
// leaves an expiry tombstone: nobody deleted it (`deleted_by` is empty), it is stamped with the
// last change that it took, and its Lamport clock is that of the epoch before, so that all nodes
// make the same one without a word. It keeps out what it took, and nothing newer, whatever the
// collection's rule; it travels only to a peer that is refused for it, or before what stands
// behind it.
//
// Collection. When a tombstone is collected (upkeep.hpp) the document could come from a peer that
// holds an older state. The greatest Lamport clock of collected tombstones is the *horizon*; peers
// tell each other theirs. Where a tombstone of that age may have been collected elsewhere, a
// document that was created after it counts as created after it, epoch or not.
//
// Update wins. A document survives a tombstone if it holds a change that the deletion had not
// seen: at the deleter, which has its heads on record, a change that is not among their ancestors;
// elsewhere a change committed in a later second than the deletion. The verdict may
// differ between nodes for a while; one node that keeps the document is enough, because it then
// sends it behind the tombstone's epoch, which every node accepts.
//
// Snapshots. In a latest-only collection each local write makes one change that holds the whole
// document: a fresh actor's first, without dependencies, numbered above every operation seen; in a
// windowed one it does when the oldest change is older than the window. Whoever gets such a change
// drops every change that is numbered below it and does not stand on it, unless the collection
// keeps its full history there; what overlaps with it (written at the same time elsewhere) is
// merged. A state that such a change outdates is not taken: `superseded`. So replicas agree
// whatever the order, memory stays flat (fault F10), and a field that a write leaves out is gone.
//
// Access. What a peer may not write is Code::permission_denied (access.hpp). Where it depends on
// the author, changes that wait for their dependencies are not held: they come again with these.
//
// Quarantine. Changes are stored and relayed unread (design rule 7). A document that cannot be
// materialised gives Code::document_invalid with its reason to every read and local edit; it still
// travels, can be deleted, and is free again when later changes can be read. What a peer sends that
// is no good state of a document (Accounts F4) is refused and listed; so is a record of the store
// that is damaged, which the next whole document from any peer replaces (quarantine.hpp).
//
// Visible when a call returns, durable later (design rule 4): callers that acknowledge wait for
// store().on_durable.
//
// Threading: the loop. Cost: an open document is cached (by bytes, LRU); receiving changes does
// not materialise it. Limits (base/limits.def): wire_key_bytes, sync_lamport, sync_quarantined.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/executor.hpp"
#include "base/limits.hpp"
#include "peat/automerge/document.hpp"
#include "peat/automerge/sync.hpp"
#include "peat/error.hpp"
#include "store/document_store.hpp"
#include "sync/access.hpp"
#include "sync/collections.hpp"
#include "sync/quarantine.hpp"
#include "wire/native.hpp"
#include "wire/tombstone.hpp"

namespace peat::sync {

// Which tombstone a document stands behind.
using Epoch = wire::Epoch;

inline Epoch epoch_of(const wire::Tombstone& tombstone) {
  return {tombstone.lamport, tombstone.deleted_at_ms, tombstone.deleted_by};
}

// Of something that went by itself (documents.hpp, Expiry).
inline bool is_expiry(const wire::Tombstone& tombstone) { return tombstone.deleted_by.empty(); }

struct DocumentView {
  std::string json;  // of the winners, compact
  automerge::Heads heads;
  bool deleted = false;  // root `_deleted` is true (soft deletion)
};

// A value that concurrent edits left at a place.
struct ConflictValue {
  std::string json;  // of one that lost; empty for the winner, which stands in the document
  automerge::ActorId actor;
  automerge::ChangeHash change;
  std::int64_t time = 0;  // seconds since the epoch, by the writer's clock
};
struct DocumentConflict {
  std::string path;  // as JSON: ["items",0,"name"]
  ConflictValue winner;
  std::vector<ConflictValue> others;
};
struct ConflictsView {
  DocumentView document;
  std::vector<DocumentConflict> conflicts;
};

struct WriteResult {
  store::Seq seq = 0;
  automerge::Heads heads;
  bool created = false;
  bool changed = false;  // false: equal content, nothing was written
  bool softly = false;   // erase: marked, not removed
};

// Conditions on the heads before a write; at most one of them.
struct Precondition {
  std::optional<automerge::Heads> if_heads;  // If-Match
  bool if_absent = false;                    // If-None-Match: *
};

// What became of something a peer sent. A document error is an Error instead, and leaves the
// document as it was.
struct RemoteResult {
  bool changed = false;                        // something new is now stored
  bool refused = false;                        // guarded by our tombstone: send it
  bool superseded = false;                     // older than what is here: send that
  automerge::Heads heads;                      // ours, afterwards
  std::vector<automerge::ChangeHash> missing;  // dependencies we lack: ask, naming our heads
};

// Our own trouble (a full disk, memory): the document is as good as it was.
inline bool is_local(const Error& error) {
  const auto retry = info(error.code).retry;
  return retry == RetryClass::later || retry == RetryClass::fatal;
}

// A document as it leaves for a peer.
struct Outgoing {
  Epoch epoch;
  automerge::Heads heads;
  Bytes changes;  // chunks back to back, oldest first; empty if the peer lacks nothing
};

class Documents {
 public:
  struct Options {
    std::string node_id;                 // `deleted_by` of our tombstones
    std::size_t cache_bytes = 4U << 20;  // open documents
    std::uint32_t compact_after = 64;    // appended changes
    automerge::LoadLimits load_limits;
    Limits limits;
    Collections collections;
    // Begins the actor ids of this node's changes, so that others know whose they are.
    std::optional<EndpointId> device;
    // Decides what is taken from peers; nullptr: everything. Outlives this object.
    Access* access = nullptr;
    // Told when a document is put into quarantine, from inside the call that found it out.
    std::function<void(std::string_view key, std::string_view reason)> on_quarantine;
  };
  static Result<std::unique_ptr<Documents>> open(store::DocumentStore& store, Executor& executor,
                                                 Options options);
  virtual ~Documents() = default;

  virtual store::DocumentStore& store() = 0;
  virtual const Collections& collections() const = 0;
  // From now on; what is stored is not touched.
  virtual void set_collections(Collections collections) = 0;

  // --- local -----------------------------------------------------------------------------------
  // nullopt: absent or deleted by a tombstone. Code::document_invalid: quarantined.
  virtual Result<std::optional<DocumentView>> get(std::string_view key) = 0;
  // The same with every place where others lost to what it shows. One walk over the document.
  virtual Result<std::optional<ConflictsView>> conflicts(std::string_view key) = 0;
  // get() for who reads many: what is not open already does not displace what is.
  virtual Result<std::optional<DocumentView>> glance(std::string_view key) = 0;
  // Writes only what differs from the present document, as one change at most.
  virtual Result<WriteResult> put(std::string_view key, std::string_view json,
                                  const Precondition& precondition = {}) = 0;
  // RFC 7386; creates the document if there is none.
  virtual Result<WriteResult> patch(std::string_view key, std::string_view merge_patch,
                                    const Precondition& precondition = {}) = 0;
  // Settles conflicts in one change, all or none: [{"path": […], "value": …}, …] (automerge's
  // Document::settle). Code::precondition_failed where nothing is in conflict, Code::not_found if
  // there is no document.
  virtual Result<WriteResult> settle(std::string_view key, std::string_view settlements,
                                     const Precondition& precondition = {}) = 0;
  // By the collection's policy: a tombstone, or the mark `_deleted` (with `_deleted_at` in ms,
  // `_deleted_by` and, if given, `_deleted_reason`). Code::not_found if there is nothing to delete,
  // Code::permission_denied in an immutable collection. The tombstone, the removal and the Lamport
  // clock are one batch of the store.
  virtual Result<WriteResult> erase(std::string_view key, std::optional<std::string> reason,
                                    const Precondition& precondition = {}) = 0;
  // Oldest first, in the order in which this node got them. Code::not_found.
  virtual Result<std::vector<automerge::ChangeInfo>> history(std::string_view key) = 0;

  // --- upkeep (upkeep.hpp) ----------------------------------------------------------------------
  // Puts an expiry tombstone in the document's place. False: there is none, or, with `if_deleted`,
  // it is not softly deleted.
  virtual Result<bool> expire(std::string_view key, bool if_deleted) = 0;
  // Removes tombstones that nobody needs any more; the horizon moves with them.
  virtual Status collect(const std::vector<store::TombstoneRecord>& tombstones) = 0;
  virtual std::uint64_t horizon() const = 0;
  // The greatest position in the feed of a tombstone that was collected: a reader of the feed that
  // stands before it may not hear of every deletion.
  virtual store::Seq feed_floor() const = 0;
  virtual void note_horizon(std::uint64_t lamport) = 0;  // of a peer

  // --- for sessions: sending ----------------------------------------------------------------
  // The document, opened lazily; nullptr if there is none. Valid until the next call on Documents.
  virtual Result<automerge::Document*> open_document(std::string_view key) = 0;
  // Of our tombstone for the key, whether or not a document stands behind it.
  virtual Result<Epoch> epoch(std::string_view key) = 0;
  // Whether anything of a peer's document of that epoch could be taken (the guard).
  virtual Result<bool> admits(std::string_view key, const Epoch& theirs) const = 0;
  // What a peer with these heads lacks; nullopt if there is no document. `have` may name changes
  // that are unknown here.
  virtual Result<std::optional<Outgoing>> outgoing(std::string_view key,
                                                   const automerge::Heads& have) = 0;
  // Only the changes that are the document's heads: what a peer lacks that had the version before.
  virtual Result<std::optional<Outgoing>> outgoing_newest(std::string_view key) = 0;
  // The whole saved document for a StateSnapshot; nullopt if there is none.
  virtual Result<std::optional<Bytes>> snapshot(std::string_view key) = 0;
  // The next Automerge sync message of a peer's state, also for a document that is not here (an
  // empty one speaks). nullopt: nothing to say.
  virtual Result<std::optional<Bytes>> sync_message(std::string_view key,
                                                    automerge::SyncState& state) = 0;

  // --- for sessions: receiving --------------------------------------------------------------
  // `changes`: chunks back to back. Equal content writes nothing and tells nobody (A10); a result
  // without any change is not stored (D5e).
  virtual Result<RemoteResult> apply_changes(std::string_view key, const Epoch& epoch,
                                             ByteView changes, const EndpointId& from) = 0;
  // A whole saved document (StateSnapshot) of the old dialect.
  virtual Result<RemoteResult> apply_snapshot(std::string_view key, ByteView saved,
                                              const EndpointId& from) = 0;
  // An Automerge sync message of the old dialect; the answer comes from sync_message. After an
  // error and when refused, `state` is as it was.
  virtual Result<RemoteResult> apply_sync_message(std::string_view key, automerge::SyncState& state,
                                                  ByteView message, const EndpointId& from) = 0;
  // True if it was new; the document it deletes is then gone (or has survived).
  // Code::permission_denied: the collection is immutable here, or deletes softly and the document
  // is not marked deleted (no peer removes content that nobody here agreed to lose).
  virtual Result<bool> apply_tombstone(const wire::Tombstone& tombstone,
                                       const EndpointId& from) = 0;

  // --- introspection ------------------------------------------------------------------------
  virtual std::vector<Quarantined> quarantined() const = 0;  // by key
  virtual std::vector<Quarantined> quarantined(std::string_view key) const = 0;
  // Reads what is here again. The value says from where on a peer has to send the document: our
  // heads, or none where our record is damaged. Code::not_found: it is not quarantined.
  virtual Result<automerge::Heads> retry_quarantined(std::string_view key) = 0;
  // Takes it off the list, until it is found again. A damaged record is given up: the document is
  // gone here, without a tombstone, until a peer changes it. Code::not_found.
  virtual Status drop_quarantined(std::string_view key) = 0;
  // Writes the list down now, rather than within a second.
  virtual void keep_quarantine() = 0;
  virtual std::size_t cached_bytes() const = 0;
  virtual std::uint64_t lamport() const = 0;  // the greatest seen
};

// "collection:id". A collection contains neither ':' nor '/' and is not empty; ids are not empty
// and may contain both.
Result<std::string> document_key(std::string_view collection, std::string_view id);
struct KeyParts {
  std::string_view collection;
  std::string_view id;
};
std::optional<KeyParts> split_key(std::string_view key);

}  // namespace peat::sync
