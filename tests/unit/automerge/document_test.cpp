// What a user relies on when editing, reading, merging and saving.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

TEST(Values, EveryScalarTypeSurvivesASave) {
  auto document = replica(1);
  const double nan = std::bit_cast<double>(0x7ff8000000001234ULL);
  const Bytes blob{0, 255, 7};
  const std::vector<std::pair<std::string, Scalar>> values{
      {"null", Null{}},
      {"yes", true},
      {"no", false},
      {"int", std::int64_t{-5}},
      {"least", std::numeric_limits<std::int64_t>::min()},
      {"uint", std::numeric_limits<std::uint64_t>::max()},
      {"double", 3.25},
      {"minus zero", -0.0},
      {"counter", Counter{-3}},
      {"time", Timestamp{1700000000123}},
      {"text", std::string_view("h\xc3\xa4user")},
      {"empty", std::string_view()},
      {"bytes", ByteView(blob)},
  };
  change(document, [&](Transaction& tx) {
    for (const auto& [key, value] : values) ASSERT_TRUE(tx.put(kRoot, key, value)) << key;
    ASSERT_TRUE(tx.put(kRoot, "nan", nan));
    ASSERT_TRUE(tx.put(kRoot, "unknown", UnknownValue{13, blob}));
  });
  auto loaded = Document::load(document.save().value());
  ASSERT_TRUE(loaded) << loaded.error().message;
  for (const auto& [key, value] : values) {
    const auto got = scalar(*loaded, key);
    ASSERT_EQ(got.index(), value.index()) << key;
    if (const auto* bytes = std::get_if<ByteView>(&value)) {
      EXPECT_TRUE(std::ranges::equal(std::get<ByteView>(got), *bytes));
    } else if (const auto* number = std::get_if<double>(&value)) {
      EXPECT_EQ(std::bit_cast<std::uint64_t>(std::get<double>(got)),
                std::bit_cast<std::uint64_t>(*number));
    } else if (const auto* count = std::get_if<Counter>(&value)) {
      EXPECT_EQ(std::get<Counter>(got), *count);
    } else if (const auto* text = std::get_if<std::string_view>(&value)) {
      EXPECT_EQ(std::get<std::string_view>(got), *text);
    } else if (const auto* time = std::get_if<Timestamp>(&value)) {
      EXPECT_EQ(std::get<Timestamp>(got), *time);
    } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      EXPECT_EQ(std::get<std::int64_t>(got), *integer);
    } else if (const auto* natural = std::get_if<std::uint64_t>(&value)) {
      EXPECT_EQ(std::get<std::uint64_t>(got), *natural);
    }
  }
  EXPECT_EQ(std::bit_cast<std::uint64_t>(std::get<double>(scalar(*loaded, "nan"))),
            0x7ff8000000001234ULL);
  const auto unknown = std::get<UnknownValue>(scalar(*loaded, "unknown"));
  EXPECT_EQ(unknown.type, 13);
  EXPECT_TRUE(std::ranges::equal(unknown.bytes, blob));
  EXPECT_EQ(raw(*loaded), raw(document));
}

TEST(Conflicts, TheGreatestOperationWinsOnEveryReplica) {
  auto a = replica(1);
  auto b = replica(2);
  put(a, "k", std::int64_t{1});
  put(b, "k", std::int64_t{2});  // same counter, greater actor
  ASSERT_TRUE(a.merge(b));
  ASSERT_TRUE(b.merge(a));
  EXPECT_EQ(integer(a, "k"), 2);
  EXPECT_EQ(integer(b, "k"), 2);
  EXPECT_EQ(a.get_all(kRoot, "k")->size(), 2U);
  EXPECT_EQ(a.heads().size(), 2U);
  // A higher counter beats a greater actor.
  put(a, "other", std::int64_t{0});
  auto c = a.fork(actor(3)).value();
  put(a, "other", std::int64_t{1});
  put(a, "x", std::int64_t{1});
  put(a, "other", std::int64_t{5});
  put(c, "other", std::int64_t{9});
  ASSERT_TRUE(a.merge(c));
  EXPECT_EQ(integer(a, "other"), 5);
}

