#include "peat_cli/completion.hpp"

#include <fmt/format.h>

namespace peat::cli {

namespace {

std::string flags_of(const CLI::App& command) {
  std::string flags;
  for (const auto* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) flags += " --" + name;
  }
  return flags;
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string commands;
  std::string cases;
  const auto shared = flags_of(app);
  for (const auto* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    commands += ' ' + command->get_name();
    std::string nested;
    for (const auto* child : command->get_subcommands([](const CLI::App*) { return true; })) {
      nested += ' ' + child->get_name();
    }
    cases += fmt::format("    {}) words=\"{}{}{}\" ;;\n", command->get_name(), nested,
                         flags_of(*command), shared);
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
                     commands, cases, shared);
}

}  // namespace peat::cli
