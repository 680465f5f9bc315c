#include "base/limits.hpp"

#include <array>

namespace peat {

std::span<const LimitInfo> limit_table() {
  static constexpr std::array kTable{
#define PEAT_LIMIT(name, value, unit, policy) LimitInfo{#name, value, unit, policy},
#include "base/limits.def"
#undef PEAT_LIMIT
  };
  return kTable;
}

}  // namespace peat
