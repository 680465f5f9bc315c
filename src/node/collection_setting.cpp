#include "node/collection_setting.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "node/settings.hpp"
#include "node/settings_text.hpp"
#include "query/ast.hpp"

namespace peat::node {

namespace {

template <class T, std::size_t n>
Status choose(std::string_view text, const std::array<std::pair<std::string_view, T>, n>& choices,
              std::optional<T>& out) {
  std::string names;
  for (const auto& [name, value] : choices) {
    if (name == text) {
      out = value;
      return {};
    }
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  return fail(Code::bad_setting, fmt::format("'{}' is none of {}", text, names));
}

Status read_duration(std::string_view text, std::optional<std::chrono::milliseconds>& out) {
  Millis value{};
  PEAT_TRY_VOID(parse_value({std::string(text)}, value));
  out = value;
  return {};
}

using sync::DeletionPolicy;
using sync::DeletionRule;
using sync::QosClass;
using sync::SyncMode;

constexpr std::array<std::pair<std::string_view, SyncMode>, 3> kModes = {{
    {"full", SyncMode::full_history},
    {"latest", SyncMode::latest_only},
    {"windowed", SyncMode::windowed},
}};
constexpr std::array<std::pair<std::string_view, DeletionPolicy>, 4> kPolicies = {{
    {"tombstone", DeletionPolicy::tombstone},
    {"soft", DeletionPolicy::soft_delete},
    {"ttl", DeletionPolicy::implicit_ttl},
    {"immutable", DeletionPolicy::immutable},
}};
constexpr std::array<std::pair<std::string_view, DeletionRule>, 2> kRules = {{
    {"delete", DeletionRule::delete_wins},
    {"update", DeletionRule::update_wins},
}};
constexpr std::array<std::pair<std::string_view, QosClass>, 5> kClasses = {{
    {"critical", QosClass::critical},
    {"high", QosClass::high},
    {"normal", QosClass::normal},
    {"low", QosClass::low},
    {"bulk", QosClass::bulk},
}};

Status read_option(std::string_view name, std::string_view value, CollectionSetting& out) {
  if (name == "mode") return choose(value, kModes, out.mode);
  if (name == "window") return read_duration(value, out.window);
  if (name == "delete") return choose(value, kPolicies, out.deletion);
  if (name == "wins") return choose(value, kRules, out.wins);
  if (name == "retention") return read_duration(value, out.retention);
  if (name == "ttl") return read_duration(value, out.ttl);
  if (name == "class") return choose(value, kClasses, out.qos);
  if (name == "index") {
    PEAT_TRY(const auto path, query::parse_path(value));
    out.indexes.push_back(query::print_path(path));
    return {};
  }
  return fail(
      Code::bad_setting,
      fmt::format("'{}' is none of mode, window, delete, wins, retention, ttl, class, index",
                  name));
}

}  // namespace

Result<CollectionSetting> CollectionSetting::parse(std::string_view text) {
  CollectionSetting out;
  out.text = text;
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 ||
      text.substr(0, colon).find('/') != std::string_view::npos) {
    return fail(Code::bad_setting,
                fmt::format("'{}' is not NAME:option=value, such as tracks:mode=latest", text));
  }
  out.name = text.substr(0, colon);
  auto rest = text.substr(colon + 1);
  while (!rest.empty()) {
    const auto option = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(option.size() + 1, rest.size()));
    const auto equals = option.find('=');
    const auto value = equals == std::string_view::npos ? "" : option.substr(equals + 1);
    if (auto read = read_option(option.substr(0, equals), value, out); !read) {
      return fail(Code::bad_setting,
                  fmt::format("collection '{}': {}", out.name, read.error().message));
    }
  }
  if (out.ttl && out.deletion != DeletionPolicy::implicit_ttl) {
    return fail(Code::bad_setting,
                fmt::format("collection '{}': ttl goes with delete=ttl", out.name));
  }
  return out;
}

sync::CollectionRule CollectionSetting::over(sync::CollectionRule rule) const {
  if (mode) rule.mode = *mode;
  if (window) rule.window = *window;
  if (deletion) {
    rule.deletion = *deletion;
    if (*deletion == DeletionPolicy::implicit_ttl) {
      rule.wins = DeletionRule::update_wins;
      if (rule.ttl == Duration{}) rule.ttl = std::chrono::hours(1);
    } else {
      rule.ttl = {};
    }
  }
  if (wins) rule.wins = *wins;
  if (retention) rule.retention = *retention;
  if (ttl) rule.ttl = *ttl;
  if (qos) rule.qos = *qos;
  return rule;
}

Result<std::vector<IndexName>> indexes_of(const Settings& settings, const Limits& limits) {
  std::vector<IndexName> out;
  for (const auto& collection : settings.collections) {
    for (const auto& path : collection.indexes) out.push_back({collection.name, path});
  }
  if (out.size() <= limits.query_indexes) return out;
  return fail(Code::bad_setting,
              fmt::format("collections: {} indexes are asked for; a node keeps up to {} "
                          "(query_indexes)",
                          out.size(), limits.query_indexes));
}

sync::Collections collections_of(const Settings& settings) {
  sync::Collections out(settings.ttl_preset);
  for (const auto& setting : settings.collections) {
    out.set(setting.name, setting.over(out.rule(setting.name)));
  }
  return out;
}

}  // namespace peat::node
