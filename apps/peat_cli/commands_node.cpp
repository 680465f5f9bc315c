#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "base/random.hpp"
#include "broker/json_text.hpp"
#include "node/identity.hpp"
#include "node/settings.hpp"
#include "peat_cli/answers.hpp"
#include "peat_cli/commands.hpp"
#include "peat_cli/commands_mesh.hpp"
#include "peat_cli/json.hpp"
#include "security/formation.hpp"

namespace peat::cli {

namespace {

constexpr std::size_t kErrorWidth = 40;

std::string peer_table(const boost::json::array& peers) {
  std::vector<std::vector<std::string>> rows{
      {"PEER", "STATE", "PROTOCOL", "ADDRESS", "RTT", "LAG", "IN", "OUT", "LAST ERROR"}};
  for (const auto& value : peers) {
    const auto& peer = value.get_object();
    const auto rtt = text_of(peer, "rtt_ms");
    rows.push_back({text_of(peer, "id").substr(0, 10), text_of(peer, "state"),
                    text_of(peer, "dialect"), text_of(peer, "address"),
                    rtt == "-" ? rtt : rtt + " ms", text_of(peer, "lag"),
                    format_bytes(number_of(peer, "bytes_received")),
                    format_bytes(number_of(peer, "bytes_sent")),
                    shorten(text_of(peer, "last_error"), kErrorWidth)});
  }
  return format_table(rows);
}

std::string access_table(const boost::json::array& peers) {
  std::vector<std::vector<std::string>> rows{
      {"PEER", "COLLECTION", "READ", "WRITE", "RELAY", "DELETE"}};
  for (const auto& value : peers) {
    const auto& peer = value.get_object();
    const auto may = [&](const char* right) { return peer.at(right) == true ? "yes" : "no"; };
    rows.push_back({text_of(peer, "id").substr(0, 10), text_of(peer, "collection"), may("read"),
                    may("write"), may("relay"), may("delete")});
  }
  return rows.size() > 1 ? "\n" + format_table(rows) : std::string();
}

// What each peer was refused last, and why.
std::string denial_lines(const boost::json::array& peers) {
  std::string out;
  for (const auto& value : peers) {
    const auto& peer = value.get_object();
    if (number_of(peer, "denied") + number_of(peer, "withheld") == 0) continue;
    out += fmt::format("{}  withheld {}, not taken {}\n", text_of(peer, "id").substr(0, 10),
                       number_of(peer, "withheld"), number_of(peer, "denied"));
    for (const auto& fault : peer.at("faults").get_array()) {
      out += fmt::format("  {}: {}\n", text_of(fault.get_object(), "key"),
                         text_of(fault.get_object(), "reason"));
    }
  }
  return out;
}

Result<boost::json::object> get_object(HttpClient& client, const std::string& target) {
  PEAT_TRY(const auto response, checked(client.send({.target = target})));
  auto object = parse_json_object(response.body);
  if (!object) {
    return fail(Code::malformed, fmt::format("{}{} answered {}; is that a peat-mesh-node?",
                                             client.api(), target, object.error().message));
  }
  return object;
}

}  // namespace

int report(const Error& error) {
  fmt::print(stderr, "peat: {}\n", error.message);
  return info(error.code).exit_code;
}

int run_id(const std::string& data_dir) {
  const auto local = local_node(data_dir, "");
  if (!local) return report(local.error());
  SystemRandom random;
  const auto key = node::load_identity(local->data_dir, random);
  if (!key) return report(key.error());
  print_line(key->public_key().to_string());
  return 0;
}

int run_secret_new() {
  SystemRandom random;
  print_line(security::generate_formation_secret(random));
  return 0;
}

int run_status(const Session& session) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto status = get_object(*client, "/api/v1/status");
  if (!status) return report(status.error());
  if (session.mode == OutputMode::json) {
    print_line(boost::json::serialize(*status));
    return 0;
  }
  const auto& node = status->at("node").get_object();
  print(fmt::format("{}  {}  {}  up {}  peat-mesh-node {}\n", text_of(node, "node_id"),
                    text_of(node, "endpoint_id").substr(0, 10), text_of(node, "bind"),
                    format_seconds(number_of(node, "uptime_secs")), text_of(node, "version")));
  print(fmt::format("endpoint id {}\n", text_of(node, "endpoint_id")));
  const auto& peers = status->at("peers").get_array();
  std::size_t connected = 0;
  for (const auto& peer : peers) {
    if (peer.get_object().at("connected") == true) ++connected;
  }
  print(fmt::format("\n{} of {} peers connected\n", connected, peers.size()));
  if (!peers.empty()) print(peer_table(peers));
  const auto& collections = status->at("collections").get_array();
  print(fmt::format("\n{} documents in {} collections\n", text_of(node, "documents"),
                    collections.size()));
  std::vector<std::vector<std::string>> rows{{"COLLECTION", "DOCUMENTS"}};
  for (const auto& value : collections) {
    const auto& collection = value.get_object();
    rows.push_back({text_of(collection, "collection"), text_of(collection, "documents")});
  }
  if (rows.size() > 1) print(format_table(rows));
  return 0;
}

