#include "security/trust.hpp"

#include <algorithm>
#include <utility>

#include "base/encoding.hpp"

namespace peat::security {

namespace {

std::string name_of(const Certificate& certificate) {
  return certificate.subject.short_form() + " (" + certificate.node_id + ")";
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

// Newer first; of two equally new ones every node takes the same.
bool outranks(const Certificate& a, const Certificate& b) {
  if (a.issued_at_ms != b.issued_at_ms) return a.issued_at_ms > b.issued_at_ms;
  return a.signature > b.signature;
}

}  // namespace

TrustStore::TrustStore(TrustOptions options)
    : options_(std::move(options)),
      authorities_(options_.authorities.begin(), options_.authorities.end()) {}

// --- certificates ------------------------------------------------------------------------------

Result<Added> TrustStore::add_certificate(const Certificate& certificate, WallTime now) {
  const auto known = certificates_.find(certificate.subject);
  if (known != certificates_.end() && (known->second.certificate == certificate ||
                                       outranks(known->second.certificate, certificate))) {
    return Added::known;
  }
  if (certificate.mesh_id != options_.mesh_id) {
    return fail(Code::wrong_mesh, "the certificate of " + name_of(certificate) + " is for mesh " +
                                      quoted(certificate.mesh_id) + ", this is " +
                                      options_.mesh_id);
  }
  if (!certificate.signature_matches()) {
    return fail(Code::bad_signature, "the certificate of " + name_of(certificate) +
                                         " is not signed by the issuer it names");
  }
  const bool issuer_unknown = !certificate.self_signed() && !is_authority(certificate.issuer) &&
                              !certificates_.contains(certificate.issuer);
  if (issuer_unknown) {
    if (!waiting_.contains(certificate.subject) &&
        waiting_.size() >= options_.limits.trust_waiting) {
      return fail(Code::limit_exceeded, "trust_waiting (" +
                                            std::to_string(options_.limits.trust_waiting) +
                                            ") certificates wait for their issuers already");
    }
    const auto [at, fresh] = waiting_.try_emplace(certificate.subject, certificate);
    if (!fresh && outranks(certificate, at->second)) at->second = certificate;
    return Added::waiting;
  }
  PEAT_TRY_VOID(check_chain(certificate));
  PEAT_TRY_VOID(check_name(certificate, now));
  if (!store(certificate)) {
    return fail(Code::limit_exceeded, "trust_certificates (" +
                                          std::to_string(options_.limits.trust_certificates) +
                                          ") certificates are held already");
  }
  retry_waiting(now);
  return Added::stored;
}

bool TrustStore::store(const Certificate& certificate) {
  const auto known = certificates_.find(certificate.subject);
  if (known == certificates_.end() && certificates_.size() >= options_.limits.trust_certificates) {
    return false;
  }
  auto& entry = certificates_[certificate.subject];
  const bool same_name =
      known != certificates_.end() && entry.certificate.node_id == certificate.node_id;
  if (!same_name) {
    if (const auto old = by_name_.find(entry.certificate.node_id); old != by_name_.end()) {
      old->second.erase(certificate.subject);
      if (old->second.empty()) by_name_.erase(old);
    }
    entry.order = next_order_++;
    by_name_[certificate.node_id].insert(certificate.subject);
  }
  entry.certificate = certificate;
  return true;
}

// A certificate may let others in that came before it: again until nothing moves.
void TrustStore::retry_waiting(WallTime now) {
  bool moved = true;
  while (moved) {
    moved = false;
    for (auto at = waiting_.begin(); at != waiting_.end();) {
      const auto& certificate = at->second;
      if (!certificates_.contains(certificate.issuer)) {
        ++at;
        continue;
      }
      const auto known = certificates_.find(certificate.subject);
      const bool news =
          known == certificates_.end() || outranks(certificate, known->second.certificate);
      if (news && check_chain(certificate) && check_name(certificate, now)) {
        moved = store(certificate) || moved;
      }
      at = waiting_.erase(at);
    }
  }
}

Status TrustStore::check_chain(const Certificate& certificate) const {
  if (certificate.self_signed()) {
    if (is_authority(certificate.subject)) return {};
    return fail(Code::not_trusted, "the certificate of " + name_of(certificate) +
                                       " is signed by itself, and it is no pinned authority");
  }
  if (is_authority(certificate.issuer)) return {};
  const auto* delegate = certificate_of(certificate.issuer);
  if (delegate == nullptr) {
    return fail(Code::not_trusted,
                "the issuer of the certificate of " + name_of(certificate) + " is unknown");
  }
  return check_below(certificate, *delegate);
}

Status TrustStore::check_below(const Certificate& certificate, const Certificate& delegate) const {
  const auto refuse = [&](std::string_view why) {
    return fail(Code::not_trusted, "the certificate of " + name_of(certificate) + " from " +
                                       name_of(delegate) + " " + std::string(why));
  };
  if (!is_authority(delegate.issuer)) {
    return refuse("is the third link of a chain; two are taken");
  }
  if (!delegate.has(permission::kEnroll)) return refuse("comes from somebody without ENROLL");
  const auto grantable = static_cast<Permissions>(delegate.permissions & ~permission::kEnroll);
  if ((certificate.permissions & ~grantable) != 0) {
    return refuse("grants " + describe_permissions(certificate.permissions) +
                  ", of which its issuer may hand on " + describe_permissions(grantable));
  }
  if (certificate.tier < delegate.tier) return refuse("has a higher tier than its issuer");
  const auto spare = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(options_.clock_skew).count());
  const bool begins_inside = certificate.issued_at_ms + spare >= delegate.issued_at_ms;
  const bool ends_inside =
      certificate.expires_at_ms != 0 &&
      (delegate.expires_at_ms == 0 || certificate.expires_at_ms <= delegate.expires_at_ms);
  if (!begins_inside || !ends_inside) return refuse("reaches beyond its issuer's time");
  return {};
}

Status TrustStore::check_name(const Certificate& certificate, WallTime now) const {
  if (certificate.node_id.empty() || is_authority(certificate.issuer)) return {};
  const auto holder = holder_of(certificate.node_id, now);
  if (!holder || *holder == certificate.subject) return {};
  return fail(Code::not_trusted, "the name " + quoted(certificate.node_id) + " belongs to " +
                                     holder->short_form() + "; only an authority can give it to " +
                                     certificate.subject.short_form());
}

std::optional<EndpointId> TrustStore::holder_of(std::string_view node_id, WallTime now) const {
  const Entry* best = nullptr;
  const auto subjects = by_name_.find(node_id);
  if (subjects == by_name_.end()) return std::nullopt;
  for (const auto& subject : subjects->second) {
    const auto& entry = certificates_.at(subject);
    const auto& certificate = entry.certificate;
    if (!authorize(subject, 0, now)) continue;
    if (best == nullptr) {
      best = &entry;
      continue;
    }
    const bool from_authority = is_authority(certificate.issuer);
    const bool best_from_authority = is_authority(best->certificate.issuer);
    const bool better = from_authority != best_from_authority ? from_authority
                        : from_authority ? outranks(certificate, best->certificate)
                                         : entry.order < best->order;
    if (better) best = &entry;
  }
  if (best == nullptr) return std::nullopt;
  return best->certificate.subject;
}

// --- the one answer ----------------------------------------------------------------------------

Status TrustStore::check_now(const Certificate& certificate, WallTime now) const {
  const auto& subject = certificate.subject;
  if (const auto* revocation = revocation_of(subject)) {
    return fail(Code::certificate_revoked,
                name_of(certificate) + " was revoked: " + quoted(revocation->reason));
  }
  if (const auto found = suspended_.find(subject); found != suspended_.end()) {
    return fail(Code::certificate_revoked,
                name_of(certificate) +
                    " is suspended by an unsigned revocation: " + quoted(found->second.reason));
  }
  if (!certificate.valid_at(now, options_.clock_skew)) {
    const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(now.ms, 0));
    return fail(
        Code::certificate_expired,
        "the certificate of " + name_of(certificate) +
            (certificate.expires_at_ms != 0 && certificate.expires_at_ms <= ms
                 ? " expired at " + std::to_string(certificate.expires_at_ms) + " ms; renew it"
                 : " begins in the future; check both clocks"));
  }
  return {};
}

