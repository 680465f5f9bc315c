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
// time. No transaction of the database lives across a return to the loop. `open` alone does its
// disk work on the calling thread.
//
// Cost: keyed reads O(log n) in the database, no scan; an append costs the change, not the
// document; key iteration does not read documents. Memory: what is not committed yet, plus a few
// pages of the database; clean pages of its map are given back after large commits.
//
// Encryption at rest (sealed_backend.hpp): with `keys` rows are sealed; a store that was plain is
// sealed while it runs. Opening an encrypted store without its key is missing_setting, with another
// one decryption_failed; both leave the files as they are.
//
// Limits (base/limits.def): keys up to wire_key_bytes; keys over 479 bytes are stored under their
// first 479 bytes plus SHA-256, with the full key in the record (LMDB ends at 511). A write while
// store_pending_bytes await their commit is refused with Code::unavailable: wait for on_durable.
//
// Errors: store_full (the disk), store_corrupt, io_error. After a failed commit the store goes on
// serving reads, refuses writes with that commit's error, tries the commit again every second,
// and takes writes again once it succeeds; nothing is reported durable that is not.
// Opening: store_in_use names the process that holds the store; store_too_new names the format
// or feature bit that this version lacks, and leaves the files as they are.
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
#include "base/limits.hpp"
#include "base/random.hpp"
#include "peat/automerge/types.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "store/sealing.hpp"
#include "wire/tombstone.hpp"

namespace peat::store {

using Seq = std::uint64_t;  // position in the change feed; 0 is before the first
using StoreId = std::array<std::uint8_t, 16>;

// Who wrote: this node (nullopt) or the peer a change came from.
using Origin = std::optional<EndpointId>;

struct DocumentRecord {
  Bytes stored;             // automerge::Document::to_stored
  std::vector<Bytes> tail;  // change chunks appended since, oldest first
  automerge::Heads heads;
  Seq seq = 0;
  Origin origin;
};

// Which state of a document is stored, without its content.
struct Version {
  automerge::Heads heads;
  std::optional<std::int64_t> time;  // as the last write gave it
  Seq seq = 0;
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

class MemoryDisk;

// One atomic set of writes, applied in the order of the calls.
class WriteBatch {
 public:
  struct Op;  // write_op.hpp

  WriteBatch();
  WriteBatch(WriteBatch&&) noexcept;
  WriteBatch& operator=(WriteBatch&&) noexcept;
  ~WriteBatch();

  // Appends verified change chunks to a document (which may be new). `time`: the greatest commit
  // time among the heads, kept beside them.
  void append(std::string key, std::vector<Bytes> chunks, automerge::Heads heads, Origin origin,
              std::optional<std::int64_t> time = std::nullopt);
  // Replaces a document's whole stored form.
  void replace(std::string key, Bytes stored, automerge::Heads heads, Origin origin,
               std::optional<std::int64_t> time = std::nullopt);
  // The same in place of a record that cannot be read; a place in the feed that it had stays, and
  // names the document twice.
  void repair(std::string key, Bytes stored, automerge::Heads heads, Origin origin,
              std::optional<std::int64_t> time = std::nullopt);
  // Same content in another form: no feed row moves, no observer is told. `heads` says what
  // `stored` holds: if the document has moved on meanwhile, or is gone, nothing happens.
  void compact(std::string key, Bytes stored, automerge::Heads heads);
  void erase(std::string key, Origin origin);  // without a tombstone, readable or not
  // Stores the tombstone and removes the document in the same transaction, unless `keep_document`
  // (the document was re-created after the deletion: its feed row moves behind the tombstone's).
  void bury(std::string key, wire::Tombstone tombstone, automerge::Heads deleted_heads,
            Origin origin, bool keep_document = false);
  void remove_tombstone(std::string key);
  void put_sync_state(const EndpointId& peer, std::string key, Bytes state);
  void erase_sync_state(const EndpointId& peer, std::string key);
  void erase_sync_states(const EndpointId& peer);  // all of the peer's; O(their number)
  void put_meta(std::string name, Bytes value);    // names of 1 to 479 bytes
  void erase_meta(std::string name);
  // Rows of an index: named bytes that the store keeps in order and gives no meaning. Names of 1 to
  // 479 bytes.
  void put_index(std::string name, Bytes value);
  void erase_index(std::string name);

  bool empty() const;
  std::vector<Op> take_ops();  // leaves it empty

