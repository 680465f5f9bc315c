// What a Document holds.
//
// Rows [0, base_count) of the graph are in `base`, a document chunk as it was loaded or stored;
// the others are in `tail`, one uncompressed change chunk each. Together they are the document;
// op set and rebuilt chunks are derived and may be thrown away at any time.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "automerge/change.hpp"
#include "automerge/graph.hpp"
#include "automerge/guarded.hpp"
#include "automerge/opset.hpp"
#include "automerge/rebuild.hpp"
#include "peat/automerge/document.hpp"

namespace peat::automerge {

// A document stays as change chunks up to this size; beyond, as a document chunk.
inline constexpr std::size_t kChunkFormChanges = 64;
inline constexpr std::size_t kChunkFormBytes = std::size_t{64} << 10;

class Clock;

struct QueuedChange {
  ChangeHash hash;
  std::vector<ChangeHash> deps;
  Bytes chunk;
};

// The edits of an open transaction, as runs where they are such (operations.hpp); new rows that
// replace equally many operations each are also one.
struct PendingOp {
  enum class Kind : std::uint8_t { row, deletion, typing, deleting };
  Kind kind = Kind::row;
  std::uint8_t width = 0;    // typing: bytes of a code point
  std::int8_t step = 0;      // deleting
  std::uint32_t source = 0;  // the first row; deletion: slot; typing, deleting: object
  OpId id;                   // of the first
  OpId elem;                 // typing: the element before; deleting: the first one deleted
  std::uint32_t count = 1;
  std::uint32_t value = 0;  // typing: offset of the text
  std::uint32_t preds_begin = 0;
  std::uint32_t preds_count = 0;  // of each

  OpId last_id() const { return advance(id, std::int64_t{count} - 1); }
};
struct Pending {
  std::uint32_t actor = kNone;  // known from the first edit on
  std::uint32_t start_op = 0;
  std::uint32_t count = 0;  // operations
  bool broken = false;      // an edit ran out of memory half-way: only a rollback helps
  bool at_heads = false;    // depends on the given heads alone
  std::vector<PendingOp> ops;
  std::vector<OpId> preds;
  // The gap behind the last edit if that was typing: the next usually goes on there.
  struct Typed {
    std::uint32_t object = kNone;  // kNone: it was not
    Sequence::Place gap;
    OpId ref;
    std::uint64_t index = 0;
  };
  Typed typed;
};

// Changes on their way into a document: views, and the bytes of those that had to be inflated or
// rebuilt.
struct Incoming {
  std::vector<ChangeView> changes;
  std::uint64_t ops = 0;
  std::uint64_t inflated = 0;  // bytes that were inflated or unbundled
  std::size_t known = 0;       // that were not even taken up
  std::deque<Bytes> owned;
  std::deque<std::shared_ptr<const ChangeLog>> rebuilt;
};

struct Document::Impl {
  explicit Impl(ActorId id) : actor(std::move(id)) {}

  ActorId actor;
  std::optional<Bytes> author;      // of the actor's first change
  std::optional<Error> load_fault;  // what cut a load short
  ActorTable actors;
  ChangeGraph graph;
  std::shared_ptr<const Bytes> base;  // null: none
  std::uint32_t base_count = 0;
  ChangeLog tail;
  bool hashes_known = true;
  std::size_t saved = 0;                     // rows that a save has covered
  std::shared_ptr<const ChangeLog> rebuilt;  // of the base
  std::unique_ptr<OpSet> ops;                // new_ops, settled, drop_ops
  std::optional<Error> invalid;              // what materialising found, at these heads
  std::vector<QueuedChange> queue;
  std::unique_ptr<Pending> pending;
  Unit text_unit = &Units::points;
  struct Observed;  // diff.cpp
  std::shared_ptr<Observed> observed;

  // What indexes into an object count.
  Unit unit_of(const Object& object) const {
    return object.type == ObjectType::text ? text_unit : &Units::points;
  }

  // document.cpp
  ByteView tail_chunk(std::size_t row) const { return tail.chunk(row - base_count); }
  ByteView base_bytes() const { return base ? ByteView(*base) : ByteView(); }
  Result<ByteView> chunk_of(std::size_t row);
  Status materialise();
  Status materialise_tail(bool by_id);
  std::unique_ptr<OpSet> new_ops() const;
  std::unique_ptr<OpSet> settled(std::unique_ptr<OpSet> set) const noexcept;
  void drop_ops() noexcept;
  Status ensure_hashes();
  Status rebuild_base();
  Status check_heads() const;
  void take_rebuilt_heads();
  std::vector<bool> ancestors(std::span<const ChangeHash> have) const;
  std::vector<ChangeHash> dep_hashes(std::size_t row) const;
  ChangeInfo info(std::size_t row) const;
  std::optional<ByteView> author_of(std::uint32_t actor_index) const;  // author.cpp
  Bytes write(bool deflate);
  std::unique_ptr<Impl> copy() const;
  std::size_t memory_bytes() const;

  // document_apply.cpp
  Status load_document(const Chunk& chunk, const LoadOptions& options);
  Status collect(ByteView input, std::size_t offset, std::size_t index, const LoadLimits& limits,
                 Incoming& incoming);
  Status collect_document(const Chunk& chunk, const LoadLimits& limits, Incoming& incoming);
  Status collect_change(Chunk chunk, const LoadLimits& limits, Incoming& incoming);
  Status collect_bundle(const Chunk& chunk, const LoadLimits& limits, Incoming& incoming);
  Result<std::vector<ChangeView>> queued_views() const;
  void apply_operations(const ChangeView& change, std::span<const std::uint32_t> local) noexcept;
  Result<ApplyReport> apply(Incoming& incoming);

  std::vector<std::uint32_t> local_actors(const ChangeView& change);

  // history.cpp
  Result<std::vector<std::uint32_t>> rows_of(std::span<const ChangeHash> heads);
  Result<Clock> clock_at(std::span<const ChangeHash> heads);
  Result<ApplyReport> take(Impl& other, std::span<const std::uint32_t> rows);
  ActorId actor_at(const std::vector<bool>& history) const;  // isolate.cpp

  // diff.cpp
  Status tell_observer();
  // What was changed stays changed even if nobody can be told.
  void notify() {
    if (observed) static_cast<void>(guarded([this] { return tell_observer(); }));
  }

  // transaction.cpp
  class PendingOps;
  ChangeHash commit(const CommitOptions& options);

  // document_stored.cpp
  Result<Bytes> store();
  Status restore(ByteView stored);
};

// For bytes that have been accepted before.
LoadLimits no_limits();
Unit unit_of(TextUnit unit);

}  // namespace peat::automerge
