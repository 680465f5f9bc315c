// Giving back the changes out of which an op set was made.
//
// A saved document holds operations by place, not by change, and no hashes but its heads'. The
// change of an operation follows from its actor and counter, the predecessors from the other
// rows' successors, a deletion from a successor that has no row. Written again as chunks, in graph
// order, they give every hash.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "automerge/actors.hpp"
#include "automerge/change_log.hpp"
#include "automerge/encode.hpp"
#include "automerge/graph.hpp"
#include "automerge/opset.hpp"

namespace peat::automerge {

// Assigns the operations to the first `count` changes of `graph`, whose start_op and op_count
// are set; max_op() of each row must be right before (start_op - 1 + op_count). Operations of
// later changes are passed over. The op set must not change meanwhile.
//
// Works on segments: operations with consecutive ids that come out of one text run, or one row, or
// one deletion. Cost: of the runs and rows, plus the changes.
class Rebuilder {
 public:
  Rebuilder(const OpSet& ops, const ActorTable& actors, ChangeGraph& graph, std::uint32_t count);
  Status assign();
  // After assign: writes every change and keeps the chunks if `keep`. Hashes go into the graph, or
  // must equal those that it has (`known`).
  Status write(bool known, ChangeLog* keep);

 private:
  struct Segment {
    enum class Kind : std::uint8_t { row, typing, deleting, deletion };
    std::uint32_t counter = 0;  // of the first operation
    std::uint32_t count = 1;
    const Run* run = nullptr;  // typing, deleting
    std::uint32_t source = 0;  // row; typing, deleting: object; deletion: slot
    std::uint32_t preds = 0;   // row, deletion: where they begin
    std::uint32_t pred_count = 0;
    Kind kind = Kind::row;
  };
  class ChangeOps;
  void collect_runs(std::uint32_t object);
  void collect_slot(std::uint32_t slot);
  Status sort_segments();
  Status assign_change(std::uint32_t change);
  // The part of a segment from `offset` on as operations, at most `most`; `target` is what a view
  // of deletions points to.
  OpView view(const Segment& segment, std::uint32_t offset, std::uint32_t most, OpId& target) const;
  Status dep_hashes(std::uint32_t change, std::vector<ChangeHash>& out) const;

  const OpSet& ops_;
  const ActorTable& actors_;
  ChangeGraph& graph_;
  std::uint32_t count_;
  std::vector<std::vector<Segment>> segments_;  // by actor, ascending
  std::vector<OpId> preds_;
  // How far assign or write has come among an actor's segments: the changes of an actor take its
  // operations in order.
  struct Cursor {
    std::size_t segment = 0;
    std::uint32_t offset = 0;
  };
  std::vector<Cursor> cursors_;
};

}  // namespace peat::automerge
