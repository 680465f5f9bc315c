// Byte strings as the whole library spells them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace peat {

using Bytes = std::vector<std::uint8_t>;         // owned
using ByteView = std::span<const std::uint8_t>;  // borrowed; valid as long as its owner says

// The UTF-8 text of `view`, unchecked and not copied.
inline std::string_view as_text(ByteView view) {
  return {reinterpret_cast<const char*>(view.data()), view.size()};
}

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace peat
