#include "peat_cli/commands_mesh.hpp"

#include <arpa/inet.h>
#include <boost/json/parse.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <ifaddrs.h>
#include <iostream>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/random.hpp"
#include "broker/json_text.hpp"
#include "crypto/key_file.hpp"
#include "crypto/secret_file.hpp"
#include "net/quic_endpoint.hpp"
#include "node/asio_executor.hpp"
#include "node/enrollment_dial.hpp"
#include "node/identity.hpp"
#include "node/mesh_files.hpp"
#include "peat_cli/http_client.hpp"
#include "peat_cli/json.hpp"
#include "peat_cli/prompt.hpp"
#include "peat_cli/qr.hpp"
#include "security/enrollment_service.hpp"
#include "security/genesis_file.hpp"
#include "security/invitation.hpp"

namespace peat::cli {

namespace {

using std::chrono::milliseconds;

WallTime now_wall() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<milliseconds>(now).count()};
}

std::string show_time(std::uint64_t ms) {
  if (ms == 0) return "never";
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(ms / 1000)));
}

Status refuse_second_mesh(const node::MeshFiles& files) {
  PEAT_TRY(const auto present, files.load_credentials());
  if (!present) return {};
  return fail(Code::invalid_argument,
              fmt::format("{} belongs to the mesh {} ({}) already; take another --data-dir",
                          files.data_dir.string(), present->mesh_name, present->mesh_id));
}

// --- init --------------------------------------------------------------------------------------

Status write_new_mesh(const node::MeshFiles& files, const security::MeshGenesis& genesis,
                      const Bytes& sealed, const security::Certificate& own, Random& random) {
  PEAT_TRY_VOID(crypto::write_secret_file(files.genesis(), sealed, crypto::Existing::refuse, random,
                                          "genesis file"));
  PEAT_TRY_VOID(crypto::create_key_file(files.authority_key(), genesis.authority(), random));
  PEAT_TRY_VOID(files.save_certificates({own}, random));
  // Last: from here on the directory belongs to the mesh.
  return files.save_credentials(genesis.credentials(), random);
}

Result<security::MeshGenesis> init(const MeshInitOptions& options, const LocalNode& local) {
  PEAT_TRY(const auto policy, security::parse_membership_policy(options.policy));
  PEAT_TRY_VOID(security::check_node_name(local.node_id));
  const node::MeshFiles files{local.data_dir};
  PEAT_TRY_VOID(refuse_second_mesh(files));
  SystemRandom random;
  PEAT_TRY(const auto key, node::load_identity(local.data_dir, random));
  PEAT_TRY(const auto passphrase, new_passphrase(options.passphrase_file));
  const auto now = now_wall();
  PEAT_TRY(auto genesis, security::MeshGenesis::create(random, options.name, policy, now));
  PEAT_TRY(const auto sealed, security::seal_genesis(genesis, passphrase.view(), random));
  PEAT_TRY(const auto own,
           genesis.issue({key.public_key(), local.node_id, security::Tier::enterprise,
                          security::permission::kAuthority, security::kDefaultValidity},
                         now));
  PEAT_TRY_VOID(write_new_mesh(files, genesis, sealed, own, random));
  return genesis;
}

// --- invite ------------------------------------------------------------------------------------

// This machine's addresses that others may reach, at most four, IPv4 first.
std::vector<std::string> own_addresses(std::uint16_t port) {
  std::vector<std::string> v4;
  std::vector<std::string> v6;
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return {};
  for (const auto* at = list; at != nullptr; at = at->ifa_next) {
    const bool usable = at->ifa_addr != nullptr && (at->ifa_flags & IFF_UP) != 0 &&
                        (at->ifa_flags & IFF_LOOPBACK) == 0;
    if (!usable) continue;
    char text[INET6_ADDRSTRLEN] = {};
    if (at->ifa_addr->sa_family == AF_INET) {
      sockaddr_in address{};
      std::memcpy(&address, at->ifa_addr, sizeof address);
      inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
      v4.push_back(fmt::format("{}:{}", text, port));
    } else if (at->ifa_addr->sa_family == AF_INET6) {
      sockaddr_in6 address{};
      std::memcpy(&address, at->ifa_addr, sizeof address);
      if (IN6_IS_ADDR_LINKLOCAL(&address.sin6_addr)) continue;
      inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
      v6.push_back(fmt::format("[{}]:{}", text, port));
    }
  }
  freeifaddrs(list);
  v4.insert(v4.end(), v6.begin(), v6.end());
  if (v4.size() > security::kJoinLinkAddresses) v4.resize(security::kJoinLinkAddresses);
  return v4;
}

