#include "automerge/opset.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>

#include "automerge/guarded.hpp"

namespace peat::automerge {

namespace {

constexpr std::size_t kScanKeys = 32;  // so many keys are scanned rather than indexed
constexpr std::size_t kScanObjects = 16;
constexpr std::size_t kScanRows = 32;
constexpr int kChained = 4;  // slots of a key that are chained; the more are indexed
constexpr std::uint32_t kInLeaf = 0x80000000;
constexpr Units kObjectUnits{1, 1, 3};  // U+FFFC in a text

ObjectType type_of(Action action) {
  switch (action) {
    case Action::kMakeList:
      return ObjectType::list;
    case Action::kMakeText:
      return ObjectType::text;
    case Action::kMakeTable:
      return ObjectType::table;
    default:
      return ObjectType::map;
  }
}

std::uint32_t hash_of(std::string_view key) {
  return static_cast<std::uint32_t>(std::hash<std::string_view>()(key));
}

// Offsets have 32 bits: what would go beyond counts as out of memory (guarded.hpp).
void check_room(const Bytes& whole, std::size_t more) {
  if (more > UINT32_MAX - whole.size())
    throw std::length_error("more than 4 GiB of values or keys");
}

// A copy that the next few edits fit into.
template <class T>
std::vector<T> with_slack(const std::vector<T>& from) {
  std::vector<T> out;
  out.reserve(from.size() + from.size() / 8 + 1);
  out.insert(out.end(), from.begin(), from.end());
  return out;
}

bool inside(ByteView part, const Bytes& whole) {
  return std::less_equal<>()(whole.data(), part.data()) &&
         std::less<>()(part.data(), whole.data() + whole.size());
}

}  // namespace

Units units_of_text(ByteView text) {
  Units units;
  for (const auto byte : text) {
    units.points += (byte & 0xc0) != 0x80;
    units.utf16 += byte >= 0xf0;  // the lead of a surrogate pair
  }
  units.utf16 += units.points;
  units.utf8 = text.size();
  return units;
}

OpSet::OpSet(const ActorTable& actors) : actors_(&actors) {
  objects_.emplace_back();  // the root map
}

OpSet::OpSet(const OpSet& other, const ActorTable& actors)
    : actors_(&actors),
      rows_(with_slack(other.rows_)),
      slots_(other.slots_),
      leaves_(other.leaves_),
      object_index_(other.object_index_),
      successors_(other.successors_),
      values_(with_slack(other.values_)),
      key_text_(other.key_text_),
      keys_(other.keys_),
      key_index_(other.key_index_),
      more_slots_(other.more_slots_) {
  objects_.reserve(other.objects_.size());
  for (const auto& from : other.objects_) {
    auto& to = objects_.emplace_back();
    static_cast<ObjectFacts&>(to) = from;
    Sequence::Owner& owner = *this;
    if (from.sequence) to.sequence = std::make_unique<Sequence>(*from.sequence, leaves_, owner);
  }
}

void OpSet::clear(const ActorTable& actors) {
  actors_ = &actors;
  rows_.clear();
  slots_.clear();
  objects_.clear();
  objects_.emplace_back();
  leaves_.clear();
  object_index_ = {};
  successors_.clear();
  ids_.reset();
  values_.clear();
  key_text_.clear();
  keys_.clear();
  key_index_.clear();
  more_slots_ = {};
}

bool OpSet::holds(ByteView bytes) const {
  return inside(bytes, values_) || inside(bytes, key_text_);
}

std::uint32_t OpSet::find_object(OpId id) const {
  if (objects_.size() > kScanObjects) return id.none() ? 0 : object_index_.find(id.packed);
  for (std::uint32_t i = 0; i < objects_.size(); ++i) {
    if (objects_[i].id == id) return i;
  }
  return kNone;
}

// --- where operations are -------------------------------------------------------------------

void OpSet::build_index() const {
  auto made = std::make_unique<IdIndex>();
  for (std::uint32_t i = 0; i < rows_.size(); ++i) made->set(rows_[i].id, 1, i);
  for (std::uint32_t id = 0; id < leaves_.size(); ++id) {
    for (const auto& run : leaves_[id].runs) {
      if (!run.rich()) made->set(run.first, run.count, kInLeaf | id);
    }
  }
  ids_ = std::move(made);
}

std::uint32_t OpSet::where(OpId id) const {
  if (!ids_ && leaves_.size() <= 2 && rows_.size() <= kScanRows) {
    for (std::uint32_t i = 0; i < rows_.size(); ++i) {
      if (rows_[i].id == id) return i;
    }
    for (std::uint32_t leaf = 0; leaf < leaves_.size(); ++leaf) {
      for (const auto& run : leaves_[leaf].runs) {
        const bool mine = !run.rich() && run.first.actor() == id.actor();
        if (mine && id.counter() - run.first.counter() < run.count) return kInLeaf | leaf;
      }
    }
    return kNone;
  }
  if (!ids_) build_index();
  return ids_->find(id);
}

void OpSet::placed(const Run& run, std::uint32_t leaf) {
  if (run.rich()) {
    slots_[run.value].place = leaf;
  } else if (ids_) {
    ids_->set(run.first, run.count, kInLeaf | leaf);
  }
}

std::uint32_t OpSet::find_row(OpId id) const {
  const auto at = where(id);
  return (at & kInLeaf) != 0 ? kNone : at;
}

Sequence::Place OpSet::place_of(std::uint32_t slot) const {
  return objects_[slots_[slot].object].sequence->find(slots_[slot].place, element_id(slot));
}

Sequence::Place OpSet::find_element(std::uint32_t object, OpId id) const {
  const auto& sequence = *objects_[object].sequence;
  const auto at = where(id);
  const Place none{static_cast<std::uint32_t>(sequence.leaf_count()), 0, 0};
  if (at == kNone) return none;
  if ((at & kInLeaf) != 0) {
    const auto leaf = at & ~kInLeaf;
    return leaves_[leaf].object == object ? sequence.find(leaf, id) : none;
  }
  const auto slot = rows_[at].slot;
  if (!rows_[at].insert || slots_[slot].object != object) return none;
  return sequence.find(slots_[slot].place, id);
}

// --- keys and slots -------------------------------------------------------------------------

std::string_view OpSet::key_text(std::uint32_t key) const {
  const std::size_t begin = key == 0 ? 0 : keys_[key - 1].end;
  return as_text(ByteView(key_text_).subspan(begin, keys_[key].end - begin));
}

std::uint32_t OpSet::find_key(std::string_view key) const {
  if (keys_.size() <= kScanKeys) {
    std::uint32_t begin = 0;
    for (std::uint32_t i = 0; i < keys_.size(); ++i) {
      const auto length = keys_[i].end - begin;
      if (length == key.size() && key_text(i) == key) return i;
      begin = keys_[i].end;
    }
    return kNone;
  }
  const auto hash = hash_of(key);
  const auto mask = key_index_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    const auto& cell = key_index_[at];
    if (cell.key == kNone || (cell.hash == hash && key_text(cell.key) == key)) return cell.key;
  }
}

