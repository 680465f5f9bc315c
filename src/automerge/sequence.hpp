// The elements of a list or text in their order, deleted ones included, as runs.
//
// A run is what typing makes: insertions of one code point each, with consecutive ids of one
// actor, each keyed to the one before and standing behind it, all visible or all deleted by
// operations whose ids lie one apart. Anything else (a value that is no single code point, a
// conflict, a counter, a mark, an object, two deletions) is a rich run: one element that is a slot
// of the OpSet. Histories of people writing take 5 to 15 elements a run.
//
//   sequence: [ leaf | leaf | leaf | … ]         order_ and, beside it, sums_ by position
//                 |                              groups_: sums of 64 positions
//             [ run | run | … ]                  at most 64
//
// Cost: 40 bytes a run. Inserting, deleting and finding an index go through the sums: three scans
// of 64 entries up to 260,000 runs; the leaf of the last look-up is remembered, because edits
// cluster.
#pragma once

#include <cstdint>
#include <vector>

#include "automerge/op_id.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

// The length of visible text in the three units that interfaces count in. Elements that are no
// text count as U+FFFC; list elements count 1 in each.
struct Units {
  std::uint64_t points = 0;  // code points
  std::uint64_t utf16 = 0;
  std::uint64_t utf8 = 0;

  Units& operator+=(const Units& o) {
    points += o.points;
    utf16 += o.utf16;
    utf8 += o.utf8;
    return *this;
  }
  Units& operator-=(const Units& o) {
    points -= o.points;
    utf16 -= o.utf16;
    utf8 -= o.utf8;
    return *this;
  }
  friend bool operator==(const Units&, const Units&) = default;
};
using Unit = std::uint64_t Units::*;

struct Run {
  OpId first;
  OpId ref;        // of the first: the element before; none: the head
  OpId successor;  // of the first: what deleted it; none: the run is visible
  std::uint32_t count = 1;
  std::uint32_t value = 0;   // text: offset of the bytes in the OpSet; rich: the slot
  std::uint32_t points = 0;  // visible
  std::uint8_t width = 0;    // bytes of each code point, 1 to 4; 0: rich
  std::int8_t step = 0;      // of the successors from one element to the next; 0: one element

  bool rich() const { return width == 0; }
  bool visible() const { return successor.none(); }  // of text
  OpId id(std::uint32_t i) const { return advance(first, i); }
  OpId ref_of(std::uint32_t i) const { return i == 0 ? ref : advance(first, i - 1); }
  OpId successor_of(std::uint32_t i) const {
    return successor.none() ? successor : advance(successor, std::int64_t{step} * i);
  }
  // Only text runs know their units; a rich run's owner does.
  Units units(std::uint32_t elements) const {
    if (!visible()) return {};
    const std::uint64_t n = elements;
    return {n, width == 4 ? 2 * n : n, n * width};
  }
};

class Sequence {
 public:
  struct Leaf {
    std::vector<Run> runs;
    std::uint32_t object = 0;
    std::uint32_t position = 0;
  };
  // All leaves of an OpSet by id. Ids are stable; positions within a sequence are not.
  using Leaves = std::vector<Leaf>;
  // Told which leaf a run went to when it is another than before.
  struct Owner {
    virtual void placed(const Run& run, std::uint32_t leaf) = 0;
    virtual Units units_of_slot(std::uint32_t slot) const = 0;

   protected:
    ~Owner() = default;
  };
  // An element, or (offset == count) the gap behind a run.
  struct Place {
    std::uint32_t leaf = 0;  // position, not id
    std::uint32_t run = 0;
    std::uint32_t offset = 0;
    friend auto operator<=>(const Place&, const Place&) = default;
  };

  Sequence(std::uint32_t object, Leaves& leaves, Owner& owner)
      : leaves_(leaves), owner_(owner), object_(object) {}
  // The same elements; the leaves have been copied, too.
  Sequence(const Sequence& other, Leaves& leaves, Owner& owner)
      : leaves_(leaves),
        owner_(owner),
        object_(other.object_),
        order_(other.order_),
        sums_(other.sums_),
        groups_(other.groups_),
        total_(other.total_) {}

