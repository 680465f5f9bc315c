// What goes by itself, when, and that it does not come back.
#include "sync/upkeep.hpp"

#include <gtest/gtest.h>

#include "session_fixture.hpp"
#include "sync/upkeep_ages.hpp"

namespace peat::sync {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

struct Kept : Node {
  Kept(sim::World& in_world, std::uint8_t n, std::string node_name, Duration look)
      : Node(in_world, n, std::move(node_name)), look_every(look) {
    begin();
  }
  ~Kept() { upkeep.reset(); }

  void begin() {
    Upkeep::Options options;
    options.page = 20;
    options.look_every = look_every;
    options.before_collection = [this](milliseconds clock) {
      coordinator->note_acknowledgements(clock);
    };
    options.acknowledged = [this](const store::TombstoneRecord& tombstone) {
      return coordinator->acknowledged(tombstone);
    };
    auto opened = Upkeep::open(*documents, *executor, std::move(options));
    ASSERT_TRUE(opened) << opened.error().message;
    upkeep = std::move(*opened);
  }
  void restart() {
    settle();
    upkeep.reset();
    crash_and_start();
    begin();
  }
  bool has_tombstone(std::string_view key) const { return store->tombstone(key)->has_value(); }

  Duration look_every;
  std::unique_ptr<Upkeep> upkeep;
};

class UpkeepTest : public testing::Test {
 protected:
  explicit UpkeepTest(Duration look_every = seconds(10))
      : a{world, 1, "alpha", look_every}, b{world, 2, "bravo", look_every} {}

