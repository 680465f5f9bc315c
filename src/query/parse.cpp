// Query texts. The grammar is in peat/query.hpp.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/limits.hpp"
#include "peat/query.hpp"
#include "query/ast.hpp"
#include "query/lexer.hpp"

namespace peat::query {

namespace {

constexpr std::pair<std::string_view, Test> kComparisons[] = {
    {"=", Test::equal},       {"==", Test::equal},  {"===", Test::same},         {"<", Test::less},
    {"<=", Test::less_equal}, {">", Test::greater}, {">=", Test::greater_equal},
};
constexpr std::string_view kTestWords =
    "one of = === != < <= > >=, between, in, contains, like, starts with, ends with, is null, "
    "exists, within";

class Parser {
 public:
  Parser(std::vector<Token> tokens, Ast& ast, const Limits& limits)
      : tokens_(std::move(tokens)), ast_(ast), limits_(limits) {}

  Status query() {
    PEAT_TRY_VOID(expect_word("from", "'from COLLECTION', such as from trucks"));
    const auto& name = take();
    if (name.kind != Token::Kind::word && name.kind != Token::Kind::text) {
      return wrong(name, "the name of a collection, such as from trucks");
    }
    ast_.collection = name.text;
    if (take_word("where")) {
      PEAT_TRY(ast_.where, condition(0));
    }
    if (take_word("with")) {
      PEAT_TRY_VOID(expect_word("deleted", "'with deleted'"));
      ast_.deleted = Deleted::included;
    } else if (take_word("only")) {
      PEAT_TRY_VOID(expect_word("deleted", "'only deleted'"));
      ast_.deleted = Deleted::only;
    }
    if (take_word("order")) {
      PEAT_TRY_VOID(expect_word("by", "'order by'"));
      do {
        PEAT_TRY(auto key, order_key());
        ast_.order.push_back(key);
      } while (take_symbol(","));
    }
    if (take_word("limit")) {
      PEAT_TRY(ast_.limit, count());
    }
    if (take_word("offset")) {
      PEAT_TRY(ast_.offset, count());
    }
    if (peek().kind != Token::Kind::end) {
      return wrong(peek(), ast_.where.kind == Condition::Kind::all && ast_.order.empty()
                               ? "'where', 'order by', 'limit' or the end"
                               : "'and', 'or', 'order by', 'limit' or the end");
    }
    return {};
  }

  Result<Path> whole_path() {
    PEAT_TRY(auto out, path());
    if (peek().kind != Token::Kind::end) return wrong(peek(), "the end of the path");
    return out;
  }
  Result<OrderKey> whole_order_key() {
    PEAT_TRY(const auto key, order_key());
    if (peek().kind != Token::Kind::end) return wrong(peek(), "asc, desc or the end");
    return key;
  }

 private:
  // --- tokens
  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
  }
  const Token& take() { return tokens_[std::min(next_++, tokens_.size() - 1)]; }
  bool take_word(std::string_view word) {
    if (!peek().is_word(word)) return false;
    ++next_;
    return true;
  }
  bool take_symbol(std::string_view symbol) {
    if (!peek().is_symbol(symbol)) return false;
    ++next_;
    return true;
  }
  Status expect_word(std::string_view word, std::string_view wanted) {
    if (take_word(word)) return {};
    return wrong(peek(), wanted);
  }
  Status expect_symbol(std::string_view symbol) {
    if (take_symbol(symbol)) return {};
    return wrong(peek(), fmt::format("'{}'", symbol));
  }
  static std::unexpected<Error> wrong(const Token& found, std::string_view wanted) {
    constexpr std::size_t kShown = 40;
    const auto what = found.kind == Token::Kind::end
                          ? std::string("the query ends here")
                          : fmt::format("'{}' stands here", found.text.substr(0, kShown));
    return fail(Code::malformed,
                fmt::format("query, column {}: {}; expected {}", found.at, what, wanted));
  }