Result<const Certificate*> TrustStore::authorize(const EndpointId& key, Permissions need,
                                                 WallTime now) const {
  const auto found = certificates_.find(key);
  if (found == certificates_.end()) {
    if (const auto* revocation = revocation_of(key)) {
      return fail(Code::certificate_revoked,
                  key.short_form() + " was revoked: " + quoted(revocation->reason));
    }
    return fail(Code::not_trusted, "there is no certificate of " + key.short_form() +
                                       " here: let it join, or wait until its certificate arrives");
  }
  const auto& certificate = found->second.certificate;
  PEAT_TRY_VOID(check_now(certificate, now));
  PEAT_TRY_VOID(check_chain(certificate));
  if (!certificate.self_signed()) {
    if (const auto* revocation = revocation_of(certificate.issuer)) {
      return fail(Code::certificate_revoked, "the issuer of " + name_of(certificate) +
                                                 " was revoked: " + quoted(revocation->reason));
    }
    if (const auto* delegate = certificate_of(certificate.issuer);
        delegate != nullptr && !is_authority(certificate.issuer)) {
      PEAT_TRY_VOID(check_now(*delegate, now));
    }
  }
  if (!certificate.has(need)) {
    return fail(Code::permission_denied, name_of(certificate) + " has " +
                                             describe_permissions(certificate.permissions) +
                                             "; this needs " + describe_permissions(need));
  }
  return &certificate;
}

