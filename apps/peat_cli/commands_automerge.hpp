// `peat automerge …`: looking into and combining Automerge files, without a node.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

#include "peat_cli/output.hpp"

namespace peat::cli {

// Adds the command and its subcommands. The exit code of the one that runs goes to `exit_code`;
// `mode` tells at that time how to print.
void add_automerge_commands(CLI::App& app, int& exit_code, std::function<OutputMode()> mode);

}  // namespace peat::cli