void OpSet::index_key(KeyCell cell) {
  const auto mask = key_index_.size() - 1;
  auto at = cell.hash & mask;
  while (key_index_[at].key != kNone) at = (at + 1) & mask;
  key_index_[at] = cell;
}

std::uint32_t OpSet::intern(std::string_view key) {
  const auto found = find_key(key);
  return found != kNone ? found : add_key(key);
}

std::uint32_t OpSet::add_key(std::string_view key) {
  if (inside(as_bytes(key), key_text_)) {
    const std::string copy(key);
    return add_key(copy);
  }
  check_room(key_text_, key.size());
  put_bytes(key_text_, as_bytes(key));
  keys_.push_back({static_cast<std::uint32_t>(key_text_.size()), kNone});
  const auto added = static_cast<std::uint32_t>(keys_.size() - 1);
  if (keys_.size() <= kScanKeys) return added;
  if (key_index_.size() < keys_.size() * 2) {
    std::vector<KeyCell> old(std::max<std::size_t>(4 * kScanKeys, key_index_.size() * 2));
    old.swap(key_index_);
    if (old.empty()) {
      for (std::uint32_t i = 0; i < added; ++i) index_key({hash_of(key_text(i)), i});
    }
    for (const auto& cell : old) {
      if (cell.key != kNone) index_key(cell);
    }
  }
  index_key({hash_of(key_text(added)), added});
  return added;
}

