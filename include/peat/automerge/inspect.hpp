// What is inside an Automerge file, chunk by chunk and byte by byte, whoever wrote it.
//
//   const auto file = inspect::read(bytes);
//   for (const auto& chunk : file->chunks) {
//     print(chunk.offset, chunk.kind, chunk.hash.to_string());
//     for (const auto& column : chunk.op_columns) print(column.name, column.stored_bytes);
//   }
//   inspect::operations(bytes, file->chunks[0], [](const inspect::Operation& op) {
//     print(op.id.counter, op.action);
//     return true;
//   });
//
// Made for looking at files that something is wrong with: a fault is reported where it is found
// (`fault` of the column, the chunk or the file) and reading goes on behind it. Only input beyond
// the limits and a lack of memory are errors of the call.
//
// Source: the chunk and column layouts are those of the public Automerge file format; see
// docs/automerge/format.md. Offsets are bytes from the beginning of the input; those of columns
// inside a compressed change count from the beginning of the change chunk that it inflates to.
//
// Cost: about that of loading the file with all hashes proved. Threading: functions of their
// arguments; no shared state.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "peat/automerge/types.hpp"
#include "peat/export.hpp"

namespace peat::automerge::inspect {

enum class ChunkKind : std::uint8_t { document, change, compressed_change, bundle };
PEAT_API std::string_view name(ChunkKind kind);

// One column of a change table or an operation table.
struct ColumnInfo {
  std::uint32_t spec = 0;        // id << 4 | type, without the bit that says "deflated"
  std::string_view name;         // "key text"; "unknown" if this version knows no such column
  std::string_view encoding;     // "delta", "rle integer", "rle text", "boolean", …
  std::size_t offset = 0;        // of the stored bytes
  std::size_t stored_bytes = 0;  // as they are in the file
  std::size_t bytes = 0;         // inflated; the same if not deflated
  bool deflated = false;
  std::uint64_t rows = 0;     // 0 for raw value bytes, whose lengths another column holds
  std::uint64_t records = 0;  // runs and literals that hold the rows
  std::optional<Error> fault;
};

struct ChunkInfo {
  ChunkKind kind = ChunkKind::document;
  std::size_t offset = 0;
  std::size_t bytes = 0;       // with its header of `bytes - data_bytes`
  std::size_t data_bytes = 0;  // as stored
  std::string checksum;        // as stored, 8 hex digits
  bool checksum_good = false;
  ChangeHash hash;              // of the chunk; for (compressed) changes the name of the change
  std::vector<ActorId> actors;  // by index; 0 is the author of a change
  Heads heads;  // a document's, as it names them; a change's and bundle's dependencies
                // are in `changes` and `external_deps`
  std::vector<ChangeHash> external_deps;   // a bundle's
  std::vector<ColumnInfo> change_columns;  // documents and bundles
  std::vector<ColumnInfo> op_columns;
  std::uint64_t rows = 0;       // operations in the table; deletions have none in a document
  std::size_t extra_bytes = 0;  // of a change, behind its columns
  // The changes, their hashes proved by writing each of them again. Empty if that failed.
  std::vector<ChangeInfo> changes;
  std::optional<Error> fault;  // why the chunk would be refused
};

// The document that the whole file makes.
struct DocumentInfo {
  struct Actor {
    ActorId id;
    std::uint64_t changes = 0;
    std::uint64_t ops = 0;
    std::optional<Bytes> author;  // who its first change says makes its changes
  };
  Heads heads;
  std::uint64_t changes = 0;
  std::uint64_t ops = 0;  // deletions included
  std::uint64_t max_op = 0;
  std::vector<Actor> actors;        // ascending
  std::vector<ChangeHash> missing;  // dependencies that queued changes wait for
};

struct FileInfo {
  std::size_t bytes = 0;
  std::vector<ChunkInfo> chunks;
  std::optional<DocumentInfo> document;  // absent if the file does not load
  std::optional<Error> fault;            // why it does not
};

PEAT_API Result<FileInfo> read(ByteView input, const LoadLimits& limits = {});

// An operation's or object's id; the actor is an index into ChunkInfo::actors. Counter 0: the root
// object, the head of a list.
struct Id {
  std::uint32_t counter = 0;
  std::uint32_t actor = 0;
  friend bool operator==(Id, Id) = default;
};

struct Operation {
  Id id;
  Id object;
  std::optional<std::string_view> key;  // of a map
  Id element;                           // of a list or text: the one changed, or inserted after
  std::string_view action;              // "set", "make map", "delete", "increment", "mark", …
  bool insert = false;
  bool expand = false;  // marks
  Scalar value;
  std::optional<std::string_view> mark_name;
  std::vector<Id> predecessors;  // changes and bundles: what it replaces
  std::vector<Id> successors;    // documents: what replaces it
};

// Tells `tell` every operation of a chunk of `input`, in its order, until it returns false. Views
// live during the call. The error is the chunk's first fault.
PEAT_API Status operations(ByteView input, const ChunkInfo& chunk,
                           const std::function<bool(const Operation&)>& tell,
                           const LoadLimits& limits = {});

}  // namespace peat::automerge::inspect
