// Whose fault it is: circuit breaker, retries, quarantine, lag.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.hpp"
#include "replica.hpp"
#include "session_fixture.hpp"
#include "sync/circuit.hpp"
#include "sync/lag.hpp"
#include "sync/quarantine.hpp"
#include "sync/retries.hpp"

namespace peat::sync {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using State = CircuitBreaker::State;

constexpr Instant at(Duration since) { return Instant(since); }

// --- circuit ------------------------------------------------------------------------------------

// D4: in the reference an open circuit stays open until it is reset by hand.
TEST(Circuit, D4OpensAfterFiveFailuresAndClosesAgainByItself) {
  CircuitBreaker circuit(1);
  for (int i = 0; i < 4; ++i) circuit.failure(at(seconds(i)), "nonsense");
  EXPECT_TRUE(circuit.allows(at(seconds(4))));
  circuit.failure(at(seconds(4)), "nonsense");
  EXPECT_EQ(circuit.state(), State::open);
  EXPECT_FALSE(circuit.allows(at(seconds(5))));
  const auto due = *circuit.next_timeout();
  EXPECT_GE(due, at(seconds(4) + seconds(15) / 4));
  EXPECT_LE(due, at(seconds(4) + seconds(25) / 4));
  EXPECT_TRUE(circuit.allows(due));
  EXPECT_EQ(circuit.state(), State::half_open);
  circuit.sent(due);
  EXPECT_FALSE(circuit.allows(due)) << "one at a time";
  circuit.success(due);
  EXPECT_TRUE(circuit.allows(due));
  circuit.success(due);
  EXPECT_EQ(circuit.state(), State::closed);
  EXPECT_EQ(circuit.next_timeout(), std::nullopt);
}

TEST(Circuit, WaitsLongerEachTimeItFailsAgain) {
  CircuitBreaker circuit(7);
  Instant now{};
  Duration last{};
  for (int i = 0; i < 5; ++i) circuit.failure(now, "nonsense");
  for (int round = 0; round < 12; ++round) {
    const auto due = *circuit.next_timeout();
    const auto wait = due - now;
    if (round < 5) {
      EXPECT_GT(wait, last) << round;
    }
    EXPECT_LE(wait, seconds(300 + 75));
    last = wait;
    now = due;
    ASSERT_TRUE(circuit.allows(now));
    circuit.failure(now, "again");
  }
  EXPECT_GE(last, seconds(300 - 75));
  EXPECT_EQ(circuit.reason(), "again");
}

TEST(Circuit, FailuresFarApartAreNone) {
  CircuitBreaker circuit(1);
  for (int i = 0; i < 100; ++i) circuit.failure(at(seconds(16 * i)), "now and then");
  EXPECT_EQ(circuit.state(), State::closed);
}

TEST(Circuit, AnUnansweredProbeIsFollowedByAnother) {
  CircuitBreaker circuit(1);
  for (int i = 0; i < 5; ++i) circuit.failure({}, "nonsense");
  const auto due = *circuit.next_timeout();
  ASSERT_TRUE(circuit.allows(due));
  circuit.sent(due);
  ASSERT_EQ(circuit.next_timeout(), due + seconds(5));
  EXPECT_TRUE(circuit.allows(due + seconds(5)));
}

// Against a naive twin: a list of all that happened.
TEST(Circuit, DoesWhatItsRuleSays) {
  SeededRandom random(3);
  for (int run = 0; run < 200; ++run) {
    CircuitBreaker circuit(static_cast<std::uint64_t>(run));
    std::vector<Instant> failures;  // since it was closed
    auto state = State::closed;
    int successes = 0;
    Instant now{};
    for (int step = 0; step < 300; ++step) {
      now += std::chrono::milliseconds(random.next_u64() % 4000);
      const auto due = circuit.next_timeout();
      if (state == State::open && due && now >= *due) {
        ASSERT_TRUE(circuit.allows(now));
        state = State::half_open;
        successes = 0;
      }
      if (random.next_u64() % 3 == 0) {
        circuit.failure(now, "x");
        if (state == State::half_open) {
          state = State::open;
        } else if (state == State::closed) {
          failures.push_back(now);
          std::erase_if(failures, [&](auto when) { return now - when > minutes(1); });
          if (failures.size() >= 5) state = State::open;
        }
        if (state == State::open) failures.clear();
      } else {
        circuit.success(now);
        if (state == State::half_open && ++successes == 2) state = State::closed;
      }
      ASSERT_EQ(circuit.state(), state) << run << ' ' << step;
    }
  }
}

// --- retries ------------------------------------------------------------------------------------

TEST(Retries, OnlyWhatPassesIsTriedAgainAndEachTimeLater) {
  DocumentRetries retries(2, 5);
  const Error passes{Code::io_error, "the disk failed"};
  EXPECT_FALSE(retries.note("a", {Code::limit_exceeded, "too large"}, {}));
  EXPECT_FALSE(retries.note("a", {Code::store_corrupt, "damaged"}, {}));
  EXPECT_FALSE(retries.note("", passes, {}));
  Instant now{};
  Duration last{};
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(retries.note("a", passes, now));
    EXPECT_TRUE(retries.due(now).empty());
    const auto due = *retries.next_timeout();
    EXPECT_GT(due - now, last);
    last = due - now;
    now = due;
    EXPECT_EQ(retries.due(now), std::vector<std::string>{"a"});
    EXPECT_EQ(retries.next_timeout(), std::nullopt);
  }
  EXPECT_EQ(retries.attempts("a"), 8U);
  ASSERT_TRUE(retries.note("b", passes, now));
  EXPECT_FALSE(retries.note("c", passes, now)) << "the limit";
  EXPECT_EQ(retries.due(now + minutes(11)), std::vector<std::string>{"b"});
  EXPECT_EQ(retries.attempts("a"), std::nullopt) << "it has worked";
}

