// Queries as JSON. The grammar is in peat/query.hpp.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/limits.hpp"
#include "peat/query.hpp"
#include "query/ast.hpp"

namespace peat::query {

namespace {

namespace json = boost::json;

constexpr std::pair<std::string_view, Test> kValueTests[] = {
    {"eq", Test::equal},          {"same", Test::same},  {"lt", Test::less},
    {"le", Test::less_equal},     {"gt", Test::greater}, {"ge", Test::greater_equal},
    {"contains", Test::contains},
};
constexpr std::pair<std::string_view, Test> kTextTests[] = {
    {"like", Test::like}, {"starts_with", Test::starts_with}, {"ends_with", Test::ends_with}};
constexpr std::pair<std::string_view, Test> kPlaceTests[] = {
    {"radius", Test::radius}, {"box", Test::box}, {"geohash", Test::geohash}};
constexpr std::string_view kNames =
    "and, or, not, eq, same, ne, lt, le, gt, ge, in, contains, like, starts_with, ends_with, null, "
    "exists, radius, box, geohash";

std::unexpected<Error> wrong(std::string_view member, std::string_view wanted) {
  return fail(Code::malformed, fmt::format("query: \"{}\" needs {}", member, wanted));
}

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

template <std::size_t n>
const Test* find(const std::pair<std::string_view, Test> (&table)[n], std::string_view name) {
  const auto row = std::ranges::find(table, name, [](const auto& r) { return r.first; });
  return row == std::end(table) ? nullptr : &row->second;
}

class Reader {
 public:
  explicit Reader(Ast& ast) : ast_(ast) {}

  Status query(const json::object& root) {
    for (const auto& member : root) {
      const std::string_view name(member.key().data(), member.key().size());
      PEAT_TRY_VOID(read_member(name, member.value()));
    }
    return {};
  }

 private:
  Status read_member(std::string_view name, const json::value& value) {
    if (name == "from") {
      if (!value.is_string()) return wrong(name, "the name of a collection");
      ast_.collection = view(value.get_string());
      return {};
    }
    if (name == "where") {
      PEAT_TRY(ast_.where, condition(value));
      return {};
    }
    if (name == "deleted") {
      if (value == "with") {
        ast_.deleted = Deleted::included;
      } else if (value == "only") {
        ast_.deleted = Deleted::only;
      } else {
        return wrong(name, "\"with\" or \"only\"");
      }
      return {};
    }
    if (name == "order_by") return order(value);
    if (name == "limit") {
      PEAT_TRY(ast_.limit, count(name, value));
      return {};
    }
    if (name == "offset") {
      PEAT_TRY(ast_.offset, count(name, value));
      return {};
    }
    return fail(
        Code::malformed,
        fmt::format("query: \"{}\" is none of from, where, deleted, order_by, limit, offset",
                    name.substr(0, 40)));
  }

  static Result<std::uint64_t> count(std::string_view name, const json::value& value) {
    if (value.is_int64() && value.get_int64() >= 0) {
      return static_cast<std::uint64_t>(value.get_int64());
    }
    return wrong(name, "a whole number");
  }

  Status order(const json::value& value) {
    if (!value.is_array()) return wrong("order_by", "a list, such as [\"speed desc\", \"name\"]");
    for (const auto& key : value.get_array()) {
      if (!key.is_string()) return wrong("order_by", "texts, such as \"speed desc\"");
      PEAT_TRY(auto parsed, parse_order_key(view(key.get_string()), ast_));
      ast_.order.push_back(parsed);
    }
    return {};
  }

  // As deep as the text, which was parsed with query_depth.
  Result<Condition> condition(const json::value& value) {
    if (value.is_bool() && value.get_bool()) return Condition{};
    if (!value.is_object() || value.get_object().size() != 1) {
      return fail(
          Code::malformed,
          fmt::format("query: a condition is true or an object of one member, one of {}", kNames));
    }
    const auto& member = *value.get_object().begin();
    const std::string_view name(member.key().data(), member.key().size());
    const auto& operand = member.value();
    if (name == "and" || name == "or") return joined(name, operand);
    if (name == "not") {
      PEAT_TRY(auto inner, condition(operand));
      return negated(std::move(inner));
    }
    PEAT_TRY_VOID(count_term());
    if (const auto* test = find(kPlaceTests, name)) return place_test(name, *test, operand);
    if (name == "null" || name == "exists") {
      Condition out;
      out.kind = Condition::Kind::test;
      out.test = name == "null" ? Test::is_null : Test::exists;
      PEAT_TRY(out.path, slot(name, operand));
      return out;
    }
    return binary(name, operand);
  }

  static Condition negated(Condition inner) {
    Condition out;
    out.kind = Condition::Kind::negation;
    out.parts.push_back(std::move(inner));
    return out;
  }

  Result<Condition> joined(std::string_view name, const json::value& operand) {
    if (!operand.is_array() || operand.get_array().empty()) {
      return wrong(name, "a list of conditions");
    }
    Condition out;
    out.kind = name == "and" ? Condition::Kind::conjunction : Condition::Kind::disjunction;
    for (const auto& part : operand.get_array()) {
      PEAT_TRY(auto next, condition(part));
      out.parts.push_back(std::move(next));
    }
    if (out.parts.size() > 1) return out;
    auto only = std::move(out.parts.front());
    return only;
  }

