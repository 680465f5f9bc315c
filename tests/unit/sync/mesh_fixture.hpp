// Nodes of the byte layer (endpoint, connector, channels) in a simulated world.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/encoding.hpp"
#include "sim/network.hpp"
#include "sync/connector.hpp"

namespace peat::sync::test {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Greater numbers, greater ids.
inline EndpointId id_of(std::size_t n) {
  EndpointId id;
  id.bytes.fill(static_cast<std::uint8_t>(n));
  id.bytes[0] = static_cast<std::uint8_t>(n >> 8);
  return id;
}

inline std::optional<security::FormationKey> formation(std::string_view secret = "river stone",
                                                       std::string_view id = "peat") {
  const auto digest = sha256(as_bytes(secret));
  return std::move(security::FormationKey::derive(digest, id).value());
}

// Hosts are numbered from 0; host n has the endpoint id of n + 1, so lower number is lower id.
struct Mesh {
  explicit Mesh(std::uint64_t seed = 1, sim::TransportOptions transport = {},
                sim::LinkOptions link = {})
      : world(seed), network(world, transport, link) {}

  sim::HostId add_host() {
    executors.push_back(std::make_unique<sim::SimExecutor>(world));
    return network.add_host(id_of(executors.size()), *executors.back());
  }
  EndpointId id(sim::HostId host) const { return id_of(std::size_t{host} + 1); }

  sim::World world;
  std::vector<std::unique_ptr<sim::SimExecutor>> executors;
  sim::Network network;
  Limits limits;
};

}  // namespace peat::sync::test
