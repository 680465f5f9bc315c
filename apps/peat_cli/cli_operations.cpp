// Registering the commands of operators.
#include <memory>

#include "peat_cli/cli.hpp"

namespace peat::cli {

namespace {

void add_explain(CLI::App& app, int& exit_code, const std::function<Session()>& session) {
  auto options = std::make_shared<ExplainOptions>();
  auto* explain = app.add_subcommand("explain", "Say why something is as it is.");
  explain->require_subcommand(1);
  explain->footer("\nExamples:\n  peat explain doc trucks/t7 --peer 3f9a\n");
  auto* document =
      add_command(*explain, exit_code, "doc", "Say why a document is, or is not, on a peer.",
                  "  peat explain doc trucks/t7 --peer 3f9a\n",
                  [options, session] { return run_explain(session(), *options); });
  document->add_option("document", options->document, "COLLECTION/ID")->required();
  document->add_option("--peer", options->peer, "ENDPOINT_ID, or how it begins.")->required();
  auto* peer = add_command(*explain, exit_code, "peer", "Say how a peer stands, and why.",
                           "  peat explain peer 3f9a\n",
                           [options, session] { return run_explain(session(), *options); });
  peer->add_option("peer", options->peer, "ENDPOINT_ID, or how it begins.")->required();
}

void add_quarantine(CLI::App& app, int& exit_code, const std::function<Session()>& session) {
  auto document = std::make_shared<std::string>();
  auto* quarantine = app.add_subcommand(
      "quarantine", "Documents that are set aside: unreadable, refused, or damaged in the store.");
  quarantine->require_subcommand(1);
  quarantine->footer("\nExamples:\n  peat quarantine list\n  peat quarantine retry trucks/t7\n");
  add_command(*quarantine, exit_code, "list", "List them with their reasons.",
              "  peat quarantine list\n", [session] { return run_quarantine_list(session()); });
  const auto add = [&](const char* name, const char* help, const char* example,
                       int (*run)(const Session&, const std::string&)) {
    add_command(*quarantine, exit_code, name, help, example,
                [document, session, run] { return run(session(), *document); })
        ->add_option("document", *document, "COLLECTION/ID")
        ->required();
  };
  add("show", "Print all that is known of one.", "  peat quarantine show trucks/t7\n",
      run_quarantine_show);
  add("retry", "Read it again, and ask the peers that have it to send it.",
      "  peat quarantine retry trucks/t7\n", run_quarantine_retry);
  add("drop", "Take it off the list; a damaged record is given up.",
      "  peat quarantine drop trucks/t7\n", run_quarantine_drop);
}

}  // namespace

void add_operation_commands(CLI::App& app, int& exit_code, std::function<Session()> session) {
  add_command(app, exit_code, "sync", "Show how far each peer is behind, by collection.",
              "  peat sync\n", [session] { return run_sync(session()); });
  add_explain(app, exit_code, session);
  add_quarantine(app, exit_code, session);
  auto file = std::make_shared<std::string>();
  add_command(app, exit_code, "backup", "Copy the store of the running node into a file.",
              "  peat backup depot.backup\n  peat-mesh-node restore depot.backup --data-dir DIR\n",
              [file, session] { return run_backup(session(), *file); })
      ->add_option("file", *file, "FILE")
      ->required();
}

}  // namespace peat::cli