// --- quarantine ---------------------------------------------------------------------------------

TEST(QuarantineList, SurvivesARestartAndRefusesRubbish) {
  Quarantine list(10);
  const Error error{Code::malformed, "it is no good"};
  list.note("t:a", QuarantineKind::refused, error, endpoint(3), WallTime{5});
  list.note("t:a", QuarantineKind::refused, error, endpoint(4), WallTime{6});
  list.note("t:b", QuarantineKind::corrupt, error, std::nullopt, WallTime{7});
  const auto record = list.encode();
  Quarantine again(10);
  ASSERT_TRUE(again.decode(record));
  ASSERT_EQ(again.list().size(), 2U);
  EXPECT_EQ(again.list()[0].count, 2U);
  EXPECT_EQ(again.list()[0].peer, endpoint(4));
  EXPECT_EQ(again.list()[0].first_ms, 5);
  EXPECT_EQ(again.list()[1].reason, "it is no good");
  for (std::size_t size = 1; size < record.size(); ++size) {
    Quarantine cut(10);
    static_cast<void>(cut.decode(ByteView(record).first(size)));
  }
  EXPECT_FALSE(again.decode(Bytes{9}));
  EXPECT_EQ(again.list().size(), 2U) << "as it was";
}

TEST(QuarantineList, OverItsLimitOnlyPeersRubbishGivesWay) {
  Quarantine list(2);
  const Error error{Code::malformed, "bad"};
  using Noted = Quarantine::Noted;
  EXPECT_EQ(list.note("t:a", QuarantineKind::refused, error, {}, WallTime{1}), Noted::listed);
  EXPECT_EQ(list.note("t:b", QuarantineKind::refused, error, {}, WallTime{2}), Noted::listed);
  EXPECT_EQ(list.note("t:c", QuarantineKind::refused, error, {}, WallTime{3}), Noted::unlisted);
  EXPECT_EQ(list.note("t:d", QuarantineKind::corrupt, error, {}, WallTime{4}), Noted::listed);
  ASSERT_EQ(list.list().size(), 2U);
  EXPECT_EQ(list.list()[0].key, "t:b");
  EXPECT_EQ(list.unlisted, 2U);
}