TEST(Conflicts, OverwritingSettlesThem) {
  auto a = replica(1);
  auto b = replica(2);
  put(a, "k", std::int64_t{1});
  put(b, "k", std::int64_t{2});
  ASSERT_TRUE(a.merge(b));
  put(a, "k", std::int64_t{3});
  EXPECT_EQ(a.get_all(kRoot, "k")->size(), 1U);
  ASSERT_TRUE(b.merge(a));
  EXPECT_EQ(integer(b, "k"), 3);
}

TEST(Conflicts, PuttingTheWinnersValueDeletesOnlyTheLosers) {
  auto a = replica(1);
  auto b = replica(2);
  put(a, "k", std::int64_t{1});
  put(b, "k", std::int64_t{2});
  ASSERT_TRUE(a.merge(b));
  const auto winner = (*a.get(kRoot, "k"))->op;
  put(a, "k", std::int64_t{2});
  EXPECT_EQ(a.get_all(kRoot, "k")->size(), 1U);
  EXPECT_EQ((*a.get(kRoot, "k"))->op, winner);
}

TEST(Puts, OfTheSameValueMakeNoOperation) {
  auto document = replica(1);
  put(document, "k", std::int64_t{1});
  auto tx = document.begin().value();
  ASSERT_TRUE(tx.put(kRoot, "k", std::int64_t{1}));
  ASSERT_TRUE(tx.erase(kRoot, "absent"));
  EXPECT_EQ(tx.pending_ops(), 0U);
  ASSERT_TRUE(tx.put(kRoot, "k", std::uint64_t{1}));  // another type is another value
  EXPECT_EQ(tx.pending_ops(), 1U);
  tx.rollback();
  auto idle = document.begin().value();
  EXPECT_EQ(idle.commit().value(), std::nullopt);
  EXPECT_EQ(document.change_count(), 1U);
}

TEST(Counters, ConcurrentIncrementsAddUp) {
  auto a = replica(1);
  put(a, "c", Counter{10});
  auto b = a.fork(actor(2)).value();
  change(a, [](Transaction& tx) {
    ASSERT_TRUE(tx.increment(kRoot, "c", 5));
    ASSERT_TRUE(tx.increment(kRoot, "c", -1));
  });
  change(b, [](Transaction& tx) { ASSERT_TRUE(tx.increment(kRoot, "c", 100)); });
  ASSERT_TRUE(a.merge(b));
  ASSERT_TRUE(b.merge(a));
  EXPECT_EQ(std::get<Counter>(scalar(a, "c")).value, 114);
  EXPECT_EQ(std::get<Counter>(scalar(b, "c")).value, 114);
  auto loaded = Document::load(raw(a)).value();
  EXPECT_EQ(std::get<Counter>(scalar(loaded, "c")).value, 114);
}

TEST(Counters, OverwritingOneForgetsTheIncrements) {
  auto document = replica(1);
  put(document, "c", Counter{1});
  change(document, [](Transaction& tx) { ASSERT_TRUE(tx.increment(kRoot, "c", 1)); });
  put(document, "c", Counter{50});
  EXPECT_EQ(std::get<Counter>(scalar(document, "c")).value, 50);
  EXPECT_EQ(document.get_all(kRoot, "c")->size(), 1U);
}

TEST(Counters, CanBePutBackToTheNumberTheyBeganWith) {
  auto document = replica(1);
  put(document, "c", Counter{71});
  change(document, [](Transaction& tx) { ASSERT_TRUE(tx.increment(kRoot, "c", -9)); });
  put(document, "c", Counter{71});
  EXPECT_EQ(std::get<Counter>(scalar(document, "c")).value, 71);
  auto tx = document.begin().value();
  ASSERT_TRUE(tx.put(kRoot, "c", Counter{71}));  // what it shows already
  EXPECT_EQ(tx.pending_ops(), 0U);
}

