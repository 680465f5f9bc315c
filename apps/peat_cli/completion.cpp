#include "peat_cli/completion.hpp"

#include <fmt/format.h>

#include <set>

namespace peat::cli {

namespace {

void add_flags(const CLI::App& command, std::set<std::string>& flags) {
  for (const auto* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) flags.insert(" --" + name);
  }
}

std::string joined(const std::set<std::string>& words) {
  std::string line;
  for (const auto& word : words) line += word;
  return line;
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string commands;
  std::string cases;
  std::set<std::string> shared;
  add_flags(app, shared);
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands += ' ' + command->get_name();
    std::string nested;
    auto flags = shared;
    add_flags(*command, flags);
    for (const auto* child : command->get_subcommands([](const CLI::App*) { return true; })) {
      nested += ' ' + child->get_name();
      add_flags(*child, flags);
    }
    cases += fmt::format("    {}) words=\"{}{}\" ;;\n", command->get_name(), nested, joined(flags));
  }
  return fmt::format(R"(# bash completion of peat
_peat() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} word command= words i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${{COMP_WORDS[i]}}
    case " {0} " in *" $word "*) command=$word; break ;; esac
  done
  case $command in
{1}    *) words="{0}{2}" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ $current != -* && ($command == import || $command == export || $command == put ||
        $command == automerge) ]]; then
    COMPREPLY+=($(compgen -f -- "$current"))
  fi
}}
complete -o filenames -F _peat peat
)",
                     commands, cases, joined(shared));
}

}  // namespace peat::cli