// --- lag ----------------------------------------------------------------------------------------

TEST(LagOfPeers, CountsWhatTheyHaveNotAcknowledgedByCollection) {
  sim::World world(1);
  Replica a(world, 1, "alpha");
  a.put("t:x", R"({"n":1})");
  const auto half = a.store->last_seq();
  world.run_for(seconds(100));
  a.put("t:y", R"({"n":1})");
  world.run_for(seconds(20));
  a.put("u:z", R"({"n":1})");
  a.erase("t:y");
  const auto from_peer = unreadable_change();
  ASSERT_TRUE(a.documents->apply_changes("t:p", {}, from_peer, endpoint(9)));
  world.run_for(seconds(10));
  LagSurvey survey(*a.store,
                   {{endpoint(8), 0}, {endpoint(9), half}, {endpoint(7), a.store->last_seq()}},
                   a.executor->now().wall);
  int steps = 0;
  while (survey.step(1).value()) ++steps;
  EXPECT_GT(steps, 1) << "in slices";
  const auto& fresh = survey.result[0];
  EXPECT_EQ(fresh.total.documents, 4U);
  EXPECT_EQ(fresh.collections.at("t").documents, 3U);
  EXPECT_EQ(fresh.collections.at("u").documents, 1U);
  EXPECT_GT(fresh.total.bytes, 100U);
  const auto& known = survey.result[1];
  EXPECT_EQ(known.total.documents, 2U) << "what came from it is not behind";
  EXPECT_EQ(known.collections.at("u").oldest_ms.value() / 1000, 10U);
  EXPECT_EQ(survey.result[2].total.documents, 0U);
  EXPECT_FALSE(survey.result[2].total.oldest_ms);
}

// --- sessions -----------------------------------------------------------------------------------

class AccountsTest : public testing::Test {
 protected:
  void run(Duration duration = seconds(2)) { world.run_for(duration); }

  sim::World world{5};
  Node a{world, 1, "alpha"};
  Node b{world, 2, "bravo"};
};

// F3: in the reference a burst of deletions opened the peer's circuit breaker, and the next write
// vanished.
TEST_F(AccountsTest, F3ABurstOfDeletionsHoldsNobodyUp) {
  for (int n = 0; n < 400; ++n) b.put("t:" + std::to_string(n), "{}");
  const Link link(a, b, Dialect::old);
  run(seconds(5));
  ASSERT_EQ(a.store->count(), 400U);
  for (int n = 0; n < 400; ++n) b.erase("t:" + std::to_string(n));
  b.put("t:after", R"({"n":1})");
  run(seconds(5));
  EXPECT_EQ(a.json("t:after"), R"({"n":1})");
  EXPECT_EQ(a.store->count(), 1U);
  EXPECT_EQ(a.status(b).circuit, State::closed);
  EXPECT_EQ(a.status(b).circuit_opened, 0U);
}

