// Reading a document: values, keys, lengths, text.
#include <algorithm>

#include "automerge/document_impl.hpp"

namespace peat::automerge {

namespace {

std::unexpected<Error> no_object() {
  return fail(Code::not_found, "no such object in this document");
}

Result<std::uint32_t> object_index(const OpSet& ops, ObjectId id) {
  const auto index = ops.find_object(id.op);
  if (index == kNone) return no_object();
  return index;
}

// The slot of a map key; kNone if it was never set.
Result<std::uint32_t> slot_of(const OpSet& ops, ObjectId id, std::string_view key) {
  PEAT_TRY(const auto object, object_index(ops, id));
  if (!ops.object(object).is_map()) {
    return fail(Code::wrong_type,
                "key \"" + std::string(key) + "\" of a list or text; use an index");
  }
  return ops.find_slot(object, key);
}

// The slot of the element at an index; kNone beyond the end.
Result<std::uint32_t> slot_of(const OpSet& ops, ObjectId id, std::size_t index) {
  PEAT_TRY(const auto object, object_index(ops, id));
  if (ops.object(object).is_map()) {
    return fail(Code::wrong_type, "index " + std::to_string(index) + " of a map; use a key");
  }
  const auto& sequence = *ops.object(object).sequence;
  std::uint32_t into = 0;
  const auto place = sequence.at_index(index, into);
  return sequence.at_end(place) ? kNone : sequence.slot(place);
}

Value value_of(const OpSet& ops, std::uint32_t index) {
  const auto& row = ops.row(index);
  Value value;
  value.op = row.id;
  if (makes_object(row.action)) {
    value.data = ObjectRef{ops.object(row.extra).type, ObjectId{row.id}};
  } else {
    value.data = ops.scalar(index);
  }
  return value;
}

template <class Where>
Result<std::optional<Value>> winner(const OpSet& ops, ObjectId object, Where where) {
  PEAT_TRY(const auto slot, slot_of(ops, object, where));
  if (slot == kNone || ops.slot(slot).winner == kNone) return std::optional<Value>();
  return std::optional<Value>(value_of(ops, ops.slot(slot).winner));
}

template <class Where>
Result<std::vector<Value>> all_values(const OpSet& ops, ObjectId object, Where where) {
  PEAT_TRY(const auto slot, slot_of(ops, object, where));
  std::vector<Value> out;
  for (const auto row : ops.visible_rows(slot)) out.push_back(value_of(ops, row));
  return out;
}

}  // namespace

Result<std::optional<Value>> Document::get(ObjectId object, std::string_view key) const {
  return guarded([&]() -> Result<std::optional<Value>> {
    PEAT_TRY_VOID(impl_->materialise());
    return winner(*impl_->ops, object, key);
  });
}

Result<std::optional<Value>> Document::get(ObjectId object, std::size_t index) const {
  return guarded([&]() -> Result<std::optional<Value>> {
    PEAT_TRY_VOID(impl_->materialise());
    return winner(*impl_->ops, object, index);
  });
}

Result<std::vector<Value>> Document::get_all(ObjectId object, std::string_view key) const {
  return guarded([&]() -> Result<std::vector<Value>> {
    PEAT_TRY_VOID(impl_->materialise());
    return all_values(*impl_->ops, object, key);
  });
}

Result<std::vector<Value>> Document::get_all(ObjectId object, std::size_t index) const {
  return guarded([&]() -> Result<std::vector<Value>> {
    PEAT_TRY_VOID(impl_->materialise());
    return all_values(*impl_->ops, object, index);
  });
}

Result<std::vector<std::string_view>> Document::keys(ObjectId id) const {
  return guarded([&]() -> Result<std::vector<std::string_view>> {
    PEAT_TRY_VOID(impl_->materialise());
    const auto& ops = *impl_->ops;
    PEAT_TRY(const auto index, object_index(ops, id));
    const auto& object = ops.object(index);
    if (!object.is_map()) return fail(Code::wrong_type, "a list or text has no keys");
    std::vector<std::string_view> out;
    out.reserve(object.entries.size());
    for (const auto& entry : object.entries) {
      if (ops.slot(entry.slot).visible != 0) out.push_back(ops.key_text(entry.key));
    }
    std::ranges::sort(out);
    return out;
  });
}

Result<std::size_t> Document::length(ObjectId id) const {
  PEAT_TRY_VOID(materialise());
  PEAT_TRY(const auto index, object_index(*impl_->ops, id));
  const auto& object = impl_->ops->object(index);
  if (object.is_map()) return std::size_t{object.visible_keys};
  return static_cast<std::size_t>(object.sequence->total_width());
}

Result<std::string> Document::text(ObjectId id) const {
  return guarded([&]() -> Result<std::string> {
    PEAT_TRY_VOID(impl_->materialise());
    const auto& ops = *impl_->ops;
    PEAT_TRY(const auto index, object_index(ops, id));
    const auto& object = ops.object(index);
    if (object.type != ObjectType::text) {
      return fail(Code::wrong_type, "the object is no text");
    }
    std::string out;
    out.reserve(static_cast<std::size_t>(object.sequence->total_width()));
    const auto& sequence = *object.sequence;
    for (auto p = sequence.begin(); !sequence.at_end(p); p = sequence.next(p)) {
      if (sequence.width(p) == 0 && ops.slot(sequence.slot(p)).winner == kNone) continue;
      const auto& row = ops.row(ops.slot(sequence.slot(p)).winner);
      const bool is_text = row.action == Action::kSet && (row.meta & 15) == kTypeText;
      out += is_text ? as_text(ops.value_bytes(row)) : std::string_view("\xef\xbf\xbc");
    }
    return out;
  });
}

Result<ObjectType> Document::object_type(ObjectId id) const {
  PEAT_TRY_VOID(materialise());
  PEAT_TRY(const auto index, object_index(*impl_->ops, id));
  return impl_->ops->object(index).type;
}

std::string Document::object_text(ObjectId object) const {
  if (object.op.none()) return "_root";
  return std::to_string(object.op.counter()) + "@" + actor_of(object.op).to_string();
}

ActorId Document::actor_of(OpId op) const {
  ActorId out;
  if (op.none() || op.actor() >= impl_->actors.size()) return out;
  const auto bytes = impl_->actors.bytes(op.actor());
  out.bytes.assign(bytes.begin(), bytes.end());
  return out;
}

}  // namespace peat::automerge
