// Revocations: a key that is never to be trusted again, said by somebody who may say so.
//
// Existing peers write a document {subject, reason, timestamp_ms} without a signature, so that any
// member can revoke or un-revoke anybody. Ours add issuer, serial and signature to the same
// document; existing peers read past them. The signature is the issuer's Ed25519 over
//
//   "peat-revoke-v1", 0x00, u8 n, mesh id[n], subject[32], u64le timestamp, u64le serial,
//   u16le m, reason[m]
//
// Threading: values. Errors: limit_exceeded (a reason over 1024 bytes), truncated, malformed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "crypto/keys.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"

namespace peat::security {

inline constexpr std::size_t kReasonMaxBytes = 1024;

struct RevocationSeal {
  EndpointId issuer;
  std::uint64_t serial = 0;
  crypto::Signature signature{};
  friend bool operator==(const RevocationSeal&, const RevocationSeal&) = default;
};

struct Revocation {
  EndpointId subject;
  std::string reason;
  std::uint64_t timestamp_ms = 0;
  // Without it the revocation was written by an existing peer.
  using Seal = RevocationSeal;
  std::optional<Seal> seal;

  static Result<Revocation> create(const crypto::SecretKey& issuer, std::string_view mesh_id,
                                   const EndpointId& subject, std::string_view reason,
                                   std::uint64_t serial, WallTime now);
  // False without a seal.
  bool signature_matches(std::string_view mesh_id) const;

  // For this node's own record: u8 version, subject[32], u64le timestamp, u8 sealed,
  // [issuer[32], u64le serial, signature[64]], u16le m, reason[m].
  Bytes encode() const;
  static Result<Revocation> decode(ByteView bytes);

  friend bool operator==(const Revocation&, const Revocation&) = default;
};

}  // namespace peat::security
