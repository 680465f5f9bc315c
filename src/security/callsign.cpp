#include "security/callsign.hpp"

#include <algorithm>
#include <array>

namespace peat::security {

namespace {

constexpr std::array<std::string_view, 26> kWords{
    "ALPHA",  "BRAVO", "CHARLIE", "DELTA",  "ECHO",     "FOXTROT", "GOLF",   "HOTEL",  "INDIA",
    "JULIET", "KILO",  "LIMA",    "MIKE",   "NOVEMBER", "OSCAR",   "PAPA",   "QUEBEC", "ROMEO",
    "SIERRA", "TANGO", "UNIFORM", "VICTOR", "WHISKEY",  "XRAY",    "YANKEE", "ZULU"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::unexpected<Error> no_callsign(std::string_view text) {
  return fail(Code::malformed,
              "'" + std::string(text.substr(0, 32)) + "' is no callsign, such as ALPHA-07");
}

// Uniform below `bound`: draws that would favour the low numbers are made again.
std::size_t uniform(Random& random, std::size_t bound) {
  const auto most = ~std::uint64_t{0} - ~std::uint64_t{0} % bound;
  while (true) {
    const auto draw = random.next_u64();
    if (draw < most) return draw % bound;
  }
}

}  // namespace

Result<Callsign> Callsign::parse(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return no_callsign(text);
  std::string upper(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
  for (auto& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  const auto hyphen = upper.find('-');
  if (hyphen == std::string::npos || upper.size() != hyphen + 3 || !is_digit(upper[hyphen + 1]) ||
      !is_digit(upper[hyphen + 2])) {
    return no_callsign(text);
  }
  const auto word = std::ranges::find(kWords, std::string_view(upper).substr(0, hyphen));
  if (word == kWords.end()) return no_callsign(text);
  const auto number = (upper[hyphen + 1] - '0') * 10 + (upper[hyphen + 2] - '0');
  return Callsign{static_cast<std::uint8_t>(word - kWords.begin()),
                  static_cast<std::uint8_t>(number)};
}

std::string Callsign::to_string() const {
  return std::string(kWords[word]) + "-" + static_cast<char>('0' + number / 10) +
         static_cast<char>('0' + number % 10);
}

Result<Callsign> CallsignRegistry::generate(Random& random) {
  const auto free = kCallsigns - used_.count();
  if (free == 0) return fail(Code::limit_exceeded, "all 2600 callsigns are in use");
  auto skip = uniform(random, free);
  for (std::size_t i = 0; i < kCallsigns; ++i) {
    if (used_.test(i)) continue;
    if (skip-- > 0) continue;
    used_.set(i);
    return Callsign{static_cast<std::uint8_t>(i / 100), static_cast<std::uint8_t>(i % 100)};
  }
  return fail(Code::internal, "a free callsign was counted and not found");
}

Status CallsignRegistry::reserve(const Callsign& callsign) {
  if (!is_available(callsign)) {
    return fail(Code::invalid_argument, callsign.to_string() + " is in use");
  }
  used_.set(index(callsign));
  return {};
}

bool CallsignRegistry::release(const Callsign& callsign) {
  if (is_available(callsign)) return false;
  used_.reset(index(callsign));
  return true;
}

}  // namespace peat::security
