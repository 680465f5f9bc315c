#include <algorithm>
#include <array>
#include <tuple>

#include "base/encoding.hpp"
#include "query/ast.hpp"

namespace peat::query {

namespace {

// What orders nothing else with itself still has a place among the others.
enum Rank : unsigned char {
  kNull = 0x10,
  kFalse = 0x20,
  kTrue = 0x21,
  kNumber = 0x30,
  kText = 0x40,
  kList = 0x50,
  kObject = 0x60,
  kMissing = 0xff,  // in both directions
};
constexpr std::size_t kTextKeyBytes = 128;

std::optional<Number> number_of(const Found& found) {
  if (found.type != Type::number) return std::nullopt;
  return Number::parse(found.raw);
}

bool equals(const Found& found, const Literal& literal, bool same_form) {
  if (found.type != literal.type) return false;
  switch (literal.type) {
    case Type::null:
      return true;
    case Type::boolean:
      return found.is_true() == literal.boolean;
    case Type::number: {
      const auto number = number_of(found);
      return number && number->key() == literal.number.key() &&
             (!same_form || number->is_integer_form() == literal.number.is_integer_form());
    }
    default: {
      std::string scratch;
      return found.text(scratch) == literal.text;
    }
  }
}

// Negative, zero, positive; nullopt where there is no order.
std::optional<int> compare(const Found& found, const Literal& literal) {
  if (found.type != literal.type) return std::nullopt;
  const auto sign = [](const auto& a, const auto& b) { return a < b ? -1 : a == b ? 0 : 1; };
  if (literal.type == Type::boolean) return sign(found.is_true(), literal.boolean);
  if (literal.type == Type::number) {
    const auto number = number_of(found);
    if (!number) return std::nullopt;
    return sign(number->key(), literal.number.key());
  }
  if (literal.type != Type::text) return std::nullopt;
  std::string scratch;
  return sign(found.text(scratch), std::string_view(literal.text));
}

std::size_t character_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return std::min(length, text.size());
}

// The last % is the only one that has to give way, so this needs no recursion.
bool like(std::string_view text, std::string_view pattern) {
  std::optional<std::pair<std::string_view, std::string_view>> retry;  // text, pattern behind %
  for (;;) {
    if (pattern.starts_with('%')) {
      pattern.remove_prefix(1);
      if (pattern.empty()) return true;
      retry = {text, pattern};
      continue;
    }
    if (pattern.empty() && text.empty()) return true;
    bool fits = !pattern.empty() && !text.empty();
    if (fits && pattern.front() == '_') {
      text.remove_prefix(character_length(text));
      pattern.remove_prefix(1);
      continue;
    }
    if (fits) {
      const bool escape = pattern.front() == '\\' && pattern.size() > 1;
      fits = text.front() == pattern[escape ? 1 : 0];
      if (fits) {
        text.remove_prefix(1);
        pattern.remove_prefix(escape ? 2 : 1);
        continue;
      }
    }
    if (!retry || retry->first.empty()) return false;
    retry->first.remove_prefix(1);
    std::tie(text, pattern) = *retry;
  }
}

bool contains(const Found& found, const Literal& literal) {
  if (found.type == Type::list) {
    return any_element(found, [&](const Found& one) { return equals(one, literal, false); });
  }
  if (found.type != Type::text || literal.type != Type::text) return false;
  std::string scratch;
  return found.text(scratch).find(literal.text) != std::string_view::npos;
}

bool test_place(const Condition& test, const FoundFields& fields) {
  const auto lat = number_of(fields[test.path]);
  const auto lon = number_of(fields[test.longitude]);
  if (!lat || !lon) return false;
  const GeoPoint point{lat->value(), lon->value()};
  const auto value = [&test](std::size_t i) { return test.values[i].number.value(); };
  if (test.test == Test::radius) {
    return distance_metres({value(1), value(2)}, point) <= value(0);
  }
  if (test.test == Test::box) {
    return peat::contains(GeoBox{value(0), value(1), value(2), value(3)}, point);
  }
  const auto& prefix = test.values[0].text;
  const auto hash = geohash::encode(point, prefix.size());
  return hash && *hash == prefix;
}

bool test_text(const Condition& test, const Found& found) {
  if (found.type != Type::text) return false;
  std::string scratch;
  const auto text = found.text(scratch);
  const auto& wanted = test.values[0].text;
  if (test.test == Test::starts_with) return text.starts_with(wanted);
  if (test.test == Test::ends_with) return text.ends_with(wanted);
  return like(text, wanted);
}

bool passes(const Condition& test, const FoundFields& fields) {
  const auto& found = fields[test.path];
  const auto order = [&] { return compare(found, test.values[0]); };
  switch (test.test) {
    case Test::equal:
      return equals(found, test.values[0], false);
    case Test::same:
      return equals(found, test.values[0], true);
    case Test::less:
      return order().value_or(0) < 0;
    case Test::less_equal:
      return order().value_or(1) <= 0;
    case Test::greater:
      return order().value_or(0) > 0;
    case Test::greater_equal:
      return order().value_or(-1) >= 0;
    case Test::in:
      return std::ranges::any_of(test.values,
                                 [&](const auto& value) { return equals(found, value, false); });
    case Test::contains:
      return contains(found, test.values[0]);
    case Test::is_null:
      return found.type == Type::null;
    case Test::exists:
      return found.type != Type::missing;
    case Test::radius:
    case Test::box:
    case Test::geohash:
      return test_place(test, fields);
    default:
      return test_text(test, found);
  }
}

bool holds(const Condition& condition, const FoundFields& fields) {
  const auto part_holds = [&](const auto& part) { return holds(part, fields); };
  switch (condition.kind) {
    case Condition::Kind::all:
      return true;
    case Condition::Kind::conjunction:
      return std::ranges::all_of(condition.parts, part_holds);
    case Condition::Kind::disjunction:
      return std::ranges::any_of(condition.parts, part_holds);
    case Condition::Kind::negation:
      return !holds(condition.parts[0], fields);
    default:
      return passes(condition, fields);
  }
}

}  // namespace

