// Operations of other replicas and of saved documents entering the op set.
#include <algorithm>

#include "automerge/opset.hpp"

namespace peat::automerge {

namespace {

std::unexpected<Error> invalid(const ActorTable& actors, OpId id, std::string_view what) {
  return fail(Code::document_invalid, "operation " + std::to_string(id.counter()) + "@" +
                                          to_hex(actors.bytes(id.actor())) + " " +
                                          std::string(what));
}

}  // namespace

// Where a remote insert goes: directly behind its reference, but after every element there that
// has a greater id. Descendants of such an element have greater ids still, so one walk suffices.
Result<std::uint32_t> OpSet::place_element(const OpView& op, OpId id, std::uint32_t object) {
  auto& sequence = *objects_[object].sequence;
  auto place = sequence.begin();
  if (!op.elem.none()) {
    const auto ref = find_row(op.elem);
    if (ref == kNone || !rows_[ref].insert || slots_[rows_[ref].slot].object != object) {
      return invalid(actors_, id, "inserts after an element that is not in its list");
    }
    const auto slot = rows_[ref].slot;
    place = sequence.after(sequence.locate(slot, slots_[slot].place));
  }
  for (auto at = sequence.normalised(place); !sequence.at_end(at); at = sequence.next(at)) {
    if (actors_.less(element_id(sequence.slot(at)), id)) break;
    place = sequence.after(at);
  }
  const auto added = new_slot(object);
  sequence.insert(place, added, *this);
  return added;
}

Result<std::uint32_t> OpSet::slot_for(const OpView& op, OpId id, std::uint32_t object) {
  if (objects_[object].is_map() != op.has_key) {
    return invalid(
        actors_, id,
        op.has_key ? "sets a map key of a list or text" : "changes a list element of a map");
  }
  if (op.has_key) return map_slot(object, op.key);
  if (op.insert) return place_element(op, id, object);
  const auto target = find_row(op.elem);
  if (target == kNone || !rows_[target].insert || slots_[rows_[target].slot].object != object) {
    return invalid(actors_, id, "changes an element that is not in its list");
  }
  return rows_[target].slot;
}

// A mark's end (no name) has its begin's id plus one and must come after it.
Status OpSet::check_mark_end(const OpView& op, OpId id, std::uint32_t slot) const {
  if (op.action != Action::kMark || op.has_mark_name || op.has_key) return {};
  const auto begin = find_row(OpId(id.counter() - 1, id.actor()));
  const auto object = slots_[slot].object;
  if (begin != kNone && rows_[begin].action == Action::kMark && rows_[begin].extra != kNone &&
      slots_[rows_[begin].slot].object == object) {
    const auto& sequence = *objects_[object].sequence;
    const auto first = rows_[begin].slot;
    const auto a = sequence.locate(first, slots_[first].place);
    const auto b = sequence.locate(slot, slots_[slot].place);
    if (a.block < b.block || (a.block == b.block && a.offset < b.offset)) return {};
  }
  return invalid(actors_, id, "ends a mark before its begin");
}

Status OpSet::apply(const OpView& op, OpId id) {
  const auto object = find_object(op.object);
  if (object == kNone) return invalid(actors_, id, "changes an object that does not exist");
  PEAT_TRY(const auto slot, slot_for(op, id, object));
  for (const auto link : op.links) {
    const auto row = find_row(link);
    if (row == kNone || rows_[row].slot != slot) {
      return invalid(actors_, id, "replaces an operation that is not at its place");
    }
    add_successor(row, id, op.action == Action::kIncrement);
  }
  if (op.action != Action::kDelete) add_row(slot, op, id);
  return check_mark_end(op, id, slot);
}

Status OpSet::apply_change(const ChangeView& change, std::span<const std::uint32_t> actors) {
  auto reader = change.ops();
  const auto local = [&actors](OpId id) {
    return id.none() ? id : OpId(id.counter(), actors[id.actor()]);
  };
  OpView op;
  OpId id;
  while (reader.next(op, id)) {
    op.object = local(op.object);
    op.elem = local(op.elem);
    link_scratch_.clear();
    for (const auto link : op.links) link_scratch_.push_back(local(link));
    op.links = link_scratch_;
    PEAT_TRY_VOID(apply(op, local(id)));
  }
  return reader.finish();
}

// Appends the rows of a document and proves their order: objects by id, map keys by bytes,
// sequences depth first with siblings by descending id, rows of one slot by ascending id. Hashes
// do not cover that order, and two replicas must not read the same history differently.
class OpSet::Loader {
 public:
  Loader(OpSet& set, std::span<const std::uint32_t> actors) : set_(set), actors_(actors) {}

  Status add(OpView& op, OpId document_id) {
    const auto id = local(document_id);
    op.object = local(op.object);
    op.elem = local(op.elem);
    if (op.object != set_.objects_[object_].id) PEAT_TRY_VOID(enter(op.object, id));
    const auto& object = set_.objects_[object_];
    if (object.is_map() != op.has_key) {
      return invalid(set_.actors_, id, "does not fit the type of its object");
    }
    PEAT_TRY_VOID(object.is_map() ? find_key_slot(op, id) : find_element_slot(op, id));
    const auto row = set_.store_row(slot_, op, id);
    for (const auto link : op.links) set_.store_successor(row, local(link));
    return {};
  }

