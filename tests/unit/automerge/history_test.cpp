// Changes that arrive: in any order, twice, forged; and documents held without an op set.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/limits.hpp"
#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

Document history(std::uint8_t n, int changes) {
  auto document = replica(n);
  for (int i = 0; i < changes; ++i) {
    put(document, "k" + std::to_string(i % 5), std::int64_t{i}, {.time = 1700000000 + i});
  }
  return document;
}

TEST(ApplyChanges, OutOfOrderAndTwiceGivesTheSameDocument) {
  const auto source = history(1, 20);
  auto chunks = all_changes(source);
  std::mt19937 random(7);
  std::ranges::shuffle(chunks, random);
  auto one_by_one = replica(2);
  std::size_t applied = 0;
  for (const auto& bytes : chunks) applied += receive(one_by_one, {bytes})->applied;
  EXPECT_EQ(applied, 20U);
  EXPECT_EQ(one_by_one.heads(), source.heads());
  EXPECT_EQ(raw(one_by_one), raw(source));
  const auto again = receive(one_by_one, chunks);
  EXPECT_EQ(again->known, 20U);
  EXPECT_EQ(again->applied, 0U);

  auto at_once = replica(3);
  auto doubled = chunks;
  doubled.insert(doubled.end(), chunks.begin(), chunks.end());
  const auto report = receive(at_once, doubled);
  EXPECT_EQ(report->applied, 20U);
  EXPECT_EQ(report->known, 20U);
  EXPECT_EQ(raw(at_once), raw(source));
}

TEST(ApplyChanges, OrphansWaitAndSurviveASave) {
  const auto source = history(1, 3);
  const auto chunks = all_changes(source);
  auto document = replica(2);
  EXPECT_EQ(receive(document, {chunks[2]})->queued, 1U);
  EXPECT_EQ(document.change_count(), 0U);
  EXPECT_EQ(document.missing_deps(), std::vector{source.changes()[1].hash});

  ASSERT_EQ(receive(document, {chunks[0]})->applied, 1U);
  auto loaded = Document::load(document.save().value());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->change_count(), 1U);
  EXPECT_EQ(receive(*loaded, {chunks[1]})->applied, 2U);
  EXPECT_EQ(loaded->heads(), source.heads());
  EXPECT_TRUE(loaded->missing_deps().empty());

  auto stored = Document::from_stored(document.to_stored().value());
  EXPECT_EQ(receive(*stored, {chunks[1]})->applied, 2U);

  const auto without = Document::load(document.save({.retain_orphans = false}).value());
  EXPECT_TRUE(without->missing_deps().empty());
}

TEST(ApplyChanges, MissingDependenciesRefuseAFileOfChanges) {
  const auto chunks = all_changes(history(1, 3));
  Bytes file = chunks[0];
  file.insert(file.end(), chunks[2].begin(), chunks[2].end());
  EXPECT_CODE(Document::load(file), Code::missing_dependency);
  auto document = replica(2);
  const auto report = document.load_incremental(file);
  EXPECT_EQ(report->applied, 1U);
  EXPECT_EQ(report->queued, 1U);
}

TEST(ApplyChanges, MissingDepsNamesUnknownHeads) {
  const auto document = history(1, 2);
  const auto other = history(2, 1);
  const std::vector<ChangeHash> heads{document.heads()[0], other.heads()[0]};
  EXPECT_EQ(document.missing_deps(heads), other.heads());
}

TEST(ApplyChanges, EquivocationIsRefusedAndChangesNothing) {
  auto first = replica(1);
  put(first, "k", std::int64_t{1});
  auto second = replica(1);  // a copied device: the same actor and sequence number
  put(second, "k", std::int64_t{2});
  put(second, "l", std::int64_t{2});
  const auto before = raw(first);
  const auto result = receive(first, all_changes(second));
  EXPECT_CODE(result, Code::equivocation);
  EXPECT_EQ(info(result.error().code).retry, RetryClass::quarantine);
  EXPECT_EQ(raw(first), before);
  EXPECT_EQ(first.change_count(), 1U);
  EXPECT_CODE(first.merge(second), Code::equivocation);
}

