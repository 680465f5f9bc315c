// The peer table and the one connection state machine (design rule 2).
//
// One entry per peer: where it can be dialled, how it authenticates, what was learnt about it
// (which protocols it takes, which handshake it speaks), and its live connection. Dialled and
// accepted connections enter at the same state; nobody sees a connection before the formation
// handshake has passed. `AuthenticatedConnection` is another type than transport::Connection, and
// the only one that sync accepts.
//
//   unknown ── dial ──► connecting ── handshake ──► authenticating ── proof ──► connected
//      ▲                    │ refused, no answer         │ no challenge: next variant   │
//      └──────── back-off ──┴────────────────────────────┴───── closed ◄────────────────┘
//
// Dialling: `peat/sync/2` and `cap/automerge/1` are offered together; a peer that refuses the pair
// is redialled with the old one alone, and remembered. Handshake variants on the old protocol:
// A', then B, then A, each on a new connection, remembered per peer; an attempt without a
// challenge is dropped after max(2 s, 4 RTT). Of two connections with one peer the one dialled by
// the lower endpoint id stays (close codes 100 to 103 of spec/storage.md 2.3).
//
// Threading: the loop. Limits: net_unauthenticated_*; peers known are bounded by configuration.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.hpp"
#include "base/random.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "security/formation.hpp"
#include "transport/connection.hpp"

namespace peat::sync {

inline constexpr std::string_view kAlpnNative = "peat/sync/2";
inline constexpr std::string_view kAlpnOld = "cap/automerge/1";

enum class Dialect : std::uint8_t { native, old };

// How a peer proves membership.
enum class PeerAuth : std::uint8_t {
  formation,  // the default
  none,       // an unauthenticated peer, allowed explicitly; never sent a preamble
};

// A connection whose peer has proved membership (or is explicitly exempt). Made by the Connector
// alone.
struct AuthenticatedConnection {
  std::shared_ptr<transport::Connection> connection;
  Dialect dialect = Dialect::native;
  bool authenticated = true;  // false: exempt by configuration
  bool bound = false;         // the acceptor's nonce was bound to both endpoint ids
  // Bytes of the first stream that belong to sync, when the peer sent no handshake.
  std::optional<transport::StreamId> first_stream;
  Bytes first_bytes;
};

struct ConnectorOptions {
  std::vector<security::FormationKey> formations;  // usually one; empty: only exempt peers
  bool allow_unauthenticated_peers = false;
  bool native = true;  // offer and accept peat/sync/2
  Duration handshake_deadline = std::chrono::seconds(30);
};

struct PeerAddress {
  EndpointId id;
  std::string address;  // "host:port"
  PeerAuth auth = PeerAuth::formation;
};

// What an operator sees of a peer.
struct PeerStatus {
  EndpointId id;
  std::string address;        // configured or last seen
  std::string state;          // unknown, connecting, authenticating, connected, backoff
  std::string dialect;        // "peat/sync/2", "cap/automerge/1" or ""
  std::string handshake;      // "A'", "B", "A", "none" or ""
  bool dialled = false;
  bool configured = false;
  std::uint64_t connects = 0;
  std::uint64_t failures = 0;
  std::string last_error;
  std::optional<transport::ConnectionStats> stats;
};

// Seam towards channels (spec/storage.md 16, sync_transport). SyncChannel asks for connections
// only here.
class SyncTransport {
 public:
  virtual ~SyncTransport() = default;
  using Callback = std::function<void(Result<AuthenticatedConnection>)>;

  virtual std::optional<AuthenticatedConnection> get_connection(const EndpointId& peer) const = 0;
  virtual std::vector<EndpointId> connected_peers() const = 0;
  // The live connection, or dials and authenticates. Concurrent calls for one peer share one
  // attempt. Code::unreachable if no address is known and the peer has not dialled us.
  virtual void get_or_connect(const EndpointId& peer, Callback done) = 0;
  // Called for every connection that became authenticated, dialled or accepted, before any
  // get_or_connect callback for it; and when the live connection of a peer is gone.
  virtual void on_connected(std::function<void(AuthenticatedConnection)> handler) = 0;
};

}  // namespace peat::sync
