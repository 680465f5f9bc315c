// The old dialect: what the field's peers are sent, and how what they send is taken.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "session_fixture.hpp"

namespace peat::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::FrameType;

std::string key_of(int n) { return "depots:" + std::to_string(n); }

class OldSessionTest : public testing::Test {
 protected:
  void run(Duration duration = seconds(2)) { world.run_for(duration); }
  Bytes snapshot(Replica& node, std::string_view key) { return **node.documents->snapshot(key); }

  sim::World world{13};
  Node a{world, 1, "alpha"};
  Replica field{world, 9, "field"};  // the documents of a peer that the test plays
};

TEST_F(OldSessionTest, TombstonesGoFirstThenDocumentsInTheFormOfTheirCollection) {
  a.put("depots:x", "{}");
  a.put("tracks:x", "{}");
  a.put("depots:gone", "{}");
  a.erase("depots:gone");
  a.put("depots:again", "{}");
  a.erase("depots:again");
  a.put("depots:again", "{}");
  PlayedPeer peer(world, a, 9, Dialect::old);
  run();
  ASSERT_FALSE(peer.heard.frames.empty());
  const auto& first = peer.heard.frames.front();
  EXPECT_EQ(first.type, FrameType::tombstone_batch);
  EXPECT_EQ(wire::decode_tombstone_batch(first.payload)->tombstones.size(), 2U);
  std::map<std::string, FrameType> form;
  for (const auto& entry : peer.heard.entries()) form[entry.key] = entry.type;
  EXPECT_EQ(form.at("depots:x"), FrameType::delta);
  EXPECT_EQ(form.at("tracks:x"), FrameType::snapshot);
  EXPECT_EQ(form.at("depots:again"), FrameType::snapshot);  // its deltas would be dropped there
}

TEST_F(OldSessionTest, ManyTombstonesTravelInFramesThatOldPeersTake) {
  for (int n = 0; n < 5000; ++n) {
    wire::Tombstone tombstone{.collection = "depots",
                              .id = std::to_string(n),
                              .deleted_at_ms = 1,
                              .lamport = 1,
                              .deleted_by = "zulu",
                              .reason = std::string(300, 'r')};
    ASSERT_TRUE(*a.documents->apply_tombstone(tombstone, endpoint(8)));
  }
  PlayedPeer peer(world, a, 9, Dialect::old);
  run(seconds(5));
  std::size_t tombstones = 0;
  for (const auto& frame : peer.heard.frames) {
    ASSERT_EQ(frame.type, FrameType::tombstone_batch);
    const auto batch = wire::decode_tombstone_batch(frame.payload);
    EXPECT_LE(batch->tombstones.size(), 4096U);
    EXPECT_LE(frame.payload.size(), 1U << 20);
    tombstones += batch->tombstones.size();
  }
  EXPECT_EQ(tombstones, 5000U);
}

TEST_F(OldSessionTest, BatchesKeepTheBoundsThatEveryGenerationTakes) {
  for (int n = 0; n < 1500; ++n) {
    a.put("tracks:" + std::to_string(n), R"({"t":")" + std::string(3000, 'x') + "\"}");
  }
  PlayedPeer peer(world, a, 9, Dialect::old);
  run(seconds(10));
  for (const auto& frame : peer.heard.frames) {
    ASSERT_EQ(frame.type, FrameType::batch);
    EXPECT_LE(wire::decode_batch(frame.payload)->entries.size(), 256U);
    EXPECT_LE(frame.payload.size(), 1U << 20);
  }
  EXPECT_EQ(peer.heard.entries().size(), 1500U);
}

// A10: P1 peers send every document and all tombstones again every five seconds.
TEST_F(OldSessionTest, A10RepeatedSnapshotsAndTombstonesCauseNoWriteAndNoAnswer) {
  field.put("tracks:x", "{}");
  field.put("depots:gone", "{}");
  field.erase("depots:gone");
  Bytes tombstones;
  const std::vector<wire::Tombstone> one{(*field.store->tombstone("depots:gone"))->tombstone};
  ASSERT_TRUE(wire::encode_tombstone_batch(one, tombstones));
  PlayedPeer peer(world, a, 9, Dialect::old);
  run();
  const auto poll = [&] {
    peer.channel.inject({"tracks:x", FrameType::snapshot, snapshot(field, "tracks:x")});
    peer.channel.inject({"tombstones:batch", FrameType::tombstone_batch, tombstones});
    run();
  };
  poll();
  EXPECT_EQ(a.heads("tracks:x"), field.heads("tracks:x"));
  const auto heard = peer.heard.frames.size();
  const auto commits = a.disk->commits();
  const auto seq = a.store->last_seq();
  for (int n = 0; n < 5; ++n) poll();
  EXPECT_EQ(peer.heard.frames.size(), heard);
  EXPECT_EQ(a.disk->commits(), commits);
  EXPECT_EQ(a.store->last_seq(), seq);
}