  // --- conditions
  Result<Condition> condition(std::size_t depth) {
    return joined(depth, "or", Condition::Kind::disjunction, &Parser::conjunction);
  }
  Result<Condition> conjunction(std::size_t depth) {
    return joined(depth, "and", Condition::Kind::conjunction, &Parser::negation);
  }
  Result<Condition> joined(std::size_t depth, std::string_view word, Condition::Kind kind,
                           Result<Condition> (Parser::*part)(std::size_t)) {
    PEAT_TRY(auto first, (this->*part)(depth));
    if (!peek().is_word(word)) return first;
    Condition out;
    out.kind = kind;
    out.parts.push_back(std::move(first));
    while (take_word(word)) {
      PEAT_TRY(auto next, (this->*part)(depth));
      out.parts.push_back(std::move(next));
    }
    return out;
  }
  Result<Condition> negation(std::size_t depth) {
    if (depth > limits_.query_depth) {
      return fail(
          Code::limit_exceeded,
          fmt::format("query, column {}: conditions nest deeper than {} levels (query_depth)",
                      peek().at, limits_.query_depth));
    }
    // `not` may be a field of that name.
    if (peek().is_word("not") && !is_comparison(peek(1)) && !peek(1).is_symbol(".")) {
      take();
      PEAT_TRY(auto inner, negation(depth + 1));
      return negated(std::move(inner));
    }
    if (peek().is_symbol("(") && !place_in_parentheses()) {
      take();
      PEAT_TRY(auto inner, condition(depth + 1));
      PEAT_TRY_VOID(expect_symbol(")"));
      return inner;
    }
    if (peek().is_word("all") && !begins_test(peek(1))) {
      take();
      return Condition{};
    }
    return test();
  }
  static Condition negated(Condition inner) {
    Condition out;
    out.kind = Condition::Kind::negation;
    out.parts.push_back(std::move(inner));
    return out;
  }
  static bool is_comparison(const Token& token) {
    return token.kind == Token::Kind::symbol && token.text.find_first_of("=<>") == 0;
  }
  static bool begins_test(const Token& token) {
    return is_comparison(token) || token.is_symbol("!=") || token.is_symbol(".") ||
           token.is_symbol("[") || token.is_word("in") || token.is_word("is") ||
           token.is_word("like") || token.is_word("contains") || token.is_word("between") ||
           token.is_word("exists") || token.is_word("starts") || token.is_word("ends") ||
           token.is_word("within");
  }
  // "(" path ","
  bool place_in_parentheses() const {
    std::size_t ahead = 1;
    const auto in_brackets = [&] {
      if (!peek(ahead).is_symbol("[") || !peek(ahead + 2).is_symbol("]")) return false;
      ahead += 3;
      return true;
    };
    if (peek(ahead).kind == Token::Kind::word) {
      ++ahead;
    } else if (!in_brackets()) {
      return false;
    }
    for (;;) {
      if (peek(ahead).is_symbol(".") && peek(ahead + 1).kind == Token::Kind::word) {
        ahead += 2;
      } else if (!in_brackets()) {
        return peek(ahead).is_symbol(",");
      }
    }
  }

  Result<Condition> test() {
    PEAT_TRY_VOID(count_term());
    Condition out;
    out.kind = Condition::Kind::test;
    if (take_symbol("(")) {
      PEAT_TRY(auto lat, path());
      PEAT_TRY_VOID(expect_symbol(","));
      PEAT_TRY(auto lon, path());
      PEAT_TRY_VOID(expect_symbol(")"));
      PEAT_TRY_VOID(expect_word("within", "'within' behind a place of two paths"));
      return place_test({std::move(lat), std::move(lon)});
    }
    PEAT_TRY(auto field, path());
    if (take_word("within")) return place_test({std::move(field)});
    out.path = ast_.slot_of(std::move(field));
    return rest_of_test(std::move(out));
  }

