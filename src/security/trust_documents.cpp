#include "security/trust_documents.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>

#include "base/encoding.hpp"

namespace peat::security {

namespace {

namespace json = boost::json;

Result<json::object> parse_object(std::string_view text) {
  json::parse_options options;
  options.max_depth = 8;
  boost::system::error_code error;
  auto value = json::parse(text, error, {}, options);
  if (error || !value.is_object()) {
    return fail(Code::malformed, "the document is no JSON object");
  }
  return std::move(value.get_object());
}

Result<std::string_view> text_in(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) {
    return fail(Code::malformed, "the document has no text '" + std::string(name) + "'");
  }
  return std::string_view(value->get_string());
}

Result<std::uint64_t> number_in(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (value != nullptr && value->is_int64() && value->get_int64() >= 0) {
    return static_cast<std::uint64_t>(value->get_int64());
  }
  return fail(Code::malformed, "the document has no number '" + std::string(name) + "'");
}

std::int64_t as_signed(std::uint64_t value) { return static_cast<std::int64_t>(value); }

}  // namespace

std::string certificate_key(const EndpointId& subject) {
  return std::string(kCertificates) + ":" + subject.to_string();
}

std::string revocation_key(const EndpointId& subject) {
  return std::string(kRevocations) + ":" + subject.to_string();
}

Result<EndpointId> subject_of_key(std::string_view document_key) {
  const auto colon = document_key.find(':');
  const auto collection = document_key.substr(0, colon);
  if (colon != std::string_view::npos &&
      (collection == kCertificates || collection == kRevocations)) {
    const auto id = EndpointId::parse(document_key.substr(colon + 1));
    // One document for one subject: the upper-case spelling of its key names another document.
    if (id && id->to_string() == document_key.substr(colon + 1)) return id;
  }
  return fail(Code::malformed, "the document is not named after a key in 64 lower-case hex digits");
}

Result<std::string> certificate_json(const Certificate& certificate, WallTime written) {
  PEAT_TRY(const auto bytes, certificate.encode());
  json::object object;
  object["cert_data"] = to_base64(bytes);
  object["node_id"] = certificate.node_id;
  object["tier"] = std::string(to_string(certificate.tier));
  object["subject"] = certificate.subject.to_string();
  object["issuer"] = certificate.issuer.to_string();
  object["permissions"] = certificate.permissions;
  object["expires_at_ms"] = as_signed(certificate.expires_at_ms);
  object["written_at_ms"] = std::max<std::int64_t>(written.ms, 0);
  return json::serialize(object);
}

Result<Certificate> parse_certificate_json(std::string_view text, const EndpointId& subject) {
  PEAT_TRY(const auto object, parse_object(text));
  PEAT_TRY(const auto data, text_in(object, "cert_data"));
  if (data.size() > 4 * kCertificateMaxBytes) {
    return fail(Code::limit_exceeded, "cert_data has " + std::to_string(data.size()) +
                                          " characters; a certificate has at most 658 bytes");
  }
  PEAT_TRY(const auto bytes, from_base64(data));
  PEAT_TRY(auto certificate, Certificate::decode(bytes));
  if (certificate.subject != subject) {
    return fail(Code::malformed, "the certificate is for " + certificate.subject.to_string() +
                                     ", its document is named after another key");
  }
  return certificate;
}

std::string revocation_json(const Revocation& revocation) {
  json::object object;
  object["subject"] = revocation.subject.to_string();
  object["reason"] = revocation.reason;
  object["timestamp_ms"] = as_signed(std::min(revocation.timestamp_ms, kMaxTimeMs));
  if (revocation.seal) {
    object["issuer"] = revocation.seal->issuer.to_string();
    object["serial"] = as_signed(std::min(revocation.seal->serial, kMaxTimeMs));
    object["signature"] = to_hex(revocation.seal->signature);
  }
  return json::serialize(object);
}

Result<Revocation> parse_revocation_json(std::string_view text, const EndpointId& subject) {
  PEAT_TRY(const auto object, parse_object(text));
  Revocation out;
  PEAT_TRY(const auto named, text_in(object, "subject"));
  PEAT_TRY(out.subject, EndpointId::parse(named));
  if (out.subject != subject) {
    return fail(Code::malformed, "the revocation is for " + out.subject.to_string() +
                                     ", its document is named after another key");
  }
  PEAT_TRY(const auto reason, text_in(object, "reason"));
  out.reason = reason.substr(0, kReasonMaxBytes);
  if (!is_utf8(out.reason)) out.reason.clear();
  PEAT_TRY(out.timestamp_ms, number_in(object, "timestamp_ms"));
  if (!object.contains("signature")) return out;
  auto& seal = out.seal.emplace();
  PEAT_TRY(const auto issuer, text_in(object, "issuer"));
  PEAT_TRY(seal.issuer, EndpointId::parse(issuer));
  PEAT_TRY(seal.serial, number_in(object, "serial"));
  PEAT_TRY(const auto hex, text_in(object, "signature"));
  PEAT_TRY(const auto signature, from_hex(hex));
  if (signature.size() != seal.signature.size()) {
    return fail(Code::malformed, "the revocation's signature has " +
                                     std::to_string(signature.size()) + " bytes, not 64");
  }
  std::ranges::copy(signature, seal.signature.begin());
  return out;
}

}  // namespace peat::security
