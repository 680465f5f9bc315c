#include "query/page_token.hpp"

#include "base/encoding.hpp"
#include "crypto/kdf.hpp"

namespace peat::query {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMacBytes = 16;
constexpr std::size_t kHeaderBytes = 2 + kMacBytes;

crypto::Mac mac_of(ByteView key, const Query& query, TokenKind kind, ByteView payload) {
  const auto number = static_cast<std::uint8_t>(kind);
  const auto text = sha256(as_bytes(query.to_string()));
  return crypto::hmac_sha256(
      key, {as_bytes(std::string_view("peat query token")), ByteView(&number, 1), text, payload});
}

}  // namespace

std::string seal_token(ByteView key, const Query& query, TokenKind kind, std::string_view payload) {
  const auto mac = mac_of(key, query, kind, as_bytes(payload));
  Bytes token{kVersion, static_cast<std::uint8_t>(kind)};
  token.insert(token.end(), mac.begin(), mac.begin() + kMacBytes);
  token.insert(token.end(), payload.begin(), payload.end());
  return to_base64url(token);
}

Result<std::string> open_token(ByteView key, const Query& query, TokenKind kind,
                               std::string_view token) {
  const auto refused = [] {
    return fail(Code::invalid_argument,
                "the token does not belong to this query on this node; begin without one");
  };
  if (token.size() > kTokenBytes) return refused();
  const auto bytes = from_base64url(token);
  if (!bytes || bytes->size() < kHeaderBytes) return refused();
  const ByteView view(*bytes);
  if (view[0] != kVersion || view[1] != static_cast<std::uint8_t>(kind)) return refused();
  const auto payload = view.subspan(kHeaderBytes);
  const auto mac = mac_of(key, query, kind, payload);
  if (!crypto::equal_constant_time(ByteView(mac).first(kMacBytes), view.subspan(2, kMacBytes))) {
    return refused();
  }
  return std::string(as_text(payload));
}

std::string encode_place(const Place& place) {
  std::string out;
  out += static_cast<char>(place.order.size() >> 8);
  out += static_cast<char>(place.order.size() & 0xff);
  return out + place.order + place.id;
}

Result<Place> decode_place(std::string_view payload) {
  const auto byte = [&payload](std::size_t i) { return static_cast<unsigned char>(payload[i]); };
  if (payload.size() < 2) return fail(Code::truncated, "the token's place has no length");
  const std::size_t length = static_cast<std::size_t>(byte(0)) << 8 | byte(1);
  payload.remove_prefix(2);
  if (payload.size() < length) return fail(Code::truncated, "the token's place is cut short");
  return Place{std::string(payload.substr(0, length)), std::string(payload.substr(length))};
}

}  // namespace peat::query