std::uint32_t OpSet::find_slot(std::uint32_t object, std::string_view key) const {
  const auto id = find_key(key);
  return id == kNone ? kNone : slot_of_key(object, id);
}

namespace {

std::uint64_t object_and_key(std::uint32_t object, std::uint32_t key) {
  return std::uint64_t{object} << 32 | key;
}

}  // namespace

std::uint32_t OpSet::slot_of_key(std::uint32_t object, std::uint32_t key) const {
  auto slot = keys_[key].slot;
  for (int i = 0; i < kChained; ++i) {
    if (slot == kNone || slots_[slot].object == object) return slot;
    slot = slots_[slot].same_key;
  }
  return more_slots_.find(object_and_key(object, key));
}

// Notes a new slot of a map under its key and its object.
void OpSet::chain_slot(std::uint32_t added) {
  const auto& slot = slots_[added];
  auto* end = &keys_[slot.place].slot;
  int chained = 0;
  for (; *end != kNone; ++chained) end = &slots_[*end].same_key;
  if (chained < kChained) {
    *end = added;
  } else {
    more_slots_.insert(object_and_key(slot.object, slot.place), added);
  }
  auto& map = objects_[slot.object];
  (map.slots == 0 ? map.first_slot : slots_[map.last_slot].sibling) = added;
  map.last_slot = added;
  ++map.slots;
}

std::uint32_t OpSet::new_slot(std::uint32_t object) {
  Slot slot;
  slot.object = object;
  slots_.push_back(slot);
  return static_cast<std::uint32_t>(slots_.size() - 1);
}

std::uint32_t OpSet::map_slot(std::uint32_t object, std::string_view key) {
  auto id = find_key(key);
  if (id == kNone) {
    id = add_key(key);
  } else if (const auto found = slot_of_key(object, id); found != kNone) {
    return found;
  }
  const auto added = new_slot(object);
  slots_[added].place = id;
  chain_slot(added);
  return added;
}

std::uint32_t OpSet::element_slot(std::uint32_t object, Place p) {
  auto& sequence = *objects_[object].sequence;
  const auto run = sequence.run(p);
  if (run.rich()) return run.value;
  const auto slot = new_slot(object);
  const auto op = view_typing(object, run, p.offset, 1);
  const auto id = run.id(p.offset);
  const auto row = store_row(slot, op, id);
  if (run.visible()) {
    rows_[row].visible = true;
    slots_[slot].visible = 1;
    slots_[slot].winner = row;
  } else {
    store_successor(row, run.successor_of(p.offset));
  }
  sequence.make_rich(p, slot, units_of_slot(slot));
  return slot;
}

std::uint32_t OpSet::insert_row(std::uint32_t object, Place& gap, const OpView& op, OpId id) {
  const auto slot = new_slot(object);
  const auto index = store_row(slot, op, id);
  if (shows(rows_[index])) {
    rows_[index].visible = true;
    slots_[slot].visible = 1;
    slots_[slot].winner = index;
  }
  Run run;
  run.first = id;
  run.ref = op.elem;
  run.value = slot;
  const auto units = units_of_slot(slot);
  run.points = static_cast<std::uint32_t>(units.points);
  gap = objects_[object].sequence->insert(gap, run, units);
  return index;
}

