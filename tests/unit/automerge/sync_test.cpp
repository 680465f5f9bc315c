#include "peat/automerge/sync.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "automerge/bloom.hpp"
#include "base/encoding.hpp"
#include "base/limits.hpp"

namespace peat::automerge {
namespace {

ActorId actor(std::uint8_t n) { return {Bytes(16, n)}; }

Bytes hex(std::string_view text) {
  std::string digits;
  std::ranges::copy_if(text, std::back_inserter(digits), [](char c) { return c != ' '; });
  return from_hex(digits).value();
}

void put(Document& document, std::string_view key, std::int64_t value) {
  auto tx = document.begin().value();
  ASSERT_TRUE(tx.put(kRoot, key, value));
  ASSERT_TRUE(tx.commit());
}

// One side of a session.
struct Side {
  Document document;
  SyncState state;
  std::size_t sent_bytes = 0;
  std::size_t sent_messages = 0;

  explicit Side(std::uint8_t n) : document(actor(n)) {}
  explicit Side(Document d) : document(std::move(d)) {}

  std::optional<Bytes> generate() {
    auto message = generate_sync_message(document, state);
    EXPECT_TRUE(message) << message.error().message;
    if (!message || !*message) return std::nullopt;
    ++sent_messages;
    sent_bytes += (*message)->size();
    return *message;
  }
  ReceiveReport receive(const Bytes& message) {
    auto report = receive_sync_message(document, state, message);
    EXPECT_TRUE(report) << report.error().message;
    return report.value_or(ReceiveReport{});
  }
  void reconnect() { state = SyncState::decode(state.encode()).value(); }
};

// Lets both speak in turn until both are silent; returns the number of rounds.
int converse(Side& a, Side& b) {
  for (int round = 0; round < 30; ++round) {
    const auto from_a = a.generate();
    if (from_a) b.receive(*from_a);
    const auto from_b = b.generate();
    if (from_b) a.receive(*from_b);
    if (!from_a && !from_b) return round;
  }
  ADD_FAILURE() << "the session did not fall silent";
  return -1;
}

SyncMessage decoded(const Bytes& message) { return SyncMessage::decode(message).value(); }

TEST(SyncMessage, FirstMessagesAreThoseOfTheReference) {
  Side empty(1);
  EXPECT_EQ(empty.generate(), hex("42 00 00 01 00 00 00 02 02 84"));

  Side one(1);
  put(one.document, "k", 1);
  const auto hash = to_hex(one.document.heads()[0].bytes);
  const auto message = to_hex(*one.generate());
  EXPECT_EQ(message.substr(0, 4 + 64), "4201" + hash);
  EXPECT_EQ(message.substr(68, 16), "00010005010a07" + message.substr(82, 2));
  EXPECT_EQ(message.substr(message.size() - 8), "00020284");
}

TEST(SyncMessage, EncodesWhatItDecodes) {
  SyncMessage message;
  message.version = 2;
  message.heads = {ChangeHash{{1}}, ChangeHash{{2}}};
  message.need = {ChangeHash{{3}}};
  message.have.push_back({{ChangeHash{{4}}}, build_bloom(message.heads)});
  message.changes = {Bytes{1, 2, 3}, Bytes(300, 7)};
  message.flags = Bytes{2, 0x84};
  const auto again = decoded(message.encode());
  EXPECT_EQ(again.version, 2);
  EXPECT_EQ(again.heads, message.heads);
  EXPECT_EQ(again.need, message.need);
  ASSERT_EQ(again.have.size(), 1U);
  EXPECT_EQ(again.have[0].last_sync, message.have[0].last_sync);
  EXPECT_EQ(again.have[0].bloom, message.have[0].bloom);
  EXPECT_EQ(again.changes, message.changes);
  EXPECT_EQ(again.flags, message.flags);
}

TEST(SyncMessage, AnOldPeersMessagesNeedNoFlagsAndMayHaveAnyTail) {
  EXPECT_EQ(decoded(hex("42 00 00 01 00 00 00")).flags, std::nullopt);
  EXPECT_EQ(decoded(hex("42 00 00 01 00 00 00 02 01 02")).flags, (Bytes{1, 2}));
  EXPECT_EQ(decoded(hex("42 00 00 01 00 00 00 01 02 ff ff ff")).flags, (Bytes{2}));
}

TEST(SyncMessage, MalformedInputIsAnErrorThatNamesThePlace) {
  const auto code = [](std::string_view text) {
    const auto result = SyncMessage::decode(hex(text));
    return result ? std::optional<Code>{} : result.error().code;
  };
  EXPECT_EQ(code(""), Code::truncated);
  EXPECT_EQ(code("41"), Code::unknown_type);
  EXPECT_EQ(code("42"), Code::truncated);
  EXPECT_EQ(code("42 01 00"), Code::truncated);
  EXPECT_EQ(code("42 ff ff ff ff ff ff ff ff ff 01"), Code::truncated);  // 2^64 - 1 hashes
  EXPECT_EQ(code("42 80 00 00 00 00"), Code::malformed);                 // an overlong zero
  EXPECT_EQ(code("42 ff ff ff ff ff ff ff ff ff 7f"), Code::malformed);  // beyond 64 bits
  EXPECT_EQ(code("42 00 00 00 ff ff ff ff 0f"), Code::truncated);        // 2^32 changes
  EXPECT_EQ(code("42 00 00 00 01 7f 01"), Code::truncated);              // change of 127 bytes
  EXPECT_EQ(code("42 00 00 00 00 05 01"), Code::truncated);              // five flag bytes
  EXPECT_EQ(code("42 00 00 01 00 04 01 0a 07 ff 00"), Code::truncated);  // filter needs two bytes
  EXPECT_EQ(code("42 00 00 01 00 08 ff ff ff ff 7f 0a 07 00"), Code::malformed);  // > 32 bits

  const auto message = SyncMessage::decode(hex("42 00 00 00 01 7f 01")).error().message;
  EXPECT_NE(message.find("byte 6"), std::string::npos) << message;
}

TEST(SyncMessage, LimitsBindWhatASenderCanMakeUsWork) {
  Bytes filters = hex("42 00 00");
  filters.push_back(static_cast<std::uint8_t>(Limits{}.sync_filters_per_message + 1));
  filters.resize(filters.size() + 2 * (Limits{}.sync_filters_per_message + 1) + 1);
  EXPECT_EQ(SyncMessage::decode(filters).error().code, Code::limit_exceeded);

  const auto probes = static_cast<std::uint8_t>(Limits{}.sync_bloom_probes);
  EXPECT_TRUE(BloomView::parse(Bytes{1, 10, probes, 0, 0}));
  EXPECT_EQ(
      BloomView::parse(Bytes{1, 10, static_cast<std::uint8_t>(probes + 1), 0, 0}).error().code,
      Code::limit_exceeded);

  EXPECT_EQ(SyncMessage::decode(Bytes(11), {.input_bytes = 10}).error().code, Code::limit_exceeded);
}

TEST(Bloom, FindsEveryEntryAndFewOthers) {
  std::vector<ChangeHash> in;
  std::vector<ChangeHash> out;
  for (std::uint8_t i = 0; i < 200; ++i) {
    in.push_back({sha256(Bytes{1, i})});
    out.push_back({sha256(Bytes{2, i})});
  }
  const auto bytes = build_bloom(in);
  EXPECT_EQ(bytes.size(), 2 + 1 + 1 + 250U);
  const auto filter = BloomView::parse(bytes).value();
  for (const auto& hash : in) EXPECT_TRUE(filter.contains(hash));
  EXPECT_LT(std::ranges::count_if(out, [&](const auto& h) { return filter.contains(h); }), 12);
}

TEST(Bloom, AFilterWithoutBitsContainsNothing) {
  const ChangeHash hash{sha256(Bytes{1})};
  EXPECT_FALSE(BloomView::parse({}).value().contains(hash));
  EXPECT_FALSE(BloomView::parse(Bytes{5, 0, 7}).value().contains(hash));  // five entries, no bits
  EXPECT_FALSE(BloomView::parse(Bytes{0, 10, 7}).value().contains(hash));
  // No probes are read as one, as others do, not as "contains everything".
  EXPECT_FALSE(BloomView::parse(Bytes{1, 8, 0, 0}).value().contains(hash));
}

TEST(Sync, OneSideLearnsEverythingThenBothAreSilent) {
  Side a(1);
  Side b(2);
  for (int i = 0; i < 10; ++i) put(a.document, "k" + std::to_string(i), i);
  EXPECT_LE(converse(a, b), 4);
  EXPECT_EQ(a.document.heads(), b.document.heads());
  EXPECT_EQ(a.document.to_json().value(), b.document.to_json().value());
  EXPECT_FALSE(a.generate());
  EXPECT_FALSE(b.generate());
}

TEST(Sync, ConcurrentEditsMeetAndOnlyMissingChangesTravel) {
  Side a(1);
  for (int i = 0; i < 50; ++i) put(a.document, "base" + std::to_string(i), i);
  Side b(a.document.fork(actor(2)).value());
  converse(a, b);
  put(a.document, "from a", 1);
  put(b.document, "from b", 2);
  a.sent_bytes = b.sent_bytes = 0;
  converse(a, b);
  EXPECT_EQ(a.document.heads(), b.document.heads());
  EXPECT_EQ(a.document.heads().size(), 2U);
  EXPECT_LT(a.sent_bytes + b.sent_bytes, 900U);
}

TEST(Sync, AskingTwiceSaysNothingNew) {
  Side a(1);
  put(a.document, "k", 1);
  EXPECT_TRUE(a.generate());
  EXPECT_FALSE(a.generate());
  put(a.document, "k", 2);  // a new head is worth a message even before the answer
  EXPECT_TRUE(a.generate());
  EXPECT_FALSE(a.generate());
}

TEST(Sync, MessagesThatCrossDoNotConfuse) {
  Side a(1);
  Side b(2);
  for (int i = 0; i < 5; ++i) put(a.document, "a" + std::to_string(i), i);
  for (int i = 0; i < 5; ++i) put(b.document, "b" + std::to_string(i), i);
  for (int round = 0; round < 6; ++round) {
    const auto from_a = a.generate();
    const auto from_b = b.generate();
    if (from_a) b.receive(*from_a);
    if (from_b) a.receive(*from_b);
  }
  EXPECT_EQ(a.document.heads(), b.document.heads());
  EXPECT_FALSE(a.generate());
  EXPECT_FALSE(b.generate());
}

TEST(Sync, RandomHistoriesAlwaysConverge) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    std::vector<Side> sides;
    for (std::uint8_t n = 1; n <= 3; ++n) sides.emplace_back(n);
    for (int step = 0; step < 40; ++step) {
      auto& side = sides[random() % 3];
      if (random() % 5 != 0) {
        put(side.document, "k" + std::to_string(random() % 7), static_cast<int>(random() % 100));
      } else {
        auto& other = sides[random() % 3];
        if (&other == &side) continue;
        ASSERT_TRUE(side.document.merge(other.document));
      }
    }
    for (std::size_t i = 0; i + 1 < sides.size(); ++i) {
      sides[i].state = sides[i + 1].state = SyncState();
      converse(sides[i], sides[i + 1]);
      EXPECT_EQ(sides[i].document.heads(), sides[i + 1].document.heads());
    }
  }
}

