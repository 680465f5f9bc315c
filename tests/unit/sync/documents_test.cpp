// What a node does to its documents: local edits, what peers send, deletion, quarantine.
#include "sync/documents.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "replica.hpp"

namespace peat::sync {
namespace {

using std::chrono::seconds;

class DocumentsTest : public testing::Test {
 protected:
  // Everything of `key` that `to` lacks.
  static RemoteResult send(Replica& from, Replica& to, std::string_view key) {
    const auto out = from.documents->outgoing(key, to.heads(key));
    EXPECT_TRUE(out && *out);
    const auto result = to.documents->apply_changes(key, (*out)->epoch, (*out)->changes, from.id);
    EXPECT_TRUE(result) << result.error().message;
    return *result;
  }
  static wire::Tombstone tombstone(Replica& from, std::string_view key) {
    return (*from.store->tombstone(key))->tombstone;
  }

  sim::World world{1};
  Replica a{world, 1, "alpha"};
  Replica b{world, 2, "bravo"};
  Replica c{world, 3, "charlie"};
};

// --- local edits
// ----------------------------------------------------------------------------------

TEST_F(DocumentsTest, PutCreatesUpdatesAndReportsWhatChanged) {
  auto created = a.documents->put("depots:north", R"({"name":"North","crew":4})");
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_TRUE(created->created);
  EXPECT_TRUE(created->changed);
  EXPECT_EQ(a.json("depots:north"), R"({"crew":4,"name":"North"})");

  auto equal = a.documents->put("depots:north", R"({"crew":4,"name":"North"})");
  ASSERT_TRUE(equal);
  EXPECT_FALSE(equal->changed);
  EXPECT_EQ(equal->heads, created->heads);

  auto updated = a.documents->put("depots:north", R"({"crew":5})");
  ASSERT_TRUE(updated);
  EXPECT_TRUE(updated->changed);
  EXPECT_FALSE(updated->created);
  EXPECT_EQ(a.json("depots:north"), R"({"crew":5})");
  EXPECT_EQ(a.documents->history("depots:north")->size(), 2U);
}

TEST_F(DocumentsTest, AnEmptyObjectIsADocument) {
  a.put("depots:empty", "{}");
  EXPECT_EQ(a.json("depots:empty"), "{}");
  EXPECT_EQ(send(a, b, "depots:empty").changed, true);
  EXPECT_EQ(b.json("depots:empty"), "{}");
}

TEST_F(DocumentsTest, PatchMergesAndCreates) {
  ASSERT_TRUE(a.documents->patch("depots:p", R"({"a":1,"b":{"c":2}})"));
  ASSERT_TRUE(a.documents->patch("depots:p", R"({"a":null,"b":{"d":3}})"));
  EXPECT_EQ(a.json("depots:p"), R"({"b":{"c":2,"d":3}})");
}

TEST_F(DocumentsTest, PreconditionsGuardWrites) {
  const auto first =
      a.documents->put("depots:x", R"({"n":1})", {.if_heads = {}, .if_absent = true});
  ASSERT_TRUE(first);
  const auto again =
      a.documents->put("depots:x", R"({"n":2})", {.if_heads = {}, .if_absent = true});
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::precondition_failed);
  ASSERT_TRUE(a.documents->put("depots:x", R"({"n":2})", {.if_heads = first->heads}));
  const auto stale = a.documents->erase("depots:x", {}, {.if_heads = first->heads});
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, Code::precondition_failed);
  EXPECT_EQ(a.json("depots:x"), R"({"n":2})");
}

TEST_F(DocumentsTest, KeysAreCheckedWithTheRemedyNamed) {
  for (const auto* key : {"nocolon", ":id", "a/b:id", "a:"}) {
    const auto result = a.documents->put(key, "{}");
    ASSERT_FALSE(result) << key;
    EXPECT_EQ(result.error().code, Code::invalid_argument) << key;
  }
  EXPECT_EQ(*document_key("a", "b:c/d"), "a:b:c/d");
  EXPECT_FALSE(document_key("a", std::string(4096, 'x')));
  EXPECT_FALSE(document_key("a", "\xff"));
  EXPECT_EQ(split_key("a:b:c")->id, "b:c");
}

