// A document's values away from it: plain data that can be kept, sent to another thread, compared,
// brought up to date by patches (patch.hpp), and written back (Transaction::update_object).
//
//   Tree shown = *doc.read().hydrate();
//   doc.observe([&](std::span<const Patch> patches) {
//     for (const auto& patch : patches) apply(shown, patch, TextUnit::code_point);
//   });
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "peat/automerge/marks.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

struct Patch;
struct TreeEntry;
struct TreeSpan;

struct PEAT_API Tree {
  using Map = std::vector<TreeEntry>;   // by key, bytewise ascending; tables too
  using List = std::vector<TreeEntry>;  // in order, keys empty
  using Text = std::vector<TreeSpan>;   // neighbours differ in their marks, or one is a block
  enum class Kind : std::uint8_t { scalar, map, list, text };

  Kind kind = Kind::scalar;
  OwnedScalar scalar;
  std::vector<TreeEntry> entries;  // map, list
  std::vector<TreeSpan> spans;     // text

  static Tree of(const Scalar& value);
  static Tree map(std::vector<TreeEntry> entries);  // in any order; of equal keys the last counts
  static Tree list(std::vector<Tree> items);
  static Tree text(std::string_view content);
  // A map's value; null if there is none.
  const Tree* find(std::string_view key) const;
  std::string plain_text() const;  // of a text; blocks as U+FFFC
  friend PEAT_API bool operator==(const Tree& a, const Tree& b);
};

struct TreeEntry {
  std::string key;
  Tree value;
  bool conflict = false;  // others lost to it
  friend bool operator==(const TreeEntry&, const TreeEntry&) = default;
};

struct TreeSpan {
  std::string text;              // empty: a block
  MarkSet marks;                 // of text
  std::vector<TreeEntry> block;  // the block's map
  friend bool operator==(const TreeSpan&, const TreeSpan&) = default;
};

// Brings a tree up to date. It must be what hydrate() gave of the root, with every patch since
// applied in order; `unit` is the document's text unit then. Code::invalid_argument if the patch
// does not fit; the tree is unchanged then.
PEAT_API Status apply(Tree& root, const Patch& patch, TextUnit unit);

}  // namespace peat::automerge
