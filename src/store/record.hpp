// Records: the values of the store's rows, and the keys they are stored under.
//
// Every record carries a version, flags and a checksum over its row's key and content: a damaged
// or misplaced record is an error that names the row, never a wrong document. (LMDB 0.9 has no
// checksums of its own.)
//
// Threading: values. Cost: one CRC-32 of the content. Limits: none beyond the row's own size;
// counts are checked against the bytes that are there. Errors: store_corrupt (damaged),
// store_too_new (a version or flag that this version lacks).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "store/document_store.hpp"
#include "store/rows.hpp"

namespace peat::store {

// --- keys ---------------------------------------------------------------------------------------

inline constexpr std::size_t kPlainKeyBytes = 479;  // longer ones end in their SHA-256: 511 at most

// The key under which `key` is stored: itself, or its first `plain` bytes and its SHA-256.
std::string stored_key(std::string_view key, std::size_t plain = kPlainKeyBytes);
inline bool is_hashed(std::string_view stored) { return stored.size() > kPlainKeyBytes; }

std::string feed_key(Seq seq);
std::string body_key(std::uint64_t document, std::uint32_t chunk);
std::string sync_state_key(const EndpointId& peer, std::string_view key);
// The text before the first ':' with the ':'; empty if there is none.
std::string_view collection_prefix(std::string_view key);

// --- the envelope -------------------------------------------------------------------------------

Bytes make_record(Table table, std::string_view key, ByteView content);
Result<ByteView> open_record(Table table, std::string_view key, ByteView record);
// "documents row 'alerts:7'"; bytes that are not printable text become hex.
std::string describe(Table table, std::string_view key);

// --- contents -----------------------------------------------------------------------------------

struct DocumentRow {
  std::uint64_t number = 0;  // names its bodies; the position at which it was created
  Seq seq = 0;
  std::uint32_t chunks = 0;  // appended to the stored form
  Origin origin;
  automerge::Heads heads;
  std::string full_key;  // empty if the stored key is the key
  std::optional<std::int64_t> time;
};
Bytes encode(const DocumentRow& row);
Result<DocumentRow> decode_document(ByteView content);

struct TombstoneRow {
  TombstoneRecord record;
  std::string full_key;
};
Result<Bytes> encode(const TombstoneRow& row);
Result<TombstoneRow> decode_tombstone_row(ByteView content);

Bytes encode(const FeedRow& row);  // without its position, which is its key
Result<FeedRow> decode_feed(Seq seq, ByteView content);

struct CountRow {
  std::uint64_t documents = 0;
  std::string full_prefix;
};
Bytes encode(const CountRow& row);
Result<CountRow> decode_count(ByteView content);

inline constexpr std::uint32_t kFormat = 1;
inline constexpr std::uint64_t kFormatTimes = 1;   // documents rows may hold a time
inline constexpr std::uint64_t kFormatSealed = 2;  // records are sealed (sealed_backend.hpp)
inline constexpr std::uint64_t kFormatIncompatible = kFormatTimes;  // what this version writes
struct FormatRow {
  std::uint32_t format = kFormat;
  std::uint64_t incompatible = kFormatIncompatible;  // bits a reader must know
  std::uint64_t compatible = 0;                      // bits it may ignore
};
Bytes encode(const FormatRow& row);
Result<FormatRow> decode_format(ByteView content);

struct IncarnationRow {
  StoreId store_id{};
  std::uint64_t run = 0;
};
Bytes encode(const IncarnationRow& row);
Result<IncarnationRow> decode_incarnation(ByteView content);

Bytes encode_number(std::uint64_t number);
Result<std::uint64_t> decode_number(ByteView content);

}  // namespace peat::store
