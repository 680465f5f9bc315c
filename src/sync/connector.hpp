// The peer table and the one connection state machine (design rule 2).
//
// One entry per peer: where it can be dialled, how it authenticates, what was learnt about it
// (which protocols it takes, which handshake it speaks), and its live connection. Dialled and
// accepted connections enter at the same state; nobody sees a connection before the formation
// handshake has passed. `AuthenticatedConnection` is another type than transport::Connection, and
// the only one that sync accepts. Where `admit` is set, membership takes more than the secret: it
// is asked when a connection comes in, before a dial, and when the proof has passed; whom it
// refuses is closed with 2, the reason in a few words.
//
//   unknown ── dial ──► connecting ── handshake ──► authenticating ── proof ──► connected
//      ▲                    │ refused, no answer         │ no challenge: next variant   │
//      └──────── back-off ──┴────────────────────────────┴───── closed ◄────────────────┘
//
// Dialling. Whoever knows an address dials; however many ask, one attempt per peer is under way.
// `peat/sync/2` and `cap/automerge/1` are offered together; a peer that refuses the pair is
// redialled with the old one alone, and remembered until a dial to it fails. Over `peat/sync/2`
// the handshake is A' with a bound nonce, nothing else. On the old protocol the variants A', B, A
// are tried in this order, the one that worked last time first, each on a new connection, until
// one brings a verdict; an attempt without a challenge is dropped after max(2 s, 4 RTT).
// A peer configured with PeerAuth::none is offered the old protocol alone and never sent a
// preamble.
//
// Accepting. One total deadline of 30 s; unauthenticated diallers only where allowed, on the old
// protocol alone; a refused proof is answered before the connection closes with 1. What a peer
// sends on other streams before its proof is held back, within the 64 KiB that flow control
// leaves it. An address whose strangers fail more than formation_failures_per_minute proofs is
// turned away until a minute has gone (D-32); peers that have been let in before are not.
//
// Two connections with one peer (spec/storage.md 2.3). Dialled by different sides: the one that
// the lower endpoint id dialled stays, and the other is closed, with
//   100 conflict_connect_lower_wins       by its acceptor, who dialled the winner
//   101 conflict_connect_yield            by its dialler, before or when it completed
//   102 conflict_accept_closing_outgoing  by its dialler, when it completed first
//   103 conflict_accept_reject_incoming   by its acceptor, when it completed last
// unless the winner would be older than 10 s and the other side dialled anew: then that side has
// lost the old one without our knowing, and the new one replaces it (0 stale_path_replaced), as
// it does when both were dialled by the same side. The end of a replaced connection changes
// nothing for its successor.
//
// Threading: the loop; handlers and callbacks are never called from inside a call. Ownership: the
// endpoint, executor and random source outlive the connector; connections that were handed out
// stay usable until their on_closed, but not after the connector is gone. Limits
// (base/limits.def): net_unauthenticated_window_bytes, sync_peers (peers that dialled us and are
// not connected are forgotten first).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.hpp"
#include "base/limits.hpp"
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
};

// A dial that failed, or somebody who was not let in.
struct RefusedPeer {
  EndpointId id;
  std::string address;   // dialled, or where it came from
  bool dialled = false;  // by us
  bool configured = false;
  bool answered = false;  // somebody was there; false: a dial that nobody took
  Error error;
};

// Whether an acceptor of the old protocol must prove membership too, by a bound nonce; peers of the
// Rust generations never do. prefer: one that ever has must do it always. Of `peat/sync/2` it is
// always required.
enum class Binding : std::uint8_t { off, prefer, require };

