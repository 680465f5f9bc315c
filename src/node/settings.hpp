// Settings: what a node is told, from flags, environment, file and defaults.
//
// settings.def is the one table; the command line, the variables, the file's keys, --print-config
// and the reference page come from it. legacy_variables.def says what became of the variables of
// the nodes already in the field (spec/mesh.md 17.1).
//
// Each source gives a layer of texts (RawLayer); resolve_settings() puts them over one another
// (flag, variable, file, default) and reads each text once. Nothing falls back silently: a text
// that cannot be used is Code::bad_setting, and the message names the setting, the text, where it
// came from and a form that works.
//
// Threading: values. Durations are written "500ms", "30s" or "5m".
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "node/collection_setting.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "security/access_rules.hpp"
#include "sync/relation.hpp"

namespace peat::crypto {
class SecretBytes;
}

namespace peat::node {

// "127.0.0.1:8081", "[::1]:8081". The host is a numeric address where we bind and any name where
// we dial.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;

  static Result<HostPort> parse(std::string_view text);
  std::string to_string() const;
  bool is_loopback() const;  // 127.0.0.0/8 or ::1, as a numeric address
  friend bool operator==(const HostPort&, const HostPort&) = default;
};

// "ENDPOINT_ID@HOST:PORT", with options after commas: auth=none, relation=up|down|lateral.
struct PeerSetting {
  EndpointId id;
  HostPort address;
  bool authenticated = true;  // false: auth=none, a peer that proves nothing
  sync::Relation relation = sync::Relation::unknown;  // where it stands, for deletions

  static Result<PeerSetting> parse(std::string_view text);
  std::string to_string() const;
  friend bool operator==(const PeerSetting&, const PeerSetting&) = default;
};

using Path = std::filesystem::path;
using Peers = std::vector<PeerSetting>;
using CollectionSettings = std::vector<CollectionSetting>;
using AccessSettings = std::vector<security::AccessRule>;
using sync::TtlPreset;
using Millis = std::chrono::milliseconds;

// A text that no printer shows, in memory that is locked and wiped. Copies share it: it is gone
// when the last of them is.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text);

  bool empty() const { return content_ == nullptr; }
  std::string_view text() const;

 private:
  std::shared_ptr<const crypto::SecretBytes> content_;
};

enum class Binding : std::uint8_t { off, prefer, require };
enum class LogLevel : std::uint8_t { trace, debug, info, warn, error, off };
enum class LogFormat : std::uint8_t { text, json };

struct Settings {
#define PEAT_SETTING(name, type, value, flag, env, key, reload, secret, help) type name{};
#include "node/settings.def"
#undef PEAT_SETTING
};

struct SettingInfo {
  std::string_view name;
  std::string_view type;
  std::string_view default_text;
  std::string_view flag;
  std::string_view variable;
  std::string_view file_key;
  bool reloadable;
  bool secret;
  std::string_view help;
};
std::span<const SettingInfo> setting_table();

enum class Disposition : std::uint8_t { same, different, absent };
struct LegacyVariable {
  std::string_view name;
  Disposition disposition;
  std::string_view setting;
  std::string_view note;
};
std::span<const LegacyVariable> legacy_variable_table();

// The texts of one source. A list has several, everything else one.
struct RawValue {
  std::vector<std::string> texts;
  std::string where;  // "flag --bind", "variable PEAT_BIND", "file node.toml line 4", "default"
};
using RawLayer = std::map<std::string, RawValue, std::less<>>;  // by setting name

using Environment = std::function<std::optional<std::string>(std::string_view name)>;
Environment process_environment();
// Overwrites and unsets the variables of this process that hold a secret: children, and whoever
// may read /proc, must not find it. Once the settings are loaded, before there are threads.
void forget_secret_variables();
// Overwrites the texts of secret settings.
void wipe_secrets(RawLayer& layer);

// Empty variables are unset. Code::unsupported names a legacy variable that is not in this
// version.
Result<RawLayer> read_environment(const Environment& environment);
// TOML with `schema_version = 1`. Unknown keys are refused with their line.
Result<RawLayer> read_settings_file(const std::filesystem::path& file);
Result<RawLayer> read_settings_text(std::string_view toml, std::string_view file_name);

struct Loaded {
  Settings settings;
  std::map<std::string, std::string, std::less<>> where;  // by setting name
};
// `environment` gives the fall-backs of node_id and data_dir (host name, home directory).
Result<Loaded> resolve_settings(const RawLayer& flags, const RawLayer& variables,
                                const RawLayer& file, const Environment& environment);

// The effective settings as a settings file, each line with where it came from; secrets masked.
std::string print_settings(const Loaded& loaded);
// The reference page (Markdown).
std::string settings_reference();

// The secondary indexes that the settings ask for. Code::bad_setting beyond query_indexes.
Result<std::vector<IndexName>> indexes_of(const Settings& settings, const Limits& limits);

// The field's rules, with what the settings say over them.
sync::Collections collections_of(const Settings& settings);

std::string_view to_string(Binding binding);
std::string_view to_string(LogLevel level);
std::string_view to_string(LogFormat format);

}  // namespace peat::node
