#include "automerge/editor.hpp"

#include <algorithm>
#include <cstring>

#include "base/encoding.hpp"
#include "base/limits.hpp"

namespace peat::automerge {

namespace {

constexpr std::uint64_t kMaxCounter = 0xffffffff;
constexpr std::size_t kMaxValueBytes = (std::size_t{1} << 28) - 1;

std::uint32_t meta_of(std::uint8_t type, std::size_t length) {
  return static_cast<std::uint32_t>(length << 4 | type);
}

struct EncodeScalar {
  Encoded& out;

  std::uint8_t operator()(Null) const { return kTypeNull; }
  std::uint8_t operator()(bool v) const { return v ? kTypeTrue : kTypeFalse; }
  std::uint8_t operator()(std::uint64_t v) const {
    took(write_uleb(out.small.data(), v));
    return kTypeUint;
  }
  std::uint8_t operator()(std::int64_t v) const {
    took(write_sleb(out.small.data(), v));
    return kTypeInt;
  }
  void took(const std::uint8_t* end) const {
    out.small_bytes = static_cast<std::uint8_t>(end - out.small.data());
  }
  std::uint8_t operator()(double v) const {
    std::memcpy(out.small.data(), &v, 8);
    out.small_bytes = 8;
    return kTypeDouble;
  }
  std::uint8_t operator()(Counter v) const {
    (*this)(v.value);
    return kTypeCounter;
  }
  std::uint8_t operator()(Timestamp v) const {
    (*this)(v.ms);
    return kTypeTimestamp;
  }
  std::uint8_t operator()(std::string_view v) const {
    out.outer = as_bytes(v);
    return kTypeText;
  }
  std::uint8_t operator()(ByteView v) const {
    out.outer = v;
    return kTypeBytes;
  }
  std::uint8_t operator()(const UnknownValue& v) const {
    out.outer = v.bytes;
    return v.type;
  }
};

std::uint8_t code_point_width(std::uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

std::unexpected<Error> beyond(std::size_t index, std::uint64_t length) {
  return fail(Code::out_of_range,
              "index " + std::to_string(index) + " of " + std::to_string(length) + " elements");
}

}  // namespace

Status check_text(std::string_view text, std::string_view what) {
  if (text.size() > kMaxValueBytes) {
    return fail(Code::limit_exceeded, std::string(what) + " of " + std::to_string(text.size()) +
                                          " bytes; at most 268435455 are allowed");
  }
  if (is_utf8(text)) return {};
  return fail(Code::invalid_argument, std::string(what) + " is not UTF-8; store it as bytes");
}

Result<Encoded> Editor::encode(const Scalar& value) const {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    PEAT_TRY_VOID(check_text(*text, "a string value"));
  }
  if (const auto* bytes = std::get_if<ByteView>(&value); bytes && bytes->size() > kMaxValueBytes) {
    return fail(Code::limit_exceeded, "a value of " + std::to_string(bytes->size()) + " bytes");
  }
  if (const auto* unknown = std::get_if<UnknownValue>(&value)) {
    if (unknown->type <= kTypeTimestamp || unknown->type > 15 ||
        unknown->bytes.size() > kMaxValueBytes) {
      return fail(Code::invalid_argument,
                  "an unknown value has a type of 10 to 15, not " + std::to_string(unknown->type));
    }
  }
  Encoded out;
  const auto type = std::visit(EncodeScalar{out}, value);
  if (ops_.holds(out.outer)) {
    out.owned.assign(out.outer.begin(), out.outer.end());
    out.outer = {};
  }
  out.meta = meta_of(type, out.bytes().size());
  return out;
}

Action make_action(ObjectType type) {
  switch (type) {
    case ObjectType::list:
      return Action::kMakeList;
    case ObjectType::text:
      return Action::kMakeText;
    case ObjectType::table:
      return Action::kMakeTable;
    case ObjectType::map:
      break;
  }
  return Action::kMakeMap;
}

Result<std::uint32_t> Editor::element(std::uint32_t object, std::size_t index) {
  PEAT_TRY(const auto place, place_at(object, index));
  pending_.typed.object = kNone;
  return ops_.element_slot(object, place);
}

bool Editor::holds(std::uint32_t row, const Encoded& value) const {
  const auto& held = ops_.row(row);
  if (held.action != Action::kSet) return false;
  if ((held.meta & 15) == kTypeCounter && (value.meta & 15) == kTypeCounter) {
    return std::get<Counter>(ops_.scalar(row)).value == Input(value.bytes()).sleb();
  }
  return held.meta == value.meta && std::ranges::equal(ops_.value_bytes(held), value.bytes());
}

Status Editor::set(std::uint32_t slot, const Encoded& value) {
  auto visible = ops_.visible_rows(slot);
  if (!visible.empty()) {
    if (holds(visible.back(), value)) return keep_winner(slot);
  }
  return emit(slot, value.op(), visible);
}

Status Editor::keep_winner(std::uint32_t slot) {
  auto others = ops_.visible_rows(slot);
  if (others.size() < 2) return {};
  others.pop_back();
  return emit(slot, deletion(), others);
}

Result<ObjectId> Editor::make(std::uint32_t slot, ObjectType type) {
  OpView op;
  op.action = make_action(type);
  PEAT_TRY_VOID(emit(slot, op, ops_.visible_rows(slot)));
  return ObjectId{pending_.ops.back().last_id()};
}

Status Editor::erase(std::uint32_t slot) {
  const auto visible = ops_.visible_rows(slot);
  return visible.empty() ? Status() : emit(slot, deletion(), visible);
}

Status Editor::increment(std::uint32_t slot, std::int64_t by) {
  const auto visible = ops_.visible_rows(slot);
  if (std::ranges::none_of(visible, [this](std::uint32_t row) {
        return (ops_.row(row).meta & 15) == kTypeCounter;
      })) {
    return fail(Code::missing_counter, "there is no counter to increment at this place");
  }
  PEAT_TRY(const auto amount, encode(by));
  auto op = amount.op();
  op.action = Action::kIncrement;
  return emit(slot, op, visible);
}

std::uint64_t Editor::element_units(const Run& run, Unit unit) const {
  if (run.rich()) return ops_.units_of_slot(run.value).*unit;
  return unit == &Units::points ? 1 : run.units(1).*unit;
}

Status Editor::find_spot(std::uint32_t object, std::size_t index, Spot& out) const {
  const auto& elements = sequence_of(object);
  const auto& typed = pending_.typed;
  if (typed.object == object && typed.index == index) {
    out = {typed.gap, typed.ref, typed.index};
    return {};
  }
  const auto unit = unit_of(object);
  if (index > elements.total().*unit) return beyond(index, elements.total().*unit);
  if (index != 0) {
    std::uint64_t into = 0;
    const auto place = elements.at_index(index - 1, unit, into);
    const auto& run = elements.run(place);
    out.gap = Sequence::after(place);
    out.ref = run.id(place.offset);
    out.index = index - 1 - into + element_units(run, unit);
  }
  if (ops_.object(object).has_marks) pass_marks(elements, out);
  return {};
}

Status Editor::insert(std::uint32_t object, Spot& at, const OpView& value) {
  OpView op = value;
  op.elem = at.ref;
  op.insert = true;
  if (is_typing(op)) {
    return insert_run(object, at, op.value, static_cast<std::uint8_t>(op.meta >> 4));
  }
  PEAT_TRY(const auto id, next_id());
  const auto row = ops_.insert_row(object, at.gap, op, id);
  at.index += ops_.units_of_slot(ops_.row(row).slot).*unit_of(object);
  PendingOp done;
  done.id = id;
  done.source = row;
  record(done, {});
  at.ref = id;
  return {};
}

Status Editor::insert_text(std::uint32_t object, Spot& at, std::string_view text) {
  if (text.empty()) return {};
  if (ops_.holds(as_bytes(text))) return insert_text(object, at, std::string(text));
  const auto bytes = as_bytes(text);
  for (std::size_t begin = 0; begin < bytes.size();) {
    const auto width = code_point_width(bytes[begin]);
    auto end = begin + width;
    while (end < bytes.size() && code_point_width(bytes[end]) == width) end += width;
    PEAT_TRY_VOID(insert_run(object, at, bytes.subspan(begin, end - begin), width));
    begin = end;
  }
  // Marks at the spot would be asked again where the next insertion goes.
  if (!ops_.object(object).has_marks) pending_.typed = {object, at.gap, at.ref, at.index};
  return {};
}

// Code points of `width` bytes each.
Status Editor::insert_run(std::uint32_t object, Spot& at, ByteView text, std::uint8_t width) {
  PendingOp op;
  op.kind = PendingOp::Kind::typing;
  op.count = static_cast<std::uint32_t>(text.size() / width);
  op.width = width;
  op.source = object;
  op.elem = at.ref;
  op.value = ops_.value_end();
  PEAT_TRY(op.id, next_id(op.count));
  ops_.insert_text(object, at.gap, at.ref, op.id, text, width);
  record_run(op);
  at.ref = advance(op.id, std::int64_t{op.count} - 1);
  at.index += unit_of(object) == &Units::points
                  ? op.count
                  : sequence_of(object).run(at.gap).units(op.count).*unit_of(object);
  return {};
}

Status Editor::erase_range(std::uint32_t object, std::uint64_t index, std::size_t units) {
  const auto& elements = sequence_of(object);
  const auto unit = unit_of(object);
  for (std::uint64_t erased = 0; erased < units;) {
    std::uint64_t into = 0;
    const auto place = elements.at_index(index, unit, into);
    if (elements.at_end(place)) break;
    const auto& run = elements.run(place);
    const auto width = element_units(run, unit);
    if (into != 0) {  // inside an element: on to the next one
      index += width - into;
      continue;
    }
    if (run.rich()) {
      PEAT_TRY_VOID(erase(run.value));
      erased += width;
      continue;
    }
    const auto most = (units - erased + width - 1) / width;
    const auto n =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(most, run.count - place.offset));
    PEAT_TRY_VOID(erase_text(object, place, n));
    erased += n * width;
  }
  return {};
}

