#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/limits.hpp"
#include "peat/automerge/document.hpp"

namespace peat::automerge {
namespace {

ActorId actor(std::uint8_t n) { return {Bytes(16, n)}; }

Document from_json(std::string_view json, std::uint8_t n = 1) {
  Document document(actor(n));
  const auto hash = document.update_from_json(json, {});
  EXPECT_TRUE(hash) << hash.error().message;
  return document;
}

std::string json_of(const Document& document) {
  auto json = document.to_json();
  EXPECT_TRUE(json) << json.error().message;
  return json.value_or("");
}

// Operations of the newest change; zero if the update made none.
std::size_t ops_of_update(Document& document, std::string_view json) {
  const auto hash = document.update_from_json(json, {});
  EXPECT_TRUE(hash) << hash.error().message;
  if (!hash || !*hash) return 0;
  return document.change(**hash)->op_count;
}

Scalar scalar_at(const Document& document, std::string_view key) {
  return std::get<Scalar>(document.get(kRoot, key).value()->data);
}

ObjectRef object_at(const Document& document, ObjectId object, std::string_view key) {
  return std::get<ObjectRef>(document.get(object, key).value()->data);
}

TEST(Json, ComesBackAsItWent) {
  for (const std::string_view json :
       {R"({})", R"({"a":1,"b":[1,2.5,"x",null,true,false],"c":{"d":{"e":[]},"f":[[],[{}]]}})",
        R"({"":"empty key","quote\"\\":"\b\f\n\r\t\u0001 / é 🚀"})"}) {
    const auto document = from_json(json);
    Document again = from_json(json_of(document), 2);
    EXPECT_EQ(json_of(again), json_of(document));
    EXPECT_EQ(again.update_from_json(json, {}).value(), std::nullopt);
  }
  EXPECT_EQ(json_of(from_json(R"({ "b" : [ 1 , 2 ] , "a" : "\u00e9\ud83d\ude80/" })")),
            R"({"a":"é🚀/","b":[1,2]})");
}

TEST(Json, NumbersAreExact) {
  const auto document = from_json(
      R"({"min":-9223372036854775808,"max":9223372036854775807,"big":18446744073709551615,
          "tenth":0.1,"third":0.3333333333333333,"huge":1e300,"beyond":18446744073709551616,
          "hard":9007199254740993.0,"one":1.0,"minus":-0.0,"tiny":5e-324})");
  EXPECT_EQ(std::get<std::int64_t>(scalar_at(document, "min")),
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(std::get<std::int64_t>(scalar_at(document, "max")),
            std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(std::get<std::uint64_t>(scalar_at(document, "big")),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(std::get<double>(scalar_at(document, "beyond")), 0x1p64);
  EXPECT_EQ(std::get<double>(scalar_at(document, "hard")), 9007199254740992.0);
  EXPECT_TRUE(std::signbit(std::get<double>(scalar_at(document, "minus"))));
  EXPECT_EQ(json_of(document),
            R"({"beyond":18446744073709551616.0,"big":18446744073709551615,)"
            R"("hard":9007199254740992.0,"huge":1e+300,"max":9223372036854775807,)"
            R"("min":-9223372036854775808,"minus":-0.0,"one":1.0,"tenth":0.1,)"
            R"("third":0.3333333333333333,"tiny":5e-324})");
}

TEST(Json, ObjectsAreMadeBreadthFirstWithKeysInOrder) {
  const auto document = from_json(R"({"b":{"z":[1,{"q":2}],"a":"hi"},"a":1})");
  const std::string by = "@" + actor(1).to_string();
  const auto b = object_at(document, kRoot, "b");
  EXPECT_EQ(document.object_text(b.id), "2" + by);
  EXPECT_EQ(document.get(b.id, "a").value()->op.counter(), 3U);
  const auto z = object_at(document, b.id, "z");
  EXPECT_EQ(document.object_text(z.id), "4" + by);
  EXPECT_EQ(document.get(z.id, 0).value()->op.counter(), 5U);
  const auto q = std::get<ObjectRef>(document.get(z.id, 1).value()->data);
  EXPECT_EQ(document.object_text(q.id), "6" + by);
  EXPECT_EQ(document.get(q.id, "q").value()->op.counter(), 7U);
}

TEST(Json, WritesOnlyWhatDiffers) {
  auto document = from_json(R"({"a":1,"m":{"x":1,"y":{"z":[1,2]}},"l":[1,2,3,4,5],"s":"t"})");
  EXPECT_EQ(ops_of_update(document, json_of(document)), 0U);
  EXPECT_EQ(
      ops_of_update(document, R"({"a":2,"m":{"x":1,"y":{"z":[1,2]}},"l":[1,2,3,4,5],"s":"t"})"),
      1U);
  EXPECT_EQ(
      ops_of_update(document, R"({"a":2,"m":{"x":1,"y":{"z":[1,9]}},"l":[1,2,3,4,5],"s":"t"})"),
      1U);
  // An element in the middle, one less at the end, one more at the front.
  EXPECT_EQ(
      ops_of_update(document, R"({"a":2,"m":{"x":1,"y":{"z":[1,9]}},"l":[1,2,7,4,5],"s":"t"})"),
      1U);
  EXPECT_EQ(ops_of_update(document, R"({"a":2,"m":{"x":1,"y":{"z":[1,9]}},"l":[1,2,7,4],"s":"t"})"),
            1U);
  EXPECT_EQ(
      ops_of_update(document, R"({"a":2,"m":{"x":1,"y":{"z":[1,9]}},"l":[0,1,2,7,4],"s":"t"})"),
      1U);
  // What is not named is deleted, in nested objects too.
  EXPECT_EQ(ops_of_update(document, R"({"m":{"y":{"z":[1,9]}},"l":[0,1,2,7,4],"s":"t"})"), 2U);
  EXPECT_EQ(json_of(document), R"({"l":[0,1,2,7,4],"m":{"y":{"z":[1,9]}},"s":"t"})");
}

TEST(Json, ListsEndUpAsTold) {
  const std::string_view lists[] = {"[]",
                                    "[1]",
                                    "[1,2,3]",
                                    "[3,2,1]",
                                    "[[1],[2]]",
                                    "[[1],[3],4]",
                                    R"([{"a":1},{"a":2}])",
                                    R"([{"a":1},{"a":3,"b":[]},{"a":2}])"};
  for (const auto from : lists) {
    for (const auto to : lists) {
      auto document = from_json("{\"l\":" + std::string(from) + "}");
      const auto wanted = "{\"l\":" + std::string(to) + "}";
      ASSERT_TRUE(document.update_from_json(wanted, {}));
      EXPECT_EQ(json_of(document), wanted) << from;
    }
  }
}

TEST(Json, ConcurrentUpdatesOfDifferentFieldsBothSurvive) {
  auto a = from_json(R"({"name":"depot","pos":{"lat":1.5,"lon":2.5},"tags":["x","y"]})");
  auto b = a.fork(actor(2)).value();
  ASSERT_TRUE(
      a.update_from_json(R"({"name":"north","pos":{"lat":1.5,"lon":3.5},"tags":["x","y"]})", {}));
  ASSERT_TRUE(
      b.update_from_json(R"({"name":"depot","pos":{"lat":9.5,"lon":2.5},"tags":["x","z"]})", {}));
  ASSERT_TRUE(a.merge(b));
  ASSERT_TRUE(b.merge(a));
  EXPECT_EQ(json_of(a), R"({"name":"north","pos":{"lat":9.5,"lon":3.5},"tags":["x","z"]})");
  EXPECT_EQ(json_of(b), json_of(a));
}

TEST(Json, TypesThatJsonCannotNameAreShownAndKept) {
  Document document(actor(1));
  const std::uint8_t bytes[] = {0, 1, 2, 3};
  {
    auto tx = document.begin().value();
    ASSERT_TRUE(tx.put(kRoot, "counter", Counter{5}));
    ASSERT_TRUE(tx.put(kRoot, "when", Timestamp{1700000000000}));
    ASSERT_TRUE(tx.put(kRoot, "bytes", ByteView(bytes)));
    ASSERT_TRUE(tx.put(kRoot, "nan", std::numeric_limits<double>::quiet_NaN()));
    ASSERT_TRUE(tx.put(kRoot, "uint", std::uint64_t{7}));
    const auto text = tx.put_object(kRoot, "text", ObjectType::text).value();
    ASSERT_TRUE(tx.splice_text(text, 0, 0, "naïve 🚀 launch"));
    ASSERT_TRUE(tx.commit());
  }
  EXPECT_EQ(json_of(document), R"({"bytes":"AAECAw==","counter":5,"nan":null,)"
                               R"("text":"naïve 🚀 launch","uint":7,"when":1700000000000})");
  EXPECT_EQ(ops_of_update(document, json_of(document)), 0U);

  ASSERT_TRUE(document.update_from_json(
      R"({"bytes":"AAECAw==","counter":8,"nan":null,"text":"naive 🛰 launch","uint":7,"when":5})",
      {}));
  EXPECT_EQ(std::get<Counter>(scalar_at(document, "counter")), Counter{8});
  EXPECT_EQ(std::get<Timestamp>(scalar_at(document, "when")), Timestamp{5});
  const auto text = object_at(document, kRoot, "text");
  EXPECT_EQ(text.type, ObjectType::text);
  EXPECT_EQ(document.text(text.id).value(), "naive 🛰 launch");
}

TEST(Json, ConcurrentCountsAddUp) {
  Document a(actor(1));
  {
    auto tx = a.begin().value();
    ASSERT_TRUE(tx.put(kRoot, "n", Counter{10}));
    ASSERT_TRUE(tx.commit());
  }
  auto b = a.fork(actor(2)).value();
  ASSERT_TRUE(a.update_from_json(R"({"n":13})", {}));
  ASSERT_TRUE(b.update_from_json(R"({"n":8})", {}));
  ASSERT_TRUE(a.merge(b));
  EXPECT_EQ(json_of(a), R"({"n":11})");
}

TEST(Json, AClientThatPrintsOneForOnePointZeroRewritesNothing) {
  auto document = from_json(R"({"a":1.0,"b":1,"c":1.5})");
  EXPECT_EQ(ops_of_update(document, R"({"a":1,"b":1.0,"c":1.5})"), 0U);
  EXPECT_EQ(ops_of_update(document, R"({"a":1.5,"b":2,"c":1.5})"), 2U);
}

TEST(Json, RefusesWhatIsNotJson) {
  Document document = from_json(R"({"a":1})");
  const auto heads = document.heads();
  const std::string bad[] = {"",
                             "{",
                             "{}}",
                             R"({"a":1,})",
                             R"({"a":01})",
                             R"({"a":NaN})",
                             R"({'a':1})",
                             R"({"a":1e400})",
                             "{\"a\":\"\xff\"}",
                             "{\"a\":\"\xed\xa0\x80\"}",
                             R"({"a":"\ud800"})",
                             "{\"a\":\"\n\"}",
                             "{/**/}"};
  for (const auto& text : bad) {
    const auto result = document.update_from_json(text, {});
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, Code::malformed) << text;
    EXPECT_NE(result.error().message.find("at byte"), std::string::npos);
  }
  for (const std::string_view text : {"1", "null", "[]", "\"x\""}) {
    EXPECT_EQ(document.update_from_json(text, {}).error().code, Code::invalid_argument);
    EXPECT_EQ(document.merge_patch(text, {}).error().code, Code::invalid_argument);
  }
  EXPECT_EQ(document.heads(), heads);
}

TEST(Json, DepthAndSizeAreLimited) {
  const auto nested = [](std::size_t levels) {
    const std::size_t lists = levels - 1;
    return "{\"a\":" + std::string(lists, '[') + std::string(lists, ']') + "}";
  };
  const auto depth = static_cast<std::size_t>(Limits{}.json_depth);
  EXPECT_EQ(json_of(from_json(nested(depth))), nested(depth));
  Document document(actor(1));
  EXPECT_EQ(document.update_from_json(nested(depth + 1), {}).error().code, Code::limit_exceeded);

  std::string many = "{\"a\":[0";
  for (std::uint64_t i = 0; i < Limits{}.json_values; ++i) many += ",0";
  EXPECT_EQ(document.update_from_json(many + "]}", {}).error().code, Code::limit_exceeded);
  EXPECT_EQ(document.change_count(), 0U);
}

TEST(Json, ADocumentNestedDeeperThanOurLimitIsStillShown) {
  Document document(actor(1));
  constexpr int kLevels = 20'000;
  auto tx = document.begin().value();
  ObjectId list = tx.put_object(kRoot, "a", ObjectType::list).value();
  for (int i = 1; i < kLevels; ++i) list = tx.insert_object(list, 0, ObjectType::list).value();
  ASSERT_TRUE(tx.commit());
  EXPECT_EQ(json_of(document),
            "{\"a\":" + std::string(kLevels, '[') + std::string(kLevels, ']') + "}");
}

TEST(Json, OfEqualKeysTheLastCounts) {
  EXPECT_EQ(json_of(from_json(R"({"b":1,"a":2,"b":{"c":1},"b":3})")), R"({"a":2,"b":3})");
}

TEST(MergePatch, FollowsTheExamplesOfRfc7386) {
  struct Example {
    std::string_view target, patch, result;
  };
  const Example examples[] = {
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"({"e":null})", R"({"a":1})", R"({"a":1,"e":null})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
      {R"({"a":[1]})", R"({"a":[null,{"b":null}]})", R"({"a":[null,{"b":null}]})"},
  };
  for (const auto& [target, patch, result] : examples) {
    auto document = from_json(target);
    ASSERT_TRUE(document.merge_patch(patch, {})) << patch;
    EXPECT_EQ(json_of(document), result) << patch;
    EXPECT_EQ(document.merge_patch(patch, {}).value(), std::nullopt) << patch;
  }
}

}  // namespace
}  // namespace peat::automerge
