// Bundle chunks: some changes of a history, column-wise.
//
//   data = ULEB n, n x 32 hashes           dependencies on changes outside, in order of mention
//          ULEB n, n x (ULEB length + actor)  those that the bundle names, ascending
//          change directory, change columns; operation directory, operation columns
//
// Change columns (rows in an order that puts dependencies first):
//   01 actor rle | 03 seq delta | 13 first operation delta | 23 greatest operation delta
//   33 time delta | 45 message text | 50 dependency count rle
//   53 dependencies delta: a row, or the number of rows + an index into the outside hashes
//   60 extra byte count rle | 67 extra bytes
//
// Operation columns (any row order): those of a change (operations.hpp), but the object counter is
// 03, delta; 21 is the id's actor, and for the operations in the order of (actor, counter) b3
// holds the row of each, delta. Older bundles have 23, the id's counter by row, in place of b3.
//
// Columns of 256 bytes and more are deflated, as in documents. No hash of a change inside is
// stored: hashes come out when the changes are written again. Which row order the writer took is
// its business, so two bundles of the same changes need not be equal bytes.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "automerge/chunk.hpp"
#include "automerge/operations.hpp"

namespace peat::automerge {

struct BundledChange {
  std::uint32_t actor = 0;
  std::uint32_t seq = 0;
  std::uint32_t start_op = 0;
  std::uint32_t op_count = 0;
  std::uint32_t deps_begin = 0;
  std::uint32_t deps_count = 0;
  std::uint32_t first_rank = 0;  // of its operations in the order of (actor, counter)
  std::int64_t time = 0;
  std::string_view message;
  ByteView extra;
};

// A bundle taken apart; views into the chunk and into `inflated`.
struct Bundle {
  Bundle() = default;
  Bundle(Bundle&&) = default;

  std::vector<ChangeHash> outside;
  std::vector<ByteView> actors;
  std::vector<BundledChange> changes;
  std::vector<std::uint32_t> deps;  // by change
  std::vector<OpView> ops;          // by row; ids are in terms of `actors`
  std::vector<OpId> ids;            // by row
  std::vector<std::uint32_t> row_at_rank;
  std::vector<OpId> predecessors;
  std::deque<Bytes> inflated;
};

// Checks the checksum, the grammar and every count; what an operation says is checked when the
// changes are applied.
Result<Bundle> read_bundle(const Chunk& chunk, const LoadLimits& limits);

// The changes as change chunks, in the bundle's order, of at most `most` bytes together: what runs
// repeat in a bundle is written out in each of them.
Result<std::vector<Bytes>> unbundle(const Bundle& bundle, std::uint64_t most);

}  // namespace peat::automerge
