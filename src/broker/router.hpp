// The HTTP interface of a node: which request means what.
//
//   GET            /metrics                              Prometheus text
//   GET            /api/v1/health | ready | node         (shapes of spec/mesh.md 16.1)
//   GET            /api/v1/status                        node, peers and collections in one
//   GET, POST      /api/v1/peers                         POST {"id","addr","auth"?}: kept
//   GET, DELETE    /api/v1/peers/{id}
//   GET            /api/v1/members                       certificates, and who is out and why
//   GET            /api/v1/sync                          how far each peer is behind, by collection
//   GET            /api/v1/explain/documents/{collection}/{id}?peer=ID   why it is (not) there
//   GET            /api/v1/explain/peers/{id}
//   GET            /api/v1/quarantine                    what is set aside, and why
//   GET, POST, DELETE /api/v1/quarantine/{collection}/{id}   POST {}: again; DELETE: forget it
//   GET            /api/v1/backup                        the store as a file (node/backup.hpp)
//   POST           /api/v1/store/compact                 {}: gives free pages back to the disk
//   GET            /api/v1/events?after=SEQ&collection=C&prefix=P  NDJSON, until the client leaves
//   GET            /api/v1/query?q=TEXT                  a page of documents: peat/query.hpp;
//   POST           /api/v1/query                         the same as JSON; page=TOKEN, show=ids;
//                                                        live=1&resume=TOKEN: NDJSON, the answer
//                                                        and what becomes of it
//   GET            /api/v1/documents                     collections and their counts
//   GET, POST      /api/v1/documents/{collection}        ?limit=N&after=ID&prefix=P&deleted=1,
//                                                        heads=1 (heads instead of documents);
//                                                        POST ?key=FIELD: NDJSON, a line per
//                                                        document
//   GET, PUT, PATCH, DELETE /api/v1/documents/{collection}/{id}       ?history=1 ?deleted=1
//   GET, PATCH     …?conflicts=1                         what lost to what shows, and who set it
//                                                        when; PATCH settles all or none:
//                                                        [{"path": ["a", 0], "value": …}, …]
//   GET            /api/v1/documents/{collection}/{id}/heads
//
// HEAD works wherever GET does. A write answers when it is durable. `ETag` is the hash of a
// document's heads: If-Match makes a write conditional on it, If-None-Match: * on absence, and a
// GET with If-None-Match gets 304. Errors are RFC 9457 problem details (http.hpp).
//
// A web page must not reach this interface: the Host must be this server's, an Origin too, and
// writes need a media type that a form cannot send. There is no CORS. Without tokens
// (broker/access.hpp) it serves loopback only and asks for nothing; with them every request but
// health and ready needs one, and any Host will do, because no web page has a token.
//
// Threading: the loop. Cost: as NodeApi; listings and imports run in slices so that the loop goes
// on. Limits (base/limits.def): http_json_depth, http_page_documents; the server has the others.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.hpp"
#include "base/time.hpp"
#include "broker/access.hpp"
#include "broker/http.hpp"
#include "node/node_api.hpp"

namespace peat::broker {

class Router {
 public:
  Router(node::NodeApi& node, const Limits& limits);

  // "127.0.0.1:8081": what Host and Origin may name beside localhost and [::1] with that port.
  void set_local_address(const std::string& address);

  // Tokens that requests need from now on, and the clock by which they expire.
  void set_access(Access access, std::function<WallTime()> clock) {
    access_ = std::move(access);
    clock_ = std::move(clock);
  }

  // What /metrics says of the server in front.
  void set_counters(std::function<node::HttpCounters()> counters) {
    counters_ = std::move(counters);
  }

  // What the header alone decides; nullopt: read the body and call handle(). The server asks
  // before it reads a body.
  std::optional<Response> refuse(const Request& request) const;
  void handle(Request request, Respond respond);

 private:
  struct Route;
  const Route* find_route(const Target& target) const;
  bool host_is_ours(std::string_view host) const;
  Status check_place(const Request& request) const;

  node::NodeApi& node_;
  const Limits limits_;
  std::vector<std::string> hosts_;
  std::function<node::HttpCounters()> counters_;
  std::optional<Access> access_;
  std::function<WallTime()> clock_;
};

// The entity tag of a document: the hash of its heads, in quotes.
std::string etag_of(const automerge::Heads& heads);

}  // namespace peat::broker