Status Editor::erase_at(std::uint32_t object, std::size_t index) {
  PEAT_TRY(const auto place, place_at(object, index));
  const auto& run = sequence_of(object).run(place);
  return run.rich() ? erase(run.value) : erase_text(object, place, 1);
}

Result<std::uint32_t> Editor::object(ObjectId id, bool map) const {
  const auto index = ops_.find_object(id.op);
  if (index == kNone) return fail(Code::not_found, "no such object in this document");
  if (ops_.object(index).is_map() != map) {
    return fail(Code::wrong_type, map ? "the object is a list or text; edit it by index"
                                      : "the object is a map; edit it by key");
  }
  return index;
}

Result<Sequence::Place> Editor::place_at(std::uint32_t object, std::size_t index) const {
  const auto& elements = sequence_of(object);
  std::uint64_t into = 0;
  const auto place = elements.at_index(index, unit_of(object), into);
  if (elements.at_end(place)) return beyond(index, elements.total().*unit_of(object));
  return place;
}

void Editor::pass_marks(const Sequence& elements, Spot& at) const {
  struct Candidate {
    Sequence::Place gap;
    OpId ref;
  };
  std::vector<Candidate> spots{{at.gap, at.ref}};
  for (auto p = elements.normalised(at.gap); !elements.at_end(p); p = elements.next_run(p)) {
    const auto& run = elements.run(p);
    if (!run.rich()) {
      if (run.visible()) break;
      continue;
    }
    const auto& row = ops_.row(ops_.slot(run.value).first);
    if (row.action != Action::kMark) {
      if (ops_.slot(run.value).winner != kNone) break;
      continue;
    }
    const bool begins = row.extra != kNone;
    if (!begins) {
      const auto begin =
          std::ranges::find(spots, OpId(row.id.counter() - 1, row.id.actor()), &Candidate::ref);
      if (begin != spots.end() && begin != spots.begin()) {
        spots.erase(begin, spots.end());
        continue;
      }
    }
    if (begins == row.expand) spots.push_back({Sequence::after(p), row.id});
  }
  at.gap = spots.back().gap;
  at.ref = spots.back().ref;
}

