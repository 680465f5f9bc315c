// Invitations: what lets a new device enrol, once.
//
// An invitation is made by the authority and checked by it alone; nothing about it needs to be
// kept until it is used. Existing peers take its text for an opaque token.
//
//   text  := "pt1." base64url(token)
//   token := terms, HMAC-SHA256(key, terms)[0..16]
//   terms := id[8], u64le expires, u16le uses, u8 tier, u8 permissions, u8 n, names[n]
//   key   := HKDF(-, authority's seed, "peat-enroll-token-v1")
//
// `names` is a node id, or a beginning of one and "*": the authority decides what a device is
// called (D-36).
//
// Sent as it is, a token can be kept by whoever answers (D-65). Our own devices prove that they
// have it instead, to one server, for one key, at one time:
//
//   proof := "pt1p.", terms, HMAC-SHA256(text, server's endpoint id, subject, u64le timestamp)
//
// The link that a person carries to the new device, on paper or as a QR code:
//
//   link    := "peat:join?" base64url(payload, SHA-256(payload)[0..4])
//   payload := u8 1, server's endpoint id[32], authority's key[32], u8 n, mesh id[n],
//              u64le expires, u8 count, count x { u8 n, address[n] }, u8 n, token[n]
//
// It lets one device in, until it expires, and carries no secret of the mesh.
//
// Threading: values. Errors: bad_token (says whether used, expired or forged to its maker alone:
// strangers are told "invalid bootstrap token"), malformed, limit_exceeded, invalid_argument.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.hpp"
#include "base/time.hpp"
#include "crypto/kdf.hpp"
#include "crypto/keys.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "security/certificate.hpp"

namespace peat::security {

using InvitationId = std::array<std::uint8_t, 8>;

struct InvitationTerms {
  InvitationId id{};
  std::uint64_t expires_at_ms = 0;
  std::uint16_t uses = 1;
  Tier tier = Tier::tactical;
  Permissions permissions = permission::kStandard;
  std::string names = "*";

  bool allows_name(std::string_view node_id) const;
  friend bool operator==(const InvitationTerms&, const InvitationTerms&) = default;
};

class InvitationKey {
 public:
  static InvitationKey of(const crypto::SecretKey& authority);

  // A token with a fresh id. Code::invalid_argument for terms that nobody could use.
  Result<Bytes> invite(InvitationTerms terms, Random& random) const;

  // What a presented token or proof entitles to; whether it has expired or been used is not asked
  // here. Code::bad_token.
  struct Presenter {
    EndpointId server;  // this node
    EndpointId subject;
    std::uint64_t timestamp_ms = 0;
  };
  struct Presented {
    InvitationTerms terms;
    bool proven = false;  // by proof: nothing that could be used again has travelled
  };
  Result<Presented> check(ByteView presented, const Presenter& by) const;

 private:
  crypto::Mac mac(ByteView terms) const;
  crypto::SecretBytes key_;
};

// "pt1.…"; what existing peers send, and what a proof is made with.
std::string token_text(ByteView token);
Result<Bytes> parse_token_text(std::string_view text);
// Terms of a token, unchecked: for its holder.
Result<InvitationTerms> read_token(ByteView token);
Result<Bytes> prove_token(ByteView token, const InvitationKey::Presenter& by);

struct JoinLink {
  EndpointId server;
  EndpointId authority;
  std::string mesh_id;
  std::uint64_t expires_at_ms = 0;
  std::vector<std::string> addresses;  // one to four, "host:port"
  Bytes token;

  Result<std::string> to_text() const;
  static Result<JoinLink> parse(std::string_view text);  // white space around and inside is dropped
};

inline constexpr std::size_t kJoinLinkAddresses = 4;

}  // namespace peat::security
