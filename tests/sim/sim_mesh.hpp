// Whole nodes (disk, documents, sessions, channels, connector) in a simulated world, and what
// happens to them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/network.hpp"
#include "store/document_store.hpp"
#include "store/memory_disk.hpp"
#include "sync/channel.hpp"
#include "sync/connector.hpp"
#include "sync/coordinator.hpp"
#include "sync/documents.hpp"

namespace peat::sim {

// Where hosts stand: simulated streams (sim::Network) or real QUIC over simulated datagrams.
class Ground {
 public:
  virtual ~Ground() = default;
  virtual HostId add_host(const EndpointId& id, SimExecutor& executor) = 0;
  virtual transport::Endpoint& endpoint(HostId host) = 0;
  virtual std::string address(HostId host) const = 0;
  virtual void crash(HostId host) = 0;
  virtual void restart(HostId host, SimExecutor& executor) = 0;
  virtual bool is_up(HostId host) const = 0;
};

class StreamGround final : public Ground {
 public:
  explicit StreamGround(Network& network) : network_(network) {}
  HostId add_host(const EndpointId& id, SimExecutor& e) override {
    return network_.add_host(id, e);
  }
  transport::Endpoint& endpoint(HostId host) override { return network_.endpoint(host); }
  std::string address(HostId host) const override { return network_.address(host); }
  void crash(HostId host) override { network_.crash(host); }
  void restart(HostId host, SimExecutor& e) override { network_.restart(host, e); }
  bool is_up(HostId host) const override { return network_.is_up(host); }

 private:
  Network& network_;
};

// One machine: its disk survives a crash, everything else does not.
class MeshNode {
 public:
  struct Options {
    bool native = true;
  };
  MeshNode(World& world, Ground& ground, const EndpointId& id, std::string name, Options options);

  void start();
  void crash();  // what was not durable is lost
  bool up() const { return documents_ != nullptr; }
  void knows(const EndpointId& peer, std::string address);

  HostId host() const { return host_; }
  const EndpointId& id() const { return id_; }
  sync::Documents& documents() { return *documents_; }
  store::DocumentStore& store() { return *store_; }
  sync::SyncChannelManager& channels() { return *channels_; }
  const store::MemoryDisk& disk() const { return *disk_; }

 private:
  World& world_;
  Ground& ground_;
  EndpointId id_;
  std::string name_;
  Options options_;
  Limits limits_;
  HostId host_ = 0;
  std::map<EndpointId, std::string> peers_;
  std::shared_ptr<store::MemoryDisk> disk_ = std::make_shared<store::MemoryDisk>();
  std::unique_ptr<SimExecutor> executor_;
  std::unique_ptr<store::DocumentStore> store_;
  std::unique_ptr<sync::Documents> documents_;
  std::unique_ptr<sync::Connector> connector_;
  std::unique_ptr<sync::SyncChannelManager> channels_;
  std::unique_ptr<sync::Coordinator> coordinator_;
};

// Heads of every document and identity of every tombstone of a node; equal when nodes agree.
std::map<std::string, std::string> state_of(MeshNode& node);

// What a scenario configures, and must be able to show afterwards.
struct ChaosOptions {
  std::size_t nodes = 20;
  double extra_links = 0.5;    // beyond a spanning tree, per node
  double old_only = 0.2;       // of the nodes speak the old dialect only
  double both_know = 0.5;      // of the links are dialled from both ends
  std::size_t documents = 40;  // edited by everybody
  std::size_t doomed = 10;     // written once, then deleted, never written again
  Duration chaos = std::chrono::seconds(90);
  std::set<Fault> faults = {
      Fault::link_cut,         Fault::link_healed,      Fault::connection_reset,
      Fault::stream_reset,     Fault::dial_refused,     Fault::dial_timed_out,
      Fault::packet_lost,      Fault::packet_overtaken, Fault::packet_delayed_by_cut,
      Fault::idle_timeout,     Fault::host_crashed,     Fault::host_restarted,
      Fault::simultaneous_dial};
};

class Mesh {
 public:
  Mesh(std::uint64_t seed, ChaosOptions options);

  void build();                                // nodes, links, first documents; until all agree
  void run_chaos();                            // edits, deletions and faults
  bool settle(Duration limit);                 // heals everything; true when all nodes agree
  std::vector<std::string> broken_promises();  // what was acknowledged and is not there
  std::vector<std::string> differences();      // why nodes do not agree; a few of them
  std::vector<Fault> missing_faults() const;   // configured and did not happen

  World& world() { return world_; }
  Network& network() { return network_; }
  std::vector<std::unique_ptr<MeshNode>>& nodes() { return nodes_; }
  std::uint64_t acknowledged() const { return acknowledged_; }

 private:
  struct Written {
    std::string key;
    automerge::Heads heads;
  };

  void link(std::size_t a, std::size_t b);
  void edit(MeshNode& node, std::size_t document);
  void erase(MeshNode& node, const std::string& key);
  void something_happens();
  std::vector<MeshNode*> running();
  bool agree();

  World world_;
  ChaosOptions options_;
  Network network_;
  StreamGround ground_{network_};
  std::vector<std::unique_ptr<MeshNode>> nodes_;
  std::vector<std::pair<std::size_t, std::size_t>> links_;
  std::vector<std::pair<std::size_t, Instant>> down_;  // node, when it comes back
  std::vector<std::pair<std::size_t, Instant>> cut_;   // link, when it heals
  std::vector<Written> promised_;                      // acknowledged writes of edited documents
  std::set<std::string> deleted_;                      // acknowledged deletions of doomed ones
  std::set<std::string> to_delete_;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t edits_ = 0;
};

}  // namespace peat::sim
