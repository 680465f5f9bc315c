#include "peat/geohash.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numbers>

namespace peat {

namespace {

constexpr std::string_view kAlphabet = "0123456789bcdefghjkmnpqrstuvwxyz";
constexpr unsigned kBitsPerAxis = 32;
constexpr double kEarthRadius = 6'371'000;

// Where a value lies between -most and most, in 2^32 steps; `most` itself in the last one.
std::uint32_t steps(double value, double most) {
  if (value >= most) return ~std::uint32_t{0};
  const auto between_one_and_two = value * (1 / (2 * most)) + 1.5;
  return static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(between_one_and_two) >> 20);
}

double radians(double degrees) { return degrees * std::numbers::pi / 180; }

}  // namespace

double distance_metres(const GeoPoint& a, const GeoPoint& b) {
  const auto lat = std::sin(radians(b.lat - a.lat) / 2);
  const auto lon = std::sin(radians(b.lon - a.lon) / 2);
  const auto h = lat * lat + std::cos(radians(a.lat)) * std::cos(radians(b.lat)) * lon * lon;
  return 2 * kEarthRadius * std::asin(std::min(1.0, std::sqrt(h)));
}

bool contains(const GeoBox& box, const GeoPoint& point) {
  if (point.lat < box.south || point.lat > box.north) return false;
  if (box.west <= box.east) return point.lon >= box.west && point.lon <= box.east;
  return point.lon >= box.west || point.lon <= box.east;
}

Result<std::string> geohash::encode(const GeoPoint& point, std::size_t length) {
  if (!(std::abs(point.lat) <= 90) || !(std::abs(point.lon) <= 180)) {
    char place[80];
    std::snprintf(place, sizeof place, "%g, %g", point.lat, point.lon);
    return fail(Code::out_of_range, "geohash: there is no place " + std::string(place) +
                                        "; latitudes go to 90, longitudes to 180");
  }
  if (length < 1 || length > kMaxLength) {
    return fail(Code::out_of_range,
                "geohash: a length of " + std::to_string(length) + "; 1 to 12 characters make one");
  }
  const auto lat = steps(point.lat, 90);
  const auto lon = steps(point.lon, 180);
  std::string out;
  for (std::size_t bit = 0; bit < 5 * length;) {
    std::size_t digit = 0;
    for (int i = 0; i < 5; ++i, ++bit) {
      const auto axis = bit % 2 == 0 ? lon : lat;
      digit = digit << 1 | (axis >> (kBitsPerAxis - 1 - bit / 2) & 1);
    }
    out += kAlphabet[digit];
  }
  return out;
}

Result<GeoBox> geohash::decode(std::string_view hash) {
  if (hash.empty() || hash.size() > kMaxLength) {
    return fail(Code::out_of_range, "geohash: a length of " + std::to_string(hash.size()) +
                                        "; 1 to 12 characters make one");
  }
  GeoBox box{-90, -180, 90, 180};
  bool is_lon = true;
  for (const char c : hash) {
    const auto digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) {
      return fail(Code::malformed, "geohash '" + std::string(hash) + "': '" + c +
                                       "' is none of its letters (digits and b to z without i, l, "
                                       "o)");
    }
    for (int bit = 4; bit >= 0; --bit, is_lon = !is_lon) {
      auto& low = is_lon ? box.west : box.south;
      auto& high = is_lon ? box.east : box.north;
      ((digit >> bit & 1) != 0 ? low : high) = (low + high) / 2;
    }
  }
  return box;
}

}  // namespace peat
