// Strong identifiers shared by every layer.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/export.hpp"

namespace peat {

// The Ed25519 public key of a node's QUIC endpoint: who a peer is.
// Orders as a 32-byte big-endian string (the rule of simultaneous dials). Text: 64 lower-case hex.
struct EndpointId {
  std::array<std::uint8_t, 32> bytes{};

  friend auto operator<=>(const EndpointId&, const EndpointId&) = default;

  PEAT_API static Result<EndpointId> parse(std::string_view hex);
  PEAT_API std::string to_string() const;   // 64 lower-case hex digits
  PEAT_API std::string short_form() const;  // first 10 hex digits, for logs
};

}  // namespace peat

template <>
struct std::hash<peat::EndpointId> {
  std::size_t operator()(const peat::EndpointId& id) const noexcept {
    std::size_t h;
    std::memcpy(&h, id.bytes.data(), sizeof h);
    return h;
  }
};
