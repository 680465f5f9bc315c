// JSON that loses nothing, updates that replace, and updates that find what stayed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>

#include "automerge/json_diff.hpp"
#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

std::string typed(const Document& document) {
  auto json = document.to_json(JsonForm::typed);
  EXPECT_TRUE(json) << json.error().message;
  return json.value_or("");
}

Document from_typed(std::string_view json) {
  auto document = replica(2);
  const auto hash = document.update_from_json(json, {}, JsonForm::typed);
  EXPECT_TRUE(hash) << hash.error().message;
  return document;
}

std::size_t ops_of(Document& document, const Result<std::optional<ChangeHash>>& hash) {
  EXPECT_TRUE(hash) << hash.error().message;
  return hash && *hash ? document.change(**hash)->op_count : 0;
}

// --- typed ----------------------------------------------------------------------------------

TEST(TypedJson, EveryTypeComesBackAsItWas) {
  const auto bits = [](std::uint64_t value) {
    double out;
    std::memcpy(&out, &value, sizeof out);
    return out;
  };
  auto document = replica(1);
  const Bytes bytes = hex("00 ff 80");
  const std::vector<Scalar> scalars{
      Null{},
      true,
      std::int64_t{-5},
      std::numeric_limits<std::int64_t>::min(),
      std::int64_t{9007199254740993},
      std::uint64_t{7},
      std::numeric_limits<std::uint64_t>::max(),
      2.5,
      1.0,
      -0.0,
      std::numeric_limits<double>::infinity(),
      -std::numeric_limits<double>::infinity(),
      std::numeric_limits<double>::quiet_NaN(),
      bits(0xfff8dead00000001),
      Counter{-3},
      Counter{std::numeric_limits<std::int64_t>::max()},
      Timestamp{1700000000123},
      std::string_view("text \"é\" 🚀"),
      ByteView(bytes),
      UnknownValue{13, bytes},
  };
  change(document, [&](Transaction& tx) {
    const auto list = tx.put_object(kRoot, "list", ObjectType::list).value();
    for (std::size_t i = 0; i < scalars.size(); ++i) {
      ASSERT_TRUE(tx.put(kRoot, "s" + std::to_string(i), scalars[i]));
      ASSERT_TRUE(tx.insert(list, i, scalars[i]));
    }
    const auto text = tx.put_object(kRoot, "text", ObjectType::text).value();
    ASSERT_TRUE(tx.splice_text(text, 0, 0, "wörld"));
    const auto map = tx.put_object(kRoot, "map", ObjectType::map).value();
    ASSERT_TRUE(tx.put(map, "$counter", std::string_view("only a key")));
  });
  const auto shown = typed(document);
  auto again = from_typed(shown);
  EXPECT_EQ(typed(again), shown);
  EXPECT_EQ(again.update_from_json(shown, {}, JsonForm::typed).value(), std::nullopt);
  for (std::size_t i = 0; i < scalars.size(); ++i) {
    const auto key = "s" + std::to_string(i);
    EXPECT_EQ(scalar(again, key).index(), scalar(document, key).index()) << i;
  }
  double nan = std::get<double>(scalar(again, "s13"));
  double expected = std::get<double>(scalars[13]);
  EXPECT_EQ(std::memcmp(&nan, &expected, sizeof nan), 0) << "NaN payloads are kept";
  EXPECT_EQ(again.object_type(object(again, "text")).value(), ObjectType::text);
}

TEST(TypedJson, LooksLikeThis) {
  auto document = replica(1);
  change(document, [&](Transaction& tx) {
    ASSERT_TRUE(tx.put(kRoot, "b", ByteView(hex("01 02"))));
    ASSERT_TRUE(tx.put(kRoot, "c", Counter{4}));
    ASSERT_TRUE(tx.put(kRoot, "i", std::int64_t{-9007199254740993}));
    ASSERT_TRUE(tx.put(kRoot, "n", std::int64_t{5}));
    ASSERT_TRUE(tx.put(kRoot, "t", Timestamp{1700000000000}));
    ASSERT_TRUE(tx.put(kRoot, "u", std::uint64_t{5}));
  });
  EXPECT_EQ(typed(document),
            R"({"b":{"$bytes":"AQI="},"c":{"$counter":4},"i":{"$int":"-9007199254740993"},"n":5,)"
            R"("t":{"$timestamp":1700000000000},"u":{"$uint":5}})");
}

TEST(TypedJson, ACounterIsIncrementedAndATextIsSpliced) {
  auto a = from_typed(R"({"c":{"$counter":10},"x":{"$text":"hello"}})");
  auto b = a.fork(actor(7)).value();
  ASSERT_TRUE(
      a.update_from_json(R"({"c":{"$counter":12},"x":{"$text":"hello a"}})", {}, JsonForm::typed));
  ASSERT_TRUE(
      b.update_from_json(R"({"c":{"$counter":15},"x":{"$text":"b hello"}})", {}, JsonForm::typed));
  ASSERT_TRUE(a.merge(b));
  EXPECT_EQ(typed(a), R"({"c":{"$counter":17},"x":{"$text":"b hello a"}})");
}