TEST(ApplyChanges, AQueuedEquivocatorIsDroppedWhenItsTimeComes) {
  auto first = replica(1);
  put(first, "k", std::int64_t{1});
  auto other = replica(2);
  put(other, "o", std::int64_t{1});
  auto evil = replica(1);
  ASSERT_TRUE(evil.merge(other));
  put(evil, "k", std::int64_t{2});  // actor 1, seq 1 again, after other's change
  ASSERT_EQ(receive(first, {all_changes(evil)[1]})->queued, 1U);
  const auto report = receive(first, all_changes(other));
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->applied, 1U);
  EXPECT_EQ(first.change_count(), 2U);
  EXPECT_TRUE(first.missing_deps().empty());
}

TEST(ApplyChanges, OneBadChangeRefusesTheWholeCall) {
  const auto source = history(1, 3);
  auto chunks = all_changes(source);
  chunks[2].back() ^= 1;
  auto document = replica(2);
  EXPECT_CODE(receive(document, chunks), Code::checksum_mismatch);
  EXPECT_EQ(document.change_count(), 0U);
  EXPECT_TRUE(document.missing_deps().empty());
  const auto whole = raw(source);
  EXPECT_CODE(receive(document, {whole}), Code::malformed);
}

TEST(ApplyChanges, CountersMustRiseAboveEveryDependency) {
  // Actor 02 continues actor 01's change at counter 1, which that one used already.
  auto first = replica(1);
  const auto hash = put(first, "k", std::int64_t{1});
  Bytes data = hex("01" + hash.to_string() + "10" + to_hex(Bytes(16, 2)) + "01 01 00 00 00");
  const auto table = hex("06 1503 3401 4202 5602 5701 7002 7f016b 01 7f01 7f14 01 7f00");
  data.insert(data.end(), table.begin(), table.end());
  const auto forged = chunk(ChunkType::kChange, data);
  ASSERT_TRUE(inspect_change(forged)) << inspect_change(forged).error().message;
  EXPECT_CODE(receive(first, {forged}), Code::malformed);
  EXPECT_EQ(first.change_count(), 1U);
}

TEST(ApplyChanges, AChangeWaitsForItsActorsPrecedingOne) {
  const auto source = history(1, 1);
  // Sequence number 2 without a dependency on number 1.
  Bytes data = hex("00 10" + to_hex(Bytes(16, 2)) + "02 02 00 00 00");
  const auto table = hex("06 1503 3401 4202 5602 5701 7002 7f016b 01 7f01 7f14 01 7f00");
  data.insert(data.end(), table.begin(), table.end());
  auto document = replica(3);
  EXPECT_EQ(receive(document, {chunk(ChunkType::kChange, data)})->queued, 1U);
  auto two = replica(2);
  put(two, "first", true);
  EXPECT_EQ(receive(document, all_changes(two))->applied, 2U);
}

TEST(Limits, OfTheQueueRefuseTheCallThatExceedsThem) {
  const auto limit = Limits().automerge_queued_changes;
  // Changes of many actors that all depend on one that never comes.
  std::vector<Bytes> chunks;
  const auto table = hex("06 1503 3401 4202 5602 5701 7002 7f016b 01 7f01 7f14 01 7f00");
  for (std::uint64_t i = 0; i <= limit; ++i) {
    Bytes data = hex("01" + std::string(64, 'e'));
    const auto id = hex(to_hex(as_bytes(std::to_string(i))));
    data.push_back(static_cast<std::uint8_t>(id.size()));
    data.insert(data.end(), id.begin(), id.end());
    for (const int header : {1, 1, 0, 0, 0}) data.push_back(static_cast<std::uint8_t>(header));
    data.insert(data.end(), table.begin(), table.end());
    chunks.push_back(chunk(ChunkType::kChange, data));
  }
  auto document = replica(1);
  EXPECT_CODE(receive(document, chunks), Code::limit_exceeded);
  EXPECT_TRUE(document.missing_deps().empty());
  chunks.pop_back();
  EXPECT_EQ(receive(document, chunks)->queued, limit);
}

TEST(Limits, OfQueuedBytesRefuseTheCallThatExceedsThem) {
  // Two changes of 33 MiB each whose dependency never comes.
  const Bytes value(33 << 20, 0);
  auto source = replica(1);
  put(source, "first", true);
  put(source, "a", ByteView(value));
  put(source, "b", ByteView(value));
  const auto chunks = all_changes(source);
  auto document = replica(2);
  EXPECT_EQ(receive(document, {chunks[1]})->queued, 1U);
  EXPECT_CODE(receive(document, {chunks[2]}), Code::limit_exceeded);
  EXPECT_EQ(receive(document, {chunks[0]})->applied, 2U);
}

