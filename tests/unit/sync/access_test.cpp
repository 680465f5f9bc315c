// Access in sessions of both dialects: who may not read is sent nothing, from who may not write
// nothing is taken, and the session lives.
#include "sync/access.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "session_fixture.hpp"

namespace peat::sync {
namespace {

using security::AccessRule;
using security::AccessRules;
using security::Standing;
using security::Tier;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

AccessRules rules(const std::vector<std::string>& lines) {
  std::vector<AccessRule> out;
  for (const auto& line : lines) out.push_back(AccessRule::parse(line).value());
  return AccessRules::create(std::move(out)).value();
}

bool contains(ByteView bytes, std::string_view text) {
  return std::ranges::search(bytes, as_bytes(text)).begin() != bytes.end();
}

class AccessTest : public testing::TestWithParam<Dialect> {
 protected:
  void run(Duration duration = seconds(3)) { world.run_for(duration); }
  // `node` judges by these rules; certificates are what `standings` says.
  void guard(Node& node, const std::vector<std::string>& lines) {
    Access::Options options;
    options.standing = [this](const EndpointId& peer) {
      const auto found = standings.find(peer);
      return found == standings.end() ? Standing{.id = peer} : found->second;
    };
    options.author = [this](std::span<const std::uint8_t> prefix) -> std::optional<Standing> {
      for (const auto& [id, standing] : standings) {
        if (std::ranges::equal(prefix, std::span(id.bytes).first(prefix.size()))) return standing;
      }
      return std::nullopt;
    };
    options.on_denied = [this](const Access::Denial& denial) {
      denials.push_back(std::string(security::to_string(denial.right)) + " " +
                        std::string(denial.key));
    };
    options.limits = node.limits;
    guards.push_back(std::make_unique<Access>(rules(lines), std::move(options)));
    node.guard(guards.back().get());
  }
  void certify(const Node& node, Tier tier) { standings[node.id] = {node.id, true, tier, 0}; }

