// peat: look at a node and change its documents.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <csignal>
#include <cstdlib>

#include "daemon/process.hpp"
#include "node/version.hpp"
#include "peat_cli/cli.hpp"
#include "peat_cli/commands.hpp"
#include "peat_cli/commands_automerge.hpp"
#include "peat_cli/completion.hpp"

namespace {

using peat::cli::add_command;
using peat::cli::OutputMode;

constexpr const char* kExitCodes =
    "\nExit codes: 0 done, 1 timeout or no peers, 2 authentication, 3 permission, 4 bad request,\n"
    "130 interrupted. Data goes to standard output, messages to standard error; a table when that\n"
    "is a terminal, JSON otherwise.\n";

// What the options of all commands are read into.
struct Arguments {
  std::string api = "http://127.0.0.1:8081";
  std::string output = "auto";
  std::uint32_t timeout_seconds = 30;
  std::string token_file;
  std::string data_dir;
  std::string shell = "bash";
  std::string peer;
  peat::cli::ConnectOptions connect;
  peat::cli::GetOptions get;
  peat::cli::PutOptions put;
  peat::cli::UpdateOptions update;
  peat::cli::DeleteOptions erase;
  peat::cli::ListOptions list;
  peat::cli::WatchOptions watch;
  peat::cli::QueryOptions query;
  peat::cli::ImportOptions import;
  peat::cli::ExportOptions export_;
};

peat::cli::Session session_of(const Arguments& arguments) {
  auto mode = peat::cli::detect_output_mode();
  if (arguments.output == "table") mode = OutputMode::table;
  if (arguments.output == "json") mode = OutputMode::json;
  return {arguments.api, mode, arguments.timeout_seconds, arguments.token_file};
}

void add_node_commands(CLI::App& app, Arguments& arguments, int& exit_code) {
  auto* id = add_command(app, exit_code, "id",
                         "Print a node's endpoint id; makes its key first "
                         "if there is none. The node need not run.",
                         "  peat id --data-dir /var/lib/peat\n", [&] {
                           const bool alone = app.get_subcommand("id")->get_subcommands().empty();
                           return alone ? peat::cli::run_id(arguments.data_dir) : exit_code;
                         });
  id->add_option("--data-dir", arguments.data_dir,
                 "The node's data directory. [that of peat-mesh-node]");

  auto* secret = app.add_subcommand("secret", "Formation secrets.");
  secret->require_subcommand(1);
  secret->footer("\nExamples:\n  peat secret new > formation.secret\n");
  add_command(*secret, exit_code, "new", "Print a new formation secret.",
              "  (umask 077; peat secret new > formation.secret)\n",
              [] { return peat::cli::run_secret_new(); });

  add_command(app, exit_code, "status", "Show the node, its peers and its documents.",
              "  peat status\n  peat --api http://127.0.0.1:8082 status --output json\n",
              [&] { return peat::cli::run_status(session_of(arguments)); });
  add_command(app, exit_code, "peers", "Show the peers.", "  peat peers\n",
              [&] { return peat::cli::run_peers(session_of(arguments)); });
  add_command(app, exit_code, "access",
              "Show the access rules, what each connected peer may do, and what was denied.",
              "  peat access\n  peat access --output json\n",
              [&] { return peat::cli::run_access(session_of(arguments)); });

  auto* connect = add_command(
      app, exit_code, "connect", "Add a peer, kept over restarts, and wait until it is connected.",
      "  peat connect 3f…9a@depot.example:11204\n"
      "  peat connect 3f…9a@10.0.0.7:11204,auth=none --wait 0\n",
      [&] { return peat::cli::run_connect(session_of(arguments), arguments.connect); });
  connect->add_option("peer", arguments.connect.peer, "ENDPOINT_ID@HOST:PORT[,auth=none]")
      ->required();
  connect->add_option("--wait", arguments.connect.wait_seconds,
                      "Seconds to wait for the connection; 0 does not wait. [10]");

  auto* disconnect =
      add_command(app, exit_code, "disconnect", "Close the connection to a peer and forget it.",
                  "  peat disconnect 3f…9a\n",
                  [&] { return peat::cli::run_disconnect(session_of(arguments), arguments.peer); });
  disconnect->add_option("peer", arguments.peer, "ENDPOINT_ID")->required();
}

void add_document_commands(CLI::App& app, Arguments& arguments, int& exit_code) {
  auto* get = add_command(app, exit_code, "get", "Print a document.",
                          "  peat get trucks/t7\n  peat get trucks/t7 --history\n"
                          "  peat get trucks/t7 --conflicts\n",
                          [&] { return peat::cli::run_get(session_of(arguments), arguments.get); });
  get->add_option("document", arguments.get.name, "COLLECTION/ID")->required();
  get->add_flag("--history", arguments.get.history, "Print its changes instead.");
  get->add_flag("--heads", arguments.get.heads, "Print its heads instead.");
  get->add_flag("--conflicts", arguments.get.conflicts,
                "Print where edits made apart left several values, who set them and when.");
  get->add_flag("--deleted", arguments.get.deleted, "Also if its _deleted is true.");

  auto* put = add_command(
      app, exit_code, "put",
      "Store a document. Only what differs is written, so that another "
      "node's edit of another field survives.",
      "  peat put trucks/t7 '{\"driver\": \"Ada\"}'\n"
      "  peat put trucks/t7 --from t7.json --if-absent\n  generate | peat put trucks/t7 --from -\n",
      [&] { return peat::cli::run_put(session_of(arguments), arguments.put); });
  put->add_option("document", arguments.put.name, "COLLECTION/ID")->required();
  put->add_option("json", arguments.put.json, "The document, a JSON object.");
  put->add_option("--from", arguments.put.from,
                  "Read the document from FILE, - for standard input.");
  put->add_option("--if-match", arguments.put.if_match, "Only if its ETag is this one.");
  put->add_flag("--if-absent", arguments.put.if_absent, "Only if there is no such document.");
  put->add_option("--wait-for-sync", arguments.put.wait,
                  "Return when so many peers hold it on their disks: a number, quorum or "
                  "peer:ENDPOINT_ID.");
  put->add_option("--wait-seconds", arguments.put.wait_seconds,
                  "How long to wait for them; the document stays written. [10]");

  auto* update =
      add_command(app, exit_code, "update", "Change single fields of a document.",
                  "  peat update trucks/t7 --set pos.lat=52.2 --set driver=Ada\n"
                  "  peat update trucks/t7 --unset pos\n"
                  "  peat update trucks/t7 --resolve driver=Ada --resolve items.0.n=5\n",
                  [&] { return peat::cli::run_update(session_of(arguments), arguments.update); });
  update->add_option("document", arguments.update.name, "COLLECTION/ID")->required();
  update->add_option("--set", arguments.update.set,
                     "path=value, repeatable. A value that is no JSON is a text.");
  update->add_option("--unset", arguments.update.unset, "path to remove, repeatable.");
  update->add_option("--resolve", arguments.update.resolve,
                     "path=value that settles the conflict there, repeatable; all or none. A path "
                     "is dotted, or a JSON pointer from a / on.");
  update->add_option("--if-match", arguments.update.if_match, "Only if its ETag is this one.");

  auto* erase = add_command(
      app, exit_code, "delete", "Delete a document, on all nodes.", "  peat delete trucks/t7\n",
      [&] { return peat::cli::run_delete(session_of(arguments), arguments.erase); });
  erase->add_option("document", arguments.erase.name, "COLLECTION/ID")->required();
  erase->add_option("--if-match", arguments.erase.if_match, "Only if its ETag is this one.");

  auto* list =
      add_command(app, exit_code, "list", "List the collections, or the documents of one.",
                  "  peat list\n  peat list trucks --limit 20\n  peat list trucks --prefix eu-\n",
                  [&] { return peat::cli::run_list(session_of(arguments), arguments.list); });
  list->add_option("collection", arguments.list.collection, "COLLECTION");
  list->add_option("--limit", arguments.list.limit, "At most so many. [100]");
  list->add_option("--after", arguments.list.after, "Begin after this id.");
  list->add_option("--prefix", arguments.list.prefix, "Only ids that begin so.");
  list->add_flag("--deleted", arguments.list.deleted, "Also those whose _deleted is true.");
  list->add_flag("--heads", arguments.list.heads,
                 "Print heads instead of documents: equal on two nodes that agree.");

  auto* query = add_command(
      app, exit_code, "query",
      "Find documents. The language: docs/query.md, or peat/query.hpp of the library.",
      "  peat query \"from trucks where speed > 80 order by speed desc limit 10\"\n"
      "  peat query \"from trucks where pos within 5 km of 52.1, 4.3\" --ids\n"
      "  peat query \"from orders where state in ('new', 'open') and not driver exists\"\n",
      [&] { return peat::cli::run_query(session_of(arguments), arguments.query); });
  query->add_option("query", arguments.query.text, "from COLLECTION where CONDITION …")->required();
  query->add_option("--page", arguments.query.page, "Go on where the page before ended.");
  query->add_flag("--ids", arguments.query.ids, "Print ids instead of documents.");

  auto* watch =
      add_command(app, exit_code, "watch", "Print every change as it becomes visible.",
                  "  peat watch\n  peat watch --collection trucks --after 1200\n"
                  "  peat watch --query \"from trucks where speed > 80\"\n",
                  [&] { return peat::cli::run_watch(session_of(arguments), arguments.watch); });
  watch->add_option("--collection,collection", arguments.watch.collection, "Only this collection.");
  watch->add_option("--prefix", arguments.watch.prefix, "Only ids that begin so.");
  watch->add_option("--after", arguments.watch.after, "Begin after this position.");
  watch->add_option("--query", arguments.watch.query,
                    "Print what a query finds, then what becomes of it.");
  watch->add_option("--resume", arguments.watch.resume,
                    "With --query: only what changed since the line with this token.");
  watch->add_option("--count", arguments.watch.count, "End after so many lines.");
}

void add_bulk_commands(CLI::App& app, Arguments& arguments, int& exit_code) {
  auto* import = add_command(
      app, exit_code, "import",
      "Store every record of a file: a JSON array, an object whose only member is an array, or "
      "an object per line. With a record that lacks the key or repeats it nothing is written.",
      "  peat import countries /usr/share/iso-codes/json/iso_3166-1.json --key alpha_2\n"
      "  peat export trucks | peat --api http://127.0.0.1:8082 import trucks - --key _id\n",
      [&] { return peat::cli::run_import(session_of(arguments), arguments.import); });
  import->add_option("collection", arguments.import.collection, "COLLECTION")->required();
  import->add_option("file", arguments.import.file, "FILE.json, FILE.ndjson or -")->required();
  import->add_option("--key", arguments.import.key, "The member that becomes the document's id.")
      ->required();
  import->add_flag("--skip-bad", arguments.import.skip_bad, "Leave unusable records out.");

  auto* export_ = add_command(
      app, exit_code, "export", "Print a collection as one JSON object per line, ids in _id.",
      "  peat export trucks > trucks.ndjson\n",
      [&] { return peat::cli::run_export(session_of(arguments), arguments.export_); });
  export_->add_option("collection", arguments.export_.collection, "COLLECTION")->required();
  export_->add_option("file", arguments.export_.file, "FILE instead of standard output.");
}

}  // namespace

