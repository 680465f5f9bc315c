#include "base/network.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace peat {

std::string network_of(std::string_view address) {
  constexpr std::size_t kNetworkBytes = 8;
  std::string host(address.substr(0, address.rfind(':')));
  if (!host.starts_with('[') || !host.ends_with(']')) return host;
  host = host.substr(1, host.size() - 2);
  const auto without_scope = host.substr(0, host.find('%'));
  in6_addr raw{};
  if (::inet_pton(AF_INET6, without_scope.c_str(), &raw) != 1) return host;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (IN6_IS_ADDR_V4MAPPED(&raw)) {
    constexpr std::size_t kMappedPrefix = 12;
    return ::inet_ntop(AF_INET, raw.s6_addr + kMappedPrefix, text.data(), text.size());
  }
  std::fill(raw.s6_addr + kNetworkBytes, raw.s6_addr + sizeof raw.s6_addr, std::uint8_t{0});
  return std::string(::inet_ntop(AF_INET6, &raw, text.data(), text.size())) + "/64";
}

}  // namespace peat
