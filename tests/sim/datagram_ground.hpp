// Hosts with real QUIC and TLS on simulated UDP: datagrams are lost, doubled, late and out of
// order. Everything but the keys of TLS comes from the world's seed.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "crypto/keys.hpp"
#include "net/quic_core.hpp"
#include "sim_mesh.hpp"

namespace peat::sim {

struct DatagramOptions {
  double loss = 0.03;
  double duplication = 0.03;
  Duration latency = std::chrono::milliseconds(15);
  Duration jitter = std::chrono::milliseconds(20);
};

class DatagramGround final : public Ground {
 public:
  DatagramGround(World& world, DatagramOptions options) : world_(world), options_(options) {}
  ~DatagramGround() override;

  // The id that the next add_host must be given: it has a key.
  EndpointId next_id() const;

  HostId add_host(const EndpointId& id, SimExecutor& executor) override;
  transport::Endpoint& endpoint(HostId host) override;
  std::string address(HostId host) const override;
  void crash(HostId host) override;
  void restart(HostId host, SimExecutor& executor) override;
  bool is_up(HostId host) const override { return hosts_.at(host).endpoint != nullptr; }

  void cut(HostId a, HostId b) { cuts_.insert({std::min(a, b), std::max(a, b)}); }
  void heal_all() { cuts_.clear(); }

  std::uint64_t lost = 0, doubled = 0, overtaken = 0, delivered = 0;

 private:
  class Endpoint;
  struct Host {
    std::shared_ptr<Endpoint> endpoint;  // null: down
    Instant last_arrival{};
  };

  crypto::SecretKey key(HostId host) const;
  net::SocketAddress socket(HostId host) const;
  void send(HostId from, const net::SocketAddress& to, ByteView datagram);

  World& world_;
  DatagramOptions options_;
  std::vector<Host> hosts_;
  std::set<std::pair<HostId, HostId>> cuts_;
};

}  // namespace peat::sim
