#include "wire/batch.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "base/reader.hpp"

namespace peat::wire {

namespace {

constexpr bool is_entry_type(std::uint8_t type) {
  switch (static_cast<EntryType>(type)) {
    case EntryType::delta:
    case EntryType::snapshot:
    case EntryType::tombstone:
      return true;
  }
  return false;
}

}  // namespace

std::size_t SyncBatch::encoded_size() const {
  std::size_t size = kBatchHeaderBytes;
  for (const auto& entry : entries) {
    size += kFrameOverhead + entry.key.size() + entry.payload.size();
  }
  return size;
}

// batch := u64be id, u64be created_at_ms, u8 ttl, u32be count, count × entry
// entry := u16be key_length, key, u8 type, u32be length, payload
Result<SyncBatch> decode_batch(ByteView input, const Limits& limits) {
  Reader reader(input);
  SyncBatch batch;
  PEAT_TRY(batch.id, reader.u64be("batch id"));
  PEAT_TRY(batch.created_at_ms, reader.u64be("batch time"));
  PEAT_TRY(batch.ttl, reader.u8("batch ttl"));
  PEAT_TRY(const auto count, reader.u32be("batch entry count"));
  if (count > limits.wire_batch_entries) {
    return fail(Code::limit_exceeded, "batch announces " + std::to_string(count) +
                                          " entries; the limit wire_batch_entries is " +
                                          std::to_string(limits.wire_batch_entries));
  }
  batch.entries.reserve(std::min<std::size_t>(count, reader.remaining() / kFrameOverhead));
  for (std::uint32_t i = 0; i < count; ++i) {
    PEAT_TRY(const auto key_length, reader.u16be("entry key length"));
    if (key_length > limits.wire_key_bytes) {
      return fail(Code::limit_exceeded, "key of entry " + std::to_string(i) + " has " +
                                            std::to_string(key_length) +
                                            " bytes; the limit wire_key_bytes is " +
                                            std::to_string(limits.wire_key_bytes));
    }
    PEAT_TRY(const auto key, reader.take(key_length, "entry key"));
    PEAT_TRY(const auto type, reader.u8("entry type"));
    PEAT_TRY(const auto length, reader.u32be("entry length"));
    PEAT_TRY(const auto payload, reader.take(length, "entry payload"));
    const bool usable =
        is_entry_type(type) &&
        (static_cast<EntryType>(type) == EntryType::tombstone || is_utf8(as_text(key)));
    if (!usable) {
      ++batch.skipped;
      continue;
    }
    batch.entries.push_back({std::string(as_text(key)), static_cast<EntryType>(type),
                             Bytes(payload.begin(), payload.end())});
  }
  return batch;
}

Status encode(const SyncBatch& batch, Bytes& out, const Limits& limits) {
  if (batch.entries.size() > limits.wire_batch_entries) {
    return fail(Code::limit_exceeded, "batch of " + std::to_string(batch.entries.size()) +
                                          " entries; the limit wire_batch_entries is " +
                                          std::to_string(limits.wire_batch_entries));
  }
  const auto size = batch.encoded_size();
  if (size > limits.wire_payload_bytes) {
    return fail(Code::limit_exceeded, "batch of " + std::to_string(size) +
                                          " bytes; the limit wire_payload_bytes is " +
                                          std::to_string(limits.wire_payload_bytes));
  }
  const auto start = out.size();
  out.reserve(start + size);
  Writer writer(out);
  writer.u64be(batch.id);
  writer.u64be(batch.created_at_ms);
  writer.u8(batch.ttl);
  writer.u32be(static_cast<std::uint32_t>(batch.entries.size()));
  for (const auto& entry : batch.entries) {
    auto status =
        encode_frame(entry.key, static_cast<FrameType>(entry.type), entry.payload, out, limits);
    if (!status) {
      out.resize(start);
      return status;
    }
  }
  return {};
}

Status encode_batch_frame(const SyncBatch& batch, Bytes& out, const Limits& limits) {
  Bytes payload;
  PEAT_TRY_VOID(encode(batch, payload, limits));
  return encode_frame(kBatchKey, FrameType::batch, payload, out, limits);
}

}  // namespace peat::wire
