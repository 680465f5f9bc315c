#include "security/device_id.hpp"

#include <algorithm>

#include "base/encoding.hpp"

namespace peat::security {

DeviceId DeviceId::of(const EndpointId& key) {
  DeviceId id;
  const auto digest = sha256(key.bytes);
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

Result<DeviceId> DeviceId::parse(std::string_view hex) {
  DeviceId id;
  if (hex.size() != id.bytes.size() * 2) {
    return fail(Code::malformed, "a device id has 32 hex digits, this text has " +
                                     std::to_string(hex.size()) + " bytes");
  }
  PEAT_TRY(const auto bytes, from_hex(hex));
  std::ranges::copy(bytes, id.bytes.begin());
  return id;
}

std::string DeviceId::to_string() const { return to_hex(bytes); }

}  // namespace peat::security