  sim::World world{21};
  std::vector<std::unique_ptr<Access>> guards;
  Node a{world, 1, "alpha"};
  Node b{world, 2, "bravo"};
  Node c{world, 3, "charlie"};
  std::map<EndpointId, Standing> standings;
  std::vector<std::string> denials;
};

INSTANTIATE_TEST_SUITE_P(BothDialects, AccessTest, testing::Values(Dialect::native, Dialect::old),
                         [](const auto& of) {
                           return of.param == Dialect::native ? "Native" : "Old";
                         });

TEST_P(AccessTest, WhoMayNotReadIsSentNothingOfTheCollection) {
  guard(a, {"secrets:read=regional"});
  a.put("secrets:plan", R"({"where":"hilltop"})");
  a.put("secrets:gone", R"({"n":1})");
  a.erase("secrets:gone");
  a.put("tracks:1", R"({"n":1})");
  PlayedPeer peer(world, a, 9, GetParam());
  run(milliseconds(20));
  if (GetParam() == Dialect::native) {
    auto hello = wire::make_hello();
    hello.store_id.fill(4);
    hello.document_count = 1;  // so that the node offers before it sends
    peer.channel.inject_native(hello);
  }
  run();
  a.put("secrets:live", R"({"n":2})");
  a.erase("secrets:plan");
  run();
  // The peer names them itself, and asks.
  if (GetParam() == Dialect::native) {
    wire::Need need;
    need.documents.push_back({"secrets:live", {}, {}});
    peer.channel.inject_native(need);
    wire::DocHeads offer;
    offer.documents.push_back({"secrets:live", {}, {automerge::ChangeHash{}}});
    peer.channel.inject_native(offer);
  } else {
    automerge::SyncState state;
    const auto message = automerge::generate_sync_message(
        automerge::Document(automerge::ActorId{Bytes(16, 9)}), state);
    peer.channel.inject({"secrets:live", wire::FrameType::delta, **message});
  }
  run();
  std::string heads;
  for (const auto& hash : a.heads("secrets:live")) {
    heads.append(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
  }
  bool heard_tracks = false;
  for (const auto& frame : peer.heard.native) {
    Bytes bytes;
    ASSERT_TRUE(wire::encode(frame, bytes));
    heard_tracks = heard_tracks || contains(bytes, "tracks:1");
    EXPECT_FALSE(contains(bytes, "secrets:plan") || contains(bytes, "secrets:gone") ||
                 contains(bytes, heads));
    // Its own offer may be answered, with nothing of ours.
    EXPECT_TRUE(std::holds_alternative<wire::Need>(frame) || !contains(bytes, "secrets"));
  }
  for (const auto& entry : peer.heard.entries()) {
    heard_tracks = heard_tracks || entry.key == "tracks:1";
    EXPECT_FALSE(entry.key.find("secrets") != std::string::npos ||
                 contains(entry.payload, "secrets") || contains(entry.payload, heads));
  }
  EXPECT_TRUE(heard_tracks);
  EXPECT_GT(a.coordinator->status(peer.id)->withheld, 0U);
  EXPECT_EQ(a.coordinator->status(peer.id)->violations, 0U);
  EXPECT_GT(guards.front()->denied(peer.id)[0], 0U);
}

TEST_P(AccessTest, ChangesOfWhoMayNotWriteAreRefusedAndTheSessionLives) {
  guard(a, {"orders:write=regional"});
  certify(b, Tier::tactical);
  a.put("orders:1", R"({"n":1})");
  Link link(a, b, GetParam());
  run();
  ASSERT_EQ(b.json("orders:1"), R"({"n":1})");
  b.put("orders:1", R"({"n":2})");
  b.put("orders:2", R"({"n":2})");
  b.erase("orders:1");
  b.put("tracks:1", R"({"n":3})");
  run();
  EXPECT_EQ(a.json("orders:1"), R"({"n":1})");
  EXPECT_EQ(a.json("orders:2"), "");
  EXPECT_EQ(a.json("tracks:1"), R"({"n":3})") << "the session goes on";
  a.put("orders:3", R"({"n":4})");
  run();
  EXPECT_EQ(b.json("orders:3"), R"({"n":4})");
  const auto status = a.status(b);
  EXPECT_GT(status.denied, 0U);
  EXPECT_EQ(status.poison, 0U);
  ASSERT_FALSE(status.faults.empty());
  EXPECT_NE(status.faults.front().error.message.find("give that to regional"), std::string::npos)
      << status.faults.front().error.message;
  EXPECT_NE(std::ranges::find(denials, "delete orders:1"), denials.end());
}

TEST_P(AccessTest, WhoMayWriteButNotRelayHandsOverItsOwnChangesAlone) {
  guard(a, {"orders:write=any,relay=admin"});
  Link edge(b, c, GetParam());
  c.put("orders:of-c", R"({"n":1})");
  run();
  ASSERT_EQ(b.json("orders:of-c"), R"({"n":1})");
  b.put("orders:of-b", R"({"n":2})");
  Link link(a, b, GetParam());
  run();
  EXPECT_EQ(a.json("orders:of-b"), R"({"n":2})");
  EXPECT_EQ(a.json("orders:of-c"), "");
  EXPECT_NE(std::ranges::find(denials, "relay orders:of-c"), denials.end());
}

TEST_P(AccessTest, ARelayWithoutWriteBringsWhatWritersWrote) {
  guard(a, {"orders:write=regional,relay=any"});
  certify(b, Tier::edge);
  certify(c, Tier::regional);
  Link edge(b, c, GetParam());
  c.put("orders:of-c", R"({"n":1})");
  run();
  b.put("orders:of-b", R"({"n":2})");
  Link link(a, b, GetParam());
  run();
  EXPECT_EQ(a.json("orders:of-c"), R"({"n":1})");
  EXPECT_EQ(a.json("orders:of-b"), "");
}

TEST_P(AccessTest, WhatWasWithheldAndRefusedComesWhenTheRulesAllowIt) {
  guard(a, {"orders:read=none,write=none"});
  a.put("orders:1", R"({"n":1})");
  b.put("orders:2", R"({"n":2})");
  auto link = std::make_unique<Link>(a, b, GetParam());
  run();
  a.put("tracks:1", R"({"n":3})");  // moves both positions past what was withheld
  b.put("tracks:2", R"({"n":4})");
  run();
  ASSERT_EQ(b.json("orders:1") + a.json("orders:2"), "");
  ASSERT_EQ(b.json("tracks:1"), R"({"n":3})");
  guards.front()->set_rules(AccessRules());
  link->cut();
  link->restore();
  run();
  EXPECT_EQ(b.json("orders:1"), R"({"n":1})");
  EXPECT_EQ(a.json("orders:2"), R"({"n":2})");
}

class NativeAccessTest : public AccessTest {};
INSTANTIATE_TEST_SUITE_P(Native, NativeAccessTest, testing::Values(Dialect::native));

TEST_P(NativeAccessTest, FeedsAreWalkedAgainUntilTheWalkHasSurelyArrived) {
  guard(a, {"orders:read=none"});
  for (int n = 0; n < 20; ++n) a.put("tracks:" + std::to_string(n), R"({"n":1})");
  auto link = std::make_unique<Link>(a, b, Dialect::native);
  run();
  const auto offers_of_a_reconnect = [&] {
    link->cut();
    link->restore();
    const auto before = link->to_y.offers;
    run();
    return link->to_y.offers - before;
  };
  EXPECT_EQ(offers_of_a_reconnect(), 20U);
  a.coordinator->note_acknowledgements(minutes(1));
  world.run_for(minutes(11));
  a.coordinator->note_acknowledgements(minutes(12));
  EXPECT_EQ(offers_of_a_reconnect(), 0U);
}

TEST_P(NativeAccessTest, WhoMayNotReadADocumentIsNoHolderOfIt) {
  guard(a, {"orders:read=none"});
  Link link(a, b, Dialect::native);
  run();
  a.put("orders:1", R"({"n":1})");
  std::optional<Holders> holders;
  a.coordinator->await_holders({"orders:1", a.heads("orders:1"), a.store->last_seq()},
                               WaitFor{1, {}}, seconds(2),
                               [&](Result<Holders> found) { holders = *found; });
  a.put("tracks:1", "{}");
  run();
  ASSERT_TRUE(holders);
  EXPECT_TRUE(holders->peers.empty());
  EXPECT_FALSE(holders->enough);
}

TEST_P(NativeAccessTest, ChangesThatWaitForOthersAreNotTakenByTheWayOfAnother) {
  guard(a, {"orders:write=regional,relay=regional"});
  certify(b, Tier::regional);
  certify(c, Tier::edge);
  b.put("orders:1", R"({"n":1})");
  {
    Link link(b, c, Dialect::native);
    run();
  }
  c.put("orders:1", R"({"n":666})");
  // c hands over its change, whose dependency a lacks; then b brings the dependency.
  const auto from_c =
      a.documents->apply_changes("orders:1", {}, c.changes("orders:1", b.heads("orders:1")), c.id);
  EXPECT_FALSE(from_c);
  const auto from_b = a.documents->apply_changes("orders:1", {}, b.changes("orders:1"), b.id);
  ASSERT_TRUE(from_b);
  EXPECT_EQ(a.json("orders:1"), R"({"n":1})");
}

TEST(Authors, ANodesChangesBeginWithItsId) {
  sim::World world{3};
  Node node(world, 5, "echo");
  node.put("tracks:1", R"({"n":1})");
  node.put("tracks:1", R"({"n":2})");
  node.erase("tracks:1");
  node.put("tracks:1", R"({"n":3})");
  const auto history = node.documents->history("tracks:1");
  ASSERT_TRUE(history);
  for (const auto& change : *history) EXPECT_TRUE(is_author(node.id, change.actor));
}

TEST(Gate, EveryKindOfFrameIsStrippedOfWhatMayNotBeRead) {
  Access access(rules({"secrets:read=none"}), {});
  const auto peer = endpoint(9);
  const auto heads = automerge::Heads{automerge::ChangeHash{}};
  wire::NativeFrame changes = wire::DocChanges{0, {{"secrets:1", {}, heads, {1}}}};
  EXPECT_FALSE(withhold(changes, access, peer));
  wire::NativeFrame mixed =
      wire::DocChanges{7, {{"secrets:1", {}, heads, {1}}, {"tracks:1", {}, heads, {1}}}};
  EXPECT_TRUE(withhold(mixed, access, peer));
  EXPECT_EQ(std::get<wire::DocChanges>(mixed).documents.size(), 1U);
  wire::NativeFrame position = wire::DocChanges{7, {{"secrets:1", {}, heads, {1}}}};
  EXPECT_TRUE(withhold(position, access, peer)) << "its position still counts";
  wire::NativeFrame offer = wire::DocHeads{0, {{"secrets:1", {}, heads}}};
  EXPECT_TRUE(withhold(offer, access, peer)) << "its answer is awaited";
  EXPECT_TRUE(std::get<wire::DocHeads>(offer).documents.empty());
  wire::NativeFrame need = wire::Need{true, {{"secrets:1", heads, heads}}};
  EXPECT_TRUE(withhold(need, access, peer));
  EXPECT_TRUE(std::get<wire::Need>(need).documents.front().have.empty());
  wire::NativeFrame ack = wire::DurableAck{3, {{"secrets:1", {9, 9, "x"}, heads}}};
  EXPECT_TRUE(withhold(ack, access, peer));
  EXPECT_TRUE(std::get<wire::DurableAck>(ack).documents.front().heads.empty());
  EXPECT_EQ(std::get<wire::DurableAck>(ack).documents.front().epoch, Epoch{});
  wire::Tombstone tombstone;
  tombstone.collection = "secrets";
  tombstone.id = "1";
  wire::NativeFrame tombstones = wire::Tombstones{0, {tombstone}};
  EXPECT_FALSE(withhold(tombstones, access, peer));
  wire::NativeFrame legacy = wire::LegacyFrame{{"secrets:1", wire::FrameType::delta, {}}};
  EXPECT_FALSE(withhold(legacy, access, peer));
}

TEST(Access, CountersAreKeptForSoManyPeersAlone) {
  Access::Options options;
  options.limits.sync_peers = 2;
  Access access(rules({"*:read=none"}), std::move(options));
  for (std::uint8_t n = 1; n <= 4; ++n) EXPECT_FALSE(access.may_read(endpoint(n), "a:1"));
  EXPECT_EQ(access.denied(endpoint(2))[0], 1U);
  EXPECT_EQ(access.denied(endpoint(3))[0], 0U);
  EXPECT_EQ(access.denied()[0], 4U);
}

}  // namespace
}  // namespace peat::sync