TEST_F(DocumentsTest, EditsSurviveARestartAndCompaction) {
  for (int n = 0; n < 150; ++n) a.put("depots:n", "{\"n\":" + std::to_string(n) + "}");
  EXPECT_LT((*a.store->document("depots:n"))->tail.size(), 64U);
  a.settle();
  a.crash();
  a.start();
  EXPECT_EQ(a.json("depots:n"), R"({"n":149})");
  EXPECT_EQ(a.documents->history("depots:n")->size(), 150U);
}

TEST_F(DocumentsTest, ASoftlyDeletedDocumentSaysSo) {
  a.put("reports:1", R"({"_deleted":true,"text":"x"})");
  a.put("reports:2", R"({"_deleted":"yes"})");
  EXPECT_TRUE((*a.documents->get("reports:1"))->deleted);
  EXPECT_FALSE((*a.documents->get("reports:2"))->deleted);
}

TEST_F(DocumentsTest, CommitsCarryTheWallClock) {
  a.put("depots:t", "{\"a\":1}");
  EXPECT_EQ(a.documents->history("depots:t")->front().time, world.now().wall.seconds());
}

TEST_F(DocumentsTest, OpenDocumentsAreBoundedByBytes) {
  sim::World other{2};
  Replica small{other, 4, "small"};
  small.crash();
  small.cache_bytes = 64U << 10;
  small.start();
  for (int n = 0; n < 200; ++n) {
    small.put("depots:" + std::to_string(n), R"({"text":")" + std::string(1000, 'x') + "\"}");
  }
  EXPECT_LT(small.documents->cached_bytes(), 80U << 10);
  EXPECT_EQ(small.json("depots:0").size(), 1011U);
}

// --- what peers send
// ------------------------------------------------------------------------------

TEST_F(DocumentsTest, ConcurrentEditsOfDifferentFieldsBothSurvive) {
  a.put("depots:x", R"({"fuel":1,"water":1})");
  send(a, b, "depots:x");
  ASSERT_TRUE(a.documents->patch("depots:x", R"({"fuel":2})"));
  ASSERT_TRUE(b.documents->patch("depots:x", R"({"water":2})"));
  send(a, b, "depots:x");
  send(b, a, "depots:x");
  EXPECT_EQ(a.heads("depots:x"), b.heads("depots:x"));
  EXPECT_EQ(a.json("depots:x"), R"({"fuel":2,"water":2})");
}

// A10: the field's peers send everything again every few seconds.
TEST_F(DocumentsTest, ConflictsNameTheirMakersAndAreSettledForEverybody) {
  a.put("depots:x", R"({"crew":1,"pos":{"lat":1}})");
  send(a, b, "depots:x");
  world.run_for(seconds(5));
  a.put("depots:x", R"({"crew":2,"pos":{"lat":1}})");
  world.run_for(seconds(5));
  b.put("depots:x", R"({"crew":3,"pos":{"lat":1}})");
  send(a, b, "depots:x");
  send(b, a, "depots:x");
  const auto here = a.documents->conflicts("depots:x").value().value();
  const auto there = b.documents->conflicts("depots:x").value().value();
  ASSERT_EQ(here.conflicts.size(), 1U);
  const auto& crew = here.conflicts.front();
  EXPECT_EQ(crew.path, R"(["crew"])");
  ASSERT_EQ(crew.others.size(), 1U);
  const bool a_wins = here.document.json == R"({"crew":2,"pos":{"lat":1}})";
  EXPECT_EQ(crew.others[0].json, a_wins ? "3" : "2");
  const auto& of_a = a_wins ? crew.winner : crew.others[0];
  EXPECT_EQ(of_a.actor, a.documents->history("depots:x")->front().actor);
  EXPECT_EQ((a_wins ? crew.others[0] : crew.winner).time, of_a.time + 5);
  EXPECT_EQ(there.document.json, here.document.json);
  EXPECT_EQ(there.conflicts[0].others[0].json, crew.others[0].json);

  const auto settled = a.documents->settle("depots:x", R"([{"path":["crew"],"value":2}])");
  ASSERT_TRUE(settled) << settled.error().message;
  EXPECT_TRUE(settled->changed);
  send(a, b, "depots:x");
  for (auto* replica : {&a, &b}) {
    EXPECT_EQ(replica->json("depots:x"), R"({"crew":2,"pos":{"lat":1}})");
    EXPECT_TRUE(replica->documents->conflicts("depots:x").value().value().conflicts.empty());
  }
  EXPECT_EQ(a.documents->settle("depots:x", R"([{"path":["crew"],"value":2}])").error().code,
            Code::precondition_failed);
  EXPECT_EQ(a.documents->settle("depots:y", R"([{"path":["crew"],"value":2}])").error().code,
            Code::not_found);
  EXPECT_FALSE(a.documents->conflicts("depots:y").value());
  a.erase("depots:x");
  EXPECT_FALSE(a.documents->conflicts("depots:x").value()) << "nothing of what is deleted";
}

