#include "store/record.hpp"

#include <libdeflate.h>

#include <algorithm>
#include <utility>

#include "base/encoding.hpp"
#include "base/reader.hpp"

namespace peat::store {

namespace {

constexpr std::uint8_t kRecordVersion = 1;
constexpr std::size_t kEnvelopeBytes = 6;

std::uint32_t checksum(Table table, std::string_view key, ByteView content) {
  const auto number = static_cast<std::uint8_t>(table);
  auto crc = libdeflate_crc32(0, &number, 1);
  crc = libdeflate_crc32(crc, key.data(), key.size());
  // Given a null pointer, libdeflate answers with the initial value, not with the running one.
  return content.empty() ? crc : libdeflate_crc32(crc, content.data(), content.size());
}

void put_origin(Writer& out, const Origin& origin) {
  out.u8(origin ? 1 : 0);
  if (origin) out.bytes(origin->bytes);
}

Result<Origin> get_origin(Reader& in) {
  PEAT_TRY(const auto present, in.u8("the origin"));
  if (present > 1) return fail(Code::malformed, "origin tag " + std::to_string(present));
  if (present == 0) return std::nullopt;
  EndpointId peer;
  PEAT_TRY(const auto bytes, in.take(peer.bytes.size(), "the origin"));
  std::ranges::copy(bytes, peer.bytes.begin());
  return peer;
}

void put_heads(Writer& out, const automerge::Heads& heads) {
  out.u32be(static_cast<std::uint32_t>(heads.size()));
  for (const auto& head : heads) out.bytes(head.bytes);
}

Result<automerge::Heads> get_heads(Reader& in) {
  PEAT_TRY(const auto count, in.u32be("the number of heads"));
  if (count > in.remaining() / sizeof(automerge::ChangeHash)) {
    return in.truncated(std::size_t{count} * sizeof(automerge::ChangeHash), "the heads");
  }
  automerge::Heads heads(count);
  for (auto& head : heads) {
    PEAT_TRY(const auto bytes, in.take(head.bytes.size(), "a head"));
    std::ranges::copy(bytes, head.bytes.begin());
  }
  return heads;
}

void put_key(Writer& out, std::string_view key) {
  out.u16be(static_cast<std::uint16_t>(key.size()));
  out.text(key);
}

Result<std::string> get_key(Reader& in) {
  PEAT_TRY(const auto size, in.u16be("the key's length"));
  PEAT_TRY(const auto bytes, in.take(size, "the key"));
  return std::string(as_text(bytes));
}

Status at_end(const Reader& in) {
  if (in.done()) return {};
  return fail(Code::malformed, std::to_string(in.remaining()) + " bytes too many at byte " +
                                   std::to_string(in.offset()));
}

}  // namespace

std::string stored_key(std::string_view key, std::size_t plain) {
  if (key.size() <= plain) return std::string(key);
  const auto digest = sha256(as_bytes(key));
  std::string stored(key.substr(0, plain));
  stored += as_text(digest);
  return stored;
}

std::string feed_key(Seq seq) {
  Bytes bytes;
  Writer(bytes).u64be(seq);
  return std::string(as_text(bytes));
}

std::string body_key(std::uint64_t document, std::uint32_t chunk) {
  Bytes bytes;
  Writer out(bytes);
  out.u64be(document);
  out.u32be(chunk);
  return std::string(as_text(bytes));
}

std::string sync_state_key(const EndpointId& peer, std::string_view key) {
  std::string stored(as_text(peer.bytes));
  stored += stored_key(key, kPlainKeyBytes - peer.bytes.size());
  return stored;
}

std::string_view collection_prefix(std::string_view key) {
  const auto colon = key.find(':');
  return colon == std::string_view::npos ? std::string_view() : key.substr(0, colon + 1);
}

std::string describe(Table table, std::string_view key) {
  const bool printable =
      std::ranges::all_of(key, [](unsigned char c) { return c >= ' ' && c != 0x7f; }) &&
      is_utf8(key);
  std::string text = name(table);
  text += printable ? " row '" : " row 0x";
  text += printable ? std::string(key) + '\'' : to_hex(as_bytes(key));
  return text;
}

//   record   = version flags checksum content
//   version  = 1 byte, 1
//   flags    = 1 byte: 0; 2 is a sealed record, which another layer opens (sealed_backend.hpp)
//   checksum = 4 bytes, little-endian: CRC-32 of table number (1 byte), row key, content
Bytes make_record(Table table, std::string_view key, ByteView content) {
  Bytes record;
  record.reserve(kEnvelopeBytes + content.size());
  Writer out(record);
  out.u8(kRecordVersion);
  out.u8(0);
  out.u32le(checksum(table, key, content));
  out.bytes(content);
  return record;
}

Result<ByteView> open_record(Table table, std::string_view key, ByteView record) {
  if (record.size() < kEnvelopeBytes) {
    return fail(Code::store_corrupt, describe(table, key) + " has only " +
                                         std::to_string(record.size()) +
                                         " bytes; restore the store from a backup");
  }
  if (record[0] > kRecordVersion || record[1] != 0) {
    return fail(Code::store_too_new, describe(table, key) + " has record version " +
                                         std::to_string(record[0]) + ", flags " +
                                         std::to_string(record[1]) +
                                         "; this version reads 1 and 0: use a newer one");
  }
  Reader in(record.subspan(2));
  PEAT_TRY(const auto expected, in.u32le("the checksum"));
  if (record[0] != kRecordVersion || checksum(table, key, in.rest()) != expected) {
    return fail(Code::store_corrupt,
                describe(table, key) + " is damaged; restore the store from a backup");
  }
  return in.rest();
}

//   document = number seq chunks origin heads key [time]
//   number   = u64be    seq = u64be    chunks = u32be    time = i64be, absent if it is not known
//   origin   = 0 | 1 endpoint-id(32)
//   heads    = u32be count, count × 32 bytes
//   key      = u16be length, length bytes (0: the row's key is the document's)
Bytes encode(const DocumentRow& row) {
  Bytes content;
  content.reserve(64 + row.heads.size() * 32 + row.full_key.size());
  Writer out(content);
  out.u64be(row.number);
  out.u64be(row.seq);
  out.u32be(row.chunks);
  put_origin(out, row.origin);
  put_heads(out, row.heads);
  put_key(out, row.full_key);
  if (row.time) out.u64be(static_cast<std::uint64_t>(*row.time));
  return content;
}

Result<DocumentRow> decode_document(ByteView content) {
  Reader in(content);
  DocumentRow row;
  PEAT_TRY(row.number, in.u64be("the document's number"));
  PEAT_TRY(row.seq, in.u64be("the feed position"));
  PEAT_TRY(row.chunks, in.u32be("the number of chunks"));
  PEAT_TRY(row.origin, get_origin(in));
  PEAT_TRY(row.heads, get_heads(in));
  PEAT_TRY(row.full_key, get_key(in));
  if (in.done()) return row;
  PEAT_TRY(const auto time, in.u64be("the time of the heads"));
  row.time = static_cast<std::int64_t>(time);
  PEAT_TRY_VOID(at_end(in));
  return row;
}

//   tombstone = seq origin heads key message       (seq, origin, heads, key as above)
//   message   = the rest: a tombstone message as it travels (wire/tombstone.hpp)
Result<Bytes> encode(const TombstoneRow& row) {
  Bytes content;
  Writer out(content);
  out.u64be(row.record.seq);
  put_origin(out, row.record.origin);
  put_heads(out, row.record.deleted_heads);
  put_key(out, row.full_key);
  PEAT_TRY_VOID(wire::encode(row.record.tombstone, content));
  return content;
}

Result<TombstoneRow> decode_tombstone_row(ByteView content) {
  Reader in(content);
  TombstoneRow row;
  PEAT_TRY(row.record.seq, in.u64be("the feed position"));
  PEAT_TRY(row.record.origin, get_origin(in));
  PEAT_TRY(row.record.deleted_heads, get_heads(in));
  PEAT_TRY(row.full_key, get_key(in));
  PEAT_TRY(row.record.tombstone, wire::decode_tombstone(in.rest()));
  return row;
}

//   feed = kind origin key          kind = 0 document, 1 tombstone;  key = the rest
Bytes encode(const FeedRow& row) {
  Bytes content;
  content.reserve(34 + row.key.size());
  Writer out(content);
  out.u8(static_cast<std::uint8_t>(row.kind));
  put_origin(out, row.origin);
  out.text(row.key);
  return content;
}

Result<FeedRow> decode_feed(Seq seq, ByteView content) {
  Reader in(content);
  FeedRow row;
  row.seq = seq;
  PEAT_TRY(const auto kind, in.u8("the kind"));
  if (kind > 1) return fail(Code::malformed, "feed row of kind " + std::to_string(kind));
  row.kind = static_cast<FeedKind>(kind);
  PEAT_TRY(row.origin, get_origin(in));
  row.key = as_text(in.rest());
  return row;
}

//   count = documents(u64be) key          (key as above; of the collection with its ':')
Bytes encode(const CountRow& row) {
  Bytes content;
  Writer out(content);
  out.u64be(row.documents);
  put_key(out, row.full_prefix);
  return content;
}

Result<CountRow> decode_count(ByteView content) {
  Reader in(content);
  CountRow row;
  PEAT_TRY(row.documents, in.u64be("the number of documents"));
  PEAT_TRY(row.full_prefix, get_key(in));
  PEAT_TRY_VOID(at_end(in));
  return row;
}

//   format = version(u32be) incompatible(u64be) compatible(u64be) …
// What a later version appends is ignored: whether it matters is what the bits say.
Bytes encode(const FormatRow& row) {
  Bytes content;
  Writer out(content);
  out.u32be(row.format);
  out.u64be(row.incompatible);
  out.u64be(row.compatible);
  return content;
}

Result<FormatRow> decode_format(ByteView content) {
  Reader in(content);
  FormatRow row;
  PEAT_TRY(row.format, in.u32be("the format"));
  PEAT_TRY(row.incompatible, in.u64be("the incompatible features"));
  PEAT_TRY(row.compatible, in.u64be("the compatible features"));
  return row;
}

//   incarnation = store-id(16) run(u64be)
Bytes encode(const IncarnationRow& row) {
  Bytes content;
  Writer out(content);
  out.bytes(row.store_id);
  out.u64be(row.run);
  return content;
}

Result<IncarnationRow> decode_incarnation(ByteView content) {
  Reader in(content);
  IncarnationRow row;
  PEAT_TRY(const auto id, in.take(row.store_id.size(), "the store id"));
  std::ranges::copy(id, row.store_id.begin());
  PEAT_TRY(row.run, in.u64be("the run"));
  PEAT_TRY_VOID(at_end(in));
  return row;
}

//   number = u64be
Bytes encode_number(std::uint64_t number) {
  Bytes content;
  Writer(content).u64be(number);
  return content;
}

Result<std::uint64_t> decode_number(ByteView content) {
  Reader in(content);
  PEAT_TRY(const auto number, in.u64be("a number"));
  PEAT_TRY_VOID(at_end(in));
  return number;
}

}  // namespace peat::store