// --- revocations -------------------------------------------------------------------------------

Result<Added> TrustStore::add_revocation(const Revocation& revocation, WallTime now) {
  const auto& subject = revocation.subject;
  if (revocations_.contains(subject)) return Added::known;
  // An authority's always fits: nobody may crowd it out.
  const bool from_authority = revocation.seal && is_authority(revocation.seal->issuer);
  if (!from_authority &&
      revocations_.size() + suspended_.size() >= options_.limits.trust_revocations) {
    return fail(Code::limit_exceeded, "trust_revocations (" +
                                          std::to_string(options_.limits.trust_revocations) +
                                          ") revocations are held already");
  }
  if (revocation.seal) {
    if (!revocation.signature_matches(options_.mesh_id)) {
      return fail(Code::bad_signature, "the revocation of " + subject.short_form() +
                                           " is not signed by the issuer it names");
    }
    PEAT_TRY_VOID(may_revoke(revocation, now));
  } else if (options_.revocation_auth == RevocationAuth::require || is_authority(subject)) {
    return fail(Code::not_trusted, "the revocation of " + subject.short_form() +
                                       " is not signed: any member could have written it");
  } else if (options_.revocation_auth == RevocationAuth::prefer) {
    return suspended_.emplace(subject, revocation).second ? Added::stored : Added::known;
  }
  suspended_.erase(subject);
  waiting_.erase(subject);
  revocations_.emplace(subject, revocation);
  return Added::stored;
}

Status TrustStore::may_revoke(const Revocation& revocation, WallTime now) const {
  const auto& subject = revocation.subject;
  const auto& issuer = revocation.seal->issuer;
  const auto refuse = [&](std::string_view why) {
    return fail(Code::permission_denied, "the revocation of " + subject.short_form() + " by " +
                                             issuer.short_form() +
                                             " does not count: " + std::string(why));
  };
  if (issuer == subject && (is_authority(subject) || certificate_of(subject) != nullptr)) return {};
  if (is_authority(subject)) return refuse("only an authority itself revokes its key");
  if (revocation_of(issuer) != nullptr) return refuse("its signer is revoked");
  if (is_authority(issuer)) return {};
  if (authorize(issuer, permission::kAdmin, now)) return {};
  const auto* certificate = certificate_of(subject);
  if (certificate != nullptr && certificate->issuer == issuer &&
      authorize(issuer, permission::kEnroll, now)) {
    return {};
  }
  return refuse("its signer is no authority, has no ADMIN and did not issue the certificate");
}

// --- looking -----------------------------------------------------------------------------------

const Certificate* TrustStore::certificate_of(const EndpointId& subject) const {
  const auto found = certificates_.find(subject);
  return found == certificates_.end() ? nullptr : &found->second.certificate;
}

std::optional<EndpointId> TrustStore::subject_that_begins(
    std::span<const std::uint8_t> prefix) const {
  EndpointId least;
  std::ranges::copy(prefix, least.bytes.begin());
  const auto found = certificates_.lower_bound(least);
  const bool begins =
      found != certificates_.end() &&
      std::ranges::equal(prefix, std::span(found->first.bytes).first(prefix.size()));
  return begins ? std::optional(found->first) : std::nullopt;
}

const Revocation* TrustStore::revocation_of(const EndpointId& subject) const {
  const auto found = revocations_.find(subject);
  return found == revocations_.end() ? nullptr : &found->second;
}

std::vector<Revocation> TrustStore::revocations() const {
  std::vector<Revocation> out;
  for (const auto& [subject, revocation] : revocations_) out.push_back(revocation);
  return out;
}

std::vector<Member> TrustStore::members(WallTime now) const {
  std::vector<Member> out;
  for (const auto& [subject, entry] : certificates_) {
    Member member{entry.certificate, is_authority(subject), std::nullopt, std::nullopt};
    const auto* revocation = revocation_of(subject);
    if (revocation == nullptr) revocation = revocation_of(entry.certificate.issuer);
    if (revocation != nullptr) member.revoked = *revocation;
    if (auto allowed = authorize(subject, 0, now); !allowed) {
      member.problem = std::move(allowed).error();
    }
    out.push_back(std::move(member));
  }
  return out;
}

std::vector<Certificate> TrustStore::chain_of(const EndpointId& subject) const {
  std::vector<Certificate> out;
  const auto* certificate = certificate_of(subject);
  if (certificate == nullptr) return out;
  out.push_back(*certificate);
  const auto* issuer = certificate_of(certificate->issuer);
  if (issuer != nullptr && !certificate->self_signed()) out.push_back(*issuer);
  return out;
}

}  // namespace peat::security
