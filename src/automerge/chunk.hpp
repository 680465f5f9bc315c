// Chunks: the container of documents and changes.
//
//   chunk = 85 6f 4a 83, checksum (4), type (1), ULEB length, data
//   hash  = SHA-256(type, ULEB length, data); checksum = its first 4 bytes
//   type  = 0 document | 1 change | 2 compressed change | 3 bundle
//
// A compressed change holds the raw DEFLATE of a change's data; its checksum is that of the
// uncompressed change chunk. The hash of an uncompressed change chunk is the change's name.
#pragma once

#include <cstdint>

#include "base/encoding.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

enum class ChunkType : std::uint8_t { kDocument, kChange, kCompressedChange, kBundle };

struct Chunk {
  ChunkType type = ChunkType::kDocument;
  ByteView bytes;  // header and data
  ByteView data;
  std::size_t offset = 0;  // of the chunk in the input
  std::size_t data_offset() const { return offset + (bytes.size() - data.size()); }
};

// The chunk that begins at `offset`. Its checksum is not compared yet.
Result<Chunk> read_chunk(ByteView input, std::size_t offset);

// The hash over a chunk's type, length and data.
ChangeHash hash_chunk(ChunkType type, ByteView data);
Status check_checksum(const Chunk& chunk, const ChangeHash& hash);

// Room for `more` bytes behind those of `out`, growing geometrically.
void make_room(Bytes& out, std::size_t more);
// Appends a chunk to `out` and returns its hash.
ChangeHash write_chunk(ChunkType type, ByteView data, Bytes& out);

// Raw DEFLATE. inflate gives at most `limit` bytes and must use up `input`; `what` names the
// input in errors.
Result<Bytes> inflate(ByteView input, std::uint64_t limit, std::string_view what);
void deflate(ByteView input, Bytes& out);

// The change chunk that a compressed one stands for.
Result<Bytes> inflate_change(const Chunk& chunk, const LoadLimits& limits);

}  // namespace peat::automerge
