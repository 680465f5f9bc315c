// Device ids: the short name of a device key, as existing peers know it (spec/security.md 4.1).
//
// The first 16 bytes of the SHA-256 of an Ed25519 public key; text: 32 hex digits. It names a
// device in logs, challenges and group messages; it proves nothing, the key does.
#pragma once

#include <array>
#include <compare>
#include <string>
#include <string_view>

#include "peat/error.hpp"
#include "peat/ids.hpp"

namespace peat::security {

struct DeviceId {
  std::array<std::uint8_t, 16> bytes{};

  friend auto operator<=>(const DeviceId&, const DeviceId&) = default;

  static DeviceId of(const EndpointId& key);
  // Exactly 32 hex digits, either case; Code::malformed. Existing peers also take "+a" as a byte
  // and crash on other characters.
  static Result<DeviceId> parse(std::string_view hex);
  std::string to_string() const;  // lower case
};

}  // namespace peat::security
