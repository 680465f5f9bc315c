// HMAC-SHA256 (RFC 2104), HKDF-SHA256 (RFC 5869) and comparison in constant time.
//
// Threading: pure functions. Intermediate secrets are wiped.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>

#include "crypto/keys.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"

namespace peat::crypto {

using Mac = std::array<std::uint8_t, 32>;

// Over the concatenation of `parts`; a key of any length, also none.
Mac hmac_sha256(ByteView key, std::initializer_list<ByteView> parts);

inline constexpr std::size_t kHkdfMaxBytes = std::size_t{255} * 32;

// Extract, then expand. An empty salt means "no salt". Code::invalid_argument if `size` is over
// kHkdfMaxBytes.
Result<SecretBytes> hkdf_sha256(ByteView salt, ByteView input_key, ByteView info,
                                std::size_t size = 32);

// Whether both hold the same bytes; the time taken depends on the lengths alone.
bool equal_constant_time(ByteView a, ByteView b);

}  // namespace peat::crypto
