#include "automerge/opset.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>

namespace peat::automerge {

namespace {

constexpr std::size_t kScanEntries = 16;  // maps up to this size are scanned

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

std::size_t mix(std::uint64_t key) {
  key *= 0x9e3779b97f4a7c15ULL;
  return static_cast<std::size_t>(key ^ key >> 32);
}

std::uint32_t code_points(ByteView text) {
  std::uint32_t n = 0;
  for (const auto byte : text) n += (byte & 0xc0) != 0x80;
  return n;
}

}  // namespace

std::uint32_t IndexMap::find(std::uint64_t key) const {
  if (cells_.empty()) return kNone;
  const auto mask = cells_.size() - 1;
  for (auto at = mix(key) & mask;; at = (at + 1) & mask) {
    if (cells_[at].value == kNone) return kNone;
    if (cells_[at].key == key) return cells_[at].value;
  }
}

void IndexMap::place(Cell cell) {
  const auto mask = cells_.size() - 1;
  auto at = mix(cell.key) & mask;
  while (cells_[at].value != kNone) at = (at + 1) & mask;
  cells_[at] = cell;
}

void IndexMap::insert(std::uint64_t key, std::uint32_t value) {
  if (cells_.size() < (used_ + 1) * 2) {
    std::vector<Cell> old(std::max<std::size_t>(8, cells_.size() * 2));
    old.swap(cells_);
    for (const auto& cell : old) {
      if (cell.value != kNone) place(cell);
    }
  }
  place({key, value});
  ++used_;
}

OpSet::OpSet(const ActorTable& actors) : actors_(actors) {
  objects_.emplace_back();  // the root map
}

std::uint32_t OpSet::find_object(OpId id) const {
  return id.none() ? 0 : object_index_.find(id.packed);
}

std::uint32_t OpSet::find_row(OpId id) const {
  if (id.actor() >= ids_.size()) return kNone;
  const auto& mine = ids_[id.actor()];
  const auto at = std::lower_bound(
      mine.begin(), mine.end(), id.counter(),
      [](const IdRow& entry, std::uint32_t counter) { return entry.counter < counter; });
  return at == mine.end() || at->counter != id.counter() ? kNone : at->row;
}

std::string_view OpSet::key_text(std::uint32_t key) const {
  const std::size_t begin = key == 0 ? 0 : key_end_[key - 1];
  return as_text(ByteView(key_text_).subspan(begin, key_end_[key] - begin));
}

std::uint32_t OpSet::find_key(std::string_view key) const {
  if (key_index_.empty()) return kNone;
  const auto mask = key_index_.size() - 1;
  for (auto at = std::hash<std::string_view>()(key) & mask;; at = (at + 1) & mask) {
    if (key_index_[at] == kNone || key_text(key_index_[at]) == key) return key_index_[at];
  }
}

void OpSet::index_key(std::uint32_t key) {
  const auto mask = key_index_.size() - 1;
  auto at = std::hash<std::string_view>()(key_text(key)) & mask;
  while (key_index_[at] != kNone) at = (at + 1) & mask;
  key_index_[at] = key;
}

std::uint32_t OpSet::intern(std::string_view key) {
  const auto found = find_key(key);
  if (found != kNone) return found;
  const std::string copy(key);  // it may be part of key_text_
  put_bytes(key_text_, as_bytes(copy));
  key_end_.push_back(static_cast<std::uint32_t>(key_text_.size()));
  const auto added = static_cast<std::uint32_t>(key_end_.size() - 1);
  if (key_index_.size() < key_end_.size() * 2) {
    key_index_.assign(std::max<std::size_t>(32, key_index_.size() * 2), kNone);
    for (std::uint32_t i = 0; i <= added; ++i) index_key(i);
  } else {
    index_key(added);
  }
  return added;
}

std::uint32_t OpSet::find_slot(std::uint32_t object, std::string_view key) const {
  const auto id = find_key(key);
  if (id == kNone) return kNone;
  const auto& map = objects_[object];
  if (map.entries.size() > kScanEntries) return map.index.find(id);
  for (const auto& entry : map.entries) {
    if (entry.key == id) return entry.slot;
  }
  return kNone;
}

std::uint32_t OpSet::new_slot(std::uint32_t object) {
  Slot slot;
  slot.object = object;
  slots_.push_back(slot);
  return static_cast<std::uint32_t>(slots_.size() - 1);
}

std::uint32_t OpSet::map_slot(std::uint32_t object, std::string_view key) {
  const auto found = find_slot(object, key);
  if (found != kNone) return found;
  const auto id = intern(key);
  const auto added = new_slot(object);
  slots_[added].place = id;
  auto& map = objects_[object];
  map.entries.push_back({id, added});
  if (map.entries.size() == kScanEntries + 1) {
    for (const auto& entry : map.entries) map.index.insert(entry.key, entry.slot);
  } else if (map.entries.size() > kScanEntries) {
    map.index.insert(id, added);
  }
  return added;
}

std::uint32_t OpSet::element_slot(std::uint32_t object, std::uint32_t before) {
  auto& sequence = *objects_[object].sequence;
  const auto added = new_slot(object);
  auto place = sequence.begin();
  if (before != kNone) place = sequence.after(sequence.locate(before, slots_[before].place));
  sequence.insert(place, added, *this);
  return added;
}

std::uint32_t OpSet::store_value(ByteView bytes) {
  const auto at = static_cast<std::uint32_t>(values_.size());
  put_bytes(values_, bytes);
  return at;
}

std::uint32_t OpSet::add_object(OpId id, Action action) {
  const auto index = static_cast<std::uint32_t>(objects_.size());
  auto& object = objects_.emplace_back();
  object.id = id;
  object.type = type_of(action);
  if (object.type == ObjectType::list || object.type == ObjectType::text) {
    object.sequence = std::make_unique<Sequence>();
  }
  object_index_.insert(id.packed, index);
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
    row.extra = add_object(id, op.action);
  } else if (op.has_mark_name) {
    row.extra = intern(op.mark_name);
  }
  rows_.push_back(row);
  if (op.action == Action::kMark) objects_[slots_[slot].object].has_marks = true;
  if (id.actor() >= ids_.size()) ids_.resize(id.actor() + 1);
  auto& mine = ids_[id.actor()];
  if (loading_ || mine.empty() || mine.back().counter < id.counter()) {
    mine.push_back({id.counter(), index});
  } else {
    const auto at = std::lower_bound(
        mine.begin(), mine.end(), id.counter(),
        [](const IdRow& entry, std::uint32_t counter) { return entry.counter < counter; });
    mine.insert(at, {id.counter(), index});
  }
  chain(slot, index);
  return index;
}

