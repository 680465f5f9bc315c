#include "automerge/visibility.hpp"

#include <algorithm>

#include "automerge/leb.hpp"

namespace peat::automerge {

namespace {

bool is_counter(const OpRow& row) {
  return row.action == Action::kSet && (row.meta & 15) == kTypeCounter;
}

bool is_value(const OpRow& row) { return row.action == Action::kSet || makes_object(row.action); }

std::int64_t amount_of(const OpSet& ops, const OpRow& row) {
  Input in(ops.value_bytes(row));
  return (row.meta & 15) == kTypeUint ? static_cast<std::int64_t>(in.uleb()) : in.sleb();
}

}  // namespace

void Clock::cover(std::uint32_t actor, std::uint32_t counter) {
  if (actor >= greatest_.size()) greatest_.resize(actor + 1);
  greatest_[actor] = std::max(greatest_[actor], counter);
}

// Whether anything in the set but the increment of a counter succeeds the row.
bool Reading::replaced(const OpRow& row) const {
  if (row.links == kNone) return false;
  std::vector<OpId> successors;
  ops_.successors(row, successors);
  return std::ranges::any_of(successors, [&](OpId id) {
    if (!covers(id)) return false;
    if (!is_counter(row)) return true;
    const auto by = ops_.find_row(id);
    return by == kNone || ops_.row(by).action != Action::kIncrement;
  });
}

bool Reading::visible_row(std::uint32_t index) const {
  const auto& row = ops_.row(index);
  if (clock_ == nullptr) return row.visible;
  return is_value(row) && covers(row.id) && !replaced(row);
}

bool Reading::active_mark(std::uint32_t index) const {
  const auto& row = ops_.row(index);
  return row.action == Action::kMark && covers(row.id) && !replaced(row);
}

std::uint32_t Reading::winner(std::uint32_t slot) const {
  if (slot == kNone) return kNone;
  if (clock_ == nullptr) return ops_.slot(slot).winner;
  auto found = kNone;
  for (auto at = ops_.slot(slot).first; at != kNone; at = ops_.row(at).next) {
    if (visible_row(at)) found = at;
  }
  return found;
}

std::vector<std::uint32_t> Reading::visible(std::uint32_t slot) const {
  if (clock_ == nullptr) return ops_.visible_rows(slot);
  std::vector<std::uint32_t> out;
  if (slot == kNone) return out;
  for (auto at = ops_.slot(slot).first; at != kNone; at = ops_.row(at).next) {
    if (visible_row(at)) out.push_back(at);
  }
  return out;
}

bool Reading::conflict(std::uint32_t slot) const {
  if (clock_ == nullptr) return ops_.slot(slot).visible > 1;
  return ops_.slot(slot).first != ops_.slot(slot).last && visible(slot).size() > 1;
}

std::int64_t Reading::increments(std::uint32_t index) const {
  std::vector<OpId> successors;
  ops_.successors(ops_.row(index), successors);
  std::uint64_t sum = 0;
  for (const auto id : successors) {
    const auto by = covers(id) ? ops_.find_row(id) : kNone;
    if (by == kNone || ops_.row(by).action != Action::kIncrement) continue;
    sum += static_cast<std::uint64_t>(amount_of(ops_, ops_.row(by)));
  }
  return static_cast<std::int64_t>(sum);
}

Scalar Reading::scalar(std::uint32_t index) const {
  if (clock_ == nullptr || !is_counter(ops_.row(index))) return ops_.scalar(index);
  Input in(ops_.value_bytes(ops_.row(index)));
  return Counter{static_cast<std::int64_t>(static_cast<std::uint64_t>(in.sleb()) +
                                           static_cast<std::uint64_t>(increments(index)))};
}

Value Reading::value(std::uint32_t index) const {
  const auto& row = ops_.row(index);
  if (!makes_object(row.action)) return {scalar(index), row.id};
  return {ObjectRef{ops_.object(row.extra).type, ObjectId{row.id}}, row.id};
}

Stretch Reading::visible_part(const Run& run) const {
  if (clock_ == nullptr) return {0, run.visible() ? run.count : 0};
  // How many of `count` counters going up from `first` are covered.
  const auto covered = [this](OpId first, std::uint32_t count) {
    const auto greatest = clock_->greatest(first.actor());
    return greatest < first.counter() ? 0 : std::min(count, greatest - first.counter() + 1);
  };
  Stretch out{0, covered(run.first, run.count)};
  if (run.visible()) return out;
  if (run.step >= 0) {
    out.begin = std::min(out.end, covered(run.successor, run.count));
  } else {
    out.end = std::min(out.end, run.count - covered(run.successor_of(run.count - 1), run.count));
  }
  return out;
}

Units Reading::units_of(std::uint32_t winner) const {
  return winner == kNone ? Units{} : ops_.units_of_row(winner);
}

// --- sequences ------------------------------------------------------------------------------

Walk::Walk(const Reading& reading, std::uint32_t object, Unit unit)
    : reading_(reading),
      sequence_(*reading.ops().object(object).sequence),
      unit_(unit),
      at_(sequence_.begin()) {}

bool Walk::look(Piece& piece) const {
  const auto& ops = reading_.ops();
  const auto& run = sequence_.run(at_);
  piece.index = index_;
  if (!run.rich()) {
    piece.kind = Piece::Kind::text;
    piece.row = kNone;
    piece.run = &run;
    piece.part = reading_.visible_part(run);
    if (piece.part.count() == 0) return false;
    piece.place = {at_.leaf, at_.run, piece.part.begin};
    // A deleted run knows no units of its own.
    const std::uint64_t n = piece.part.count();
    piece.units = {n, run.width == 4 ? 2 * n : n, n * run.width};
    return true;
  }
  piece.place = at_;
  piece.run = nullptr;
  const auto first = ops.slot(run.value).first;
  if (ops.row(first).action == Action::kMark) {
    piece.kind = Piece::Kind::mark;
    piece.row = first;
    piece.units = {};
    return reading_.active_mark(first);
  }
  piece.kind = Piece::Kind::value;
  piece.row = reading_.winner(run.value);
  piece.units = reading_.units_of(piece.row);
  return piece.row != kNone;
}

bool Walk::next(Piece& piece) {
  while (!sequence_.at_end(at_)) {
    const bool found = look(piece);
    at_ = sequence_.next_run(at_);
    if (!found) continue;
    index_ += piece.units.*unit_;
    return true;
  }
  return false;
}

std::string_view text_of(const OpSet& ops, const Piece& piece) {
  if (piece.kind == Piece::Kind::text) {
    return as_text(ops.text_bytes(*piece.run, piece.part.begin, piece.part.count()));
  }
  const auto& row = ops.row(piece.row);
  const bool is_text = row.action == Action::kSet && (row.meta & 15) == kTypeText;
  return is_text ? as_text(ops.value_bytes(row)) : kObjectCharacter;
}

namespace {

Units units_of_one(const Run& run) { return {1, run.width == 4 ? 2U : 1U, run.width}; }

void found_in(const Piece& piece, std::uint64_t into, Unit unit, const OpSet& ops, Indexed& out) {
  out.run = piece.run;
  out.row = piece.row;
  out.place = piece.place;
  out.index = piece.index;
  out.units = piece.units;
  if (piece.kind == Piece::Kind::value) {
    out.slot = ops.row(piece.row).slot;
    return;
  }
  out.units = units_of_one(*piece.run);
  const auto element = into / (out.units.*unit);
  out.place.offset += static_cast<std::uint32_t>(element);
  out.index += element * (out.units.*unit);
}

}  // namespace

bool find_index(const Reading& reading, std::uint32_t object, Unit unit, std::uint64_t index,
                Indexed& out) {
  const auto& ops = reading.ops();
  out = {};
  if (reading.clock() == nullptr) {
    const auto& sequence = *ops.object(object).sequence;
    std::uint64_t into = 0;
    out.place = sequence.at_index(index, unit, into);
    if (sequence.at_end(out.place)) return false;
    out.index = index - into;
    const auto& run = sequence.run(out.place);
    if (run.rich()) {
      out.slot = run.value;
      out.row = ops.slot(run.value).winner;
      out.units = reading.units_of(out.row);
    } else {
      out.run = &run;
      out.units = units_of_one(run);
    }
    return true;
  }
  Walk walk(reading, object, unit);
  for (Piece piece; walk.next(piece);) {
    if (index >= walk.index()) continue;
    found_in(piece, index - piece.index, unit, ops, out);
    return true;
  }
  return false;
}

std::uint64_t index_of(const Reading& reading, std::uint32_t object, Unit unit,
                       Sequence::Place place) {
  if (reading.clock() == nullptr) {
    return reading.ops().object(object).sequence->index_of(place, unit);
  }
  Walk walk(reading, object, unit);
  for (Piece piece; walk.next(piece);) {
    if (piece.place.leaf < place.leaf ||
        (piece.place.leaf == place.leaf && piece.place.run < place.run)) {
      continue;
    }
    const bool inside = piece.kind == Piece::Kind::text && piece.place.leaf == place.leaf &&
                        piece.place.run == place.run && place.offset > piece.part.begin;
    if (!inside) return piece.index;
    const auto before = std::min(place.offset, piece.part.end) - piece.part.begin;
    return piece.index + before * (units_of_one(*piece.run).*unit);
  }
  return walk.index();
}

std::uint64_t length_of(const Reading& reading, std::uint32_t object, Unit unit) {
  if (reading.clock() == nullptr) return reading.ops().object(object).sequence->total().*unit;
  Walk walk(reading, object, unit);
  for (Piece piece; walk.next(piece);) continue;
  return walk.index();
}

}  // namespace peat::automerge
