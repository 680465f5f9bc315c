// Column encodings and LEB integers: what is written, and that nothing else is read.
#include "automerge/columns.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "support.hpp"

namespace peat::automerge {
namespace {

using test::hex;

Bytes uleb_column(const std::vector<std::optional<std::uint64_t>>& rows) {
  RleEncoder<UlebValue> encoder;
  for (const auto row : rows) row ? encoder.append(*row) : encoder.append_null();
  return encoder.finish();
}

Bytes delta_column(const std::vector<std::optional<std::int64_t>>& rows) {
  DeltaEncoder encoder;
  for (const auto row : rows) row ? encoder.append(*row) : encoder.append_null();
  return encoder.finish();
}

Bytes boolean_column(const std::vector<bool>& rows) {
  BooleanEncoder encoder;
  for (const bool row : rows) encoder.append(row);
  return encoder.finish();
}

// Reads all rows; the error's code if the column is refused.
Code read_uleb(ByteView column, std::size_t most = 100) {
  RleDecoder<UlebValue> decoder(column, 0);
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < most && !decoder.done(); ++i) {
    decoder.next(value);
    if (decoder.input().failed()) return decoder.input().error("a column").error().code;
  }
  return Code::internal;  // accepted
}
constexpr Code kAccepted = Code::internal;

TEST(RunLengthColumn, WritesRunsLiteralsAndNulls) {
  EXPECT_EQ(uleb_column({1, 2, 3}), hex("7d 01 02 03"));
  EXPECT_EQ(uleb_column({7, 7, 7}), hex("03 07"));
  EXPECT_EQ(uleb_column({7, 7, 8}), hex("02 07 7f 08"));
  EXPECT_EQ(uleb_column({8, 7, 7}), hex("7f 08 02 07"));
  EXPECT_EQ(uleb_column({std::nullopt, std::nullopt, 5}), hex("00 02 7f 05"));
  EXPECT_EQ(uleb_column({5, std::nullopt, 5}), hex("7f 05 00 01 7f 05"));
  EXPECT_EQ(uleb_column({1, 2, 2, 3}), hex("7f 01 02 02 7f 03"));
}

TEST(RunLengthColumn, OfNullsAloneIsLeftOut) {
  EXPECT_TRUE(uleb_column({std::nullopt, std::nullopt}).empty());
  EXPECT_TRUE(delta_column({std::nullopt}).empty());
}

TEST(RunLengthColumn, ReadsBackWhatItWrote) {
  const std::vector<std::optional<std::uint64_t>> rows{1, 1, std::nullopt, 300, 2, 2,
                                                       2, 9, std::nullopt};
  const auto column = uleb_column(rows);
  RleDecoder<UlebValue> decoder(column, 0);
  for (const auto row : rows) {
    std::uint64_t value = 0;
    EXPECT_EQ(decoder.next(value), row.has_value());
    if (row) {
      EXPECT_EQ(value, *row);
    }
  }
  EXPECT_TRUE(decoder.done());
}

TEST(RunLengthColumn, RefusesEveryOtherSpelling) {
  EXPECT_EQ(read_uleb(hex("7f 05")), kAccepted);
  EXPECT_EQ(read_uleb(hex("01 05")), Code::not_canonical);        // a run of one
  EXPECT_EQ(read_uleb(hex("00 00")), Code::not_canonical);        // no nulls
  EXPECT_EQ(read_uleb(hex("00 01 00 01")), Code::not_canonical);  // nulls side by side
  EXPECT_EQ(read_uleb(hex("7f 05 7f 06")), Code::not_canonical);  // literals side by side
  EXPECT_EQ(read_uleb(hex("7e 05 05")), Code::not_canonical);     // equal inside a literal
  EXPECT_EQ(read_uleb(hex("02 05 02 05")), Code::not_canonical);  // a run cut in two
  EXPECT_EQ(read_uleb(hex("7f 05 02 05")), Code::not_canonical);  // a literal before its run
  EXPECT_EQ(read_uleb(hex("02 05 7f 05")), Code::not_canonical);  // and behind it
  EXPECT_EQ(read_uleb(hex("02 05 7e 05 06")), Code::not_canonical);
}

TEST(RunLengthColumn, ALiteralNeverClaimsMoreThanItsBytes) {
  EXPECT_EQ(read_uleb(hex("7d 01 02")), Code::truncated);
  // -2^62 values; nothing is allocated for them.
  EXPECT_EQ(read_uleb(hex("80 80 80 80 80 80 80 80 40 01")), Code::truncated);
}

TEST(RunLengthColumn, ARunOfAllRowsInTheWorldCostsNothing) {
  const auto column = hex("80 80 80 80 80 80 80 80 c0 00 07");  // 2^62 times 7
  RleDecoder<UlebValue> decoder(column, 0);
  std::uint64_t value = 0;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(decoder.next(value));
  EXPECT_EQ(value, 7U);
  EXPECT_FALSE(decoder.done());
}

TEST(DeltaColumn, CountsFromThePreviousValueAndSkipsNulls) {
  EXPECT_EQ(delta_column({1, 2, 3, 4}), hex("04 01"));
  EXPECT_EQ(delta_column({10, std::nullopt, 11}), hex("7f 0a 00 01 7f 01"));
  EXPECT_EQ(delta_column({5, 3}), hex("7e 05 7e"));
}

TEST(DeltaColumn, AnyTwoTimesStandSideBySide) {
  const std::vector<std::optional<std::int64_t>> rows{INT64_MAX, INT64_MIN, 0, INT64_MIN};
  const auto column = delta_column(rows);
  DeltaDecoder decoder(column, 0);
  for (const auto row : rows) {
    std::int64_t value = 0;
    ASSERT_TRUE(decoder.next(value));
    EXPECT_EQ(value, *row);
  }
}

TEST(BooleanColumn, AlternatesFromFalse) {
  EXPECT_EQ(boolean_column({false, false, true}), hex("02 01"));
  EXPECT_EQ(boolean_column({true, true}), hex("00 02"));
  EXPECT_EQ(boolean_column({false}), hex("01"));
}

TEST(BooleanColumn, OnlyTheFirstRunMayBeEmpty) {
  const auto fault = [](std::string_view text) {
    const auto column = hex(text);
    BooleanDecoder decoder(column, 0);
    for (int i = 0; i < 10 && !decoder.done() && !decoder.input().failed(); ++i) decoder.next();
    return decoder.input().failed();
  };
  EXPECT_FALSE(fault("00 02 01"));
  EXPECT_TRUE(fault("02 00 01"));
  EXPECT_TRUE(fault("00"));
  EXPECT_TRUE(fault("02 01 00"));
}

TEST(Leb128, AcceptsTheShortestFormOnlyAndSixtyFourBits) {
  const auto uleb = [](std::string_view text) -> std::optional<std::uint64_t> {
    const auto bytes = hex(text);
    Input in(bytes);
    const auto v = in.uleb();
    return in.failed() || !in.done() ? std::nullopt : std::optional(v);
  };
  EXPECT_EQ(uleb("7f"), 127U);
  EXPECT_EQ(uleb("80 01"), 128U);
  EXPECT_EQ(uleb("ff ff ff ff ff ff ff ff ff 01"), UINT64_MAX);
  EXPECT_FALSE(uleb("80 00"));
  EXPECT_FALSE(uleb("ff ff ff ff ff ff ff ff ff 02"));
  EXPECT_FALSE(uleb("ff ff ff ff ff ff ff ff ff 81 00"));
  EXPECT_FALSE(uleb("80"));
  const auto sleb = [](std::string_view text) -> std::optional<std::int64_t> {
    const auto bytes = hex(text);
    Input in(bytes);
    const auto v = in.sleb();
    return in.failed() || !in.done() ? std::nullopt : std::optional(v);
  };
  EXPECT_EQ(sleb("3f"), 63);
  EXPECT_EQ(sleb("40"), -64);
  EXPECT_EQ(sleb("c0 00"), 64);
  EXPECT_EQ(sleb("80 80 80 80 80 80 80 80 80 7f"), INT64_MIN);
  EXPECT_EQ(sleb("ff ff ff ff ff ff ff ff ff 00"), INT64_MAX);
  EXPECT_FALSE(sleb("bf 00"));  // 63 in two bytes
  EXPECT_FALSE(sleb("ff 7f"));  // -1 in two bytes
  EXPECT_FALSE(sleb("ff ff ff ff ff ff ff ff ff 01"));
}

TEST(Leb128, EveryIntegerComesBack) {
  std::vector<std::int64_t> values{0, 1, -1, INT64_MAX, INT64_MIN};
  for (int bit = 0; bit < 63; ++bit) {
    for (const std::int64_t near : {-1, 0, 1}) {
      values.push_back((std::int64_t{1} << bit) + near);
      values.push_back(-(std::int64_t{1} << bit) + near);
    }
  }
  for (const auto value : values) {
    Bytes bytes;
    put_sleb(bytes, value);
    put_uleb(bytes, static_cast<std::uint64_t>(value));
    Input in(bytes);
    EXPECT_EQ(in.sleb(), value);
    EXPECT_EQ(in.uleb(), static_cast<std::uint64_t>(value));
    EXPECT_TRUE(in.done() && !in.failed()) << value;
  }
}

}  // namespace
}  // namespace peat::automerge