// A11: without an answer to its first message an old peer keeps an in-flight mark for ever.
TEST_F(OldSessionTest, A11AFirstMessageIsAnsweredEvenIfThereIsNothingNew) {
  field.put("depots:x", "{}");
  ASSERT_TRUE(a.documents->apply_snapshot("depots:x", snapshot(field, "depots:x"), endpoint(8)));
  PlayedPeer peer(world, a, 9, Dialect::old);
  run();
  automerge::SyncState state;  // the peer's
  for (const auto& entry : peer.heard.entries()) {
    ASSERT_TRUE(field.documents->apply_sync_message("depots:x", state, entry.payload, a.id));
  }
  // The peer lost its state and polls again; then once more.
  automerge::SyncState fresh;
  for (int n = 0; n < 2; ++n) {
    const auto before = peer.heard.entries().size();
    fresh = automerge::SyncState();
    const auto message = **field.documents->sync_message("depots:x", fresh);
    peer.channel.inject({"depots:x", FrameType::delta, message});
    run();
    if (n == 0) continue;
    EXPECT_LE(peer.heard.entries().size() - before, 1U);
  }
  PlayedPeer other(world, a, 10, Dialect::old);
  other.of_node.stalled = true;  // its first message comes before ours
  run(milliseconds(20));
  const auto message = [&] {
    automerge::SyncState theirs;
    return **field.documents->sync_message("depots:x", theirs);
  }();
  other.channel.inject({"depots:x", FrameType::delta, message});
  other.of_node.resume();
  run();
  EXPECT_EQ(other.heard.entries().size(), 1U);
}

TEST_F(OldSessionTest, AnUnknownDocumentIsAskedForAndNotStoredBeforeItIsHere) {
  field.put("depots:x", R"({"n":1})");
  PlayedPeer peer(world, a, 9, Dialect::old);
  run();
  automerge::SyncState state;
  peer.channel.inject(
      {"depots:x", FrameType::delta, **field.documents->sync_message("depots:x", state)});
  EXPECT_EQ(a.store->count(), 0U);
  run();
  ASSERT_EQ(peer.heard.entries().size(), 1U);
  ASSERT_TRUE(field.documents->apply_sync_message("depots:x", state,
                                                  peer.heard.entries()[0].payload, a.id));
  peer.channel.inject(
      {"depots:x", FrameType::delta, **field.documents->sync_message("depots:x", state)});
  run();
  EXPECT_EQ(a.json("depots:x"), R"({"n":1})");
}

TEST_F(OldSessionTest, APeerThatOffersADeletedDocumentIsToldOnceAndThenIgnored) {
  field.put("depots:x", R"({"n":1})");
  field.put("tracks:x", R"({"n":1})");
  for (const auto* key : {"depots:x", "tracks:x"}) {
    ASSERT_TRUE(a.documents->apply_snapshot(key, snapshot(field, key), endpoint(8)));
    a.erase(key);
  }
  PlayedPeer peer(world, a, 9, Dialect::old);
  run();
  ASSERT_EQ(peer.heard.frames.size(), 1U);  // the tombstones
  for (int n = 0; n < 4; ++n) {
    peer.channel.inject({"tracks:x", FrameType::snapshot, snapshot(field, "tracks:x")});
    peer.channel.inject({"depots:x", FrameType::snapshot, snapshot(field, "depots:x")});
    run();
  }
  EXPECT_EQ(peer.heard.frames.size(), 1U);
  EXPECT_EQ(a.store->count(), 0U);
  EXPECT_EQ(a.coordinator->status(peer.id)->refused, 2U);
}