// Where the running node listens.
Result<std::vector<std::string>> listening_addresses(const Session& session) {
  const auto advice = "; give --address HOST:PORT, where the new device reaches this node";
  auto client = session.client();
  if (!client) return std::unexpected(client.error());
  const auto answer = checked(client->send({.target = "/api/v1/node"}));
  if (!answer) return fail(answer.error().code, answer.error().message + advice);
  PEAT_TRY(const auto object, parse_json_object(answer->body));
  const auto* bind = object.if_contains("bind");
  if (bind == nullptr || !bind->is_string()) {
    return fail(Code::malformed, fmt::format("the node does not say where it listens{}", advice));
  }
  PEAT_TRY(const auto address, node::HostPort::parse(std::string_view(bind->get_string())));
  if (address.host != "0.0.0.0" && address.host != "::") {
    return std::vector<std::string>{address.to_string()};
  }
  auto list = own_addresses(address.port);
  if (list.empty()) {
    return fail(Code::unavailable,
                fmt::format("this machine has no address but loopback{}", advice));
  }
  return list;
}

Result<security::JoinLink> invite(const Session& session, const MeshInviteOptions& options) {
  PEAT_TRY(const auto local, local_node(options.data_dir, ""));
  const node::MeshFiles files{local.data_dir};
  PEAT_TRY(const auto credentials, files.load_credentials());
  PEAT_TRY(const auto authority, files.load_authority_key());
  if (!credentials || !authority) {
    return fail(Code::permission_denied,
                fmt::format("{} has no authority.key: invite on the machine where the mesh began "
                            "(peat mesh init), as the user that the node runs as",
                            local.data_dir));
  }
  if (credentials->policy == security::MembershipPolicy::strict) {
    return fail(Code::permission_denied,
                "the mesh's policy is strict: nobody enrols over the network; issue certificates "
                "with `peat cert issue`");
  }
  PEAT_TRY(const auto key, crypto::load_key_file(files.identity_key()));
  security::InvitationTerms terms;
  PEAT_TRY(terms.tier, security::parse_tier(options.tier));
  PEAT_TRY(terms.permissions, security::parse_permissions(options.permissions));
  terms.names = options.names;
  if (options.uses > 0xffff) return fail(Code::invalid_argument, "at most 65535 --uses");
  terms.uses = static_cast<std::uint16_t>(options.uses);
  terms.expires_at_ms =
      static_cast<std::uint64_t>(now_wall().ms) + std::uint64_t{options.minutes} * 60'000;
  security::JoinLink link;
  link.server = key.public_key();
  link.authority = credentials->authority;
  link.mesh_id = credentials->mesh_id;
  link.expires_at_ms = terms.expires_at_ms;
  link.addresses = options.addresses;
  for (const auto& address : link.addresses) PEAT_TRY_VOID(node::HostPort::parse(address));
  if (link.addresses.empty()) {
    PEAT_TRY(link.addresses, listening_addresses(session));
  }
  SystemRandom random;
  PEAT_TRY(link.token, security::InvitationKey::of(*authority).invite(std::move(terms), random));
  return link;
}

// --- join --------------------------------------------------------------------------------------

Result<std::string> read_link(const std::string& given) {
  if (!given.empty() && given != "-") return given;
  if (given.empty() && ::isatty(STDIN_FILENO) == 1) {
    fmt::print(stderr, "Link (from `peat mesh invite`): ");
  }
  std::string text;
  std::string line;
  while (text.size() < 8192 && std::getline(std::cin, line) && !(line.empty() && !text.empty())) {
    text += line;
  }
  if (text.empty()) return fail(Code::invalid_argument, "there is no link to join with");
  return text;
}

