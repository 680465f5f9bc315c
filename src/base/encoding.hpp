// Text forms of bytes (hex, base64) and SHA-256.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "peat/bytes.hpp"
#include "peat/error.hpp"

namespace peat {

std::string to_hex(ByteView bytes);             // lower case
Result<Bytes> from_hex(std::string_view text);  // either case; even length

std::string to_base64(ByteView bytes);             // standard alphabet, padded
Result<Bytes> from_base64(std::string_view text);  // strict; surrounding white space is trimmed

std::string to_base64url(ByteView bytes);             // RFC 4648 section 5, without padding
Result<Bytes> from_base64url(std::string_view text);  // strict; no padding, no white space

// SHA-256 in one shot and streaming, on nettle's low-level context (uses SHA-NI).
using Sha256Digest = std::array<std::uint8_t, 32>;
Sha256Digest sha256(ByteView data);
Sha256Digest sha256(std::initializer_list<ByteView> parts);

// True if `text` is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

}  // namespace peat