TEST(Counters, OnlyCountersCanBeIncremented) {
  auto document = replica(1);
  put(document, "n", std::int64_t{1});
  auto tx = document.begin().value();
  EXPECT_CODE(tx.increment(kRoot, "n", 1), Code::missing_counter);
  EXPECT_CODE(tx.increment(kRoot, "absent", 1), Code::missing_counter);
  EXPECT_EQ(tx.pending_ops(), 0U);
}

TEST(Lists, InsertPutEraseAndSplice) {
  auto document = replica(1);
  ObjectId list;
  change(document, [&](Transaction& tx) {
    list = tx.put_object(kRoot, "l", ObjectType::list).value();
    for (std::int64_t i = 0; i < 5; ++i)
      ASSERT_TRUE(tx.insert(list, static_cast<std::size_t>(i), i));
    const std::vector<Scalar> more{std::int64_t{10}, std::int64_t{11}};
    ASSERT_TRUE(tx.splice(list, 2, 2, more));        // 0 1 10 11 4
    ASSERT_TRUE(tx.put(list, 0, std::int64_t{-1}));  // -1 1 10 11 4
    ASSERT_TRUE(tx.erase(list, 4));                  // -1 1 10 11
    ASSERT_TRUE(tx.splice(list, 2, -1, {}));         // -1 10 11
  });
  ASSERT_EQ(document.length(list).value(), 3U);
  const std::int64_t expected[] = {-1, 10, 11};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto value = document.get(list, i).value();
    EXPECT_EQ(std::get<std::int64_t>(std::get<Scalar>(value->data)), expected[i]);
  }
  EXPECT_EQ(document.get(list, 3).value(), std::nullopt);
  auto tx = document.begin().value();
  EXPECT_CODE(tx.put(list, 3, true), Code::out_of_range);
  EXPECT_CODE(tx.insert(list, 4, true), Code::out_of_range);
  EXPECT_CODE(tx.splice(list, 1, -2, {}), Code::out_of_range);
  EXPECT_CODE(tx.put(list, "key", true), Code::wrong_type);
  EXPECT_CODE(tx.put(kRoot, 0, true), Code::wrong_type);
  EXPECT_CODE(tx.put(ObjectId{OpId(99, 0)}, "k", true), Code::not_found);
}

TEST(Lists, ConcurrentRunsAtOnePlaceDoNotMix) {
  auto a = replica(1);
  ObjectId text;
  change(a, [&](Transaction& tx) {
    text = tx.put_object(kRoot, "t", ObjectType::text).value();
    ASSERT_TRUE(tx.splice_text(text, 0, 0, "[]"));
  });
  auto b = a.fork(actor(2)).value();
  change(a, [&](Transaction& tx) { ASSERT_TRUE(tx.splice_text(text, 1, 0, "hello")); });
  change(b, [&](Transaction& tx) { ASSERT_TRUE(tx.splice_text(text, 1, 0, "WORLD")); });
  ASSERT_TRUE(a.merge(b));
  ASSERT_TRUE(b.merge(a));
  EXPECT_EQ(a.text(text).value(), "[WORLDhello]");
  EXPECT_EQ(b.text(object(b, "t")).value(), "[WORLDhello]");
}

TEST(Text, CountsCodePoints) {
  auto document = replica(1);
  ObjectId text;
  change(document, [&](Transaction& tx) {
    text = tx.put_object(kRoot, "t", ObjectType::text).value();
    ASSERT_TRUE(tx.splice_text(text, 0, 0, "na\xc3\xafve \xf0\x9f\x9a\x80!"));
    ASSERT_TRUE(tx.splice_text(text, 6, 1, "rocket"));
    ASSERT_TRUE(tx.splice_text(text, 3, -1, "i"));
    EXPECT_CODE(tx.splice_text(text, 0, 0, "\xff"), Code::invalid_argument);
  });
  EXPECT_EQ(document.text(text).value(), "naive rocket!");
  EXPECT_EQ(document.length(text).value(), 13U);
}

