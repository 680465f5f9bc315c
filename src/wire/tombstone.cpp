#include "wire/tombstone.hpp"

#include <algorithm>
#include <tuple>

#include "base/encoding.hpp"
#include "base/reader.hpp"

namespace peat::wire {

namespace {

constexpr std::size_t kMinTombstoneBytes = 25;
constexpr std::size_t kMinBatchElementBytes = 4 + kMinTombstoneBytes;

Result<std::string> text16(Reader& reader, std::string_view what) {
  PEAT_TRY(const auto length, reader.u16be(what));
  PEAT_TRY(const auto view, reader.take(length, what));
  if (!is_utf8(as_text(view))) {
    return fail(Code::malformed, std::string(what) + " before offset " +
                                     std::to_string(reader.offset()) + " is not UTF-8");
  }
  return std::string(as_text(view));
}

Status check_text16(std::string_view text, std::string_view what) {
  if (text.size() > 0xffff) {
    return fail(Code::limit_exceeded, std::string(what) + " has " + std::to_string(text.size()) +
                                          " bytes; its field holds 65535");
  }
  return {};
}

Status check_key_size(const Tombstone& tombstone, const Limits& limits) {
  const auto size = tombstone.collection.size() + 1 + tombstone.id.size();
  if (size <= limits.wire_key_bytes) return {};
  return fail(Code::limit_exceeded, "tombstone key of " + std::to_string(size) +
                                        " bytes; the limit wire_key_bytes is " +
                                        std::to_string(limits.wire_key_bytes));
}

void put_text16(Writer& writer, std::string_view text) {
  writer.u16be(static_cast<std::uint16_t>(text.size()));
  writer.text(text);
}

std::size_t encoded_size(const Tombstone& t) {
  return kMinTombstoneBytes + t.collection.size() + t.id.size() + t.deleted_by.size() +
         t.reason.size();
}

}  // namespace

Direction default_direction(std::string_view collection) {
  if (collection == "cells" || collection == "contact_reports") return Direction::up_only;
  if (collection == "commands") return Direction::down_only;
  return Direction::bidirectional;
}

bool supersedes(const Tombstone& a, const Tombstone& b) {
  return std::tie(a.lamport, a.deleted_at_ms, a.deleted_by) >
         std::tie(b.lamport, b.deleted_at_ms, b.deleted_by);
}

// tombstone  := text16 collection, text16 id, u64be deleted_at_ms, u64be lamport,
//               text16 deleted_by, text16 reason, u8 direction
// text16     := u16be length, length bytes of UTF-8
// direction  := 0 bidirectional | 1 up only | 2 down only | 3 system wide
// Whatever follows is ignored.
Result<Tombstone> decode_tombstone(ByteView input, const Limits& limits) {
  Reader reader(input);
  Tombstone tombstone;
  PEAT_TRY(tombstone.collection, text16(reader, "tombstone collection"));
  PEAT_TRY(tombstone.id, text16(reader, "tombstone id"));
  PEAT_TRY_VOID(check_key_size(tombstone, limits));
  PEAT_TRY(tombstone.deleted_at_ms, reader.u64be("tombstone deleted_at"));
  PEAT_TRY(tombstone.lamport, reader.u64be("tombstone lamport"));
  PEAT_TRY(tombstone.deleted_by, text16(reader, "tombstone deleted_by"));
  PEAT_TRY(tombstone.reason, text16(reader, "tombstone reason"));
  PEAT_TRY(const auto direction, reader.u8("tombstone direction"));
  if (direction > 3) {
    return fail(Code::malformed, "tombstone direction " + std::to_string(direction) +
                                     " at offset " + std::to_string(reader.offset() - 1) +
                                     "; 0 to 3 are known");
  }
  tombstone.direction = static_cast<Direction>(direction);
  return tombstone;
}

Status encode(const Tombstone& tombstone, Bytes& out, const Limits& limits) {
  PEAT_TRY_VOID(check_key_size(tombstone, limits));
  PEAT_TRY_VOID(check_text16(tombstone.collection, "tombstone collection"));
  PEAT_TRY_VOID(check_text16(tombstone.id, "tombstone id"));
  PEAT_TRY_VOID(check_text16(tombstone.deleted_by, "tombstone deleted_by"));
  PEAT_TRY_VOID(check_text16(tombstone.reason, "tombstone reason"));
  Writer writer(out);
  put_text16(writer, tombstone.collection);
  put_text16(writer, tombstone.id);
  writer.u64be(tombstone.deleted_at_ms);
  writer.u64be(tombstone.lamport);
  put_text16(writer, tombstone.deleted_by);
  put_text16(writer, tombstone.reason);
  writer.u8(static_cast<std::uint8_t>(tombstone.direction));
  return {};
}

// batch := u32be count, count × { u32be length, tombstone of that length }
Result<TombstoneBatch> decode_tombstone_batch(ByteView input, const Limits& limits) {
  Reader reader(input);
  PEAT_TRY(const auto count, reader.u32be("tombstone count"));
  if (count > limits.wire_tombstones_per_batch) {
    return fail(Code::limit_exceeded, "tombstone batch announces " + std::to_string(count) +
                                          "; the limit wire_tombstones_per_batch is " +
                                          std::to_string(limits.wire_tombstones_per_batch));
  }
  TombstoneBatch batch;
  batch.tombstones.reserve(
      std::min<std::size_t>(count, reader.remaining() / kMinBatchElementBytes));
  for (std::uint32_t i = 0; i < count; ++i) {
    PEAT_TRY(const auto length, reader.u32be("tombstone length"));
    PEAT_TRY(const auto element, reader.take(length, "tombstone"));
    if (auto tombstone = decode_tombstone(element, limits)) {
      batch.tombstones.push_back(std::move(*tombstone));
    } else {
      ++batch.malformed;
    }
  }
  return batch;
}

Result<std::size_t> encode_tombstone_batch(std::span<const Tombstone> tombstones, Bytes& out,
                                           const Limits& limits) {
  const auto start = out.size();
  Writer writer(out);
  writer.u32be(0);
  std::uint32_t count = 0;
  for (const auto& tombstone : tombstones) {
    const auto size = encoded_size(tombstone);
    const auto used = out.size() - start;
    if (count == kMaxTombstonesPerFrame) break;
    if (count > 0 && used + 4 + size > kMaxTombstoneFrameBytes) break;
    writer.u32be(static_cast<std::uint32_t>(size));
    if (auto status = encode(tombstone, out, limits); !status) {
      out.resize(start);
      return std::unexpected(std::move(status).error());
    }
    ++count;
  }
  for (std::size_t i = 0; i < 4; ++i) {
    out[start + i] = static_cast<std::uint8_t>(count >> (24 - 8 * i));
  }
  return count;
}

}  // namespace peat::wire
