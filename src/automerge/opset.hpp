// The operations of a document, materialised: objects, keys, elements, values.
//
// A row is one operation that is not a deletion. Rows that set the same map key, or the same
// element of a sequence, share a slot; a slot chains its rows by ascending id and knows its
// winner, so that reading and overwriting cost no walk. Deletions exist as successor ids only.
//
// Memory: 48 bytes a row, 24 a slot, 8 an element, 16 a successor, plus values and keys once.
// Everything lives in a few arrays; indexes, not pointers, so growing moves nothing by hand.
// Failure: a failed apply leaves the set half changed; its owner throws it away.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "automerge/actors.hpp"
#include "automerge/change.hpp"
#include "automerge/graph.hpp"
#include "automerge/sequence.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

// A map from 64-bit keys to indexes; nothing is ever removed.
class IndexMap {
 public:
  std::uint32_t find(std::uint64_t key) const;  // kNone if absent
  void insert(std::uint64_t key, std::uint32_t value);
  std::size_t memory_bytes() const { return cells_.capacity() * sizeof(Cell); }

 private:
  struct Cell {
    std::uint64_t key = 0;
    std::uint32_t value = kNone;
  };
  void place(Cell cell);
  std::vector<Cell> cells_;
  std::size_t used_ = 0;
};

struct OpRow {
  OpId id;
  OpId ref;  // inserts: the element before; none: the head
  std::uint32_t slot = kNone;
  std::uint32_t value = 0;      // offset of the value bytes
  std::uint32_t meta = 0;       // length << 4 | type
  std::uint32_t next = kNone;   // of the slot, by id
  std::uint32_t links = kNone;  // greatest successor
  std::uint32_t extra = kNone;  // makes: the object; others: the mark name's key
  Action action = Action::kSet;
  bool insert = false;
  bool expand = false;
  bool visible = false;
};

struct Slot {
  std::uint32_t object = 0;
  std::uint32_t place = 0;  // maps: key; sequences: block id
  std::uint32_t first = kNone;
  std::uint32_t last = kNone;
  std::uint32_t winner = kNone;
  std::uint32_t visible = 0;  // rows
};

struct Object {
  OpId id;
  ObjectType type = ObjectType::map;
  bool has_marks = false;  // of sequences
  std::uint32_t visible_keys = 0;
  struct Entry {
    std::uint32_t key = 0;
    std::uint32_t slot = 0;
  };
  std::vector<Entry> entries;  // maps, by arrival
  IndexMap index;              // maps beyond a few entries: key to slot
  std::unique_ptr<Sequence> sequence;

  bool is_map() const { return sequence == nullptr; }
};

class OpSet final : private Sequence::BlockIds {
 public:
  explicit OpSet(const ActorTable& actors);

  // --- building ---

  // One operation of another replica, its ids in terms of the actor table.
  Status apply(const OpView& op, OpId id);
  // All operations of a change. `actors` maps the change's numbering to the table.
  Status apply_change(const ChangeView& change, std::span<const std::uint32_t> actors);
  // The rows of a document chunk, in its order, which is checked; at most `limit`.
  Status load(OpReader& reader, std::span<const std::uint32_t> actors, std::uint64_t limit);

  // --- local edits ---

  std::uint32_t map_slot(std::uint32_t object, std::string_view key);  // found or made
  // A new element behind `before` (kNone: at the head), before any other.
  std::uint32_t element_slot(std::uint32_t object, std::uint32_t before);
  std::uint32_t add_row(std::uint32_t slot, const OpView& op, OpId id);
  void add_successor(std::uint32_t row, OpId id, bool increment);

  // --- reading ---

  const OpRow& row(std::uint32_t i) const { return rows_[i]; }
  const Slot& slot(std::uint32_t i) const { return slots_[i]; }
  const Object& object(std::uint32_t i) const { return objects_[i]; }
  std::size_t row_count() const { return rows_.size(); }
  std::size_t slot_count() const { return slots_.size(); }

  std::uint32_t find_object(OpId id) const;                                   // index; kNone
  std::uint32_t find_row(OpId id) const;                                      // index; kNone
  std::uint32_t find_slot(std::uint32_t object, std::string_view key) const;  // kNone
  std::string_view key_text(std::uint32_t key) const;
  OpId element_id(std::uint32_t slot) const { return rows_[slots_[slot].first].id; }
  ByteView value_bytes(const OpRow& row) const;
  Scalar scalar(std::uint32_t row) const;  // counters with their increments
  // The slot's visible rows, ascending.
  std::vector<std::uint32_t> visible_rows(std::uint32_t slot) const;
  // Map entries by key, bytewise.
  std::vector<Object::Entry> sorted_entries(const Object& object) const;
  std::vector<std::uint32_t> sorted_objects() const;  // by id, root first
  // The row's successors, ascending, replacing `out`.
  void successors(const OpRow& row, std::vector<OpId>& out) const;
  // The row as an operation with ids in terms of the actor table; links empty.
  OpView view(const OpRow& row) const;
  // A deletion of whatever is in the slot, likewise.
  OpView view_deletion(std::uint32_t slot) const;
  std::size_t memory_bytes() const;

 private:
  struct Successor {
    OpId id;
    std::uint32_t next = kNone;  // the next smaller
  };
  struct IdRow {
    std::uint32_t counter = 0;
    std::uint32_t row = 0;
  };
  class Loader;

  void set_block(std::uint32_t slot, std::uint32_t block_id) override {
    slots_[slot].place = block_id;
  }
  std::uint32_t new_slot(std::uint32_t object);
  void chain(std::uint32_t slot, std::uint32_t row);
  std::uint32_t add_object(OpId id, Action action);
  std::uint32_t intern(std::string_view key);
  std::uint32_t find_key(std::string_view key) const;
  void index_key(std::uint32_t key);
  std::uint32_t store_value(ByteView bytes);
  std::uint32_t store_row(std::uint32_t slot, const OpView& op, OpId id);
  void store_successor(std::uint32_t row, OpId id);
  bool shows(const OpRow& row) const;
  std::uint32_t width(const Slot& slot) const;
  void refresh(std::uint32_t slot, std::uint32_t old_width);
  Result<std::uint32_t> slot_for(const OpView& op, OpId id, std::uint32_t object);
  Result<std::uint32_t> place_element(const OpView& op, OpId id, std::uint32_t object);
  Status check_mark_end(const OpView& op, OpId id, std::uint32_t slot) const;
  void settle_loaded();
  static bool sort_by_counter(std::vector<IdRow>& ids);

  const ActorTable& actors_;
  std::vector<OpRow> rows_;
  std::vector<Slot> slots_;
  std::vector<Object> objects_;
  IndexMap object_index_;  // by packed id
  std::vector<Successor> successors_;
  std::vector<std::vector<IdRow>> ids_;  // by actor, ascending
  Bytes values_;
  Bytes key_text_;
  std::vector<std::uint32_t> key_end_;
  std::vector<std::uint32_t> key_index_;  // open addressing
  std::vector<OpId> link_scratch_;
  bool loading_ = false;  // ids_ is sorted at the end
};

}  // namespace peat::automerge