TEST(Text, AHundredKilobytesOfEditsTakeNoTimeToSpeakOf) {
  auto document = replica(1);
  ObjectId text;
  std::string expected;
  std::uint32_t random = 12345;
  const auto next = [&random](std::size_t bound) {
    random = random * 1664525 + 1013904223;
    return static_cast<std::size_t>(random >> 8) % bound;
  };
  change(document, [&](Transaction& tx) {
    text = tx.put_object(kRoot, "t", ObjectType::text).value();
    for (int i = 0; i < 100'000; ++i) {
      const auto at = next(expected.size() + 1);
      const char letter = static_cast<char>('a' + i % 26);
      if (i % 3 == 2 && at < expected.size()) {
        ASSERT_TRUE(tx.splice_text(text, at, 1, ""));
        expected.erase(at, 1);
      } else {
        ASSERT_TRUE(tx.splice_text(text, at, 0, {&letter, 1}));
        expected.insert(at, 1, letter);
      }
    }
  });
  EXPECT_EQ(document.text(text).value(), expected);
  auto loaded = Document::load(document.save().value());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->text(object(*loaded, "t")).value(), expected);
}

TEST(Maps, OfManyKeysReadBackSorted) {
  auto document = replica(1);
  change(document, [](Transaction& tx) {
    for (int i = 0; i < 5000; ++i) {
      ASSERT_TRUE(tx.put(kRoot, "k" + std::to_string((i * 7919) % 5000), std::int64_t{i}));
    }
    for (int i = 0; i < 5000; i += 2) ASSERT_TRUE(tx.erase(kRoot, "k" + std::to_string(i)));
  });
  const auto keys = document.keys(kRoot).value();
  EXPECT_EQ(keys.size(), 2500U);
  EXPECT_TRUE(std::ranges::is_sorted(keys));
  EXPECT_EQ(document.length(kRoot).value(), 2500U);
  EXPECT_EQ(Document::load(raw(document))->keys(kRoot)->size(), 2500U);
}

TEST(Objects, ContentsStayReadableByIdAfterTheyAreOverwritten) {
  auto document = replica(1);
  ObjectId map;
  change(document, [&](Transaction& tx) {
    map = tx.put_object(kRoot, "m", ObjectType::map).value();
    ASSERT_TRUE(tx.put(map, "x", std::int64_t{1}));
  });
  put(document, "m", true);
  EXPECT_EQ(document.keys(map)->size(), 1U);
  EXPECT_EQ(document.object_type(map).value(), ObjectType::map);
  EXPECT_EQ(document.object_text(map), "1@01010101010101010101010101010101");
  EXPECT_EQ(document.object_text(kRoot), "_root");
}

TEST(Transactions, RollBackUnlessCommitted) {
  auto document = replica(1);
  put(document, "k", std::int64_t{1});
  const auto before = raw(document);
  {
    auto tx = document.begin().value();
    ASSERT_TRUE(tx.put(kRoot, "k", std::int64_t{2}));
    const auto list = tx.put_object(kRoot, "l", ObjectType::list).value();
    ASSERT_TRUE(tx.insert(list, 0, true));
    EXPECT_EQ(integer(tx.document(), "k"), 2);
    EXPECT_CODE(document.begin(), Code::invalid_argument);
    EXPECT_CODE(document.set_actor(actor(9)), Code::invalid_argument);
  }
  EXPECT_EQ(integer(document, "k"), 1);
  EXPECT_EQ(raw(document), before);
  put(document, "k", std::int64_t{3});
  EXPECT_EQ(document.max_op(), 2U);
}

TEST(Transactions, ARolledBackFirstEditLeavesNoActorBehind) {
  auto document = replica(1);
  {
    auto tx = document.begin().value();
    ASSERT_TRUE(tx.put(kRoot, "k", true));
  }
  EXPECT_EQ(raw(document), hex("856f4a83 b81a9544 00 04 00000000"));
}

