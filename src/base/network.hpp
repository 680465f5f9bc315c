// Whom a limit by address counts: attempts from one network are one stranger's.
//
// "192.0.2.7:11204" → "192.0.2.7"; "[2001:db8:1:2::9]:1" → "2001:db8:1:2::/64", because who has one
// address of an IPv6 network has all 2^64 of them; a mapped IPv4 address is that address. What is
// no numeric address is itself, without its port.
//
// Threading: pure.
#pragma once

#include <string>
#include <string_view>

namespace peat {

std::string network_of(std::string_view address);

}  // namespace peat
