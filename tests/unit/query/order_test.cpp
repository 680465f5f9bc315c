// The order of rows: total, over all types.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/random.hpp"
#include "query/ast.hpp"
#include "support.hpp"

namespace peat::query {
namespace {

using Strings = std::vector<std::string>;

Strings ordered(std::string_view by, const Strings& values) {
  MapSource source;
  for (const auto& value : values) {
    // The id says the value, so that the result is readable, and is no order of its own.
    source.documents["t:" + value] = value == "missing" ? "{}" : "{\"a\":" + value + "}";
  }
  return page(source, "from t order by a" + std::string(by)).ids;
}

// D13b: the reference's comparator is no total order over mixed types; its descending order puts
// documents without the field first.
TEST(QueryOrder, D13bIsTotalOverMixedTypesAndPutsMissingLastInBothDirections) {
  const Strings up{"null",   "false",    "true",    "-1e300", "-3",         "-2.5",   "0",
                   "0.5",    "1",        "2",       "10.25",  "1e300",      R"("")",  R"("Z")",
                   R"("a")", R"("a b")", R"("ab")", "[1]",    R"({"x":1})", "missing"};
  auto shuffled = up;
  std::ranges::reverse(shuffled);
  EXPECT_EQ(ordered("", shuffled), up);
  Strings down(up.rbegin(), up.rend());
  std::ranges::rotate(down, down.begin() + 1);  // missing stays last
  EXPECT_EQ(ordered(" desc", up), down);
}

TEST(QueryOrder, IntegersAndDoublesOrderExactly) {
  const Strings up{"-9223372036854775808",  "-9007199254740993",   "-9007199254740992.0",
                   "9007199254740992.0",    "9007199254740993",    "9007199254740994.0",
                   "9223372036854775807",   "9223372036854775808", "18446744073709551615",
                   "18446744073709551616.0"};
  auto shuffled = up;
  std::ranges::reverse(shuffled);
  EXPECT_EQ(ordered("", shuffled), up);
}

TEST(QueryOrder, EqualKeysOrderByIdAndSeveralKeysOneAfterTheOther) {
  MapSource source;
  source.documents = {{"t:c", R"({"a":1,"b":"x"})"},
                      {"t:a", R"({"a":1.0,"b":"y"})"},
                      {"t:b", R"({"a":1,"b":"y"})"},
                      {"t:d", R"({"a":0,"b":"x"})"}};
  EXPECT_EQ(page(source, "from t order by a").ids, (Strings{"d", "a", "b", "c"}));
  EXPECT_EQ(page(source, "from t order by a desc").ids, (Strings{"a", "b", "c", "d"}));
  EXPECT_EQ(page(source, "from t order by a desc, b").ids, (Strings{"c", "a", "b", "d"}));
  EXPECT_EQ(page(source, "from t order by _id desc").ids, (Strings{"d", "c", "b", "a"}));
}

TEST(QueryOrder, OrdersAsNumbersDo) {
  SeededRandom random(11);
  std::vector<std::pair<double, std::string>> numbers;
  for (int i = 0; i < 2000; ++i) {
    std::array<std::uint8_t, 9> raw{};
    random.fill(raw);
    std::int64_t value = 0;
    std::memcpy(&value, raw.data(), 8);
    value >>= raw[8] % 64;
    const auto text =
        raw[8] % 2 == 0 ? std::to_string(value) : fmt::format("{}", double(value) / 8);
    const auto number = Number::parse(text);
    ASSERT_TRUE(number) << text;
    numbers.emplace_back(number->value(), std::string(number->key().begin(), number->key().end()));
  }
  for (std::size_t i = 1; i < numbers.size(); ++i) {
    const auto& [a, key_a] = numbers[i - 1];
    const auto& [b, key_b] = numbers[i];
    EXPECT_TRUE(!(a < b) || key_a < key_b) << a << " " << b;
    EXPECT_TRUE(!(a > b) || key_a > key_b) << a << " " << b;
  }
}

TEST(QueryOrder, LongIdsStillHaveAPlaceOfTheirOwn) {
  const std::string long_id(1000, 'x');
  EXPECT_LE(id_key(long_id).size(), kIdKeyBytes);
  EXPECT_NE(id_key(long_id + 'a'), id_key(long_id + 'b'));
  EXPECT_EQ(id_key("short"), "short");
}

}  // namespace
}  // namespace peat::query