Status save_membership(const node::MeshFiles& files, const security::JoinLink& link,
                       const node::EnrollmentResult& result, Random& random) {
  const auto& enrolled = *result.enrolled;
  if (!enrolled.formation_secret || !enrolled.extension) {
    return fail(Code::unsupported,
                "the authority certified this device, but sent no credentials: it is of an older "
                "generation; give this node the formation secret by hand");
  }
  // The authority's node is the first that this one meets: it must know it.
  std::vector<security::Certificate> certificates{enrolled.certificate};
  for (const auto& certificate : enrolled.extension->chain) {
    if (certificates.size() < security::kChainMax) certificates.push_back(certificate);
  }
  PEAT_TRY_VOID(files.save_certificates(certificates, random));
  node::Peers peers;
  const auto add = [&](const EndpointId& id, const std::string& address) {
    if (auto parsed = node::HostPort::parse(address)) peers.push_back({id, *parsed, true});
  };
  add(link.server, result.address);
  for (const auto& address : link.addresses) {
    if (address != result.address) add(link.server, address);
  }
  for (const auto& member : enrolled.extension->members) add(member.id, member.address);
  PEAT_TRY_VOID(files.save_peers(peers, random));
  security::MeshCredentials credentials;
  credentials.mesh_name = enrolled.extension->mesh_name;
  credentials.mesh_id = link.mesh_id;
  credentials.formation_secret = crypto::SecretBytes(enrolled.formation_secret->view());
  credentials.authority = link.authority;
  credentials.policy = enrolled.extension->policy;
  // Last: from here on the directory belongs to the mesh.
  return files.save_credentials(credentials, random);
}

Result<node::EnrollmentResult> ask_authority(const crypto::SecretKey& key,
                                             const security::JoinLink& link,
                                             const std::string& node_id) {
  node::AsioExecutor executor;
  net::EndpointOptions options;
  options.id = key.public_key();
  options.sign = [&key](ByteView message) {
    const auto signature = key.sign(message);
    return Bytes(signature.begin(), signature.end());
  };
  options.bind = "[::]:0";
  auto endpoint = net::QuicEndpoint::create(executor.loop(), options);
  if (!endpoint) {  // a machine without IPv6
    options.bind = "0.0.0.0:0";
    endpoint = net::QuicEndpoint::create(executor.loop(), options);
  }
  if (!endpoint) return std::unexpected(endpoint.error());
  security::EnrollmentTask task;
  task.server = link.server;
  task.authority = link.authority;
  task.mesh_id = link.mesh_id;
  task.node_id = node_id;
  task.token = link.token;
  std::optional<node::EnrollmentResult> outcome;
  node::enroll(**endpoint, executor, key, std::move(task), link.addresses,
               [&](node::EnrollmentResult result) {
                 outcome.emplace(std::move(result));
                 (*endpoint)->shutdown(0, "done", [&] { executor.stop(); });
               });
  executor.run();
  if (!outcome) return fail(Code::internal, "the loop ended without an answer");
  return std::move(*outcome);
}

// Asks until the operator has decided, or the invitation is over.
Result<node::EnrollmentResult> ask_until_decided(const crypto::SecretKey& key,
                                                 const security::JoinLink& link,
                                                 const std::string& node_id,
                                                 std::uint32_t every_seconds) {
  for (bool told = false;; told = true) {
    PEAT_TRY(auto result, ask_authority(key, link, node_id));
    const auto* error = result.enrolled ? nullptr : &result.enrolled.error();
    // Once it waits, an authority that is busy or away is no reason to give up.
    const bool waits = error != nullptr && (error->code == Code::unavailable ||
                                            (told && info(error->code).retry != RetryClass::never));
    if (!waits || static_cast<std::uint64_t>(now_wall().ms) >= link.expires_at_ms) return result;
    if (!told) {
      fmt::print(stderr, "This device waits for approval (peat mesh approve {}).\n", node_id);
    }
    std::this_thread::sleep_for(std::chrono::seconds(every_seconds));
  }
}

