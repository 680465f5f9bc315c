#include "security/enrollment_service.hpp"

#include <algorithm>

#include "base/reader.hpp"

namespace peat::security {

namespace {

constexpr std::string_view kWrongMesh = "mesh ID mismatch";
constexpr std::string_view kBadToken = "invalid bootstrap token";
constexpr std::string_view kBadRequest = "the request cannot be read";
constexpr std::string_view kBadSignature = "the request's signature does not match";
constexpr std::string_view kBadTime = "the request is not of this moment; check the clock";
constexpr std::string_view kSeen = "the request was seen before";
constexpr std::string_view kBadName = "this name is not to be had";
constexpr std::string_view kRevoked = "this key was revoked";
constexpr std::string_view kNoRenewal = "there is nothing to renew";
constexpr std::string_view kNotApproved = "the operator has refused this device";
constexpr std::int64_t kPendingForMs = 60 * 60 * 1000;
constexpr std::string_view kBusy = "too many requests; try again later";
constexpr std::uint8_t kRecordVersion = 1;

std::int64_t skew_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(kRequestSkew).count();
}

std::string describe(const EnrollmentRequest& request) {
  return "subject=" + request.subject.short_form() + " node_id=\"" + request.node_id + "\"";
}

bool is_renewal(const EnrollmentRequest& request) {
  return as_text(request.token) == kRenewalToken;
}

}  // namespace

Bytes encode_token_uses(const std::vector<TokenUse>& uses) {
  Bytes out;
  Writer writer(out);
  writer.u8(kRecordVersion);
  for (const auto& use : uses) {
    writer.bytes(use.id);
    writer.bytes(use.subject.bytes);
    writer.u64le(use.expires_at_ms);
  }
  return out;
}

Result<std::vector<TokenUse>> decode_token_uses(ByteView record) {
  Reader reader(record);
  std::vector<TokenUse> out;
  PEAT_TRY(const auto version, reader.u8("version"));
  if (version != kRecordVersion) {
    return fail(Code::wrong_version,
                "a record of used invitations of version " + std::to_string(version));
  }
  while (!reader.done()) {
    TokenUse use;
    PEAT_TRY(const auto id, reader.take(use.id.size(), "invitation id"));
    std::ranges::copy(id, use.id.begin());
    PEAT_TRY(const auto subject, reader.take(use.subject.bytes.size(), "subject"));
    std::ranges::copy(subject, use.subject.bytes.begin());
    PEAT_TRY(use.expires_at_ms, reader.u64le("expiry"));
    out.push_back(use);
  }
  return out;
}

EnrollmentService::EnrollmentService(const crypto::SecretKey& authority,
                                     const crypto::SecretBytes& formation_secret, TrustStore& trust,
                                     EnrollmentOptions options)
    : authority_(authority),
      formation_secret_(formation_secret),
      invitations_(InvitationKey::of(authority)),
      trust_(trust),
      options_(std::move(options)) {}

void EnrollmentService::restore(const std::vector<TokenUse>& uses) {
  for (const auto& use : uses) {
    auto& spent = spent_[use.id];
    spent.expires_at_ms = use.expires_at_ms;
    spent.subjects.insert(use.subject);
  }
}

std::vector<TokenUse> EnrollmentService::token_uses() const {
  std::vector<TokenUse> out;
  for (const auto& [id, spent] : spent_) {
    for (const auto& subject : spent.subjects) out.push_back({id, subject, spent.expires_at_ms});
  }
  return out;
}

EnrollmentVerdict EnrollmentService::deny(std::string reason, std::string audit,
                                          std::uint64_t timestamp_ms) const {
  EnrollmentVerdict verdict;
  verdict.response.status = EnrollmentStatus::denied;
  verdict.response.reason = std::move(reason);
  verdict.response.timestamp_ms = timestamp_ms;
  verdict.audit = "enrolment denied " + audit;
  return verdict;
}

EnrollmentVerdict EnrollmentService::too_large(std::uint64_t length, WallTime now) {
  EnrollmentVerdict verdict;
  verdict.response.reason = "request too large: " + std::to_string(length) + " bytes";
  verdict.response.timestamp_ms = static_cast<std::uint64_t>(std::max<std::int64_t>(now.ms, 0));
  verdict.audit = "enrolment denied " + verdict.response.reason;
  return verdict;
}

