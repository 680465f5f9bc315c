#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <fmt/format.h>
#include <toml++/toml.h>

#include <fstream>
#include <sstream>

#include "node/settings.hpp"
#include "node/settings_text.hpp"

namespace peat::node {

namespace {

constexpr std::int64_t kSchemaVersion = 1;
// A settings file is small; anything larger is the wrong file.
constexpr std::streamoff kMaxFileBytes = 1 << 20;

const SettingInfo* find_by_key(std::string_view key) {
  for (const auto& info : setting_table()) {
    if (!info.file_key.empty() && info.file_key == key) return &info;
  }
  return nullptr;
}

class FileReader {
 public:
  explicit FileReader(std::string_view file_name) : file_name_(file_name) {}

  Status read_table(const toml::table& table, const std::string& prefix) {
    for (const auto& [key, node] : table) {
      const auto name = prefix.empty() ? std::string(key.str()) : prefix + "." + std::string(key);
      if (name == "schema_version") continue;
      if (const auto* info = find_by_key(name)) {
        PEAT_TRY_VOID(read_value(*info, node));
      } else if (node.is_table()) {
        PEAT_TRY_VOID(read_table(*node.as_table(), name));
      } else {
        return error(node, fmt::format("there is no setting '{}'", name));
      }
    }
    return {};
  }

  Status check_schema(const toml::table& table) const {
    const auto version = table["schema_version"].value<std::int64_t>();
    if (!version) {
      return fail(Code::bad_setting,
                  fmt::format("file {}: the first line must be schema_version = {}", file_name_,
                              kSchemaVersion));
    }
    if (*version != kSchemaVersion) {
      return fail(Code::bad_setting,
                  fmt::format("file {}: schema_version is {}, this program reads {}", file_name_,
                              *version, kSchemaVersion));
    }
    return {};
  }

  RawLayer take() { return std::move(layer_); }

 private:
  std::string place(const toml::node& node) const {
    return fmt::format("file {} line {}", file_name_, node.source().begin.line);
  }
  std::unexpected<Error> error(const toml::node& node, std::string_view what) const {
    return fail(Code::bad_setting, fmt::format("{}: {}", place(node), what));
  }

  Result<std::string> scalar_text(const toml::node& node) const {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* flag = node.as_boolean()) return std::string(flag->get() ? "true" : "false");
    return error(node, "a text, a whole number or true/false is meant here");
  }

  // { name = "tracks", mode = "latest", ... }
  Result<std::string> collection_text(const toml::table& table) const {
    std::string name;
    std::string options;
    for (const auto& [key, node] : table) {
      PEAT_TRY(const auto text, scalar_text(node));
      if (key == "name") {
        name = text;
      } else {
        options += (options.empty() ? "" : ",") + std::string(key.str()) + "=" + text;
      }
    }
    if (name.empty()) return error(table, "a collection needs a name");
    return name + ":" + options;
  }

  // { id = "...", addr = "...", auth = "none", relation = "up" }
  Result<std::string> peer_text(const toml::table& table) const {
    std::string id;
    std::string address;
    std::string auth;
    std::string relation;
    for (const auto& [key, node] : table) {
      auto* member = key == "id"         ? &id
                     : key == "addr"     ? &address
                     : key == "auth"     ? &auth
                     : key == "relation" ? &relation
                                         : nullptr;
      if (member == nullptr) {
        return error(node, fmt::format("a peer has id, addr, auth and relation, not '{}'",
                                       std::string_view(key.str())));
      }
      PEAT_TRY(*member, scalar_text(node));
    }
    if (id.empty() || address.empty()) return error(table, "a peer needs id and addr");
    return id + "@" + address + (auth.empty() ? "" : ",auth=" + auth) +
           (relation.empty() ? "" : ",relation=" + relation);
  }

  Status read_value(const SettingInfo& info, const toml::node& node) {
    RawValue raw{{}, place(node)};
    if (const auto* array = node.as_array()) {
      if (!is_list(info.type)) return error(node, "one value is meant here, not a list");
      const bool peers = info.type == "Peers";
      for (const auto& element : *array) {
        PEAT_TRY(auto text, !element.is_table() ? scalar_text(element)
                            : peers             ? peer_text(*element.as_table())
                                                : collection_text(*element.as_table()));
        raw.texts.push_back(std::move(text));
      }
      if (raw.texts.empty()) return {};
    } else {
      PEAT_TRY(auto text, scalar_text(node));
      raw.texts.push_back(std::move(text));
    }
    layer_.insert_or_assign(std::string(info.name), std::move(raw));
    return {};
  }

