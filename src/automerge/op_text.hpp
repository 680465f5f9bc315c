// The text form of an operation's id: counter "@" actor in hex.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/encoding.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

struct OpText {
  std::uint32_t counter = 0;
  ActorId actor;
};
std::string op_text(std::uint32_t counter, ByteView actor);
// `what` names it in the error.
Result<OpText> parse_op_text(std::string_view text, std::string_view what);

}  // namespace peat::automerge