TEST(ChangesSince, GivesWhatIsNotCovered) {
  auto document = history(1, 10);
  const auto hashes = document.hashes_since({});
  ASSERT_EQ(hashes.size(), 10U);
  const auto since = document.changes_since(std::vector{hashes[6]}).value();
  ASSERT_EQ(since.size(), 3U);
  EXPECT_EQ(inspect_change(since[0])->hash, hashes[7]);
  EXPECT_TRUE(document.changes_since(document.heads())->empty());
  // Unknown hashes count for nothing.
  EXPECT_EQ(document.hashes_since(std::vector{ChangeHash{}}).size(), 10U);
}

// --- what only materialising finds ------------------------------------------------------------

// A change by actor 02 that sets a key of an object 1@01, which never existed.
Bytes edit_of_nothing() {
  Bytes data = hex("00 10" + to_hex(Bytes(16, 2)) + "01 02 00 00 01 10" + to_hex(Bytes(16, 1)));
  const auto table =
      hex("08 0102 0202 1503 3401 4202 5602 5701 7002"
          "7f01 7f01 7f016b 01 7f01 7f14 01 7f00");
  data.insert(data.end(), table.begin(), table.end());
  return chunk(ChunkType::kChange, data);
}

TEST(InvalidDocuments, AreRelayedButNotRead) {
  const auto bad = edit_of_nothing();
  ASSERT_TRUE(inspect_change(bad)) << inspect_change(bad).error().message;
  auto lazy = replica(3);
  EXPECT_EQ(receive(lazy, {bad})->applied, 1U);
  auto open = replica(4);
  ASSERT_TRUE(open.materialise());  // held with its op set: the verdict is the same
  EXPECT_EQ(receive(open, {bad})->applied, 1U);
  for (auto* document : {&lazy, &open}) {
    EXPECT_CODE(document->materialise(), Code::document_invalid);
    EXPECT_CODE(document->get(kRoot, "k"), Code::document_invalid);
    EXPECT_CODE(document->begin(), Code::document_invalid);
    EXPECT_CODE(document->save(), Code::document_invalid);
    EXPECT_EQ(all_changes(*document), std::vector<Bytes>{bad});
    const auto kept = Document::from_stored(document->to_stored().value());
    EXPECT_EQ(all_changes(*kept), std::vector<Bytes>{bad});
  }
}

TEST(InvalidDocuments, TheVerdictDependsOnTheSetOfChangesNotOnTheirOrder) {
  // The object comes from a concurrent change; each replica meets the two in another order.
  auto maker = replica(1);
  change(maker, [](Transaction& tx) { ASSERT_TRUE(tx.put_object(kRoot, "m", ObjectType::map)); });
  const auto make = all_changes(maker)[0];
  const auto edit = edit_of_nothing();
  auto a = replica(3);
  ASSERT_TRUE(receive(a, {make}));
  ASSERT_TRUE(receive(a, {edit}));
  auto b = replica(4);
  ASSERT_TRUE(b.materialise());
  ASSERT_TRUE(receive(b, {edit}));
  EXPECT_FALSE(b.materialise());
  ASSERT_TRUE(receive(b, {make}));
  ASSERT_TRUE(a.materialise());
  ASSERT_TRUE(b.materialise()) << b.materialise().error().message;
  EXPECT_EQ(a.heads(), b.heads());
  EXPECT_EQ(a.keys(object(a, "m")).value(), b.keys(object(b, "m")).value());
}

// --- held without an op set ---------------------------------------------------------------------

