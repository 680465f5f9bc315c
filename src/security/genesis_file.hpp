// A genesis at rest: sealed with a passphrase.
//
//   file   := head, XChaCha20-Poly1305(key, nonce, genesis, associated data = head)
//   head   := "peat-genesis-v1", 0x00, u32le passes, u32le memory KiB, salt[16], nonce[24]
//   key    := Argon2id(passphrase, salt, passes, memory)
//
// Threading: pure. Cost: PasswordCost. Errors: malformed (no such file), decryption_failed (the
// passphrase or the file), weak_secret (a passphrase under 12 characters), and those of
// key_from_password.
#pragma once

#include "base/random.hpp"
#include "crypto/password.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "security/genesis.hpp"

namespace peat::security {

inline constexpr std::size_t kPassphraseMinBytes = 12;
inline constexpr std::size_t kGenesisFileMaxBytes = 66 * 1024;

Result<Bytes> seal_genesis(const MeshGenesis& genesis, ByteView passphrase, Random& random,
                           const crypto::PasswordCost& cost = {});
Result<MeshGenesis> open_genesis(ByteView file, ByteView passphrase);

}  // namespace peat::security
