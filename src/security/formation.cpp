#include "security/formation.hpp"

#include <algorithm>
#include <bitset>

#include "base/encoding.hpp"

namespace peat::security {

namespace {

constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kNonceRandomBytes = 16;

// Secrets printed in manuals, examples and tests of existing systems.
constexpr std::string_view kPublishedSecrets[] = {
    "fPARVR0eqxhTNqqjKIrYrYTD1VBP6PjGKCAAa39+wl8=",
    "dGVzdC1mb3JtYXRpb24tc2VjcmV0LTMyLWJ5dGVzISE=",
    "dGVzdC1rZXktMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0",
};

bool counts_steadily(ByteView secret) {
  const auto step = static_cast<std::uint8_t>(secret[1] - secret[0]);
  for (std::size_t i = 2; i < secret.size(); ++i) {
    if (static_cast<std::uint8_t>(secret[i] - secret[i - 1]) != step) return false;
  }
  return true;
}

std::size_t different_bytes(ByteView secret) {
  std::bitset<256> seen;
  for (const auto byte : secret) seen.set(byte);
  return seen.count();
}

bool is_published(ByteView secret) {
  return std::ranges::any_of(kPublishedSecrets, [&](std::string_view text) {
    const auto known = from_base64(text);
    return known && crypto::equal_constant_time(*known, secret);
  });
}

Status refuse_weak(ByteView secret) {
  std::string why;
  if (secret.size() < kSecretBytes) {
    why = "has " + std::to_string(secret.size()) + " bytes; at least 32 are needed";
  } else if (different_bytes(secret) <= 8 || counts_steadily(secret)) {
    why = "follows a pattern that is quickly guessed";
  } else if (is_published(secret)) {
    why = "is an example that is published";
  } else {
    return {};
  }
  return fail(Code::weak_secret, "the formation secret " + why +
                                     ". Make one with `peat secret new` and give it to every "
                                     "node");
}

crypto::Mac nonce_tag(ByteView key, ByteView random, const EndpointId& acceptor,
                      const EndpointId& connector) {
  constexpr std::uint8_t kVersion = 0x01;
  return crypto::hmac_sha256(key,
                             {ByteView(&kVersion, 1), random, acceptor.bytes, connector.bytes});
}

}  // namespace

Result<crypto::SecretBytes> parse_formation_secret(std::string_view base64, WeakSecrets weak) {
  auto decoded = from_base64(base64);
  if (!decoded) {
    return fail(Code::malformed, "the formation secret is " + decoded.error().message +
                                     ". Make one with `peat secret new`");
  }
  crypto::SecretBytes secret{ByteView(*decoded)};
  crypto::wipe(*decoded);
  if (weak == WeakSecrets::refuse) PEAT_TRY_VOID(refuse_weak(secret.view()));
  return secret;
}

std::string generate_formation_secret(Random& random) {
  crypto::SecretBytes secret(kSecretBytes);
  random.fill(secret.mutable_view());
  return to_base64(secret.view());
}

Status check_formation_id(std::string_view id, const Limits& limits) {
  if (!is_utf8(id)) return fail(Code::invalid_argument, "the formation id is not UTF-8");
  if (2 + id.size() + kNonceBytes > limits.formation_challenge_bytes) {
    return fail(Code::limit_exceeded, "the formation id has " + std::to_string(id.size()) +
                                          " bytes; its challenge must fit the limit "
                                          "formation_challenge_bytes of " +
                                          std::to_string(limits.formation_challenge_bytes));
  }
  if (id.size() % 256 <= 1) {
    return fail(Code::invalid_argument,
                "a formation id of " + std::to_string(id.size()) +
                    " bytes cannot be told from other traffic; choose one that is longer by 2");
  }
  return {};
}

Result<crypto::SecretKey> derive_endpoint_key(ByteView secret, std::string_view node_name) {
  PEAT_TRY(const auto seed,
           crypto::hkdf_sha256({}, secret, as_bytes("iroh:" + std::string(node_name))));
  return crypto::SecretKey::from_seed(seed.view().first<crypto::kSeedBytes>());
}

Result<FormationKey> FormationKey::derive(ByteView secret, std::string_view formation_id,
                                          const Limits& limits) {
  PEAT_TRY_VOID(check_formation_id(formation_id, limits));
  auto hashed = sha256(secret);
  const ByteView secret32 = secret.size() == kSecretBytes ? secret : ByteView(hashed);
  const auto salt = as_bytes(formation_id);
  auto proof = crypto::hkdf_sha256(salt, secret32, as_bytes("peat-protocol-v1-formation"));
  auto binding = crypto::hkdf_sha256(salt, secret32, as_bytes("peat-protocol-v1-formation-bind"));
  crypto::wipe(hashed);
  if (!proof) return std::unexpected(std::move(proof).error());
  if (!binding) return std::unexpected(std::move(binding).error());
  return FormationKey(std::string(formation_id), std::move(*proof), std::move(*binding));
}

crypto::Mac FormationKey::respond(const Nonce& nonce) const {
  return crypto::hmac_sha256(proof_key_.view(), {nonce, as_bytes(formation_id_)});
}

bool FormationKey::verify(const Nonce& nonce, ByteView response) const {
  return crypto::equal_constant_time(respond(nonce), response);
}

Nonce FormationKey::make_bound_nonce(Random& random, const EndpointId& acceptor,
                                     const EndpointId& connector) const {
  Nonce nonce;
  const auto fresh = std::span(nonce).first<kNonceRandomBytes>();
  random.fill(fresh);
  const auto tag = nonce_tag(binding_key_.view(), fresh, acceptor, connector);
  std::copy_n(tag.begin(), kNonceBytes - kNonceRandomBytes, nonce.begin() + kNonceRandomBytes);
  return nonce;
}

bool FormationKey::nonce_is_bound(const Nonce& nonce, const EndpointId& acceptor,
                                  const EndpointId& connector) const {
  const auto fresh = ByteView(nonce).first(kNonceRandomBytes);
  const auto tag = nonce_tag(binding_key_.view(), fresh, acceptor, connector);
  return crypto::equal_constant_time(ByteView(tag).first(kNonceBytes - kNonceRandomBytes),
                                     ByteView(nonce).subspan(kNonceRandomBytes));
}

}  // namespace peat::security
