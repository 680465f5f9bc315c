// Keys from passphrases: Argon2id (RFC 9106), as libsodium has it.
//
// Threading: pure. Cost: as PasswordCost says, by default 256 MiB and about a second; refused with
// Code::out_of_memory where the memory is not there. Never on the event loop.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "crypto/keys.hpp"
#include "peat/error.hpp"

namespace peat::crypto {

struct PasswordCost {
  std::uint32_t passes = 3;
  std::uint32_t memory_kib = 256 * 1024;
};

inline constexpr std::size_t kPasswordSaltBytes = 16;

// A key of 32 bytes. Code::invalid_argument for a cost that Argon2id or this program does not
// take (1 to 16 passes, 8 KiB to 4 GiB): a file must not make us take all memory.
Result<SecretBytes> key_from_password(ByteView password,
                                      std::span<const std::uint8_t, kPasswordSaltBytes> salt,
                                      const PasswordCost& cost);

}  // namespace peat::crypto
