// A simulated network on the stream seam: hosts, links and connections in virtual time.
//
// Each Host implements transport::Endpoint as net::QuicEndpoint does: dials and handshakes of one
// and a half round trips, streams with credit, receive windows, resets and closes, keep-alive and
// idle timeout. Below it, every message is a packet of a link with latency, jitter (so packets of
// one connection overtake each other), bandwidth and loss (a lost packet arrives late, as after a
// retransmission). Streams stay ordered; nothing else does: a close can overtake data.
//
// Faults: links are cut and healed (what is under way waits), connections and streams are reset,
// dials refused, hosts crash and come back. Each fault that happened is counted in
// faults_happened(), so that a scenario can prove that it met what it configured.
//
// Not modelled: congestion control beyond a fixed window, MTU, path changes, TLS (identities are
// what add_host was told). Those are proven with real QUIC over simulated datagrams.
//
// Ownership: the network outlives its hosts' users. Host pointers stay valid until crash() of that
// host. Threading: one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "peat/ids.hpp"
#include "sim/world.hpp"
#include "transport/connection.hpp"

namespace peat::sim {

struct LinkOptions {
  Duration latency = std::chrono::milliseconds(5);  // one way
  Duration jitter = std::chrono::milliseconds(2);   // added, uniform
  std::uint64_t bytes_per_second = 0;               // each way; 0: unlimited
  double loss = 0;                                  // of each packet, first transmission
};

struct TransportOptions {
  Duration idle_timeout = std::chrono::seconds(30);
  Duration dial_timeout = std::chrono::seconds(10);
  std::uint64_t stream_credit = 100;            // of each kind, for a proven peer
  std::uint64_t unproven_stream_credit = 4;     // before mark_authenticated
  std::uint64_t stream_window = 1'250'000;      // bytes
  std::uint64_t unproven_window = 64 << 10;     // bytes, connection and stream
  std::uint64_t connection_window = 8 << 20;    // bytes
  std::uint64_t congestion_window = 128 << 10;  // bytes in flight
  double refuse_dials = 0;                      // probability
  bool refuses_several_protocols = false;       // as a peer that fails on a longer offer
  bool returns_uni_credit = true;               // false: as a peer that never accepts such streams
};

// What can go wrong, as counted.
enum class Fault : std::uint8_t {
  link_cut,
  link_healed,
  connection_reset,
  stream_reset,
  dial_refused,
  dial_timed_out,
  packet_lost,
  packet_overtaken,
  packet_delayed_by_cut,
  idle_timeout,
  stream_credit_used_up,
  host_crashed,
  host_restarted,
  simultaneous_dial,
};
std::string_view to_string(Fault fault);

using HostId = std::uint32_t;
class Host;
class SimConnection;

class Network {
 public:
  explicit Network(World& world, TransportOptions transport = {}, LinkOptions link = {});
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  // A host that is up. Its executor must outlive it (until crash() or the network's end).
  HostId add_host(const EndpointId& id, SimExecutor& executor);
  transport::Endpoint& endpoint(HostId host);
  std::string address(HostId host) const;  // "10.a.b.c:11204"
  TransportOptions& options(HostId host);  // of this host, for connections made from now on

  void set_link(HostId a, HostId b, LinkOptions options);
  void cut(HostId a, HostId b);
  void heal(HostId a, HostId b);
  void heal_all();
  bool is_cut(HostId a, HostId b) const;

  // The power fails: connections are gone without a word, the endpoint with them.
  void crash(HostId host);
  void restart(HostId host, SimExecutor& executor);
  bool is_up(HostId host) const;

  // Fault injection; false if there was nothing to break.
  bool reset_connection(HostId a, HostId b);
  bool reset_random_connection();
  // The receiving stack of some stream in use stops it, as an overloaded peer does.
  bool reset_random_stream();

  std::size_t connections(HostId a, HostId b) const;  // live ones, each counted once
  const std::map<Fault, std::uint64_t>& faults_happened() const { return happened_; }
  // How often connections were closed with an application code, by code.
  const std::map<std::uint64_t, std::uint64_t>& closes() const { return closes_; }

 private:
  friend class Host;
  friend class SimConnection;
  using Pair = std::pair<HostId, HostId>;  // ordered

  struct Slot {
    EndpointId id;
    SimExecutor* executor = nullptr;
    TransportOptions options;
    std::unique_ptr<Host> host;  // null: down
  };
  struct Route {  // one direction of one pair
    Instant free;
  };

  static Pair pair_of(HostId a, HostId b) { return {std::min(a, b), std::max(a, b)}; }
  const LinkOptions& link(HostId a, HostId b) const;
  bool reachable(HostId a, HostId b) const { return !is_cut(a, b) && is_up(a) && is_up(b); }
  void count(Fault fault);
  // When a packet of `size` bytes that leaves now arrives.
  Instant arrival(HostId from, HostId to, std::size_t size);
  Duration backlog(HostId from, HostId to) const;
  std::vector<std::shared_ptr<SimConnection>> live(HostId a, HostId b) const;
  std::vector<std::shared_ptr<SimConnection>> live() const;
  void answer_for_gone(SimConnection& sender, const SimConnection* receiver);
  void forget(SimConnection& connection);

  static constexpr std::size_t kRemembered = 1024;

  World& world_;
  TransportOptions transport_;
  LinkOptions default_link_;
  std::vector<Slot> slots_;
  std::map<std::string, HostId, std::less<>> by_address_;
  std::map<Pair, LinkOptions> links_;
  std::map<Pair, Route> routes_;  // key: (from, to), not ordered
  std::set<Pair> cuts_;
  std::deque<std::shared_ptr<SimConnection>> graveyard_;  // closed; they answer late packets
  std::map<Pair, std::uint32_t> dials_under_way_;         // key: (from, to)
  std::uint64_t next_connection_ = 1;
  std::map<Fault, std::uint64_t> happened_;
  std::map<std::uint64_t, std::uint64_t> closes_;
};

}  // namespace peat::sim