TEST(Sync, AReconnectAfterPersistingTheStateCostsOnlyTheNews) {
  Side a(1);
  Side b(2);
  for (int i = 0; i < 40; ++i) put(a.document, "k", i);
  converse(a, b);
  put(a.document, "news", 1);
  a.reconnect();
  b.reconnect();
  a.sent_bytes = b.sent_bytes = 0;
  converse(a, b);
  EXPECT_EQ(a.document.heads(), b.document.heads());
  EXPECT_LT(a.sent_bytes + b.sent_bytes, 700U);
}

TEST(SyncState, KeepsSharedHeadsOnly) {
  EXPECT_EQ(SyncState().encode(), hex("43 00"));
  Side a(1);
  Side b(2);
  put(a.document, "k", 1);
  converse(a, b);
  const auto state = SyncState::decode(a.state.encode()).value();
  EXPECT_EQ(state.shared_heads, a.document.heads());
  EXPECT_FALSE(state.their_heads);
  EXPECT_FALSE(state.in_flight);
  ASSERT_TRUE(state.their_have);
  EXPECT_TRUE(state.their_have->empty());
  EXPECT_FALSE(SyncState::decode(hex("43 02 00")));
  EXPECT_FALSE(SyncState::decode(hex("42 00")));
  EXPECT_FALSE(SyncState::decode({}));
}

