// The formation: the shared secret by which nodes recognise each other as members.
//
// From the secret and the formation id two keys are derived: one that answers challenges, exactly
// as existing peers do, and one that lets a challenge prove its sender. A verifier chooses its
// nonce freely, so ours carries a tag over both endpoint ids of the TLS session: a dialler that
// finds the tag right knows that the acceptor holds the secret and that nobody sits between.
//
// Threading: values; const calls are safe from several threads. Cost: a few SHA-256 blocks.
// Errors: weak_secret (names `peat secret new`), malformed, invalid_argument, limit_exceeded.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "base/random.hpp"
#include "crypto/kdf.hpp"
#include "crypto/keys.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"

namespace peat::security {

// Whether a secret that can be guessed is an error. `allow` is for meshes that already run on one.
enum class WeakSecrets : std::uint8_t { refuse, allow };

// The raw bytes behind a formation secret in base64 (standard alphabet, padded, surrounding white
// space trimmed). Weak: under 32 bytes, at most 8 different byte values (all zero, all 0x2a …),
// bytes that only count up or down, or an example that is printed in a manual or a test.
Result<crypto::SecretBytes> parse_formation_secret(std::string_view base64, WeakSecrets weak);

// A new secret in base64: 32 random bytes.
std::string generate_formation_secret(Random& random);

// UTF-8 whose length is not 0 or 1 modulo 256 (on the wire such a length looks like another kind
// of first byte) and whose challenge fits formation_challenge_bytes.
Status check_formation_id(std::string_view id, const Limits& limits = {});

// The endpoint key that existing peers derive from the shared secret and a node's name. Every
// member can compute every other member's: use it only where such a peer must be able to.
Result<crypto::SecretKey> derive_endpoint_key(ByteView secret, std::string_view node_name);

inline constexpr std::size_t kNonceBytes = 32;
using Nonce = std::array<std::uint8_t, kNonceBytes>;

class FormationKey {
 public:
  // `secret` as parse_formation_secret returned it; this keeps derived keys only.
  static Result<FormationKey> derive(ByteView secret, std::string_view formation_id,
                                     const Limits& limits = {});

  const std::string& formation_id() const { return formation_id_; }

  // The proof of membership that answers `nonce`.
  crypto::Mac respond(const Nonce& nonce) const;
  // In constant time.
  bool verify(const Nonce& nonce, ByteView response) const;

  // 16 random bytes and a tag over them and both ends of the connection.
  Nonce make_bound_nonce(Random& random, const EndpointId& acceptor,
                         const EndpointId& connector) const;
  // False: an old acceptor, or somebody between. In constant time.
  bool nonce_is_bound(const Nonce& nonce, const EndpointId& acceptor,
                      const EndpointId& connector) const;

 private:
  FormationKey(std::string formation_id, crypto::SecretBytes proof, crypto::SecretBytes binding)
      : formation_id_(std::move(formation_id)),
        proof_key_(std::move(proof)),
        binding_key_(std::move(binding)) {}

  std::string formation_id_;
  crypto::SecretBytes proof_key_;
  crypto::SecretBytes binding_key_;
};

}  // namespace peat::security