TEST_F(DocumentsTest, EqualContentWritesNothingAndTellsNobody) {
  a.put("depots:x", R"({"n":1})");
  send(a, b, "depots:x");
  const auto seq = b.store->last_seq();
  int told = 0;
  b.store->subscribe([&](const auto&) { ++told; });
  const auto changes = a.changes("depots:x");
  for (int n = 0; n < 3; ++n) {
    const auto result = b.documents->apply_changes("depots:x", {}, changes, a.id);
    ASSERT_TRUE(result);
    EXPECT_FALSE(result->changed);
    EXPECT_FALSE(b.documents->apply_snapshot("depots:x", **a.documents->snapshot("depots:x"), a.id)
                     ->changed);
  }
  EXPECT_EQ(b.store->last_seq(), seq);
  EXPECT_EQ(told, 0);
}

TEST_F(DocumentsTest, ChangesAreStoredUnreadAndOriginIsKept) {
  a.put("depots:x", R"({"n":1})");
  send(a, b, "depots:x");
  const auto record = *b.store->document("depots:x");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->origin, a.id);
  EXPECT_EQ(record->heads, a.heads("depots:x"));
}

TEST_F(DocumentsTest, MissingDependenciesAreNamedAndNothingIsStored) {
  a.put("depots:x", R"({"n":1})");
  const auto first = a.heads("depots:x");
  a.put("depots:x", R"({"n":2})");
  const auto second = a.changes("depots:x", first);
  const auto early = b.documents->apply_changes("depots:x", {}, second, a.id);
  ASSERT_TRUE(early) << early.error().message;
  EXPECT_FALSE(early->changed);
  EXPECT_EQ(early->missing, first);
  EXPECT_EQ(b.json("depots:x"), "");
  EXPECT_EQ(b.store->count(), 0U);

  // The change that waits is applied, and stored, with the one it waits for.
  const auto whole = a.changes("depots:x");
  const Bytes only_first(whole.begin(), whole.end() - static_cast<std::ptrdiff_t>(second.size()));
  ASSERT_TRUE(b.documents->apply_changes("depots:x", {}, only_first, a.id)->changed);
  b.settle();
  b.crash();
  b.start();
  EXPECT_EQ(b.json("depots:x"), R"({"n":2})");
}

// D5e: an announcement of an unknown document made an empty one.
TEST_F(DocumentsTest, D5eNothingIsStoredForAMessageWithoutChanges) {
  a.put("depots:x", R"({"n":1})");
  automerge::SyncState at_a;
  const auto hello = *a.documents->sync_message("depots:x", at_a);
  ASSERT_TRUE(hello);
  automerge::SyncState at_b;
  const auto result = b.documents->apply_sync_message("depots:x", at_b, *hello, a.id);
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->changed);
  EXPECT_EQ(b.store->count(), 0U);
  EXPECT_EQ(b.store->last_seq(), 0U);
}

TEST_F(DocumentsTest, SyncMessagesConvergeBothWays) {
  a.put("depots:x", R"({"a":1})");
  b.put("depots:x", R"({"b":1})");
  automerge::SyncState at_a;
  automerge::SyncState at_b;
  for (int round = 0; round < 6; ++round) {
    if (const auto m = *a.documents->sync_message("depots:x", at_a)) {
      ASSERT_TRUE(b.documents->apply_sync_message("depots:x", at_b, *m, a.id));
    }
    if (const auto m = *b.documents->sync_message("depots:x", at_b)) {
      ASSERT_TRUE(a.documents->apply_sync_message("depots:x", at_a, *m, b.id));
    }
  }
  EXPECT_EQ(a.heads("depots:x"), b.heads("depots:x"));
  EXPECT_EQ(a.json("depots:x"), R"({"a":1,"b":1})");
  EXPECT_EQ(*a.documents->sync_message("depots:x", at_a), std::nullopt);
}