  sim::World world{1};
  Kept a;
  Kept b;
};

// Runs for weeks.
class CollectionTest : public UpkeepTest {
 protected:
  CollectionTest() : UpkeepTest(minutes(5)) {}
};

// --- expiry
// ---------------------------------------------------------------------------------------

TEST_F(UpkeepTest, WhatIsNotRefreshedExpires) {
  a.put("beacons:x", R"({"n":1})");
  a.put("depots:x", R"({"n":1})");
  world.run_for(seconds(590));
  EXPECT_EQ(a.json("beacons:x"), R"({"n":1})");
  world.run_for(seconds(60));
  EXPECT_EQ(a.json("beacons:x"), "");
  EXPECT_EQ(a.json("depots:x"), R"({"n":1})");
  EXPECT_EQ(a.upkeep->stats().expired, 1U);
}

// D8: an actively updated beacon was deleted when its first deadline passed.
TEST_F(UpkeepTest, D8ARefreshPostponesTheExpiry) {
  for (int n = 0; n < 10; ++n) {
    a.put("beacons:x", "{\"n\":" + std::to_string(n) + "}");
    world.run_for(seconds(500));
  }
  EXPECT_EQ(a.json("beacons:x"), R"({"n":9})");
  world.run_for(seconds(200));
  EXPECT_EQ(a.json("beacons:x"), "");
}

TEST_F(UpkeepTest, AgesSurviveARestart) {
  a.put("beacons:x", R"({"n":1})");
  world.run_for(seconds(400));
  a.restart();
  world.run_for(seconds(150));
  EXPECT_EQ(a.json("beacons:x"), R"({"n":1})");
  world.run_for(seconds(150));
  EXPECT_EQ(a.json("beacons:x"), "") << "not a whole ttl after the restart";
}

TEST_F(UpkeepTest, AClockThatJumpsDeletesNothing) {
  a.put("beacons:x", R"({"n":1})");
  a.put("depots:x", R"({"n":1})");
  a.erase("depots:x");
  world.run_for(seconds(100));
  a.executor->step_wall_clock(hours(24 * 3650));
  world.run_for(seconds(100));
  a.restart();
  a.executor->step_wall_clock(-hours(24 * 7300));
  world.run_for(seconds(100));
  EXPECT_EQ(a.json("beacons:x"), R"({"n":1})");
  EXPECT_TRUE(a.has_tombstone("depots:x"));
}

// D9: what expired was given back by a peer that still had it, endlessly.
TEST_F(UpkeepTest, D9WhatHasExpiredDoesNotComeBackAndANewerUpdateDoes) {
  for (const auto dialect : {Dialect::native, Dialect::old}) {
    const auto key = dialect == Dialect::native ? "beacons:x" : "beacons:y";
    b.put(key, R"({"n":1})");
    auto link = std::make_unique<Link>(a, b, dialect);
    world.run_for(seconds(5));
    ASSERT_EQ(a.json(key), R"({"n":1})");
    link->cut();
    b.upkeep.reset();  // b forgets to expire
    world.run_for(seconds(700));
    ASSERT_EQ(a.json(key), "");
    ASSERT_EQ(b.json(key), R"({"n":1})");
    link->restore();
    world.run_for(seconds(30));
    EXPECT_EQ(a.json(key), "");
    b.put(key, R"({"n":2})");
    world.run_for(seconds(30));
    EXPECT_EQ(a.json(key), R"({"n":2})");
    EXPECT_EQ(b.json(key), R"({"n":2})");
    link.reset();
    b.begin();
  }
}

TEST_F(UpkeepTest, AnUpdateThatTheExpirerHadNotSeenSurvivesItsExpiry) {
  a.put("beacons:x", R"({"n":1})");
  auto link = std::make_unique<Link>(a, b, Dialect::native);
  world.run_for(seconds(5));
  link->cut();
  world.run_for(seconds(500));
  b.put("beacons:x", R"({"n":2})");
  world.run_for(seconds(150));
  ASSERT_EQ(a.json("beacons:x"), "");
  link->restore();
  world.run_for(seconds(10));
  EXPECT_EQ(a.json("beacons:x"), R"({"n":2})");
  EXPECT_EQ(b.json("beacons:x"), R"({"n":2})");
  EXPECT_EQ(a.heads("beacons:x"), b.heads("beacons:x"));
}

TEST_F(UpkeepTest, NodesThatExpireTheSameExchangeNothingForIt) {
  a.put("beacons:x", R"({"n":1})");
  Link link(a, b, Dialect::native);
  world.run_for(seconds(300));
  const auto frames = link.frames();
  world.run_for(seconds(400));
  EXPECT_EQ(a.json("beacons:x"), "");
  EXPECT_EQ(b.json("beacons:x"), "");
  EXPECT_LE(link.frames(), frames + 2) << "positions at most";
  const auto at_a = (*a.store->tombstone("beacons:x"))->tombstone;
  EXPECT_EQ(at_a, (*b.store->tombstone("beacons:x"))->tombstone);
}

TEST_F(CollectionTest, SoftlyDeletedContentIsReallyGoneWhenItsRetentionIsOver) {
  a.put("commands:x", R"({"secret":"abc"})");
  a.put("commands:y", R"({"n":1})");
  Link link(a, b, Dialect::native);
  world.run_for(seconds(5));
  a.erase("commands:x");
  world.run_for(hours(168) - seconds(60));
  EXPECT_TRUE(*a.store->document("commands:x"));
  world.run_for(hours(12));
  for (auto* node : {&a, &b}) {
    EXPECT_FALSE(*node->store->document("commands:x"));
    EXPECT_EQ(node->json("commands:y"), R"({"n":1})");
    EXPECT_EQ(node->upkeep->stats().purged, 1U);
  }
}

TEST_F(CollectionTest, EachRowIsLookedAtOnceOverRestartsToo) {
  for (int n = 0; n < 1000; ++n) a.put("depots:" + std::to_string(n), "{}");
  a.put("beacons:x", "{}");
  world.run_for(hours(200));  // longer than the greatest age
  const auto looked_at = a.upkeep->stats().looked_at;
  EXPECT_GE(looked_at, 2 * 1001U) << "for beacons, and for what is deleted softly";
  world.run_for(hours(50));
  EXPECT_LE(a.upkeep->stats().looked_at, looked_at + 2) << "the expiry tombstone is a new row";
  a.upkeep->save();
  a.restart();
  world.run_for(hours(50));
  EXPECT_LE(a.upkeep->stats().looked_at, 2U) << "cursors are kept";
  EXPECT_EQ(a.store->count("depots"), 1000U);
}

// --- collection
// -----------------------------------------------------------------------------------

TEST_F(CollectionTest, ATombstoneIsCollectedWhenItsRetentionIsOver) {
  a.put("depots:x", "{}");
  a.erase("depots:x");
  world.run_for(hours(167));
  EXPECT_TRUE(a.has_tombstone("depots:x"));
  world.run_for(hours(13));
  EXPECT_FALSE(a.has_tombstone("depots:x"));
  EXPECT_EQ(a.upkeep->stats().collected, 1U);
}

TEST_F(CollectionTest, ATombstoneStaysUntilEveryPeerOfTheLast30DaysHasIt) {
  auto link = std::make_unique<Link>(a, b, Dialect::native);
  a.put("depots:x", "{}");
  world.run_for(minutes(10));
  link->cut();
  a.erase("depots:x");
  world.run_for(hours(200));
  EXPECT_TRUE(a.has_tombstone("depots:x"));
  EXPECT_EQ(a.upkeep->stats().held, 1U);
  link->restore();
  world.run_for(minutes(10));
  EXPECT_EQ(b.json("depots:x"), "");
  EXPECT_FALSE(a.has_tombstone("depots:x"));
  EXPECT_EQ(b.upkeep->stats().held, 0U);
}

TEST_F(CollectionTest, APeerThatIsGoneFor30DaysHoldsNothingUp) {
  auto link = std::make_unique<Link>(a, b, Dialect::native);
  a.put("depots:x", "{}");
  world.run_for(minutes(10));
  link->cut();
  a.erase("depots:x");
  world.run_for(hours(24 * 29));
  EXPECT_TRUE(a.has_tombstone("depots:x"));
  a.restart();
  world.run_for(hours(48));
  EXPECT_FALSE(a.has_tombstone("depots:x"));
}

TEST_F(CollectionTest, AnOldPeerHasWhatItsConnectionSurelyBrought) {
  Link link(a, b, Dialect::old);
  a.put("depots:x", "{}");
  world.run_for(minutes(1));
  a.erase("depots:x");
  world.run_for(hours(181));
  EXPECT_FALSE(a.has_tombstone("depots:x"));
}

// D6g: the first thousand tombstones in the order of their keys were all that was ever looked at.
TEST_F(CollectionTest, D6gTombstonesThatStayDoNotStandBeforeThoseThatGo) {
  for (int n = 0; n < 150; ++n) {
    const auto key = "aaa:" + std::to_string(n);
    a.put(key, "{}");
    a.erase(key);
    a.put(key, "{}");  // stands behind its tombstone, which therefore stays
  }
  a.put("zzz:x", "{}");
  a.erase("zzz:x");
  world.run_for(hours(181));
  EXPECT_FALSE(a.has_tombstone("zzz:x"));
  EXPECT_TRUE(a.has_tombstone("aaa:0"));
  EXPECT_EQ(a.json("aaa:0"), "{}");
  EXPECT_EQ(a.upkeep->stats().tombstones, 150U);
}

// b keeps its tombstone longer than a: what a creates anew must not fall to it.
TEST_F(CollectionTest, AfterACollectionADocumentCreatedAnewIsSafeFromTombstonesKeptElsewhere) {
  auto rules = b.documents->collections();
  CollectionRule longer;
  longer.retention = hours(1000);
  rules.set("depots", longer);
  b.documents->set_collections(rules);
  Link link(a, b, Dialect::native);
  a.put("depots:x", R"({"old":1})");
  world.run_for(minutes(1));
  a.erase("depots:x");
  world.run_for(hours(190));
  ASSERT_FALSE(a.has_tombstone("depots:x"));
  ASSERT_TRUE(b.has_tombstone("depots:x"));
  rules.set("depots", {});
  b.documents->set_collections(rules);
  link.cut();
  link.restore();  // the hello tells b how far a has collected
  a.put("depots:x", R"({"new":1})");
  world.run_for(minutes(1));
  EXPECT_EQ(a.json("depots:x"), R"({"new":1})");
  EXPECT_EQ(b.json("depots:x"), R"({"new":1})");
}

TEST_F(CollectionTest, ANodeThatHasCollectedATombstoneDoesNotBuryWhatWasCreatedSince) {
  a.put("depots:x", R"({"old":1})");
  a.erase("depots:x");
  const auto tombstone = (*a.store->tombstone("depots:x"))->tombstone;
  world.run_for(hours(190));
  ASSERT_FALSE(a.has_tombstone("depots:x"));
  a.put("depots:x", R"({"new":1})");
  ASSERT_TRUE(a.documents->apply_tombstone(tombstone, b.id));
  EXPECT_EQ(a.json("depots:x"), R"({"new":1})");
}

// --- ages
// -----------------------------------------------------------------------------------------

TEST(FeedAges, AnswersAreLateByASixteenthAtMostAndNeverEarly) {
  FeedAges ages;
  for (store::Seq seq = 1; seq <= 50'000; ++seq) ages.advance(seconds(10), seq);
  for (const auto age : {seconds(60), seconds(600), seconds(7200), seconds(172'800)}) {
    const auto exact = 50'000 - static_cast<store::Seq>(age / seconds(10));
    EXPECT_LE(ages.older_than(age), exact);
    EXPECT_GE(ages.older_than(age) + static_cast<store::Seq>(age / seconds(10)) / 16 + 2, exact);
  }
  EXPECT_LT(ages.encode().size(), 16U << 10);
  const auto again = FeedAges::decode(ages.encode());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->older_than(seconds(600)), ages.older_than(seconds(600)));
  EXPECT_FALSE(FeedAges::decode(Bytes{9}));
}

}  // namespace
}  // namespace peat::sync
