// The change graph: who made which change, after which others. Rows stand in the order in which
// this replica applied them (dependencies first); rows are never removed.
//
// Cost: about 76 bytes a row, plus 4 bytes a dependency; a hash index from 16 rows on.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "automerge/actors.hpp"
#include "automerge/op_id.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

struct GraphRow {
  ChangeHash hash;  // zero while a lazily loaded document has not derived it
  std::int64_t time = 0;
  std::uint32_t actor = 0;
  std::uint32_t seq = 0;
  std::uint32_t start_op = 0;
  std::uint32_t op_count = 0;
  std::uint32_t deps_begin = 0;
  std::uint32_t deps_count = 0;
  std::uint32_t text = 0;  // message, then extra bytes
  std::uint32_t message_bytes = 0;
  std::uint32_t extra_bytes = 0;

  std::uint32_t max_op() const { return start_op + op_count - 1; }
};

class ChangeGraph {
 public:
  std::size_t size() const { return rows_.size(); }
  const GraphRow& row(std::size_t i) const { return rows_[i]; }
  std::span<const std::uint32_t> deps(std::size_t i) const {
    return std::span(deps_).subspan(rows_[i].deps_begin, rows_[i].deps_count);
  }
  std::string_view message(std::size_t i) const;
  ByteView extra(std::size_t i) const;
  const Heads& heads() const { return heads_; }
  // Their rows, in the order of heads(). Known once the hashes are.
  std::span<const std::uint32_t> head_rows() const { return head_rows_; }
  std::uint32_t max_op() const { return max_op_; }

  std::optional<std::uint32_t> find(const ChangeHash& hash) const;
  // The last change of an actor; kNone if it made none.
  std::uint32_t last_of(std::uint32_t actor) const {
    return actor < last_.size() ? last_[actor] : kNone;
  }
  // The change that says who an actor is (author.hpp); kNone if none does.
  std::uint32_t author_row_of(std::uint32_t actor) const;
  std::uint32_t seq_of(std::uint32_t actor) const {
    const auto row = last_of(actor);
    return row == kNone ? 0 : rows_[row].seq;
  }

  // `row` carries hash, time, actor, seq, start_op and op_count; `deps` are rows. Changes nothing
  // if memory runs out.
  void add(GraphRow row, std::span<const std::uint32_t> deps, std::string_view message,
           ByteView extra);
  // As add, but leaves heads and hash index alone: while a document is loaded, its hashes are not
  // known yet. set_heads, set_hash and hashes_are_known complete the graph.
  void append(GraphRow row, std::span<const std::uint32_t> deps, std::string_view message,
              ByteView extra);
  void set_heads(Heads heads) { heads_ = std::move(heads); }
  void set_hash(std::size_t i, const ChangeHash& hash) { rows_[i].hash = hash; }
  void set_ops(std::size_t i, std::uint32_t start, std::uint32_t count) {
    rows_[i].start_op = start;
    rows_[i].op_count = count;
  }
  void hashes_are_known();

  // Which rows are in `from` or ancestors of it.
  std::vector<bool> closure(std::span<const std::uint32_t> from) const;
  void reserve(std::size_t rows) { rows_.reserve(rows); }
  // Memory for so many more rows, dependencies and bytes of text, and for rows of any of so many
  // actors: adding them then throws nothing.
  void make_room(std::size_t rows, std::size_t deps, std::size_t text, std::size_t actors);
  void shrink();
  std::size_t memory_bytes() const;

 private:
  void complete_index() const;

  std::vector<GraphRow> rows_;
  std::vector<std::uint32_t> deps_;
  Bytes text_;
  std::vector<std::uint32_t> last_;  // by actor
  // Open addressing over hashes, up to row `indexed_`; local commits ask for no hash.
  mutable std::vector<std::uint32_t> index_;
  mutable std::size_t indexed_ = 0;
  // Rows by actor, up to row `authors_known_`; few documents are ever asked.
  mutable std::vector<std::uint32_t> authors_;
  mutable std::size_t authors_known_ = 0;
  Heads heads_;
  std::vector<std::uint32_t> head_rows_;
  std::uint32_t max_op_ = 0;
};

}  // namespace peat::automerge