TEST(Sync, APeerThatLostItsDocumentGetsItAgain) {
  Side a(1);
  Side b(2);
  for (int i = 0; i < 5; ++i) put(a.document, "k", i);
  converse(a, b);
  b = Side(3);
  const auto report = a.receive(*b.generate());
  EXPECT_TRUE(report.peer_was_reset);
  converse(a, b);
  EXPECT_EQ(a.document.heads(), b.document.heads());
}

TEST(Sync, APeerRestoredFromABackupGetsWhatItLost) {
  Side a(1);
  Side b(2);
  for (int i = 0; i < 5; ++i) put(a.document, "k", i);
  converse(a, b);
  const auto backup = b.document.save().value();
  put(a.document, "late", 1);
  converse(a, b);
  ASSERT_EQ(a.document.heads(), b.document.heads());

  // b goes back, a still believes that b has everything, in this very session.
  Side restored(Document::load(backup, {.actor = actor(9)}).value());
  put(restored.document, "own", 2);
  converse(restored, a);
  EXPECT_EQ(a.document.heads(), restored.document.heads());
  EXPECT_EQ(a.document.to_json().value(), restored.document.to_json().value());
}

TEST(Sync, WeWhoLostHistorySayItOnceAndAreServed) {
  Side a(1);
  Side b(2);
  for (int i = 0; i < 5; ++i) put(a.document, "k", i);
  const auto backup = a.document.save().value();
  put(a.document, "lost", 1);
  converse(a, b);

  Side restored(Document::load(backup, {.actor = actor(9)}).value());
  put(b.document, "more", 1);
  const auto from_b = b.generate();
  ASSERT_TRUE(from_b);
  restored.receive(*from_b);
  const auto reset = restored.generate();
  ASSERT_TRUE(reset);
  const auto message = decoded(*reset);
  ASSERT_EQ(message.have.size(), 1U);
  EXPECT_TRUE(message.have[0].last_sync.empty());
  EXPECT_TRUE(message.have[0].bloom.empty());
  EXPECT_FALSE(restored.generate()) << "a reset must not repeat itself for ever";
  EXPECT_TRUE(b.receive(*reset).peer_was_reset);
  converse(b, restored);
  EXPECT_EQ(b.document.heads(), restored.document.heads());
}