void OpSet::insert_text(std::uint32_t object, Place& gap, OpId ref, OpId first, ByteView text,
                        std::uint8_t width) {
  Run run;
  run.first = first;
  run.ref = ref;
  run.count = static_cast<std::uint32_t>(text.size() / width);
  run.points = run.count;
  run.width = width;
  run.value = store_value(text);
  gap = objects_[object].sequence->insert(gap, run, run.units(run.count));
}

void OpSet::erase_text(std::uint32_t object, Place p, std::uint32_t n, OpId successor,
                       std::int8_t step) {
  objects_[object].sequence->erase(p, n, successor, step);
}

std::uint32_t OpSet::store_value(ByteView bytes) {
  check_room(values_, bytes.size());
  const auto at = static_cast<std::uint32_t>(values_.size());
  if (bytes.size() == 1) {
    values_.push_back(bytes[0]);
  } else if (inside(bytes, values_)) {
    const Bytes copy(bytes.begin(), bytes.end());
    put_bytes(values_, copy);
  } else {
    put_bytes(values_, bytes);
  }
  return at;
}

std::uint32_t OpSet::add_object(OpId id, Action action, std::uint32_t slot) {
  const auto index = static_cast<std::uint32_t>(objects_.size());
  auto& object = objects_.emplace_back();
  object.id = id;
  object.type = type_of(action);
  object.slot = slot;
  if (object.type == ObjectType::list || object.type == ObjectType::text) {
    Sequence::Owner& owner = *this;
    object.sequence = std::make_unique<Sequence>(index, leaves_, owner);
  }
  if (objects_.size() == kScanObjects + 1) {
    for (std::uint32_t i = 1; i <= index; ++i) object_index_.insert(objects_[i].id.packed, i);
  } else if (objects_.size() > kScanObjects) {
    object_index_.insert(id.packed, index);
  }
  return index;
}

// Stores the row and puts it into its slot's chain; visibility is the caller's.
std::uint32_t OpSet::store_row(std::uint32_t slot, const OpView& op, OpId id) {
  const auto index = static_cast<std::uint32_t>(rows_.size());
  OpRow row;
  row.id = id;
  row.slot = slot;
  row.meta = op.meta;
  row.value = store_value(op.value);
  row.action = op.action;
  row.insert = op.insert;
  row.expand = op.expand;
  if (op.insert) row.ref = op.elem;
  if (makes_object(op.action)) {
    row.extra = add_object(id, op.action, slot);
  } else if (op.has_mark_name) {
    row.extra = intern(op.mark_name);
  }
  grow(rows_, 1);
  rows_.push_back(row);
  if (op.action == Action::kMark) objects_[slots_[slot].object].has_marks = true;
  if (ids_) ids_->set(id, 1, index);
  chain(slot, index);
  return index;
}

void OpSet::chain(std::uint32_t slot_index, std::uint32_t index) {
  auto& slot = slots_[slot_index];
  const auto id = rows_[index].id;
  if (slot.first == kNone) {
    slot.first = slot.last = index;
  } else if (actors_->less(rows_[slot.last].id, id)) {
    rows_[slot.last].next = index;
    slot.last = index;
  } else if (actors_->less(id, rows_[slot.first].id)) {
    rows_[index].next = slot.first;
    slot.first = index;
  } else {
    auto at = slot.first;
    while (actors_->less(rows_[rows_[at].next].id, id)) at = rows_[at].next;
    rows_[index].next = rows_[at].next;
    rows_[at].next = index;
  }
}

bool OpSet::shows(const OpRow& row) const {
  return row.action == Action::kSet || makes_object(row.action);
}

Units OpSet::units_of_slot(std::uint32_t slot_index) const {
  const auto winner = slots_[slot_index].winner;
  return winner == kNone ? Units{} : units_of_row(winner);
}

Units OpSet::units_of_row(std::uint32_t row_index) const {
  const auto& row = rows_[row_index];
  if (objects_[slots_[row.slot].object].type != ObjectType::text) return {1, 1, 1};
  const bool text = row.action == Action::kSet && (row.meta & 15) == kTypeText;
  return text ? units_of_text(value_bytes(row)) : kObjectUnits;
}

