#include <memory>

#include "peat_cli/cli.hpp"
#include "peat_cli/commands_mesh.hpp"

namespace peat::cli {

namespace {

// What the options are read into; the commands that run keep it.
struct Arguments {
  MeshInitOptions init;
  MeshInviteOptions invite;
  MeshJoinOptions join;
  std::string show_data_dir;
  std::string who;
  CertIssueOptions issue;
  CertRevokeOptions revoke;
  CertRenewOptions renew;
  IdDeriveOptions derive;
  TokenNewOptions token;
  std::string rotate_data_dir;
  std::string device;
};
using Shared = std::shared_ptr<Arguments>;
using SessionSource = std::function<Session()>;

constexpr const char* kDataDirHelp = "The node's data directory. [that of peat-mesh-node]";

void add_mesh_commands(CLI::App& app, int& exit_code, const SessionSource& session,
                       const Shared& a) {
  auto* mesh = app.add_subcommand("mesh", "The mesh that a node belongs to.");
  mesh->require_subcommand(1);
  mesh->fallthrough();
  mesh->footer("\nExamples:\n  peat mesh init Depot\n  peat mesh invite\n  peat mesh join\n");

  auto* init = add_command(*mesh, exit_code, "init",
                           "Begin a mesh: this machine becomes its authority and first member.",
                           "  peat mesh init Depot\n"
                           "  peat mesh init Depot --data-dir /var/lib/peat --policy strict\n",
                           [=] { return run_mesh_init(session(), a->init); });
  init->add_option("name", a->init.name, "The mesh's name, for people.")->required();
  init->add_option("--data-dir", a->init.data_dir, kDataDirHelp);
  init->add_option("--node-id", a->init.node_id, "This node's name. [the host's]");
  init->add_option("--policy", a->init.policy,
                   "open: the secret suffices. controlled: members need a certificate. strict: "
                   "and nobody enrols over the network. [controlled]");
  init->add_option("--passphrase-file", a->init.passphrase_file,
                   "Read the passphrase from FILE, - for standard input, instead of asking.");

  auto* invite = add_command(
      *mesh, exit_code, "invite", "Print a link, and its QR code, that lets a machine join once.",
      "  peat mesh invite\n  peat mesh invite --name 'truck-*' --uses 10 --minutes 480\n",
      [=] { return run_mesh_invite(session(), a->invite); });
  invite->add_option("--data-dir", a->invite.data_dir, kDataDirHelp);
  invite->add_option("--name", a->invite.names,
                     "The name that the machine gets, or a beginning and *. [*]");
  invite->add_option("--tier", a->invite.tier,
                     "enterprise, regional, tactical or edge. [tactical]");
  invite->add_option("--permissions", a->invite.permissions,
                     "relay, emergency, enroll, admin, with commas between; or standard (relay, "
                     "emergency), authority, none. [standard]");
  invite->add_option("--minutes", a->invite.minutes, "How long the link is good. [60]")
      ->check(CLI::Range(1, 60 * 24 * 30));
  invite->add_option("--uses", a->invite.uses, "How many machines it lets in. [1]")
      ->check(CLI::Range(1, 65535));
  invite->add_option(
      "--address", a->invite.addresses,
      "HOST:PORT at which this node is reached, repeatable, four at most. [its own]");
  invite->add_flag("--no-qr", a->invite.no_qr, "Print the link alone.");

  auto* join = add_command(*mesh, exit_code, "join",
                           "Join a mesh with a link of `peat mesh invite`. Without a link it is "
                           "asked for, so that it is in no list of processes.",
                           "  peat mesh join\n  peat mesh join - < link.txt\n",
                           [=] { return run_mesh_join(session(), a->join); });
  join->add_option("link", a->join.link, "peat:join?…, or - for standard input.");
  join->add_option("--data-dir", a->join.data_dir, kDataDirHelp);
  join->add_option("--node-id", a->join.node_id, "This node's name. [the host's]");

  join->add_option("--every", a->join.every_seconds,
                   "Seconds between two questions while the device waits for approval. [15]")
      ->check(CLI::Range(1, 3600));

  add_command(*mesh, exit_code, "pending",
              "List the devices that wait for approval (--enrollment-approval, on the authority).",
              "  peat mesh pending\n", [=] { return run_mesh_pending(session()); });
  auto* approve = add_command(
      *mesh, exit_code, "approve", "Let a device in that waits for approval.",
      "  peat mesh approve truck-7\n", [=] { return run_mesh_decide(session(), a->device, true); });
  approve->add_option("device", a->device, "Name, id, or six digits of it or more.")->required();
  auto* refuse = add_command(*mesh, exit_code, "deny", "Refuse a device that waits for approval.",
                             "  peat mesh deny truck-7\n",
                             [=] { return run_mesh_decide(session(), a->device, false); });
  refuse->add_option("device", a->device, "Name, id, or six digits of it or more.")->required();

  auto* show =
      add_command(*mesh, exit_code, "show", "Print the mesh that a node belongs to.",
                  "  peat mesh show\n", [=] { return run_mesh_show(session(), a->show_data_dir); });
  show->add_option("--data-dir", a->show_data_dir, kDataDirHelp);
}

void add_store_commands(CLI::App& app, int& exit_code, const SessionSource& session) {
  auto* store = app.add_subcommand("store", "The node's document store on its disk.");
  store->require_subcommand(1);
  store->fallthrough();
  store->footer("\nExamples:\n  peat store show\n  peat store reseal\n  peat store compact\n");
  add_command(*store, exit_code, "show", "Show whether the store is encrypted, and its size.",
              "  peat store show\n", [=] { return run_store(session()); });
  add_command(*store, exit_code, "reseal",
              "Seal every row of an encrypted store anew with a fresh key, while it is in use.",
              "  peat store reseal\n", [=] { return run_store_reseal(session()); });
  add_command(*store, exit_code, "compact", "Give the disk back what the store does not need.",
              "  peat store compact\n", [=] { return run_store_compact(session()); });
}

void add_cert_commands(CLI::App& app, int& exit_code, const SessionSource& session,
                       const Shared& a) {
  auto* cert = app.add_subcommand("cert", "Certificates: who belongs to the mesh.");
  cert->require_subcommand(1);
  cert->fallthrough();
  cert->footer("\nExamples:\n  peat cert list\n  peat cert revoke truck-7 --reason stolen\n");

  add_command(*cert, exit_code, "list", "List the members, and who is out and why.",
              "  peat cert list\n", [=] { return run_cert_list(session()); });
  auto* show =
      add_command(*cert, exit_code, "show",
                  "Show one member's certificate, and whether "
                  "and why it does not count.",
                  "  peat cert show truck-7\n", [=] { return run_cert_show(session(), a->who); });
  show->add_option("member", a->who, "Name, id, or six digits of it or more.")->required();

  auto* issue = add_command(*cert, exit_code, "issue",
                            "Certify a device whose key is known, without an invitation.",
                            "  peat cert issue 3f…9a --node-id truck-7\n",
                            [=] { return run_cert_issue(session(), a->issue); });
  issue->add_option("subject", a->issue.subject, "The device's endpoint id (peat id).")->required();
  issue->add_option("--node-id", a->issue.node_id, "Its name.")->required();
  issue->add_option("--tier", a->issue.tier, "enterprise, regional, tactical or edge. [tactical]");
  issue->add_option("--permissions", a->issue.permissions,
                    "relay, emergency, enroll, admin, with commas between; or standard, "
                    "authority, none. [standard]");
  issue->add_option("--days", a->issue.days, "How long it is good. [7]")
      ->check(CLI::Range(1, 3660));
  issue->add_option("--file", a->issue.file, "Write it to FILE instead of publishing it.");
  issue->add_option("--data-dir", a->issue.data_dir, "Data directory of the authority.");

  auto* revoke =
      add_command(*cert, exit_code, "revoke", "Put a member out, for ever, everywhere, at once.",
                  "  peat cert revoke truck-7 --reason stolen\n",
                  [=] { return run_cert_revoke(session(), a->revoke); });
  revoke->add_option("member", a->revoke.who, "Name, or id.")->required();
  revoke->add_option("--reason", a->revoke.reason, "Why; every member can read it.")->required();
  revoke->add_option("--data-dir", a->revoke.data_dir,
                     "Data directory whose key signs: the authority's, or a member's with ADMIN.");

  auto* renew = add_command(*cert, exit_code, "renew",
                            "Certify a member anew with what it has, from now on. Nodes renew "
                            "their own by themselves.",
                            "  peat cert renew truck-7 --days 30\n",
                            [=] { return run_cert_renew(session(), a->renew); });
  renew->add_option("member", a->renew.who, "Name, or id.")->required();
  renew->add_option("--days", a->renew.days, "How long it is good. [7]")
      ->check(CLI::Range(1, 3660));
  renew->add_option("--data-dir", a->renew.data_dir, "Data directory of the authority.");
}

void add_id_commands(CLI::App& app, int& exit_code, const Shared& a) {
  auto* id = app.get_subcommand("id");
  auto* derive = add_command(
      *id, exit_code, "derive",
      "Print the endpoint id that older peers derive from the formation secret and a name. "
      "Whoever has the secret can compute that key.",
      "  peat id derive node-a --secret-file formation.secret\n",
      [=] { return run_id_derive(a->derive); });
  derive->add_option("name", a->derive.node_id, "The node's name.")->required();
  derive->add_option("--secret-file", a->derive.secret_file,
                     "File with the formation secret in base64, - for standard input. [asked for]");
  auto* rotate =
      add_command(*id, exit_code, "rotate", "Give a node a new key; the old one is kept beside it.",
                  "  peat id rotate --data-dir /var/lib/peat\n",
                  [=] { return run_id_rotate(a->rotate_data_dir); });
  rotate->add_option("--data-dir", a->rotate_data_dir, kDataDirHelp);
}

void add_token_commands(CLI::App& app, int& exit_code, const Shared& a) {
  auto* token = app.add_subcommand("token", "Tokens for a node's HTTP interface.");
  token->require_subcommand(1);
  token->fallthrough();
  token->footer("\nExamples:\n  peat token new dashboard --file /etc/peat/tokens\n");
  auto* made = add_command(*token, exit_code, "new",
                           "Print a new token; its hash goes into the file of "
                           "peat-mesh-node --api-tokens-file.",
                           "  (umask 077; peat token new robot --scope write --file tokens "
                           "> robot.token)\n",
                           [=] { return run_token_new(a->token); });
  made->add_option("name", a->token.name, "Whose it is, one word.")->required();
  made->add_option("--file", a->token.file, "The file of tokens; made if there is none.")
      ->required();
  made->add_option("--scope", a->token.scope,
                   "read, write (documents), or admin (peers as well). [read]");
  made->add_option("--days", a->token.days, "How long it is good; 0 for ever. [90]")
      ->check(CLI::Range(0, 3660));
}

}  // namespace

void add_security_commands(CLI::App& app, int& exit_code, std::function<Session()> session) {
  const auto arguments = std::make_shared<Arguments>();
  add_mesh_commands(app, exit_code, session, arguments);
  add_cert_commands(app, exit_code, session, arguments);
  add_store_commands(app, exit_code, session);
  add_id_commands(app, exit_code, arguments);
  add_token_commands(app, exit_code, arguments);
}

}  // namespace peat::cli