FoundFields read_fields(const Ast& ast, std::string_view id, std::string_view json) {
  FoundFields fields(ast.paths.size());
  ast.tree.scan(json, fields);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (ast.paths[i].is_id()) fields[i] = {Type::text, id, false};
  }
  return fields;
}

bool matches(const Ast& ast, const FoundFields& fields) {
  const bool deleted = fields[ast.deleted_slot].is_true();
  if (ast.deleted == Deleted::hidden && deleted) return false;
  if (ast.deleted == Deleted::only && !deleted) return false;
  return holds(ast.where, fields);
}

// text bytes := 00 as 00 ff, at the end 00 00, so that a prefix comes first
void append_text_key(std::string& out, std::string_view text) {
  const auto most = out.size() + kTextKeyBytes;
  for (const char c : text) {
    if (out.size() + (c == '\0' ? 2 : 1) > most) break;
    out += c;
    if (c == '\0') out += '\xff';
  }
  out.append(2, '\0');
}

void append_key(std::string& out, const Found& found) {
  const auto rank = [&out](Rank value) { out += static_cast<char>(value); };
  std::string scratch;
  switch (found.type) {
    case Type::missing:
      return rank(kMissing);
    case Type::null:
      return rank(kNull);
    case Type::boolean:
      return rank(found.is_true() ? kTrue : kFalse);
    case Type::number: {
      const auto number = Number::parse(found.raw);
      if (!number) return rank(kMissing);
      rank(kNumber);
      out.append(number->key().begin(), number->key().end());
      return;
    }
    case Type::text:
      rank(kText);
      return append_text_key(out, found.text(scratch));
    case Type::list:
    case Type::object:
      rank(found.type == Type::list ? kList : kObject);
      return append_text_key(out, found.raw);
  }
}

std::optional<std::string> value_key(const Found& found) {
  std::string key;
  append_key(key, found);
  if (static_cast<unsigned char>(key.front()) == kMissing) return std::nullopt;
  return key;
}

std::string order_key(const Ast& ast, const FoundFields& fields) {
  std::string out;
  for (const auto& key : ast.order) {
    const auto start = out.size();
    append_key(out, fields[key.path]);
    if (!key.descending || static_cast<unsigned char>(out[start]) == kMissing) continue;
    for (auto i = start; i < out.size(); ++i) out[i] = static_cast<char>(~out[i]);
  }
  return out;
}

std::string id_key(std::string_view id) {
  if (id.size() < kIdKeyBytes) return std::string(id);
  const auto digest = sha256(as_bytes(id));
  std::string out(id.substr(0, kIdKeyBytes - digest.size()));
  return out.append(digest.begin(), digest.end());
}

}  // namespace peat::query
