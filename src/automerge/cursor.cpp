#include "peat/automerge/cursor.hpp"

#include <algorithm>

#include "automerge/document_impl.hpp"
#include "automerge/op_text.hpp"
#include "automerge/view_impl.hpp"

namespace peat::automerge {

// The grammar is in the header.

namespace {

constexpr std::uint8_t kOldForm = 0;
constexpr std::uint8_t kForm = 1;
constexpr std::uint8_t kStart = 1;
constexpr std::uint8_t kEnd = 2;
constexpr std::uint8_t kElement = 3;
constexpr std::uint8_t kMoveBefore = 1;
constexpr std::uint8_t kMoveAfter = 2;

std::uint8_t byte(Input& in) {
  const auto taken = in.take(1);
  return taken.empty() ? std::uint8_t{0} : taken[0];
}

void read_element(Input& in, Cursor& cursor) {
  cursor.kind = Cursor::Kind::element;
  const auto actor = in.prefixed();
  const auto counter = in.uleb();
  if (in.failed()) return;
  if (actor.empty() || actor.size() > LoadLimits().actor_bytes) {
    return in.fail_with("has an actor id of no or more than 65,535 bytes");
  }
  if (counter == 0 || counter > UINT32_MAX) {
    return in.fail_with("has a counter that no operation has");
  }
  cursor.actor.bytes.assign(actor.begin(), actor.end());
  cursor.counter = static_cast<std::uint32_t>(counter);
}

void read_form(Input& in, Cursor& cursor) {
  switch (byte(in)) {
    case kStart:
      cursor.kind = Cursor::Kind::start;
      return;
    case kEnd:
      cursor.kind = Cursor::Kind::end;
      return;
    case kElement:
      break;
    default:
      return in.fail_with("is neither start (01), end (02) nor element (03)");
  }
  read_element(in, cursor);
  const auto move = byte(in);
  if (move != kMoveBefore && move != kMoveAfter) {
    return in.fail_with("moves neither before (01) nor after (02)");
  }
  cursor.move = move == kMoveBefore ? Cursor::Move::before : Cursor::Move::after;
}

}  // namespace

std::string Cursor::to_string() const {
  if (kind == Kind::start) return "s";
  if (kind == Kind::end) return "e";
  return (move == Move::before ? "-" : "") + op_text(counter, actor.bytes);
}

Result<Cursor> Cursor::parse(std::string_view text) {
  return guarded([&]() -> Result<Cursor> {
    Cursor out;
    if (text == "s") return out;
    out.kind = Kind::end;
    if (text == "e") return out;
    out.kind = Kind::element;
    if (text.starts_with('-')) {
      out.move = Move::before;
      text.remove_prefix(1);
    }
    PEAT_TRY(auto op, parse_op_text(text, "the cursor"));
    out.actor = std::move(op.actor);
    out.counter = op.counter;
    return out;
  });
}

Bytes Cursor::encode() const {
  if (kind == Kind::start) return {kForm, kStart};
  if (kind == Kind::end) return {kForm, kEnd};
  Bytes out{kForm, kElement};
  put_uleb(out, actor.bytes.size());
  put_bytes(out, actor.bytes);
  put_uleb(out, counter);
  out.push_back(move == Move::before ? kMoveBefore : kMoveAfter);
  return out;
}

Result<Cursor> Cursor::decode(ByteView bytes) {
  return guarded([&]() -> Result<Cursor> {
    Cursor out;
    Input in(bytes);
    const auto form = byte(in);
    if (form == kOldForm) {
      read_element(in, out);
    } else if (form == kForm) {
      read_form(in, out);
    } else {
      in.fail_with("has a form other than 00 and 01");
    }
    if (!in.failed() && !in.done()) in.fail_with("has bytes left over");
    if (in.failed()) return in.error("a cursor");
    return out;
  });
}

// --- in a document --------------------------------------------------------------------------

namespace {

// The element that an operation made or set; at_end if it is none of the sequence's.
Sequence::Place place_of(const OpSet& ops, std::uint32_t object, OpId op) {
  const auto row = ops.find_row(op);
  if (row != kNone && !ops.row(row).insert && ops.slot(ops.row(row).slot).object == object) {
    return ops.place_of(ops.row(row).slot);
  }
  return ops.find_element(object, op);
}

// The visible element that a deleted one goes back to: along what it was typed behind.
std::uint64_t before(const Reading& reading, std::uint32_t object, Unit unit,
                     Sequence::Place place) {
  const auto& ops = reading.ops();
  const auto& sequence = *ops.object(object).sequence;
  while (!sequence.at_end(place)) {
    const auto& run = sequence.run(place);
    OpId ref;
    if (run.rich()) {
      const auto first = ops.slot(run.value).first;
      if (reading.winner(run.value) != kNone) break;
      ref = ops.row(first).ref;
    } else {
      const auto part = reading.visible_part(run);
      if (part.count() != 0 && place.offset >= part.begin) {
        place.offset = std::min(place.offset, part.end - 1);
        break;
      }
      ref = run.ref;
    }
    if (ref.none()) return 0;
    place = ops.find_element(object, ref);
  }
  return sequence.at_end(place) ? 0 : index_of(reading, object, unit, place);
}

}  // namespace

Result<Cursor> View::cursor(ObjectId object, std::size_t index, Cursor::Move move) const {
  return guarded([&]() -> Result<Cursor> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto sequence, in.sequence(object));
    Indexed at;
    if (!find_index(in.reading, sequence, in.unit_of(sequence), index, at)) {
      return in.beyond(sequence, index);
    }
    const auto op = at.run != nullptr ? at.run->id(at.place.offset) : in.ops().row(at.row).id;
    Cursor out;
    out.kind = Cursor::Kind::element;
    out.move = move;
    out.actor = document_->actor_of(op);
    out.counter = op.counter();
    return out;
  });
}

Result<std::size_t> View::position(ObjectId object, const Cursor& cursor) const {
  return guarded([&]() -> Result<std::size_t> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto sequence, in.sequence(object));
    if (cursor.kind == Cursor::Kind::start) return std::size_t{0};
    const auto unit = in.unit_of(sequence);
    if (cursor.kind == Cursor::Kind::end) {
      return static_cast<std::size_t>(length_of(in.reading, sequence, unit));
    }
    const auto actor = in.impl.actors.find(cursor.actor.bytes);
    const OpId op(cursor.counter, actor.value_or(0));
    if (!actor || !in.reading.covers(op)) {
      return fail(Code::not_found, "the cursor's operation " + cursor.to_string() +
                                       " is not in the document at these heads");
    }
    const auto place = place_of(in.ops(), sequence, op);
    const auto& elements = *in.ops().object(sequence).sequence;
    if (elements.at_end(place)) {
      return fail(Code::not_found,
                  "the cursor " + cursor.to_string() + " is none of this list or text");
    }
    if (cursor.move == Cursor::Move::before) {
      return static_cast<std::size_t>(before(in.reading, sequence, unit, place));
    }
    return static_cast<std::size_t>(index_of(in.reading, sequence, unit, place));
  });
}

}  // namespace peat::automerge
