// Texts and JSON of queries: what is understood, and what is said to who is not.
#include "base/limits.hpp"
#include "support.hpp"

namespace peat::query {
namespace {

std::string error_of(std::string_view text) {
  const auto query = Query::parse(text);
  return query ? "understood: " + query->to_string() : query.error().message;
}
Code code_of(std::string_view text) {
  const auto query = Query::parse(text);
  return query ? Code::internal : query.error().code;
}

TEST(QueryText, HasOneFormForOneMeaning) {
  for (const auto& [text, form] : std::vector<std::pair<std::string, std::string>>{
           {"FROM trucks", "from trucks"},
           {"from 'odd name' where all", "from 'odd name'"},
           {"from t where a=1 AND b<2", "from t where a = 1 and b < 2"},
           {"from t where ((a = 1))", "from t where a = 1"},
           {"from t where a between 1 and 2", "from t where a >= 1 and a <= 2"},
           {"from t where a != 'x'", "from t where not (a = 'x')"},
           {"from t where a is not missing", "from t where a exists"},
           {"from t where a.b['c d'][0] == \"it's\"", "from t where a.b['c d'][0] = 'it\\'s'"},
           {"from t where a in (1,'x',null,true)", "from t where a in (1, 'x', null, true)"},
           {"from t where pos within 5 km of 52.1,4.3",
            "from t where pos within 5000 m of 52.1, 4.3"},
           {"from t where (y, x) within box 1,2 to 3,4",
            "from t where (y, x) within box 1, 2 to 3, 4"},
           {"from t only deleted order by a desc, b asc limit 3 offset 1",
            "from t only deleted order by a desc, b limit 3 offset 1"},
           {"from t where not = 1 and all = 2", "from t where ['not'] = 1 and ['all'] = 2"}}) {
    const auto query = Query::parse(text);
    ASSERT_TRUE(query) << text << ": " << query.error().message;
    EXPECT_EQ(query->to_string(), form);
    EXPECT_EQ(parsed(form).to_string(), form);
  }
}

TEST(QueryText, ErrorsNameTheColumnAndWhatWouldBeUnderstood) {
  EXPECT_EQ(
      error_of(""),
      "query, column 1: the query ends here; expected 'from COLLECTION', such as from trucks");
  EXPECT_EQ(error_of("from t where speed >"),
            "query, column 21: the query ends here; expected a value: a number, a text in quotes, "
            "true, false or null");
  EXPECT_EQ(error_of("from t where speed ~ 3"),
            "query, column 20: '~' means nothing here; a name with it stands in brackets and "
            "quotes, as in pos['e.t.a']");
  EXPECT_EQ(error_of("from t where name = Ada").find("query, column 21: 'Ada' stands here"), 0U);
  EXPECT_EQ(error_of("from t where name = 'Ada").find("query, column 21: the text that begins"),
            0U);
  EXPECT_NE(error_of("from t where a = 1 b = 2").find("expected 'and', 'or'"), std::string::npos);
  EXPECT_NE(error_of("from t limit many").find("expected a whole number"), std::string::npos);
  EXPECT_NE(error_of("from t where p within 5 miles of 1, 1").find("expected 'm' or 'km'"),
            std::string::npos);
  EXPECT_NE(error_of("from t where a = 01").find("a number as JSON writes it"), std::string::npos);
  EXPECT_EQ(code_of("from t where p within 5 m of 91, 0"), Code::out_of_range);
  EXPECT_EQ(code_of("from t where p within geohash 'abc'"), Code::malformed);
  EXPECT_EQ(code_of("from 'a:b'"), Code::invalid_argument);
  EXPECT_EQ(code_of("from t where a = '\xff'"), Code::malformed);
}

TEST(QueryText, HasLimits) {
  const Limits limits;
  const auto many = [](std::size_t n, const std::string& one, const std::string& between) {
    std::string out = one;
    for (std::size_t i = 1; i < n; ++i) out += between + one;
    return out;
  };
  EXPECT_EQ(code_of("from t where a = '" + std::string(limits.query_text_bytes, 'x') + "'"),
            Code::limit_exceeded);
  const auto nested = [](std::size_t n) {
    return "from t where " + std::string(n, '(') + "a = 1" + std::string(n, ')');
  };
  EXPECT_TRUE(Query::parse(nested(limits.query_depth)));
  EXPECT_EQ(code_of(nested(limits.query_depth + 1)), Code::limit_exceeded);
  EXPECT_EQ(code_of("from t where " + many(limits.query_depth + 1, "not", " ") + " a = 1"),
            Code::limit_exceeded);
  EXPECT_EQ(code_of("from t where a in (" + many(limits.query_terms, "1", ",") + ")"),
            Code::limit_exceeded);
  EXPECT_TRUE(Query::parse("from t where a in (" + many(limits.query_terms - 1, "1", ",") + ")"));
  EXPECT_TRUE(Query::parse("from t where " + many(limits.query_path_steps, "a", ".") + " = 1"));
  EXPECT_EQ(code_of("from t where " + many(limits.query_path_steps + 1, "a", ".") + " = 1"),
            Code::limit_exceeded);
  EXPECT_TRUE(Query::parse("from t order by " + many(limits.query_order_keys, "a", ",")));
  EXPECT_EQ(code_of("from t order by " + many(limits.query_order_keys + 1, "a", ",")),
            Code::limit_exceeded);
  EXPECT_EQ(code_of("from t limit " + std::to_string(limits.query_rows + 1)), Code::limit_exceeded);
  EXPECT_EQ(code_of("from t offset " + std::to_string(limits.query_rows + 1)),
            Code::limit_exceeded);
}

TEST(QueryText, ALiteralIsReadBackAsItWas) {
  for (const std::string text :
       {"", "plain", "it's", "back\\slash", "tab\tnew\nline", "\"", "🚚"}) {
    EXPECT_TRUE(passes("a = " + query_literal(text) + " or a in (" + query_literal(text) + ")",
                       R"({"a":"plain"})") == (text == "plain"));
    EXPECT_TRUE(parsed("from t where _id = " + query_literal(text)).matches(text, "{}")) << text;
  }
}

TEST(QueryJson, SaysTheSameAsTheText) {
  for (
      const auto& [json, text] : std::vector<std::pair<std::string, std::string>>{
          {R"({"from":"trucks"})", "from trucks"},
          {R"({"from":"t","where":true,"deleted":"with"})", "from t with deleted"},
          {R"({"from":"t","where":{"and":[{"eq":["a",1]},{"or":[{"lt":["b.c","x"]},{"ge":["d",1.5]}]}]}})",
           "from t where a = 1 and (b.c < 'x' or d >= 1.5)"},
          {R"({"from":"t","where":{"not":{"ne":["a",null]}}})",
           "from t where not (not (a = null))"},
          {R"({"from":"t","where":{"same":["a",1.0]}})", "from t where a === 1.0"},
          {R"({"from":"t","where":{"in":["['a b']",[1,true]]}})",
           "from t where ['a b'] in (1, true)"},
          {R"({"from":"t","where":{"or":[{"null":"a"},{"exists":"b"},{"like":["c","x%"]}]}})",
           "from t where a is null or b exists or c like 'x%'"},
          {R"({"from":"t","where":{"radius":["pos",500,52.1,4.3]}})",
           "from t where pos within 500 m of 52.1, 4.3"},
          {R"({"from":"t","where":{"box":[["y","x"],1,2,3,4]}})",
           "from t where (y, x) within box 1, 2 to 3, 4"},
          {R"({"from":"t","where":{"geohash":["pos","u15"]}})",
           "from t where pos within geohash 'u15'"},
          {R"({"from":"t","order_by":["a desc","b"],"limit":5,"offset":2})",
           "from t order by a desc, b limit 5 offset 2"}}) {
    const auto query = Query::parse_json(json);
    ASSERT_TRUE(query) << json << ": " << query.error().message;
    EXPECT_EQ(query->to_string(), text);
  }
}

TEST(QueryJson, ErrorsNameTheMember) {
  const auto error = [](std::string_view json) {
    const auto query = Query::parse_json(json);
    return query ? "understood" : query.error().message;
  };
  EXPECT_NE(error("{").find("no JSON"), std::string::npos);
  EXPECT_NE(error("[]").find("not a JSON object"), std::string::npos);
  EXPECT_NE(error(R"({"from":"t","limits":1})").find("\"limits\" is none of from"),
            std::string::npos);
  EXPECT_NE(error(R"({"from":"t","where":{"equals":["a",1]}})").find("\"equals\" is none of and"),
            std::string::npos);
  EXPECT_NE(error(R"({"from":"t","where":{"eq":["a"]}})").find("\"eq\" needs a list of a path"),
            std::string::npos);
  EXPECT_NE(error(R"({"from":"t","where":{"eq":["a b",1]}})").find("expected the end of the path"),
            std::string::npos);
  EXPECT_NE(error(R"({"from":"t","where":{"eq":["a",1],"lt":["a",1]}})").find("one member"),
            std::string::npos);
  EXPECT_NE(error(R"({"where":true})").find("is no collection"), std::string::npos);
  std::string deep = "true";
  for (int i = 0; i < 200; ++i) deep = R"({"not":)" + deep + "}";
  EXPECT_NE(error(R"({"from":"t","where":)" + deep + "}"), "understood");
}

}  // namespace
}  // namespace peat::query