int main(int argc, char** argv) {
  // A reader that leaves (peat list | head) ends the program without a word, even where the
  // parent ignores the signal; an interrupt has its own exit code.
  peat::daemon::harden_process();  // passphrases and keys pass through it
  std::signal(SIGPIPE, SIG_DFL);
  std::signal(SIGINT, [](int) { std::_Exit(130); });

  Arguments arguments;
  int exit_code = 0;
  CLI::App app{"Look at a peat mesh node and change its documents.", "peat"};
  app.footer(
      std::string("\nExamples:\n  peat status\n  peat put trucks/t7 '{\"driver\": \"Ada\"}'\n"
                  "  peat COMMAND --help\n") +
      kExitCodes);
  app.require_subcommand(1);
  app.add_option("--api", arguments.api,
                 "The node's interface: http://HOST:PORT, or unix:PATH. [http://127.0.0.1:8081]")
      ->envname("PEAT_API");
  app.add_option("--output", arguments.output, "table, json or auto. [auto]")
      ->check(CLI::IsMember({"table", "json", "auto"}));
  app.add_option("--timeout", arguments.timeout_seconds, "Seconds a write may take. [30]")
      ->check(CLI::Range(1, 86400));
  app.add_option("--token-file", arguments.token_file,
                 "File with the token that the interface needs.")
      ->envname("PEAT_TOKEN_FILE");
  app.set_version_flag("--version", fmt::format("peat {}", peat::node::kVersion));
  add_node_commands(app, arguments, exit_code);
  add_document_commands(app, arguments, exit_code);
  add_bulk_commands(app, arguments, exit_code);
  peat::cli::add_operation_commands(app, exit_code, [&] { return session_of(arguments); });
  peat::cli::add_security_commands(app, exit_code, [&] { return session_of(arguments); });
  peat::cli::add_automerge_commands(app, exit_code,
                                    [&arguments] { return session_of(arguments).mode; });
  auto* completion =
      add_command(app, exit_code, "completion", "Print a completion script for a shell.",
                  "  peat completion bash > ~/.local/share/bash-completion/"
                  "completions/peat\n",
                  [&] {
                    peat::cli::print(peat::cli::bash_completion(app));
                    return 0;
                  });
  completion->add_option("shell", arguments.shell, "bash")->check(CLI::IsMember({"bash"}));

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "peat: {}; peat --help lists the commands\n", error.what());
    return 4;
  } catch (const std::exception& error) {
    fmt::print(stderr, "peat: {}\n", error.what());
    return 1;
  }
  return exit_code;
}
