#include "wire/varint.hpp"

namespace peat::wire {

// varint := 2 bits of size class c, then the value in 8 * 2^c - 2 bits, big-endian
Result<std::uint64_t> read_varint(Reader& reader, std::string_view what) {
  PEAT_TRY(const auto first, reader.u8(what));
  std::uint64_t value = first & 0x3f;
  PEAT_TRY(const auto rest, reader.take(varint_size_of_first(first) - 1, what));
  for (const auto byte : rest) value = value << 8 | byte;
  return value;
}

void put_varint(Writer& writer, std::uint64_t value) {
  if (value < 1ULL << 6) {
    writer.u8(static_cast<std::uint8_t>(value));
  } else if (value < 1ULL << 14) {
    writer.u16be(static_cast<std::uint16_t>(value | 0x4000));
  } else if (value < 1ULL << 30) {
    writer.u32be(static_cast<std::uint32_t>(value | 0x80000000));
  } else {
    writer.u64be((value & kVarintMax) | 3ULL << 62);
  }
}

}  // namespace peat::wire
