// Heartbeats of the old dialect: nine bytes alone on a unidirectional stream, then FIN.
#pragma once

#include <array>
#include <cstdint>

#include "peat/bytes.hpp"
#include "peat/error.hpp"

namespace peat::wire {

inline constexpr std::size_t kHeartbeatBytes = 9;

// `ms`: milliseconds since the Unix epoch by the sender's wall clock.
std::array<std::uint8_t, kHeartbeatBytes> encode_heartbeat(std::uint64_t ms);

// The sender's clock. Informational: never trust it. Code::truncated or malformed.
Result<std::uint64_t> decode_heartbeat(ByteView input);

}  // namespace peat::wire
