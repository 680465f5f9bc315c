// Which marks hold at a point of a text.
//
// Going through a text from its begin, every mark's begin opens it and its end (whose id is the
// begin's plus one) closes it; of the open marks of one name the one with the greatest id holds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "automerge/visibility.hpp"
#include "peat/automerge/marks.hpp"

namespace peat::automerge {

class ActiveMarks {
 public:
  ActiveMarks(const OpSet& ops, const ActorTable& actors) : ops_(ops), actors_(actors) {}

  // Takes in the row of a begin or end. The name for which another mark or none holds since, if
  // there is one. Cost: logarithmic in the open marks.
  std::optional<std::string_view> pass(std::uint32_t row);
  // The begin of the mark that holds for a name; kNone.
  std::uint32_t holding(std::string_view name) const;
  // What holds, without names taken away (null).
  MarkSet set() const;
  // What has to be said about text under `before` to have it under `after`; null: the name goes.
  static MarkSet difference(const ActiveMarks& before, const ActiveMarks& after);

  bool is_null(std::uint32_t row) const { return (ops_.row(row).meta & 15) == kTypeNull; }
  // Whether two marks, kNone being none, say the same; no mark says null.
  bool same_value(std::uint32_t a, std::uint32_t b) const;

 private:
  struct Less {
    const ActorTable* actors;
    bool operator()(OpId a, OpId b) const { return actors->less(a, b); }
  };
  const OpSet& ops_;
  const ActorTable& actors_;
  std::map<std::string_view, std::map<OpId, std::uint32_t, Less>> open_;
};

}  // namespace peat::automerge
