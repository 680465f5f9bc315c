// A thousand nodes in one world: what a large mesh's channels cost, and that they come back.
#include <gtest/gtest.h>

#include "channel_fixture.hpp"

namespace peat::sync {
namespace {

using namespace test;

TEST(ThousandNodes, EveryChannelComesUpAndComesBack) {
  constexpr std::size_t kNodes = 1000;
  constexpr std::size_t kDials = 3;
  Mesh mesh(4, {}, {milliseconds(20), milliseconds(20), 0, 0.01});
  std::vector<std::unique_ptr<Node>> nodes;
  for (std::size_t i = 0; i < kNodes; ++i) {
    nodes.push_back(std::make_unique<Node>(mesh, ConnectorOptions{.formation = formation()}));
  }
  std::set<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t i = 1; i < kNodes; ++i) {
    for (std::size_t k = 0; k < kDials; ++k) {
      const auto j = mesh.world.below(i);
      if (!pairs.emplace(j, i).second) continue;
      nodes[i]->knows(nodes[j]->host);
      nodes[i]->to(nodes[j]->host);
    }
  }
  const auto all_up = [&] {
    std::size_t connected = 0;
    for (const auto& node : nodes) connected += node->manager->connected_peers().size();
    return connected == 2 * pairs.size();
  };
  mesh.world.run_for(seconds(10));
  ASSERT_TRUE(all_up());
  for (int i = 0; i < 200; ++i) mesh.network.reset_random_connection();
  EXPECT_FALSE(all_up());
  mesh.world.run_for(seconds(30));
  EXPECT_TRUE(all_up());
  for (const auto& node : nodes) {
    for (const auto& [peer, sent] : node->manager->broadcast(batch("news"))) EXPECT_TRUE(sent);
  }
  mesh.world.run_for(seconds(2));
  std::size_t heard = 0;
  for (const auto& node : nodes) {
    for (const auto& [peer, listener] : node->listeners) heard += listener->entries.size();
  }
  EXPECT_EQ(heard, 2 * pairs.size());
}

}  // namespace
}  // namespace peat::sync
