// Document chunks: a whole history, column-wise.
//
//   data = ULEB n, n x (ULEB length + actor)  ascending, those who made a change
//          ULEB n, n x 32 head hashes         ascending
//          change directory, operation directory, change columns, operation columns
//          ULEB per head: its row in the change table (absent in old files)
//
// Change columns (rows in the order in which the writer applied them):
//   01 actor rle | 03 seq delta | 13 greatest op counter delta | 23 time delta | 35 message text
//   40 dependency count rle | 43 dependencies delta (rows) | 56 extra metadata | 57 extra bytes
//
// Operation columns: change.hpp. A directory's spec with bit 3 set is a deflated column; writers
// deflate columns of 256 bytes and more. Unknown columns are passed over.
#pragma once

#include "automerge/opset.hpp"

namespace peat::automerge {

struct LoadedDocument {
  Heads heads;                           // as the file names them
  std::vector<std::uint32_t> head_rows;  // may be empty (old files)
};

// Fills the empty actor table, graph (without hashes, op counts and heads; start_op is one above
// the greatest counter) and op set. The checksum has been compared.
Result<LoadedDocument> read_document(const Chunk& chunk, const LoadLimits& limits,
                                     ActorTable& actors, ChangeGraph& graph, OpSet& ops);

// Appends the document chunk of all changes in `graph`.
void write_document(const ActorTable& actors, const ChangeGraph& graph, const OpSet& ops,
                    bool deflate, Bytes& out);

}  // namespace peat::automerge
