// Gives every chunk of an input the checksum of its bytes, so that mutations reach the parser.
#pragma once

#include <libdeflate.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "automerge/leb.hpp"
#include "base/encoding.hpp"
#include "peat/automerge/types.hpp"

namespace peat::fuzz {

inline constexpr std::size_t kInflateLimit = std::size_t{1} << 20;

// The data of a compressed change as a change chunk: what its checksum is over.
inline bool inflated_checksum(ByteView data, Sha256Digest& digest) {
  static const std::unique_ptr<libdeflate_decompressor, void (*)(libdeflate_decompressor*)>
      inflater(libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  Bytes out(kInflateLimit);
  std::size_t size = 0;
  if (libdeflate_deflate_decompress(inflater.get(), data.data(), data.size(), out.data(),
                                    out.size(), &size) != LIBDEFLATE_SUCCESS) {
    return false;
  }
  out.resize(size);
  Bytes header{1};
  automerge::put_uleb(header, size);
  digest = sha256({header, out});
  return true;
}

inline void repair_checksums(Bytes& bytes) {
  constexpr std::uint8_t kMagic[] = {0x85, 0x6f, 0x4a, 0x83};
  constexpr std::size_t kChecksumAt = 4;
  constexpr std::size_t kTypeAt = 8;
  std::size_t at = 0;
  while (bytes.size() - at > kTypeAt + 1) {
    std::ranges::copy(kMagic, bytes.begin() + static_cast<std::ptrdiff_t>(at));
    const ByteView chunk = ByteView(bytes).subspan(at);
    automerge::Input in(chunk.subspan(kTypeAt + 1));
    const auto data = in.prefixed();
    if (in.failed()) return;
    const auto end = chunk.size() - in.remaining();
    Sha256Digest digest = sha256(chunk.subspan(kTypeAt, end - kTypeAt));
    if (chunk[kTypeAt] == 2 && !inflated_checksum(data, digest)) return;
    std::copy_n(digest.begin(), 4, bytes.begin() + static_cast<std::ptrdiff_t>(at + kChecksumAt));
    at += end;
  }
}

// What a fuzz run may use: small, so that a slow input is a finding.
inline constexpr automerge::LoadLimits kLimits = {.input_bytes = 1U << 20,
                                                  .inflated_bytes = kInflateLimit,
                                                  .ops = 1U << 18,
                                                  .changes = 1U << 14,
                                                  .actor_bytes = 65535};

}  // namespace peat::fuzz