EnrollmentVerdict EnrollmentService::process(ByteView bytes, const EndpointId& endpoint,
                                             WallTime now) {
  const auto request = EnrollmentRequest::decode(bytes);
  if (!request) {
    return deny(std::string(kBadRequest), "problem=\"" + request.error().message + "\"", 0);
  }
  const auto refuse = [&](std::string_view reason, std::string_view detail) {
    return deny(std::string(reason),
                describe(*request) + " problem=\"" + std::string(detail) + "\"",
                request->timestamp_ms);
  };
  if (!request->signature_matches()) return refuse(kBadSignature, kBadSignature);
  if (request->mesh_id != trust_.mesh_id()) {
    return refuse(kWrongMesh, "mesh " + request->mesh_id);
  }
  const auto timestamp = request->timestamp_ms <= kMaxTimeMs
                             ? static_cast<std::int64_t>(request->timestamp_ms)
                             : std::numeric_limits<std::int64_t>::max();
  if (now.ms < 0 || timestamp < now.ms - skew_ms() || timestamp > now.ms + skew_ms()) {
    return refuse(kBadTime, "the clocks differ by more than five minutes");
  }
  forget_expired(now);
  if (seen_.contains(request->signature)) return refuse(kSeen, kSeen);
  if (seen_.size() >= options_.limits.enrollment_seen) {
    return refuse(kBusy, "enrollment_seen is reached");
  }
  if (trust_.revocation_of(request->subject) != nullptr) {
    auto verdict = refuse(kRevoked, kRevoked);
    verdict.response.status = EnrollmentStatus::revoked;
    return verdict;
  }
  auto verdict =
      is_renewal(*request) ? renew(*request, endpoint, now) : enroll(*request, endpoint, now);
  // What was refused is refused again: only what strangers cannot make is remembered.
  if (verdict.response.status == EnrollmentStatus::approved) remember(*request, now);
  return verdict;
}

EnrollmentVerdict EnrollmentService::enroll(const EnrollmentRequest& request,
                                            const EndpointId& endpoint, WallTime now) {
  const auto refuse = [&](std::string_view reason, std::string_view detail) {
    return deny(std::string(reason), describe(request) + " problem=\"" + std::string(detail) + "\"",
                request.timestamp_ms);
  };
  const auto presented =
      invitations_.check(request.token, {options_.server, request.subject, request.timestamp_ms});
  if (!presented) return refuse(kBadToken, presented.error().message);
  const auto& terms = presented->terms;
  if (presented->proven && request.subject != endpoint) {
    return refuse(kBadToken, "the proof is for another key than the connection's");
  }
  if (static_cast<std::uint64_t>(now.ms) >= terms.expires_at_ms) {
    return refuse(kBadToken, "the invitation has expired");
  }
  const auto used = spent_.find(terms.id);
  const bool again = used != spent_.end() && used->second.subjects.contains(request.subject);
  if (!again && used != spent_.end() && used->second.subjects.size() >= terms.uses) {
    return refuse(kBadToken, "the invitation is used up");
  }
  if (!check_node_name(request.node_id) || !terms.allows_name(request.node_id)) {
    return refuse(kBadName, "the invitation is for \"" + terms.names + "\"");
  }
  const auto holder = trust_.holder_of(request.node_id, now);
  if (holder && *holder != request.subject) {
    return refuse(kBadName, "the name belongs to " + holder->short_form());
  }
  if (!again && spent_.size() >= options_.limits.enrollment_tokens) {
    return refuse(kBusy, "enrollment_tokens is reached");
  }
  if (options_.approval && !again) {
    if (auto verdict = await_approval(request, terms, now)) return std::move(*verdict);
  }
  auto& spent = spent_[terms.id];
  spent.expires_at_ms = terms.expires_at_ms;
  const bool first = spent.subjects.insert(request.subject).second;
  auto verdict =
      approve({request.subject, request.node_id, terms.tier, terms.permissions, options_.validity},
              endpoint, now, "enrolled " + describe(request));
  verdict.spent = first;
  return verdict;
}