// F4: in the reference one document that could not be decoded stopped sync with a healthy peer.
TEST_F(AccountsTest, F4PoisonIsSetAsideByNameAndThePeerGoesOn) {
  auto peer = std::make_unique<PlayedPeer>(world, a, 9, Dialect::native);
  auto hello = wire::make_hello();
  hello.store_id[0] = 1;
  hello.document_count = 1;
  run();
  peer->channel.inject_native(hello);
  automerge::Document good;
  ASSERT_TRUE(good.update_from_json(R"({"n":1})", {}));
  const auto chunk = *good.changes_since({})->begin();
  for (int n = 0; n < 50; ++n) {
    peer->channel.inject_native(
        wire::DocChanges{static_cast<store::Seq>(n + 1),
                         {{"t:bad" + std::to_string(n), {}, good.heads(), Bytes{1, 2, 3}}}});
  }
  peer->channel.inject_native(
      wire::DocChanges{60, {{"t:good", {}, good.heads(), Bytes(chunk.begin(), chunk.end())}}});
  run();
  EXPECT_EQ(a.json("t:good"), R"({"n":1})");
  const auto status = *a.coordinator->status(endpoint(9));
  EXPECT_EQ(status.poison, 50U);
  EXPECT_EQ(status.violations, 0U);
  EXPECT_EQ(status.circuit, State::closed);
  ASSERT_EQ(a.documents->quarantined().size(), 50U);
  const auto entry = a.documents->quarantined("t:bad7").at(0);
  EXPECT_EQ(entry.kind, QuarantineKind::refused);
  EXPECT_EQ(entry.peer, endpoint(9));
  EXPECT_NE(entry.reason.find("t:bad7"), std::string::npos) << entry.reason;

  // Asked again, and good now: it is free.
  const auto have = a.documents->retry_quarantined("t:bad7").value();
  EXPECT_EQ(a.coordinator->request("t:bad7", have, entry.peer).size(), 1U);
  run();
  const auto needs = peer->heard.all<wire::Need>();
  ASSERT_FALSE(needs.empty());
  EXPECT_EQ(needs.back().documents.at(0).key, "t:bad7");
  peer->channel.inject_native(
      wire::DocChanges{61, {{"t:bad7", {}, good.heads(), Bytes(chunk.begin(), chunk.end())}}});
  run();
  EXPECT_EQ(a.json("t:bad7"), R"({"n":1})");
  EXPECT_TRUE(a.documents->quarantined("t:bad7").empty());
  // The others are remembered over a restart.
  peer.reset();
  a.coordinator.reset();
  a.stop();
  a.start();
  a.coordinate();
  EXPECT_EQ(a.documents->quarantined().size(), 49U);
  ASSERT_TRUE(a.documents->drop_quarantined("t:bad8"));
  EXPECT_EQ(a.documents->quarantined().size(), 48U);
  EXPECT_EQ(a.documents->drop_quarantined("t:bad8").error().code, Code::not_found);
}

// A9: a peer of a later version is tolerated, whatever else it says.
TEST_F(AccountsTest, A9EntriesOfUnknownTypesOpenNoCircuit) {
  PlayedPeer peer(world, a, 9, Dialect::old);
  run();
  wire::SyncBatch batch;
  batch.entries.push_back({"t:x", wire::EntryType::delta, Bytes{1}});
  wire::Frame frame{"batch", wire::FrameType::batch, {}};
  ASSERT_TRUE(wire::encode(batch, frame.payload));
  // header, then the entry: u16 length of its key, key, type
  frame.payload[wire::kBatchHeaderBytes + 2 + 3] = 0x77;
  for (int i = 0; i < 20; ++i) peer.channel.inject(frame);
  run();
  const auto status = *a.coordinator->status(endpoint(9));
  EXPECT_EQ(status.violations, 20U);
  EXPECT_EQ(status.circuit, State::closed);
}

TEST_F(AccountsTest, WhoTalksNonsenseIsNotSpokenToForAWhileAndThenAgain) {
  PlayedPeer peer(world, a, 9, Dialect::native);
  auto hello = wire::make_hello();
  hello.store_id[0] = 1;
  run();
  peer.channel.inject_native(hello);
  run();
  for (int i = 0; i < 5; ++i) peer.channel.inject_native(hello);  // a second hello is one too many
  EXPECT_EQ(a.coordinator->status(endpoint(9))->circuit, State::open);
  const auto before = peer.heard.native.size();
  a.put("t:x", R"({"n":1})");
  run(seconds(2));
  EXPECT_EQ(peer.heard.native.size(), before) << "not spoken to";
  run(seconds(6));
  EXPECT_GT(peer.heard.native.size(), before) << "tried again by itself";
  EXPECT_EQ(a.coordinator->status(endpoint(9))->circuit, State::half_open);
  peer.channel.inject_native(wire::Ping{1});
  peer.channel.inject_native(wire::Ping{2});
  EXPECT_EQ(a.coordinator->status(endpoint(9))->circuit, State::closed);
  run();
  EXPECT_FALSE(peer.heard.all<wire::DocChanges>().empty()) << "nothing is lost by it";
}