Status Editor::erase_text(std::uint32_t object, Sequence::Place place, std::uint32_t n) {
  PendingOp op;
  op.kind = PendingOp::Kind::deleting;
  op.count = n;
  op.step = n == 1 ? std::int8_t{0} : std::int8_t{1};
  op.source = object;
  op.elem = sequence_of(object).id(place);
  PEAT_TRY(op.id, next_id(n));
  ops_.erase_text(object, place, n, op.id, 1);
  record_run(op);
  return {};
}

Result<OpId> Editor::next_id(std::uint32_t n) {
  const auto counter = std::uint64_t{pending_.start_op} + pending_.count;
  if (counter + n > kMaxCounter) {
    return fail(Code::limit_exceeded, "the document has used up its 2^32 operation counters");
  }
  if (pending_.actor == kNone) pending_.actor = impl_.actors.add(impl_.actor.bytes);
  return OpId(static_cast<std::uint32_t>(counter), pending_.actor);
}

OpView Editor::deletion() {
  OpView op;
  op.action = Action::kDelete;
  return op;
}

Status Editor::emit(std::uint32_t slot, const OpView& op, std::span<const std::uint32_t> replaced) {
  static const auto kMost = Limits().automerge_predecessors;
  if (replaced.size() > kMost) {
    return fail(Code::limit_exceeded, std::to_string(replaced.size()) +
                                          " conflicting values at one place; at most " +
                                          std::to_string(kMost) + " can be replaced");
  }
  PEAT_TRY(const auto id, next_id());
  for (const auto row : replaced) {
    ops_.add_successor(row, id, op.action == Action::kIncrement);
  }
  PendingOp done;
  done.id = id;
  if (op.action == Action::kDelete) {
    done.kind = PendingOp::Kind::deletion;
    done.source = slot;
  } else {
    done.source = ops_.add_row(slot, op, id);
  }
  record(done, replaced);
  return {};
}