  const Units& total() const { return total_; }
  std::size_t leaf_count() const { return order_.size(); }
  std::uint32_t leaf_id(Place p) const { return order_[p.leaf]; }
  std::size_t memory_bytes() const;

  // --- walking; by run or by element ---
  Place begin() const { return {}; }
  Place last() const;  // of a sequence that is not empty
  bool at_end(Place p) const { return p.leaf >= order_.size(); }
  const Run& run(Place p) const { return leaf(p).runs[p.run]; }
  OpId id(Place p) const { return run(p).id(p.offset); }
  Place next_run(Place p) const { return normalised({p.leaf, p.run + 1, 0}); }
  Place next(Place p) const { return normalised({p.leaf, p.run, p.offset + 1}); }
  // Before the first: at_end.
  Place previous(Place p) const;
  // A gap as the element behind it; at_end if there is none.
  Place normalised(Place p) const;
  // The gap behind an element.
  static Place after(Place p) { return {p.leaf, p.run, p.offset + 1}; }

  // The element that covers position `index`; at_end if there are fewer. `into`: how many units of
  // it come before `index`.
  Place at_index(std::uint64_t index, Unit unit, std::uint64_t& into) const;
  // How many units come before the element.
  std::uint64_t index_of(Place p, Unit unit) const;
  // The element `id` in a leaf, which has it; at_end otherwise.
  Place find(std::uint32_t leaf_id, OpId id) const;

  // --- changing; places do not survive ---
  // Only for loading: at the end; `units` are settled later by recount().
  void append(const Run& run);
  void recount();
  // At a gap. Goes on with the run before where it can. Gives the gap behind.
  Place insert(Place gap, const Run& run, const Units& units);
  // Marks `n` visible elements of one text run as deleted by `successor`, and on by `step`.
  void erase(Place p, std::uint32_t n, OpId successor, std::int8_t step);
  // Makes the element of a text run a rich one; its units change from the run's to `units`.
  void make_rich(Place p, std::uint32_t slot, const Units& units);
  // A rich element shows something else now.
  void set_units(Place p, const Units& before, const Units& now);

 private:
  static constexpr std::size_t kLeafRuns = 64;
  static constexpr std::size_t kGroup = 64;

  const Leaf& leaf(Place p) const { return leaves_[order_[p.leaf]]; }
  Leaf& leaf(Place p) { return leaves_[order_[p.leaf]]; }
  Units units_of(const Run& run, std::uint32_t elements) const {
    return run.rich() ? (elements == 0 ? Units{} : owner_.units_of_slot(run.value))
                      : run.units(elements);
  }
  void add(std::uint32_t position, const Units& units);
  void subtract(std::uint32_t position, const Units& units);
  void new_leaf(std::uint32_t position);
  // Room for `more` runs in the leaf; moves `p` along if its run went elsewhere.
  void make_room(Place& p, std::size_t more);
  void regroup(std::size_t from);
  // Cuts a run in two at an element; both halves stay in the leaf.
  void cut(Place p);
  void put(Place p, const Run& run);
  Place scan_points(std::uint64_t index, std::uint64_t& into) const;
  Place scan_leaf(std::uint32_t position, std::uint64_t index, Unit unit,
                  std::uint64_t& into) const;
  // The runs of a leaf from `run` on have changed.
  void touched(std::uint32_t position, std::uint32_t run) const;

  Leaves& leaves_;
  Owner& owner_;
  std::uint32_t object_;
  std::vector<std::uint32_t> order_;  // leaf ids
  std::vector<Units> sums_;           // by position
  std::vector<Units> groups_;
  Units total_;
  // Where the last look-up ended: edits cluster.
  struct Cached {
    bool valid = false;
    std::uint32_t leaf = 0;
    std::uint32_t run = 0;
    std::uint64_t start = 0;      // points before the leaf
    std::uint64_t run_start = 0;  // points before the run, in the leaf
  };
  mutable Cached cached_;
};

}  // namespace peat::automerge
