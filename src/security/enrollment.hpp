// Enrolment messages, `peat/enroll/1` (spec/security.md 9): how a new device gets its certificate.
//
// One bidirectional stream, opened by the client: u32le length, request, FIN; back comes u32le
// length, response, FIN. Both lengths are at most enrollment_message_bytes.
//
//   request   := subject[32], u8 n, mesh id[n], u8 m, node id[m], u8 tier, u16le t, token[t],
//                u64le timestamp, signature[64]
//   response  := u8 status, u16le n, reason[n],
//                u8 has, [u16le n, certificate[n]], u8 has, [u16le n, formation secret[n]],
//                u64le timestamp, [extension]
//   extension := "PTX1", u16le n, mesh name[n], u8 policy, u8 count, count x { u16le n,
//                certificate[n] }, u8 count, count x { endpoint id[32], u8 n, address[n] }
//
// The signature is the subject's over what is before it. `has` is 1, or nothing follows. Existing
// peers end after the timestamp and ignore what follows it; our authority adds what a member
// needs to begin: the mesh's name and policy, the certificates between its own and the pinned
// authority, and members that can be dialled.
//
// Threading: values. Errors: truncated, malformed, limit_exceeded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "crypto/keys.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "security/certificate.hpp"
#include "security/genesis.hpp"

namespace peat::security {

inline constexpr std::string_view kAlpnEnroll = "peat/enroll/1";

struct EnrollmentRequest {
  EndpointId subject;
  std::string mesh_id;
  std::string node_id;
  Tier tier = Tier::tactical;
  Bytes token;
  std::uint64_t timestamp_ms = 0;
  crypto::Signature signature{};

  // Sets the signature; `key` is the subject's.
  Status sign(const crypto::SecretKey& key);
  bool signature_matches() const;
  Result<Bytes> encode() const;
  static Result<EnrollmentRequest> decode(ByteView bytes);

 private:
  Result<Bytes> signed_part() const;
};

enum class EnrollmentStatus : std::uint8_t { pending, approved, denied, revoked };
std::string_view to_string(EnrollmentStatus status);

struct DialableMember {
  EndpointId id;
  std::string address;  // "host:port"
  friend bool operator==(const DialableMember&, const DialableMember&) = default;
};

// What our authority adds for a member to begin with.
struct EnrollmentExtension {
  std::string mesh_name;
  MembershipPolicy policy = MembershipPolicy::controlled;
  std::vector<Certificate> chain;
  std::vector<DialableMember> members;
};

struct EnrollmentResponse {
  EnrollmentStatus status = EnrollmentStatus::denied;
  std::string reason;  // of denied and revoked
  std::optional<Certificate> certificate;
  std::optional<crypto::SecretBytes> formation_secret;
  std::uint64_t timestamp_ms = 0;
  using Extension = EnrollmentExtension;
  std::optional<Extension> extension;

  Result<crypto::SecretBytes> encode() const;
  static Result<EnrollmentResponse> decode(ByteView bytes);
};

}  // namespace peat::security