  Result<Condition> rest_of_test(Condition out) {
    const auto& word = take();
    for (const auto& [symbol, test] : kComparisons) {
      if (word.is_symbol(symbol)) return with_value(std::move(out), test);
    }
    if (word.is_symbol("!=")) {
      PEAT_TRY(auto equal, with_value(std::move(out), Test::equal));
      return negated(std::move(equal));
    }
    if (word.is_word("between")) return between(std::move(out));
    if (word.is_word("in")) return in(std::move(out));
    if (word.is_word("not")) {
      PEAT_TRY_VOID(expect_word("in", "'in' behind 'not'"));
      PEAT_TRY(auto inner, in(std::move(out)));
      return negated(std::move(inner));
    }
    if (word.is_word("contains")) return with_value(std::move(out), Test::contains);
    if (word.is_word("like")) return with_text(std::move(out), Test::like);
    if (word.is_word("starts") || word.is_word("ends")) {
      PEAT_TRY_VOID(expect_word("with", "'with'"));
      return with_text(std::move(out),
                       word.is_word("starts") ? Test::starts_with : Test::ends_with);
    }
    if (word.is_word("exists")) {
      out.test = Test::exists;
      return out;
    }
    if (word.is_word("is")) return is(std::move(out));
    return wrong(word, kTestWords);
  }

  Result<Condition> is(Condition out) {
    const bool inverted = take_word("not");
    const auto& what = take();
    if (what.is_word("null")) {
      out.test = Test::is_null;
      return inverted ? negated(std::move(out)) : std::move(out);
    }
    if (!what.is_word("missing")) return wrong(what, "'null' or 'missing'");
    out.test = Test::exists;
    return inverted ? std::move(out) : negated(std::move(out));
  }

  Result<Condition> between(Condition low) {
    auto high = low;
    low.test = Test::greater_equal;
    high.test = Test::less_equal;
    PEAT_TRY(auto least, value());
    low.values.push_back(std::move(least));
    PEAT_TRY_VOID(expect_word("and", "'and' between the two ends"));
    PEAT_TRY(auto most, value());
    high.values.push_back(std::move(most));
    Condition out;
    out.kind = Condition::Kind::conjunction;
    out.parts = {std::move(low), std::move(high)};
    return out;
  }

  Result<Condition> in(Condition out) {
    out.test = Test::in;
    PEAT_TRY_VOID(expect_symbol("("));
    do {
      PEAT_TRY_VOID(count_term());
      PEAT_TRY(auto one, value());
      out.values.push_back(std::move(one));
    } while (take_symbol(","));
    PEAT_TRY_VOID(expect_symbol(")"));
    return out;
  }

  Result<Condition> with_value(Condition out, Test test) {
    out.test = test;
    PEAT_TRY(auto one, value());
    out.values.push_back(std::move(one));
    return out;
  }
  Result<Condition> with_text(Condition out, Test test) {
    out.test = test;
    if (peek().kind != Token::Kind::text) return wrong(peek(), "a text in quotes");
    out.values.push_back({Type::text, false, {}, take().text});
    return out;
  }

  // Behind "within".
  Result<Condition> place_test(std::vector<Path> place) {
    Condition out;
    out.kind = Condition::Kind::test;
    set_place(out, std::move(place), ast_);
    if (take_word("box")) {
      out.test = Test::box;
      PEAT_TRY_VOID(coordinates(out));
      PEAT_TRY_VOID(expect_word("to", "'to' and the north-eastern corner"));
      PEAT_TRY_VOID(coordinates(out));
    } else if (take_word("geohash")) {
      PEAT_TRY(out, with_text(std::move(out), Test::geohash));
    } else {
      out.test = Test::radius;
      PEAT_TRY(auto distance, number("a distance, 'box' or 'geohash'"));
      const bool kilometres = take_word("km");
      if (!kilometres) PEAT_TRY_VOID(expect_word("m", "'m' or 'km'"));
      if (kilometres) {
        const auto metres = distance.number.value() * 1000;
        distance.text = fmt::format("{}", metres);
        const auto scaled = Number::parse(distance.text);
        if (!scaled) return fail(Code::malformed, "query: a distance that is no number");
        distance.number = *scaled;
      }
      out.values.push_back(std::move(distance));
      PEAT_TRY_VOID(expect_word("of", "'of' and the latitude and longitude"));
      PEAT_TRY_VOID(coordinates(out));
    }
    PEAT_TRY_VOID(check_place(out));
    return out;
  }