  std::string file_name_;
  RawLayer layer_;
};

std::string toml_quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string toml_value(std::string_view type, const std::vector<std::string>& texts) {
  if (type == "bool" || type == "std::uint32_t") return texts.front();
  if (!is_list(type)) return toml_quote(texts.front());
  std::string out = "[";
  for (const auto& text : texts) out += (out.size() > 1 ? ", " : "") + toml_quote(text);
  return out + "]";
}

std::string print_setting(const SettingInfo& info, const std::vector<std::string>& shown,
                          std::string_view where) {
  const bool unset = shown.empty() || shown.front().empty();
  const bool outside_file = info.file_key.empty();
  return fmt::format("{}{} = {}  # {}\n", unset || outside_file ? "# " : "",
                     outside_file ? info.name : info.file_key,
                     unset ? "unset" : toml_value(info.type, shown), where);
}

std::string_view type_in_words(std::string_view type) {
  if (type == "bool") return "true or false";
  if (type == "std::uint32_t") return "number";
  if (type == "Millis") return "duration";
  if (type == "HostPort") return "ADDR:PORT";
  if (type == "Peers") return "list of peers";
  if (type == "CollectionSettings") return "list of collections";
  if (type == "AccessSettings") return "list of access rules";
  if (type == "TtlPreset") return "name of a preset";
  if (type == "Path") return "path";
  return "text";
}

}  // namespace

Result<RawLayer> read_settings_text(std::string_view text, std::string_view file_name) {
  const auto parsed = toml::parse(text, file_name);
  if (!parsed) {
    const auto& error = parsed.error();
    return fail(Code::bad_setting, fmt::format("file {} line {}: {}", file_name,
                                               error.source().begin.line, error.description()));
  }
  FileReader reader(file_name);
  PEAT_TRY_VOID(reader.check_schema(parsed.table()));
  PEAT_TRY_VOID(reader.read_table(parsed.table(), ""));
  return reader.take();
}

Result<RawLayer> read_settings_file(const std::filesystem::path& file) {
  std::ifstream input(file, std::ios::binary | std::ios::ate);
  if (!input) {
    return fail(Code::bad_setting, fmt::format("file {}: cannot be read: {}", file.string(),
                                               std::generic_category().message(errno)));
  }
  if (input.tellg() > kMaxFileBytes) {
    return fail(Code::bad_setting, fmt::format("file {}: larger than {} bytes; not a settings file",
                                               file.string(), kMaxFileBytes));
  }
  input.seekg(0);
  std::ostringstream text;
  text << input.rdbuf();
  return read_settings_text(text.view(), file.string());
}

std::string print_settings(const Loaded& loaded) {
  std::string out = fmt::format("schema_version = {}\n", kSchemaVersion);
  std::size_t row = 0;
#define PEAT_SETTING(name, type, value, flag, env, key, reload, secret, help)    \
  out += print_setting(setting_table()[row++], show_value(loaded.settings.name), \
                       loaded.where.at(#name));
#include "node/settings.def"
#undef PEAT_SETTING
  return out;
}

std::string settings_reference() {
  std::string out =
      "# Settings of peat-mesh-node\n\n"
      "A flag wins over an environment variable, that over the settings file, that over the\n"
      "default. An empty variable is unset. The file is TOML and begins with "
      "`schema_version = 1`.\nDurations are written `500ms`, `30s`, `5m`, `12h` or `7d`.\n\n";
  for (const auto& info : setting_table()) {
    out += fmt::format("## {}\n\n{}\n\n", info.name, info.help);
    if (!info.flag.empty()) out += fmt::format("- flag: `{}`\n", info.flag);
    out += fmt::format("- variable: `{}`\n", info.variable);
    if (!info.file_key.empty()) out += fmt::format("- file key: `{}`\n", info.file_key);
    out += fmt::format("- type: {}\n", type_in_words(info.type));
    if (!info.default_text.empty()) out += fmt::format("- default: `{}`\n", info.default_text);
    if (info.reloadable) out += "- SIGHUP applies a change to the running node\n";
    out += "\n";
  }
  out += "# Variables of older nodes\n\n| variable | here | note |\n|---|---|---|\n";
  for (const auto& legacy : legacy_variable_table()) {
    const auto here = legacy.disposition == Disposition::same        ? "same"
                      : legacy.disposition == Disposition::different ? "different"
                                                                     : "not in this version";
    const bool maps = legacy.disposition != Disposition::absent;
    out +=
        fmt::format("| `{}` | {} | {}{} |\n", legacy.name, here,
                    maps ? fmt::format("sets `{}`: ", legacy.setting) : std::string(), legacy.note);
  }
  return out;
}

}  // namespace peat::node
