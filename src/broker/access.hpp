// Who may use the interface: bearer tokens with scopes and an expiry.
//
// Without tokens the interface serves loopback alone and asks for nothing. With them every request
// but health and readiness needs one, wherever it comes from, and then the interface may listen on
// other addresses. A token is 32 random bytes; the file holds its hash, so that who reads the file
// has no token:
//
//   file  := line*                 "#" begins a comment
//   line  := name " " scopes " " expires_ms " " SHA-256 of the token, 64 hex digits
//   token := "ptk1." base64url(32 random bytes)
//
// Scopes: read (GET), write (documents), admin (peers); write includes read, admin both. expires 0
// is never. The connection is not encrypted by this program: on other addresses than loopback put
// a TLS proxy in front, or who listens on the way has the token.
//
// Threading: values. Cost of a check: one SHA-256 and a comparison per token, in constant time.
// Errors: malformed (with the line), bad_key_file, authentication_failed, permission_denied. Limit:
// 1024 tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.hpp"
#include "base/random.hpp"
#include "base/time.hpp"
#include "peat/error.hpp"

namespace peat::broker {

enum class Scope : std::uint8_t { none, read, write, admin };
std::string_view to_string(Scope scope);
Result<Scope> parse_scope(std::string_view text);

struct AccessToken {
  std::string name;
  Scope scope = Scope::read;
  std::uint64_t expires_at_ms = 0;
  Sha256Digest hash{};

  std::string to_line() const;
};

// A new token's text, and what the file is to hold of it.
struct NewToken {
  std::string text;
  AccessToken entry;
};
Result<NewToken> make_token(std::string_view name, Scope scope, std::uint64_t expires_at_ms,
                            Random& random);

class Access {
 public:
  static constexpr std::size_t kMaxTokens = 1024;

  static Result<Access> parse(std::string_view file);
  static Result<Access> load(const std::string& path);  // the file is its owner's alone

  // `authorization` is the header's value. Code::authentication_failed for no token, one that is
  // not known, or one that has expired; Code::permission_denied names the scope that is needed.
  Status check(const std::optional<std::string>& authorization, Scope need, WallTime now) const;
  std::size_t tokens() const { return tokens_.size(); }

 private:
  std::vector<AccessToken> tokens_;
};

}  // namespace peat::broker