struct ConnectorOptions {
  std::optional<security::FormationKey> formation;  // none: only unauthenticated peers
  // A second secret of the same formation id that is accepted as well, while it is changed.
  std::optional<security::FormationKey> other_formation = {};
  Binding binding = Binding::prefer;
  // Peers whose nonce was bound once; `on_bound` tells of new ones, for the caller to remember.
  std::set<EndpointId> bound_before = {};
  std::function<void(const EndpointId&)> on_bound = {};
  bool allow_unauthenticated_peers = false;  // any peer may sync; warn about it at start
  bool native = true;  // offer and accept peat/sync/2 (which always needs a formation)
  // Whether this key may synchronise now, over the protocol; "" before a dial, when none is agreed.
  // Peers that are exempt from proof are not asked about.
  std::function<Status(const EndpointId&, std::string_view alpn)> admit = {};
  // Further protocols of the endpoint: their connections go to the callback, unproven.
  std::vector<std::pair<std::string, transport::AcceptCallback>> protocols = {};
  // Every failed dial, failed handshake and refused stranger, in the loop's next turn. A stranger
  // leaves no other trace: without proof nobody gets a row in the table.
  std::function<void(const RefusedPeer&)> on_refused = {};
};

struct PeerAddress {
  EndpointId id;
  std::string address;  // "host:port"
  PeerAuth auth = PeerAuth::formation;
  // Where it may be reached as well: each is tried in turn when nobody answers at the one before.
  std::vector<std::string> others = {};
};

// What an operator sees of a peer.
struct PeerStatus {
  EndpointId id;
  std::string address;    // configured or last seen
  std::string state;      // unknown, connecting, authenticating, connected, backoff (the last
                          // attempt failed; the channel decides when the next is due)
  std::string dialect;    // "peat/sync/2", "cap/automerge/1" or ""
  std::string handshake;  // "A'", "B", "A", "none" or ""
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
  // Whether somebody gave an address for it: such a peer is redialled for as long as it is there.
  virtual bool is_configured(const EndpointId& peer) const = 0;
  // The live connection, or dials and authenticates. Concurrent calls for one peer share one
  // attempt. Code::unreachable if no address is known and the peer has not dialled us.
  virtual void get_or_connect(const EndpointId& peer, Callback done) = 0;
  // Nobody waits for this peer any more: an attempt under way is given up, its callbacks end with
  // Code::cancelled. A live connection is left alone.
  virtual void give_up(const EndpointId& peer) = 0;
  // Called for every connection that became a peer's live one, dialled or accepted, before any
  // get_or_connect callback for it. Take its events with connection->set_handler at once: they
  // are held until then. A connection that replaces another ends the other's events.
  virtual void on_connected(std::function<void(AuthenticatedConnection)> handler) = 0;
};

class Connector : public SyncTransport {
 public:
  static std::unique_ptr<Connector> create(transport::Endpoint& endpoint, Executor& executor,
                                           Random& random, const Limits& limits,
                                           ConnectorOptions options);

  // Accepts connections from now on.
  virtual void start() = 0;

  // Adds a configured peer or replaces its address. It is dialled when somebody asks for it
  // (SyncChannelManager::get_channel). Code::invalid_argument for this node's own id.
  virtual Status add_peer(PeerAddress peer) = 0;
  // Forgets the peer, what was learnt about it too, and closes its connection (0, "disconnect
  // requested"). It may dial us again. False: no such peer.
  virtual bool remove_peer(const EndpointId& peer) = 0;
  virtual std::vector<PeerStatus> peers() const = 0;  // ordered by id
  // Closes the connection and the attempt of a peer that `admit` no longer lets in, with 2. What is
  // configured stays: it is dialled again, and let in again if `admit` says so.
  virtual void expel(const EndpointId& peer, const Error& why) = 0;
  // Closes the peer's connection (0, with the reason), for both sides to begin anew. A dialled one
  // is dialled again.
  virtual void restart(const EndpointId& peer, std::string_view reason) = 0;
  // Connections that have not proved membership yet.
  virtual std::size_t unproven() const = 0;

  // Refuses everything from now on; the endpoint closes what is left. Waiting get_or_connect calls
  // end with Code::shut_down.
  virtual void shutdown() = 0;
};

}  // namespace peat::sync
