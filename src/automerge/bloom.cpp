#include "automerge/bloom.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "automerge/leb.hpp"
#include "base/limits.hpp"

namespace peat::automerge {
namespace {

constexpr std::uint32_t kBitsPerEntry = 10;
constexpr std::uint32_t kProbes = 7;

std::uint64_t word(const ChangeHash& hash, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | hash.bytes[at + i];
  return value;
}

// Calls `visit(bit)` for each probe of `hash` in a filter of `bits` bits until it returns false.
template <class Visit>
void for_each_probe(const ChangeHash& hash, std::uint64_t bits, std::uint32_t probes,
                    const Visit& visit) {
  auto x = word(hash, 0) % bits;
  auto y = word(hash, 4) % bits;
  const auto z = word(hash, 8) % bits;
  for (std::uint32_t i = 0; i < probes; ++i) {
    if (!visit(x)) return;
    x = (x + y) % bits;
    y = (y + z) % bits;
  }
}

}  // namespace

// filter := (nothing) | entries:uleb bits_per_entry:uleb probes:uleb bits
// bits   := ceil(entries * bits_per_entry / 8) bytes; bit b is bit b & 7 of byte b >> 3
Bytes build_bloom(std::span<const ChangeHash> hashes) {
  Bytes out;
  if (hashes.empty()) return out;
  const std::size_t size = (hashes.size() * kBitsPerEntry + 7) / 8;
  out.reserve(size + 12);
  put_uleb(out, hashes.size());
  put_uleb(out, kBitsPerEntry);
  put_uleb(out, kProbes);
  const std::size_t start = out.size();
  out.resize(start + size);
  for (const auto& hash : hashes) {
    for_each_probe(hash, 8 * size, kProbes, [&](std::uint64_t bit) {
      auto& byte = out[start + (bit >> 3)];
      byte = static_cast<std::uint8_t>(byte | 1U << (bit & 7));
      return true;
    });
  }
  return out;
}

Result<BloomView> BloomView::parse(ByteView input) {
  BloomView filter;
  if (input.empty()) return filter;
  Input in(input);
  const auto entries = in.uleb();
  const auto bits_per_entry = in.uleb();
  const auto probes = in.uleb();
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint32_t>::max();
  if (std::max({entries, bits_per_entry, probes}) > kMax)
    in.fail_with("has a count beyond 32 bits");
  if (in.failed()) return in.error("a Bloom filter");
  const auto limit = Limits{}.sync_bloom_probes;
  if (probes > limit) {
    return fail(Code::limit_exceeded, "Bloom filter with " + std::to_string(probes) +
                                          " probes (limit " + std::to_string(limit) +
                                          "): the sender must use fewer");
  }
  filter.bits_ = in.take((entries * bits_per_entry + 7) / 8);
  if (in.failed()) return in.error("a Bloom filter");
  // Others read a zero as one.
  filter.probes_ = static_cast<std::uint32_t>(std::max<std::uint64_t>(probes, 1));
  return filter;
}

bool BloomView::contains(const ChangeHash& hash) const {
  if (bits_.empty()) return false;
  bool all_set = true;
  for_each_probe(hash, 8 * std::uint64_t{bits_.size()}, probes_, [&](std::uint64_t bit) {
    all_set = (bits_[bit >> 3] >> (bit & 7) & 1) != 0;
    return all_set;
  });
  return all_set;
}

}  // namespace peat::automerge
