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

// The element that an operation refers to.
Result<Sequence::Place> OpSet::locate(const OpView& op, OpId id, std::uint32_t object) const {
  const auto place = find_element(object, op.elem);
  if (!objects_[object].sequence->at_end(place)) return place;
  return invalid(*actors_, id,
                 op.insert ? "inserts after an element that is not in its list"
                           : "changes an element that is not in its list");
}

// Where a remote insert goes: directly behind its reference, but after every element there that
// has a greater id. Descendants of such an element have greater ids still, so one walk suffices,
// and a run whose first id is greater is passed over whole.
Sequence::Place OpSet::gap_for(const OpView& op, OpId id, std::uint32_t object,
                               Place reference) const {
  const auto& sequence = *objects_[object].sequence;
  auto gap = op.elem.none() ? sequence.begin() : Sequence::after(reference);
  for (auto at = sequence.normalised(gap); !sequence.at_end(at); at = sequence.next_run(at)) {
    if (actors_->less(sequence.id(at), id)) break;
    gap = {at.leaf, at.run, sequence.run(at).count};
  }
  return gap;
}

Status OpSet::apply_insert(const OpView& op, OpId id, std::uint32_t object) {
  Place reference;
  if (!op.elem.none()) {
    PEAT_TRY(reference, locate(op, id, object));
  }
  auto gap = gap_for(op, id, object, reference);
  if (is_typing(op)) {
    insert_text(object, gap, op.elem, id, op.value, static_cast<std::uint8_t>(op.meta >> 4));
    return {};
  }
  const auto row = insert_row(object, gap, op, id);
  return check_mark_end(op, id, rows_[row].slot);
}

// Deletions of what was only typed, run by run; one by one where there is more to it.
Status OpSet::apply_deleting(const OpView& op, OpId id, std::uint32_t object) {
  auto single = op;
  single.count = 1;
  for (std::uint32_t done = 0; done < op.count;) {
    const auto deletion = advance(id, done);
    single.elem = advance(op.elem, std::int64_t{op.step} * done);
    single.links = std::span(&single.elem, 1);
    PEAT_TRY(const auto place, locate(single, deletion, object));
    const auto& run = objects_[object].sequence->run(place);
    if (run.rich() || !run.visible()) {
      PEAT_TRY_VOID(apply_to_slot(single, deletion, element_slot(object, place)));
      ++done;
      continue;
    }
    if (op.step < 0) {
      const auto n = std::min(op.count - done, place.offset + 1);
      erase_text(object, {place.leaf, place.run, place.offset + 1 - n}, n,
                 advance(deletion, std::int64_t{n} - 1), -1);
      done += n;
    } else {
      const auto n = std::min(op.count - done, run.count - place.offset);
      erase_text(object, place, n, deletion, 1);
      done += n;
    }
  }
  return {};
}

Status OpSet::apply_to_slot(const OpView& op, OpId id, std::uint32_t slot) {
  for (const auto link : op.links) {
    const auto row = find_row(link);
    if (row == kNone || rows_[row].slot != slot) {
      return invalid(*actors_, id, "replaces an operation that is not at its place");
    }
    add_successor(row, id, op.action == Action::kIncrement);
  }
  if (op.action != Action::kDelete) add_row(slot, op, id);
  return check_mark_end(op, id, slot);
}

// A mark's end (no name) has its begin's id plus one and must come after it.
Status OpSet::check_mark_end(const OpView& op, OpId id, std::uint32_t slot) const {
  if (op.action != Action::kMark || op.has_mark_name || op.has_key) return {};
  const auto begin = find_row(OpId(id.counter() - 1, id.actor()));
  if (begin != kNone && rows_[begin].action == Action::kMark && rows_[begin].extra != kNone &&
      slots_[rows_[begin].slot].object == slots_[slot].object &&
      place_of(rows_[begin].slot) < place_of(slot)) {
    return {};
  }
  return invalid(*actors_, id, "ends a mark before its begin");
}

Status OpSet::apply(const OpView& op, OpId id) {
  const auto object = find_object(op.object);
  if (object == kNone) return invalid(*actors_, id, "changes an object that does not exist");
  if (objects_[object].is_map() != op.has_key) {
    return invalid(
        *actors_, id,
        op.has_key ? "sets a map key of a list or text" : "changes a list element of a map");
  }
  if (op.has_key) return apply_to_slot(op, id, map_slot(object, op.key));
  if (op.insert) return apply_insert(op, id, object);
  if (op.action == Action::kDelete && op.links.size() == 1 && op.links[0] == op.elem) {
    return apply_deleting(op, id, object);
  }
  PEAT_TRY(const auto place, locate(op, id, object));
  return apply_to_slot(op, id, element_slot(object, place));
}

