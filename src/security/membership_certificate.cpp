#include "security/membership_certificate.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "base/reader.hpp"

namespace peat::security {

namespace {

constexpr std::size_t kCallsignMax = 16;
constexpr std::size_t kMeshIdBytes = 8;

}  // namespace

Result<MembershipCertificate> MembershipCertificate::decode(ByteView bytes) {
  Reader reader(bytes);
  MembershipCertificate out;
  PEAT_TRY(const auto member, reader.take(32, "member key"));
  std::ranges::copy(member, out.member.bytes.begin());
  PEAT_TRY(const auto length, reader.u8("callsign"));
  if (length > kCallsignMax) {
    return fail(Code::limit_exceeded,
                "a callsign of " + std::to_string(length) + " bytes; 16 are taken");
  }
  PEAT_TRY(const auto callsign, reader.take(length, "callsign"));
  PEAT_TRY(const auto mesh_id, reader.take(kMeshIdBytes, "mesh id"));
  if (!is_utf8(as_text(callsign)) || !is_utf8(as_text(mesh_id))) {
    return fail(Code::malformed, "the certificate's callsign or mesh id is not UTF-8");
  }
  out.callsign = as_text(callsign);
  out.mesh_id = as_text(mesh_id);
  PEAT_TRY(out.issued_at_ms, reader.u64le("issue time"));
  PEAT_TRY(out.expires_at_ms, reader.u64le("expiry time"));
  PEAT_TRY(out.permissions, reader.u8("permissions"));
  PEAT_TRY(const auto issuer, reader.take(32, "issuer key"));
  std::ranges::copy(issuer, out.issuer.bytes.begin());
  PEAT_TRY(const auto signature, reader.take(crypto::kSignatureBytes, "signature"));
  std::ranges::copy(signature, out.signature.begin());
  if (!reader.done()) {
    return fail(Code::malformed,
                std::to_string(reader.remaining()) + " bytes follow the certificate");
  }
  return out;
}

Result<Bytes> MembershipCertificate::signed_part() const {
  if (callsign.size() > kCallsignMax || mesh_id.size() != kMeshIdBytes) {
    return fail(Code::limit_exceeded,
                "a membership certificate has a callsign of at most 16 bytes and a mesh id of 8");
  }
  Bytes out;
  Writer writer(out);
  writer.bytes(member.bytes);
  writer.u8(static_cast<std::uint8_t>(callsign.size()));
  writer.text(callsign);
  writer.text(mesh_id);
  writer.u64le(issued_at_ms);
  writer.u64le(expires_at_ms);
  writer.u8(permissions);
  writer.bytes(issuer.bytes);
  return out;
}

Result<Bytes> MembershipCertificate::encode() const {
  PEAT_TRY(auto out, signed_part());
  out.insert(out.end(), signature.begin(), signature.end());
  return out;
}

Status MembershipCertificate::sign(const crypto::SecretKey& issuer_key) {
  issuer = issuer_key.public_key();
  PEAT_TRY(const auto part, signed_part());
  signature = issuer_key.sign(part);
  return {};
}

bool MembershipCertificate::signature_matches() const {
  const auto part = signed_part();
  return part && crypto::verify(issuer, *part, signature);
}

bool MembershipCertificate::valid_at(WallTime now) const {
  if (now.ms < 0) return false;
  const auto at = static_cast<std::uint64_t>(now.ms);
  return issued_at_ms <= at && (expires_at_ms == 0 || at < expires_at_ms);
}

}  // namespace peat::security
