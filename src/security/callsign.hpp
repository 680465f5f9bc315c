// Callsigns: "WORD-NN", names that people can say on a radio (spec/security.md 11).
//
// One of 26 words of the NATO alphabet and two digits, 2600 in all, at most 11 bytes. Text is
// trimmed and taken in any case.
//
// Threading: one thread. Errors: malformed (no callsign), not_found, invalid_argument (in use),
// limit_exceeded (all are in use).
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/random.hpp"
#include "peat/error.hpp"

namespace peat::security {

inline constexpr std::size_t kCallsigns = 2600;

struct Callsign {
  std::uint8_t word = 0;    // 0 (ALPHA) to 25 (ZULU)
  std::uint8_t number = 0;  // 0 to 99

  // Exactly two ASCII digits; existing peers also take "+5" (D-42).
  static Result<Callsign> parse(std::string_view text);
  std::string to_string() const;
  friend bool operator==(const Callsign&, const Callsign&) = default;
};

// Which are in use. Kept by whoever gives them out.
class CallsignRegistry {
 public:
  // A free one, each equally likely (D-42).
  Result<Callsign> generate(Random& random);
  Status reserve(const Callsign& callsign);
  bool release(const Callsign& callsign);  // false: it was free
  bool is_available(const Callsign& callsign) const { return !used_.test(index(callsign)); }
  std::size_t used() const { return used_.count(); }

 private:
  static std::size_t index(const Callsign& callsign) {
    return std::size_t{callsign.word} * 100 + callsign.number;
  }
  std::bitset<kCallsigns> used_;
};

}  // namespace peat::security