TEST(Sync, TheResetFlagMakesUsSendAgain) {
  Side a(1);
  put(a.document, "k", 1);
  Side b(2);
  b.receive(*a.generate());
  a.receive(*b.generate());
  ASSERT_TRUE(a.generate());  // carries the change, and gets lost
  SyncMessage message;
  message.have.emplace_back();
  message.heads = {ChangeHash{{7}}};
  message.flags = Bytes{2, 0x81};
  EXPECT_TRUE(a.receive(message.encode()).peer_was_reset);
  const auto again = a.generate();
  ASSERT_TRUE(again);
  EXPECT_FALSE(decoded(*again).changes.empty());
}

TEST(Sync, AReadOnlyPeerIsSentNoChanges) {
  Side a(1);
  put(a.document, "k", 1);
  SyncMessage message;
  message.have.emplace_back();
  message.flags = Bytes{2, 0x86};
  a.receive(message.encode());
  EXPECT_TRUE(decoded(*a.generate()).changes.empty());
  message.flags = Bytes{2, 0x84};
  a.receive(message.encode());
  EXPECT_FALSE(decoded(*a.generate()).changes.empty());
}

TEST(Sync, OnlyPeersThatSaidSoGetTheSecondVersion) {
  for (const bool modern : {false, true}) {
    Side a(1);
    put(a.document, "k", 1);
    put(a.document, "k", 2);
    SyncMessage hello;
    hello.have.emplace_back();
    if (modern) hello.flags = Bytes{2};
    a.receive(hello.encode());
    const auto answer = decoded(*a.generate());
    EXPECT_EQ(answer.version, modern ? 2 : 1);
    EXPECT_EQ(answer.changes.size(), modern ? 1U : 2U);
    EXPECT_EQ(answer.flags, (Bytes{0x02, 0x84}));
  }
}

