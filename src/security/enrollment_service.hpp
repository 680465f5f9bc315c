// The authority's side of enrolment, without I/O: a request and who sent it in, a verdict out.
//
// A request is approved if it is signed by its subject, for this mesh, dated within five minutes,
// not seen before (D-37), and carries one of
//   an invitation     that has not expired and has a use left, for a name that it allows and that
//                     no other live key holds (D-35, D-36). A device whose answer got lost may ask
//                     again with the invitation it has used.
//   a proof of one    the same, and the subject is the connection's own key.
//   "ptr1."           a renewal: the subject is the connection's own key and holds a certificate
//                     that is believed, or was until at most renewal_grace ago. Name, tier and
//                     permissions stay what they were.
// The formation secret goes only to a subject that is the connection's own key (D-38).
//
// Strangers are told fixed texts (D-39); what really was wrong is in `audit`, for the log.
//
// What a verdict issued and spent must be durable before its response leaves, or a crash would
// let an invitation be used twice.
//
// Threading: one thread; the keys and the trust store outlive the service. Limits
// (base/limits.def): enrollment_seen, enrollment_tokens.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/limits.hpp"
#include "base/time.hpp"
#include "crypto/keys.hpp"
#include "security/enrollment.hpp"
#include "security/invitation.hpp"
#include "security/trust.hpp"

namespace peat::security {

inline constexpr std::string_view kRenewalToken = "ptr1.";
inline constexpr std::chrono::milliseconds kDefaultValidity = std::chrono::hours(7 * 24);
inline constexpr Duration kRenewalGrace = std::chrono::hours(30 * 24);
inline constexpr Duration kRequestSkew = std::chrono::minutes(5);

struct EnrollmentOptions {
  EndpointId server;  // this node
  std::string mesh_name;
  MembershipPolicy policy = MembershipPolicy::controlled;
  std::chrono::milliseconds validity = kDefaultValidity;
  // A device with a good invitation still waits for approve().
  bool approval = false;
  Limits limits = {};
};

// A device that waits for the operator.
struct PendingDevice {
  EndpointId subject;
  std::string node_id;
  Tier tier = Tier::edge;
  Permissions permissions = 0;
  std::int64_t asked_at_ms = 0;  // the last time: it goes on asking
};

// One use of an invitation.
struct TokenUse {
  InvitationId id{};
  EndpointId subject;
  std::uint64_t expires_at_ms = 0;
  friend bool operator==(const TokenUse&, const TokenUse&) = default;
};

// A record of uses: u8 1, then per use id[8], subject[32], u64le expires.
Bytes encode_token_uses(const std::vector<TokenUse>& uses);
Result<std::vector<TokenUse>> decode_token_uses(ByteView record);

struct EnrollmentVerdict {
  EnrollmentResponse response;
  std::optional<Certificate> issued;
  bool spent = false;  // token_uses() changed
  std::string audit;
};

class EnrollmentService {
 public:
  EnrollmentService(const crypto::SecretKey& authority, const crypto::SecretBytes& formation_secret,
                    TrustStore& trust, EnrollmentOptions options);

  void restore(const std::vector<TokenUse>& uses);
  std::vector<TokenUse> token_uses() const;  // of invitations that may still be used

  // `endpoint` is the connection's proven key.
  EnrollmentVerdict process(ByteView request, const EndpointId& endpoint, WallTime now);
  // For a request that is too long to be read.
  static EnrollmentVerdict too_large(std::uint64_t length, WallTime now);

  std::vector<DialableMember> dialable;  // told to new members

  // Approval. Who waits, with invitations that were checked; who has not asked for an hour is
  // forgotten, and so is everything after a restart: the device goes on asking.
  static constexpr std::size_t kMaxPending = 256;  // further ones are told to come back
  std::vector<PendingDevice> pending() const;      // by subject
  // What the device is told when it asks next. Code::not_found: it does not wait.
  Status decide(const EndpointId& subject, bool approved);

 private:
  struct Spent {
    std::uint64_t expires_at_ms = 0;
    std::set<EndpointId> subjects;
  };

  EnrollmentVerdict deny(std::string reason, std::string audit, std::uint64_t timestamp_ms) const;
  EnrollmentVerdict enroll(const EnrollmentRequest& request, const EndpointId& endpoint,
                           WallTime now);
  EnrollmentVerdict renew(const EnrollmentRequest& request, const EndpointId& endpoint,
                          WallTime now);
  // nullopt: approved.
  std::optional<EnrollmentVerdict> await_approval(const EnrollmentRequest& request,
                                                  const InvitationTerms& terms, WallTime now);
  EnrollmentVerdict approve(const CertificateRequest& wanted, const EndpointId& endpoint,
                            WallTime now, std::string audit);
  void remember(const EnrollmentRequest& request, WallTime now);
  void forget_expired(WallTime now);

  const crypto::SecretKey& authority_;
  const crypto::SecretBytes& formation_secret_;
  const InvitationKey invitations_;
  TrustStore& trust_;
  EnrollmentOptions options_;
  std::map<InvitationId, Spent> spent_;
  struct Waiting {
    PendingDevice device;
    std::optional<bool> approved;
  };
  std::map<EndpointId, Waiting> waiting_;
  std::set<crypto::Signature> seen_;
  std::deque<std::pair<std::int64_t, crypto::Signature>> seen_order_;  // until when
};

}  // namespace peat::security