TEST(Transactions, OfAnEndedTransactionNothingHappens) {
  auto document = replica(1);
  auto tx = document.begin().value();
  ASSERT_TRUE(tx.put(kRoot, "k", true));
  ASSERT_TRUE(tx.commit().value());
  EXPECT_CODE(tx.put(kRoot, "k", false), Code::invalid_argument);
  EXPECT_CODE(tx.commit(), Code::invalid_argument);
  tx.rollback();
  EXPECT_EQ(document.change_count(), 1U);
}

// The hash covers the time: one that was adjusted would give another hash than other engines'.
TEST(Transactions, TimeIsRecordedAsItIsGiven) {
  auto document = replica(1);
  put(document, "a", true, {.time = 1000});
  const auto second = put(document, "b", true, {.time = 500});
  EXPECT_EQ(document.change(second)->time, 500);
}

TEST(Transactions, AValueReadFromTheDocumentCanBePutBack) {
  auto document = replica(1);
  put(document, "a", std::string_view(std::string(1000, 'v')));
  change(document, [&](Transaction& tx) {
    for (int i = 0; i < 100; ++i) {
      const auto value = std::get<Scalar>(tx.document().get(kRoot, "a").value()->data);
      ASSERT_TRUE(tx.put(kRoot, "copy" + std::to_string(i), value));
    }
  });
  EXPECT_EQ(std::get<std::string_view>(scalar(document, "copy99")), std::string(1000, 'v'));
}

// Characters of different widths go in piece by piece, while the place they come from grows.
TEST(Transactions, AStringReadFromTheDocumentCanBeTypedIntoAText) {
  auto document = replica(1);
  std::string mixed;
  for (int i = 0; i < 300; ++i) mixed += "aä→";
  put(document, "a", std::string_view(mixed));
  ObjectId text;
  change(document, [&](Transaction& tx) {
    text = tx.put_object(kRoot, "text", ObjectType::text).value();
    const auto value = std::get<Scalar>(tx.document().get(kRoot, "a").value()->data);
    ASSERT_TRUE(tx.splice_text(text, 0, 0, std::get<std::string_view>(value)));
  });
  EXPECT_EQ(document.text(text).value(), mixed);
}

TEST(Saving, IsTheSameAfterLoading) {
  auto document = replica(1);
  for (int i = 0; i < 200; ++i) {
    put(document, "k" + std::to_string(i % 7), std::int64_t{i}, {.time = 1700000000 + i});
  }
  const auto bytes = raw(document);
  auto loaded = Document::load(bytes, {.actor = actor(2)});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(raw(*loaded), bytes);
  EXPECT_EQ(loaded->change_count(), 200U);
  EXPECT_LT(document.save()->size(), bytes.size());
  EXPECT_EQ(raw(Document::load(document.save().value()).value()), bytes);
  for (const auto& info : document.changes()) {
    EXPECT_TRUE(std::ranges::equal(loaded->change_bytes(info.hash).value(),
                                   document.change_bytes(info.hash).value()));
  }
}

TEST(Saving, IncrementallyGivesWhatIsNew) {
  auto document = replica(1);
  put(document, "a", true);
  auto file = document.save().value();
  EXPECT_TRUE(document.save_incremental()->empty());
  put(document, "b", true);
  put(document, "c", true);
  const auto more = document.save_incremental().value();
  EXPECT_TRUE(document.save_incremental()->empty());
  file.insert(file.end(), more.begin(), more.end());
  const auto loaded = Document::load(file);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->heads(), document.heads());
  EXPECT_EQ(loaded->length(kRoot).value(), 3U);
}

TEST(Saving, OfNothingIsAnEmptyDocument) {
  EXPECT_EQ(Document::load({})->change_count(), 0U);
  EXPECT_EQ(Document::load(raw(replica(1)))->change_count(), 0U);
}

TEST(Loading, LaterDocumentChunksOnlyBringWhatIsNew) {
  auto a = replica(1);
  put(a, "a", true);
  auto b = a.fork(actor(2)).value();
  put(b, "b", true);
  auto both = raw(a);
  const auto second = raw(b);
  both.insert(both.end(), second.begin(), second.end());
  const auto loaded = Document::load(both);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->heads(), b.heads());
}

