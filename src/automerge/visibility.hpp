// What of an op set is visible: now, or as it was at some heads.
//
// A Clock is a set of changes closed under "came before", as the greatest counter of each actor in
// it. An operation is in the set if its counter is not above its actor's; a value is visible if it
// is in the set and nothing in the set replaced it. Of a text run that leaves one stretch: ids and
// successors both go up (or the successors down) by one from element to element, so what is not
// in the set is an end of the run, and what is deleted in it another.
//
// Cost: a slot is a walk over its rows and their successors, a text run a few comparisons. Without
// a clock the op set's own books answer.
#pragma once

#include <cstdint>
#include <vector>

#include "automerge/opset.hpp"

namespace peat::automerge {

inline constexpr std::string_view kObjectCharacter = "\xef\xbf\xbc";  // U+FFFC, for no text

class Clock {
 public:
  bool covers(OpId id) const {
    return id.actor() < greatest_.size() && id.counter() <= greatest_[id.actor()];
  }
  std::uint32_t greatest(std::uint32_t actor) const {
    return actor < greatest_.size() ? greatest_[actor] : 0;
  }
  void cover(std::uint32_t actor, std::uint32_t counter);

 private:
  std::vector<std::uint32_t> greatest_;  // by actor
};

// A stretch of a run's elements.
struct Stretch {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  std::uint32_t count() const { return end - begin; }
};

class Reading {
 public:
  // `clock` null: everything.
  Reading(const OpSet& ops, const Clock* clock) : ops_(ops), clock_(clock) {}

  const OpSet& ops() const { return ops_; }
  const Clock* clock() const { return clock_; }
  bool covers(OpId id) const { return clock_ == nullptr || id.none() || clock_->covers(id); }

  // Rows of a slot; kNone stands for a slot that does not exist.
  std::uint32_t winner(std::uint32_t slot) const;  // kNone
  std::vector<std::uint32_t> visible(std::uint32_t slot) const;
  bool visible_row(std::uint32_t row) const;
  bool conflict(std::uint32_t slot) const;  // more than one visible
  // Marks: in the set and not deleted in it.
  bool active_mark(std::uint32_t row) const;
  Scalar scalar(std::uint32_t row) const;  // counters with the increments in the set
  Value value(std::uint32_t row) const;

  Stretch visible_part(const Run& run) const;  // of typed text
  // What an element of a slot takes up in its sequence.
  Units units_of(std::uint32_t winner) const;

 private:
  std::int64_t increments(std::uint32_t row) const;
  bool replaced(const OpRow& row) const;

  const OpSet& ops_;
  const Clock* clock_;
};

// What stands at a place of a sequence: visible typed text by stretch, every other visible element
// and every active mark alone.
struct Piece {
  enum class Kind : std::uint8_t { text, value, mark };
  Kind kind = Kind::text;
  Sequence::Place place;      // of its first element
  const Run* run = nullptr;   // text
  Stretch part;               // text
  std::uint32_t row = kNone;  // value: the winner; mark: its begin or end
  std::uint64_t index = 0;    // visible units before it
  Units units;

  OpId id(const OpSet& ops) const { return row == kNone ? run->id(part.begin) : ops.row(row).id; }
};

// Goes through the pieces of a sequence in order.
class Walk {
 public:
  Walk(const Reading& reading, std::uint32_t object, Unit unit);
  bool next(Piece& piece);
  std::uint64_t index() const { return index_; }  // behind the last piece

 private:
  bool look(Piece& piece) const;

  const Reading& reading_;
  const Sequence& sequence_;
  Unit unit_;
  Sequence::Place at_;
  std::uint64_t index_ = 0;
};

// The text of a piece: what its string says, U+FFFC for what is none.
std::string_view text_of(const OpSet& ops, const Piece& piece);
// The element of a place and the visible units before it; nothing at the end.
struct Indexed {
  Sequence::Place place;
  const Run* run = nullptr;
  std::uint32_t row = kNone;   // of a value: the winner
  std::uint32_t slot = kNone;  // of a value
  std::uint64_t index = 0;     // of the element's first unit
  Units units;                 // of the element
};
bool find_index(const Reading& reading, std::uint32_t object, Unit unit, std::uint64_t index,
                Indexed& out);
// How many visible units come before a place.
std::uint64_t index_of(const Reading& reading, std::uint32_t object, Unit unit,
                       Sequence::Place place);
// Visible units of a sequence.
std::uint64_t length_of(const Reading& reading, std::uint32_t object, Unit unit);

}  // namespace peat::automerge