TEST(TypedJson, APlainValueMakesAPlainValue) {
  auto document = from_typed(R"({"c":{"$counter":10},"t":{"$timestamp":3},"x":{"$text":"a"}})");
  ASSERT_TRUE(document.update_from_json(R"({"c":10,"t":3,"x":"a"})", {}, JsonForm::typed));
  EXPECT_EQ(typed(document), R"({"c":10,"t":3,"x":"a"})");
}

TEST(TypedJson, InPlainJsonATagIsAnOrdinaryKey) {
  auto document = replica(1);
  ASSERT_TRUE(document.update_from_json(R"({"a":{"$counter":1}})", {}));
  EXPECT_EQ(document.to_json().value(), R"({"a":{"$counter":1}})");
  EXPECT_EQ(typed(document), R"({"a":{"$map":{"$counter":1}}})");
  EXPECT_EQ(from_typed(typed(document)).to_json().value(), R"({"a":{"$counter":1}})");
}

TEST(TypedJson, WrongTagsAreNamedAndChangeNothing) {
  for (const auto* json :
       {R"({"a":{"$nonsense":1}})", R"({"a":{"$counter":"x"}})", R"({"a":{"$counter":1.5}})",
        R"({"a":{"$uint":-1}})", R"({"a":{"$bytes":"?"}})", R"({"a":{"$double":"nan"}})",
        R"({"a":{"$text":1}})", R"({"a":{"$unknown":[3,""]}})", R"({"a":{"$map":1}})",
        R"({"a":{"$double":"bits:zz"}})", R"({"a":{"$int":"9223372036854775808"}})"}) {
    auto document = replica(1);
    const auto result = document.update_from_json(json, {}, JsonForm::typed);
    ASSERT_FALSE(result) << json;
    EXPECT_EQ(result.error().code, Code::malformed);
    EXPECT_NE(result.error().message.find('$'), std::string::npos) << result.error().message;
    EXPECT_EQ(document.change_count(), 0U);
  }
}

TEST(TypedJson, MergePatchTakesTypesToo) {
  auto document = replica(1);
  ASSERT_TRUE(document.merge_patch(R"({"a":{"$bytes":"AQI="},"b":{"c":{"$uint":3}}})", {},
                                   JsonForm::typed));
  EXPECT_EQ(typed(document), R"({"a":{"$bytes":"AQI="},"b":{"c":{"$uint":3}}})");
}

// --- replacement ----------------------------------------------------------------------------

TEST(ReplaceFromJson, ObjectsAndListsBecomeNewOnes) {
  auto document = replica(1);
  ASSERT_TRUE(document.update_from_json(R"({"m":{"x":1},"l":[1],"s":1,"gone":true})", {}));
  const auto map = object(document, "m");
  const auto list = object(document, "l");
  const auto hash = document.replace_from_json(R"({"m":{"x":1},"l":[1],"s":1})", {});
  EXPECT_EQ(document.to_json().value(), R"({"l":[1],"m":{"x":1},"s":1})");
  EXPECT_FALSE(object(document, "m") == map);
  EXPECT_FALSE(object(document, "l") == list);
  EXPECT_EQ(ops_of(document, hash), 5U) << "list, element, map, member, deletion; not the scalar";
}

TEST(ReplaceFromJson, OfTwoConcurrentReplacementsOneWinsAsAWhole) {
  auto a = replica(1);
  ASSERT_TRUE(a.update_from_json(R"({"m":{"x":1,"y":1}})", {}));
  auto b = a.fork(actor(2)).value();
  ASSERT_TRUE(a.replace_from_json(R"({"m":{"x":2,"y":1}})", {}));
  ASSERT_TRUE(b.replace_from_json(R"({"m":{"x":1,"y":2}})", {}));
  ASSERT_TRUE(a.merge(b));
  EXPECT_EQ(a.to_json().value(), R"({"m":{"x":1,"y":2}})");
}

// --- lists and texts ------------------------------------------------------------------------

TEST(UpdateFromJson, WhatALoggerDroppedAndAddedLeavesTheRestAlone) {
  auto document = replica(1);
  ASSERT_TRUE(document.update_from_json(R"({"l":[{"i":1},{"i":2},{"i":3},{"i":4},{"i":5}]})", {}));
  const auto list = object(document, "l");
  const auto third = document.get(list, 2).value()->op;
  // One goes at the front, one in the middle, one comes at the end.
  const auto hash = document.update_from_json(R"({"l":[{"i":2},{"i":3},{"i":5},{"i":6}]})", {});
  EXPECT_EQ(ops_of(document, hash), 4U) << "two deletions, one map, one member";
  EXPECT_EQ(document.get(list, 1).value()->op, third);
}

