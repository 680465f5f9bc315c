// Everything that a peer, a client or a file can make grow has a limit here.
//
// limits.def is the one table: name, default, unit, what happens at the limit. Each row has a
// test that exceeds it (tests/unit/<module>). Limits are checked before memory is taken.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace peat {

struct Limits {
#define PEAT_LIMIT(name, value, unit, policy) std::uint64_t name = value;
#include "base/limits.def"
#undef PEAT_LIMIT
};

struct LimitInfo {
  std::string_view name;
  std::uint64_t value;
  std::string_view unit;
  std::string_view policy;
};
std::span<const LimitInfo> limit_table();

}  // namespace peat
