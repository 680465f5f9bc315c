#include "security/revocation.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "base/reader.hpp"
#include "security/certificate.hpp"

namespace peat::security {

namespace {

constexpr std::string_view kDomain{"peat-revoke-v1\0", 15};
constexpr std::uint8_t kVersion = 1;

Bytes signed_part(const Revocation& revocation, std::string_view mesh_id, std::uint64_t serial) {
  Bytes out;
  Writer writer(out);
  writer.text(kDomain);
  writer.u8(static_cast<std::uint8_t>(mesh_id.size()));
  writer.text(mesh_id);
  writer.bytes(revocation.subject.bytes);
  writer.u64le(revocation.timestamp_ms);
  writer.u64le(serial);
  writer.u16le(static_cast<std::uint16_t>(revocation.reason.size()));
  writer.text(revocation.reason);
  return out;
}

}  // namespace

Result<Revocation> Revocation::create(const crypto::SecretKey& issuer, std::string_view mesh_id,
                                      const EndpointId& subject, std::string_view reason,
                                      std::uint64_t serial, WallTime now) {
  if (reason.size() > kReasonMaxBytes || !is_utf8(reason)) {
    return fail(Code::limit_exceeded, "the reason has " + std::to_string(reason.size()) +
                                          " bytes; 1024 of UTF-8 are taken");
  }
  if (mesh_id.size() > kNameMaxBytes || serial > kMaxTimeMs || now.ms < 0) {
    return fail(Code::invalid_argument,
                "a revocation's mesh id has at most 255 bytes, and its "
                "serial and time are below 2^63");
  }
  Revocation out{subject, std::string(reason), static_cast<std::uint64_t>(now.ms), std::nullopt};
  out.seal = Seal{issuer.public_key(), serial, issuer.sign(signed_part(out, mesh_id, serial))};
  return out;
}

bool Revocation::signature_matches(std::string_view mesh_id) const {
  return seal && mesh_id.size() <= kNameMaxBytes && reason.size() <= kReasonMaxBytes &&
         crypto::verify(seal->issuer, signed_part(*this, mesh_id, seal->serial), seal->signature);
}

Bytes Revocation::encode() const {
  Bytes out;
  Writer writer(out);
  writer.u8(kVersion);
  writer.bytes(subject.bytes);
  writer.u64le(timestamp_ms);
  writer.u8(seal ? 1 : 0);
  if (seal) {
    writer.bytes(seal->issuer.bytes);
    writer.u64le(seal->serial);
    writer.bytes(seal->signature);
  }
  const auto kept = std::string_view(reason).substr(0, kReasonMaxBytes);
  writer.u16le(static_cast<std::uint16_t>(kept.size()));
  writer.text(kept);
  return out;
}

Result<Revocation> Revocation::decode(ByteView bytes) {
  Reader reader(bytes);
  Revocation out;
  PEAT_TRY(const auto version, reader.u8("version"));
  if (version != kVersion) {
    return fail(Code::wrong_version,
                "a revocation's record of version " + std::to_string(version) + "; 1 is known");
  }
  PEAT_TRY(const auto subject, reader.take(32, "subject"));
  std::ranges::copy(subject, out.subject.bytes.begin());
  PEAT_TRY(out.timestamp_ms, reader.u64le("timestamp"));
  PEAT_TRY(const auto sealed, reader.u8("seal flag"));
  if (sealed > 1) return fail(Code::malformed, "a revocation's seal flag is 0 or 1");
  if (sealed == 1) {
    auto& seal = out.seal.emplace();
    PEAT_TRY(const auto issuer, reader.take(32, "issuer"));
    std::ranges::copy(issuer, seal.issuer.bytes.begin());
    PEAT_TRY(seal.serial, reader.u64le("serial"));
    PEAT_TRY(const auto signature, reader.take(crypto::kSignatureBytes, "signature"));
    std::ranges::copy(signature, seal.signature.begin());
  }
  PEAT_TRY(const auto length, reader.u16le("reason"));
  PEAT_TRY(const auto reason, reader.take(length, "reason"));
  if (length > kReasonMaxBytes || !is_utf8(as_text(reason)) || !reader.done()) {
    return fail(Code::malformed,
                "a revocation's reason is UTF-8 of at most 1024 bytes and ends "
                "its record");
  }
  out.reason = as_text(reason);
  return out;
}

}  // namespace peat::security
