#include "crypto/kdf.hpp"

#include <sodium.h>

#include <algorithm>

namespace peat::crypto {

Mac hmac_sha256(ByteView key, std::initializer_list<ByteView> parts) {
  // libsodium wants an address even for no key at all.
  constexpr std::uint8_t kNone = 0;
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, key.empty() ? &kNone : key.data(), key.size());
  for (const auto part : parts) {
    crypto_auth_hmacsha256_update(&state, part.data(), part.size());
  }
  Mac mac;
  crypto_auth_hmacsha256_final(&state, mac.data());
  sodium_memzero(&state, sizeof state);
  return mac;
}

Result<SecretBytes> hkdf_sha256(ByteView salt, ByteView input_key, ByteView info,
                                std::size_t size) {
  if (size > kHkdfMaxBytes) {
    return fail(Code::invalid_argument,
                "HKDF-SHA256 gives at most 8160 bytes, asked for " + std::to_string(size));
  }
  auto extracted = hmac_sha256(salt, {input_key});
  SecretBytes out(size);
  const auto target = out.mutable_view();
  Mac block{};
  std::size_t done = 0;
  for (std::uint8_t counter = 1; done < size; ++counter) {
    const ByteView previous(block.data(), counter == 1 ? 0 : block.size());
    block = hmac_sha256(extracted, {previous, info, ByteView(&counter, 1)});
    const auto n = std::min(size - done, block.size());
    std::copy_n(block.begin(), n, target.begin() + static_cast<std::ptrdiff_t>(done));
    done += n;
  }
  wipe(extracted);
  wipe(block);
  return out;
}

bool equal_constant_time(ByteView a, ByteView b) {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace peat::crypto
