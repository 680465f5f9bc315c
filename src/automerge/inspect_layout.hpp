// The parts of a chunk by name and place, as far as they can be made out. Unlike the readers that
// make documents, this goes on behind a fault: it is for looking, not for believing.
#pragma once

#include <deque>

#include "automerge/chunk.hpp"
#include "automerge/operations.hpp"
#include "peat/automerge/inspect.hpp"

namespace peat::automerge::inspect {

struct Layout {
  ChunkInfo info;
  OpColumnSet ops;             // columns of the operation table that are known
  std::uint64_t start_op = 0;  // changes
  std::deque<Bytes> inflated;  // what columns and compressed changes became
};

// Compares the checksum, too.
Layout lay_out(const Chunk& chunk, const LoadLimits& limits);

// Which table a column belongs to decides its name.
enum class TableKind : std::uint8_t {
  change_ops,
  document_ops,
  bundle_ops,
  document_changes,
  bundle_changes
};
std::string_view column_name(TableKind table, std::uint32_t spec);
// Encoding, rows and records; a fault where the bytes break the grammar.
void measure_column(ColumnInfo& column, ByteView bytes, std::size_t offset);

}  // namespace peat::automerge::inspect
