// The operations of a document, materialised: objects, keys, elements, values.
//
// A row is one operation that is not a deletion. Rows that set the same map key, or the same
// element of a sequence, share a slot; a slot chains its rows by ascending id and knows its
// winner, so that reading and overwriting cost no walk. Deletions exist as successor ids only.
// Typed text has neither rows nor slots: its runs (sequence.hpp) say everything. An element that
// becomes more than typed text gets its slot then.
//
// Memory: 48 bytes a row, 32 a slot, 40 a run, 16 a successor, plus values and keys once; where
// operations are (id_index.hpp) is noted from the first question on: local edits ask none.
// Everything lives in a few arrays; indexes, not pointers, so growing moves nothing by hand and a
// copy is a copy of those arrays.
// Failure: a failed apply leaves the set half changed; its owner throws it away.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "automerge/actors.hpp"
#include "automerge/change.hpp"
#include "automerge/graph.hpp"
#include "automerge/id_index.hpp"
#include "automerge/sequence.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

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
  std::uint32_t place = 0;  // maps: key; sequences: id of the leaf
  std::uint32_t first = kNone;
  std::uint32_t last = kNone;
  std::uint32_t winner = kNone;
  std::uint32_t visible = 0;       // rows
  std::uint32_t sibling = kNone;   // maps: the object's next slot
  std::uint32_t same_key = kNone;  // maps: the next of the few slots that the key's chain holds
};

struct ObjectFacts {
  OpId id;
  ObjectType type = ObjectType::map;
  bool has_marks = false;      // of sequences
  std::uint32_t slot = kNone;  // that the object was put into; kNone: the root
  std::uint32_t visible_keys = 0;
  std::uint32_t first_slot = kNone;  // maps: the slots by arrival, chained by sibling
  std::uint32_t last_slot = kNone;
  std::uint32_t slots = 0;
};
struct Object : ObjectFacts {
  std::unique_ptr<Sequence> sequence;  // of lists and texts

  bool is_map() const { return sequence == nullptr; }
};

class OpSet final : private Sequence::Owner {
 public:
  using Place = Sequence::Place;

  explicit OpSet(const ActorTable& actors);
  // The same operations in memory of their size; `actors` has all that the other's has.
  OpSet(const OpSet& other, const ActorTable& actors);
  OpSet(const OpSet&) = delete;
  OpSet& operator=(const OpSet&) = delete;
  // Empty again, the memory kept.
  void clear(const ActorTable& actors);

  // --- building ---

  // One operation or run of another replica, its ids in terms of the actor table.
  Status apply(const OpView& op, OpId id);
  // All operations of a change. `actors` maps the change's numbering to the table.
  Status apply_change(const ChangeView& change, std::span<const std::uint32_t> actors);
  // The rows of a document chunk, in its order, which is checked; at most `limit`.
  Status load(OpReader& reader, std::span<const std::uint32_t> actors, std::uint64_t limit);

  // --- local edits; places do not survive them ---

  std::uint32_t map_slot(std::uint32_t object, std::string_view key);  // found or made
  // The slot of an element, which typed text gets now.
  std::uint32_t element_slot(std::uint32_t object, Place p);
  // A new element at a gap, which moves behind it: any row, or typed code points of equal width.
  std::uint32_t insert_row(std::uint32_t object, Place& gap, const OpView& op, OpId id);
  void insert_text(std::uint32_t object, Place& gap, OpId ref, OpId first, ByteView text,
                   std::uint8_t width);
  // Deletes `n` visible elements of one text run; successors go on by `step`.
  void erase_text(std::uint32_t object, Place p, std::uint32_t n, OpId successor, std::int8_t step);
  std::uint32_t add_row(std::uint32_t slot, const OpView& op, OpId id);
  void add_successor(std::uint32_t row, OpId id, bool increment);

  // --- reading ---

  const OpRow& row(std::uint32_t i) const { return rows_[i]; }
  const Slot& slot(std::uint32_t i) const { return slots_[i]; }
  const Object& object(std::uint32_t i) const { return objects_[i]; }
  std::size_t row_count() const { return rows_.size(); }
  std::size_t slot_count() const { return slots_.size(); }
  std::size_t object_count() const { return objects_.size(); }

