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
#include "automerge/graph.hpp"
#include "automerge/opset.hpp"

namespace peat::automerge {

// Writes one change whose operations have ids in terms of `actors`. Appends the chunk to `out`.
struct ChangeFacts {
  std::span<const ChangeHash> deps;  // ascending
  std::uint32_t author = 0;
  std::uint32_t seq = 0;
  std::uint32_t start_op = 0;
  std::int64_t time = 0;
  std::string_view message;
  ByteView extra;
};
ChangeHash encode_change(const ActorTable& actors, const ChangeFacts& facts, std::span<OpView> ops,
                         Bytes& out);

// Chunks of the first changes of a graph, one behind the other.
struct RebuiltChanges {
  Bytes bytes;
  std::vector<std::size_t> begin;  // one more than changes
  ByteView chunk(std::size_t i) const {
    return ByteView(bytes).subspan(begin[i], begin[i + 1] - begin[i]);
  }
};

// Assigns the operations to the first `count` changes of `graph`, whose start_op and op_count
// are set; max_op() of each row must be right before (start_op - 1 + op_count). Operations of
// later changes are passed over.
class Rebuilder {
 public:
  Rebuilder(const OpSet& ops, const ActorTable& actors, ChangeGraph& graph, std::uint32_t count);
  Status assign();
  // After assign: writes every change and keeps the chunks if `keep`. Hashes go into the graph, or
  // must equal those that it has (`known`).
  Status write(bool known, RebuiltChanges* keep);

 private:
  struct Link {
    OpId successor;
    std::uint32_t row = kNone;            // the predecessor
    std::uint32_t successor_row = kNone;  // kNone: a deletion
  };
  struct Deletion {
    OpId id;
    std::uint32_t slot = kNone;
  };
  std::uint32_t change_of(OpId id);
  std::uint32_t position_of(OpId id);
  void collect(std::uint32_t slot);
  Status count_operations();
  Status place_operations();
  Status check_against_deps(std::uint32_t change) const;

  const OpSet& ops_;
  const ActorTable& actors_;
  ChangeGraph& graph_;
  std::uint32_t count_;
  std::vector<std::vector<std::uint32_t>> by_actor_;  // changes
  std::vector<Link> links_;
  std::vector<Deletion> deletions_;
  struct Range {
    std::uint32_t first_counter = kNone;
    std::uint32_t ops = 0;
    std::uint32_t begin = 0;
  };
  std::vector<Range> ranges_;          // by change
  std::vector<std::uint32_t> op_row_;  // by position; deletions: kDeletion | index
  std::vector<std::uint32_t> pred_begin_;
  std::vector<OpId> preds_;
};

}  // namespace peat::automerge