TEST_F(DocumentsTest, SnapshotsMerge) {
  a.put("tracks:1", R"({"a":1})");
  b.put("tracks:1", R"({"b":1})");
  ASSERT_TRUE(
      b.documents->apply_snapshot("tracks:1", **a.documents->snapshot("tracks:1"), a.id)->changed);
  EXPECT_EQ(b.json("tracks:1"), R"({"a":1,"b":1})");
}

TEST_F(DocumentsTest, ALongHistoryTravelsAsOneSavedDocument) {
  for (int n = 0; n < 200; ++n) a.put("depots:x", "{\"n\":" + std::to_string(n) + "}");
  send(a, b, "depots:x");
  EXPECT_EQ(a.heads("depots:x"), b.heads("depots:x"));
  EXPECT_EQ(b.documents->history("depots:x")->size(), 200U);
}

TEST_F(DocumentsTest, DamagedInputIsAnErrorThatNamesTheDocumentAndChangesNothing) {
  a.put("depots:x", R"({"n":1})");
  auto changes = a.changes("depots:x");
  changes[changes.size() / 2] ^= 0x40;
  const auto result = b.documents->apply_changes("depots:x", {}, changes, a.id);
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("depots:x"), std::string::npos);
  EXPECT_EQ(b.store->last_seq(), 0U);
  EXPECT_FALSE(b.documents->apply_changes("no-colon", {}, a.changes("depots:x"), a.id));
}

// --- quarantine
// -----------------------------------------------------------------------------------

TEST_F(DocumentsTest, AnUnreadableDocumentIsQuarantinedAndStillRelayed) {
  const auto change = unreadable_change();
  const auto got = b.documents->apply_changes("depots:bad", {}, change, a.id);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_TRUE(got->changed);
  EXPECT_TRUE(b.documents->quarantined().empty());  // nobody has looked yet

  const auto view = b.documents->get("depots:bad");
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().code, Code::document_invalid);
  ASSERT_EQ(b.documents->quarantined().size(), 1U);
  EXPECT_EQ(b.documents->quarantined()[0].key, "depots:bad");
  const auto edit = b.documents->put("depots:bad", "{}");
  ASSERT_FALSE(edit);
  EXPECT_EQ(edit.error().code, Code::document_invalid);
  EXPECT_EQ(b.unreadable, std::vector<std::string>{"depots:bad"}) << "told once";

  send(b, c, "depots:bad");
  EXPECT_EQ(c.heads("depots:bad"), b.heads("depots:bad"));
  EXPECT_TRUE(b.documents->snapshot("depots:bad"));

  b.erase("depots:bad");
  EXPECT_TRUE(b.documents->quarantined().empty());
  EXPECT_EQ(b.json("depots:bad"), "");
}

TEST_F(DocumentsTest, TheListOfQuarantinedDocumentsIsBounded) {
  b.crash();
  b.limits.sync_quarantined = 3;
  b.start();
  for (int n = 0; n < 5; ++n) {
    const auto key = "depots:" + std::to_string(n);
    ASSERT_TRUE(b.documents->apply_changes(key, {}, unreadable_change(), a.id));
    EXPECT_EQ(b.documents->get(key).error().code, Code::document_invalid);
  }
  EXPECT_EQ(b.documents->quarantined().size(), 3U);
}

// --- deletion
// -------------------------------------------------------------------------------------

TEST_F(DocumentsTest, EraseLeavesATombstoneAndNoDocument) {
  a.put("depots:x", R"({"n":1})");
  const auto erased = a.documents->erase("depots:x", "moved");
  ASSERT_TRUE(erased);
  EXPECT_EQ(a.json("depots:x"), "");
  const auto buried = tombstone(a, "depots:x");
  EXPECT_EQ(buried.deleted_by, "alpha");
  EXPECT_EQ(buried.reason, "moved");
  EXPECT_EQ(buried.lamport, 1U);
  EXPECT_EQ(buried.deleted_at_ms, static_cast<std::uint64_t>(world.now().wall.ms));
  EXPECT_EQ(a.documents->erase("depots:x", {}).error().code, Code::not_found);
}

