#include "broker/access.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "crypto/kdf.hpp"
#include "crypto/secret_file.hpp"

namespace peat::broker {

namespace {

constexpr std::array<std::string_view, 4> kScopes{"none", "read", "write", "admin"};
constexpr std::string_view kTokenPrefix = "ptk1.";
constexpr std::size_t kTokenBytes = 32;
constexpr std::size_t kMaxFileBytes = 256 * 1024;
constexpr std::string_view kBearer = "Bearer ";

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return words;
    line.remove_prefix(first);
    const auto end = std::min(line.find_first_of(" \t\r"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

Result<AccessToken> parse_line(const std::vector<std::string_view>& words) {
  AccessToken token;
  if (words.size() != 4) return fail(Code::malformed, "a line has name, scope, expiry and hash");
  token.name = words[0];
  PEAT_TRY(token.scope, parse_scope(words[1]));
  const auto* end = words[2].data() + words[2].size();
  const auto [at, error] = std::from_chars(words[2].data(), end, token.expires_at_ms);
  if (error != std::errc() || at != end) return fail(Code::malformed, "the expiry is no number");
  PEAT_TRY(const auto hash, from_hex(words[3]));
  if (hash.size() != token.hash.size()) return fail(Code::malformed, "the hash has 64 hex digits");
  std::ranges::copy(hash, token.hash.begin());
  return token;
}

}  // namespace

std::string_view to_string(Scope scope) { return kScopes[static_cast<std::size_t>(scope)]; }

Result<Scope> parse_scope(std::string_view text) {
  const auto found = std::ranges::find(kScopes, text);
  if (found == kScopes.end() || found == kScopes.begin()) {
    return fail(Code::invalid_argument,
                fmt::format("'{}' is no scope; read, write or admin", text));
  }
  return static_cast<Scope>(found - kScopes.begin());
}

std::string AccessToken::to_line() const {
  return fmt::format("{} {} {} {}", name, to_string(scope), expires_at_ms, to_hex(hash));
}

Result<NewToken> make_token(std::string_view name, Scope scope, std::uint64_t expires_at_ms,
                            Random& random) {
  if (name.empty() || name.size() > 64 ||
      name.find_first_of(" \t\r\n#") != std::string_view::npos) {
    return fail(Code::invalid_argument, "a token's name is one word of at most 64 characters");
  }
  std::array<std::uint8_t, kTokenBytes> bytes;
  random.fill(bytes);
  NewToken out;
  out.text = std::string(kTokenPrefix) + to_base64url(bytes);
  crypto::wipe(bytes);
  out.entry = {std::string(name), scope, expires_at_ms, sha256(as_bytes(out.text))};
  return out;
}

Result<Access> Access::parse(std::string_view file) {
  Access out;
  for (int number = 1; !file.empty(); ++number) {
    const auto end = file.find('\n');
    const auto words = words_of(file.substr(0, end));
    file = end == std::string_view::npos ? std::string_view() : file.substr(end + 1);
    if (words.empty() || words.front().starts_with('#')) continue;
    auto token = parse_line(words);
    if (!token) {
      return fail(Code::malformed, fmt::format("line {}: {}", number, token.error().message));
    }
    if (out.tokens_.size() == kMaxTokens) {
      return fail(Code::limit_exceeded,
                  fmt::format("line {}: more than {} tokens", number, kMaxTokens));
    }
    out.tokens_.push_back(std::move(*token));
  }
  return out;
}

Result<Access> Access::load(const std::string& path) {
  PEAT_TRY(const auto content,
           crypto::read_secret_file(path, {.what = "token file", .max_bytes = kMaxFileBytes}));
  auto access = parse(as_text(content.view()));
  if (!access) {
    return fail(access.error().code, fmt::format("{} {}", path, access.error().message));
  }
  return access;
}

Status Access::check(const std::optional<std::string>& authorization, Scope need,
                     WallTime now) const {
  if (need == Scope::none) return {};
  if (!authorization || !authorization->starts_with(kBearer)) {
    return fail(Code::authentication_failed,
                "this interface needs a token: Authorization: Bearer ptk1.…; "
                "`peat token new` makes one");
  }
  const auto hash = sha256(as_bytes(std::string_view(*authorization).substr(kBearer.size())));
  const AccessToken* found = nullptr;
  for (const auto& token : tokens_) {
    if (crypto::equal_constant_time(token.hash, hash)) found = &token;
  }
  if (found == nullptr) return fail(Code::authentication_failed, "the token is not known here");
  if (found->expires_at_ms != 0 && now.ms >= 0 &&
      static_cast<std::uint64_t>(now.ms) >= found->expires_at_ms) {
    return fail(Code::authentication_failed, fmt::format("the token {} has expired", found->name));
  }
  if (found->scope < need) {
    return fail(Code::permission_denied,
                fmt::format("the token {} may {}; this needs {}", found->name,
                            to_string(found->scope), to_string(need)));
  }
  return {};
}

}  // namespace peat::broker
