// Formatting and blocks in texts.
//
// A mark gives a range of a text a named value: {"bold": true}, {"link": "https://…"}. Where marks
// of one name overlap, the one made last (the greatest operation id) holds; a mark of value null
// takes the name away. Marks count for nothing in length and positions.
//
// A block is a map that stands in a text like one character (U+FFFC) and begins a paragraph, a
// list item, …: what its keys mean is the application's.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "peat/automerge/types.hpp"

namespace peat::automerge {

using MarkSet = std::map<std::string, OwnedScalar, std::less<>>;

struct Mark {
  std::size_t start = 0;  // in the document's text unit
  std::size_t end = 0;    // exclusive
  std::string name;
  OwnedScalar value;
  friend bool operator==(const Mark&, const Mark&) = default;
};

// At which of its ends a mark takes in what is inserted there: `after` for bold text, that one goes
// on typing in; `none` for links.
enum class Expand : std::uint8_t { none, before, after, both };

// A stretch of text under the same marks, or a block.
struct Span {
  std::string text;  // empty: a block
  MarkSet marks;     // none of value null
  ObjectId block;    // kRoot: text
  bool is_block() const { return !block.op.none(); }
  friend bool operator==(const Span&, const Span&) = default;
};

}  // namespace peat::automerge