Result<security::Certificate> join(const security::JoinLink& link, const LocalNode& local,
                                   std::uint32_t every_seconds) {
  if (static_cast<std::uint64_t>(now_wall().ms) >= link.expires_at_ms) {
    return fail(Code::bad_token, fmt::format("the invitation has expired at {} (or this machine's "
                                             "clock is wrong); ask for another",
                                             show_time(link.expires_at_ms)));
  }
  PEAT_TRY_VOID(security::check_node_name(local.node_id));
  const node::MeshFiles files{local.data_dir};
  PEAT_TRY_VOID(refuse_second_mesh(files));
  SystemRandom random;
  PEAT_TRY(const auto key, node::load_identity(local.data_dir, random));
  PEAT_TRY(const auto result, ask_until_decided(key, link, local.node_id, every_seconds));
  if (!result.enrolled) return std::unexpected(result.enrolled.error());
  PEAT_TRY_VOID(save_membership(files, link, result, random));
  return result.enrolled->certificate;
}

void print_next_steps(const LocalNode& local) {
  fmt::print(stderr, "Start the node:\n  peat-mesh-node --data-dir {} --node-id {}\n",
             local.data_dir, local.node_id);
}

}  // namespace

int run_mesh_init(const Session& session, const MeshInitOptions& options) {
  const auto local = local_node(options.data_dir, options.node_id);
  if (!local) return report(local.error());
  const auto genesis = init(options, *local);
  if (!genesis) return report(genesis.error());
  if (session.mode == OutputMode::json) {
    std::string line;
    broker::JsonObject object(line);
    object.text("mesh_name", genesis->mesh_name());
    object.text("mesh_id", genesis->mesh_id());
    object.text("authority", genesis->authority().public_key().to_string());
    object.text("policy", security::to_string(genesis->policy()));
    object.text("data_dir", local->data_dir);
    object.close();
    print_line(line);
  } else {
    print(fmt::format("mesh       {} ({})\nauthority  {}\npolicy     {}\n", genesis->mesh_name(),
                      genesis->mesh_id(), genesis->authority().public_key().to_string(),
                      security::to_string(genesis->policy())));
  }
  fmt::print(stderr,
             "Every secret of the mesh is in {}, sealed with your passphrase:\nmove it to a place "
             "that is off this machine. This machine can enrol members without it.\n",
             node::MeshFiles{local->data_dir}.genesis());
  print_next_steps(*local);
  fmt::print(stderr, "Let a machine in:\n  peat mesh invite --data-dir {}\n", local->data_dir);
  return 0;
}

int run_mesh_invite(const Session& session, const MeshInviteOptions& options) {
  const auto link = invite(session, options);
  if (!link) return report(link.error());
  const auto text = link->to_text();
  if (!text) return report(text.error());
  if (session.mode == OutputMode::json) {
    std::string line;
    broker::JsonObject object(line);
    object.text("link", *text);
    object.number("expires_at_ms", link->expires_at_ms);
    object.member("addresses");
    broker::JsonArray array(line);
    for (const auto& address : link->addresses) {
      array.element();
      broker::append_json_string(line, address);
    }
    array.close();
    object.close();
    print_line(line);
    return 0;
  }
  if (!options.no_qr) {
    if (const auto code = qr_code(*text)) print(*code);
  }
  print_line(*text);
  fmt::print(stderr, "For {} until {}. On the new machine:\n  peat mesh join\n",
             options.uses == 1 ? "one machine" : fmt::format("{} machines", options.uses),
             show_time(link->expires_at_ms));
  return 0;
}