TEST_F(DocumentsTest, F20TheLamportClockIsAboveEveryOneSeenAndSurvivesARestart) {
  wire::Tombstone far{.collection = "depots",
                      .id = "far",
                      .deleted_at_ms = 1,
                      .lamport = 1000,
                      .deleted_by = "zulu",
                      .reason = {}};
  ASSERT_TRUE(*a.documents->apply_tombstone(far, b.id));
  a.settle();
  a.crash();
  a.start();
  a.put("depots:x", "{}");
  a.erase("depots:x");
  EXPECT_EQ(tombstone(a, "depots:x").lamport, 1001U);
}

TEST_F(DocumentsTest, ALamportClockThatLeavesNoRoomIsRefused) {
  wire::Tombstone end{.collection = "depots",
                      .id = "x",
                      .deleted_at_ms = 1,
                      .lamport = (1ULL << 62) + 1,
                      .deleted_by = "zulu",
                      .reason = {}};
  const auto result = a.documents->apply_tombstone(end, b.id);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::limit_exceeded);
  EXPECT_EQ(a.documents->lamport(), 0U);
}

// F2, D6a: a peer that was away sends the deleted document again, in either form.
TEST_F(DocumentsTest, F2ADeletedDocumentDoesNotComeBackFromAPeerThatWasAway) {
  a.put("tracks:x", R"({"n":1})");
  send(a, b, "tracks:x");
  a.erase("tracks:x");

  EXPECT_TRUE(send(b, a, "tracks:x").refused);
  const auto snapshot =
      a.documents->apply_snapshot("tracks:x", **b.documents->snapshot("tracks:x"), b.id);
  ASSERT_TRUE(snapshot);
  EXPECT_TRUE(snapshot->refused);
  automerge::SyncState at_a;
  automerge::SyncState at_b;
  bool refused = false;
  for (int round = 0; round < 3 && !refused; ++round) {
    if (const auto m = *b.documents->sync_message("tracks:x", at_b)) {
      refused = a.documents->apply_sync_message("tracks:x", at_a, *m, b.id)->refused;
    }
    if (const auto m = *a.documents->sync_message("tracks:x", at_a)) {
      ASSERT_TRUE(b.documents->apply_sync_message("tracks:x", at_b, *m, a.id));
    }
  }
  EXPECT_TRUE(refused);
  EXPECT_EQ(a.json("tracks:x"), "");

  EXPECT_TRUE(*b.documents->apply_tombstone(tombstone(a, "tracks:x"), a.id));
  EXPECT_EQ(b.json("tracks:x"), "");
  EXPECT_FALSE(*b.documents->apply_tombstone(tombstone(a, "tracks:x"), a.id));
}

// D6b: the older of two tombstones changes nothing, the newer replaces.
TEST_F(DocumentsTest, D6bTombstonesAreOrderedByLamportTimeAndDeleter) {
  wire::Tombstone t{.collection = "depots",
                    .id = "x",
                    .deleted_at_ms = 50,
                    .lamport = 5,
                    .deleted_by = "m",
                    .reason = {}};
  EXPECT_TRUE(*a.documents->apply_tombstone(t, b.id));
  auto older = t;
  older.lamport = 4;
  older.deleted_at_ms = 900;
  EXPECT_FALSE(*a.documents->apply_tombstone(older, b.id));
  auto later = t;
  later.deleted_at_ms = 51;
  EXPECT_TRUE(*a.documents->apply_tombstone(later, b.id));
  auto by_name = later;
  by_name.deleted_by = "n";
  EXPECT_TRUE(*a.documents->apply_tombstone(by_name, b.id));
  EXPECT_EQ(tombstone(a, "depots:x"), by_name);
}

