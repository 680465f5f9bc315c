// Registering commands.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>

#include "peat_cli/commands.hpp"

namespace peat::cli {

// Adds a command with its examples. The exit code of `run` becomes the program's.
template <class Run>
CLI::App* add_command(CLI::App& parent, int& exit_code, const char* name, const char* help,
                      const char* examples, Run run) {
  auto* command = parent.add_subcommand(name, help);
  command->footer(std::string("\nExamples:\n") + examples);
  command->fallthrough();
  command->callback([&exit_code, run] { exit_code = run(); });
  return command;
}

// `peat mesh`, `peat cert` and what belongs to `peat id`; `session` is asked when a command runs.
void add_security_commands(CLI::App& app, int& exit_code, std::function<Session()> session);

// `peat sync`, `explain`, `quarantine` and `backup`.
void add_operation_commands(CLI::App& app, int& exit_code, std::function<Session()> session);

}  // namespace peat::cli
