#include "base/random.hpp"

#include <sodium.h>

#include <array>
#include <cstring>

namespace peat {

void SystemRandom::fill(std::span<std::uint8_t> out) { randombytes_buf(out.data(), out.size()); }

SeededRandom::SeededRandom(std::uint64_t seed) : seed_(seed) {}

void SeededRandom::fill(std::span<std::uint8_t> out) {
  std::array<std::uint8_t, crypto_stream_chacha20_KEYBYTES> key{};
  std::array<std::uint8_t, crypto_stream_chacha20_NONCEBYTES> nonce{};
  std::memcpy(key.data(), &seed_, sizeof seed_);
  // A nonce per call keeps the stream independent of how callers cut it into pieces.
  std::memcpy(nonce.data(), &block_, sizeof block_);
  ++block_;
  crypto_stream_chacha20(out.data(), out.size(), nonce.data(), key.data());
}

}  // namespace peat
