#include "peat/error.hpp"

#include <array>

namespace peat {

const CodeInfo& info(Code code) {
  static constexpr std::array kTable{
#define PEAT_ERROR(name, number, retry, http, exit_code, text) \
  CodeInfo{#name, Code::name, RetryClass::retry, http, exit_code, text},
#include "peat/error_codes.def"
#undef PEAT_ERROR
  };
  for (const auto& row : kTable) {
    if (row.code == code) return row;
  }
  return kTable[0];
}

}  // namespace peat
