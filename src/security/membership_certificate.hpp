// The membership certificates of peat-protocol peers (spec/security.md 13.1), for reading and
// making what they exchange; a mesh of ours goes by mesh certificates (security/certificate.hpp).
//
//   certificate := signed, signature[64]
//   signed      := member key[32], u8 n, callsign[n], mesh id[8], u64le issued, u64le expires,
//                  u8 permissions, issuer[32]
//
// n is at most 16; expires 0 is never. The signature is verified over the bytes as they came:
// existing peers clear unknown permissions first and then refuse a good certificate (D-61).
//
// Threading: values. Errors: truncated, malformed, limit_exceeded.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.hpp"
#include "crypto/keys.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "security/certificate.hpp"

namespace peat::security {

struct MembershipCertificate {
  EndpointId member;
  std::string callsign;
  std::string mesh_id;  // exactly 8 bytes
  std::uint64_t issued_at_ms = 0;
  std::uint64_t expires_at_ms = 0;
  Permissions permissions = 0;
  EndpointId issuer;
  crypto::Signature signature{};

  static Result<MembershipCertificate> decode(ByteView bytes);
  Result<Bytes> encode() const;
  Status sign(const crypto::SecretKey& issuer_key);
  bool signature_matches() const;
  // issued <= now, and now < expires or never.
  bool valid_at(WallTime now) const;

 private:
  Result<Bytes> signed_part() const;
};

}  // namespace peat::security
