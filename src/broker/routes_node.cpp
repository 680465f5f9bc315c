#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "broker/json_text.hpp"
#include "broker/routes.hpp"
#include "node/version.hpp"

namespace peat::broker {

void append_peer(std::string& out, const node::PeerInfo& peer) {
  JsonObject object(out);
  object.text("id", peer.id.to_string());
  object.boolean("connected", peer.connected);
  object.text("state", peer.state);
  if (peer.rtt_ms) {
    object.number("rtt_ms", *peer.rtt_ms);
  } else {
    object.null("rtt_ms");
  }
  object.text("address", peer.address);
  object.text("source", peer.source);
  object.text("dialect", peer.dialect);
  object.text("handshake", peer.handshake);
  object.boolean("dialled", peer.dialled);
  if (peer.lag) {
    object.number("lag", *peer.lag);
  } else {
    object.null("lag");
  }
  object.number("documents_sent", peer.documents_sent);
  object.number("documents_received", peer.documents_received);
  object.number("bytes_sent", peer.bytes_sent);
  object.number("bytes_received", peer.bytes_received);
  object.number("connects", peer.connects);
  object.number("failures", peer.failures);
  object.number("refused", peer.refused);
  object.number("poison", peer.poison);
  object.number("withheld", peer.withheld);
  object.number("denied", peer.denied);
  object.text("last_error", peer.last_error);
  object.text("circuit", peer.circuit);
  object.text("circuit_reason", peer.circuit_reason);
  if (peer.circuit_wait_ms) object.number("circuit_wait_ms", *peer.circuit_wait_ms);
  object.number("retries", peer.retries);
  object.member("faults");
  JsonArray faults(out);
  for (const auto& fault : peer.faults) {
    faults.element();
    JsonObject entry(out);
    entry.text("key", fault.key);
    entry.text("reason", fault.reason);
    entry.close();
  }
  faults.close();
  object.close();
}

namespace {

void append_peers(std::string& out, const std::vector<node::PeerInfo>& peers) {
  JsonArray array(out);
  for (const auto& peer : peers) {
    array.element();
    append_peer(out, peer);
  }
  array.close();
}

void append_node(std::string& out, const node::NodeInfo& info) {
  JsonObject object(out);
  object.text("node_id", info.node_id);
  object.number("uptime_secs", info.uptime_secs);
  object.text("version", node::kVersion);
  object.text("endpoint_id", info.endpoint_id.to_string());
  object.text("bind", info.bind);
  object.number("documents", info.documents);
  object.number("last_seq", info.last_seq);
  object.number("durable_seq", info.durable_seq);
  object.close();
}

std::optional<node::PeerInfo> find_peer(const node::NodeApi& node, std::string_view id) {
  for (auto& peer : node.peers()) {
    if (peer.id.to_string() == id) return std::move(peer);
  }
  return std::nullopt;
}

Response peer_not_found(std::string_view id) {
  return problem(Code::not_found, fmt::format("peer not found: {}", id));
}

// {"id": …, "addr": …, "auth": …}
Result<node::PeerSetting> parse_peer(std::string_view body, std::uint64_t depth) {
  boost::json::parse_options options;
  options.max_depth = depth;
  boost::system::error_code error;
  const auto value = boost::json::parse(body, error, {}, options);
  if (error || !value.is_object()) {
    return fail(Code::malformed, R"(the body is no JSON object {"id":…,"addr":…,"auth":…})");
  }
  std::string id;
  std::string address;
  std::string auth = "formation";
  for (const auto& [key, member] : value.get_object()) {
    auto* text = key == "id" ? &id : key == "addr" ? &address : key == "auth" ? &auth : nullptr;
    if (text == nullptr || !member.is_string()) {
      return fail(Code::malformed, fmt::format("'{}': a peer has the texts id, addr and auth",
                                               std::string_view(key)));
    }
    *text = std::string_view(member.get_string());
  }
  auto peer = node::PeerSetting::parse(fmt::format("{}@{},auth={}", id, address, auth));
  if (!peer) return fail(Code::invalid_argument, std::move(peer).error().message);
  return peer;
}

}  // namespace

void get_metrics(Call call) {
  Response response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = call.node.metrics(call.http);
  call.respond(std::move(response));
}

void get_health(Call call) {
  Response response;
  JsonObject object(response.body);
  object.text("status", "healthy");
  object.text("node_id", call.node.info().node_id);
  object.close();
  call.respond(std::move(response));
}

void get_ready(Call call) {
  const auto checks = call.node.readiness();
  bool ready = true;
  std::string list;
  JsonArray array(list);
  for (const auto& check : checks) {
    ready = ready && check.ready;
    array.element();
    JsonObject entry(list);
    entry.text("name", check.name);
    entry.boolean("ready", check.ready);
    if (check.message.empty()) {
      entry.null("message");
    } else {
      entry.text("message", check.message);
    }
    entry.close();
  }
  array.close();
  Response response;
  response.status = ready ? 200 : 503;
  JsonObject object(response.body);
  object.boolean("ready", ready);
  object.text("node_id", call.node.info().node_id);
  object.raw("checks", list);
  object.close();
  call.respond(std::move(response));
}

void get_node(Call call) {
  Response response;
  append_node(response.body, call.node.info());
  call.respond(std::move(response));
}

void get_status(Call call) {
  Response response;
  JsonObject object(response.body);
  object.member("node");
  append_node(response.body, call.node.info());
  object.member("peers");
  append_peers(response.body, call.node.peers());
  object.member("collections");
  append_collections(response.body, call.node.collections());
  object.close();
  call.respond(std::move(response));
}

void get_store(Call call) {
  const auto stats = call.node.store();
  Response response;
  JsonObject object(response.body);
  object.boolean("encrypted", stats.data_key != 0);
  object.number("data_key", stats.data_key);
  object.boolean("resealing", stats.resealing);
  object.number("resealed_rows", stats.resealed_rows);
  object.number("reseal_failures", stats.reseal_failures);
  object.number("file_bytes", stats.file_bytes);
  object.close();
  call.respond(std::move(response));
}

void post_reseal(Call call) {
  auto& node = call.node;
  node.reseal([respond = call.respond](const Status& status) {
    if (!status) return respond(problem(status.error()));
    Response response;
    response.status = 202;
    JsonObject object(response.body);
    object.boolean("resealing", true);
    object.close();
    respond(std::move(response));
  });
}

void get_access(Call call) {
  const auto access = call.node.access();
  Response response;
  JsonObject object(response.body);
  object.member("rules");
  JsonArray rules(response.body);
  for (const auto& rule : access.rules) {
    rules.element();
    append_json_string(response.body, rule);
  }
  rules.close();
  object.member("denied");
  JsonObject denied(response.body);
  for (std::size_t i = 0; i < security::kRights; ++i) {
    denied.number(security::to_string(static_cast<security::Right>(i)), access.denied[i]);
  }
  denied.close();
  object.member("peers");
  JsonArray peers(response.body);
  for (const auto& peer : access.peers) {
    peers.element();
    JsonObject entry(response.body);
    entry.text("id", peer.peer.to_string());
    entry.text("collection", peer.collection);
    entry.boolean("read", peer.read);
    entry.boolean("write", peer.write);
    entry.boolean("relay", peer.relay);
    entry.boolean("delete", peer.erase);
    entry.close();
  }
  peers.close();
  object.close();
  call.respond(std::move(response));
}

void get_peers(Call call) {
  const auto peers = call.node.peers();
  Response response;
  JsonObject object(response.body);
  object.member("peers");
  append_peers(response.body, peers);
  object.number("count", peers.size());
  object.close();
  call.respond(std::move(response));
}

void get_peer(Call call) {
  const auto peer = find_peer(call.node, call.id);
  if (!peer) return call.respond(peer_not_found(call.id));
  Response response;
  append_peer(response.body, *peer);
  call.respond(std::move(response));
}

void post_peer(Call call) {
  auto peer = parse_peer(call.request.body, call.limits.http_json_depth);
  if (!peer) return call.respond(problem(peer.error()));
  auto& node = call.node;
  node.add_peer(
      *peer, [&node, id = peer->id.to_string(), respond = std::move(call.respond)](Status status) {
        if (!status) return respond(problem(status.error()));
        const auto added = find_peer(node, id);
        if (!added) return respond(peer_not_found(id));
        Response response;
        response.status = 201;
        append_peer(response.body, *added);
        respond(std::move(response));
      });
}

void delete_peer(Call call) {
  const auto id = EndpointId::parse(call.id);
  if (!id) return call.respond(peer_not_found(call.id));
  call.node.remove_peer(*id, [id = call.id, respond = std::move(call.respond)](Status status) {
    if (!status) return respond(problem(status.error()));
    Response response;
    JsonObject object(response.body);
    object.text("id", id);
    object.boolean("removed", true);
    object.close();
    respond(std::move(response));
  });
}

}  // namespace peat::broker
