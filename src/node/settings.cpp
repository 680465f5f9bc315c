#include "node/settings.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

#include "crypto/keys.hpp"
#include "node/settings_text.hpp"

namespace peat::node {

namespace {

// By the numbers of sync::Relation.
constexpr std::array<const char*, 4> kRelations = {"", "up", "down", "lateral"};

std::optional<sync::Relation> relation_from(std::string_view option) {
  constexpr std::string_view kName = "relation=";
  if (!option.starts_with(kName)) return std::nullopt;
  for (std::size_t i = 1; i < kRelations.size(); ++i) {
    if (option.substr(kName.size()) == kRelations[i]) return static_cast<sync::Relation>(i);
  }
  return std::nullopt;
}

void wipe_text(std::string& text) {
  crypto::wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
}

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return fail(Code::bad_setting, fmt::format("'{}' is no port (0 to 65535)", text));
  }
  return port;
}

bool is_secret_variable(std::string_view name) {
  return std::ranges::any_of(
      setting_table(), [name](const auto& info) { return info.secret && info.variable == name; });
}

std::string default_node_id(const Environment& environment) {
  std::array<char, 256> name{};
  if (auto host = environment("HOSTNAME")) return *host;
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "peat-node";
  return name.data();
}

Result<Path> default_data_dir(const Environment& environment) {
  if (auto state = environment("XDG_STATE_HOME")) return Path(*state) / "peat";
  if (auto home = environment("HOME")) return Path(*home) / ".local" / "state" / "peat";
  return fail(Code::missing_setting,
              "data_dir: there is no home directory to put it in; give --data-dir DIR");
}

// One setting out of the layers, or its default.
template <class T>
Status resolve_one(const SettingInfo& info, std::span<const RawLayer* const> layers, T& out,
                   std::string& where) {
  for (const RawLayer* layer : layers) {
    const auto found = layer->find(info.name);
    if (found == layer->end()) continue;
    where = found->second.where;
    if (auto status = parse_value(found->second.texts, out); !status) {
      return fail(Code::bad_setting,
                  fmt::format("{}: {} (from {})", info.name, status.error().message, where));
    }
    return {};
  }
  where = "default";
  if (info.default_text.empty()) return {};
  return parse_value({std::string(info.default_text)}, out);
}

Status check_together(const Settings& settings) {
  if (!settings.api.is_loopback() && settings.api_tokens_file.empty()) {
    return fail(Code::bad_setting,
                fmt::format("api: {} is not a loopback address, and the HTTP interface has no "
                            "authentication; use 127.0.0.1:PORT or [::1]:PORT and an SSH tunnel, "
                            "or give it tokens with --api-tokens-file",
                            settings.api.to_string()));
  }
  if (settings.reconnect_delay > settings.reconnect_delay_cap) {
    return fail(Code::bad_setting,
                fmt::format("reconnect_delay: {} is longer than reconnect_delay_cap, {}",
                            show_value(settings.reconnect_delay).front(),
                            show_value(settings.reconnect_delay_cap).front()));
  }
  for (std::size_t i = 0; i < settings.peers.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (settings.peers[i].id != settings.peers[k].id) continue;
      return fail(Code::bad_setting,
                  fmt::format("peers: {} is named twice", settings.peers[i].id.to_string()));
    }
  }
  for (std::size_t i = 0; i < settings.collections.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      if (settings.collections[i].name != settings.collections[k].name) continue;
      return fail(Code::bad_setting,
                  fmt::format("collections: {} is named twice", settings.collections[i].name));
    }
  }
  return {};
}

}  // namespace

Result<HostPort> HostPort::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return fail(Code::bad_setting,
                fmt::format("'{}' is not ADDR:PORT, such as 127.0.0.1:8081", text));
  }
  auto host = text.substr(0, colon);
  const bool bracketed = host.front() == '[';
  if (bracketed != (host.back() == ']') ||
      (!bracketed && host.find(':') != std::string_view::npos)) {
    return fail(Code::bad_setting,
                fmt::format("'{}': an IPv6 address goes in brackets, such as [::1]:8081", text));
  }
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host.empty()) {
    return fail(Code::bad_setting, fmt::format("'{}' names no host before the port", text));
  }
  PEAT_TRY(const auto port, parse_port(text.substr(colon + 1)));
  return HostPort{std::string(host), port};
}

std::string HostPort::to_string() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