  std::uint32_t find_object(OpId id) const;                                   // index; kNone
  std::uint32_t find_row(OpId id) const;                                      // index; kNone
  std::uint32_t find_slot(std::uint32_t object, std::string_view key) const;  // kNone
  // The element that `id` inserted; at_end if that is none of the object's.
  Place find_element(std::uint32_t object, OpId id) const;
  Place place_of(std::uint32_t slot) const;
  std::string_view key_text(std::uint32_t key) const;
  OpId element_id(std::uint32_t slot) const { return rows_[slots_[slot].first].id; }
  ByteView value_bytes(const OpRow& row) const;
  // Of elements [begin, begin + count) of a text run.
  ByteView text_bytes(const Run& run, std::uint32_t begin, std::uint32_t count) const;
  Scalar scalar(std::uint32_t row) const;  // counters with their increments
  Units units_of_slot(std::uint32_t slot) const override;
  Units units_of_row(std::uint32_t row) const;  // as the winner of its slot
  // The slot's visible rows, ascending.
  std::vector<std::uint32_t> visible_rows(std::uint32_t slot) const;
  std::string_view key_of(std::uint32_t slot) const { return key_text(slots_[slot].place); }
  // The slots of a map by key, bytewise.
  std::vector<std::uint32_t> sorted_slots(const Object& map) const;
  std::vector<std::uint32_t> sorted_objects() const;  // by id, root first
  // The row's successors, ascending, replacing `out`.
  void successors(const OpRow& row, std::vector<OpId>& out) const;
  // The row as an operation with ids in terms of the actor table; links empty.
  OpView view(const OpRow& row) const;
  // Elements of a text run as a run of operations, likewise.
  OpView view_typing(std::uint32_t object, OpId ref, std::uint32_t value, std::uint8_t width,
                     std::uint32_t count) const;
  OpView view_typing(std::uint32_t object, const Run& run, std::uint32_t begin,
                     std::uint32_t count) const {
    return view_typing(object, run.ref_of(begin), run.value + begin * run.width, run.width, count);
  }
  // A deletion of whatever is in the slot, or of typed elements; likewise.
  OpView view_deletion(std::uint32_t slot) const;
  OpView view_deleting(std::uint32_t object, OpId elem, std::int8_t step,
                       std::uint32_t count) const;
  // Whether the bytes are part of what grows when operations are added.
  bool holds(ByteView bytes) const;
  std::uint32_t value_end() const { return static_cast<std::uint32_t>(values_.size()); }
  std::size_t memory_bytes() const;

 private:
  struct Successor {
    OpId id;
    std::uint32_t next = kNone;  // the next smaller
  };
  class Loader;

  void placed(const Run& run, std::uint32_t leaf) override;
  std::uint32_t where(OpId id) const;  // row, or kInLeaf | leaf id; kNone
  void build_index() const;
  std::uint32_t new_slot(std::uint32_t object);
  void chain(std::uint32_t slot, std::uint32_t row);
  std::uint32_t add_object(OpId id, Action action, std::uint32_t slot);
  std::uint32_t intern(std::string_view key);
  std::uint32_t find_key(std::string_view key) const;
  std::uint32_t add_key(std::string_view key);
  struct KeyCell {
    std::uint32_t hash = 0;
    std::uint32_t key = kNone;
  };
  void index_key(KeyCell cell);
  std::uint32_t slot_of_key(std::uint32_t object, std::uint32_t key) const;
  void chain_slot(std::uint32_t slot);
  std::uint32_t store_value(ByteView bytes);
  std::uint32_t store_row(std::uint32_t slot, const OpView& op, OpId id);
  void store_successor(std::uint32_t row, OpId id);
  bool shows(const OpRow& row) const;
  void refresh(std::uint32_t slot, const Units& before);
  Result<Place> locate(const OpView& op, OpId id, std::uint32_t object) const;
  Place gap_for(const OpView& op, OpId id, std::uint32_t object, Place reference) const;
  Status apply_insert(const OpView& op, OpId id, std::uint32_t object);
  Status apply_deleting(const OpView& op, OpId id, std::uint32_t object);
  Status apply_to_slot(const OpView& op, OpId id, std::uint32_t slot);
  Status check_mark_end(const OpView& op, OpId id, std::uint32_t slot) const;
  void settle_loaded();
  struct Increments {
    std::uint64_t sum = 0;
    bool only = true;  // nothing but increments succeeds the row
  };
  Increments increments(const OpRow& row) const;

  const ActorTable* actors_;
  std::vector<OpRow> rows_;
  std::vector<Slot> slots_;
  std::vector<Object> objects_;
  Sequence::Leaves leaves_;
  IndexMap object_index_;  // by packed id; a few are scanned instead
  std::vector<Successor> successors_;
  mutable std::unique_ptr<IdIndex> ids_;  // made at the first question
  Bytes values_;
  Bytes key_text_;
  struct Key {
    std::uint32_t end = 0;       // of its text
    std::uint32_t slot = kNone;  // the first of its chain
  };
  std::vector<Key> keys_;
  std::vector<KeyCell> key_index_;  // open addressing
  IndexMap more_slots_;             // by object and key: what the chain of a common key cannot hold
};

Units units_of_text(ByteView text);  // UTF-8

// Whether an operation inserts one code point and nothing else: the stuff of text runs.
inline bool is_typing(const OpView& op) {
  return op.insert && op.action == Action::kSet && (op.meta & 15) == kTypeText && !op.expand &&
         !op.has_mark_name && op.links.size() <= 1 &&
         is_code_point(op.value.first(std::min<std::size_t>(op.value.size(), op.meta >> 4)));
}

}  // namespace peat::automerge