TEST(Loading, RefusesADocumentWhoseHeadsAreNotItsOwn) {
  auto document = replica(1);
  put(document, "k", std::int64_t{1});
  const auto good = raw(document);
  const auto parsed = read_chunk(good, 0).value();
  Bytes data(parsed.data.begin(), parsed.data.end());
  data[20] ^= 1;  // inside the head
  EXPECT_CODE(Document::load(chunk(ChunkType::kDocument, data)), Code::hash_mismatch);

  // Lazily it loads and reads, and the lie comes out when hashes are needed, for good.
  auto lazy = Document::load(chunk(ChunkType::kDocument, data), {.verify = Verify::lazy});
  ASSERT_TRUE(lazy) << lazy.error().message;
  EXPECT_EQ(integer(*lazy, "k"), 1);
  EXPECT_CODE(lazy->changes_since({}), Code::hash_mismatch);
  EXPECT_CODE(lazy->begin(), Code::hash_mismatch);
}

TEST(Loading, LazilyGivesTheSameDocument) {
  auto document = replica(1);
  for (int i = 0; i < 100; ++i) put(document, "k" + std::to_string(i), std::int64_t{i});
  auto lazy = Document::load(raw(document), {.verify = Verify::lazy, .actor = actor(2)});
  ASSERT_TRUE(lazy);
  EXPECT_EQ(lazy->heads(), document.heads());
  EXPECT_TRUE(lazy->has_change(document.changes()[50].hash));
  put(*lazy, "more", true);
  ASSERT_TRUE(document.merge(*lazy));
  EXPECT_EQ(raw(*lazy), raw(document));
}

TEST(Loading, RefusesRowsOutOfTheirOrder) {
  // Hashes do not cover the order of rows: two keys swapped give the same heads.
  auto document = replica(1);
  change(document, [](Transaction& tx) {
    ASSERT_TRUE(tx.put(kRoot, "a", std::int64_t{1}));
    ASSERT_TRUE(tx.put(kRoot, "b", std::int64_t{1}));
  });
  const auto good = raw(document);
  const auto parsed = read_chunk(good, 0).value();
  auto data = to_hex(parsed.data);
  const auto keys = data.find("7e01610162");
  const auto ids = data.find("0201", keys);  // id counters: two rows, delta 1
  ASSERT_NE(keys, std::string::npos);
  ASSERT_NE(ids, std::string::npos);
  data.replace(keys, 10, "7e01620161");
  const auto swapped = Document::load(chunk(ChunkType::kDocument, hex(data)));
  EXPECT_CODE(swapped, Code::document_invalid);
}

