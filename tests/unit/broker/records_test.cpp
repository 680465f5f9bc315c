// Reading files to import, and the patches that --set makes.
#include "peat_cli/records.hpp"

#include <gtest/gtest.h>

#include "peat_cli/commands.hpp"
#include "peat_cli/json.hpp"
#include "peat_cli/output.hpp"

namespace peat::cli {
namespace {

Records read(std::string_view text, RecordFormat format = RecordFormat::detect) {
  auto records = read_records(text, "k", format);
  if (!records) throw std::runtime_error(records.error().message);
  return std::move(*records);
}

TEST(Records, AllThreeFormsGiveTheSame) {
  const auto array = read("[{\"k\":\"a\"},\n {\"k\":\"b\"}]");
  const auto wrapped = read("{ \"3166\" : [\n{\"k\":\"a\"},{\"k\":\"b\"}\n] }\n");
  const auto lines = read("{\"k\":\"a\"}\n\n{\"k\":\"b\"}\r\n");
  for (const auto* records : {&array, &wrapped, &lines}) {
    ASSERT_EQ(records->good.size(), 2U);
    EXPECT_EQ(records->good[1].id, "b");
    EXPECT_EQ(records->good[1].json, R"({"k":"b"})");
    EXPECT_TRUE(records->bad.empty());
  }
  EXPECT_EQ(array.good[1].line, 2U);
  EXPECT_EQ(wrapped.good[1].line, 2U);
  EXPECT_EQ(lines.good[1].line, 3U);
}

TEST(Records, AnObjectOfSeveralMembersIsARecordAndNotAWrapper) {
  EXPECT_EQ(read(R"({"k":"a","list":[1]})").good.size(), 1U);
  EXPECT_EQ(read("{\"k\":[{\"k\":\"x\"}]}", RecordFormat::lines).bad.size(), 1U);
}

TEST(Records, WhatIsWrongIsToldByLine) {
  const auto records = read("[\n{\"k\":\"a\"},\n{\"n\":1},\n7,\n{\"k\":\n\"a\"},\n{\"k\":3}]");
  ASSERT_EQ(records.bad.size(), 3U);
  EXPECT_EQ(records.bad[0].line, 3U);
  EXPECT_EQ(records.bad[1].line, 4U);
  EXPECT_EQ(records.bad[2].line, 5U);
  EXPECT_EQ(records.bad[2].problem, "'k' is 'a' again, as on line 2");
  ASSERT_EQ(records.good.size(), 2U);
  EXPECT_EQ(records.good[1].id, "3");
}

TEST(Records, ARecordOverSeveralLinesBecomesOne) {
  const auto records = read("[{\n \"k\": \"a\",\n \"t\": \"]},{[\\\"\" }]");
  ASSERT_EQ(records.good.size(), 1U);
  EXPECT_EQ(records.good[0].json, R"({"k":"a","t":"]},{[\""})");
}

TEST(Records, DeepRecordsAreReadAndTooDeepOnesToldInWords) {
  const auto nested = [](std::size_t levels) {
    return R"({"k":"a","n":)" + std::string(levels, '[') + std::string(levels, ']') + "}";
  };
  EXPECT_EQ(read(nested(63)).good.size(), 1U);
  EXPECT_EQ(read(nested(kJsonDepth - 1)).good.size(), 1U);
  const auto records = read(nested(kJsonDepth));
  ASSERT_EQ(records.bad.size(), 1U);
  EXPECT_EQ(records.bad[0].problem, "JSON of more than 1024 levels");
  EXPECT_EQ(read("{\"k\":\"a\" x}").bad[0].problem.find("/usr"), std::string::npos);
}

TEST(Records, BrokenFilesAreErrors) {
  for (const auto* text : {"", "7", "[{\"k\":\"a\"}", "[{\"k\":\"a\"} {\"k\":\"b\"}]",
                           "[{\"k\":\"a}]", "[{\"k\":\"a\"}] more"}) {
    EXPECT_FALSE(read_records(text, "k", RecordFormat::detect)) << text;
  }
}

TEST(Patch, PathsMakeNestedObjectsAndBadOnesAreRefused) {
  EXPECT_EQ(*merge_patch({"a.b=3", "a.c=text", "d=[1,2]", "e=\"7\""}, {"f.g"}),
            R"({"a":{"b":3,"c":"text"},"d":[1,2],"e":"7","f":{"g":null}})");
  EXPECT_EQ(*merge_patch({"a=x=y"}, {}), R"({"a":"x=y"})");
  EXPECT_FALSE(merge_patch({}, {}));
  EXPECT_FALSE(merge_patch({"no-equals"}, {}));
  EXPECT_FALSE(merge_patch({"a..b=1"}, {}));
  EXPECT_FALSE(merge_patch({"=1"}, {}));
}

TEST(Output, TablesAlignByCharactersNotBytes) {
  EXPECT_EQ(format_table({{"ID", "N"}, {"ü", "1"}, {"long", "2"}}), "ID    N\nü     1\nlong  2\n");
  EXPECT_EQ(shorten("üüüü", 3), "üü…");
}

}  // namespace
}  // namespace peat::cli
