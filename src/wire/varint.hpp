// Variable-length integers of QUIC (RFC 9000, section 16): 1, 2, 4 or 8 bytes, up to 2^62 - 1.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/reader.hpp"
#include "peat/error.hpp"

namespace peat::wire {

inline constexpr std::uint64_t kVarintMax = (1ULL << 62) - 1;

// Bytes of the encoded form, given its first byte.
constexpr std::size_t varint_size_of_first(std::uint8_t first) {
  return std::size_t{1} << (first >> 6);
}

// Longer forms of small numbers are accepted, as RFC 9000 does.
Result<std::uint64_t> read_varint(Reader& reader, std::string_view what);

// The shortest form. A value over kVarintMax is a defect of the caller; its top bits are lost.
void put_varint(Writer& writer, std::uint64_t value);

}  // namespace peat::wire
