// Pages of rows: where a query looks, where it stops, where it goes on.
#include <fmt/format.h>

#include <algorithm>

#include "support.hpp"

namespace peat::query {
namespace {

using Strings = std::vector<std::string>;

class QueryRun : public testing::Test {
 protected:
  QueryRun() {
    for (int i = 0; i < 200; ++i) {
      source.documents[fmt::format("t:d{:03}", i)] =
          fmt::format(R"({{"n":{},"mod":{}}})", i, i % 7);
    }
    source.documents["s:before"] = R"({"n":1})";
    source.documents["u:behind"] = R"({"n":1})";
  }
  MapSource source;
};

TEST_F(QueryRun, FindsWhatMatchesInItsCollectionAlone) {
  EXPECT_EQ(page(source, "from t where n = 1").ids, Strings{"d001"});
  EXPECT_EQ(page(source, "from t").ids.size(), 200U);
  EXPECT_EQ(page(source, "from nothing").ids, Strings{});
}

TEST_F(QueryRun, PagesMeetWithoutGapAndWithoutRepetition) {
  for (const auto* text :
       {"from t where mod = 3 limit 5", "from t where mod = 3 order by n limit 5",
        "from t order by mod desc, n limit 17", "from t order by nothing limit 7"}) {
    auto ids = all_pages(source, text);
    std::string whole(text);
    whole.erase(whole.find(" limit"));
    EXPECT_EQ(ids, page(source, whole).ids) << text;
  }
}

TEST_F(QueryRun, TheLastPageHasNoNext) {
  EXPECT_EQ(page(source, "from t where n < 5 order by n limit 5").next, "");
  EXPECT_NE(page(source, "from t where n < 5 order by n limit 4").next, "");
  EXPECT_EQ(page(source, "from t where n > 197 limit 5").next, "");
}

TEST_F(QueryRun, OffsetSkipsBeforeTheLimitCounts) {
  EXPECT_EQ(page(source, "from t where mod = 0 limit 2 offset 1").ids, (Strings{"d007", "d014"}));
  EXPECT_EQ(page(source, "from t order by n desc limit 2 offset 3").ids, (Strings{"d196", "d195"}));
  EXPECT_EQ(all_pages(source, "from t where mod = 0 order by n limit 4 offset 2").size(), 27U);
  EXPECT_EQ(all_pages(source, "from t where mod = 0 limit 4 offset 2").size(), 27U);
}

// D13c: the reference reads every document, whatever the limit and the ids.
TEST_F(QueryRun, D13cReadsNoMoreThanItNeeds) {
  EXPECT_LE(page(source, "from t limit 3").examined, 3U);
  EXPECT_EQ(page(source, "from t where _id = 'd100' and n = 100").examined, 1U);
  EXPECT_EQ(page(source, "from t where _id in ('d001', 'd150', 'none', 'd001')").ids,
            (Strings{"d001", "d150"}));
  EXPECT_EQ(page(source, "from t where _id starts with 'd19' and mod < 9").examined, 10U);
}

TEST_F(QueryRun, ATokenStaysGoodWhileDocumentsComeAndGo) {
  const auto* const kText = "from t order by n limit 10";
  const auto first = page(source, kText);
  source.documents.erase("t:d009");              // the last row of the page
  source.documents["t:new"] = R"({"n":4.5})";    // before it
  source.documents["t:later"] = R"({"n":9.5})";  // behind it
  const auto second = page(source, kText, first.next);
  EXPECT_EQ(second.ids.front(), "later");
  EXPECT_EQ(second.ids[1], "d010");
  EXPECT_EQ(std::ranges::count(second.ids, "new"), 0);
}

TEST_F(QueryRun, ATokenIsGoodForItsQueryOnItsNodeOnly) {
  const auto* const kText = "from t order by n limit 10";
  const auto token = page(source, kText).next;
  const auto refused = [this](std::string_view text, std::string_view with) {
    const auto run = Run::begin(parsed(text), source, with, 10);
    return !run && run.error().code == Code::invalid_argument;
  };
  EXPECT_FALSE(refused(kText, token));
  EXPECT_FALSE(refused("FROM t ORDER BY n ASC limit 10", token)) << "the same query, spelled apart";
  EXPECT_TRUE(refused("from t order by n limit 11", token));
  EXPECT_TRUE(refused("from t limit 10", token));
  for (std::size_t i = 0; i < token.size(); ++i) {
    auto forged = token;
    forged[i] = forged[i] == 'A' ? 'B' : 'A';
    EXPECT_TRUE(refused(kText, forged)) << i;
  }
  EXPECT_TRUE(refused(kText, "AA"));
  EXPECT_TRUE(refused(kText, std::string(100'000, 'A')));
  source.secret = "of another node";
  EXPECT_TRUE(refused(kText, token));
}

TEST_F(QueryRun, ALongIdFitsAToken) {
  source.documents.clear();
  for (const char c : {'a', 'b', 'c'}) {
    source.documents["t:" + std::string(4000, 'x') + c] =
        R"({"n":"\u0000)" + std::string(9000, c) + "\"}";
  }
  EXPECT_EQ(all_pages(source, "from t limit 1").size(), 3U);
  EXPECT_EQ(all_pages(source, "from t order by n limit 1").size(), 3U);
}

TEST_F(QueryRun, UnreadableDocumentsAreNamedAndTheOthersShown) {
  source.documents["t:d003"] = "unreadable";
  auto run = Run::begin(parsed("from t where n < 5"), source, "", 10);
  ASSERT_TRUE(run);
  std::vector<Row> rows;
  while (run->step(rows).value() == Run::State::more) {
  }
  EXPECT_EQ(rows.size(), 4U);
  ASSERT_EQ(run->unreadable().size(), 1U);
  EXPECT_EQ(run->unreadable()[0], (std::pair<std::string, std::string>{"d003", "broken"}));
}

TEST_F(QueryRun, AStepIsShort) {
  auto run = Run::begin(parsed("from t order by n"), source, "", 10);
  ASSERT_TRUE(run);
  std::vector<Row> rows;
  for (auto state = Run::State::more; state == Run::State::more;) {
    const auto before = source.reads;
    state = run->step(rows).value();
    EXPECT_LE(source.reads - before, 32U);
  }
}

}  // namespace
}  // namespace peat::query
