// Mesh certificates: who a key belongs to and what it may do, signed by an authority.
//
// The encoding is that of existing peers (spec/security.md 7.1), at most 658 bytes:
//
//   certificate := signed, signature[64]
//   signed      := subject[32], u8 n, mesh id[n], u8 m, node id[m], u8 tier, u8 permissions,
//                  u64le issued, u64le expires, issuer[32]
//
// Times are milliseconds since the Unix epoch; expires 0 is never. The signature is the issuer's
// Ed25519 over `signed`. A decoded certificate is a claim: whether it is believed is TrustStore's
// business (security/trust.hpp), and nobody else's.
//
// Threading: values. Errors: truncated, malformed, limit_exceeded (a name over 255 bytes: its
// length would not fit, and existing peers sign such a certificate ambiguously),
// invalid_argument, bad_signature.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "crypto/keys.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"

namespace peat::security {

// From the most trusted to the least.
enum class Tier : std::uint8_t { enterprise, regional, tactical, edge };
std::string_view to_string(Tier tier);           // "Enterprise", …
Result<Tier> parse_tier(std::string_view text);  // trimmed, any case

using Permissions = std::uint8_t;
namespace permission {
inline constexpr Permissions kRelay = 0x01;
inline constexpr Permissions kEmergency = 0x02;
inline constexpr Permissions kEnroll = 0x04;
inline constexpr Permissions kAdmin = 0x80;
inline constexpr Permissions kStandard = kRelay | kEmergency;
inline constexpr Permissions kAuthority = kStandard | kEnroll | kAdmin;
}  // namespace permission
// "relay,emergency"; bits without a name as "0x08"; "none".
std::string describe_permissions(Permissions permissions);
// Names with commas between, or "standard", "authority", "none".
Result<Permissions> parse_permissions(std::string_view text);

inline constexpr std::size_t kCertificateMinBytes = 148;
inline constexpr std::size_t kCertificateMaxBytes = 658;
inline constexpr std::size_t kNameMaxBytes = 255;
// The documents that hold certificates keep numbers as signed integers.
inline constexpr std::uint64_t kMaxTimeMs = (std::uint64_t{1} << 63) - 1;

// What may follow a certificate in its input.
enum class Trailing : bool { refuse, ignore };

struct Certificate {
  EndpointId subject;
  std::string mesh_id;
  std::string node_id;
  Tier tier = Tier::edge;
  Permissions permissions = 0;
  std::uint64_t issued_at_ms = 0;
  std::uint64_t expires_at_ms = 0;  // 0: never
  EndpointId issuer;
  crypto::Signature signature{};

  static Result<Certificate> decode(ByteView bytes, Trailing trailing = Trailing::refuse);
  Result<Bytes> encode() const;

  // Sets issuer and signature.
  Status sign(const crypto::SecretKey& issuer_key);
  bool signature_matches() const;

  bool self_signed() const { return subject == issuer; }
  bool has(Permissions wanted) const { return (permissions & wanted) == wanted; }
  // issued <= now and now < expires, each with `skew` to spare.
  bool valid_at(WallTime now, Duration skew) const;

  friend bool operator==(const Certificate&, const Certificate&) = default;

 private:
  Result<Bytes> signed_part() const;
};

// A certificate and those between it and the authority, in a file or on the wire, at most four:
// u8 count, count x { u16le n, certificate[n] }.
inline constexpr std::size_t kChainMax = 4;
inline constexpr std::size_t kChainMaxBytes = 1 + kChainMax * (2 + kCertificateMaxBytes);
Result<Bytes> encode_chain(const std::vector<Certificate>& chain);
Result<std::vector<Certificate>> decode_chain(ByteView bytes);

// "[A-Za-z0-9._-]{1,253}": a node's name where it is used as a host name or a path.
Status check_node_name(std::string_view name);

}  // namespace peat::security