// Tells the object that a slot's winner may have changed.
void OpSet::refresh(std::uint32_t slot_index, const Units& before) {
  const auto now = units_of_slot(slot_index);
  if (now == before) return;
  auto& object = objects_[slots_[slot_index].object];
  if (!object.is_map()) {
    object.sequence->set_units(place_of(slot_index), before, now);
  } else if (before.points == 0) {
    ++object.visible_keys;
  } else if (now.points == 0) {
    --object.visible_keys;
  }
}

std::uint32_t OpSet::add_row(std::uint32_t slot_index, const OpView& op, OpId id) {
  const auto before = units_of_slot(slot_index);
  const auto index = store_row(slot_index, op, id);
  auto& slot = slots_[slot_index];
  auto& row = rows_[index];
  if (shows(row)) {
    row.visible = true;
    ++slot.visible;
    if (slot.winner == kNone || actors_->less(rows_[slot.winner].id, id)) slot.winner = index;
    refresh(slot_index, before);
  }
  return index;
}

// Successors are kept greatest first, so that the newest, which is the usual one, goes in front.
void OpSet::store_successor(std::uint32_t row_index, OpId id) {
  const auto index = static_cast<std::uint32_t>(successors_.size());
  std::uint32_t* at = &rows_[row_index].links;
  while (*at != kNone && actors_->less(id, successors_[*at].id)) at = &successors_[*at].next;
  const auto next = *at;
  *at = index;
  successors_.push_back({id, next});
}

void OpSet::add_successor(std::uint32_t row_index, OpId id, bool increment) {
  store_successor(row_index, id);
  auto& row = rows_[row_index];
  if (!row.visible || (increment && (row.meta & 15) == kTypeCounter)) return;
  row.visible = false;
  auto& slot = slots_[row.slot];
  const auto before = units_of_slot(row.slot);
  --slot.visible;
  if (slot.winner == row_index) {
    slot.winner = kNone;
    if (slot.visible != 0) {
      for (auto at = slot.first; at != kNone; at = rows_[at].next) {
        if (rows_[at].visible) slot.winner = at;
      }
    }
  }
  refresh(row.slot, before);
}

ByteView OpSet::value_bytes(const OpRow& row) const {
  return ByteView(values_).subspan(row.value, row.meta >> 4);
}

std::vector<std::uint32_t> OpSet::visible_rows(std::uint32_t slot) const {
  std::vector<std::uint32_t> out;
  if (slot == kNone) return out;
  if (slots_[slot].visible == 1) {
    out.push_back(slots_[slot].winner);
    return out;
  }
  if (slots_[slot].visible == 0) return out;
  for (auto at = slots_[slot].first; at != kNone; at = rows_[at].next) {
    if (rows_[at].visible) out.push_back(at);
  }
  return out;
}

Scalar OpSet::scalar(std::uint32_t row_index) const {
  const auto& row = rows_[row_index];
  auto value = scalar_of(row.meta, value_bytes(row));
  if (auto* counter = std::get_if<Counter>(&value)) {
    counter->value =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(counter->value) + increments(row).sum);
  }
  return value;
}

// Increments are rows of the same slot; both they and the successors go by id.
OpSet::Increments OpSet::increments(const OpRow& row) const {
  Increments out;
  std::vector<OpId> all;
  successors(row, all);
  auto by = row.next;
  for (const auto id : all) {
    while (by != kNone && actors_->less(rows_[by].id, id)) by = rows_[by].next;
    if (by == kNone || rows_[by].id != id || rows_[by].action != Action::kIncrement) {
      out.only = false;
      continue;
    }
    Input amount(value_bytes(rows_[by]));
    out.sum += (rows_[by].meta & 15) == kTypeUint ? amount.uleb()
                                                  : static_cast<std::uint64_t>(amount.sleb());
  }
  return out;
}

