// The beginning of a mesh, and what its members are given (spec/security.md 6).
//
//   mesh seed (32 random bytes)
//    ├ HKDF(mesh name, seed, "peat-mesh:mesh-id")           -> 4 bytes -> mesh id "0B6CA76F"
//    ├ HKDF(mesh name, seed, "peat-mesh:formation-secret")  -> formation secret
//    └ HKDF(-, seed, "peat-mesh:authority-keypair")         -> authority key
//
// A MeshGenesis holds every secret of a mesh: it lives sealed (security/genesis_file.hpp), away
// from the nodes. MeshCredentials are what a member needs; they hold the formation secret, so they
// are a secret too. The mesh id is 32 bits, a name for people: what a mesh *is* is its authority
// key, and that alone is compared.
//
//   genesis     := u16le n, name[n], seed[32], authority seed[32], u64le created, u8 policy
//   credentials := u16le n, name[n], mesh id[8], formation secret[32], authority key[32], u8 policy
//
// Both have 75 + n bytes and no type: a genesis read as credentials is told by its mesh id, which
// has 8 upper-case hex digits.
//
// Threading: move-only values. Errors: truncated, malformed, limit_exceeded, invalid_argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.hpp"
#include "base/time.hpp"
#include "crypto/keys.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "security/certificate.hpp"

namespace peat::security {

// Who may synchronise. Open: who has the formation secret. Controlled: who has a certificate as
// well. Strict: as controlled, and nobody can enrol over the network.
enum class MembershipPolicy : std::uint8_t { open, controlled, strict };
std::string_view to_string(MembershipPolicy policy);                      // "Open", …
Result<MembershipPolicy> parse_membership_policy(std::string_view text);  // trimmed, any case

struct MeshCredentials {
  std::string mesh_name;
  std::string mesh_id;
  crypto::SecretBytes formation_secret;
  EndpointId authority;
  MembershipPolicy policy = MembershipPolicy::controlled;

  static Result<MeshCredentials> decode(ByteView bytes);
  Result<crypto::SecretBytes> encode() const;
};

// What a certificate is to say; the mesh and the issuer are added.
struct CertificateRequest {
  EndpointId subject;
  std::string node_id;
  Tier tier = Tier::tactical;
  Permissions permissions = permission::kStandard;
  std::chrono::milliseconds validity{0};  // 0: never expires
};

// Signs a certificate. Code::limit_exceeded for a name that is too long.
Result<Certificate> issue_certificate(const crypto::SecretKey& issuer, std::string_view mesh_id,
                                      const CertificateRequest& request, WallTime now);

class MeshGenesis {
 public:
  // A fresh seed: one seed under two names would share one authority (D-28).
  static Result<MeshGenesis> create(Random& random, std::string_view mesh_name,
                                    MembershipPolicy policy, WallTime now);
  // From a known seed; `authority` in place of the derived key (one that lives in hardware, say).
  static Result<MeshGenesis> from_seed(ByteView seed, std::string_view mesh_name,
                                       MembershipPolicy policy, WallTime now,
                                       std::optional<crypto::SecretKey> authority = std::nullopt);
  static Result<MeshGenesis> decode(ByteView bytes);
  crypto::SecretBytes encode() const;

  const std::string& mesh_name() const { return name_; }
  const std::string& mesh_id() const { return mesh_id_; }
  MembershipPolicy policy() const { return policy_; }
  WallTime created() const { return created_; }
  const crypto::SecretKey& authority() const { return authority_; }

  MeshCredentials credentials() const;
  // The authority's own: tier Enterprise, all permissions, never expires.
  Result<Certificate> root_certificate(std::string_view node_id, WallTime now) const;
  Result<Certificate> issue(const CertificateRequest& request, WallTime now) const;

 private:
  MeshGenesis(std::string name, crypto::SecretBytes seed, crypto::SecretKey authority,
              WallTime created, MembershipPolicy policy);

  std::string name_;
  crypto::SecretBytes seed_;
  crypto::SecretKey authority_;
  WallTime created_;
  MembershipPolicy policy_;
  std::string mesh_id_;
};

}  // namespace peat::security
