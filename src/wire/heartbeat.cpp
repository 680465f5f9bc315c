#include "wire/heartbeat.hpp"

#include "base/reader.hpp"

namespace peat::wire {

// heartbeat := 0x01, u64be ms
std::array<std::uint8_t, kHeartbeatBytes> encode_heartbeat(std::uint64_t ms) {
  std::array<std::uint8_t, kHeartbeatBytes> out{0x01};
  for (std::size_t i = 0; i < 8; ++i) out[1 + i] = static_cast<std::uint8_t>(ms >> (56 - 8 * i));
  return out;
}

Result<std::uint64_t> decode_heartbeat(ByteView input) {
  Reader reader(input);
  PEAT_TRY(const auto type, reader.u8("heartbeat type"));
  if (type != 0x01) {
    return fail(Code::malformed,
                "heartbeat begins with byte " + std::to_string(type) + "; 1 is expected");
  }
  PEAT_TRY(const auto ms, reader.u64be("heartbeat time"));
  if (!reader.done()) return fail(Code::malformed, "bytes follow the heartbeat at offset 9");
  return ms;
}

}  // namespace peat::wire
