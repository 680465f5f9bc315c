#include "node/settings_text.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

namespace peat::node {

namespace {

// By the numbers of TtlPreset.
constexpr std::array<std::string_view, 4> kTtlPresets = {"default", "tactical", "long_duration",
                                                         "offline_node"};

std::unexpected<Error> bad(std::string message) {
  return fail(Code::bad_setting, std::move(message));
}

Result<std::string_view> single(const std::vector<std::string>& texts) {
  if (texts.size() != 1) return bad(fmt::format("{} values where one is meant", texts.size()));
  return texts.front();
}

Result<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return bad(fmt::format("'{}' is no number from 0 to 4294967295", text));
  }
  return value;
}

// "info,peat_mesh=debug": the level of peat_mesh, else the one without a target.
std::string rust_log_level(std::string_view value) {
  std::string level;
  std::string targeted;
  while (!value.empty()) {
    const auto comma = value.find(',');
    const auto item = value.substr(0, comma);
    value = comma == std::string_view::npos ? std::string_view() : value.substr(comma + 1);
    const auto equals = item.find('=');
    if (equals == std::string_view::npos) {
      level = item;
    } else if (item.substr(0, equals) == "peat_mesh") {
      targeted = item.substr(equals + 1);
    }
  }
  return targeted.empty() ? level : targeted;
}

}  // namespace

Status parse_value(const std::vector<std::string>& texts, std::string& out) {
  PEAT_TRY(const auto text, single(texts));
  if (text.empty()) return bad("the text is empty");
  out = text;
  return {};
}

Status parse_value(const std::vector<std::string>& texts, Path& out) {
  std::string text;
  PEAT_TRY_VOID(parse_value(texts, text));
  out = text;
  return {};
}

Status parse_value(const std::vector<std::string>& texts, HostPort& out) {
  PEAT_TRY(const auto text, single(texts));
  PEAT_TRY(out, HostPort::parse(text));
  return {};
}

Status parse_value(const std::vector<std::string>& texts, Peers& out) {
  out.clear();
  for (const auto& text : texts) {
    PEAT_TRY(auto peer, PeerSetting::parse(text));
    out.push_back(std::move(peer));
  }
  return {};
}

Status parse_value(const std::vector<std::string>& texts, CollectionSettings& out) {
  out.clear();
  for (const auto& text : texts) {
    PEAT_TRY(auto collection, CollectionSetting::parse(text));
    out.push_back(std::move(collection));
  }
  return {};
}

Status parse_value(const std::vector<std::string>& texts, AccessSettings& out) {
  out.clear();
  for (const auto& text : texts) {
    PEAT_TRY(auto rule, security::AccessRule::parse(text));
    out.push_back(std::move(rule));
  }
  // Two rules of one scope are refused here, where the error can say which setting it is.
  PEAT_TRY_VOID(security::AccessRules::create(out));
  return {};
}

Status parse_value(const std::vector<std::string>& texts, TtlPreset& out) {
  PEAT_TRY(const auto text, single(texts));
  for (std::size_t i = 0; i < kTtlPresets.size(); ++i) {
    if (text != kTtlPresets[i]) continue;
    out = static_cast<TtlPreset>(i);
    return {};
  }
  return bad(fmt::format("'{}' is none of default, tactical, long_duration, offline_node", text));
}

Status parse_value(const std::vector<std::string>& texts, Secret& out) {
  PEAT_TRY(const auto text, single(texts));
  out = Secret(text);
  return {};
}

Status parse_value(const std::vector<std::string>& texts, bool& out) {
  PEAT_TRY(const auto text, single(texts));
  if (text == "true" || text == "1") {
    out = true;
  } else if (text == "false" || text == "0") {
    out = false;
  } else {
    return bad(fmt::format("'{}' is neither true nor false", text));
  }
  return {};
}

Status parse_value(const std::vector<std::string>& texts, std::uint32_t& out) {
  PEAT_TRY(const auto text, single(texts));
  PEAT_TRY(out, number(text));
  return {};
}

