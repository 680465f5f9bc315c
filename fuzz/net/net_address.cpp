// Text of an address: what parses prints as text that parses to the same address.
#include <cstdlib>

#include "../report.hpp"
#include "net/address.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace peat::net;
  static FuzzReport report("net_address");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto target = HostAndPort::parse(text);
  const auto address = SocketAddress::parse(text);
  report.input(address.has_value());
  if (address && !target) std::abort();
  if (!address) return 0;
  const auto again = SocketAddress::parse(address->to_string());
  if (!again || !(again->unmapped() == address->unmapped())) std::abort();
  // "Any address" has one spelling on a dual-stack socket.
  if (!address->is_unspecified() && !(address->mapped().unmapped() == address->unmapped())) {
    std::abort();
  }
  if (again->port() != target->port || !(again->group() == address->group())) std::abort();
  return 0;
}
