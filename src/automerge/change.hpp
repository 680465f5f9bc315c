// Changes as bytes: reading, verifying and writing change chunks.
//
//   data  = ULEB n, n x 32 dependency hashes (ascending); ULEB length + author;
//           ULEB seq; ULEB start_op; SLEB time; ULEB length + message (UTF-8);
//           ULEB n, n x (ULEB length + other actor) (ascending, each referenced);
//           directory; column bytes; extra bytes (kept, part of the hash)
//   directory = ULEB n, n x (ULEB spec, ULEB byte length); spec = id << 4 | type, ascending
//
// The operations: operations.hpp.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "automerge/chunk.hpp"
#include "automerge/operations.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

// A change chunk taken apart; views into it.
struct ChangeView {
  ByteView chunk;  // uncompressed
  ChangeHash hash;
  ByteView deps;
  ByteView actor;
  std::uint64_t seq = 0;
  std::uint64_t start_op = 0;
  std::uint64_t op_count = 0;
  std::int64_t time = 0;
  std::string_view message;
  std::vector<ByteView> others;
  OpColumnSet columns;
  ByteView table;  // directory and column bytes
  ByteView extra;

  std::size_t dep_count() const { return deps.size() / 32; }
  ChangeHash dep(std::size_t i) const;
  std::uint32_t actor_count() const { return static_cast<std::uint32_t>(others.size() + 1); }
  ByteView actor_at(std::uint32_t i) const { return i == 0 ? actor : others[i - 1]; }
  OpReader ops() const;
  ChangeInfo info() const;
};

// Takes an uncompressed change chunk apart. Checks grammar and limits, and the checksum; the
// operations are only counted.
Result<ChangeView> parse_change(const Chunk& chunk, const LoadLimits& limits);
// The same for a chunk whose hash is known to be right.
Result<ChangeView> parse_change_body(const Chunk& chunk, const ChangeHash& hash,
                                     const LoadLimits& limits);
// All that can be checked without a document: every operation, and that writing the change again
// gives the same bytes.
Status verify_operations(const ChangeView& change, const LoadLimits& limits);

// Writes a change: operations by append (ids in the change's own actor numbering), then finish.
struct ChangeHeader {
  std::span<const ChangeHash> deps;  // ascending
  ByteView actor;
  std::uint64_t seq = 0;
  std::uint64_t start_op = 0;
  std::int64_t time = 0;
  std::string_view message;
  std::span<const ByteView> others;
  ByteView extra;
};
// Appends the chunk to `out`, returns its hash.
ChangeHash write_change(const ChangeHeader& header, OpWriter& ops, Bytes& out);

}  // namespace peat::automerge