// D6c: the old tombstone kept a re-created document from everybody.
TEST_F(DocumentsTest, D6cARecreatedDocumentTravelsBehindItsTombstone) {
  a.put("depots:x", R"({"old":1})");
  send(a, b, "depots:x");
  a.erase("depots:x");
  a.put("depots:x", R"({"new":1})");
  EXPECT_EQ(a.json("depots:x"), R"({"new":1})");

  const auto out = **a.documents->outgoing("depots:x", {});
  EXPECT_EQ(out.epoch, epoch_of(tombstone(a, "depots:x")));
  // The epoch names the deletion, whether or not the tombstone came first.
  EXPECT_TRUE(send(a, b, "depots:x").changed);
  EXPECT_EQ(b.json("depots:x"), R"({"new":1})");
  EXPECT_EQ(epoch_of(tombstone(b, "depots:x")), out.epoch);
  EXPECT_FALSE(*b.documents->apply_tombstone(tombstone(a, "depots:x"), a.id));

  // It can be deleted again, everywhere.
  b.erase("depots:x");
  EXPECT_TRUE(*a.documents->apply_tombstone(tombstone(b, "depots:x"), b.id));
  EXPECT_EQ(a.json("depots:x"), "");
}

// cap/automerge/1 has no epochs: what was created after the deletion is told by its stamps, which
// hold although the deleter's clock is an hour ahead of the others'.
TEST_F(DocumentsTest, AnOldPeersRecreatedDocumentIsToldFromTheDeletedOneByItsStamps) {
  wire::Tombstone ahead{
      .collection = "depots",
      .id = "x",
      .deleted_at_ms = static_cast<std::uint64_t>(world.now().wall.ms) + 3'600'000,
      .lamport = 4,
      .deleted_by = "zulu",
      .reason = {}};
  b.put("depots:x", R"({"old":1})");
  ASSERT_TRUE(*a.documents->apply_tombstone(ahead, c.id));
  ASSERT_TRUE(*c.documents->apply_tombstone(ahead, a.id));
  EXPECT_TRUE(
      a.documents->apply_snapshot("depots:x", **b.documents->snapshot("depots:x"), b.id)->refused);
  c.put("depots:x", R"({"new":1})");
  const auto reborn =
      a.documents->apply_snapshot("depots:x", **c.documents->snapshot("depots:x"), c.id);
  ASSERT_TRUE(reborn) << reborn.error().message;
  EXPECT_TRUE(reborn->changed);
  EXPECT_EQ(a.json("depots:x"), R"({"new":1})");

  // And its deletion is stamped behind it, so that this copy cannot come back either.
  c.erase("depots:x");
  EXPECT_GT(tombstone(c, "depots:x").deleted_at_ms, ahead.deleted_at_ms);
  EXPECT_TRUE(
      c.documents->apply_snapshot("depots:x", **a.documents->snapshot("depots:x"), a.id)->refused);
}

TEST_F(DocumentsTest, ARecreatedDocumentTakesEditsButNotItsDeletedHistory) {
  a.put("depots:x", R"({"old":1})");
  send(a, b, "depots:x");
  a.erase("depots:x");
  a.put("depots:x", R"({"new":1})");

  // `b` has not heard of the deletion.
  EXPECT_TRUE(send(b, a, "depots:x").refused);
  EXPECT_EQ(a.json("depots:x"), R"({"new":1})");

  // A peer of the old dialect holds the new document and edits it; it can name no epoch.
  ASSERT_TRUE(c.documents->apply_snapshot("depots:x", **a.documents->snapshot("depots:x"), a.id));
  ASSERT_TRUE(c.documents->patch("depots:x", R"({"edit":1})"));
  const auto edited = a.documents->apply_changes("depots:x", {}, c.changes("depots:x"), c.id);
  ASSERT_TRUE(edited);
  EXPECT_TRUE(edited->changed);
  EXPECT_EQ(a.json("depots:x"), R"({"edit":1,"new":1})");
}

TEST_F(DocumentsTest, ARecreatedDocumentNeverRepeatsAnActorsSequenceNumbers) {
  a.put("depots:x", R"({"old":1})");
  const auto before = a.documents->history("depots:x")->front();
  a.erase("depots:x");
  a.put("depots:x", R"({"new":1})");
  const auto after = a.documents->history("depots:x")->front();
  EXPECT_EQ(before.seq, after.seq);
  EXPECT_NE(before.actor, after.actor);
}

