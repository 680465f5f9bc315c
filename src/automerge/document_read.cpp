// Reading a document: values, keys, lengths, text.
#include <algorithm>
#include <type_traits>

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

std::unexpected<Error> wrong_access(std::string_view key) {
  return fail(Code::wrong_type, "key \"" + std::string(key) + "\" of a list or text; use an index");
}
std::unexpected<Error> wrong_access(std::size_t index) {
  return fail(Code::wrong_type, "index " + std::to_string(index) + " of a map; use a key");
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

// What a key or an index holds: a slot, or one code point of typed text, or nothing.
struct Held {
  std::uint32_t slot = kNone;
  const Run* run = nullptr;
  std::uint32_t offset = 0;
};

Value value_of(const OpSet& ops, const Held& held) {
  return {as_text(ops.text_bytes(*held.run, held.offset, 1)), held.run->id(held.offset)};
}

Held held_at(const Document::Impl&, const OpSet& ops, const Object& object, std::string_view key) {
  return {ops.find_slot(ops.find_object(object.id), key)};
}

Held held_at(const Document::Impl& impl, const OpSet&, const Object& object, std::size_t index) {
  const auto& sequence = *object.sequence;
  std::uint64_t into = 0;
  const auto place = sequence.at_index(index, impl.unit_of(object), into);
  if (sequence.at_end(place)) return {};
  const auto& run = sequence.run(place);
  if (run.rich()) return {run.value};
  return {kNone, &run, place.offset};
}

template <class Where>
Result<Held> held(const Document::Impl& impl, ObjectId id, Where where) {
  PEAT_TRY(const auto index, object_index(*impl.ops, id));
  const auto& object = impl.ops->object(index);
  if (object.is_map() != std::is_same_v<Where, std::string_view>) return wrong_access(where);
  return held_at(impl, *impl.ops, object, where);
}

template <class Where>
Result<std::optional<Value>> winner(const Document::Impl& impl, ObjectId id, Where where) {
  PEAT_TRY(const auto at, held(impl, id, where));
  const auto& ops = *impl.ops;
  if (at.run != nullptr) return std::optional<Value>(value_of(ops, at));
  if (at.slot == kNone || ops.slot(at.slot).winner == kNone) return std::optional<Value>();
  return std::optional<Value>(value_of(ops, ops.slot(at.slot).winner));
}

template <class Where>
Result<std::vector<Value>> all_values(const Document::Impl& impl, ObjectId id, Where where) {
  PEAT_TRY(const auto at, held(impl, id, where));
  std::vector<Value> out;
  if (at.run != nullptr) {
    out.push_back(value_of(*impl.ops, at));
    return out;
  }
  for (const auto row : impl.ops->visible_rows(at.slot)) out.push_back(value_of(*impl.ops, row));
  return out;
}

}  // namespace

Result<std::optional<Value>> Document::get(ObjectId object, std::string_view key) const {
  return guarded([&]() -> Result<std::optional<Value>> {
    PEAT_TRY_VOID(impl_->materialise());
    return winner(*impl_, object, key);
  });
}

Result<std::optional<Value>> Document::get(ObjectId object, std::size_t index) const {
  return guarded([&]() -> Result<std::optional<Value>> {
    PEAT_TRY_VOID(impl_->materialise());
    return winner(*impl_, object, index);
  });
}

Result<std::vector<Value>> Document::get_all(ObjectId object, std::string_view key) const {
  return guarded([&]() -> Result<std::vector<Value>> {
    PEAT_TRY_VOID(impl_->materialise());
    return all_values(*impl_, object, key);
  });
}

Result<std::vector<Value>> Document::get_all(ObjectId object, std::size_t index) const {
  return guarded([&]() -> Result<std::vector<Value>> {
    PEAT_TRY_VOID(impl_->materialise());
    return all_values(*impl_, object, index);
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
    out.reserve(object.visible_keys);
    for (const auto slot : ops.sorted_slots(object)) {
      if (ops.slot(slot).visible != 0) out.push_back(ops.key_of(slot));
    }
    return out;
  });
}

Result<std::size_t> Document::length(ObjectId id) const {
  PEAT_TRY_VOID(materialise());
  PEAT_TRY(const auto index, object_index(*impl_->ops, id));
  const auto& object = impl_->ops->object(index);
  if (object.is_map()) return std::size_t{object.visible_keys};
  return static_cast<std::size_t>(object.sequence->total().*impl_->unit_of(object));
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
    const auto& sequence = *object.sequence;
    out.reserve(static_cast<std::size_t>(sequence.total().utf8));
    for (auto p = sequence.begin(); !sequence.at_end(p); p = sequence.next_run(p)) {
      const auto& run = sequence.run(p);
      if (!run.rich()) {
        if (run.visible()) out += as_text(ops.text_bytes(run, 0, run.count));
        continue;
      }
      const auto winner = ops.slot(run.value).winner;
      if (winner == kNone) continue;
      const auto& row = ops.row(winner);
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

ActorId Document::actor_of(OpId op) const {
  ActorId out;
  if (op.none() || op.actor() >= impl_->actors.size()) return out;
  const auto bytes = impl_->actors.bytes(op.actor());
  out.bytes.assign(bytes.begin(), bytes.end());
  return out;
}

}  // namespace peat::automerge
