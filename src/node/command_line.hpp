// The command line of peat-mesh-node, built from the table of settings.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "node/settings.hpp"
#include "peat/error.hpp"

namespace peat::node {

struct CommandLine {
  RawLayer flags;
  std::optional<std::filesystem::path> config_file;  // --config or PEAT_CONFIG
  // restore FILE: the store is made from a backup, and that is all.
  std::optional<std::filesystem::path> restore_from;
  bool check_config = false;
  bool print_config = false;
  bool print_reference = false;
  // Set by --help and --version: print this and exit 0.
  std::optional<std::string> print_and_exit;
};

// Code::bad_setting for an unknown flag, with the closest hint that there is.
Result<CommandLine> parse_command_line(int argc, const char* const* argv,
                                       const Environment& environment);

// Reads file and environment and resolves everything.
Result<Loaded> load_settings(const CommandLine& command_line, const Environment& environment);

}  // namespace peat::node