 private:
  std::vector<Op> ops_;
};

// What observers are told, in feed order, as soon as the change is visible. A tombstone is an
// erase, even where there was no document; a document kept beside a new tombstone is a put.
struct ChangeEvent {
  enum class Action : std::uint8_t { put, erase };
  Seq seq = 0;
  Action action = Action::put;
  std::string key;
  Origin origin;
};

// The life of this store. A clean stop leaves a mark (peat.stop) that names the data file's inode,
// size and time of change and the machine's boot. Only an open that finds all of it unchanged
// continues the incarnation. After an unclean stop, a restored backup, a copied directory or a
// reboot of the machine, store id and actor are new and random and the feed's positions go on
// 2^20 higher: changes that were seen by others and then lost here leave no name to use twice
// (design rule 4). What no file can tell, a rollback of the whole file system under a running
// machine, is not detected.
struct Incarnation {
  StoreId store_id{};        // of the feed: positions in it are valid for this id only
  std::uint64_t run = 0;     // counts opens, from 1
  bool continued = false;    // the last stop was clean and the files are the ones it left
  automerge::ActorId actor;  // to edit with in this run; 16 bytes
};

// Counters since open, for metrics.
struct StoreStats {
  std::uint64_t commits = 0;  // that succeeded
  std::uint64_t failed_commits = 0;
  std::uint64_t batches = 0;        // writes accepted
  std::uint64_t rows = 0;           // database rows put or erased by commits
  std::uint64_t bytes = 0;          // of those rows
  std::uint64_t pending_bytes = 0;  // visible, not durable
  std::uint64_t map_bytes = 0;      // address space of the database; 0 in memory
  std::uint64_t file_bytes = 0;     // used by the database; 0 in memory
  Duration last_commit{};           // from handing over to the loop hearing of it
  std::uint32_t data_key = 0;       // rows are sealed with now; 0: the store is not encrypted
  bool resealing = false;           // rows are sealed anew
  std::uint64_t resealed_rows = 0;
  std::uint64_t reseal_failures = 0;  // damaged rows that were passed over
};

class DocumentStore {
 public:
  // The files are peat.mdb, peat.mdb-lock, peat.lock and, while closed cleanly, peat.stop in
  // `dir` (created 0600 in a 0700 directory). The in-memory twin: memory_disk.hpp.
  static Result<std::unique_ptr<DocumentStore>> open(const std::filesystem::path& dir,
                                                     Executor& executor, Random& random,
                                                     const Limits& limits = {},
                                                     const StoreKeys& keys = {});
  static Result<std::unique_ptr<DocumentStore>> open(std::shared_ptr<MemoryDisk> disk,
                                                     Executor& executor, Random& random,
                                                     const Limits& limits = {},
                                                     const StoreKeys& keys = {});
  virtual ~DocumentStore() = default;

  // Seals every row anew with a key of the store's own that nobody has seen, in slices while the
  // store is in use; after a crash it goes on where it was. The old key is erased in the end.
  // Code::unsupported: not encrypted; Code::unavailable: under way already.
  virtual Status reseal(Random& random) = 0;

  // --- reads: the visible state ---------------------------------------------------------------
  virtual Result<std::optional<DocumentRecord>> document(std::string_view key) const = 0;
  virtual Result<std::optional<automerge::Heads>> heads(std::string_view key) const = 0;
  virtual Result<std::optional<Version>> version(std::string_view key) const = 0;
  // How large the document is as stored, which is not read for it.
  virtual Result<std::optional<std::uint64_t>> stored_bytes(std::string_view key) const = 0;
  virtual Result<std::optional<TombstoneRecord>> tombstone(std::string_view key) const = 0;
  // Tombstones in the order of their rows, from the beginning or on from a `next` of before; `next`
  // is empty at the end. At most `limit`.
  struct TombstonePage {
    std::vector<TombstoneRecord> tombstones;
    std::string next;
  };
  virtual Result<TombstonePage> tombstones(std::string_view from, std::size_t limit) const = 0;
  // Keys with this prefix, after `after` in bytewise order, at most `limit`.
  virtual Result<std::vector<std::string>> keys(std::string_view prefix, std::string_view after,
                                                std::size_t limit) const = 0;
  virtual std::uint64_t count(std::string_view collection) const = 0;  // O(1)
  virtual std::uint64_t count() const = 0;
  virtual std::vector<std::string> collections() const = 0;
  // Rows with a greater position, oldest first.
  virtual Result<std::vector<FeedRow>> feed(Seq after, std::size_t limit) const = 0;
  virtual Seq last_seq() const = 0;
  virtual Result<std::optional<Bytes>> sync_state(const EndpointId& peer,
                                                  std::string_view key) const = 0;
  virtual Result<std::optional<Bytes>> meta(std::string_view name) const = 0;
  virtual Result<std::optional<Bytes>> index_row(std::string_view name) const = 0;
  // Rows with this prefix: after `from`, in bytewise order; or before it, in the opposite one
  // (where
  // "" is behind the last). At most `limit`.
  struct IndexRow {
    std::string name;
    Bytes value;
  };
  enum class Direction : std::uint8_t { up, down };
  virtual Result<std::vector<IndexRow>> index_rows(std::string_view prefix, std::string_view from,
                                                   Direction direction,
                                                   std::size_t limit) const = 0;

  // --- writes ---------------------------------------------------------------------------------
  // Visible when it returns; the value is last_seq(). An error leaves everything as it was.
  virtual Result<Seq> write(WriteBatch batch) = 0;
  virtual Seq durable_seq() const = 0;
  // Calls back on the loop when everything written up to now is durable, or with the error of the
  // commit that failed.
  virtual void on_durable(std::function<void(Status)> done) = 0;

  // --- observers ------------------------------------------------------------------------------
  // Called on the loop from within `write`; one that writes itself is told of it afterwards.
  using Observer = std::function<void(const ChangeEvent&)>;
  virtual std::uint64_t subscribe(Observer observer) = 0;
  virtual void unsubscribe(std::uint64_t id) = 0;

  // --- the file -------------------------------------------------------------------------------
  // Copies everything written by now into a new file (0600), one state, without free pages; opened
  // as peat.mdb of another directory it goes on as a new incarnation. Commits wait meanwhile, reads
  // and writes go on. Code::unsupported of a store in memory.
  virtual void copy_to(const std::filesystem::path& file, std::function<void(Status)> done) = 0;
  // Makes the data file as small as its content, by a copy that takes its place; the disk needs
  // room for both. Commits wait meanwhile.
  struct Compaction {
    std::uint64_t bytes_before = 0;
    std::uint64_t bytes_after = 0;
  };
  virtual void compact_file(std::function<void(Result<Compaction>)> done) = 0;

  virtual const Incarnation& incarnation() const = 0;
  virtual StoreStats stats() const = 0;
  // Makes everything durable, marks the stop as clean; afterwards no calls but the destructor.
  // A store destroyed without it is one that crashed: what was not durable is lost.
  virtual void close(std::function<void(Status)> done) = 0;
};

}  // namespace peat::store