  Status coordinates(Condition& out) {
    PEAT_TRY(auto lat, number("a latitude in degrees"));
    out.values.push_back(std::move(lat));
    PEAT_TRY_VOID(expect_symbol(","));
    PEAT_TRY(auto lon, number("a longitude in degrees"));
    out.values.push_back(std::move(lon));
    return {};
  }

  // --- the small things
  Status count_term() {
    if (++terms_ <= limits_.query_terms) return {};
    return fail(Code::limit_exceeded,
                fmt::format("query, column {}: more than {} tests and values (query_terms)",
                            peek().at, limits_.query_terms));
  }

  Result<Path> path() {
    Path out;
    const auto& first = take();
    if (first.is_symbol("[")) {
      if (peek().kind != Token::Kind::text) return wrong(peek(), "a name in quotes");
      out.steps.push_back({take().text, {}});
      PEAT_TRY_VOID(expect_symbol("]"));
    } else if (first.kind == Token::Kind::word) {
      out.steps.push_back({first.text, {}});
    } else {
      return wrong(first, "a field, such as speed or pos.lat");
    }
    for (;;) {
      if (take_symbol(".")) {
        if (peek().kind != Token::Kind::word) return wrong(peek(), "a field's name behind '.'");
        out.steps.push_back({take().text, {}});
      } else if (take_symbol("[")) {
        PEAT_TRY(auto step, bracketed());
        out.steps.push_back(std::move(step));
      } else {
        break;
      }
      if (out.steps.size() > limits_.query_path_steps) {
        return fail(Code::limit_exceeded,
                    fmt::format("query, column {}: a path of more than {} steps (query_path_steps)",
                                peek().at, limits_.query_path_steps));
      }
    }
    return out;
  }
  Result<Step> bracketed() {
    Step step;
    const auto& inside = take();
    if (inside.kind == Token::Kind::text) {
      step.name = inside.text;
    } else {
      std::uint32_t index = 0;
      const auto end = inside.text.data() + inside.text.size();
      const auto read = std::from_chars(inside.text.data(), end, index);
      if (inside.kind != Token::Kind::number || read.ec != std::errc() || read.ptr != end) {
        return wrong(inside, "an index from 0 or a name in quotes");
      }
      step.index = index;
    }
    PEAT_TRY_VOID(expect_symbol("]"));
    return step;
  }

  Result<OrderKey> order_key() {
    PEAT_TRY(auto by, path());
    OrderKey key{ast_.slot_of(std::move(by)), false};
    if (take_word("desc")) {
      key.descending = true;
    } else {
      take_word("asc");
    }
    return key;
  }

  Result<std::uint64_t> count() {
    const auto& token = take();
    std::uint64_t out = 0;
    const auto end = token.text.data() + token.text.size();
    const auto read = std::from_chars(token.text.data(), end, out);
    if (token.kind != Token::Kind::number || read.ec != std::errc() || read.ptr != end) {
      return wrong(token, "a whole number");
    }
    return out;
  }

  Result<Literal> number(std::string_view wanted) {
    if (peek().kind != Token::Kind::number) return wrong(peek(), wanted);
    return value();
  }

  Result<Literal> value() {
    const auto& token = take();
    Literal out;
    if (token.kind == Token::Kind::text) {
      out.type = Type::text;
      out.text = token.text;
    } else if (token.kind == Token::Kind::number) {
      const auto parsed = Number::parse(token.text);
      if (!parsed) return wrong(token, "a number as JSON writes it, such as -12.5 or 3e8");
      out.type = Type::number;
      out.number = *parsed;
      out.text = token.text;
    } else if (token.is_word("true") || token.is_word("false")) {
      out.type = Type::boolean;
      out.boolean = token.is_word("true");
    } else if (!token.is_word("null")) {
      return wrong(token, "a value: a number, a text in quotes, true, false or null");
    }
    return out;
  }

  std::vector<Token> tokens_;
  Ast& ast_;
  const Limits& limits_;
  std::size_t next_ = 0;
  std::size_t terms_ = 0;
};

}  // namespace

std::size_t Ast::slot_of(Path path) {
  const auto known = std::ranges::find(paths, path);
  if (known != paths.end()) return static_cast<std::size_t>(known - paths.begin());
  paths.push_back(std::move(path));
  return paths.size() - 1;
}