int run_mesh_join(const Session& session, const MeshJoinOptions& options) {
  const auto local = local_node(options.data_dir, options.node_id);
  if (!local) return report(local.error());
  const auto text = read_link(options.link);
  if (!text) return report(text.error());
  const auto link = security::JoinLink::parse(*text);
  if (!link) return report(link.error());
  const auto certificate = join(*link, *local, options.every_seconds);
  if (!certificate) return report(certificate.error());
  if (session.mode == OutputMode::json) {
    std::string line;
    broker::JsonObject object(line);
    object.text("mesh_id", certificate->mesh_id);
    object.text("node_id", certificate->node_id);
    object.text("endpoint_id", certificate->subject.to_string());
    object.number("expires_at_ms", certificate->expires_at_ms);
    object.close();
    print_line(line);
  } else {
    print(fmt::format("joined mesh {} as {}; certified until {}, renewed by itself\n",
                      certificate->mesh_id, certificate->node_id,
                      show_time(certificate->expires_at_ms)));
  }
  print_next_steps(*local);
  return 0;
}

int run_mesh_pending(const Session& session) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto response = checked(client->send({.target = "/api/v1/members/pending"}));
  if (!response) return report(response.error());
  if (session.mode == OutputMode::json) {
    print_line(response->body);
    return 0;
  }
  const auto body = parse_json_object(response->body);
  if (!body) return report(body.error());
  std::vector<std::vector<std::string>> rows{{"DEVICE", "NAME", "TIER", "PERMISSIONS"}};
  for (const auto& value : body->at("pending").get_array()) {
    const auto& device = value.get_object();
    const auto text = [&device](const char* name) {
      return std::string(std::string_view(device.at(name).get_string()));
    };
    rows.push_back({text("id").substr(0, 10), text("node_id"), text("tier"), text("permissions")});
  }
  print(rows.size() > 1 ? format_table(rows) : "no device waits for approval\n");
  return 0;
}

int run_mesh_decide(const Session& session, const std::string& who, bool approve) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto response = checked(client->send({.target = "/api/v1/members/pending"}));
  if (!response) return report(response.error());
  const auto body = parse_json_object(response->body);
  if (!body) return report(body.error());
  std::vector<std::string> found;
  for (const auto& value : body->at("pending").get_array()) {
    const auto& device = value.get_object();
    const std::string id(std::string_view(device.at("id").get_string()));
    const std::string_view name(device.at("node_id").get_string());
    if (name == who || (who.size() >= 6 && id.starts_with(who))) found.push_back(id);
  }
  if (found.size() != 1) {
    return report({found.empty() ? Code::not_found : Code::invalid_argument,
                   fmt::format("{} devices that wait are called '{}'; `peat mesh pending` names "
                               "them",
                               found.size(), who)});
  }
  const auto decided = checked(client->send(
      {approve ? "POST" : "DELETE", "/api/v1/members/pending/" + found.front(), {}, {}, {}}));
  return decided ? 0 : report(decided.error());
}

int run_mesh_show(const Session& session, const std::string& data_dir) {
  const auto local = local_node(data_dir, "");
  if (!local) return report(local.error());
  const node::MeshFiles files{local->data_dir};
  const auto credentials = files.load_credentials();
  if (!credentials) return report(credentials.error());
  if (!*credentials) {
    return report({Code::not_found, fmt::format("{} belongs to no mesh: `peat mesh init` begins "
                                                "one, `peat mesh join` joins one",
                                                local->data_dir)});
  }
  const auto authority = files.load_authority_key();
  if (!authority) return report(authority.error());
  const auto& mesh = **credentials;
  if (session.mode == OutputMode::json) {
    std::string line;
    broker::JsonObject object(line);
    object.text("mesh_name", mesh.mesh_name);
    object.text("mesh_id", mesh.mesh_id);
    object.text("authority", mesh.authority.to_string());
    object.text("policy", security::to_string(mesh.policy));
    object.boolean("is_authority", authority->has_value());
    object.close();
    print_line(line);
    return 0;
  }
  print(fmt::format("mesh       {} ({})\nauthority  {}{}\npolicy     {}\n", mesh.mesh_name,
                    mesh.mesh_id, mesh.authority.to_string(),
                    authority->has_value() ? ", on this machine" : "",
                    security::to_string(mesh.policy)));
  return 0;
}

}  // namespace peat::cli
