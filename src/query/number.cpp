#include "query/number.hpp"

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

namespace peat::query {

namespace {

__extension__ using Wide = __int128;

// -, digits, an optional fraction and exponent: what from_chars takes beyond it is no JSON.
bool is_json_number(std::string_view text) {
  const auto digits = [&text] {
    std::size_t n = 0;
    while (n < text.size() && text[n] >= '0' && text[n] <= '9') ++n;
    text.remove_prefix(n);
    return n;
  };
  if (text.starts_with('-')) text.remove_prefix(1);
  const bool leading_zero = text.starts_with('0');
  const auto whole = digits();
  if (whole == 0 || (leading_zero && whole > 1)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (digits() == 0) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (digits() == 0) return false;
  }
  return text.empty();
}

template <class T>
std::optional<T> whole(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Number::Number(double below, std::uint16_t rest, double value, bool integer)
    : value_(value), integer_(integer) {
  if (below == 0) below = 0;  // no sign
  auto bits = std::bit_cast<std::uint64_t>(below);
  constexpr std::uint64_t kSign = 1ULL << 63;
  bits = (bits & kSign) != 0 ? ~bits : bits | kSign;
  for (std::size_t i = 0; i < 8; ++i) key_[i] = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
  key_[8] = static_cast<std::uint8_t>(rest >> 8);
  key_[9] = static_cast<std::uint8_t>(rest);
}

std::optional<Number> Number::parse(std::string_view text) {
  if (!is_json_number(text)) return std::nullopt;
  const bool integer = text.find_first_of(".eE") == std::string_view::npos;
  if (integer) {
    std::optional<Wide> exact;
    if (const auto small = whole<std::int64_t>(text)) {
      exact = *small;
    } else if (const auto large = whole<std::uint64_t>(text)) {
      exact = static_cast<Wide>(*large);
    }
    if (exact) {
      const auto value = static_cast<double>(*exact);
      auto below = value;
      if (static_cast<Wide>(below) > *exact) {
        below = std::nextafter(below, -std::numeric_limits<double>::infinity());
      }
      // Doubles of this size are at most 2^11 apart.
      const auto rest = static_cast<std::uint16_t>(*exact - static_cast<Wide>(below));
      return Number(below, rest, value, true);
    }
  }
  const auto value = whole<double>(text);
  if (!value || !std::isfinite(*value)) return std::nullopt;
  return Number(*value, 0, *value, integer);
}

}  // namespace peat::query
