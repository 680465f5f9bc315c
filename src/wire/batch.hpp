// Batches of the old dialect: many documents' messages in one frame.
//
// Threading: values. Cost: one copy of each key and payload. Limits (base/limits.def):
// wire_batch_entries, wire_key_bytes; nothing is reserved on a count that the bytes cannot hold.
// Errors: truncated, limit_exceeded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/limits.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "wire/frame.hpp"

namespace peat::wire {

// The types that every generation of peer acts on inside a batch.
enum class EntryType : std::uint8_t {
  delta = 0x00,
  snapshot = 0x01,
  tombstone = 0x04,  // key is ignored
};

struct SyncEntry {
  std::string key;
  EntryType type = EntryType::delta;
  Bytes payload;
  friend bool operator==(const SyncEntry&, const SyncEntry&) = default;
};

inline constexpr std::uint8_t kDefaultBatchTtl = 5;
inline constexpr std::size_t kBatchHeaderBytes = 21;
// What one batch that we send holds at most: keep below these when filling one.
inline constexpr std::size_t kMaxBatchEntriesSent = 256;
inline constexpr std::size_t kMaxBatchBytesSent = 1 << 20;

// id, created_at_ms and ttl inform people; nothing may be decided by them.
struct SyncBatch {
  std::uint64_t id = 0;
  std::uint64_t created_at_ms = 0;
  std::uint8_t ttl = kDefaultBatchTtl;
  std::vector<SyncEntry> entries;
  // Decoding only: entries passed over, of another type or with a document key that is not UTF-8.
  std::uint32_t skipped = 0;

  // Bytes of the encoded batch.
  std::size_t encoded_size() const;
};

// Appends the batch to `out`; Code::limit_exceeded (and `out` unchanged) when it is too large.
Status encode(const SyncBatch& batch, Bytes& out, const Limits& limits = {});
// The batch as one frame.
Status encode_batch_frame(const SyncBatch& batch, Bytes& out, const Limits& limits = {});

// Bytes after the last entry are ignored, as the field's peers do.
Result<SyncBatch> decode_batch(ByteView input, const Limits& limits = {});

}  // namespace peat::wire