void set_place(Condition& test, std::vector<Path> place, Ast& ast) {
  test.split_place = place.size() == 2;
  if (test.split_place) {
    test.path = ast.slot_of(std::move(place[0]));
    test.longitude = ast.slot_of(std::move(place[1]));
    return;
  }
  auto lon = place[0];
  place[0].steps.push_back({"lat", {}});
  lon.steps.push_back({"lon", {}});
  test.path = ast.slot_of(std::move(place[0]));
  test.longitude = ast.slot_of(std::move(lon));
}

Status check_place(const Condition& test) {
  if (test.test == Test::geohash) {
    PEAT_TRY_VOID(geohash::decode(test.values[0].text));
    return {};
  }
  const auto degrees = [](const Literal& value, double most, std::string_view what) -> Status {
    if (value.number.value() >= -most && value.number.value() <= most) return {};
    return fail(Code::out_of_range,
                fmt::format("query: {} {} is beyond {} degrees", what, value.text, most));
  };
  const auto first = test.test == Test::radius ? 1U : 0U;
  for (auto i = first; i + 1 < test.values.size(); i += 2) {
    PEAT_TRY_VOID(degrees(test.values[i], 90, "latitude"));
    PEAT_TRY_VOID(degrees(test.values[i + 1], 180, "longitude"));
  }
  if (test.test == Test::radius && test.values[0].number.value() < 0) {
    return fail(Code::out_of_range, "query: a radius of less than 0 metres");
  }
  return {};
}

Status finish(Ast& ast) {
  const Limits limits;
  if (ast.collection.empty() || ast.collection.find_first_of(":/") != std::string::npos) {
    return fail(Code::invalid_argument,
                fmt::format("query: '{}' is no collection; a name has no ':' and no '/'",
                            ast.collection.substr(0, 40)));
  }
  if (ast.order.size() > limits.query_order_keys) {
    return fail(Code::limit_exceeded,
                fmt::format("query: {} keys of order by; at most {} (query_order_keys)",
                            ast.order.size(), limits.query_order_keys));
  }
  if (ast.limit.value_or(0) > limits.query_rows || ast.offset > limits.query_rows) {
    return fail(Code::limit_exceeded,
                fmt::format("query: limit and offset go up to {} (query_rows); ask for the next "
                            "page instead",
                            limits.query_rows));
  }
  ast.deleted_slot = ast.slot_of(Path{{Step{std::string(kDeletedName), {}}}});
  for (std::size_t i = 0; i < ast.paths.size(); ++i) {
    if (!ast.paths[i].is_id()) ast.tree.add(ast.paths[i], i);
  }
  return {};
}

Status check_length(std::string_view text) {
  const Limits limits;
  if (text.size() <= limits.query_text_bytes) return {};
  return fail(Code::limit_exceeded, fmt::format("query: the text has {} bytes; at most {} "
                                                "(query_text_bytes)",
                                                text.size(), limits.query_text_bytes));
}

Result<Path> parse_path(std::string_view text) {
  PEAT_TRY_VOID(check_length(text));
  PEAT_TRY(auto tokens, read_tokens(text));
  Ast scratch;
  const Limits limits;
  return Parser(std::move(tokens), scratch, limits).whole_path();
}

Result<OrderKey> parse_order_key(std::string_view text, Ast& ast) {
  PEAT_TRY_VOID(check_length(text));
  PEAT_TRY(auto tokens, read_tokens(text));
  const Limits limits;
  return Parser(std::move(tokens), ast, limits).whole_order_key();
}

}  // namespace peat::query

namespace peat {

Result<Query> Query::parse(std::string_view text) {
  PEAT_TRY_VOID(query::check_length(text));
  PEAT_TRY(auto tokens, query::read_tokens(text));
  const Limits limits;
  auto ast = std::make_shared<query::Ast>();
  PEAT_TRY_VOID(query::Parser(std::move(tokens), *ast, limits).query());
  PEAT_TRY_VOID(query::finish(*ast));
  return Query(std::move(ast));
}

}  // namespace peat
