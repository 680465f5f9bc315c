// Bundle chunks: some changes of a history in one chunk.
#include "automerge/bundle.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "peat/automerge/inspect.hpp"
#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

// Two actors, every kind of operation, conflicts, deletions, messages.
Document history() {
  auto a = replica(1);
  change(a,
         [](Transaction& tx) {
           const auto list = tx.put_object(kRoot, "list", ObjectType::list).value();
           for (int i = 0; i < 5; ++i) ASSERT_TRUE(tx.insert(list, 0, std::int64_t{i}));
           ASSERT_TRUE(tx.put(kRoot, "n", Counter{1}));
           const auto text = tx.put_object(kRoot, "text", ObjectType::text).value();
           ASSERT_TRUE(tx.splice_text(text, 0, 0, "hello wörld"));
         },
         {.time = 1700000000, .message = "begin"});
  auto b = a.fork(actor(2)).value();
  for (int i = 0; i < 4; ++i) {
    for (auto* document : {&a, &b}) {
      change(*document,
             [&](Transaction& tx) {
               ASSERT_TRUE(tx.increment(kRoot, "n", i));
               ASSERT_TRUE(tx.put(kRoot, "k", std::int64_t{i}));
               ASSERT_TRUE(tx.erase(object(*document, "list"), 0));
               ASSERT_TRUE(tx.splice_text(object(*document, "text"), 2, 1, "é🚀"));
             },
             {.time = 1700000000 + i});
    }
  }
  EXPECT_TRUE(a.merge(b));
  EXPECT_TRUE(a.begin()->commit({.message = "empty", .allow_empty = true}));
  return a;
}

std::vector<ChangeHash> hashes(const Document& document) { return document.hashes_since({}); }

// What a bundle says once, each of its changes says.
TEST(Bundle, ChangesThatGrowBeyondTheLimitAreRefused) {
  auto source = replica(1);
  const std::string message(10'000, 'm');
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(source.begin()->commit({.message = message, .allow_empty = true}));
  }
  const auto bundle = source.bundle(hashes(source)).value();
  ASSERT_LT(bundle.size(), 20'000U);
  EXPECT_TRUE(Document::load(bundle));
  LoadOptions options;
  options.limits.inflated_bytes = 1 << 20;
  EXPECT_CODE(Document::load(bundle, options), Code::limit_exceeded);
}

TEST(Bundle, AllChangesComeOutAsTheyWere) {
  const auto source = history();
  const auto bundle = source.bundle(hashes(source));
  ASSERT_TRUE(bundle) << bundle.error().message;
  const auto loaded = Document::load(*bundle);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->heads(), source.heads());
  auto expected = all_changes(source);
  auto found = all_changes(*loaded);
  std::ranges::sort(expected);
  std::ranges::sort(found);
  EXPECT_TRUE(found == expected);
  EXPECT_EQ(loaded->to_json().value(), source.to_json().value());
}

TEST(Bundle, WhatOneLacksIsEnoughForIt) {
  const auto source = history();
  const auto all = hashes(source);
  auto behind = replica(3);
  const auto chunks = all_changes(source);
  ASSERT_TRUE(receive(behind, {chunks.begin(), chunks.begin() + 3}));
  const auto bundle = source.bundle(source.hashes_since(behind.heads())).value();
  const auto report = behind.load_incremental(bundle);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->applied, all.size() - 3);
  EXPECT_EQ(behind.heads(), source.heads());
}

TEST(Bundle, WithoutItsAncestorsItWaits) {
  const auto source = history();
  const auto all = hashes(source);
  const auto chunks = all_changes(source);
  auto document = replica(3);
  const auto rest = source.bundle(std::span(all).subspan(1)).value();
  EXPECT_EQ(document.load_incremental(rest)->queued, all.size() - 1);
  EXPECT_EQ(receive(document, {chunks[0]})->applied, all.size());
  EXPECT_EQ(document.heads(), source.heads());
  EXPECT_CODE(Document::load(rest), Code::missing_dependency);
}

TEST(Bundle, StandsAmongOtherChunksOfAFile) {
  auto source = history();
  auto file = source.save().value();
  const auto base = source.heads();
  put(source, "later", true);
  put(source, "later", false);
  put_bytes(file, source.bundle(source.hashes_since(base)).value());
  const auto loaded = Document::load(file);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->heads(), source.heads());
}

