#include "automerge/chunk.hpp"

#include <libdeflate.h>
#include <nettle/sha2.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "automerge/leb.hpp"

namespace peat::automerge {

namespace {

constexpr std::array<std::uint8_t, 4> kMagic{0x85, 0x6f, 0x4a, 0x83};
constexpr int kDeflateLevel = 6;
constexpr std::uint64_t kDeflateMaxRatio = 1032;

struct FreeCompressor {
  void operator()(libdeflate_compressor* p) const { libdeflate_free_compressor(p); }
};
struct FreeDecompressor {
  void operator()(libdeflate_decompressor* p) const { libdeflate_free_decompressor(p); }
};

// One per thread: making one costs more than a small column does.
libdeflate_compressor* compressor() {
  thread_local const std::unique_ptr<libdeflate_compressor, FreeCompressor> mine(
      libdeflate_alloc_compressor(kDeflateLevel));
  if (!mine) throw std::bad_alloc();
  return mine.get();
}
libdeflate_decompressor* decompressor() {
  thread_local const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> mine(
      libdeflate_alloc_decompressor());
  if (!mine) throw std::bad_alloc();
  return mine.get();
}

std::string at_byte(std::size_t offset) { return " at byte " + std::to_string(offset); }

}  // namespace

Result<Chunk> read_chunk(ByteView input, std::size_t offset) {
  Input in(input.subspan(offset), offset);
  const auto magic = in.take(4);
  if (in.failed() || !std::ranges::equal(magic, kMagic)) {
    return fail(Code::malformed, "no Automerge chunk (85 6f 4a 83)" + at_byte(offset));
  }
  in.take(4);
  const auto type = in.take(1);
  if (in.failed()) return in.error("a chunk's header");
  if (type[0] > 3) {
    return fail(Code::malformed, "unknown chunk type " + std::to_string(type[0]) +
                                     at_byte(offset + 8) + "; 0 to 3 are known");
  }
  const auto length = in.uleb();
  if (in.failed()) return in.error("a chunk's length");
  const auto data = in.take(length);
  if (in.failed()) return in.error("a chunk of " + std::to_string(length) + " bytes");
  Chunk chunk;
  chunk.type = static_cast<ChunkType>(type[0]);
  chunk.bytes = input.subspan(offset, in.offset() - offset);
  chunk.data = data;
  chunk.offset = offset;
  return chunk;
}

ChangeHash hash_chunk(ChunkType type, ByteView data) {
  std::array<std::uint8_t, 11> head;
  std::size_t n = 0;
  head[n++] = static_cast<std::uint8_t>(type);
  auto length = std::uint64_t{data.size()};
  for (; length >= 0x80; length >>= 7) head[n++] = static_cast<std::uint8_t>(length | 0x80);
  head[n++] = static_cast<std::uint8_t>(length);
  sha256_ctx ctx;
  sha256_init(&ctx);
  sha256_update(&ctx, n, head.data());
  sha256_update(&ctx, data.size(), data.data());
  ChangeHash hash;
  sha256_digest(&ctx, hash.bytes.size(), hash.bytes.data());
  return hash;
}

Status check_checksum(const Chunk& chunk, const ChangeHash& hash) {
  if (std::memcmp(chunk.bytes.data() + 4, hash.bytes.data(), 4) == 0) return {};
  return fail(Code::checksum_mismatch,
              "the checksum of the chunk" + at_byte(chunk.offset) + " does not match its bytes");
}

void make_room(Bytes& out, std::size_t more) {
  if (out.capacity() - out.size() < more) out.reserve(std::max(out.size() + more, 2 * out.size()));
}

ChangeHash write_chunk(ChunkType type, ByteView data, Bytes& out) {
  const auto hash = hash_chunk(type, data);
  make_room(out, 9 + uleb_size(data.size()) + data.size());
  put_bytes(out, kMagic);
  put_bytes(out, ByteView(hash.bytes).first(4));
  out.push_back(static_cast<std::uint8_t>(type));
  put_uleb(out, data.size());
  put_bytes(out, data);
  return hash;
}

Result<Bytes> inflate(ByteView input, std::uint64_t limit, std::string_view what) {
  const auto most = std::min<std::uint64_t>(limit, kDeflateMaxRatio * input.size() + 64);
  std::uint64_t capacity = std::min<std::uint64_t>(most, 4 * input.size() + 4096);
  for (;;) {
    Bytes out(static_cast<std::size_t>(capacity));
    std::size_t used = 0;
    std::size_t made = 0;
    const auto result = libdeflate_deflate_decompress_ex(decompressor(), input.data(), input.size(),
                                                         out.data(), out.size(), &used, &made);
    if (result == LIBDEFLATE_SUCCESS) {
      if (used != input.size()) {
        return fail(Code::malformed,
                    std::string(what) + " has bytes after the end of its DEFLATE stream");
      }
      out.resize(made);
      return out;
    }
    if (result != LIBDEFLATE_INSUFFICIENT_SPACE) {
      return fail(Code::malformed, std::string(what) + " is no DEFLATE stream");
    }
    if (capacity == most) {
      return fail(Code::limit_exceeded,
                  std::string(what) + " inflates to more than " + std::to_string(limit) + " bytes");
    }
    capacity = std::min(most, 4 * capacity);
  }
}

void deflate(ByteView input, Bytes& out) {
  auto* const c = compressor();
  const auto at = out.size();
  out.resize(at + libdeflate_deflate_compress_bound(c, input.size()));
  out.resize(at + libdeflate_deflate_compress(c, input.data(), input.size(), out.data() + at,
                                              out.size() - at));
}

Result<Bytes> inflate_change(const Chunk& chunk, const LoadLimits& limits) {
  PEAT_TRY(const auto data, inflate(chunk.data, limits.inflated_bytes,
                                    "the compressed change" + at_byte(chunk.offset)));
  Bytes out;
  out.reserve(data.size() + 20);
  put_bytes(out, chunk.bytes.first(8));  // magic, and the checksum of the uncompressed change
  out.push_back(static_cast<std::uint8_t>(ChunkType::kChange));
  put_uleb(out, data.size());
  put_bytes(out, data);
  return out;
}

}  // namespace peat::automerge
