#include "security/enrollment.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include "base/encoding.hpp"
#include "base/reader.hpp"

namespace peat::security {

namespace {

constexpr std::array<std::string_view, 4> kStatusNames{"Pending", "Approved", "Denied", "Revoked"};
constexpr std::string_view kExtensionMagic = "PTX1";
constexpr std::size_t kMaxMembers = 64;
constexpr std::size_t kMaxChain = 4;
constexpr auto kMax16 = std::numeric_limits<std::uint16_t>::max();

Result<std::string> read_text(Reader& reader, std::size_t length, std::string_view what) {
  PEAT_TRY(const auto bytes, reader.take(length, what));
  if (!is_utf8(as_text(bytes))) {
    return fail(Code::malformed, "the enrolment's " + std::string(what) + " is not UTF-8");
  }
  return std::string(as_text(bytes));
}

Result<std::string> read_text8(Reader& reader, std::string_view what) {
  PEAT_TRY(const auto length, reader.u8(what));
  return read_text(reader, length, what);
}

Status write8(Writer& writer, std::string_view text, std::string_view what) {
  if (text.size() > kNameMaxBytes) {
    return fail(Code::limit_exceeded, "the " + std::string(what) + " has " +
                                          std::to_string(text.size()) + " bytes; 255 are taken");
  }
  writer.u8(static_cast<std::uint8_t>(text.size()));
  writer.text(text);
  return {};
}

Status write16(Writer& writer, ByteView bytes, std::string_view what) {
  if (bytes.size() > kMax16) {
    return fail(Code::limit_exceeded, "the " + std::string(what) + " has " +
                                          std::to_string(bytes.size()) + " bytes; 65535 are taken");
  }
  writer.u16le(static_cast<std::uint16_t>(bytes.size()));
  writer.bytes(bytes);
  return {};
}

Result<EndpointId> read_id(Reader& reader, std::string_view what) {
  EndpointId id;
  PEAT_TRY(const auto bytes, reader.take(id.bytes.size(), what));
  std::ranges::copy(bytes, id.bytes.begin());
  return id;
}

Result<Certificate> read_certificate(Reader& reader) {
  PEAT_TRY(const auto length, reader.u16le("certificate length"));
  PEAT_TRY(const auto bytes, reader.take(length, "certificate"));
  return Certificate::decode(bytes, Trailing::ignore);
}

Status write_extension(Writer& writer, const EnrollmentResponse::Extension& extension) {
  if (extension.chain.size() > kMaxChain || extension.members.size() > kMaxMembers) {
    return fail(Code::limit_exceeded, "an enrolment's answer takes 4 certificates and 64 members");
  }
  writer.text(kExtensionMagic);
  PEAT_TRY_VOID(write16(writer, as_bytes(extension.mesh_name), "mesh name"));
  writer.u8(static_cast<std::uint8_t>(extension.policy));
  writer.u8(static_cast<std::uint8_t>(extension.chain.size()));
  for (const auto& certificate : extension.chain) {
    PEAT_TRY(const auto bytes, certificate.encode());
    PEAT_TRY_VOID(write16(writer, bytes, "certificate"));
  }
  writer.u8(static_cast<std::uint8_t>(extension.members.size()));
  for (const auto& member : extension.members) {
    writer.bytes(member.id.bytes);
    PEAT_TRY_VOID(write8(writer, member.address, "address"));
  }
  return {};
}

Result<EnrollmentResponse::Extension> read_extension(Reader& reader) {
  EnrollmentResponse::Extension out;
  PEAT_TRY(const auto length, reader.u16le("mesh name"));
  PEAT_TRY(out.mesh_name, read_text(reader, length, "mesh name"));
  PEAT_TRY(const auto policy, reader.u8("policy"));
  if (policy > static_cast<std::uint8_t>(MembershipPolicy::strict)) {
    return fail(Code::malformed, "the mesh's policy is " + std::to_string(policy));
  }
  out.policy = static_cast<MembershipPolicy>(policy);
  PEAT_TRY(const auto certificates, reader.u8("certificate count"));
  if (certificates > kMaxChain) {
    return fail(Code::limit_exceeded,
                "a chain of " + std::to_string(certificates) + " certificates; 4 are taken");
  }
  for (std::size_t i = 0; i < certificates; ++i) {
    PEAT_TRY(auto certificate, read_certificate(reader));
    out.chain.push_back(std::move(certificate));
  }
  PEAT_TRY(const auto members, reader.u8("member count"));
  if (members > kMaxMembers) {
    return fail(Code::limit_exceeded, std::to_string(members) + " members; 64 are taken");
  }
  for (std::size_t i = 0; i < members; ++i) {
    DialableMember member;
    PEAT_TRY(member.id, read_id(reader, "member's id"));
    PEAT_TRY(member.address, read_text8(reader, "member's address"));
    out.members.push_back(std::move(member));
  }
  return out;
}

}  // namespace

std::string_view to_string(EnrollmentStatus status) {
  return kStatusNames[static_cast<std::size_t>(status)];
}

Result<Bytes> EnrollmentRequest::signed_part() const {
  Bytes out;
  Writer writer(out);
  writer.bytes(subject.bytes);
  PEAT_TRY_VOID(write8(writer, mesh_id, "mesh id"));
  PEAT_TRY_VOID(write8(writer, node_id, "node id"));
  writer.u8(static_cast<std::uint8_t>(tier));
  PEAT_TRY_VOID(write16(writer, token, "token"));
  writer.u64le(timestamp_ms);
  return out;
}

Status EnrollmentRequest::sign(const crypto::SecretKey& key) {
  PEAT_TRY(const auto part, signed_part());
  signature = key.sign(part);
  return {};
}

bool EnrollmentRequest::signature_matches() const {
  const auto part = signed_part();
  return part && crypto::verify(subject, *part, signature);
}

Result<Bytes> EnrollmentRequest::encode() const {
  PEAT_TRY(auto out, signed_part());
  out.insert(out.end(), signature.begin(), signature.end());
  return out;
}

Result<EnrollmentRequest> EnrollmentRequest::decode(ByteView bytes) {
  Reader reader(bytes);
  EnrollmentRequest out;
  PEAT_TRY(out.subject, read_id(reader, "subject"));
  PEAT_TRY(out.mesh_id, read_text8(reader, "mesh id"));
  PEAT_TRY(out.node_id, read_text8(reader, "node id"));
  PEAT_TRY(const auto tier, reader.u8("tier"));
  if (tier > static_cast<std::uint8_t>(Tier::edge)) {
    return fail(Code::malformed, "the requested tier is " + std::to_string(tier));
  }
  out.tier = static_cast<Tier>(tier);
  PEAT_TRY(const auto length, reader.u16le("token length"));
  PEAT_TRY(const auto token, reader.take(length, "token"));
  out.token.assign(token.begin(), token.end());
  PEAT_TRY(out.timestamp_ms, reader.u64le("timestamp"));
  PEAT_TRY(const auto signature, reader.take(crypto::kSignatureBytes, "signature"));
  std::ranges::copy(signature, out.signature.begin());
  return out;
}

Result<crypto::SecretBytes> EnrollmentResponse::encode() const {
  Bytes out;
  Writer writer(out);
  writer.u8(static_cast<std::uint8_t>(status));
  const bool says_why = status == EnrollmentStatus::denied || status == EnrollmentStatus::revoked;
  PEAT_TRY_VOID(write16(writer, as_bytes(says_why ? reason : std::string()), "reason"));
  writer.u8(certificate ? 1 : 0);
  if (certificate) {
    PEAT_TRY(const auto bytes, certificate->encode());
    PEAT_TRY_VOID(write16(writer, bytes, "certificate"));
  }
  writer.u8(formation_secret ? 1 : 0);
  // From here on the buffer holds a secret; growing it would leave a copy behind.
  constexpr std::size_t kTail = std::size_t{128} * 1024;
  if (formation_secret) {
    out.reserve(out.size() + formation_secret->size() + kTail);
    PEAT_TRY_VOID(write16(writer, formation_secret->view(), "formation secret"));
  }
  writer.u64le(timestamp_ms);
  if (extension) PEAT_TRY_VOID(write_extension(writer, *extension));
  crypto::SecretBytes encoded{ByteView(out)};
  crypto::wipe(out);
  return encoded;
}

Result<EnrollmentResponse> EnrollmentResponse::decode(ByteView bytes) {
  Reader reader(bytes);
  EnrollmentResponse out;
  PEAT_TRY(const auto status, reader.u8("status"));
  if (status >= kStatusNames.size()) {
    return fail(Code::malformed, "the enrolment's status is " + std::to_string(status));
  }
  out.status = static_cast<EnrollmentStatus>(status);
  PEAT_TRY(const auto reason_length, reader.u16le("reason length"));
  PEAT_TRY(auto reason, read_text(reader, reason_length, "reason"));
  if (out.status == EnrollmentStatus::denied || out.status == EnrollmentStatus::revoked) {
    out.reason = std::move(reason);
  }
  PEAT_TRY(const auto has_certificate, reader.u8("certificate flag"));
  if (has_certificate == 1) {
    PEAT_TRY(out.certificate, read_certificate(reader));
  }
  PEAT_TRY(const auto has_secret, reader.u8("secret flag"));
  if (has_secret == 1) {
    PEAT_TRY(const auto length, reader.u16le("secret length"));
    PEAT_TRY(const auto secret, reader.take(length, "formation secret"));
    out.formation_secret.emplace(secret);
  }
  PEAT_TRY(out.timestamp_ms, reader.u64le("timestamp"));
  const auto rest = reader.rest();
  if (rest.size() >= kExtensionMagic.size() &&
      as_text(rest.first(kExtensionMagic.size())) == kExtensionMagic) {
    (void)reader.take(kExtensionMagic.size(), "extension");
    PEAT_TRY(out.extension, read_extension(reader));
  }
  return out;
}

}  // namespace peat::security
