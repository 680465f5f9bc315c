#include "peat/automerge/view.hpp"

#include <algorithm>

#include "automerge/view_impl.hpp"

namespace peat::automerge {

Result<ViewAccess> ViewAccess::open(Document::Impl& impl, const Clock* clock) {
  PEAT_TRY_VOID(impl.materialise());
  return ViewAccess{impl, Reading(*impl.ops, clock), nullptr};
}

Result<ViewAccess> ViewAccess::open(const View& view) {
  PEAT_TRY(auto access, open(*view.document_->impl_, view.clock_.get()));
  access.view = &view;
  return access;
}

Result<std::uint32_t> ViewAccess::object(ObjectId id) const {
  const auto index = ops().find_object(id.op);
  if (index != kNone && reading.covers(id.op)) return index;
  return fail(Code::not_found, "no such object in this document at these heads");
}

Result<std::uint32_t> ViewAccess::map(ObjectId id) const {
  PEAT_TRY(const auto index, object(id));
  if (ops().object(index).is_map()) return index;
  return fail(Code::wrong_type, "the object is a list or text, which has no keys");
}

Result<std::uint32_t> ViewAccess::sequence(ObjectId id) const {
  PEAT_TRY(const auto index, object(id));
  if (!ops().object(index).is_map()) return index;
  return fail(Code::wrong_type, "the object is a map, which has no positions");
}

Result<std::uint32_t> ViewAccess::text(ObjectId id) const {
  PEAT_TRY(const auto index, object(id));
  if (ops().object(index).type == ObjectType::text) return index;
  return fail(Code::wrong_type, "the object is no text");
}

std::unexpected<Error> ViewAccess::beyond(std::uint32_t object, std::size_t index) const {
  return fail(Code::out_of_range, "index " + std::to_string(index) + " of " +
                                      std::to_string(length_of(reading, object, unit_of(object))) +
                                      " elements");
}

namespace {

Value value_of(const OpSet& ops, const Run& run, std::uint32_t offset) {
  return {as_text(ops.text_bytes(run, offset, 1)), run.id(offset)};
}

// The elements of a sequence one by one.
template <class Visit>
void each_element(const ViewAccess& in, std::uint32_t object, Visit visit) {
  Walk walk(in.reading, object, &Units::points);
  for (Piece piece; walk.next(piece);) {
    if (piece.kind == Piece::Kind::value) {
      const auto slot = in.ops().row(piece.row).slot;
      visit(in.reading.value(piece.row), in.reading.conflict(slot), slot);
    }
    if (piece.kind != Piece::Kind::text) continue;
    for (auto i = piece.part.begin; i < piece.part.end; ++i) {
      visit(value_of(in.ops(), *piece.run, i), false, kNone);
    }
  }
}

}  // namespace

std::vector<ViewAccess::Entry> ViewAccess::entries(std::uint32_t index) const {
  std::vector<Entry> out;
  const auto& object = ops().object(index);
  if (!object.is_map()) {
    each_element(*this, index, [&](const Value& value, bool conflict, std::uint32_t slot) {
      out.push_back({{}, value, conflict, slot});
    });
    return out;
  }
  out.reserve(object.slots);
  for (const auto slot : ops().sorted_slots(object)) {
    const auto winner = reading.winner(slot);
    if (winner == kNone) continue;
    out.push_back({ops().key_of(slot), reading.value(winner), reading.conflict(slot), slot});
  }
  return out;
}

std::string ViewAccess::text_of(std::uint32_t object) const {
  std::string out;
  if (reading.clock() == nullptr) {
    out.reserve(static_cast<std::size_t>(ops().object(object).sequence->total().utf8));
  }
  Walk walk(reading, object, &Units::points);
  for (Piece piece; walk.next(piece);) {
    if (piece.kind != Piece::Kind::mark) out += automerge::text_of(ops(), piece);
  }
  return out;
}

// --- View -----------------------------------------------------------------------------------

Result<std::vector<Value>> View::get_all(ObjectId object, std::string_view key) const {
  return guarded([&]() -> Result<std::vector<Value>> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto map, in.map(object));
    std::vector<Value> out;
    for (const auto row : in.reading.visible(in.ops().find_slot(map, key))) {
      out.push_back(in.reading.value(row));
    }
    return out;
  });
}

Result<std::vector<Value>> View::get_all(ObjectId object, std::size_t index) const {
  return guarded([&]() -> Result<std::vector<Value>> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto sequence, in.sequence(object));
    std::vector<Value> out;
    Indexed at;
    if (!find_index(in.reading, sequence, in.unit_of(sequence), index, at)) return out;
    if (at.run != nullptr) {
      out.push_back(value_of(in.ops(), *at.run, at.place.offset));
      return out;
    }
    for (const auto row : in.reading.visible(at.slot)) out.push_back(in.reading.value(row));
    return out;
  });
}

Result<std::optional<Value>> View::get(ObjectId object, std::string_view key) const {
  return guarded([&]() -> Result<std::optional<Value>> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto map, in.map(object));
    const auto row = in.reading.winner(in.ops().find_slot(map, key));
    if (row == kNone) return std::optional<Value>();
    return std::optional<Value>(in.reading.value(row));
  });
}

Result<std::optional<Value>> View::get(ObjectId object, std::size_t index) const {
  return guarded([&]() -> Result<std::optional<Value>> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto sequence, in.sequence(object));
    Indexed at;
    if (!find_index(in.reading, sequence, in.unit_of(sequence), index, at)) {
      return std::optional<Value>();
    }
    if (at.run != nullptr) {
      return std::optional<Value>(value_of(in.ops(), *at.run, at.place.offset));
    }
    return std::optional<Value>(in.reading.value(at.row));
  });
}

Result<std::vector<std::string_view>> View::keys(ObjectId object) const {
  return guarded([&]() -> Result<std::vector<std::string_view>> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto map, in.map(object));
    std::vector<std::string_view> out;
    for (const auto slot : in.ops().sorted_slots(in.ops().object(map))) {
      if (in.reading.winner(slot) != kNone) out.push_back(in.ops().key_of(slot));
    }
    return out;
  });
}

Result<std::vector<Value>> View::values(ObjectId object) const {
  return guarded([&]() -> Result<std::vector<Value>> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto index, in.object(object));
    std::vector<Value> out;
    for (const auto& entry : in.entries(index)) out.push_back(entry.value);
    return out;
  });
}

Result<std::size_t> View::length(ObjectId object) const {
  return guarded([&]() -> Result<std::size_t> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto index, in.object(object));
    const auto& held = in.ops().object(index);
    if (!held.is_map()) {
      return static_cast<std::size_t>(length_of(in.reading, index, in.unit_of(index)));
    }
    std::size_t visible = 0;
    for (auto slot = held.first_slot; slot != kNone; slot = in.ops().slot(slot).sibling) {
      visible += in.reading.winner(slot) != kNone;
    }
    return visible;
  });
}

Result<std::string> View::text(ObjectId object) const {
  return guarded([&]() -> Result<std::string> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto index, in.text(object));
    return in.text_of(index);
  });
}

Result<ObjectType> View::object_type(ObjectId object) const {
  return guarded([&]() -> Result<ObjectType> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto index, in.object(object));
    return in.ops().object(index).type;
  });
}

}  // namespace peat::automerge
