// X25519 key agreement (RFC 7748).
//
// Threading: values; const calls are safe from several threads. Errors: Code::bad_public_key if
// the peer's key gives a shared secret of zeros (a small-order point): nobody honest has one.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "base/random.hpp"
#include "crypto/keys.hpp"
#include "peat/error.hpp"

namespace peat::crypto {

using AgreementPublicKey = std::array<std::uint8_t, 32>;

class AgreementKey {
 public:
  static AgreementKey from_secret(std::span<const std::uint8_t, 32> secret);
  static AgreementKey generate(Random& random);

  AgreementPublicKey public_key() const;
  ByteView secret() const { return secret_.view(); }
  Result<SecretBytes> agree(const AgreementPublicKey& peer) const;

 private:
  AgreementKey() = default;
  SecretBytes secret_;
};

}  // namespace peat::crypto
