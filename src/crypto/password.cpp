#include "crypto/password.hpp"

#include <sodium.h>

#include <string>

namespace peat::crypto {

namespace {

constexpr std::uint32_t kMaxPasses = 16;
constexpr std::uint32_t kMinMemoryKib = 8;
constexpr std::uint32_t kMaxMemoryKib = 4U << 20;

}  // namespace

Result<SecretBytes> key_from_password(ByteView password,
                                      std::span<const std::uint8_t, kPasswordSaltBytes> salt,
                                      const PasswordCost& cost) {
  if (cost.passes < 1 || cost.passes > kMaxPasses || cost.memory_kib < kMinMemoryKib ||
      cost.memory_kib > kMaxMemoryKib) {
    return fail(Code::invalid_argument,
                std::to_string(cost.passes) + " passes over " + std::to_string(cost.memory_kib) +
                    " KiB; Argon2id is taken with 1 to 16 passes over 8 KiB to 4 GiB");
  }
  SecretBytes key(std::size_t{32});
  const auto memory = std::size_t{cost.memory_kib} * 1024;
  if (crypto_pwhash(key.mutable_view().data(), key.size(),
                    reinterpret_cast<const char*>(password.data()), password.size(), salt.data(),
                    cost.passes, memory, crypto_pwhash_ALG_ARGON2ID13) != 0) {
    return fail(Code::out_of_memory, "deriving a key from the passphrase takes " +
                                         std::to_string(cost.memory_kib / 1024) +
                                         " MiB of memory, which are not there");
  }
  return key;
}

}  // namespace peat::crypto