TEST(UpdateFromJson, ConcurrentEditsOfOneListMeetInTheMiddle) {
  auto a = replica(1);
  ASSERT_TRUE(a.update_from_json(R"({"l":["a","b","c","d","e"]})", {}));
  auto b = a.fork(actor(2)).value();
  ASSERT_TRUE(a.update_from_json(R"({"l":["new","a","b","d","e"]})", {}));
  ASSERT_TRUE(b.update_from_json(R"({"l":["a","b","c","d","E","last"]})", {}));
  ASSERT_TRUE(a.merge(b));
  EXPECT_EQ(a.to_json().value(), R"({"l":["new","a","b","d","E","last"]})");
}

TEST(UpdateFromJson, AReplacedElementMergesFieldByField) {
  auto a = replica(1);
  ASSERT_TRUE(a.update_from_json(R"({"l":[{"x":1,"y":1},7]})", {}));
  auto b = a.fork(actor(2)).value();
  ASSERT_TRUE(a.update_from_json(R"({"l":[{"x":2,"y":1},7]})", {}));
  ASSERT_TRUE(b.update_from_json(R"({"l":[{"x":1,"y":2},7]})", {}));
  ASSERT_TRUE(a.merge(b));
  EXPECT_EQ(a.to_json().value(), R"({"l":[{"x":2,"y":2},7]})");
}

TEST(UpdateFromJson, ConcurrentEditsOfOneTextBothStay) {
  auto a = from_typed(R"({"x":{"$text":"the quick brown fox"}})");
  auto b = a.fork(actor(7)).value();
  ASSERT_TRUE(a.update_from_json(R"({"x":"The quick brown foxes"})", {}));
  ASSERT_TRUE(b.update_from_json(R"({"x":"the quick, brown fox"})", {}));
  ASSERT_TRUE(a.merge(b));
  EXPECT_EQ(a.to_json().value(), R"({"x":"The quick, brown foxes"})");
}

TEST(UpdateFromJson, RandomListsComeOutAsWritten) {
  std::mt19937 random(5);
  auto document = replica(1);
  for (int round = 0; round < 200; ++round) {
    std::string json = R"({"l":[)";
    for (auto n = random() % 12, i = n - n; i < n; ++i) {
      if (i != 0) json += ',';
      const auto value = std::to_string(random() % 4);
      json += random() % 3 == 0 ? R"({"v":)" + value + "}" : value;
    }
    json += "]}";
    ASSERT_TRUE(document.update_from_json(json, {}));
    ASSERT_EQ(document.to_json().value(), json);
  }
}

// The fewest edits, by the table of all prefixes.
std::size_t distance(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto corner = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto old = row[j];
      row[j] = a[i - 1] == b[j - 1] ? corner : std::min(row[j], row[j - 1]) + 1;
      corner = old;
    }
  }
  return row[b.size()];
}

TEST(Diff, IsRightAndAsShortAsCanBe) {
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::uint32_t> a(random() % 14);
    std::vector<std::uint32_t> b(random() % 14);
    for (auto* list : {&a, &b}) {
      for (auto& element : *list) element = static_cast<std::uint32_t>(random() % 4);
    }
    std::vector<std::uint32_t> made;
    std::size_t at = 0;
    std::size_t edits = 0;
    for (const auto& edit : diff(a, b)) {
      ASSERT_LE(at, edit.at);
      made.insert(made.end(), a.begin() + static_cast<std::ptrdiff_t>(at),
                  a.begin() + static_cast<std::ptrdiff_t>(edit.at));
      const auto from = b.begin() + static_cast<std::ptrdiff_t>(edit.from);
      made.insert(made.end(), from, from + static_cast<std::ptrdiff_t>(edit.insert));
      at = edit.at + edit.erase;
      edits += edit.erase + edit.insert;
    }
    made.insert(made.end(), a.begin() + static_cast<std::ptrdiff_t>(at), a.end());
    ASSERT_EQ(made, b);
    ASSERT_EQ(edits, distance(a, b));
  }
}

TEST(Diff, TooManyDifferencesAreOneEdit) {
  std::vector<std::uint32_t> a(3000);
  std::vector<std::uint32_t> b(3000);
  for (std::uint32_t i = 0; i < 3000; ++i) {
    a[i] = 2 * i;
    b[i] = 2 * i + 1;
  }
  a.front() = b.front() = 1;
  const auto edits = diff(a, b);
  ASSERT_EQ(edits.size(), 1U);
  EXPECT_EQ(edits[0].at, 1U);
  EXPECT_EQ(edits[0].erase, 2999U);
  EXPECT_EQ(edits[0].insert, 2999U);
}

}  // namespace
}  // namespace peat::automerge
