// Many channels: what reaches all of them, how many there are, how they end.
#include <gtest/gtest.h>

#include "channel_fixture.hpp"

namespace peat::sync {
namespace {

using namespace test;

INSTANTIATE_TEST_SUITE_P(Dialects, Channel, testing::Values(false, true), [](const auto& param) {
  return param.param ? std::string("Native") : std::string("Old");
});

TEST_P(Channel, ABroadcastReachesEveryConnectedPeerAndOneFailureStopsNobody) {
  Mesh mesh;
  Node hub(mesh, options());
  std::vector<std::unique_ptr<Node>> leaves;
  for (int i = 0; i < 4; ++i) {
    leaves.push_back(std::make_unique<Node>(mesh, options()));
    leaves.back()->knows(hub.host);
    leaves.back()->to(hub.host);
  }
  hub.to(99);  // nobody knows where
  mesh.world.run_for(seconds(2));
  // The first leaf's link is full.
  mesh.network.set_link(hub.host, leaves[0]->host, {milliseconds(5), milliseconds(0), 1000, 0});
  while (hub.to(leaves[0]->host).send(batch("fill", 100'000))) {
  }
  const auto results = hub.manager->broadcast(batch("news"));
  ASSERT_EQ(results.size(), 4U) << "connected peers only";
  EXPECT_EQ(results.at(leaves[0]->id()).error().code, Code::would_block);
  for (int i = 1; i < 4; ++i) EXPECT_TRUE(results.at(leaves[i]->id()));
  mesh.world.run_for(seconds(2));
  for (int i = 1; i < 4; ++i) EXPECT_TRUE(leaves[i]->heard(hub.host).has("news"));
}

TEST_P(Channel, EveryKindOfMessageHasItsCall) {
  const auto mesh = two();
  mesh->connect();
  auto& manager = *mesh->a.manager;
  const auto peer = mesh->b.id();
  wire::Tombstone tombstone;
  tombstone.collection = "docs";
  tombstone.id = "x";
  tombstone.deleted_by = "a";
  const auto settle = [&] { mesh->world.run_for(seconds(1)); };
  EXPECT_TRUE(manager.send_delta_sync(peer, "docs:delta", Bytes{1}));
  settle();
  EXPECT_TRUE(manager.send_state_snapshot(peer, "docs:snapshot", Bytes{1}));
  settle();
  EXPECT_TRUE(manager.send_tombstone(peer, tombstone));
  settle();
  EXPECT_TRUE(manager.send_tombstone_batch(peer, std::vector{tombstone, tombstone}));
  settle();
  EXPECT_TRUE(manager.broadcast_delta_sync("docs:all-delta", Bytes{1}).at(peer));
  settle();
  EXPECT_TRUE(manager.broadcast_state_snapshot("docs:all-snapshot", Bytes{1}).at(peer));
  settle();
  EXPECT_TRUE(manager.broadcast_tombstone(tombstone).at(peer));
  settle();
  EXPECT_EQ(mesh->b.heard(mesh->a.host).entries,
            (std::vector<std::string>{"docs:delta", "docs:snapshot", "tombstones:docs:x",
                                      "tombstones:docs:x", "tombstones:docs:x", "docs:all-delta",
                                      "docs:all-snapshot", "tombstones:docs:x"}));
}

TEST_P(Channel, StatisticsCountEveryStreamByteOnce) {
  const auto mesh = two();
  mesh->connect();
  for (int i = 0; i < 30; ++i) {
    send_until_taken(*mesh, mesh->a.to(mesh->b.host), batch("a:" + std::to_string(i), 1000));
    send_until_taken(*mesh, mesh->b.to(mesh->a.host), batch("b:" + std::to_string(i), 100));
    mesh->world.run_for(milliseconds(300));
  }
  mesh->world.run_for(milliseconds(500));
  const auto a = mesh->a.manager->stats();
  const auto b = mesh->b.manager->stats();
  EXPECT_EQ(a.sum.bytes_sent, b.sum.bytes_received);
  EXPECT_EQ(b.sum.bytes_sent, a.sum.bytes_received);
  EXPECT_EQ(a.sum.batches_sent, 30U);
  EXPECT_EQ(b.sum.batches_received, 30U);
  EXPECT_EQ(a.total_channels, 1U);
  EXPECT_EQ(a.connected_channels, 1U);
  ASSERT_TRUE(a.sum.last_send && b.sum.last_receive);
  EXPECT_LE(*a.sum.last_send, *b.sum.last_receive);
  // 30 batches of 7 + 5 + 21 + 7 + key + 1000 bytes and the frame around them.
  EXPECT_GT(a.sum.bytes_sent, 30U * 1040);
  EXPECT_LT(a.sum.bytes_sent, 30U * 1070 + 200);

  mesh->a.manager->remove_channel(mesh->b.id());
  EXPECT_EQ(mesh->a.manager->channel_count(), 0U);
  EXPECT_GE(mesh->a.manager->stats().sum.bytes_sent, a.sum.bytes_sent)
      << "what was sent stays counted";
}

TEST_P(Channel, ShutdownFlushesClosesInOrderAndSaysWhenItIsDone) {
  Mesh mesh;
  Node hub(mesh, options());
  std::vector<std::unique_ptr<Node>> leaves;
  for (int i = 0; i < 5; ++i) {
    leaves.push_back(std::make_unique<Node>(mesh, options()));
    hub.knows(leaves.back()->host);
    hub.to(leaves.back()->host);
  }
  mesh.world.run_for(seconds(2));
  for (const auto& leaf : leaves) ASSERT_TRUE(hub.to(leaf->host).send(batch("bye")));
  int done = 0;
  hub.manager->shutdown([&] { ++done; });
  EXPECT_EQ(done, 0);
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(done, 1);
  for (const auto& leaf : leaves) {
    EXPECT_TRUE(leaf->heard(hub.host).has("bye"));
    EXPECT_EQ(hub.heard(leaf->host).closed, 1);
  }
}

TEST_P(Channel, ShutdownEndsWithinASecondThoughAPeerIsGone) {
  const auto mesh = two();
  mesh->connect();
  mesh->network.cut(0, 1);
  ASSERT_TRUE(mesh->a.to(mesh->b.host).send(batch("never")));
  int done = 0;
  mesh->a.manager->shutdown([&] { ++done; });
  mesh->world.run_for(seconds(1));
  EXPECT_EQ(done, 1);
  mesh->world.run_for(minutes(2));
  EXPECT_EQ(done, 1);
}

// Ids cost nothing: whoever has the secret can come with a new one each time.
TEST_P(Channel, APeerThatNobodyConfiguredLeavesNoChannelBehindAndIsNotRedialled) {
  const auto mesh = two();
  mesh->connect();
  ASSERT_TRUE(mesh->a.to(mesh->b.host).send(batch("x")));
  mesh->world.run_for(seconds(1));
  mesh->network.options(mesh->a.host).refuse_dials = 1.0;
  mesh->a.manager->remove_channel(mesh->b.id());
  mesh->world.run_for(minutes(5));
  EXPECT_EQ(mesh->b.manager->channel_count(), 0U);
  EXPECT_EQ(mesh->b.heard(mesh->a.host).closed, 1);
  EXPECT_EQ(mesh->b.connector->peers().at(0).failures, 0U) << "it was not dialled";
  EXPECT_EQ(mesh->b.manager->stats().sum.batches_received, 1U) << "what it did stays counted";
  mesh->a.to(mesh->b.host);
  mesh->world.run_for(seconds(2));
  EXPECT_EQ(mesh->b.manager->channel_count(), 1U);
  EXPECT_TRUE(mesh->b.to(mesh->a.host).is_connected()) << "it may come back";
}

TEST_P(Channel, ChannelsAreBoundedByTheNumberOfPeers) {
  Mesh mesh;
  mesh.limits.sync_peers = 3;
  Node hub(mesh, options());
  hub.to(99);  // nobody knows where
  std::vector<std::unique_ptr<Node>> leaves;
  for (int i = 0; i < 4; ++i) {
    leaves.push_back(std::make_unique<Node>(mesh, options()));
    leaves.back()->knows(hub.host);
    leaves.back()->to(hub.host);
    mesh.world.run_for(seconds(1));
  }
  EXPECT_EQ(hub.manager->channel_count(), 3U);
  EXPECT_EQ(hub.manager->connected_peers().size(), 2U);
  EXPECT_GE(hub.manager->stats().refused_channels, 1U);
  EXPECT_EQ(hub.manager->get_channel(mesh.id(98)).error().code, Code::limit_exceeded);
  // One goes, another gets its place.
  leaves[0]->manager->shutdown([] {});
  mesh.world.run_for(minutes(2));
  EXPECT_EQ(hub.manager->connected_peers().size(), 2U);
}

}  // namespace
}  // namespace peat::sync