void OpSet::chain(std::uint32_t slot_index, std::uint32_t index) {
  auto& slot = slots_[slot_index];
  const auto id = rows_[index].id;
  if (slot.first == kNone) {
    slot.first = slot.last = index;
  } else if (actors_.less(rows_[slot.last].id, id)) {
    rows_[slot.last].next = index;
    slot.last = index;
  } else if (actors_.less(id, rows_[slot.first].id)) {
    rows_[index].next = slot.first;
    slot.first = index;
  } else {
    auto at = slot.first;
    while (actors_.less(rows_[rows_[at].next].id, id)) at = rows_[at].next;
    rows_[index].next = rows_[at].next;
    rows_[at].next = index;
  }
}

bool OpSet::shows(const OpRow& row) const {
  return row.action == Action::kSet || makes_object(row.action);
}

std::uint32_t OpSet::width(const Slot& slot) const {
  if (slot.winner == kNone) return 0;
  const auto& row = rows_[slot.winner];
  const bool text = objects_[slot.object].type == ObjectType::text && row.action == Action::kSet &&
                    (row.meta & 15) == kTypeText;
  return text ? code_points(value_bytes(row)) : 1;
}

// Tells the object that a slot's winner may have changed.
void OpSet::refresh(std::uint32_t slot_index, std::uint32_t old_width) {
  const auto& slot = slots_[slot_index];
  auto& object = objects_[slot.object];
  const auto now = width(slot);
  if (now == old_width) return;
  if (object.is_map()) {
    object.visible_keys += now - old_width;
  } else {
    object.sequence->set_width(slot_index, slot.place, now);
  }
}

