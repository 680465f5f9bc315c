// The handlers behind the router, by subject.
#pragma once

#include <string>

#include "broker/http.hpp"
#include "broker/router.hpp"

namespace peat::broker {

// One request on its way. `collection` and `id` (or a peer's id in `id`) come from the path.
struct Call {
  node::NodeApi& node;
  node::HttpCounters http;
  const Limits& limits;
  Target target;
  Request request;
  std::string collection;
  std::string id;
  Respond respond;
};

// routes_node.cpp
void get_metrics(Call call);
void get_health(Call call);
void get_ready(Call call);
void get_node(Call call);
void get_status(Call call);
void get_access(Call call);
void get_store(Call call);
void post_reseal(Call call);
void get_peers(Call call);
void get_peer(Call call);
void post_peer(Call call);
void delete_peer(Call call);

// routes_operations.cpp
void get_sync(Call call);
void explain_document(Call call);
void explain_peer(Call call);
void get_quarantine(Call call);
void get_quarantined(Call call);
void retry_quarantined(Call call);
void drop_quarantined(Call call);
void get_backup(Call call);
void compact_store(Call call);

// routes_members.cpp
void get_members(Call call);
void get_pending(Call call);
void approve_pending(Call call);
void deny_pending(Call call);

// routes_documents.cpp
void get_collections(Call call);
void get_document(Call call);
void put_document(Call call);
void patch_document(Call call);
void delete_document(Call call);
void get_heads(Call call);

// listing.cpp, import.cpp, event_stream.cpp
void get_listing(Call call);
void post_import(Call call);
void get_events(Call call);

// query.cpp
void get_query(Call call);
void post_query(Call call);

// Code::malformed if `json` nests deeper than `limit`; one pass, before anything is built.
Status check_depth(std::string_view json, std::uint64_t limit);
// ["hash", …]
void append_heads(std::string& out, const automerge::Heads& heads);
// What status, peers and sync show of a peer.
void append_peer(std::string& out, const node::PeerInfo& peer);
// [{"collection", "documents"}, …]
void append_collections(std::string& out, const std::vector<node::CollectionInfo>& collections);
// A decimal query value; `fallback` when absent.
Result<std::uint64_t> number_in_query(const Target& target, std::string_view name,
                                      std::uint64_t fallback);

}  // namespace peat::broker