bool HostPort::is_loopback() const {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

Result<PeerSetting> PeerSetting::parse(std::string_view text) {
  PeerSetting peer;
  auto rest = text;
  if (const auto comma = rest.find(','); comma != std::string_view::npos) {
    for (auto options = rest.substr(comma); !options.empty();) {
      options.remove_prefix(1);
      const auto option = options.substr(0, options.find(','));
      options.remove_prefix(option.size());
      if (option == "auth=none" || option == "auth=formation") {
        peer.authenticated = option == "auth=formation";
      } else if (const auto relation = relation_from(option)) {
        peer.relation = *relation;
      } else {
        return fail(Code::bad_setting,
                    fmt::format("'{}': after the comma stands auth=none or auth=formation, or "
                                "relation=up, down or lateral",
                                text));
      }
    }
    rest = rest.substr(0, comma);
  }
  const auto at = rest.find('@');
  if (at == std::string_view::npos) {
    return fail(Code::bad_setting,
                fmt::format("'{}' is not ENDPOINT_ID@HOST:PORT (the id is what 'peat id' prints on "
                            "the peer)",
                            text));
  }
  auto id = EndpointId::parse(rest.substr(0, at));
  if (!id) {
    return fail(Code::bad_setting,
                fmt::format("'{}': the endpoint id before the @ is 64 hex digits: {}", text,
                            id.error().message));
  }
  peer.id = *id;
  PEAT_TRY(peer.address, HostPort::parse(rest.substr(at + 1)));
  if (peer.address.port == 0) {
    return fail(Code::bad_setting, fmt::format("'{}': port 0 cannot be dialled", text));
  }
  return peer;
}

std::string PeerSetting::to_string() const {
  const auto* const stands = kRelations[static_cast<std::size_t>(relation)];
  return fmt::format("{}@{}{}{}{}", id.to_string(), address.to_string(),
                     authenticated ? "" : ",auth=none",
                     *stands == '\0' ? "" : ",relation=", stands);
}

std::span<const SettingInfo> setting_table() {
  static constexpr std::array kTable{
#define PEAT_SETTING(name, type, value, flag, env, key, reload, secret, help) \
  SettingInfo{#name, #type, value, flag, env, key, reload, secret, help},
#include "node/settings.def"
#undef PEAT_SETTING
  };
  return kTable;
}

std::span<const LegacyVariable> legacy_variable_table() {
  static constexpr std::array kTable{
#define PEAT_LEGACY_VARIABLE(name, disposition, setting, note) \
  LegacyVariable{#name, Disposition::disposition, #setting, note},
#include "node/legacy_variables.def"
#undef PEAT_LEGACY_VARIABLE
  };
  return kTable;
}

Environment process_environment() {
  return [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    // Compose files and charts inject empty variables: they mean "unset" (fault F25).
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
}

void forget_secret_variables() {
  for (const auto& info : setting_table()) {
    if (!info.secret || info.variable.empty()) continue;
    const std::string name(info.variable);
    if (char* value = std::getenv(name.c_str())) {
      crypto::wipe({reinterpret_cast<std::uint8_t*>(value), std::strlen(value)});
    }
    unsetenv(name.c_str());
  }
}

void wipe_secrets(RawLayer& layer) {
  for (const auto& info : setting_table()) {
    const auto found = info.secret ? layer.find(info.name) : layer.end();
    if (found == layer.end()) continue;
    for (auto& text : found->second.texts) wipe_text(text);
    layer.erase(found);
  }
}

Secret::Secret(std::string_view text) {
  if (!text.empty()) content_ = std::make_shared<const crypto::SecretBytes>(as_bytes(text));
}

std::string_view Secret::text() const {
  if (!content_) return {};
  const auto bytes = content_->view();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<RawLayer> read_environment(const Environment& environment) {
  RawLayer layer;
  for (const auto& legacy : legacy_variable_table()) {
    auto value = environment(legacy.name);
    if (!value || value->empty()) continue;
    if (legacy.disposition == Disposition::absent) {
      return fail(Code::unsupported, fmt::format("{} is set, but not in this version: {}; unset it",
                                                 legacy.name, legacy.note));
    }
    if (is_secret_variable(legacy.name)) {  // read below, without further copies
      wipe_text(*value);
      continue;
    }
    const auto where = fmt::format("variable {}", legacy.name);
    auto text = legacy_text(legacy, *value);
    if (!text.empty())
      layer.insert_or_assign(std::string(legacy.setting), RawValue{{std::move(text)}, where});
  }
  for (const auto& info : setting_table()) {
    if (info.variable.empty()) continue;
    auto value = environment(info.variable);
    if (!value || value->empty()) continue;
    RawValue raw{{}, fmt::format("variable {}", info.variable)};
    if (is_list(info.type)) {
      raw.texts = split_words(*value);
    } else {
      raw.texts.push_back(std::move(*value));
    }
    if (!raw.texts.empty()) layer.insert_or_assign(std::string(info.name), std::move(raw));
  }
  return layer;
}

Result<Loaded> resolve_settings(const RawLayer& flags, const RawLayer& variables,
                                const RawLayer& file, const Environment& environment) {
  const std::array layers{&flags, &variables, &file};
  Loaded loaded;
  std::size_t row = 0;
#define PEAT_SETTING(name, type, value, flag, env, key, reload, secret, help) \
  PEAT_TRY_VOID(                                                              \
      resolve_one(setting_table()[row++], layers, loaded.settings.name, loaded.where[#name]));
#include "node/settings.def"
#undef PEAT_SETTING
  auto& settings = loaded.settings;
  if (settings.api.host == "localhost") settings.api.host = "127.0.0.1";
  if (settings.node_id.empty()) settings.node_id = default_node_id(environment);
  if (settings.data_dir.empty()) {
    PEAT_TRY(settings.data_dir, default_data_dir(environment));
  }
  PEAT_TRY_VOID(check_together(settings));
  return loaded;
}

std::string_view to_string(Binding binding) {
  constexpr std::array<std::string_view, 3> kNames{"off", "prefer", "require"};
  return kNames[static_cast<std::size_t>(binding)];
}

std::string_view to_string(LogLevel level) {
  constexpr std::array<std::string_view, 6> kNames{"trace", "debug", "info",
                                                   "warn",  "error", "off"};
  return kNames[static_cast<std::size_t>(level)];
}

std::string_view to_string(LogFormat format) { return format == LogFormat::json ? "json" : "text"; }

}  // namespace peat::node
