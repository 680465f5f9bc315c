#include "base/random.hpp"

#include <nettle/chacha.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace peat {

void SystemRandom::fill(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const auto got = getrandom(out.data(), out.size(), 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      std::abort();  // no kernel we run on lacks it; keys from anything else would be worse
    }
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

SeededRandom::SeededRandom(std::uint64_t seed) : seed_(seed) {}

void SeededRandom::fill(std::span<std::uint8_t> out) {
  std::array<std::uint8_t, CHACHA_KEY_SIZE> key{};
  std::array<std::uint8_t, CHACHA_NONCE_SIZE> nonce{};
  std::memcpy(key.data(), &seed_, sizeof seed_);
  // A nonce per call keeps the stream independent of how callers cut it into pieces.
  std::memcpy(nonce.data(), &block_, sizeof block_);
  ++block_;
  chacha_ctx ctx;
  chacha_set_key(&ctx, key.data());
  chacha_set_nonce(&ctx, nonce.data());
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  chacha_crypt(&ctx, out.size(), out.data(), out.data());
}

}  // namespace peat
