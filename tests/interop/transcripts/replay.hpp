// Plays a recorded session to our stack: channels, sessions and documents over scripted
// connections, in virtual time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "transcript.hpp"

namespace peat::transcripts {

// How stream data reaches us; the network may cut it anywhere.
enum class Pieces : std::uint8_t { as_recorded, single_bytes };

// What differs from what the transcript expects, in words; empty: nothing.
std::vector<std::string> replay(const Transcript& transcript, Pieces pieces = Pieces::as_recorded);

}  // namespace peat::transcripts
