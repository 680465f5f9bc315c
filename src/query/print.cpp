// Queries as text again: one form for one meaning, so that texts can be compared and hashed.
#include <fmt/format.h>

#include "query/ast.hpp"
#include "query/lexer.hpp"

namespace peat::query {

namespace {

std::string print_literal(const Literal& literal) {
  switch (literal.type) {
    case Type::text:
      return quoted(literal.text);
    case Type::number:
      return literal.text;
    case Type::boolean:
      return literal.boolean ? "true" : "false";
    default:
      return "null";
  }
}

std::string_view word_of(Test test) {
  switch (test) {
    case Test::equal:
      return "=";
    case Test::same:
      return "===";
    case Test::less:
      return "<";
    case Test::less_equal:
      return "<=";
    case Test::greater:
      return ">";
    case Test::greater_equal:
      return ">=";
    case Test::contains:
      return "contains";
    case Test::like:
      return "like";
    case Test::starts_with:
      return "starts with";
    case Test::ends_with:
      return "ends with";
    default:
      return "";
  }
}

std::string print_place(const Ast& ast, const Condition& test) {
  const auto& lat = ast.paths[test.path];
  if (test.split_place) {
    return fmt::format("({}, {})", print_path(lat), print_path(ast.paths[test.longitude]));
  }
  auto place = lat;
  place.steps.pop_back();
  return print_path(place);
}

std::string print_test(const Ast& ast, const Condition& test) {
  const auto value = [&test](std::size_t i) { return print_literal(test.values[i]); };
  switch (test.test) {
    case Test::radius:
      return fmt::format("{} within {} m of {}, {}", print_place(ast, test), value(0), value(1),
                         value(2));
    case Test::box:
      return fmt::format("{} within box {}, {} to {}, {}", print_place(ast, test), value(0),
                         value(1), value(2), value(3));
    case Test::geohash:
      return fmt::format("{} within geohash {}", print_place(ast, test), value(0));
    default:
      break;
  }
  const auto path = print_path(ast.paths[test.path]);
  if (test.test == Test::is_null) return path + " is null";
  if (test.test == Test::exists) return path + " exists";
  if (test.test != Test::in) return fmt::format("{} {} {}", path, word_of(test.test), value(0));
  std::string list;
  for (std::size_t i = 0; i < test.values.size(); ++i) list += (i > 0 ? ", " : "") + value(i);
  return fmt::format("{} in ({})", path, list);
}

std::string print_condition(const Ast& ast, const Condition& condition) {
  switch (condition.kind) {
    case Condition::Kind::all:
      return "all";
    case Condition::Kind::test:
      return print_test(ast, condition);
    case Condition::Kind::negation:
      return "not (" + print_condition(ast, condition.parts[0]) + ")";
    default:
      break;
  }
  const auto* word = condition.kind == Condition::Kind::conjunction ? " and " : " or ";
  std::string out;
  for (const auto& part : condition.parts) {
    const bool simple =
        part.kind == Condition::Kind::test || part.kind == Condition::Kind::negation;
    out += out.empty() ? "" : word;
    out += simple ? print_condition(ast, part) : "(" + print_condition(ast, part) + ")";
  }
  return out;
}

}  // namespace

std::string print_path(const Path& path) {
  std::string out;
  for (const auto& step : path.steps) {
    if (step.index) {
      out += fmt::format("[{}]", *step.index);
    } else if (is_plain_name(step.name) && (!out.empty() || !is_word_of_conditions(step.name))) {
      out += (out.empty() ? "" : ".") + step.name;
    } else {
      out += "[" + quoted(step.name) + "]";
    }
  }
  return out;
}

std::string print(const Ast& ast) {
  std::string out =
      "from " + (is_plain_name(ast.collection) ? ast.collection : quoted(ast.collection));
  if (ast.where.kind != Condition::Kind::all) out += " where " + print_condition(ast, ast.where);
  if (ast.deleted == Deleted::included) out += " with deleted";
  if (ast.deleted == Deleted::only) out += " only deleted";
  for (std::size_t i = 0; i < ast.order.size(); ++i) {
    out += i == 0 ? " order by " : ", ";
    out += print_path(ast.paths[ast.order[i].path]);
    if (ast.order[i].descending) out += " desc";
  }
  if (ast.limit) out += fmt::format(" limit {}", *ast.limit);
  if (ast.offset > 0) out += fmt::format(" offset {}", ast.offset);
  return out;
}

}  // namespace peat::query
