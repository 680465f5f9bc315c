// What each test of the language says of a document.
#include "support.hpp"

namespace peat::query {
namespace {

// D13a: in the reference 5 stored as an int is not 5 stored as a double, and nobody can tell.
TEST(QueryTests, D13aNumbersAreEqualByValueAndExactly) {
  EXPECT_TRUE(passes("a = 5", R"({"a":5})"));
  EXPECT_TRUE(passes("a = 5", R"({"a":5.0})"));
  EXPECT_TRUE(passes("a = 5.0", R"({"a":5})"));
  EXPECT_TRUE(passes("a == 5e0", R"({"a":5})"));
  EXPECT_TRUE(passes("a = -0.0", R"({"a":0})"));
  EXPECT_FALSE(passes("a = 5", R"({"a":"5"})"));
  // Beyond 2^53 a double holds only every other integer.
  EXPECT_FALSE(passes("a = 9007199254740993", R"({"a":9007199254740992})"));
  EXPECT_TRUE(passes("a > 9007199254740992.0", R"({"a":9007199254740993})"));
  EXPECT_TRUE(passes("a = 18446744073709551615", R"({"a":18446744073709551615})"));
  EXPECT_FALSE(passes("a = 18446744073709551615", R"({"a":18446744073709551616.0})"));
  EXPECT_TRUE(passes("a < 18446744073709551616", R"({"a":18446744073709551615})"));
  EXPECT_TRUE(passes("a > -9223372036854775808", R"({"a":-9223372036854775807})"));
}

TEST(QueryTests, ThreeSignsAskForTheSameForm) {
  EXPECT_TRUE(passes("a === 1", R"({"a":1})"));
  EXPECT_FALSE(passes("a === 1", R"({"a":1.0})"));
  EXPECT_TRUE(passes("a === 'x'", R"({"a":"x"})"));
}

TEST(QueryTests, OrderIsAmongTheSameTypes) {
  EXPECT_TRUE(passes("a < 10", R"({"a":9.5})"));
  EXPECT_FALSE(passes("a < 10", R"({"a":"9"})"));
  EXPECT_TRUE(passes("a >= 'b'", R"({"a":"b"})"));
  EXPECT_TRUE(passes("a > 'a'", R"({"a":"ä"})"));
  EXPECT_TRUE(passes("a < true", R"({"a":false})"));
  EXPECT_FALSE(passes("a <= null", R"({"a":null})"));
  EXPECT_TRUE(passes("a between 1 and 2", R"({"a":2})"));
  EXPECT_FALSE(passes("a between 1 and 2", R"({"a":2.001})"));
}

TEST(QueryTests, WhatIsMissingPassesNothingButItsOpposite) {
  for (const auto* test : {"a = 1", "a < 1", "a >= 1", "a in (1, null)", "a contains 1",
                           "a like '%'", "a is null", "a exists", "a within 5 m of 1, 1"}) {
    EXPECT_FALSE(passes(test, R"({"b":1})")) << test;
    EXPECT_TRUE(passes("not (" + std::string(test) + ")", R"({"b":1})")) << test;
  }
  EXPECT_TRUE(passes("a != 1", R"({"b":1})"));
  EXPECT_TRUE(passes("a is missing", R"({"b":1})"));
  EXPECT_FALSE(passes("a is missing", R"({"a":null})"));
  EXPECT_TRUE(passes("a is null", R"({"a":null})"));
  EXPECT_TRUE(passes("a is not null", R"({"a":0})"));
  EXPECT_TRUE(passes("a is not missing", R"({"a":null})"));
}

TEST(QueryTests, PathsLeadIntoObjectsAndLists) {
  constexpr auto kDocument =
      R"({"pos":{"lat":1,"deep":{"x":"y"}},"e.t.a":5,"stops":[{"n":"a"},{"n":"b"}],"tail":true})";
  EXPECT_TRUE(passes("pos.lat = 1", kDocument));
  EXPECT_TRUE(passes("pos.deep.x = 'y'", kDocument));
  EXPECT_TRUE(passes("['e.t.a'] = 5", kDocument));
  EXPECT_TRUE(passes("pos[\"lat\"] = 1", kDocument));
  EXPECT_TRUE(passes("stops[1].n = 'b' and tail = true", kDocument));
  EXPECT_FALSE(passes("stops[2].n exists", kDocument));
  EXPECT_FALSE(passes("pos.lat.x exists", kDocument));
  EXPECT_TRUE(passes("pos exists and pos.lat = 1 and stops exists", kDocument));
  EXPECT_TRUE(passes("['we\\'ird'] = 2", R"({"we'ird":2})"));
  EXPECT_TRUE(passes("['\\u0061b'] = 2", R"({"\u0061b":2})"));
}

TEST(QueryTests, TheIdIsAField) {
  EXPECT_TRUE(passes("_id = 't7'", "{}", "t7"));
  EXPECT_TRUE(passes("_id starts with 'eu-'", R"({"_id":"us-1"})", "eu-1"));
}

TEST(QueryTests, TextsAreComparedWithoutTheirEscapes) {
  EXPECT_TRUE(passes("a = 'line\\nnext'", R"({"a":"line\nnext"})"));
  EXPECT_TRUE(passes("a = '\\ud83d\\ude9a'", R"({"a":"🚚"})"));
  EXPECT_TRUE(passes("a = \"it's\"", R"({"a":"it\u0027s"})"));
  EXPECT_TRUE(passes("a = 'it\\'s'", R"({"a":"it's"})"));
}

TEST(QueryTests, ContainsLooksIntoListsAndTexts) {
  EXPECT_TRUE(passes("a contains 2", R"({"a":[1,2.0,3]})"));
  EXPECT_FALSE(passes("a contains 2", R"({"a":[[2],{"x":2},"2"]})"));
  EXPECT_TRUE(passes("a contains 'b'", R"({"a":["a", "b"]})"));
  EXPECT_TRUE(passes("a contains 'ell'", R"({"a":"hello"})"));
  EXPECT_FALSE(passes("a contains 1", R"({"a":"1"})"));
}

TEST(QueryTests, LikeMatchesTheWholeText) {
  EXPECT_TRUE(passes("a like 'tr%k_'", R"({"a":"truck7"})"));
  EXPECT_TRUE(passes("a like '%'", R"({"a":""})"));
  EXPECT_TRUE(passes("a like '_'", R"({"a":"ü"})"));
  EXPECT_FALSE(passes("a like '_'", R"({"a":"ab"})"));
  EXPECT_FALSE(passes("a like 'truck'", R"({"a":"truck7"})"));
  EXPECT_TRUE(passes("a like '100\\\\%'", R"({"a":"100%"})"));
  EXPECT_FALSE(passes("a like '100\\\\%'", R"({"a":"100x"})"));
  EXPECT_TRUE(passes("a like '%a%a%b'", R"({"a":"aaaaaaaaab"})"));
  EXPECT_TRUE(passes("a starts with 'tr' and a ends with 'ck'", R"({"a":"truck"})"));
}

TEST(QueryTests, AndBindsTighterThanOrAndNotTighterThanBoth) {
  EXPECT_TRUE(passes("a = 1 or a = 2 and b = 3", R"({"a":1,"b":0})"));
  EXPECT_FALSE(passes("(a = 1 or a = 2) and b = 3", R"({"a":1,"b":0})"));
  EXPECT_TRUE(passes("not a = 1 and b = 3", R"({"a":2,"b":3})"));
  EXPECT_TRUE(passes("not not a = 1", R"({"a":1})"));
  EXPECT_TRUE(passes("a not in (1, 2)", R"({"a":3})"));
  EXPECT_TRUE(passes("all", "{}"));
}

TEST(QueryTests, PlacesAreWithinCirclesBoxesAndCells) {
  constexpr auto kDepot = R"({"pos":{"lat":52.1,"lon":4.3},"y":52.1,"x":4.3})";
  EXPECT_TRUE(passes("pos within 1 km of 52.105, 4.3", kDepot));
  EXPECT_FALSE(passes("pos within 500 m of 52.105, 4.3", kDepot));
  EXPECT_TRUE(passes("(y, x) within 0 m of 52.1, 4.3", kDepot)) << "the edge is inside";
  EXPECT_TRUE(passes("pos within box 52, 4 to 52.1, 4.3", kDepot));
  EXPECT_FALSE(passes("pos within box 52, 4 to 52.09, 5", kDepot));
  EXPECT_TRUE(passes("pos within geohash 'u1'", kDepot) ||
              passes("pos within geohash 'u0'", kDepot));
  EXPECT_FALSE(passes("pos within geohash '9q'", kDepot));
  EXPECT_FALSE(passes("pos within 1 km of 1, 1", R"({"pos":{"lat":"1","lon":1}})"));
  // Fiji lies on both sides of the antimeridian.
  constexpr auto kFiji = "pos within box -20, 177 to -15, -178";
  EXPECT_TRUE(passes(kFiji, R"({"pos":{"lat":-17,"lon":179}})"));
  EXPECT_TRUE(passes(kFiji, R"({"pos":{"lat":-17,"lon":-179}})"));
  EXPECT_FALSE(passes(kFiji, R"({"pos":{"lat":-17,"lon":0}})"));
}

// In the reference a filter for deleted documents has no effect unless it is the outermost.
TEST(QueryTests, DeletedDocumentsAreLeftOutUnlessAskedFor) {
  constexpr auto kGone = R"({"a":1,"_deleted":true})";
  constexpr auto kHere = R"({"a":1,"_deleted":false})";
  EXPECT_FALSE(parsed("from t where a = 1").matches("x", kGone));
  EXPECT_TRUE(parsed("from t where a = 1").matches("x", kHere));
  EXPECT_TRUE(parsed("from t where a = 1 with deleted").matches("x", kGone));
  EXPECT_TRUE(parsed("from t where a = 1 only deleted").matches("x", kGone));
  EXPECT_FALSE(parsed("from t where a = 1 only deleted").matches("x", kHere));
}

TEST(QueryTests, WhatIsNoJsonHasNoFields) {
  const auto query = parsed("from t where a.b[1] = 1 or c exists");
  for (const auto* text : {"", "{", "[", "\"", "{\"a\"", "{\"a\":", "{\"a\":{\"b\":[", "{\"c\"}",
                           "{\"a\":{\"b\":[0,", "nonsense", "{\"a\":}", "{\"c\":\"\\", "[1,2]",
                           "{\"a\":{\"b\":[1}}", "{\"a\":]", "{,,,", "{\"c\":tru}"}) {
    EXPECT_FALSE(query.matches("x", text)) << text;
  }
  // Deeper than any stack.
  const std::string deep =
      "{\"x\":" + std::string(1'000'000, '[') + std::string(1'000'000, ']') + ",\"c\":1}";
  EXPECT_TRUE(query.matches("x", deep));
}

}  // namespace
}  // namespace peat::query
