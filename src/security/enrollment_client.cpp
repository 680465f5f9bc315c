#include "security/enrollment_client.hpp"

#include "base/reader.hpp"
#include "security/enrollment_service.hpp"
#include "security/invitation.hpp"
#include "security/trust.hpp"

namespace peat::security {

Result<EnrollmentClient> EnrollmentClient::begin(const crypto::SecretKey& key, EnrollmentTask task,
                                                 Now now) {
  if (now.wall.ms < 0) {
    return fail(Code::invalid_argument, "this machine's clock is before 1970; set it");
  }
  PEAT_TRY_VOID(check_node_name(task.node_id));
  EnrollmentClient out;
  out.subject_ = key.public_key();
  EnrollmentRequest request;
  request.subject = out.subject_;
  request.mesh_id = task.mesh_id;
  request.node_id = task.node_id;
  request.timestamp_ms = static_cast<std::uint64_t>(now.wall.ms);
  if (task.token.empty()) {
    const auto renewal = as_bytes(kRenewalToken);
    request.token.assign(renewal.begin(), renewal.end());
  } else {
    PEAT_TRY(request.token,
             prove_token(task.token, {task.server, request.subject, request.timestamp_ms}));
  }
  PEAT_TRY_VOID(request.sign(key));
  PEAT_TRY(const auto bytes, request.encode());
  Writer writer(out.message_);
  writer.u32le(static_cast<std::uint32_t>(bytes.size()));
  writer.bytes(bytes);
  out.task_ = std::move(task);
  out.deadline_ = now.mono + kEnrollmentDeadline;
  return out;
}

void EnrollmentClient::on_stream_bytes(Now now, ByteView bytes, bool fin) {
  if (outcome_) return;
  const auto limit = task_.limits.enrollment_message_bytes + 4;
  // The answer holds the mesh's secret: growing would leave copies of it behind.
  if (input_.capacity() < limit) input_.reserve(limit);
  const auto part = bytes.first(std::min<std::size_t>(bytes.size(), limit - input_.size()));
  input_.insert(input_.end(), part.begin(), part.end());
  Reader reader(input_);
  if (const auto length = reader.u32le("response length")) {
    if (*length > task_.limits.enrollment_message_bytes) {
      return fail_with(Code::limit_exceeded, "the authority announces an answer of " +
                                                 std::to_string(*length) +
                                                 " bytes; the limit is enrollment_message_bytes");
    }
    if (const auto response = reader.take(*length, "response")) judge(*response, now.wall);
  }
  if (fin) on_closed(now);
}

void EnrollmentClient::judge(ByteView response, WallTime now) {
  auto decoded = EnrollmentResponse::decode(response);
  if (!decoded) {
    outcome_ = std::unexpected(std::move(decoded).error());
  } else {
    outcome_ = check(std::move(*decoded), now);
  }
  crypto::wipe(input_);
  input_.clear();
}

Result<Enrolled> EnrollmentClient::check(EnrollmentResponse response, WallTime now) const {
  switch (response.status) {
    case EnrollmentStatus::pending:
      return fail(Code::unavailable, "the authority has not decided yet; ask again later");
    case EnrollmentStatus::denied:
      return fail(Code::permission_denied, "the authority refused: " + response.reason);
    case EnrollmentStatus::revoked:
      return fail(Code::permission_denied, "the authority has revoked this device's key (" +
                                               response.reason +
                                               "); give it a new one with "
                                               "`peat id rotate`, and a new invitation");
    case EnrollmentStatus::approved:
      break;
  }
  if (!response.certificate) {
    return fail(Code::malformed, "the authority approved, but sent no certificate");
  }
  TrustOptions options;
  options.mesh_id = task_.mesh_id;
  options.authorities = {task_.authority};
  TrustStore trust(std::move(options));
  const auto& certificate = *response.certificate;
  if (certificate.subject != subject_) {
    return fail(Code::not_trusted, "the certificate that came is for another key");
  }
  if (certificate.node_id != task_.node_id) {
    return fail(Code::not_trusted, "the certificate that came is for the name " +
                                       certificate.node_id + ", not " + task_.node_id);
  }
  if (response.extension) {
    for (const auto& link : response.extension->chain) {
      PEAT_TRY_VOID(trust.add_certificate(link, now));
    }
  }
  PEAT_TRY_VOID(trust.add_certificate(certificate, now));
  PEAT_TRY_VOID(trust.authorize(subject_, 0, now));
  return Enrolled{certificate, std::move(response.formation_secret), std::move(response.extension)};
}

void EnrollmentClient::on_closed(Now) {
  if (outcome_) return;
  fail_with(Code::connection_lost, input_.empty()
                                       ? "the authority ended the connection without an answer"
                                       : "the authority's answer breaks off");
}

void EnrollmentClient::on_timeout(Now now) {
  if (!outcome_ && now.mono >= deadline_) {
    fail_with(Code::timeout, "the authority did not answer within 30 s");
  }
}

void EnrollmentClient::fail_with(Code code, std::string message) {
  outcome_ = fail(code, std::move(message));
  crypto::wipe(input_);
}

}  // namespace peat::security
