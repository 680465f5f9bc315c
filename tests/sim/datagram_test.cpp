// A few whole nodes over real QUIC and TLS, on a network that loses, doubles, delays and reorders
// datagrams.
#include <gtest/gtest.h>

#include "datagram_ground.hpp"

namespace peat::sim {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

struct Few {
  Few(std::uint64_t seed, std::size_t count, bool native) : world(seed), ground(world, {}) {
    for (std::size_t i = 0; i < count; ++i) {
      nodes.push_back(std::make_unique<MeshNode>(
          world, ground, ground.next_id(), "node-" + std::to_string(i), MeshNode::Options{native}));
    }
    // A line, dialled from both ends.
    for (std::size_t i = 1; i < count; ++i) {
      nodes[i]->knows(nodes[i - 1]->id(), ground.address(nodes[i - 1]->host()));
      nodes[i - 1]->knows(nodes[i]->id(), ground.address(nodes[i]->host()));
    }
  }
  bool agree() {
    const auto first = state_of(*nodes[0]);
    for (const auto& node : nodes) {
      if (state_of(*node) != first) return false;
    }
    return !first.empty();
  }
  bool settle(Duration limit) {
    const auto end = world.now().mono + limit;
    while (world.now().mono < end) {
      world.run_for(seconds(1));
      if (agree()) return true;
    }
    return false;
  }
  void edit(MeshNode& node) {
    const auto key = "docs:" + std::to_string(world.below(20));
    const auto field = "\"f" + std::to_string(world.below(4)) + "\"";
    ASSERT_TRUE(node.documents().patch(key, "{" + field + ":" + std::to_string(++edits) + "}"));
  }

  World world;
  DatagramGround ground;
  std::vector<std::unique_ptr<MeshNode>> nodes;
  std::uint64_t edits = 0;
};

struct Datagrams : testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Dialects, Datagrams, testing::Values(false, true), [](const auto& param) {
  return param.param ? std::string("Native") : std::string("Old");
});

TEST_P(Datagrams, FiveNodesAgreeThoughTheNetworkLosesDoublesAndReorders) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    Few mesh(seed, 5, GetParam());
    mesh.world.run_for(seconds(5));
    for (int round = 0; round < 60; ++round) {
      mesh.edit(*mesh.nodes[mesh.world.below(mesh.nodes.size())]);
      mesh.world.run_for(mesh.world.between(Duration{}, seconds(1)));
      if (round == 20) mesh.ground.cut(mesh.nodes[1]->host(), mesh.nodes[2]->host());
      if (round == 50) mesh.ground.heal_all();
    }
    EXPECT_TRUE(mesh.settle(minutes(3))) << "seed " << seed;
    EXPECT_GT(mesh.ground.lost, 0U);
    EXPECT_GT(mesh.ground.doubled, 0U);
    EXPECT_GT(mesh.ground.overtaken, 0U);
  }
}

TEST_P(Datagrams, ACrashedNodeComesBackAndCatchesUp) {
  Few mesh(11, 3, GetParam());
  mesh.world.run_for(seconds(5));
  for (int i = 0; i < 20; ++i) mesh.edit(*mesh.nodes[0]);
  ASSERT_TRUE(mesh.settle(minutes(1)));
  mesh.nodes[1]->crash();
  for (int i = 0; i < 20; ++i) mesh.edit(*mesh.nodes[0]);
  for (int i = 0; i < 20; ++i) mesh.edit(*mesh.nodes[2]);
  mesh.world.run_for(seconds(20));
  mesh.nodes[1]->start();
  EXPECT_TRUE(mesh.settle(minutes(2)));
}

// E3 over real QUIC: the verdict comes from acknowledgements.
TEST(DatagramsOld, TheOldDialectSettlesOnOneStream) {
  Few mesh(5, 2, false);
  mesh.world.run_for(seconds(5));
  mesh.edit(*mesh.nodes[0]);
  mesh.world.run_for(seconds(5));
  auto& channel = *mesh.nodes[0]->channels().find_channel(mesh.nodes[1]->id());
  ASSERT_TRUE(channel.is_connected());
  for (int i = 0; i < 300; ++i) {
    mesh.edit(*mesh.nodes[0]);
    mesh.world.run_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(mesh.settle(minutes(1)));
  const auto stats = channel.stats();
  EXPECT_EQ(stats.frames_resent, 0U);
  EXPECT_EQ(stats.reconnections, 0U);
  EXPECT_GT(stats.frames_sent, 200U);
  EXPECT_LT(stats.streams_opened, 20U);
}

}  // namespace
}  // namespace peat::sim
