#include "broker/router.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/encoding.hpp"
#include "broker/routes.hpp"

namespace peat::broker {

namespace {

// What the body of a method must be called; a form in a web page can send none of them.
enum class Media : std::uint8_t { none, json, merge_patch, ndjson };

struct Method {
  std::string_view name;
  Media media;
  void (*handler)(Call);
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (auto& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool media_fits(Media media, std::string_view content_type) {
  auto type = lower(content_type.substr(0, content_type.find(';')));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  switch (media) {
    case Media::none:
      return true;
    case Media::json:
      return type == "application/json";
    case Media::merge_patch:
      return type == "application/json" || type == "application/merge-patch+json";
    case Media::ndjson:
      return type == "application/x-ndjson" || type == "application/json";
  }
  return false;
}

std::string_view media_name(Media media) {
  if (media == Media::merge_patch) return "application/json or application/merge-patch+json";
  if (media == Media::ndjson) return "application/x-ndjson or application/json";
  return "application/json";
}

}  // namespace

// A pattern's segment is literal, or {c} (collection) or {i} (id).
struct Router::Route {
  std::span<const std::string_view> pattern;
  std::span<const Method> methods;
  // What a token needs for GET, and for everything else.
  Scope reading = Scope::read;
  Scope changing = Scope::write;
};

namespace {

using Segments = std::string_view;

constexpr std::array<Segments, 1> kMetricsPath{"metrics"};
constexpr std::array<Segments, 3> kHealthPath{"api", "v1", "health"};
constexpr std::array<Segments, 3> kReadyPath{"api", "v1", "ready"};
constexpr std::array<Segments, 3> kNodePath{"api", "v1", "node"};
constexpr std::array<Segments, 3> kStatusPath{"api", "v1", "status"};
constexpr std::array<Segments, 3> kPeersPath{"api", "v1", "peers"};
constexpr std::array<Segments, 4> kPeerPath{"api", "v1", "peers", "{i}"};
constexpr std::array<Segments, 3> kStorePath{"api", "v1", "store"};
constexpr std::array<Segments, 4> kResealPath{"api", "v1", "store", "reseal"};
constexpr std::array<Segments, 3> kAccessPath{"api", "v1", "access"};
constexpr std::array<Segments, 3> kMembersPath{"api", "v1", "members"};
constexpr std::array<Segments, 4> kPendingPath{"api", "v1", "members", "pending"};
constexpr std::array<Segments, 5> kPendingOnePath{"api", "v1", "members", "pending", "{i}"};
constexpr std::array<Segments, 3> kEventsPath{"api", "v1", "events"};
constexpr std::array<Segments, 3> kSyncPath{"api", "v1", "sync"};
constexpr std::array<Segments, 6> kExplainDocumentPath{"api",       "v1",  "explain",
                                                       "documents", "{c}", "{i}"};
constexpr std::array<Segments, 5> kExplainPeerPath{"api", "v1", "explain", "peers", "{i}"};
constexpr std::array<Segments, 3> kQuarantinePath{"api", "v1", "quarantine"};
constexpr std::array<Segments, 5> kQuarantinedPath{"api", "v1", "quarantine", "{c}", "{i}"};
constexpr std::array<Segments, 3> kBackupPath{"api", "v1", "backup"};
constexpr std::array<Segments, 4> kCompactPath{"api", "v1", "store", "compact"};
constexpr std::array<Segments, 3> kQueryPath{"api", "v1", "query"};
constexpr std::array<Segments, 3> kCollectionsPath{"api", "v1", "documents"};
constexpr std::array<Segments, 4> kCollectionPath{"api", "v1", "documents", "{c}"};
constexpr std::array<Segments, 5> kDocumentPath{"api", "v1", "documents", "{c}", "{i}"};
constexpr std::array<Segments, 6> kHeadsPath{"api", "v1", "documents", "{c}", "{i}", "heads"};

constexpr std::array kMetrics{Method{"GET", Media::none, get_metrics}};
constexpr std::array kHealth{Method{"GET", Media::none, get_health}};
constexpr std::array kReady{Method{"GET", Media::none, get_ready}};
constexpr std::array kNode{Method{"GET", Media::none, get_node}};
constexpr std::array kStatus{Method{"GET", Media::none, get_status}};
constexpr std::array kPeers{Method{"GET", Media::none, get_peers},
                            Method{"POST", Media::json, post_peer}};
constexpr std::array kPeer{Method{"GET", Media::none, get_peer},
                           Method{"DELETE", Media::none, delete_peer}};
constexpr std::array kStore{Method{"GET", Media::none, get_store}};
constexpr std::array kReseal{Method{"POST", Media::none, post_reseal}};
constexpr std::array kAccess{Method{"GET", Media::none, get_access}};
constexpr std::array kMembers{Method{"GET", Media::none, get_members}};
constexpr std::array kPending{Method{"GET", Media::none, get_pending}};
constexpr std::array kPendingOne{Method{"POST", Media::none, approve_pending},
                                 Method{"DELETE", Media::none, deny_pending}};
constexpr std::array kEvents{Method{"GET", Media::none, get_events}};
constexpr std::array kSync{Method{"GET", Media::none, get_sync}};
constexpr std::array kExplainDocument{Method{"GET", Media::none, explain_document}};
constexpr std::array kExplainPeer{Method{"GET", Media::none, explain_peer}};
constexpr std::array kQuarantine{Method{"GET", Media::none, get_quarantine}};
constexpr std::array kQuarantined{Method{"GET", Media::none, get_quarantined},
                                  Method{"POST", Media::json, retry_quarantined},
                                  Method{"DELETE", Media::none, drop_quarantined}};
constexpr std::array kBackup{Method{"GET", Media::none, get_backup}};
constexpr std::array kCompact{Method{"POST", Media::json, compact_store}};
constexpr std::array kQuery{Method{"GET", Media::none, get_query},
                            Method{"POST", Media::json, post_query}};
constexpr std::array kCollections{Method{"GET", Media::none, get_collections}};
constexpr std::array kCollection{Method{"GET", Media::none, get_listing},
                                 Method{"POST", Media::ndjson, post_import}};
constexpr std::array kDocument{Method{"GET", Media::none, get_document},
                               Method{"PUT", Media::json, put_document},
                               Method{"PATCH", Media::merge_patch, patch_document},
                               Method{"DELETE", Media::none, delete_document}};
constexpr std::array kHeads{Method{"GET", Media::none, get_heads}};

bool matches(std::span<const std::string_view> pattern, const std::vector<std::string>& path) {
  if (pattern.size() != path.size()) return false;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (pattern[i].front() == '{' ? path[i].empty() : pattern[i] != path[i]) return false;
  }
  return true;
}

const Method* find_method(std::span<const Method> methods, std::string_view name) {
  const auto wanted = name == "HEAD" ? std::string_view("GET") : name;
  const auto found = std::ranges::find(methods, wanted, &Method::name);
  return found == methods.end() ? nullptr : &*found;
}

Response wrong_method(std::span<const Method> methods, const Request& request) {
  std::string allow;
  for (const auto& method : methods) {
    allow += (allow.empty() ? "" : ", ") + std::string(method.name);
    if (method.name == "GET") allow += ", HEAD";
  }
  auto response = problem(
      Code::method_not_allowed,
      fmt::format("{} does not apply to {}; allowed: {}", request.method, request.target, allow));
  response.headers.emplace_back("Allow", allow);
  return response;
}

}  // namespace

Router::Router(node::NodeApi& node, const Limits& limits) : node_(node), limits_(limits) {}

void Router::set_local_address(const std::string& address) {
  const auto port = address.substr(address.rfind(':'));
  hosts_ = {lower(address), "127.0.0.1" + port, "localhost" + port, "[::1]" + port};
  if (port == ":80") hosts_.insert(hosts_.end(), {"127.0.0.1", "localhost", "[::1]"});
}

const Router::Route* Router::find_route(const Target& target) const {
  static const std::array kRoutes{
      Route{kMetricsPath, kMetrics},
      Route{kHealthPath, kHealth, Scope::none, Scope::none},
      Route{kReadyPath, kReady, Scope::none, Scope::none},
      Route{kNodePath, kNode},
      Route{kStatusPath, kStatus},
      Route{kPeersPath, kPeers, Scope::read, Scope::admin},
      Route{kPeerPath, kPeer, Scope::read, Scope::admin},
      Route{kMembersPath, kMembers},
      Route{kAccessPath, kAccess},
      Route{kStorePath, kStore},
      Route{kResealPath, kReseal, Scope::admin, Scope::admin},
      Route{kPendingPath, kPending},
      Route{kPendingOnePath, kPendingOne, Scope::admin, Scope::admin},
      Route{kEventsPath, kEvents},
      Route{kSyncPath, kSync},
      Route{kExplainDocumentPath, kExplainDocument},
      Route{kExplainPeerPath, kExplainPeer},
      Route{kQuarantinePath, kQuarantine, Scope::read, Scope::admin},
      Route{kQuarantinedPath, kQuarantined, Scope::read, Scope::admin},
      Route{kBackupPath, kBackup, Scope::admin, Scope::admin},
      Route{kCompactPath, kCompact, Scope::admin, Scope::admin},
      Route{kQueryPath, kQuery, Scope::read, Scope::read},
      Route{kCollectionsPath, kCollections},
      Route{kCollectionPath, kCollection},
      Route{kDocumentPath, kDocument},
      Route{kHeadsPath, kHeads},
  };
  for (const auto& route : kRoutes) {
    if (matches(route.pattern, target.path)) return &route;
  }
  return nullptr;
}

bool Router::host_is_ours(std::string_view host) const {
  return std::ranges::find(hosts_, lower(host)) != hosts_.end();
}

Status Router::check_place(const Request& request) const {
  if (access_ || request.local) return {};
  if (!host_is_ours(request.host)) {
    return fail(Code::foreign_origin,
                fmt::format("Host '{}' is not this server; use http://{}", request.host,
                            hosts_.empty() ? "127.0.0.1" : hosts_.front()));
  }
  if (request.origin && (!request.origin->starts_with("http://") ||
                         !host_is_ours(std::string_view(*request.origin).substr(7)))) {
    return fail(Code::foreign_origin,
                fmt::format("Origin '{}' may not use this interface", *request.origin));
  }
  return {};
}

std::optional<Response> Router::refuse(const Request& request) const {
  if (const auto place = check_place(request); !place) return problem(place.error());
  const auto target = parse_target(request.target);
  if (!target) return problem(target.error());
  const auto* route = find_route(*target);
  if (route == nullptr) {
    return problem(Code::not_found, fmt::format("there is nothing at {}", request.target));
  }
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (access_ && !request.local) {
    const auto need = reads ? route->reading : route->changing;
    const auto allowed = access_->check(request.authorization, need, clock_());
    if (!allowed) {
      auto response = problem(allowed.error());
      if (response.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
      return response;
    }
  }
  const auto* method = find_method(route->methods, request.method);
  if (method == nullptr) return wrong_method(route->methods, request);
  if (!media_fits(method->media, request.content_type)) {
    return problem(Code::wrong_media_type,
                   fmt::format("Content-Type is '{}'; {} {} needs {}", request.content_type,
                               request.method, request.target, media_name(method->media)));
  }
  return std::nullopt;
}

void Router::handle(Request request, Respond respond) {
  if (auto refusal = refuse(request)) return respond(std::move(*refusal));
  auto target = *parse_target(request.target);
  const auto* route = find_route(target);
  const auto* method = find_method(route->methods, request.method);
  Call call{node_,
            counters_ ? counters_() : node::HttpCounters(),
            limits_,
            std::move(target),
            std::move(request),
            {},
            {},
            std::move(respond)};
  for (std::size_t i = 0; i < route->pattern.size(); ++i) {
    if (route->pattern[i] == "{c}") call.collection = call.target.path[i];
    if (route->pattern[i] == "{i}") call.id = call.target.path[i];
  }
  method->handler(std::move(call));
}

std::string etag_of(const automerge::Heads& heads) {
  Bytes joined;
  joined.reserve(heads.size() * sizeof(automerge::ChangeHash));
  for (const auto& head : heads) joined.insert(joined.end(), head.bytes.begin(), head.bytes.end());
  const auto digest = sha256(joined);
  return '"' + to_hex(std::span(digest).first(16)) + '"';
}

Status check_depth(std::string_view json, std::uint64_t limit) {
  std::uint64_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > limit) {
        return fail(Code::malformed,
                    fmt::format("the JSON text nests deeper than {} levels at byte {}", limit, i));
      }
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return {};
}

}  // namespace peat::broker