Status parse_value(const std::vector<std::string>& texts, Millis& out) {
  PEAT_TRY(const auto text, single(texts));
  const auto digits = text.find_first_not_of("0123456789");
  const auto unit = digits == std::string_view::npos ? std::string_view() : text.substr(digits);
  PEAT_TRY(const auto value, number(text.substr(0, digits)));
  if (unit == "ms") {
    out = Millis(value);
  } else if (unit == "s") {
    out = std::chrono::seconds(value);
  } else if (unit == "m") {
    out = std::chrono::minutes(value);
  } else if (unit == "h") {
    out = std::chrono::hours(value);
  } else if (unit == "d") {
    out = std::chrono::hours(24 * std::int64_t{value});
  } else {
    return bad(fmt::format("'{}' is no duration, such as 500ms, 30s or 5m", text));
  }
  if (out == Millis(0)) return bad("a duration of nothing");
  return {};
}

Status parse_value(const std::vector<std::string>& texts, Binding& out) {
  PEAT_TRY(const auto text, single(texts));
  for (const auto binding : {Binding::off, Binding::prefer, Binding::require}) {
    if (text != to_string(binding)) continue;
    out = binding;
    return {};
  }
  return bad(fmt::format("'{}' is none of off, prefer, require", text));
}

Status parse_value(const std::vector<std::string>& texts, LogLevel& out) {
  PEAT_TRY(const auto text, single(texts));
  for (auto level = LogLevel::trace; level <= LogLevel::off;
       level = static_cast<LogLevel>(static_cast<int>(level) + 1)) {
    if (text != to_string(level)) continue;
    out = level;
    return {};
  }
  return bad(fmt::format("'{}' is none of trace, debug, info, warn, error, off", text));
}

Status parse_value(const std::vector<std::string>& texts, LogFormat& out) {
  PEAT_TRY(const auto text, single(texts));
  if (text != "text" && text != "json") {
    return bad(fmt::format("'{}' is neither text nor json", text));
  }
  out = text == "json" ? LogFormat::json : LogFormat::text;
  return {};
}

std::vector<std::string> show_value(const std::string& value) { return {value}; }
std::vector<std::string> show_value(const Path& value) { return {value.string()}; }
std::vector<std::string> show_value(const HostPort& value) { return {value.to_string()}; }

std::vector<std::string> show_value(const Peers& value) {
  std::vector<std::string> texts;
  for (const auto& peer : value) texts.push_back(peer.to_string());
  return texts;
}

std::vector<std::string> show_value(const CollectionSettings& value) {
  std::vector<std::string> texts;
  for (const auto& collection : value) texts.push_back(collection.text);
  return texts;
}

std::vector<std::string> show_value(const AccessSettings& value) {
  std::vector<std::string> texts;
  for (const auto& rule : value) texts.push_back(rule.text);
  return texts;
}

std::vector<std::string> show_value(TtlPreset value) {
  return {std::string(kTtlPresets[static_cast<std::size_t>(value)])};
}

std::vector<std::string> show_value(const Secret& value) { return {value.empty() ? "" : "***"}; }
std::vector<std::string> show_value(bool value) { return {value ? "true" : "false"}; }
std::vector<std::string> show_value(std::uint32_t value) { return {std::to_string(value)}; }

std::vector<std::string> show_value(Millis value) {
  const auto ms = value.count();
  if (ms % 60000 == 0) return {fmt::format("{}m", ms / 60000)};
  if (ms % 1000 == 0) return {fmt::format("{}s", ms / 1000)};
  return {fmt::format("{}ms", ms)};
}

std::vector<std::string> show_value(Binding value) { return {std::string(to_string(value))}; }
std::vector<std::string> show_value(LogLevel value) { return {std::string(to_string(value))}; }
std::vector<std::string> show_value(LogFormat value) { return {std::string(to_string(value))}; }

std::string legacy_text(const LegacyVariable& variable, std::string_view value) {
  if (variable.name == "PEAT_IROH_BIND_PORT") return fmt::format("0.0.0.0:{}", value);
  if (variable.name == "PEAT_BROKER_PORT") return fmt::format("127.0.0.1:{}", value);
  if (variable.name == "RUST_LOG") return rust_log_level(value);
  return std::string(value);
}

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  while (true) {
    const auto first = text.find_first_not_of(" \t\n");
    if (first == std::string_view::npos) return words;
    text.remove_prefix(first);
    const auto end = std::min(text.find_first_of(" \t\n"), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

}  // namespace peat::node