void Editor::record(PendingOp op, std::span<const std::uint32_t> replaced) {
  op.preds_begin = static_cast<std::uint32_t>(pending_.preds.size());
  op.preds_count = static_cast<std::uint32_t>(replaced.size());
  for (const auto pred : replaced) pending_.preds.push_back(ops_.row(pred).id);
  record_run(op);
}

void Editor::record_run(const PendingOp& op) {
  pending_.typed.object = kNone;
  pending_.count += op.count;
  if (!pending_.ops.empty() && extend(pending_.ops.back(), op)) return;
  pending_.ops.push_back(op);
}

bool Editor::extend(PendingOp& last, const PendingOp& op) {
  if (last.kind != op.kind) return false;
  if (op.kind == PendingOp::Kind::row) {
    if (op.source != last.source + last.count || op.preds_count != last.preds_count) return false;
    ++last.count;
    return true;
  }
  if (op.kind == PendingOp::Kind::deletion || last.source != op.source) return false;
  if (op.kind == PendingOp::Kind::typing) {
    if (last.width != op.width || op.elem != advance(last.id, std::int64_t{last.count} - 1) ||
        op.value != last.value + last.count * last.width) {
      return false;
    }
  } else {
    const auto end = advance(last.elem, std::int64_t{last.step} * (last.count - 1));
    const auto step = std::int64_t{op.elem.counter()} - std::int64_t{end.counter()};
    if (op.elem.actor() != end.actor() || (step != 1 && step != -1) ||
        (last.count > 1 && last.step != step) || (op.count > 1 && op.step != step)) {
      return false;
    }
    last.step = static_cast<std::int8_t>(step);
  }
  last.count += op.count;
  return true;
}

}  // namespace peat::automerge
