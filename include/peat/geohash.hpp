// Geohashes: a place as a short text whose prefixes name larger and larger cells.
//
//   peat::geohash::encode({35.3003, -120.6623}, 5)   // "9q60y"
//
// The usual base-32 alphabet (no a, i, l, o), 1 to 12 characters, longitude bit first; the same
// texts as existing peers make, but for the poles and the antimeridian, where theirs wrap to the
// opposite side: here latitude 90 and longitude 180 belong to the last cell.
//
// Errors: Code::out_of_range for a latitude beyond 90, a longitude beyond 180, no number, or a
// length outside 1 to 12; Code::malformed names the first character that no geohash has.
#pragma once

#include <string>
#include <string_view>

#include "peat/error.hpp"
#include "peat/export.hpp"

namespace peat {

// Degrees; north and east are positive.
struct GeoPoint {
  double lat = 0;
  double lon = 0;
};

// An area between parallels and meridians, edges included. West beyond east: across the
// antimeridian.
struct GeoBox {
  double south = 0;
  double west = 0;
  double north = 0;
  double east = 0;
};

// Metres on a sphere of radius 6,371,000 m (haversine).
PEAT_API double distance_metres(const GeoPoint& a, const GeoPoint& b);
PEAT_API bool contains(const GeoBox& box, const GeoPoint& point);

namespace geohash {

inline constexpr std::size_t kMaxLength = 12;

PEAT_API Result<std::string> encode(const GeoPoint& point, std::size_t length);
// The cell that a geohash names.
PEAT_API Result<GeoBox> decode(std::string_view hash);

}  // namespace geohash
}  // namespace peat
