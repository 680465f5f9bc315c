// Hex with spaces, for vectors that read like the specification's tables.
#pragma once

#include <string>
#include <string_view>

#include "base/encoding.hpp"
#include "peat/bytes.hpp"

namespace peat::test {

inline Bytes hex(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != ' ') digits.push_back(c);
  }
  return from_hex(digits).value();
}

inline Bytes join(const Bytes& a, const Bytes& b) {
  Bytes out = a;
  out.insert(out.end(), b.begin(), b.end());
  return out;
}

}  // namespace peat::test
