#include "query/index_key.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace peat::query {

namespace {

Found found_of(const Literal& literal, std::string& scratch) {
  switch (literal.type) {
    case Type::text:
      return {Type::text, literal.text, false};
    case Type::number:
      return {Type::number, literal.text, false};
    case Type::boolean:
      scratch = literal.boolean ? "true" : "false";
      return {Type::boolean, scratch, false};
    default:
      return {Type::null, "null", false};
  }
}

std::string key_of(const Literal& literal) {
  std::string scratch;
  return value_key(found_of(literal, scratch)).value_or("");
}

// All values that order with this one at all.
KeyRange same_kind(const Literal& literal) {
  if (literal.type == Type::boolean) {
    return {*value_key({Type::boolean, "false", false}),
            behind(*value_key({Type::boolean, "true", false}))};
  }
  const auto rank = key_of(literal).substr(0, 1);
  return {rank, behind(rank)};
}

KeyRange point(const Literal& literal) {
  auto key = key_of(literal);
  auto end = behind(key);
  return {std::move(key), std::move(end)};
}

// Degrees of latitude around a place, a little more than needed.
std::pair<double, double> latitudes(const Condition& test) {
  const auto value = [&test](std::size_t i) { return test.values[i].number.value(); };
  if (test.test == Test::box) return {value(0), value(2)};
  if (test.test == Test::radius) {
    constexpr double kMetresPerDegree = 111'000;
    const auto reach = value(0) / kMetresPerDegree;
    return {value(1) - reach, value(1) + reach};
  }
  const auto cell = geohash::decode(test.values[0].text);
  return cell ? std::pair(cell->south, cell->north) : std::pair(-90.0, 90.0);
}

std::optional<std::string> number_key(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  return value_key({Type::number, text, false});
}

std::optional<PathDemand> demand_of(const Condition& test) {
  PathDemand out{test.path, {}, 0};
  switch (test.test) {
    case Test::equal:
    case Test::same:
      out.ranges.push_back(point(test.values[0]));
      return out;
    case Test::in:
      out.rank = 1;
      for (const auto& value : test.values) out.ranges.push_back(point(value));
      return out;
    case Test::is_null:
      out.ranges.push_back(point(Literal{}));
      return out;
    case Test::starts_with: {
      // A key ends in 00 00; without it, it is what longer texts begin with.
      auto key = key_of(test.values[0]);
      key.resize(key.size() - 2);
      out.rank = 2;
      out.ranges.push_back({key, behind(key)});
      return out;
    }
    case Test::radius:
    case Test::box:
    case Test::geohash: {
      const auto [south, north] = latitudes(test);
      const auto low = number_key(south);
      const auto high = number_key(north);
      if (!low || !high) return std::nullopt;
      out.rank = 3;
      out.ranges.push_back({*low, behind(*high)});
      return out;
    }
    case Test::less:
    case Test::less_equal: {
      auto range = same_kind(test.values[0]);
      range.high = point(test.values[0]).high;
      out.rank = 4;
      out.ranges.push_back(std::move(range));
      return out;
    }
    case Test::greater:
    case Test::greater_equal: {
      auto range = same_kind(test.values[0]);
      range.low = point(test.values[0]).low;
      out.rank = 4;
      out.ranges.push_back(std::move(range));
      return out;
    }
    default:
      return std::nullopt;
  }
}

void collect(const Condition& condition, std::vector<PathDemand>& out) {
  if (condition.kind == Condition::Kind::conjunction) {
    for (const auto& part : condition.parts) collect(part, out);
  }
  if (condition.kind != Condition::Kind::test) return;
  if (auto demand = demand_of(condition)) out.push_back(std::move(*demand));
}

// Two bounds of one path are one range: speed > 60 and speed < 90.
void intersect(std::vector<PathDemand>& demands) {
  std::vector<PathDemand> out;
  for (auto& demand : demands) {
    const auto known = std::ranges::find_if(out, [&](const auto& other) {
      return other.path == demand.path && other.ranges.size() == 1 && demand.ranges.size() == 1;
    });
    if (known == out.end()) {
      out.push_back(std::move(demand));
      continue;
    }
    auto& range = known->ranges[0];
    range.low = std::max(range.low, demand.ranges[0].low);
    const auto& high = demand.ranges[0].high;
    if (range.high.empty() || (!high.empty() && high < range.high)) range.high = high;
    known->rank = std::min(known->rank, demand.rank);
  }
  demands = std::move(out);
}

}  // namespace

std::string behind(std::string key) {
  while (!key.empty() && static_cast<unsigned char>(key.back()) == 0xff) key.pop_back();
  if (!key.empty()) key.back() = static_cast<char>(static_cast<unsigned char>(key.back()) + 1);
  return key;
}

std::vector<PathDemand> demands(const Ast& ast) {
  std::vector<PathDemand> out;
  collect(ast.where, out);
  intersect(out);
  std::ranges::sort(out, {},
                    [](const auto& demand) { return std::pair(demand.rank, demand.path); });
  return out;
}

}  // namespace peat::query