std::optional<EnrollmentVerdict> EnrollmentService::await_approval(const EnrollmentRequest& request,
                                                                   const InvitationTerms& terms,
                                                                   WallTime now) {
  const auto found = waiting_.find(request.subject);
  const bool same = found != waiting_.end() && found->second.device.node_id == request.node_id &&
                    found->second.device.permissions == terms.permissions &&
                    found->second.device.tier == terms.tier;
  // What was approved is what was seen.
  if (same && found->second.approved) {
    const bool approved = *found->second.approved;
    if (!approved) {
      return deny(std::string(kNotApproved), describe(request) + " problem=\"refused by hand\"",
                  request.timestamp_ms);
    }
    waiting_.erase(found);
    return std::nullopt;
  }
  if (found == waiting_.end() && waiting_.size() >= kMaxPending) {
    return deny(std::string(kBusy), describe(request) + " problem=\"too many wait for approval\"",
                request.timestamp_ms);
  }
  waiting_[request.subject] = {
      {request.subject, request.node_id, terms.tier, terms.permissions, now.ms}, std::nullopt};
  EnrollmentVerdict verdict;
  verdict.response.status = EnrollmentStatus::pending;
  verdict.response.timestamp_ms = static_cast<std::uint64_t>(now.ms);
  verdict.audit = "enrolment waits for approval " + describe(request);
  return verdict;
}

std::vector<PendingDevice> EnrollmentService::pending() const {
  std::vector<PendingDevice> out;
  for (const auto& [subject, waiting] : waiting_) {
    if (!waiting.approved) out.push_back(waiting.device);
  }
  return out;
}

Status EnrollmentService::decide(const EndpointId& subject, bool approved) {
  const auto found = waiting_.find(subject);
  if (found == waiting_.end()) {
    return fail(Code::not_found, "no device " + subject.short_form() + " waits for approval");
  }
  found->second.approved = approved;
  return {};
}

EnrollmentVerdict EnrollmentService::renew(const EnrollmentRequest& request,
                                           const EndpointId& endpoint, WallTime now) {
  const auto refuse = [&](std::string_view detail) {
    return deny(std::string(kNoRenewal),
                describe(request) + " problem=\"" + std::string(detail) + "\"",
                request.timestamp_ms);
  };
  if (request.subject != endpoint) return refuse("the connection's key is another");
  const auto* certificate = trust_.certificate_of(request.subject);
  if (certificate == nullptr) return refuse("it has no certificate");
  auto when = now;
  if (certificate->expires_at_ms != 0) {
    const auto last = static_cast<std::int64_t>(certificate->expires_at_ms) - 1;
    const auto grace = std::chrono::duration_cast<std::chrono::milliseconds>(kRenewalGrace).count();
    if (now.ms > last + grace) return refuse("it expired too long ago; invite it again");
    when.ms = std::min(when.ms, last);
  }
  if (const auto allowed = trust_.authorize(request.subject, 0, when); !allowed) {
    return refuse(allowed.error().message);
  }
  return approve({request.subject, certificate->node_id, certificate->tier,
                  certificate->permissions, options_.validity},
                 endpoint, now, "renewed " + describe(request));
}

EnrollmentVerdict EnrollmentService::approve(const CertificateRequest& wanted,
                                             const EndpointId& endpoint, WallTime now,
                                             std::string audit) {
  auto certificate = issue_certificate(authority_, trust_.mesh_id(), wanted, now);
  if (!certificate) return deny(std::string(kBadRequest), certificate.error().message, 0);
  if (const auto added = trust_.add_certificate(*certificate, now); !added) {
    return deny(std::string(kBusy), added.error().message, 0);
  }
  EnrollmentVerdict verdict;
  auto& response = verdict.response;
  response.status = EnrollmentStatus::approved;
  response.certificate = *certificate;
  if (wanted.subject == endpoint) {
    response.formation_secret.emplace(formation_secret_.view());
    response.extension.emplace(EnrollmentResponse::Extension{
        options_.mesh_name, options_.policy, trust_.chain_of(options_.server), dialable});
  }
  response.timestamp_ms = static_cast<std::uint64_t>(now.ms);
  verdict.issued = std::move(*certificate);
  verdict.audit = std::move(audit);
  return verdict;
}

void EnrollmentService::remember(const EnrollmentRequest& request, WallTime now) {
  seen_.insert(request.signature);
  seen_order_.emplace_back(now.ms + 2 * skew_ms(), request.signature);
}

void EnrollmentService::forget_expired(WallTime now) {
  while (!seen_order_.empty() && seen_order_.front().first < now.ms) {
    seen_.erase(seen_order_.front().second);
    seen_order_.pop_front();
  }
  std::erase_if(waiting_, [&](const auto& entry) {
    return entry.second.device.asked_at_ms + kPendingForMs < now.ms;
  });
  std::erase_if(spent_, [&](const auto& entry) {
    return entry.second.expires_at_ms <= static_cast<std::uint64_t>(now.ms);
  });
}

}  // namespace peat::security