std::vector<std::uint32_t> OpSet::sorted_slots(const Object& map) const {
  std::vector<std::uint32_t> out;
  out.reserve(map.slots);
  for (auto at = map.first_slot; at != kNone; at = slots_[at].sibling) out.push_back(at);
  std::ranges::sort(out, {}, [this](std::uint32_t slot) { return key_of(slot); });
  return out;
}

std::vector<std::uint32_t> OpSet::sorted_objects() const {
  std::vector<std::uint32_t> out(objects_.size());
  for (std::uint32_t i = 0; i < out.size(); ++i) out[i] = i;
  std::sort(out.begin() + 1, out.end(), [this](std::uint32_t a, std::uint32_t b) {
    return actors_->less(objects_[a].id, objects_[b].id);
  });
  return out;
}

void OpSet::successors(const OpRow& row, std::vector<OpId>& out) const {
  out.clear();
  for (auto at = row.links; at != kNone; at = successors_[at].next) {
    out.push_back(successors_[at].id);
  }
  std::ranges::reverse(out);
}

OpView OpSet::view(const OpRow& row) const {
  const auto& slot = slots_[row.slot];
  const auto& object = objects_[slot.object];
  OpView op;
  op.object = object.id;
  op.action = row.action;
  op.insert = row.insert;
  op.expand = row.expand;
  op.meta = row.meta;
  op.value = value_bytes(row);
  if (object.is_map()) {
    op.has_key = true;
    op.key = key_text(slot.place);
  } else {
    op.elem = row.insert ? row.ref : rows_[slot.first].id;
  }
  if (row.extra != kNone && !makes_object(row.action)) {
    op.has_mark_name = true;
    op.mark_name = key_text(row.extra);
  }
  return op;
}

ByteView OpSet::text_bytes(const Run& run, std::uint32_t begin, std::uint32_t count) const {
  return ByteView(values_).subspan(run.value + std::size_t{begin} * run.width,
                                   std::size_t{count} * run.width);
}

OpView OpSet::view_typing(std::uint32_t object, OpId ref, std::uint32_t value, std::uint8_t width,
                          std::uint32_t count) const {
  OpView op;
  op.object = objects_[object].id;
  op.elem = ref;
  op.insert = true;
  op.count = count;
  op.meta = std::uint32_t{width} << 4 | kTypeText;
  op.value = ByteView(values_).subspan(value, std::size_t{count} * width);
  return op;
}

OpView OpSet::view_deleting(std::uint32_t object, OpId elem, std::int8_t step,
                            std::uint32_t count) const {
  OpView op;
  op.object = objects_[object].id;
  op.action = Action::kDelete;
  op.elem = elem;
  op.count = count;
  op.step = step;
  return op;
}

OpView OpSet::view_deletion(std::uint32_t slot_index) const {
  const auto& slot = slots_[slot_index];
  const auto& object = objects_[slot.object];
  OpView op;
  op.object = object.id;
  op.action = Action::kDelete;
  op.has_key = object.is_map();
  if (op.has_key) {
    op.key = key_text(slot.place);
  } else {
    op.elem = element_id(slot_index);
  }
  return op;
}

std::size_t OpSet::memory_bytes() const {
  std::size_t bytes = sizeof(OpSet) + rows_.capacity() * sizeof(OpRow) +
                      slots_.capacity() * sizeof(Slot) + objects_.capacity() * sizeof(Object) +
                      successors_.capacity() * sizeof(Successor) + values_.capacity() +
                      key_text_.capacity() + sizeof(Key) * keys_.capacity() +
                      sizeof(KeyCell) * key_index_.capacity() + object_index_.memory_bytes() +
                      more_slots_.memory_bytes() + (ids_ ? ids_->memory_bytes() : 0);
  for (const auto& object : objects_) {
    if (object.sequence) bytes += sizeof(Sequence) + object.sequence->memory_bytes();
  }
  return bytes;
}

}  // namespace peat::automerge