 private:
  OpId local(OpId id) const { return id.none() ? id : OpId(id.counter(), actors_[id.actor()]); }
  Status enter(OpId id, OpId op) {
    if (!set_.actors_.less(set_.objects_[object_].id, id) && object_ != 0) {
      return invalid(set_.actors_, op, "stands out of the order of objects");
    }
    object_ = set_.find_object(id);
    if (object_ == kNone || object_ == 0) {
      object_ = 0;
      return invalid(set_.actors_, op, "changes an object that does not exist");
    }
    slot_ = kNone;
    path_.clear();
    path_.push_back({});
    return {};
  }
  Status same_slot(OpId id) {
    const auto last = set_.rows_[set_.slots_[slot_].last].id;
    if (set_.actors_.less(last, id)) return {};
    return invalid(set_.actors_, id, "stands out of the order of its key");
  }
  Status find_key_slot(const OpView& op, OpId id) {
    if (slot_ != kNone) {
      const auto key = set_.key_text(set_.slots_[slot_].place);
      if (op.key == key) return same_slot(id);
      if (op.key < key) return invalid(set_.actors_, id, "stands out of the order of keys");
    }
    slot_ = set_.map_slot(object_, op.key);
    return {};
  }
  Status find_element_slot(const OpView& op, OpId id) {
    if (!op.insert) {
      if (slot_ == kNone || set_.element_id(slot_) != op.elem) {
        return invalid(set_.actors_, id, "stands apart from its list element");
      }
      return same_slot(id);
    }
    while (path_.size() > 1 && path_.back().id != op.elem) path_.pop_back();
    auto& parent = path_.back();
    const bool placed = parent.id == op.elem &&
                        (parent.last_child.none() || set_.actors_.less(id, parent.last_child));
    if (!placed) return invalid(set_.actors_, id, "stands out of the order of list elements");
    parent.last_child = id;
    path_.push_back({id, {}});
    slot_ = set_.new_slot(object_);
    set_.objects_[object_].sequence->append(slot_, set_);
    return {};
  }

  struct Ancestor {
    OpId id;
    OpId last_child;
  };
  OpSet& set_;
  std::span<const std::uint32_t> actors_;
  std::uint32_t object_ = 0;
  std::uint32_t slot_ = kNone;
  std::vector<Ancestor> path_;  // from the head to the newest element
};

// False if two rows have one counter. An actor's counters are nearly dense, so they usually find
// their places in an array without comparing.
bool OpSet::sort_by_counter(std::vector<IdRow>& ids) {
  std::uint32_t most = 0;
  for (const auto& entry : ids) most = std::max(most, entry.counter);
  if (most / 4 > ids.size()) {
    std::ranges::sort(ids, {}, &IdRow::counter);
    const auto same = [](const IdRow& a, const IdRow& b) { return a.counter == b.counter; };
    return std::ranges::adjacent_find(ids, same) == ids.end();
  }
  std::vector<std::uint32_t> row_at(std::size_t{most} + 1, kNone);
  for (const auto& entry : ids) {
    if (row_at[entry.counter] != kNone) return false;
    row_at[entry.counter] = entry.row;
  }
  std::size_t next = 0;
  for (std::uint32_t counter = 0; counter <= most; ++counter) {
    if (row_at[counter] != kNone) ids[next++] = {counter, row_at[counter]};
  }
  return true;
}

Status OpSet::load(OpReader& reader, std::span<const std::uint32_t> actors, std::uint64_t limit) {
  Loader loader(*this, actors);
  OpView op;
  OpId id;
  loading_ = true;
  while (reader.next(op, id)) {
    if (reader.rows() > limit) {
      return fail(Code::limit_exceeded,
                  "a document of more than " + std::to_string(limit) + " operations");
    }
    PEAT_TRY_VOID(loader.add(op, id));
  }
  PEAT_TRY_VOID(reader.finish());
  loading_ = false;
  for (auto& mine : ids_) {
    if (!sort_by_counter(mine)) return fail(Code::document_invalid, "a document holds an id twice");
  }
  settle_loaded();
  for (std::uint32_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].action != Action::kMark) continue;
    PEAT_TRY_VOID(check_mark_end(view(rows_[i]), rows_[i].id, rows_[i].slot));
  }
  return {};
}

// Visibility, once all rows are known: only increments leave a counter visible.
void OpSet::settle_loaded() {
  for (auto& row : rows_) {
    row.visible = shows(row);
    const bool counter = (row.meta & 15) == kTypeCounter;
    for (auto at = row.links; row.visible && at != kNone; at = successors_[at].next) {
      const auto by = counter ? find_row(successors_[at].id) : kNone;
      row.visible = by != kNone && rows_[by].action == Action::kIncrement;
    }
  }
  for (auto& slot : slots_) {
    for (auto at = slot.first; at != kNone; at = rows_[at].next) {
      if (!rows_[at].visible) continue;
      ++slot.visible;
      slot.winner = at;
    }
    objects_[slot.object].visible_keys += slot.visible != 0;
  }
  for (auto& object : objects_) {
    if (object.is_map()) continue;
    object.visible_keys = 0;
    object.sequence->set_widths([this](std::uint32_t slot) { return width(slots_[slot]); });
  }
}

}  // namespace peat::automerge