TEST_F(OldSessionTest, SharedHeadsSurviveAReconnectSoThatNothingIsSentAgain) {
  Node b(world, 2, "bravo");
  Link link(a, b, Dialect::old);
  for (int n = 0; n < 50; ++n) a.put(key_of(n), R"({"t":")" + std::string(2000, 'x') + "\"}");
  run(seconds(5));
  ASSERT_EQ(b.store->count(), 50U);
  EXPECT_TRUE(*a.store->sync_state(b.id, key_of(0)));
  const auto bytes = link.bytes();
  EXPECT_GT(bytes, 100'000U);
  link.cut();
  link.restore();
  run(seconds(5));
  EXPECT_LT(link.bytes() - bytes, 25'000U);
  b.erase(key_of(0));
  run();
  EXPECT_FALSE(*a.store->sync_state(b.id, key_of(0)));
}

TEST_F(OldSessionTest, FewStatesAndFewKeysCostMessagesAndNoData) {
  Limits limits;
  limits.sync_states = 80;  // and 20 answers waiting
  limits.sync_urgent_keys = 2;
  limits.sync_known_heads = 2;
  Node x(world, 5, "x", limits);
  Node y(world, 6, "y", limits);
  for (int n = 0; n < 60; ++n) x.put(key_of(n), "{\"n\":1}");
  for (int n = 0; n < 60; ++n) y.put("tracks:" + std::to_string(n), "{\"n\":1}");
  Link link(x, y, Dialect::old);
  run(seconds(10));
  for (int reconnects = 0; reconnects < 10; ++reconnects) {
    link.cut();
    link.restore();
    run(seconds(5));
  }
  EXPECT_EQ(x.store->count(), 120U);
  EXPECT_EQ(y.store->count(), 120U);
  const auto frames = link.frames();
  run(seconds(60));
  EXPECT_EQ(link.frames(), frames);
}

// Thousands of rows that have nothing to say must not hold the loop.
TEST_F(OldSessionTest, AConvergedCorpusIsReadOverManyTurnsOfTheLoop) {
  // Every row is a tombstone: read twice, sent in the first pass alone.
  for (int n = 0; n < 5000; ++n) {
    const wire::Tombstone tombstone{.collection = "depots",
                                    .id = std::to_string(n),
                                    .deleted_at_ms = 1,
                                    .lamport = 1,
                                    .deleted_by = "zulu",
                                    .reason = {}};
    ASSERT_TRUE(*a.documents->apply_tombstone(tombstone, endpoint(8)));
  }
  a.put("depots:last", "{}");
  a.settle();
  PlayedPeer peer(world, a, 9, Dialect::old);
  // Another user of the loop, who wants to be served between.
  store::Seq seen = 0;
  store::Seq longest = 0;
  int served = 0;
  std::function<void()> other = [&] {
    const auto sent = a.coordinator->status(peer.id)->sent;
    longest = std::max(longest, sent - seen);
    seen = sent;
    if (++served % 200 != 0) {
      a.executor->post(other);
    } else {
      a.executor->at(a.executor->now().mono + milliseconds(1), other);
    }
  };
  a.executor->post(other);
  run(milliseconds(500));
  EXPECT_EQ(seen, a.store->last_seq());
  EXPECT_LE(longest, 512U) << "rows between two turns of the other";
  const auto entries = peer.heard.entries();
  ASSERT_FALSE(entries.empty());
  EXPECT_EQ(entries.back().key, "depots:last");
}

TEST_F(OldSessionTest, MalformedFramesAreCountedAndReadingGoesOn) {
  PlayedPeer peer(world, a, 9, Dialect::old);
  run();
  peer.channel.inject({"batch", FrameType::batch, Bytes(5, 1)});
  peer.channel.inject({"tombstones:batch", FrameType::tombstone_batch, Bytes(3, 1)});
  peer.channel.inject({"x", FrameType::tombstone, Bytes(3, 1)});
  field.put("tracks:x", "{}");
  peer.channel.inject({"tracks:x", FrameType::snapshot, snapshot(field, "tracks:x")});
  run();
  EXPECT_EQ(a.coordinator->status(peer.id)->violations, 3U);
  EXPECT_EQ(a.heads("tracks:x"), field.heads("tracks:x"));
}

}  // namespace
}  // namespace peat::sync
