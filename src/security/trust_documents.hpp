// Certificates and revocations as documents of the mesh (spec/security.md 8), so that they reach
// every member as any document does.
//
//   certificates:<subject, 64 hex>   cert_data, node_id, tier, subject, issuer, permissions,
//                                    expires_at_ms, written_at_ms
//   revocations:<subject, 64 hex>    subject, reason, timestamp_ms, and ours: issuer, serial,
//                                    signature
//
// Of a certificate's document only cert_data is read: everything else in it is unsigned, and any
// member can write any of it (D-10). Its subject must be the one that the document is named
// after. Existing peers drop our three fields when they rewrite a revocation, which is why a node
// keeps what it has believed.
//
// Threading: pure. Errors: malformed, and those of the decoders.
#pragma once

#include <string>
#include <string_view>

#include "base/time.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "security/certificate.hpp"
#include "security/revocation.hpp"

namespace peat::security {

inline constexpr std::string_view kCertificates = "certificates";
inline constexpr std::string_view kRevocations = "revocations";

std::string certificate_key(const EndpointId& subject);  // "certificates:…"
std::string revocation_key(const EndpointId& subject);
// Whose certificate or revocation a document is; Code::malformed for another key.
Result<EndpointId> subject_of_key(std::string_view document_key);

Result<std::string> certificate_json(const Certificate& certificate, WallTime written);
Result<Certificate> parse_certificate_json(std::string_view json, const EndpointId& subject);

std::string revocation_json(const Revocation& revocation);
Result<Revocation> parse_revocation_json(std::string_view json, const EndpointId& subject);

}  // namespace peat::security