Status OpSet::apply_change(const ChangeView& change, std::span<const std::uint32_t> actors) {
  auto reader = change.ops();
  const auto local = [&actors](OpId id) {
    return id.none() ? id : OpId(id.counter(), actors[id.actor()]);
  };
  thread_local std::vector<OpId> links;
  OpView op;
  OpId id;
  while (reader.next(op, id)) {
    op.object = local(op.object);
    op.elem = local(op.elem);
    links.clear();
    for (const auto link : op.links) links.push_back(local(link));
    op.links = links;
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
    const bool in_map = set_.objects_[object_].is_map();
    if (in_map != op.has_key) {
      return invalid(*set_.actors_, id, "does not fit the type of its object");
    }
    if (op.insert && is_typing(op)) return add_typed(op, id);
    if (makes_object(op.action) && set_.find_object(id) != kNone) {
      return invalid(*set_.actors_, id, "makes an object that exists");
    }
    PEAT_TRY_VOID(in_map ? find_key_slot(op, id) : find_element_slot(op, id));
    const auto row = set_.store_row(slot_, op, id);
    for (const auto link : op.links) set_.store_successor(row, local(link));
    if (!op.insert || in_map) return {};
    Run run;
    run.first = id;
    run.ref = op.elem;
    run.value = slot_;
    set_.objects_[object_].sequence->append(run);
    return {};
  }

 private:
  OpId local(OpId id) const { return id.none() ? id : OpId(id.counter(), actors_[id.actor()]); }
  Status enter(OpId id, OpId op) {
    if (!set_.actors_->less(set_.objects_[object_].id, id) && object_ != 0) {
      return invalid(*set_.actors_, op, "stands out of the order of objects");
    }
    object_ = set_.find_object(id);
    if (object_ == kNone || object_ == 0) {
      object_ = 0;
      return invalid(*set_.actors_, op, "changes an object that does not exist");
    }
    slot_ = kNone;
    last_ = OpId();
    path_.clear();
    path_.push_back({});
    return {};
  }
  Status same_slot(OpId id) {
    const auto last = set_.rows_[set_.slots_[slot_].last].id;
    if (set_.actors_->less(last, id)) return {};
    return invalid(*set_.actors_, id, "stands out of the order of its key");
  }
  Status find_key_slot(const OpView& op, OpId id) {
    if (slot_ != kNone) {
      const auto key = set_.key_text(set_.slots_[slot_].place);
      if (op.key == key) return same_slot(id);
      if (op.key < key) return invalid(*set_.actors_, id, "stands out of the order of keys");
    }
    slot_ = set_.map_slot(object_, op.key);
    return {};
  }
  Status find_element_slot(const OpView& op, OpId id) {
    if (op.insert) {
      PEAT_TRY_VOID(descend(op, id));
      slot_ = set_.new_slot(object_);
      return {};
    }
    if (last_.none() || last_ != op.elem) {
      return invalid(*set_.actors_, id, "stands apart from its list element");
    }
    if (slot_ == kNone) {
      auto& sequence = *set_.objects_[object_].sequence;
      slot_ = set_.element_slot(object_, sequence.last());
    }
    return same_slot(id);
  }
  Status add_typed(const OpView& op, OpId id) {
    PEAT_TRY_VOID(descend(op, id));
    slot_ = kNone;
    Run run;
    run.first = id;
    run.ref = op.elem;
    run.count = op.count;
    run.width = static_cast<std::uint8_t>(op.meta >> 4);
    run.value = set_.store_value(op.value);
    run.step = op.step;
    if (!op.links.empty()) run.successor = local(op.links[0]);
    run.points = run.visible() ? run.count : 0;
    set_.objects_[object_].sequence->append(run);
    return {};
  }
  // Proves that an insert stands below its reference, before its elder siblings' subtrees.
  Status descend(const OpView& op, OpId id) {
    while (path_.size() > 1 && !path_.back().has(op.elem)) path_.pop_back();
    auto& parent = path_.back();
    if (parent.first.none() ? !op.elem.none() : !parent.has(op.elem)) {
      return invalid(*set_.actors_, id, "stands out of the order of list elements");
    }
    if (!parent.first.none()) {
      const auto keep = op.elem.counter() - parent.first.counter() + 1;
      if (keep < parent.count) {
        parent.last_child = advance(parent.first, keep);
        parent.count = keep;
      }
    }
    if (!parent.last_child.none() && !set_.actors_->less(id, parent.last_child)) {
      return invalid(*set_.actors_, id, "stands out of the order of list elements");
    }
    parent.last_child = id;
    path_.push_back({id, {}, op.count});
    last_ = advance(id, std::int64_t{op.count} - 1);
    return {};
  }

  // Elements with consecutive ids, each the child of the one before.
  struct Ancestor {
    OpId first;
    OpId last_child;  // of the last of them
    std::uint32_t count = 1;

    bool has(OpId id) const {
      return !first.none() && id.actor() == first.actor() && id.counter() - first.counter() < count;
    }
  };
  OpSet& set_;
  std::span<const std::uint32_t> actors_;
  std::uint32_t object_ = 0;
  std::uint32_t slot_ = kNone;  // of the newest key or element; kNone also for typed text
  OpId last_;                   // the newest element
  std::vector<Ancestor> path_;  // from the head to it
};

Status OpSet::load(OpReader& reader, std::span<const std::uint32_t> actors, std::uint64_t limit) {
  Loader loader(*this, actors);
  OpView op;
  OpId id;
  while (reader.next(op, id)) {
    if (reader.rows() > limit) {
      return fail(Code::limit_exceeded,
                  "a document of more than " + std::to_string(limit) + " operations");
    }
    PEAT_TRY_VOID(loader.add(op, id));
  }
  PEAT_TRY_VOID(reader.finish());
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
    if (row.visible && row.links != kNone) {
      row.visible = (row.meta & 15) == kTypeCounter && increments(row).only;
    }
  }
  for (auto& slot : slots_) {
    slot.visible = 0;
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
    object.sequence->recount();
  }
}

}  // namespace peat::automerge