TEST(Bundle, OrderAndRepetitionOfTheHashesDoNotMatter) {
  const auto source = history();
  auto some = hashes(source);
  const auto bundle = source.bundle(some).value();
  std::ranges::reverse(some);
  some.push_back(some[2]);
  EXPECT_EQ(source.bundle(some).value(), bundle);
  EXPECT_TRUE(Document::load(source.bundle({}).value())->heads().empty());
}

TEST(Bundle, IsSmallerThanItsChanges) {
  auto source = replica(1);
  for (int i = 0; i < 200; ++i) {
    put(source, "field " + std::to_string(i % 7), std::int64_t{i}, {.time = 1700000000 + i});
  }
  std::size_t apart = 0;
  for (const auto& change : all_changes(source)) apart += change.size();
  EXPECT_LT(source.bundle(hashes(source)).value().size() * 10, apart);
}

TEST(Bundle, AnUnknownHashIsNamed) {
  const auto source = history();
  const std::vector<ChangeHash> other{ChangeHash{}};
  EXPECT_CODE(source.bundle(other), Code::not_found);
}

TEST(Bundle, ExtraBytesAndUnknownValuesSurvive) {
  auto columns = put_one();
  columns[3].bytes = hex("7f 1e");  // a value of type 14
  auto source = replica(9);
  ASSERT_TRUE(receive(source, {change_chunk(columns, {}, hex("01 02 ff"))}));
  const auto loaded = Document::load(source.bundle(hashes(source)).value());
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(all_changes(*loaded), all_changes(source));
}

// The bundle of `k = 1` by hand: with places, and as older writers made it, with counters.
Bytes one_operation(bool older) {
  auto data = hex("00 | 01 10 01010101010101010101010101010101");
  put_bytes(data, hex("07 | 01 02 | 03 02 | 13 02 | 23 02 | 33 02 | 50 02 | 60 02"));
  put_bytes(data, hex("7f 00 | 7f 01 | 7f 01 | 7f 01 | 7f 00 | 7f 00 | 7f 00"));
  put_bytes(data, older ? hex("08 | 15 03 | 21 02 | 23 02 | 34 01 | 42 02 | 56 02 | 57 01 | 70 02")
                        : hex("08 | 15 03 | 21 02 | 34 01 | 42 02 | 56 02 | 57 01 | 70 02 |"
                              "b301 02"));
  put_bytes(data, hex("7f 01 6b | 7f 00"));
  if (older) put_bytes(data, hex("7f 01"));
  put_bytes(data, hex("01 | 7f 01 | 7f 14 | 01 | 7f 00"));
  if (!older) put_bytes(data, hex("7f 00"));
  return chunk(ChunkType::kBundle, data);
}

TEST(Bundle, BothFormsOfOperationIdsAreRead) {
  const auto expected = change_chunk(put_one());
  for (const bool older : {false, true}) {
    const auto loaded = Document::load(one_operation(older));
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(all_changes(*loaded), std::vector<Bytes>(1, expected)) << older;
  }
}

TEST(Bundle, InspectShowsItsChangesAndOperations) {
  const auto source = history();
  const auto all = hashes(source);
  const auto bytes = source.bundle(std::span(all).subspan(3)).value();
  const auto file = inspect::read(bytes).value();
  ASSERT_EQ(file.chunks.size(), 1U);
  const auto& bundle = file.chunks[0];
  EXPECT_FALSE(bundle.fault) << bundle.fault->message;
  EXPECT_EQ(bundle.kind, inspect::ChunkKind::bundle);
  EXPECT_FALSE(bundle.external_deps.empty());
  ASSERT_EQ(bundle.changes.size(), all.size() - 3);
  EXPECT_EQ(bundle.changes.back().hash, all.back());
  for (const auto* columns : {&bundle.change_columns, &bundle.op_columns}) {
    for (const auto& column : *columns) EXPECT_NE(column.name, "unknown") << column.spec;
  }
  std::size_t ops = 0;
  EXPECT_TRUE(inspect::operations(bytes, bundle, [&](const inspect::Operation&) {
    ++ops;
    return true;
  }));
  EXPECT_EQ(ops, bundle.rows);
}

// --- hostile ones ---------------------------------------------------------------------------

