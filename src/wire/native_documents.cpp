#include <libdeflate.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "base/encoding.hpp"
#include "wire/native_fields.hpp"

namespace peat::wire::fields {

namespace {

constexpr std::uint8_t kPlain = 0;
constexpr std::uint8_t kDeflated = 1;
constexpr std::uint8_t kFlagAnswer = 1;
constexpr int kDeflateLevel = 1;
constexpr std::size_t kLeastDeflated = 256;    // below this the format's overhead eats the gain
constexpr std::uint64_t kMaxInflation = 1032;  // DEFLATE cannot expand by more
constexpr std::size_t kHashBytes = sizeof(automerge::ChangeHash);

struct FreeCompressor {
  void operator()(libdeflate_compressor* c) const { libdeflate_free_compressor(c); }
};
struct FreeDecompressor {
  void operator()(libdeflate_decompressor* d) const { libdeflate_free_decompressor(d); }
};

using Hashes = std::vector<automerge::ChangeHash>;

// hashes := varint count, count × 32 bytes
Status put_hashes(Writer& writer, const Hashes& hashes, const Limits& limits) {
  PEAT_TRY_VOID(check_count(hashes.size(), "hash list", limits.wire_hashes, "wire_hashes"));
  put_varint(writer, hashes.size());
  for (const auto& hash : hashes) writer.bytes(hash.bytes);
  return {};
}

Result<Hashes> read_hashes(Reader& reader, std::string_view what, const Limits& limits) {
  PEAT_TRY(const auto count,
           read_count(reader, what, kHashBytes, limits.wire_hashes, "wire_hashes"));
  PEAT_TRY(const auto bytes, reader.take(count * kHashBytes, what));
  Hashes hashes(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(hashes[i].bytes.data(), bytes.data() + i * kHashBytes, kHashBytes);
  }
  return hashes;
}

// epoch := 0 (none) | 1, u64be lamport, u64be deleted_at_ms, text deleted_by
Status put_epoch(Writer& writer, const Epoch& epoch, const Limits& limits) {
  const bool present = epoch != Epoch{};
  writer.u8(present ? 1 : 0);
  if (!present) return {};
  PEAT_TRY_VOID(check_text(epoch.deleted_by, "epoch deleted_by", limits));
  writer.u64be(epoch.lamport);
  writer.u64be(epoch.deleted_at_ms);
  put_bytes(writer, as_bytes(epoch.deleted_by));
  return {};
}

Result<Epoch> read_epoch(Reader& reader, const Limits& limits) {
  PEAT_TRY(const auto present, reader.u8("epoch"));
  if (present == 0) return Epoch{};
  if (present != 1) {
    return fail(Code::malformed, "epoch marker " + std::to_string(present) + " at offset " +
                                     std::to_string(reader.offset() - 1) + "; 0 or 1 is known");
  }
  Epoch epoch;
  PEAT_TRY(epoch.lamport, reader.u64be("epoch lamport"));
  PEAT_TRY(epoch.deleted_at_ms, reader.u64be("epoch deleted_at"));
  PEAT_TRY(epoch.deleted_by, read_text(reader, "epoch deleted_by", limits));
  return epoch;
}

Status put_key(Writer& writer, std::string_view key, const Limits& limits) {
  PEAT_TRY_VOID(check_text(key, "document key", limits));
  put_bytes(writer, as_bytes(key));
  return {};
}

Result<std::string> read_key(Reader& reader, const Limits& limits) {
  return read_text(reader, "document key", limits);
}

Status check_entries(std::size_t count, const Limits& limits) {
  return check_count(count, "document list", limits.wire_batch_entries, "wire_batch_entries");
}

Result<std::size_t> read_entries(Reader& reader, std::size_t min_bytes, const Limits& limits) {
  return read_count(reader, "document list", min_bytes, limits.wire_batch_entries,
                    "wire_batch_entries");
}

// documents := varint count, count × { text key, epoch, hashes heads, bytes chunks }
Status put_documents(Writer& writer, const std::vector<DocumentChanges>& documents,
                     const Limits& limits) {
  PEAT_TRY_VOID(check_entries(documents.size(), limits));
  put_varint(writer, documents.size());
  for (const auto& document : documents) {
    PEAT_TRY_VOID(put_key(writer, document.key, limits));
    PEAT_TRY_VOID(put_epoch(writer, document.epoch, limits));
    PEAT_TRY_VOID(put_hashes(writer, document.heads, limits));
    put_bytes(writer, document.chunks);
  }
  return {};
}

Result<std::vector<DocumentChanges>> read_documents(Reader& reader, const Limits& limits) {
  PEAT_TRY(const auto count, read_entries(reader, 4, limits));
  std::vector<DocumentChanges> documents;
  // An element is larger in memory than on the wire: let a large claim grow as it proves true.
  documents.reserve(std::min<std::size_t>(count, 1024));
  for (std::size_t i = 0; i < count; ++i) {
    DocumentChanges document;
    PEAT_TRY(document.key, read_key(reader, limits));
    PEAT_TRY(document.epoch, read_epoch(reader, limits));
    PEAT_TRY(document.heads, read_hashes(reader, "document heads", limits));
    PEAT_TRY(const auto chunks, read_bytes(reader, "document chunks"));
    document.chunks.assign(chunks.begin(), chunks.end());
    documents.push_back(std::move(document));
  }
  return documents;
}

// heads_list := varint count, count × { text key, epoch, hashes heads }
Status put_heads_list(Writer& writer, const std::vector<DocumentHeads>& documents,
                      const Limits& limits) {
  PEAT_TRY_VOID(check_entries(documents.size(), limits));
  put_varint(writer, documents.size());
  for (const auto& document : documents) {
    PEAT_TRY_VOID(put_key(writer, document.key, limits));
    PEAT_TRY_VOID(put_epoch(writer, document.epoch, limits));
    PEAT_TRY_VOID(put_hashes(writer, document.heads, limits));
  }
  return {};
}

Result<std::vector<DocumentHeads>> read_heads_list(Reader& reader, const Limits& limits) {
  PEAT_TRY(const auto count, read_entries(reader, 3, limits));
  std::vector<DocumentHeads> documents;
  documents.reserve(std::min<std::size_t>(count, 1024));
  for (std::size_t i = 0; i < count; ++i) {
    DocumentHeads document;
    PEAT_TRY(document.key, read_key(reader, limits));
    PEAT_TRY(document.epoch, read_epoch(reader, limits));
    PEAT_TRY(document.heads, read_hashes(reader, "document heads", limits));
    documents.push_back(std::move(document));
  }
  return documents;
}

// Empty if compression does not make `plain` smaller.
Bytes deflate(ByteView plain) {
  const std::unique_ptr<libdeflate_compressor, FreeCompressor> compressor(
      libdeflate_alloc_compressor(kDeflateLevel));
  if (!compressor) throw std::bad_alloc();
  Bytes out(plain.size() - 9);  // what the inflated size takes at most, and one byte of gain
  out.resize(libdeflate_deflate_compress(compressor.get(), plain.data(), plain.size(), out.data(),
                                         out.size()));
  return out;
}

Result<Bytes> inflate(ByteView compressed, std::uint64_t size, const Limits& limits) {
  if (size > limits.wire_inflated_bytes) {
    return fail(Code::limit_exceeded, "a batch announces " + std::to_string(size) +
                                          " bytes inflated; the limit wire_inflated_bytes is " +
                                          std::to_string(limits.wire_inflated_bytes));
  }
  if (size > compressed.size() * kMaxInflation) {
    return fail(Code::malformed, std::to_string(compressed.size()) +
                                     " compressed bytes cannot hold the " + std::to_string(size) +
                                     " announced");
  }
  const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(
      libdeflate_alloc_decompressor());
  if (!decompressor) throw std::bad_alloc();
  Bytes out(static_cast<std::size_t>(size));
  const auto result = libdeflate_deflate_decompress(
      decompressor.get(), compressed.data(), compressed.size(), out.data(), out.size(), nullptr);
  if (result != LIBDEFLATE_SUCCESS) {
    return fail(Code::malformed,
                "compressed batch: not DEFLATE of " + std::to_string(size) + " bytes");
  }
  return out;
}

}  // namespace

// doc_changes := varint position, u8 0, documents
//              | varint position, u8 1, varint inflated_size, DEFLATE(documents) to the end
Status put(Writer& writer, const DocChanges& changes, Compression compression,
           const Limits& limits) {
  put_varint(writer, changes.position);
  if (compression == Compression::none) {
    writer.u8(kPlain);
    return put_documents(writer, changes.documents, limits);
  }
  Bytes plain;
  Writer plain_writer(plain);
  PEAT_TRY_VOID(put_documents(plain_writer, changes.documents, limits));
  const bool worth_it =
      plain.size() >= kLeastDeflated && plain.size() <= limits.wire_inflated_bytes;
  const auto compressed = worth_it ? deflate(plain) : Bytes{};
  if (compressed.empty()) {
    writer.u8(kPlain);
    writer.bytes(plain);
    return {};
  }
  writer.u8(kDeflated);
  put_varint(writer, plain.size());
  writer.bytes(compressed);
  return {};
}

Result<DocChanges> read_doc_changes(Reader& reader, const Limits& limits) {
  DocChanges changes;
  PEAT_TRY(changes.position, read_varint(reader, "doc_changes position"));
  PEAT_TRY(const auto coding, reader.u8("doc_changes coding"));
  if (coding == kPlain) {
    PEAT_TRY(changes.documents, read_documents(reader, limits));
    return changes;
  }
  if (coding != kDeflated) {
    return fail(Code::malformed, "doc_changes coding " + std::to_string(coding) + " at offset " +
                                     std::to_string(reader.offset() - 1) + "; 0 or 1 is known");
  }
  PEAT_TRY(const auto size, read_varint(reader, "doc_changes inflated size"));
  PEAT_TRY(const auto plain, inflate(reader.rest(), size, limits));
  Reader inflated(plain);
  PEAT_TRY(changes.documents, read_documents(inflated, limits));
  return changes;
}

// doc_heads := varint position, heads_list
Status put(Writer& writer, const DocHeads& heads, const Limits& limits) {
  put_varint(writer, heads.position);
  return put_heads_list(writer, heads.documents, limits);
}

Result<DocHeads> read_doc_heads(Reader& reader, const Limits& limits) {
  DocHeads heads;
  PEAT_TRY(heads.position, read_varint(reader, "doc_heads position"));
  PEAT_TRY(heads.documents, read_heads_list(reader, limits));
  return heads;
}

// need := u8 flags, varint count, count × { text key, hashes want, hashes have }
// flags := bit 0: answers a doc_heads; others are ignored
Status put(Writer& writer, const Need& need, const Limits& limits) {
  writer.u8(need.answer ? kFlagAnswer : 0);
  PEAT_TRY_VOID(check_entries(need.documents.size(), limits));
  put_varint(writer, need.documents.size());
  for (const auto& document : need.documents) {
    PEAT_TRY_VOID(put_key(writer, document.key, limits));
    PEAT_TRY_VOID(put_hashes(writer, document.want, limits));
    PEAT_TRY_VOID(put_hashes(writer, document.have, limits));
  }
  return {};
}

Result<Need> read_need(Reader& reader, const Limits& limits) {
  Need need;
  PEAT_TRY(const auto flags, reader.u8("need flags"));
  need.answer = (flags & kFlagAnswer) != 0;
  PEAT_TRY(const auto count, read_entries(reader, 3, limits));
  need.documents.reserve(std::min<std::size_t>(count, 1024));
  for (std::size_t i = 0; i < count; ++i) {
    DocumentNeed document;
    PEAT_TRY(document.key, read_key(reader, limits));
    PEAT_TRY(document.want, read_hashes(reader, "wanted hashes", limits));
    PEAT_TRY(document.have, read_hashes(reader, "heads", limits));
    need.documents.push_back(std::move(document));
  }
  return need;
}

// durable_ack := varint position, heads_list
Status put(Writer& writer, const DurableAck& ack, const Limits& limits) {
  put_varint(writer, ack.position);
  return put_heads_list(writer, ack.documents, limits);
}

Result<DurableAck> read_durable_ack(Reader& reader, const Limits& limits) {
  DurableAck ack;
  PEAT_TRY(ack.position, read_varint(reader, "durable_ack position"));
  PEAT_TRY(ack.documents, read_heads_list(reader, limits));
  return ack;
}

}  // namespace peat::wire::fields