Document busy() {
  auto a = replica(1);
  ObjectId list;
  ObjectId text;
  change(a, [&](Transaction& tx) {
    list = tx.put_object(kRoot, "list", ObjectType::list).value();
    text = tx.put_object(kRoot, "text", ObjectType::text).value();
    ASSERT_TRUE(tx.put(kRoot, "count", Counter{1}));
    ASSERT_TRUE(tx.splice_text(text, 0, 0, "base"));
  });
  auto b = a.fork(actor(2)).value();
  for (int i = 0; i < 10; ++i) {
    change(a, [&](Transaction& tx) {
      ASSERT_TRUE(tx.insert(object(a, "list"), 0, std::int64_t{i}));
      ASSERT_TRUE(tx.splice_text(object(a, "text"), 2, 1, "xy"));
      ASSERT_TRUE(tx.increment(kRoot, "count", i));
    });
    change(b, [&](Transaction& tx) {
      ASSERT_TRUE(tx.insert(object(b, "list"), 0, std::int64_t{-i}));
      ASSERT_TRUE(tx.splice_text(object(b, "text"), 1, 1, "q"));
      ASSERT_TRUE(tx.increment(kRoot, "count", 100));
    });
    if (i % 3 == 0) {
      EXPECT_TRUE(a.merge(b));
    }
  }
  EXPECT_TRUE(a.merge(b));
  return a;
}

TEST(Stored, ALazilyOpenedDocumentEqualsTheMaterialisedOne) {
  const auto document = busy();
  const auto stored = document.to_stored().value();
  const auto lazy = Document::from_stored(stored, {}, {.actor = actor(9)});
  ASSERT_TRUE(lazy) << lazy.error().message;
  EXPECT_EQ(lazy->heads(), document.heads());
  EXPECT_EQ(lazy->max_op(), document.max_op());
  EXPECT_EQ(all_changes(*lazy), all_changes(document));
  EXPECT_EQ(lazy->to_stored().value(), stored);
  EXPECT_EQ(lazy->text(object(*lazy, "text")).value(),
            document.text(object(document, "text")).value());
  EXPECT_EQ(std::get<Counter>(scalar(*lazy, "count")).value, 1046);
  EXPECT_EQ(raw(*lazy), raw(document));
}

TEST(Stored, ALongHistoryBecomesADocumentChunkAndNeedsNoRebuilding) {
  auto document = history(1, 300);
  const auto stored = document.to_stored().value();
  std::size_t chunk_bytes = 0;
  for (const auto& bytes : all_changes(document)) chunk_bytes += bytes.size();
  EXPECT_LT(stored.size(), chunk_bytes);
  auto lazy = Document::from_stored(stored, {}, {.actor = actor(9)}).value();
  EXPECT_EQ(lazy.changes().size(), 300U);
  EXPECT_EQ(lazy.changes()[150].hash, document.changes()[150].hash);
  EXPECT_EQ(all_changes(lazy), all_changes(document));
  // It grows on: base and tail together.
  put(lazy, "more", true);
  auto again = Document::from_stored(lazy.to_stored().value()).value();
  EXPECT_EQ(again.heads(), lazy.heads());
  EXPECT_EQ(all_changes(again), all_changes(lazy));
  EXPECT_EQ(raw(again), raw(lazy));
}

TEST(Stored, TheTailContinuesIt) {
  auto document = history(1, 3);
  const auto stored = document.to_stored().value();
  const auto fourth = put(document, "x", true);
  const auto fifth = put(document, "y", true);
  const Bytes one(document.change_bytes(fourth)->begin(), document.change_bytes(fourth)->end());
  const Bytes two(document.change_bytes(fifth)->begin(), document.change_bytes(fifth)->end());
  const std::vector<ByteView> tail{one, two};
  const auto opened = Document::from_stored(stored, tail);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->heads(), document.heads());
  EXPECT_EQ(raw(*opened), raw(document));
}

TEST(Stored, DamageIsAnErrorNeverACrash) {
  const auto stored = busy().to_stored().value();
  for (std::size_t n = 0; n < stored.size(); n += 7) {
    const auto cut = Document::from_stored(ByteView(stored).first(n));
    if (n != 0) {
      EXPECT_FALSE(cut) << n;
    }
  }
  for (std::size_t i = 0; i < stored.size(); i += 3) {
    Bytes bad = stored;
    bad[i] ^= 0x55;
    const auto opened = Document::from_stored(bad);
    if (opened && opened->materialise()) {
      EXPECT_TRUE(opened->save());
    }
  }
  Bytes newer = stored;
  newer[0] = 2;
  EXPECT_CODE(Document::from_stored(newer), Code::unsupported);
}