int run_peers(const Session& session) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto peers = get_object(*client, "/api/v1/peers");
  if (!peers) return report(peers.error());
  if (session.mode == OutputMode::json) {
    print_line(boost::json::serialize(*peers));
  } else {
    print(peer_table(peers->at("peers").get_array()));
  }
  return 0;
}

int run_access(const Session& session) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto access = get_object(*client, "/api/v1/access");
  const auto status = get_object(*client, "/api/v1/peers");
  if (!access || !status) return report(access ? status.error() : access.error());
  if (session.mode == OutputMode::json) {
    print_line(boost::json::serialize(*access));
    return 0;
  }
  const auto& rules = access->at("rules").get_array();
  if (rules.empty()) print_line("no rules: whoever is let in may read and write everything");
  for (const auto& rule : rules) print_line(std::string_view(rule.get_string()));
  print(access_table(access->at("peers").get_array()));
  std::string denied;
  for (const auto& [right, count] : access->at("denied").get_object()) {
    denied += fmt::format("{}{} {}", denied.empty() ? "" : ", ", std::string_view(right),
                          boost::json::serialize(count));
  }
  print_line("denied since the start: " + denied);
  print(denial_lines(status->at("peers").get_array()));
  return 0;
}

int run_store(const Session& session) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto store = get_object(*client, "/api/v1/store");
  if (!store) return report(store.error());
  if (session.mode == OutputMode::json) {
    print_line(boost::json::serialize(*store));
    return 0;
  }
  if (store->at("encrypted") == true) {
    print_line(fmt::format("encrypted with data key {}", number_of(*store, "data_key")));
  } else {
    print_line("not encrypted (--store-key-file, --store-passphrase-file)");
  }
  if (store->at("resealing") == true || number_of(*store, "resealed_rows") > 0) {
    print_line(fmt::format("sealed anew since the start: {} rows, {} damaged ones passed over{}",
                           number_of(*store, "resealed_rows"), number_of(*store, "reseal_failures"),
                           store->at("resealing") == true ? "; going on" : ""));
  }
  print_line(format_bytes(number_of(*store, "file_bytes")) + " in its file");
  return 0;
}

int run_store_reseal(const Session& session) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto begun = checked(client->send({"POST", "/api/v1/store/reseal", {}, {}, {}}));
  if (!begun) return report(begun.error());
  if (session.mode == OutputMode::json) {
    print_line(begun->body);
  } else {
    print_line("the rows are sealed anew; `peat store show` tells how far it is");
  }
  return 0;
}

int run_connect(const Session& session, const ConnectOptions& options) {
  const auto peer = node::PeerSetting::parse(options.peer);
  if (!peer) return report(peer.error());
  auto client = session.client();
  if (!client) return report(client.error());
  std::string body;
  broker::JsonObject object(body);
  object.text("id", peer->id.to_string());
  object.text("addr", peer->address.to_string());
  if (!peer->authenticated) object.text("auth", "none");
  object.close();
  const auto added = checked(client->send({"POST", "/api/v1/peers", "application/json", body, {}}));
  if (!added) return report(added.error());

  const auto target = "/api/v1/peers/" + peer->id.to_string();
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.wait_seconds);
  while (true) {
    const auto now = get_object(*client, target);
    if (!now) return report(now.error());
    const bool connected = now->at("connected") == true;
    const bool late = std::chrono::steady_clock::now() >= end;
    if (connected || late) {
      if (session.mode == OutputMode::json) {
        print_line(boost::json::serialize(*now));
      } else {
        boost::json::array list;
        list.emplace_back(*now);
        print(peer_table(list));
      }
      if (connected || options.wait_seconds == 0) return 0;
      return report(
          {Code::timeout, fmt::format("not connected after {} s ({}); the node goes on trying",
                                      options.wait_seconds, text_of(*now, "last_error"))});
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

int run_disconnect(const Session& session, const std::string& peer) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto removed = checked(
      client->send({"DELETE", "/api/v1/peers/" + peer.substr(0, peer.find('@')), {}, {}, {}}));
  if (!removed) return report(removed.error());
  if (session.mode == OutputMode::json) print_line(removed->body);
  return 0;
}

}  // namespace peat::cli
