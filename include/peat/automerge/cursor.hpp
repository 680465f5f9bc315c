// Places in a list or text that stay where they are while others edit around them.
//
//   auto cursor = doc.read().cursor(text, 5);      // before the sixth character
//   store(cursor->to_string());                     // "12@8f3a…"
//   ...edits, merges, another session...
//   auto index = doc.read().position(text, *Cursor::parse(stored));
//
// A cursor names the operation that made an element, or an end of the sequence. It holds nothing
// of the document and is valid in every replica that has the operation.
//
// Forms, the same as those of the Rust and JavaScript implementations:
//   text   "s" (start), "e" (end), ["-"] counter "@" actor in hex; "-": moves before
//   bytes  01 01 (start) | 01 02 (end)
//          | 01 03, ULEB length, actor, ULEB counter, 01 (moves before) or 02 (moves after)
//          | 00, ULEB length, actor, ULEB counter (the old form; moves after)
// Reading refuses anything else, and bytes that are left over, with Code::malformed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "peat/automerge/types.hpp"

namespace peat::automerge {

struct PEAT_API Cursor {
  enum class Kind : std::uint8_t { start, end, element };
  // Where a cursor goes whose element was deleted: to the next element that is left, or back along
  // what its element was typed behind to one that is.
  enum class Move : std::uint8_t { before, after };

  Kind kind = Kind::start;
  Move move = Move::after;
  ActorId actor;              // element
  std::uint32_t counter = 0;  // element

  std::string to_string() const;
  static Result<Cursor> parse(std::string_view text);
  Bytes encode() const;
  static Result<Cursor> decode(ByteView bytes);
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

}  // namespace peat::automerge