TEST_F(DocumentsTest, UpdateWinsKeepsAnAlertThatChangedAfterItsDeletion) {
  a.put("alerts:x", R"({"level":1})");
  send(a, b, "alerts:x");
  a.erase("alerts:x");
  world.run_for(seconds(5));
  ASSERT_TRUE(b.documents->patch("alerts:x", R"({"level":2})"));

  ASSERT_TRUE(*b.documents->apply_tombstone(tombstone(a, "alerts:x"), a.id));
  EXPECT_EQ(b.json("alerts:x"), R"({"level":2})");  // kept beside the tombstone
  EXPECT_TRUE(send(b, a, "alerts:x").changed);
  EXPECT_EQ(a.json("alerts:x"), R"({"level":2})");
  EXPECT_EQ(a.heads("alerts:x"), b.heads("alerts:x"));
}

TEST_F(DocumentsTest, UpdateWinsDeletesAnAlertThatDidNotChange) {
  a.put("alerts:x", R"({"level":1})");
  send(a, b, "alerts:x");
  world.run_for(seconds(5));
  a.erase("alerts:x");
  EXPECT_TRUE(send(b, a, "alerts:x").refused);
  ASSERT_TRUE(*b.documents->apply_tombstone(tombstone(a, "alerts:x"), a.id));
  EXPECT_EQ(b.json("alerts:x"), "");
}

// The deleter knows exactly which changes it had seen, whatever the clocks say.
TEST_F(DocumentsTest, UpdateWinsAtTheDeleterGoesByWhatItHadSeen) {
  a.put("alerts:x", R"({"level":1})");
  send(a, b, "alerts:x");
  ASSERT_TRUE(b.documents->patch("alerts:x", R"({"level":2})"));
  world.run_for(seconds(5));
  a.erase("alerts:x");
  const auto late = a.documents->apply_changes("alerts:x", {}, b.changes("alerts:x"), b.id);
  ASSERT_TRUE(late);
  EXPECT_TRUE(late->changed);
  EXPECT_EQ(a.json("alerts:x"), R"({"level":2})");
}

TEST_F(DocumentsTest, ARefusedWriteOfTheStoreLeavesTheDocumentAsItWas) {
  a.put("depots:x", R"({"n":1})");
  a.settle();
  a.disk->fail_commits(Error{Code::store_full, "the disk is full"});
  a.put("depots:y", "{}");  // visible; its commit fails
  a.settle();
  const auto refused = a.documents->put("depots:x", R"({"n":2})");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::store_full);
  EXPECT_EQ(a.json("depots:x"), R"({"n":1})");
  a.disk->fail_commits({});
  world.run_for(seconds(3));
  a.put("depots:x", R"({"n":3})");
  EXPECT_EQ(a.json("depots:x"), R"({"n":3})");
  EXPECT_EQ(a.documents->history("depots:x")->size(), 2U);
}

TEST(CollectionRules, DefaultsAreTheFields) {
  const Collections registry;
  EXPECT_EQ(registry.mode("tracks"), SyncMode::latest_only);
  EXPECT_EQ(registry.mode("track_history"), SyncMode::windowed);
  EXPECT_EQ(registry.mode("commands"), SyncMode::full_history);
  EXPECT_EQ(registry.mode("anything"), SyncMode::full_history);
  EXPECT_EQ(registry.deletion_rule("alerts"), DeletionRule::update_wins);
  EXPECT_EQ(registry.deletion_rule("tracks"), DeletionRule::delete_wins);
  EXPECT_EQ(registry.rule("commands").deletion, DeletionPolicy::soft_delete);
  EXPECT_EQ(registry.rule("anything").deletion, DeletionPolicy::tombstone);
  EXPECT_EQ(registry.rule("beacons").ttl, seconds(600));
  EXPECT_EQ(Collections(TtlPreset::offline_node).rule("beacons").ttl, seconds(30));
  EXPECT_EQ(registry.retention("tracks"), std::chrono::hours(168)) << "the preset's is longer";
  EXPECT_EQ(registry.rule("commands").qos, QosClass::critical);
  EXPECT_EQ(registry.rule("tracks").qos, QosClass::low);
}

}  // namespace
}  // namespace peat::sync