  Result<Condition> binary(std::string_view name, const json::value& operand) {
    const auto* with_value = find(kValueTests, name == "ne" ? "eq" : name);
    const auto* with_text = find(kTextTests, name);
    if (with_value == nullptr && with_text == nullptr && name != "in") {
      return fail(Code::malformed,
                  fmt::format("query: \"{}\" is none of {}", name.substr(0, 40), kNames));
    }
    if (!operand.is_array() || operand.get_array().size() != 2) {
      return wrong(name, "a list of a path and a value");
    }
    const auto& list = operand.get_array();
    Condition out;
    out.kind = Condition::Kind::test;
    PEAT_TRY(out.path, slot(name, list[0]));
    if (name == "in") {
      out.test = Test::in;
      if (!list[1].is_array() || list[1].get_array().empty()) {
        return wrong(name, "a path and a list of values");
      }
      for (const auto& one : list[1].get_array()) {
        PEAT_TRY_VOID(count_term());
        PEAT_TRY(auto literal, value(name, one));
        out.values.push_back(std::move(literal));
      }
      return out;
    }
    out.test = with_value != nullptr ? *with_value : *with_text;
    PEAT_TRY(auto literal, value(name, list[1]));
    if (with_text != nullptr && literal.type != Type::text) return wrong(name, "a path and a text");
    out.values.push_back(std::move(literal));
    if (name == "ne") return negated(std::move(out));
    return out;
  }

  Result<Condition> place_test(std::string_view name, Test test, const json::value& operand) {
    const std::size_t numbers = test == Test::radius ? 3 : test == Test::box ? 4 : 1;
    if (!operand.is_array() || operand.get_array().size() != numbers + 1) {
      return wrong(name, test == Test::geohash  ? "a list of a place and a geohash"
                         : test == Test::radius ? "a list of a place, metres, latitude, longitude"
                                                : "a list of a place, south, west, north, east");
    }
    const auto& list = operand.get_array();
    Condition out;
    out.kind = Condition::Kind::test;
    out.test = test;
    std::vector<Path> place;
    if (list[0].is_array() && list[0].get_array().size() == 2) {
      for (const auto& part : list[0].get_array()) {
        PEAT_TRY(auto one, path(name, part));
        place.push_back(std::move(one));
      }
    } else {
      PEAT_TRY(auto one, path(name, list[0]));
      place.push_back(std::move(one));
    }
    set_place(out, std::move(place), ast_);
    const auto wanted = test == Test::geohash ? Type::text : Type::number;
    for (std::size_t i = 1; i < list.size(); ++i) {
      PEAT_TRY(auto literal, value(name, list[i]));
      if (literal.type != wanted) {
        return wrong(name, wanted == Type::text ? "a geohash as text" : "numbers behind the place");
      }
      out.values.push_back(std::move(literal));
    }
    PEAT_TRY_VOID(check_place(out));
    return out;
  }

  static Result<Path> path(std::string_view name, const json::value& value) {
    if (!value.is_string()) return wrong(name, "a path as text, such as \"pos.lat\"");
    return parse_path(view(value.get_string()));
  }
  Result<std::size_t> slot(std::string_view name, const json::value& value) {
    PEAT_TRY(auto parsed, path(name, value));
    return ast_.slot_of(std::move(parsed));
  }

  static Result<Literal> value(std::string_view name, const json::value& value) {
    Literal out;
    if (value.is_string()) {
      out.type = Type::text;
      out.text = view(value.get_string());
    } else if (value.is_bool()) {
      out.type = Type::boolean;
      out.boolean = value.get_bool();
    } else if (value.is_number()) {
      // As a document's number is written: a double is one with a fraction.
      out.text = value.is_double() ? fmt::format("{}", value.get_double()) : json::serialize(value);
      if (value.is_double() && out.text.find_first_of(".e") == std::string::npos) out.text += ".0";
      const auto parsed = Number::parse(out.text);
      if (!parsed) return wrong(name, "a number that fits a double");
      out.type = Type::number;
      out.number = *parsed;
    } else if (!value.is_null()) {
      return wrong(name, "a number, a text, true, false or null");
    }
    return out;
  }

  Status count_term() {
    const Limits limits;
    if (++terms_ <= limits.query_terms) return {};
    return fail(Code::limit_exceeded, fmt::format("query: more than {} tests and values "
                                                  "(query_terms)",
                                                  limits.query_terms));
  }

  Ast& ast_;
  std::size_t terms_ = 0;
};

}  // namespace

}  // namespace peat::query

namespace peat {

Result<Query> Query::parse_json(std::string_view text) {
  PEAT_TRY_VOID(query::check_length(text));
  const Limits limits;
  boost::json::parse_options options;
  // A level of the query is an object and, for `and` and `or`, a list.
  options.max_depth = 2 * limits.query_depth + 4;
  boost::system::error_code error;
  const auto value = boost::json::parse({text.data(), text.size()}, error, {}, options);
  if (error) return fail(Code::malformed, fmt::format("query: no JSON: {}", error.message()));
  if (!value.is_object()) {
    return fail(Code::malformed, "query: not a JSON object, such as {\"from\": \"trucks\"}");
  }
  auto ast = std::make_shared<query::Ast>();
  PEAT_TRY_VOID(query::Reader(*ast).query(value.get_object()));
  PEAT_TRY_VOID(query::finish(*ast));
  return Query(std::move(ast));
}

}  // namespace peat
