// Whom a node trusts: pinned authorities, the certificates that lead to them, and revocations.
//
// What comes in is untrusted, wherever it comes from: certificates and revocations travel in
// ordinary documents that any member can write. One function answers: authorize(key, need, now).
// It walks the chain anew each time, so that an authority's revocation or an expiry acts at once
// on everything below it.
//
// A certificate is believed if
//   - its signature matches, and its mesh id is ours (D-12);
//   - it is self-signed and its subject a pinned authority (D-01), or its issuer is one, or its
//     issuer holds a believed certificate with ENROLL from a pinned authority: a chain has at
//     most two links, and nobody below the authority hands ENROLL on (D-11);
//   - below a delegate: its permissions are among the delegate's, its tier is not higher, it
//     expires, and its time lies inside the delegate's (D-11);
//   - now is inside its time, with clock skew to spare (D-17);
//   - neither its subject nor its issuer is revoked (D-09).
// Of several for one subject the newest counts, so that an old one cannot be rolled back to
// (D-12). Where the issuer is not known yet, a certificate waits for it (D-16).
//
// Names. A node id belongs to the first key that held it for as long as that key's certificate is
// believed; a delegate cannot give it to another key, an authority can: its newest certificate
// decides (D-12). Names are for people and discovery: nothing is authorised by name.
//
// Revocations are for ever: the key is dead, its device needs a new one. Believed is one that is
// signed for this mesh by a pinned authority, by a holder of ADMIN, by the issuer of the
// subject's certificate or by a certified subject itself, and whose signer is not revoked (D-10). A
// pinned authority's key is revoked by that authority alone. What to do with unsigned ones, which
// any member can forge: RevocationAuth.
//
// Threading: one thread. Cost: authorize() is one or two Ed25519 checks less than it seems: a
// certificate's signature is checked when it comes in. Limits (base/limits.def):
// trust_certificates, trust_waiting, trust_revocations.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "base/time.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "security/certificate.hpp"
#include "security/revocation.hpp"

namespace peat::security {

// What an unsigned revocation does: require ignores it; prefer suspends the subject until the
// unsigned revocation is taken back; any takes it like a signed one.
enum class RevocationAuth : std::uint8_t { any, prefer, require };

inline constexpr Duration kDefaultClockSkew = std::chrono::minutes(5);

struct TrustOptions {
  std::string mesh_id;
  std::vector<EndpointId> authorities;
  Duration clock_skew = kDefaultClockSkew;
  RevocationAuth revocation_auth = RevocationAuth::require;
  Limits limits;
};

// What became of something that was added.
enum class Added : std::uint8_t {
  stored,   // new, and it changes something
  known,    // it, or something that outranks it, was there
  waiting,  // for its issuer's certificate
};

// One certificate as an operator sees it.
struct Member {
  Certificate certificate;
  bool authority = false;             // its subject is pinned
  std::optional<Revocation> revoked;  // the revocation that hits it or its issuer
  std::optional<Error> problem;       // why it is not authorised now
};

class TrustStore {
 public:
  explicit TrustStore(TrustOptions options);

  const std::string& mesh_id() const { return options_.mesh_id; }
  bool is_authority(const EndpointId& key) const { return authorities_.contains(key); }

  // Errors: bad_signature, wrong_mesh, not_trusted (with the rule that it breaks), limit_exceeded.
  Result<Added> add_certificate(const Certificate& certificate, WallTime now);
  // Errors: bad_signature, not_trusted, permission_denied (the signer may not), limit_exceeded.
  Result<Added> add_revocation(const Revocation& revocation, WallTime now);
  // One that was believed before: from this node's own record.
  void restore(const Revocation& revocation) {
    revocations_.try_emplace(revocation.subject, revocation);
  }
  // The document of an unsigned revocation is gone.
  void lift_suspension(const EndpointId& subject) { suspended_.erase(subject); }

  // The certificate that lets `key` do `need`. Errors: not_trusted (no certificate, or no chain),
  // certificate_expired, certificate_revoked, permission_denied; the message says who and why.
  Result<const Certificate*> authorize(const EndpointId& key, Permissions need, WallTime now) const;

  // Who holds a name now.
  std::optional<EndpointId> holder_of(std::string_view node_id, WallTime now) const;

  const Certificate* certificate_of(const EndpointId& subject) const;
  // The first subject whose id begins so.
  std::optional<EndpointId> subject_that_begins(std::span<const std::uint8_t> prefix) const;
  const Revocation* revocation_of(const EndpointId& subject) const;
  std::vector<Revocation> revocations() const;
  std::vector<Member> members(WallTime now) const;  // by subject
  // The certificates that prove `subject` to somebody who knows the authority alone; its own first.
  std::vector<Certificate> chain_of(const EndpointId& subject) const;

 private:
  struct Entry {
    Certificate certificate;
    std::uint64_t order = 0;  // of the first certificate of this subject under its present name
  };

  // Whether the certificate may stand, time and revocation apart.
  Status check_chain(const Certificate& certificate) const;
  Status check_below(const Certificate& certificate, const Certificate& delegate) const;
  Status check_name(const Certificate& certificate, WallTime now) const;
  Status check_now(const Certificate& certificate, WallTime now) const;
  Status may_revoke(const Revocation& revocation, WallTime now) const;
  bool store(const Certificate& certificate);
  void retry_waiting(WallTime now);

  TrustOptions options_;
  std::set<EndpointId> authorities_;
  std::map<EndpointId, Entry> certificates_;
  std::map<std::string, std::set<EndpointId>, std::less<>> by_name_;
  std::map<EndpointId, Certificate> waiting_;  // by subject
  std::map<EndpointId, Revocation> revocations_;
  std::map<EndpointId, Revocation> suspended_;
  std::uint64_t next_order_ = 0;
};

}  // namespace peat::security