TEST(Sync, ALongHistoryGoesAsOneDocument) {
  Side a(1);
  Side b(2);
  for (int i = 0; i < 300; ++i) put(a.document, "k", i);
  std::size_t chunks = 0;
  const auto all = a.document.changes_since({}).value();
  for (const auto chunk : all) chunks += chunk.size();
  converse(a, b);
  EXPECT_EQ(a.document.heads(), b.document.heads());
  EXPECT_LT(a.sent_bytes, chunks / 3);
}

TEST(Sync, ANeedNamedAMillionTimesIsServedOnce) {
  Side a(1);
  for (int i = 0; i < 3; ++i) put(a.document, "k", i);
  SyncMessage message;
  message.need.assign(100'000, a.document.changes()[0].hash);
  a.receive(message.encode());
  EXPECT_LT(a.generate()->size(), 400U);
}

TEST(Sync, AMessageThatCannotBeAppliedChangesNothing) {
  Side a(1);
  put(a.document, "k", 1);
  Side other(2);
  put(other.document, "k", 2);
  auto chunk = other.document.change_bytes(other.document.heads()[0]).value();
  SyncMessage message;
  message.heads = other.document.heads();
  message.changes = {Bytes(chunk.begin(), chunk.end())};
  message.changes[0].back() ^= 1;
  message.flags = Bytes{2};
  const auto heads = a.document.heads();
  ASSERT_TRUE(a.generate());
  const auto result = receive_sync_message(a.document, a.state, message.encode());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::checksum_mismatch);
  EXPECT_EQ(a.document.heads(), heads);
  EXPECT_TRUE(a.state.in_flight);
  EXPECT_FALSE(a.state.their_heads);
  EXPECT_FALSE(a.state.peer_is_v2);
}

TEST(Sync, ChangesThatLieInTheFilterAreAskedFor) {
  // A filter that claims everything: the other side must name what it misses, and gets it.
  Side a(1);
  for (int i = 0; i < 8; ++i) put(a.document, "k", i);
  Side b(2);
  SyncMessage lie;
  lie.have.push_back({{}, Bytes{1, 8, 1, 0xff}});
  lie.flags = Bytes{2};
  a.receive(lie.encode());
  const auto answer = a.generate();
  ASSERT_TRUE(answer);
  EXPECT_TRUE(decoded(*answer).changes.empty());
  b.receive(*answer);
  converse(b, a);
  EXPECT_EQ(a.document.heads(), b.document.heads());
}

TEST(Sync, WhatDependsOnAMissingChangeGoesWithItWhateverTheFilterSays) {
  Side a(1);
  for (int i = 0; i < 3; ++i) put(a.document, "k", i);
  const std::vector<ChangeHash> wrongly{a.document.changes()[1].hash};
  SyncMessage message;
  message.have.push_back({{}, build_bloom(wrongly)});
  message.flags = Bytes{2};
  a.receive(message.encode());
  Side b(2);
  b.receive(*a.generate());
  EXPECT_EQ(b.document.change_count(), 3U);
}

TEST(Sync, OrphansFromElsewhereDoNotBlockASession) {
  Side a(1);
  Side lost(2);
  put(lost.document, "x", 1);
  put(lost.document, "x", 2);
  const auto orphan = lost.document.change_bytes(lost.document.heads()[0]).value();
  Side b(3);
  ASSERT_EQ(b.document.apply_changes(std::span(&orphan, 1)).value().queued, 1U);
  put(a.document, "k", 1);
  converse(a, b);
  EXPECT_EQ(a.document.heads(), b.document.heads());
  EXPECT_EQ(b.document.change_count(), 1U);
}

}  // namespace
}  // namespace peat::automerge
