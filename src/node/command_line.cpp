#include "node/command_line.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "node/version.hpp"

namespace peat::node {

namespace {

constexpr const char* kExamples =
    "\nExamples:\n"
    "  peat secret new > formation.secret && chmod 600 formation.secret\n"
    "  peat-mesh-node --node-id depot --data-dir /var/lib/peat \\\n"
    "      --formation-secret-file formation.secret\n"
    "  peat-mesh-node --config /etc/peat/node.toml --check-config\n"
    "  peat-mesh-node restore depot.backup --data-dir /var/lib/peat\n"
    "\n"
    "When ready, one JSON line on standard output; logs go to standard error. SIGTERM drains and\n"
    "exits 0; SIGHUP reads log level and peers again.\n";

bool is_switch(const SettingInfo& info) {
  return info.type == "bool" && info.default_text == "false";
}

}  // namespace

Result<CommandLine> parse_command_line(int argc, const char* const* argv,
                                       const Environment& environment) {
  CommandLine result;
  CLI::App app{"A node of a peat mesh: keeps documents in agreement with its peers.",
               "peat-mesh-node"};
  app.footer(kExamples);
  app.set_help_flag("-h,--help", "Print this and exit.");

  std::vector<std::vector<std::string>> texts(setting_table().size());
  std::vector<CLI::Option*> options(setting_table().size());
  for (std::size_t i = 0; i < setting_table().size(); ++i) {
    const auto& info = setting_table()[i];
    if (info.flag.empty()) continue;
    const std::string flag(info.flag);
    if (is_switch(info)) {
      options[i] = app.add_flag(flag + "{true}", texts[i], std::string(info.help));
    } else {
      options[i] = app.add_option(flag, texts[i], std::string(info.help))->expected(1);
      options[i]->take_all()->allow_extra_args(false);
      options[i]->type_name(info.type == "Peers"                ? "PEER"
                            : info.type == "CollectionSettings" ? "COLLECTION"
                            : info.type == "AccessSettings"     ? "RULE"
                            : info.type == "HostPort"           ? "ADDR:PORT"
                                                                : "VALUE");
      if (!info.default_text.empty()) {
        options[i]->description(fmt::format("{} [{}]", info.help, info.default_text));
      }
    }
  }
  std::string config;
  bool version = false;
  app.add_option("--config", config, "Settings file (TOML). Variable: PEAT_CONFIG.");
  app.add_flag("--check-config", result.check_config,
               "Read all settings, report what is wrong, exit.");
  app.add_flag("--print-config", result.print_config,
               "Print the effective settings with their sources, secrets masked, and exit.");
  app.add_flag("--print-settings-reference", result.print_reference,
               "Print the reference page of all settings (Markdown) and exit.");
  app.add_flag("--version", version, "Print the version and exit.");

  std::string backup;
  auto* restore = app.add_subcommand(
      "restore", "Make the store in --data-dir from a file that peat backup wrote, and exit.");
  restore->add_option("file", backup, "FILE")->required();
  restore->fallthrough();

  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    result.print_and_exit = app.help();
    return result;
  } catch (const CLI::ParseError& error) {
    return fail(Code::bad_setting,
                fmt::format("{}; peat-mesh-node --help lists the flags", error.what()));
  }
  if (restore->parsed()) result.restore_from = backup;
  if (version) result.print_and_exit = fmt::format("peat-mesh-node {}\n", kVersion);
  for (std::size_t i = 0; i < setting_table().size(); ++i) {
    if (options[i] == nullptr || options[i]->count() == 0) continue;
    const auto& info = setting_table()[i];
    result.flags.insert_or_assign(std::string(info.name),
                                  RawValue{texts[i], fmt::format("flag {}", info.flag)});
  }
  if (!config.empty()) {
    result.config_file = config;
  } else if (auto variable = environment("PEAT_CONFIG")) {
    result.config_file = *variable;
  }
  return result;
}

Result<Loaded> load_settings(const CommandLine& command_line, const Environment& environment) {
  RawLayer file;
  if (command_line.config_file) {
    PEAT_TRY(file, read_settings_file(*command_line.config_file));
  }
  PEAT_TRY(auto variables, read_environment(environment));
  auto loaded = resolve_settings(command_line.flags, variables, file, environment);
  wipe_secrets(variables);
  return loaded;
}

}  // namespace peat::node
