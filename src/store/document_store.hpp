// The document store: every document, tombstone and sync position of one node.
//
// What it keeps, per document key "collection:id":
//   - the document's stored form (automerge::Document::to_stored) plus appended change chunks,
//     its heads, its position in the change feed and where the last change came from;
//   - a tombstone, beside or instead of it;
// and per peer: Automerge sync states and acknowledged feed positions; and named settings of the
// node (`meta`): the Lamport clock, known peers.
//
// The change feed holds one row per document and one per tombstone, ordered by change: a write
// moves the row to the end. A tombstone's row always stands before the row of the document that
// re-creates it. A reader that continues after the last position it saw misses nothing and sees
// each document at most once per change (design rule 3).
//
// Visible is not durable (design rule 4). `write` makes a batch visible to every read at once
// and returns its position; a commit on the pool, shared by all batches that gathered meanwhile,
// makes it durable, and `on_durable` calls back. A crash loses only what was not durable; a batch
// is never torn.
//
// Threading: one thread, the executor's loop; commits run through Executor::offload, one at a
// time. No transaction of the database lives across a return to the loop.
//
// Cost: keyed reads O(log n) in the database, no scan; an append costs the change, not the
// document; key iteration does not read documents.
//
// Limits: keys up to 4,096 bytes (wire limit); keys over 479 bytes are stored under their first
// 479 bytes plus SHA-256, with the full key in the record (LMDB ends at 511). Errors: store_full
// (the disk), store_corrupt, io_error; after a failed commit the store refuses writes until a
// later commit succeeds, and nothing unacknowledged is reported durable.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/executor.hpp"
#include "base/random.hpp"
#include "peat/automerge/types.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "wire/tombstone.hpp"

namespace peat::store {

using Seq = std::uint64_t;  // position in the change feed; 0 is before the first
using StoreId = std::array<std::uint8_t, 16>;

// Who wrote: this node (nullopt) or the peer a change came from.
using Origin = std::optional<EndpointId>;

struct DocumentRecord {
  Bytes stored;               // automerge::Document::to_stored
  std::vector<Bytes> tail;    // change chunks appended since, oldest first
  automerge::Heads heads;
  Seq seq = 0;
  Origin origin;
};

struct TombstoneRecord {
  wire::Tombstone tombstone;
  automerge::Heads deleted_heads;  // heads of the document when it was deleted here; may be empty
  Seq seq = 0;
  Origin origin;
};

enum class FeedKind : std::uint8_t { document, tombstone };

struct FeedRow {
  Seq seq = 0;
  FeedKind kind = FeedKind::document;
  std::string key;
  Origin origin;
};

// One atomic set of writes.
class WriteBatch {
 public:
  // Appends verified change chunks to a document (which may be new).
  void append(std::string key, std::vector<Bytes> chunks, automerge::Heads heads, Origin origin);
  // Replaces a document's whole stored form.
  void replace(std::string key, Bytes stored, automerge::Heads heads, Origin origin);
  // Same content in another form: no feed row moves, no observer is told.
  void compact(std::string key, Bytes stored);
  void erase(std::string key, Origin origin);  // without a tombstone
  // Stores the tombstone and removes the document in the same transaction, unless `keep_document`
  // (the document was re-created after the deletion: its feed row moves behind the tombstone's).
  void bury(std::string key, wire::Tombstone tombstone, automerge::Heads deleted_heads,
            Origin origin, bool keep_document = false);
  void remove_tombstone(std::string key);
  void put_sync_state(const EndpointId& peer, std::string key, Bytes state);
  void erase_sync_state(const EndpointId& peer, std::string key);
  void put_meta(std::string name, Bytes value);
  void erase_meta(std::string name);

  bool empty() const;

  struct Op;  // document_store.cpp

 private:
  friend class DocumentStore;
  std::vector<Op> ops_;
};

// What observers are told, in feed order, as soon as the change is visible.
struct ChangeEvent {
  enum class Action : std::uint8_t { put, erase };
  Seq seq = 0;
  Action action = Action::put;
  std::string key;
  Origin origin;
};

// The life of this store: a new random actor id follows from every unclean stop, restored backup
// and copied directory, so that no actor id is ever continued from a point that may have been
// lost (design rule 4).
struct Incarnation {
  StoreId store_id{};
  std::uint64_t run = 0;     // counts opens
  bool continued = false;    // the last stop was clean and the files are the ones it left
  automerge::ActorId actor;  // to edit with in this run
};

class DocumentStore {
 public:
  // The files are <dir>/peat.mdb and <dir>/peat.lock (created 0600 in a 0700 directory).
  static Result<std::unique_ptr<DocumentStore>> open(const std::filesystem::path& dir,
                                                     Executor& executor, Random& random);
  virtual ~DocumentStore() = default;

  // --- reads: the visible state ---------------------------------------------------------------
  virtual Result<std::optional<DocumentRecord>> document(std::string_view key) const = 0;
  virtual Result<std::optional<automerge::Heads>> heads(std::string_view key) const = 0;
  virtual Result<std::optional<TombstoneRecord>> tombstone(std::string_view key) const = 0;
  // Keys with this prefix, after `after` in bytewise order, at most `limit`.
  virtual Result<std::vector<std::string>> keys(std::string_view prefix, std::string_view after,
                                                std::size_t limit) const = 0;
  virtual std::uint64_t count(std::string_view collection) const = 0;  // O(1)
  virtual std::uint64_t count() const = 0;
  virtual std::vector<std::string> collections() const = 0;
  virtual Result<std::vector<FeedRow>> feed(Seq after, std::size_t limit) const = 0;
  virtual Seq last_seq() const = 0;
  virtual Result<std::optional<Bytes>> sync_state(const EndpointId& peer,
                                                  std::string_view key) const = 0;
  virtual Result<std::optional<Bytes>> meta(std::string_view name) const = 0;

  // --- writes ---------------------------------------------------------------------------------
  virtual Result<Seq> write(WriteBatch batch) = 0;  // visible when it returns
  virtual Seq durable_seq() const = 0;
  // Calls back on the loop when everything written up to now is durable, or with the error of the
  // commit that failed.
  virtual void on_durable(std::function<void(Status)> done) = 0;

  // --- observers ------------------------------------------------------------------------------
  using Observer = std::function<void(const ChangeEvent&)>;
  virtual std::uint64_t subscribe(Observer observer) = 0;
  virtual void unsubscribe(std::uint64_t id) = 0;

  virtual const Incarnation& incarnation() const = 0;
  // Makes everything durable, marks the stop as clean; no calls afterwards.
  virtual void close(std::function<void(Status)> done) = 0;
};

}  // namespace peat::store