TEST(Stored, SendingAndReceivingBuildsNoOpSet) {
  auto source = replica(1);
  change(source, [](Transaction& tx) {
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(tx.put(kRoot, "field_" + std::to_string(i),
                         std::string_view("value-000000-00-abcdefghijklmnopqrstuvwxyz")));
    }
  });
  auto idle = Document::from_stored(source.to_stored().value()).value();
  const auto chunks = all_changes(source);
  auto receiver = replica(2);
  ASSERT_TRUE(receive(receiver, chunks));
  EXPECT_EQ(all_changes(receiver), chunks);
  EXPECT_EQ(all_changes(idle), chunks);
  for (const auto* document : {&idle, &receiver}) {
    const auto before = document->memory_bytes();
    EXPECT_LT(before, 2560U);
    ASSERT_TRUE(document->materialise());
    EXPECT_GT(document->memory_bytes(), before);
  }
}

// --- convergence --------------------------------------------------------------------------------

// Random edits on three replicas that merge now and then.
TEST(Convergence, OfRandomHistories) {
  for (std::uint32_t seed = 1; seed <= 30; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&random](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    std::vector<Document> replicas;
    replicas.push_back(replica(1));
    change(replicas[0], [](Transaction& tx) {
      ASSERT_TRUE(tx.put_object(kRoot, "list", ObjectType::list));
      ASSERT_TRUE(tx.put_object(kRoot, "text", ObjectType::text));
      ASSERT_TRUE(tx.put(kRoot, "count", Counter{0}));
    });
    replicas.push_back(replicas[0].fork(actor(2)).value());
    replicas.push_back(replicas[0].fork(actor(3)).value());
    for (int step = 0; step < 120; ++step) {
      auto& document = replicas[pick(3)];
      if (pick(4) == 0) {
        ASSERT_TRUE(document.merge(replicas[pick(3)]));
        continue;
      }
      const auto list = object(document, "list");
      const auto text = object(document, "text");
      const auto elements = document.length(list).value();
      const auto letters = document.length(text).value();
      auto tx = document.begin().value();
      switch (pick(7)) {
        case 0:
          ASSERT_TRUE(tx.put(kRoot, "k" + std::to_string(pick(3)), std::int64_t{step}));
          break;
        case 1:
          ASSERT_TRUE(tx.erase(kRoot, "k" + std::to_string(pick(3))));
          break;
        case 2:
          ASSERT_TRUE(tx.insert(list, pick(elements + 1), std::int64_t{step}));
          break;
        case 3:
          if (elements != 0) {
            ASSERT_TRUE(tx.put(list, pick(elements), std::int64_t{-step}));
          }
          break;
        case 4:
          if (elements != 0) {
            ASSERT_TRUE(tx.erase(list, pick(elements)));
          }
          break;
        case 5:
          ASSERT_TRUE(tx.splice_text(text, pick(letters + 1), static_cast<std::ptrdiff_t>(pick(3)),
                                     "a\xc3\xa9z"));
          break;
        default:
          ASSERT_TRUE(tx.increment(kRoot, "count", step));
      }
      ASSERT_TRUE(tx.commit({.time = step}));
    }
    for (int round = 0; round < 2; ++round) {
      for (auto& to : replicas) {
        for (const auto& from : replicas) ASSERT_TRUE(to.merge(from));
      }
    }
    const auto expected = replicas[0].to_json().value();
    for (auto& document : replicas) {
      EXPECT_EQ(document.heads(), replicas[0].heads()) << "seed " << seed;
      EXPECT_EQ(document.to_json().value(), expected) << "seed " << seed;
      // Everything that was made up incrementally comes out of the bytes again.
      const auto bytes = raw(document);
      const auto loaded = Document::load(bytes);
      ASSERT_TRUE(loaded) << loaded.error().message << " seed " << seed;
      EXPECT_EQ(raw(*loaded), bytes);
      EXPECT_EQ(loaded->to_json().value(), expected);
      const auto lazy = Document::from_stored(document.to_stored().value());
      EXPECT_EQ(raw(*lazy), bytes);
      auto chunks = all_changes(document);
      std::ranges::shuffle(chunks, random);
      auto other = replica(7);
      ASSERT_TRUE(receive(other, chunks));
      EXPECT_EQ(other.to_json().value(), expected) << "seed " << seed;
      for (const auto& bytes_of_change : chunks) ASSERT_TRUE(inspect_change(bytes_of_change));
    }
  }
}

}  // namespace
}  // namespace peat::automerge
