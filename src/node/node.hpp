// A running node: settings in, a mesh that agrees out. The composition root.
//
//   store::DocumentStore  <- sync::Documents <- sync::Coordinator
//   net::QuicEndpoint     <- sync::Connector <- sync::SyncChannelManager <-´
//
// Opening makes the key, opens the store, binds the socket and dials the peers; whatever fails
// names the setting and the remedy. shutdown() ends in the opposite order: channels flush, the
// endpoint closes its connections, the store makes everything durable and marks the stop as clean.
//
// Threading: the executor's loop, from open() to the destructor.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/limits.hpp"
#include "node/asio_executor.hpp"
#include "node/node_api.hpp"
#include "node/settings.hpp"
#include "peat/error.hpp"

namespace peat::sync {
struct ChannelOptions;
}

namespace peat::node {

// How channels reconnect, by the settings.
sync::ChannelOptions channel_options(const Settings& settings);

// Where a node says what an operator should know: one sentence with contiguous key=value fields.
using Log = std::function<void(LogLevel level, std::string_view message)>;

class Node : public NodeApi {
 public:
  // The executor outlives the node.
  static Result<std::unique_ptr<Node>> open(AsioExecutor& executor, Settings settings, Log log,
                                            const Limits& limits = {});

  // SIGHUP: the settings, read again; takes over what settings.def marks for it (peers,
  // collections).
  virtual void reload(const Settings& settings) = 0;
  // Afterwards no call but the destructor.
  virtual void shutdown(Done done) = 0;
};

}  // namespace peat::node
