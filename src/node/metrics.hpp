// Prometheus exposition text (version 0.0.4) from the table metrics.def.
//
// prometheus-cpp would bring a registry with locks and a second copy of every counter; all our
// numbers live on the loop already and are read there, so a table and a writer are all it takes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/options.hpp"
#include "node/node_api.hpp"
#include "store/document_store.hpp"
#include "sync/access.hpp"
#include "sync/channel.hpp"
#include "sync/upkeep.hpp"

namespace peat::node {

struct MetricSource {
  NodeInfo info;
  std::uint64_t resident_bytes = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t refused = 0;
  std::uint64_t cache_bytes = 0;
  std::uint64_t events = 0;
  std::uint64_t handshakes_failed = 0;
  sync::Access::Counts denied{};
  store::StoreStats store;
  sync::UpkeepStats upkeep;
  net::EndpointStats net;
  sync::ChannelManagerStats channels;
  HttpCounters http;
  std::vector<PeerInfo> peers;
};

struct MetricInfo {
  std::string_view name;
  std::string_view kind;
  std::string_view help;
  bool per_peer;
};
std::span<const MetricInfo> metric_table();

std::string exposition(const MetricSource& source);
std::uint64_t resident_bytes();  // of this process

}  // namespace peat::node