TEST_F(AccountsTest, ADocumentIsFoundOnItsWay) {
  const Link link(a, b, Dialect::native);
  run();
  a.put("t:x", R"({"n":1})");
  run();
  EXPECT_TRUE(a.coordinator->locate(b.id, "t:x")->place->known);
  EXPECT_EQ(a.coordinator->holds_up_to(b.id), a.store->last_seq());
  EXPECT_FALSE(a.coordinator->locate(endpoint(7), "t:x"));
}

// --- damaged records ----------------------------------------------------------------------------

class DamageTest : public AccountsTest,
                   public testing::WithParamInterface<std::pair<Dialect, store::Table>> {};

TEST_P(DamageTest, ADamagedRecordIsNamedAndRepairedFromAPeer) {
  const auto [dialect, table] = GetParam();
  {
    const Link link(a, b, dialect);
    for (int n = 0; n < 20; ++n) a.put("t:" + std::to_string(n), R"({"n":1})");
    run(seconds(5));
    ASSERT_EQ(b.store->count(), 20U);
  }
  a.disk->damage(table, table == store::Table::documents ? "t:7" : "");
  a.crash_and_start();
  EXPECT_EQ(a.documents->get("t:7").error().code, Code::store_corrupt);
  const auto listed = a.documents->quarantined("t:7");
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].kind, QuarantineKind::corrupt);
  EXPECT_EQ(listed[0].peer, std::nullopt);
  EXPECT_NE(std::ranges::find(a.unreadable, "t:7"), a.unreadable.end()) << "the log was told";

  const Link link(a, b, dialect);
  run(seconds(5));
  if (!a.documents->quarantined("t:7").empty()) {
    const auto have = a.documents->retry_quarantined("t:7").value();
    EXPECT_TRUE(have.empty()) << "all of it is asked for";
    EXPECT_EQ(a.coordinator->request("t:7", have, std::nullopt).size(), 1U);
    run(seconds(5));
  }
  EXPECT_EQ(a.json("t:7"), R"({"n":1})");
  EXPECT_TRUE(a.documents->quarantined("t:7").empty());
  EXPECT_EQ(a.heads("t:7"), b.heads("t:7"));
  EXPECT_EQ(a.store->count(), 20U);
  a.settle();
  a.crash_and_start();
  EXPECT_EQ(a.json("t:7"), R"({"n":1})") << "on the disk, too";
}

INSTANTIATE_TEST_SUITE_P(Everywhere, DamageTest,
                         testing::Values(std::pair(Dialect::native, store::Table::documents),
                                         std::pair(Dialect::native, store::Table::bodies),
                                         std::pair(Dialect::old, store::Table::documents),
                                         std::pair(Dialect::old, store::Table::bodies)));

TEST_F(AccountsTest, WhatIsDamagedCanBeGivenUp) {
  a.put("t:x", R"({"n":1})");
  a.put("t:y", R"({"n":1})");
  a.settle();
  a.disk->damage(store::Table::documents, "t:x");
  a.crash_and_start();
  ASSERT_FALSE(a.documents->get("t:x"));
  ASSERT_TRUE(a.documents->drop_quarantined("t:x"));
  EXPECT_EQ(a.json("t:x"), "");
  EXPECT_EQ(a.store->count("t"), 1U);
  a.put("t:x", R"({"n":2})");
  EXPECT_EQ(a.json("t:x"), R"({"n":2})");
  EXPECT_EQ(a.store->count("t"), 2U);
}

}  // namespace
}  // namespace peat::sync