std::uint32_t OpSet::add_row(std::uint32_t slot_index, const OpView& op, OpId id) {
  const auto old_width = width(slots_[slot_index]);
  const auto index = store_row(slot_index, op, id);
  auto& slot = slots_[slot_index];
  auto& row = rows_[index];
  if (shows(row)) {
    row.visible = true;
    ++slot.visible;
    if (slot.winner == kNone || actors_.less(rows_[slot.winner].id, id)) slot.winner = index;
    refresh(slot_index, old_width);
  }
  return index;
}

// Successors are kept greatest first, so that the newest, which is the usual one, goes in front.
void OpSet::store_successor(std::uint32_t row_index, OpId id) {
  const auto index = static_cast<std::uint32_t>(successors_.size());
  std::uint32_t* at = &rows_[row_index].links;
  while (*at != kNone && actors_.less(id, successors_[*at].id)) at = &successors_[*at].next;
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
  const auto old_width = width(slot);
  --slot.visible;
  if (slot.winner == row_index) {
    slot.winner = kNone;
    if (slot.visible != 0) {
      for (auto at = slot.first; at != kNone; at = rows_[at].next) {
        if (rows_[at].visible) slot.winner = at;
      }
    }
  }
  refresh(row.slot, old_width);
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
  const auto bytes = value_bytes(row);
  Input in(bytes);
  switch (row.meta & 15) {
    case kTypeNull:
      return Null{};
    case kTypeFalse:
      return false;
    case kTypeTrue:
      return true;
    case kTypeUint:
      return in.uleb();
    case kTypeInt:
      return in.sleb();
    case kTypeDouble: {
      double value;
      std::memcpy(&value, bytes.data(), sizeof value);
      return value;
    }
    case kTypeText:
      return as_text(bytes);
    case kTypeBytes:
      return bytes;
    case kTypeTimestamp:
      return Timestamp{in.sleb()};
    case kTypeCounter:
      break;
    default:
      return UnknownValue{static_cast<std::uint8_t>(row.meta & 15), bytes};
  }
  auto sum = static_cast<std::uint64_t>(in.sleb());
  for (auto at = row.links; at != kNone; at = successors_[at].next) {
    const auto by = find_row(successors_[at].id);
    if (by == kNone || rows_[by].action != Action::kIncrement) continue;
    Input amount(value_bytes(rows_[by]));
    sum += (rows_[by].meta & 15) == kTypeUint ? amount.uleb()
                                              : static_cast<std::uint64_t>(amount.sleb());
  }
  return Counter{static_cast<std::int64_t>(sum)};
}

std::vector<Object::Entry> OpSet::sorted_entries(const Object& object) const {
  auto entries = object.entries;
  std::ranges::sort(entries, [this](const Object::Entry& a, const Object::Entry& b) {
    return key_text(a.key) < key_text(b.key);
  });
  return entries;
}

std::vector<std::uint32_t> OpSet::sorted_objects() const {
  std::vector<std::uint32_t> out(objects_.size());
  for (std::uint32_t i = 0; i < out.size(); ++i) out[i] = i;
  std::sort(out.begin() + 1, out.end(), [this](std::uint32_t a, std::uint32_t b) {
    return actors_.less(objects_[a].id, objects_[b].id);
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
                      key_text_.capacity() + 4 * (key_end_.capacity() + key_index_.capacity()) +
                      object_index_.memory_bytes() + ids_.capacity() * sizeof(ids_[0]);
  for (const auto& mine : ids_) bytes += mine.capacity() * sizeof(IdRow);
  for (const auto& object : objects_) {
    bytes += object.entries.capacity() * sizeof(Object::Entry) + object.index.memory_bytes();
    if (object.sequence) bytes += sizeof(Sequence) + object.sequence->memory_bytes();
  }
  return bytes;
}

}  // namespace peat::automerge
