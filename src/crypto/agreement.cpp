#include "crypto/agreement.hpp"

#include <sodium.h>

namespace peat::crypto {

AgreementKey AgreementKey::from_secret(std::span<const std::uint8_t, 32> secret) {
  AgreementKey key;
  key.secret_ = SecretBytes(ByteView(secret));
  return key;
}

AgreementKey AgreementKey::generate(Random& random) {
  AgreementKey key;
  key.secret_ = SecretBytes(std::size_t{32});
  random.fill(key.secret_.mutable_view());
  return key;
}

AgreementPublicKey AgreementKey::public_key() const {
  AgreementPublicKey out;
  crypto_scalarmult_base(out.data(), secret_.view().data());
  return out;
}

Result<SecretBytes> AgreementKey::agree(const AgreementPublicKey& peer) const {
  SecretBytes shared(std::size_t{32});
  if (crypto_scalarmult(shared.mutable_view().data(), secret_.view().data(), peer.data()) != 0) {
    return fail(Code::bad_public_key,
                "the peer's X25519 key gives no secret (a point of small order)");
  }
  return shared;
}

}  // namespace peat::crypto
