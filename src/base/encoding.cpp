#include "base/encoding.hpp"

#include <nettle/base64.h>
#include <nettle/sha2.h>

#include "peat/ids.hpp"

namespace peat {

namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const auto byte : bytes) {
    out.push_back(kHexDigits[byte >> 4]);
    out.push_back(kHexDigits[byte & 15]);
  }
  return out;
}

Result<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) {
    return fail(Code::malformed,
                "hex text has an odd number of digits: " + std::to_string(text.size()));
  }
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) {
      return fail(Code::malformed,
                  "no hex digit at position " + std::to_string(high < 0 ? i : i + 1));
    }
    out.push_back(static_cast<std::uint8_t>(high << 4 | low));
  }
  return out;
}

std::string to_base64(ByteView bytes) {
  std::string out(BASE64_ENCODE_RAW_LENGTH(bytes.size()), '\0');
  base64_encode_raw(out.data(), bytes.size(), bytes.data());
  return out;
}

Result<Bytes> from_base64(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return Bytes{};
  text = text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  if (text.find_first_of(" \t\r\n") != std::string_view::npos) {
    return fail(Code::malformed, "base64 text has white space inside");
  }
  base64_decode_ctx ctx;
  base64_decode_init(&ctx);
  Bytes out(BASE64_DECODE_LENGTH(text.size()));
  std::size_t length = out.size();
  if (base64_decode_update(&ctx, &length, out.data(), text.size(), text.data()) != 1 ||
      base64_decode_final(&ctx) != 1) {
    return fail(Code::malformed, "not base64 (standard alphabet, padded)");
  }
  out.resize(length);
  return out;
}

std::string to_base64url(ByteView bytes) {
  auto out = to_base64(bytes);
  while (!out.empty() && out.back() == '=') out.pop_back();
  for (auto& c : out) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return out;
}

Result<Bytes> from_base64url(std::string_view text) {
  std::string standard(text);
  if (standard.size() % 4 == 1) return fail(Code::malformed, "base64url text breaks off");
  for (auto& c : standard) {
    const bool foreign = c == '+' || c == '/' || c == '=' || c == ' ' || (c >= '\t' && c <= '\r');
    if (foreign) return fail(Code::malformed, "not base64url (URL alphabet, no padding)");
    if (c == '-') c = '+';
    if (c == '_') c = '/';
  }
  standard.append((4 - standard.size() % 4) % 4, '=');
  return from_base64(standard);
}

Sha256Digest sha256(ByteView data) { return sha256({data}); }

Sha256Digest sha256(std::initializer_list<ByteView> parts) {
  sha256_ctx ctx;
  sha256_init(&ctx);
  for (const auto part : parts) sha256_update(&ctx, part.size(), part.data());
  Sha256Digest out;
  sha256_digest(&ctx, out.size(), out.data());
  return out;
}

bool is_utf8(std::string_view text) {
  const auto* p = reinterpret_cast<const std::uint8_t*>(text.data());
  const auto* end = p + text.size();
  while (p != end) {
    const std::uint8_t lead = *p++;
    if (lead < 0x80) continue;
    int follow = 0;
    std::uint8_t low = 0x80;
    std::uint8_t high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
      follow = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      follow = 2;
      if (lead == 0xe0) low = 0xa0;
      if (lead == 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      follow = 3;
      if (lead == 0xf0) low = 0x90;
      if (lead == 0xf4) high = 0x8f;
    } else {
      return false;
    }
    for (; follow > 0; --follow) {
      if (p == end || *p < low || *p > high) return false;
      ++p;
      low = 0x80;
      high = 0xbf;
    }
  }
  return true;
}

Result<EndpointId> EndpointId::parse(std::string_view hex) {
  if (hex.size() != 64) {
    return fail(Code::malformed, "an endpoint id has 64 hex digits, got " +
                                     std::to_string(hex.size()) + " characters");
  }
  PEAT_TRY(auto raw, from_hex(hex));
  EndpointId id;
  std::copy(raw.begin(), raw.end(), id.bytes.begin());
  return id;
}

std::string EndpointId::to_string() const { return to_hex(bytes); }

std::string EndpointId::short_form() const { return to_hex(ByteView(bytes).first(5)); }

}  // namespace peat
