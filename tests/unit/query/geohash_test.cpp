// Geohashes: the vectors of existing peers, and the edges of the world.
#include "peat/geohash.hpp"

#include <cmath>

#include "support.hpp"

namespace peat::geohash {
namespace {

std::string hash(double lat, double lon, std::size_t length = 10) {
  const auto made = encode({lat, lon}, length);
  return made ? *made : made.error().message;
}

TEST(Geohash, GivesTheTextsOfExistingPeers) {
  EXPECT_EQ(hash(35.3003, -120.6623, 5), "9q60y");
  EXPECT_EQ(hash(35.3003, -120.6623, 10), "9q60y60rhs");
  EXPECT_EQ(hash(57.64911, 10.40744, 11), "u4pruydqqvj");
  EXPECT_EQ(hash(0, 0, 12), "s00000000000");
}

TEST(Geohash, ACellHoldsWhatHasItsName) {
  const auto cell = decode("9q60y60rhs");
  ASSERT_TRUE(cell);
  EXPECT_TRUE(contains(*cell, {35.3003, -120.6623}));
  const GeoPoint middle{(cell->south + cell->north) / 2, (cell->west + cell->east) / 2};
  EXPECT_EQ(hash(middle.lat, middle.lon), "9q60y60rhs");
  // The neighbour in the north begins where it ends.
  EXPECT_EQ(hash(cell->north, middle.lon), "9q60y60rht");
}

// D13f: in the reference the north pole lies in the south, and 180 degrees east in the west.
TEST(Geohash, D13fThePolesAndTheAntimeridianBelongToTheLastCell) {
  EXPECT_EQ(hash(90, 179.999), hash(89.9999999, 179.999));
  EXPECT_EQ(hash(10, 180), hash(10, 179.9999999));
  EXPECT_NE(hash(10, 180), hash(10, -180));
  EXPECT_EQ(hash(90, 180, 1), "z");
  EXPECT_EQ(hash(-90, -180, 1), "0");
}

TEST(Geohash, D13fWhatIsNoPlaceAndNoHashIsRefused) {
  for (const auto& [lat, lon] : std::vector<std::pair<double, double>>{
           {90.1, 0}, {-90.1, 0}, {0, 180.1}, {0, -181}, {std::nan(""), 0}, {0, INFINITY}}) {
    EXPECT_EQ(encode({lat, lon}, 5).error().code, Code::out_of_range);
  }
  EXPECT_EQ(encode({1, 1}, 0).error().code, Code::out_of_range);
  EXPECT_EQ(encode({1, 1}, 13).error().code, Code::out_of_range);
  EXPECT_EQ(decode("").error().code, Code::out_of_range);
  EXPECT_EQ(decode("9q60y60rhs9q6").error().code, Code::out_of_range);
  EXPECT_NE(decode("9qa").error().message.find("'a' is none of its letters"), std::string::npos);
}

TEST(Geohash, DistancesAreThoseOnASphere) {
  EXPECT_NEAR(distance_metres({0, 0}, {0, 1}), 111194.9, 0.1);
  EXPECT_NEAR(distance_metres({0, 179.5}, {0, -179.5}), 111194.9, 0.1);
  EXPECT_NEAR(distance_metres({90, 0}, {-90, 77}), 6'371'000 * 3.14159265358979, 1);
  EXPECT_EQ(distance_metres({52, 4}, {52, 4}), 0);
}

}  // namespace
}  // namespace peat::geohash