TEST(Bundle, AnyCutIsRefusedAndChangesNothing) {
  const auto source = history();
  const auto bytes = source.bundle(hashes(source)).value();
  const auto data = read_chunk(bytes, 0)->data;
  for (std::size_t n = 0; n < data.size(); ++n) {
    auto document = replica(3);
    EXPECT_FALSE(document.load_incremental(chunk(ChunkType::kBundle, data.first(n)))) << n;
    EXPECT_EQ(document.change_count(), 0U);
  }
}

TEST(Bundle, AChangedByteIsRefusedOrChangesTheHashes) {
  const auto source = history();
  const auto bytes = source.bundle(hashes(source)).value();
  const auto original = read_chunk(bytes, 0)->data;
  for (std::size_t at = 0; at < original.size(); ++at) {
    Bytes data(original.begin(), original.end());
    data[at] ^= 1;
    const auto loaded = Document::load(chunk(ChunkType::kBundle, data));
    if (!loaded) continue;
    EXPECT_NE(loaded->heads(), source.heads()) << at;
  }
  auto damaged = bytes;
  damaged.back() ^= 1;
  EXPECT_CODE(Document::load(damaged), Code::checksum_mismatch);
}

TEST(Bundle, CountsBeyondTheLimitsAreRefusedBeforeMemoryIsTaken) {
  // One change that claims 2^31 operations, in one record of each column.
  auto data = hex("00 | 01 10 01010101010101010101010101010101");
  put_bytes(data, hex("04 | 01 02 | 03 02 | 13 02 | 23 06 | 7f 00 | 7f 01 | 7f 01"));
  put_bytes(data, hex("7f 80808080 08 | 00"));
  EXPECT_CODE(Document::load(chunk(ChunkType::kBundle, data)), Code::limit_exceeded);
  const auto source = history();
  LoadOptions small;
  small.limits.ops = 10;
  EXPECT_CODE(Document::load(source.bundle(hashes(source)).value(), small), Code::limit_exceeded);
  small.limits = {};
  small.limits.changes = 3;
  EXPECT_CODE(Document::load(source.bundle(hashes(source)).value(), small), Code::limit_exceeded);
}

// `a = 1`, `b = 1` as one change, with the places of its two operations.
Bytes two_operations(std::string_view places) {
  const auto place_bytes = hex(places);
  auto data = hex("00 | 01 10 01010101010101010101010101010101");
  put_bytes(data, hex("07 | 01 02 | 03 02 | 13 02 | 23 02 | 33 02 | 50 02 | 60 02"));
  put_bytes(data, hex("7f 00 | 7f 01 | 7f 01 | 7f 02 | 7f 00 | 7f 00 | 7f 00"));
  put_bytes(data, hex("08 | 15 05 | 21 02 | 34 01 | 42 02 | 56 02 | 57 02 | 70 02 | b301"));
  put_uleb(data, place_bytes.size());
  put_bytes(data, hex("7e 0161 0162 | 02 00 | 02 | 02 01 | 02 14 | 01 01 | 02 00"));
  put_bytes(data, place_bytes);
  return chunk(ChunkType::kBundle, data);
}

TEST(Bundle, EachOperationHasAPlaceOfItsOwn) {
  const auto forwards = Document::load(two_operations("7e 00 01"));
  ASSERT_TRUE(forwards) << forwards.error().message;
  EXPECT_EQ(forwards->to_json().value(), R"({"a":1,"b":1})");
  const auto backwards = Document::load(two_operations("7e 01 7f"));
  ASSERT_TRUE(backwards) << backwards.error().message;
  EXPECT_NE(backwards->heads(), forwards->heads()) << "the operations have changed their ids";
  for (const auto* places : {"02 00", "7e 00 02", "7e 00 7f", "00 02", "7d 00 01 02"}) {
    EXPECT_CODE(Document::load(two_operations(places)), Code::malformed);
  }
}

TEST(Bundle, AColumnOfALaterVersionIsRefused) {
  // What it says might belong into the changes, whose hashes would then be others.
  auto data = hex("00 00 01 | c2 01 00 | 00");
  EXPECT_CODE(Document::load(chunk(ChunkType::kBundle, data)), Code::malformed);
}

}  // namespace
}  // namespace peat::automerge
