// What "delete" means in each kind of collection, here and when a peer says it.
#include <gtest/gtest.h>

#include "session_fixture.hpp"

namespace peat::sync {
namespace {

using std::chrono::seconds;

CollectionRule with(DeletionPolicy policy) {
  CollectionRule rule;
  rule.deletion = policy;
  return rule;
}

class DeletionTest : public testing::Test {
 protected:
  static wire::Tombstone tombstone(Replica& from, std::string_view key) {
    return (*from.store->tombstone(key))->tombstone;
  }
  static void send(Replica& from, Replica& to, std::string_view key) {
    const auto out = **from.documents->outgoing(key, to.heads(key));
    ASSERT_TRUE(to.documents->apply_changes(key, out.epoch, out.changes, from.id));
  }

  sim::World world{1};
  Node a{world, 1, "alpha"};
  Node b{world, 2, "bravo"};
  Node c{world, 3, "charlie"};
};

TEST_F(DeletionTest, ASoftDeletionIsAMarkThatTravels) {
  a.put("commands:go", R"({"to":"north"})");
  send(a, b, "commands:go");
  const auto erased = a.documents->erase("commands:go", "obsolete");
  ASSERT_TRUE(erased) << erased.error().message;
  EXPECT_TRUE(erased->softly);
  EXPECT_TRUE((*a.documents->get("commands:go"))->deleted);
  EXPECT_FALSE(*a.store->tombstone("commands:go"));
  EXPECT_NE(a.json("commands:go").find(R"("_deleted_reason":"obsolete")"), std::string::npos);

  send(a, b, "commands:go");
  EXPECT_TRUE((*b.documents->get("commands:go"))->deleted);
  EXPECT_EQ(b.documents->erase("commands:go", {}).error().code, Code::not_found);

  // Written anew it is there again.
  b.put("commands:go", R"({"to":"south"})");
  send(b, a, "commands:go");
  EXPECT_EQ(a.json("commands:go"), R"({"to":"south"})");
}

// Defect D2 of deletion: one message from anybody removed audit logs for good.
TEST_F(DeletionTest, D2ATombstoneRemovesNoSoftlyKeptContentThatIsNotMarked) {
  a.put("audit_logs:1", R"({"who":"me"})");
  const wire::Tombstone hostile{.collection = "audit_logs",
                                .id = "1",
                                .deleted_at_ms = 9'999'999'999'999,
                                .lamport = 1000,
                                .deleted_by = "zulu",
                                .reason = {}};
  const auto refused = a.documents->apply_tombstone(hostile, b.id);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::permission_denied);
  EXPECT_EQ(a.json("audit_logs:1"), R"({"who":"me"})");
  EXPECT_LT(a.documents->lamport(), 1000U);

  a.erase("audit_logs:1");
  EXPECT_TRUE(*a.documents->apply_tombstone(hostile, b.id));
  EXPECT_EQ(a.json("audit_logs:1"), "");
}

// What would be newer than it has to have a time, too.
TEST_F(DeletionTest, ATombstoneOfTheEndOfTimeIsRefused) {
  a.put("depots:1", R"({"n":1})");
  const wire::Tombstone hostile{.collection = "depots",
                                .id = "1",
                                .deleted_at_ms = UINT64_MAX,
                                .lamport = 1000,
                                .deleted_by = "zulu",
                                .reason = {}};
  EXPECT_EQ(a.documents->apply_tombstone(hostile, b.id).error().code, Code::limit_exceeded);
  EXPECT_EQ(a.json("depots:1"), R"({"n":1})");
}

TEST_F(DeletionTest, AnImmutableCollectionIsDeletedByNobody) {
  auto rules = a.documents->collections();
  rules.set("ledger", with(DeletionPolicy::immutable));
  a.documents->set_collections(rules);
  a.put("ledger:1", R"({"sum":5})");
  EXPECT_EQ(a.documents->erase("ledger:1", {}).error().code, Code::permission_denied);
  b.put("ledger:1", R"({"sum":5})");
  b.erase("ledger:1");
  EXPECT_EQ(a.documents->apply_tombstone(tombstone(b, "ledger:1"), b.id).error().code,
            Code::permission_denied);
  EXPECT_EQ(a.json("ledger:1"), R"({"sum":5})");
}

TEST_F(DeletionTest, ADocumentThatCannotBeReadCanStillBeDeletedSoftly) {
  ASSERT_TRUE(a.documents->apply_changes("commands:bad", {}, unreadable_change(), b.id));
  a.erase("commands:bad");
  EXPECT_EQ(a.json("commands:bad"), "");
  EXPECT_TRUE(*a.store->tombstone("commands:bad"));
}

// D6h: the deletion said that it had happened, and nothing had.
TEST_F(DeletionTest, D6hADeletionInACollectionThatExpiresIsADeletion) {
  a.put("beacons:x", R"({"n":1})");
  send(a, b, "beacons:x");
  world.run_for(seconds(2));
  a.erase("beacons:x");
  EXPECT_EQ(a.json("beacons:x"), "");
  EXPECT_TRUE(*b.documents->apply_tombstone(tombstone(a, "beacons:x"), a.id));
  EXPECT_EQ(b.json("beacons:x"), "");
}

// --- which way deletions travel
// -------------------------------------------------------------------

// b stands above a, c below: what a deletes of the reports that go up reaches b alone, also when
// it is b's or c's own a hop further.
TEST_F(DeletionTest, D12ADeletionTravelsTheWayItsDirectionAllowsAndNoOther) {
  a.relations = {{b.id, Relation::up}, {c.id, Relation::down}};
  b.relations = {{a.id, Relation::down}};
  c.relations = {{a.id, Relation::up}};
  for (auto* node : {&a, &b, &c}) node->coordinator->relate();
  Link above(a, b, Dialect::native);
  Link below(a, c, Dialect::native);
  a.put("cells:x", R"({"n":1})");
  a.put("depots:x", R"({"n":1})");
  world.run_for(seconds(5));
  ASSERT_EQ(b.json("cells:x"), R"({"n":1})");
  ASSERT_EQ(c.json("cells:x"), R"({"n":1})");
  a.erase("cells:x");  // up only
  a.erase("depots:x");
  world.run_for(seconds(5));
  EXPECT_EQ(b.json("cells:x"), "");
  EXPECT_EQ(c.json("cells:x"), R"({"n":1})");
  EXPECT_EQ(b.json("depots:x"), "");
  EXPECT_EQ(c.json("depots:x"), "");
  EXPECT_FALSE(a.coordinator->acknowledged(**a.store->tombstone("cells:x")))
      << "c never hears of it, so it must keep c's copy away for ever";
}

TEST_F(DeletionTest, APeerWhoseRelationIsUnknownHearsOfEveryDeletion) {
  Link link(a, b, Dialect::old);
  a.put("cells:x", R"({"n":1})");
  world.run_for(seconds(5));
  a.erase("cells:x");
  world.run_for(seconds(5));
  EXPECT_EQ(b.json("cells:x"), "");
}

}  // namespace
}  // namespace peat::sync