TEST(Limits, OfADocumentAreObeyed) {
  auto document = replica(1);
  for (int i = 0; i < 50; ++i)
    put(document, "k", std::string_view(std::string(static_cast<std::size_t>(300 + i), 'x')));
  const auto file = document.save().value();
  ASSERT_LT(file.size(), document.save({.deflate = false})->size());
  const auto with = [&file](auto set) {
    LoadOptions options;
    set(options.limits);
    return Document::load(file, options);
  };
  EXPECT_TRUE(with([](LoadLimits&) {}));
  EXPECT_CODE(with([](LoadLimits& limits) { limits.ops = 49; }), Code::limit_exceeded);
  EXPECT_CODE(with([](LoadLimits& limits) { limits.changes = 49; }), Code::limit_exceeded);
  EXPECT_CODE(with([](LoadLimits& limits) { limits.inflated_bytes = 10'000; }),
              Code::limit_exceeded);
  EXPECT_CODE(with([&](LoadLimits& limits) { limits.input_bytes = file.size() - 1; }),
              Code::limit_exceeded);
  EXPECT_CODE(with([](LoadLimits& limits) { limits.actor_bytes = 15; }), Code::limit_exceeded);
}

TEST(Limits, OfOneCallCoverAllItsChanges) {
  auto document = replica(1);
  for (int i = 0; i < 10; ++i) put(document, "k", std::int64_t{i});
  LoadLimits limits;
  limits.ops = 9;
  auto other = replica(2);
  const auto changes = all_changes(document);
  const std::vector<ByteView> views(changes.begin(), changes.end());
  EXPECT_CODE(other.apply_changes(views, limits), Code::limit_exceeded);
  EXPECT_EQ(other.change_count(), 0U);
}

TEST(Loading, RefusesADamagedByteAnywhere) {
  auto document = replica(1);
  for (int i = 0; i < 5; ++i) put(document, "key", std::int64_t{i}, {.message = "m"});
  const auto file = raw(document);
  for (std::size_t i = 0; i < file.size(); ++i) {
    Bytes bad = file;
    bad[i] ^= 0x11;
    EXPECT_FALSE(Document::load(bad)) << "byte " << i;
    if (i < 20) continue;
    // With the checksum put right the hashes still tell, or it means the same.
    const auto parsed = read_chunk(bad, 0);
    if (!parsed || parsed->bytes.size() != bad.size()) continue;
    const auto loaded = Document::load(chunk(ChunkType::kDocument, parsed->data));
    if (loaded) {
      EXPECT_EQ(loaded->heads(), document.heads()) << "byte " << i;
    }
  }
}

TEST(Forks, ShareTheBytesOfWhatBothHaveAndWriteApart) {
  auto a = replica(1);
  const Bytes big(200'000, 7);
  put(a, "big", ByteView(big));
  put(a, "n", std::int64_t{1});
  std::optional<Document> b = a.fork(actor(2)).value();
  EXPECT_LT(b->memory_bytes(), 4096U);

  const auto of_a = put(a, "mine", std::int64_t{2});
  const auto of_b = put(*b, "mine", std::int64_t{3});
  auto c = b->fork(actor(3)).value();
  b.reset();
  const auto of_c = put(c, "mine", std::int64_t{4});
  ASSERT_EQ(a.change_count(), 3U);
  ASSERT_EQ(c.change_count(), 4U);
  for (const auto* document : {&a, &c}) {
    for (const auto& chunk : all_changes(*document)) EXPECT_TRUE(inspect_change(chunk));
  }
  EXPECT_EQ(inspect_change(a.change_bytes(of_a).value())->hash, of_a);
  EXPECT_EQ(inspect_change(c.change_bytes(of_b).value())->hash, of_b);
  EXPECT_EQ(inspect_change(c.change_bytes(of_c).value())->hash, of_c);
  EXPECT_EQ(integer(a, "mine"), 2);
  EXPECT_EQ(integer(c, "mine"), 4);
}

TEST(Forks, GoTheirOwnWayAndMergeBack) {
  auto a = replica(1);
  put(a, "shared", std::int64_t{1});
  auto b = a.fork(actor(2)).value();
  EXPECT_EQ(b.actor(), actor(2));
  put(a, "a", std::int64_t{1});
  put(b, "b", std::int64_t{2});
  EXPECT_EQ(b.get(kRoot, "a").value(), std::nullopt);
  EXPECT_EQ(a.merge(b)->applied, 1U);
  EXPECT_EQ(a.merge(b)->applied, 0U);
  EXPECT_EQ(b.merge(a)->applied, 1U);
  EXPECT_EQ(a.heads(), b.heads());
  EXPECT_EQ(a.keys(kRoot).value(), (std::vector<std::string_view>{"a", "b", "shared"}));
}

TEST(Moving, ADocumentKeepsWorking) {
  auto a = replica(1);
  put(a, "k", std::int64_t{1});
  auto b = std::move(a);
  put(b, "k", std::int64_t{2});
  std::vector<Document> many;
  many.push_back(std::move(b));
  many.push_back(replica(3));
  many.push_back(replica(4));
  put(many[0], "k", std::int64_t{3});
  EXPECT_EQ(integer(many[0], "k"), 3);
}

}  // namespace
}  // namespace peat::automerge
