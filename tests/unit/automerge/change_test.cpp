// Change chunks: the published vectors, and what is refused before a document sees it.
#include <gtest/gtest.h>

#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

TEST(Vectors, AnEmptyDocumentIsFourZeroes) {
  EXPECT_EQ(raw(replica(1)), hex("856f4a83 b81a9544 00 04 00000000"));
}

TEST(Vectors, AnEmptyCommit) {
  auto document = replica(1);
  const auto hash = change(document, [](Transaction&) {}, {.allow_empty = true});
  EXPECT_EQ(to_hex(document.change_bytes(hash).value()),
            to_hex(hex("856f4a83 91019731 01 18 | 00 10 01010101010101010101010101010101"
                       "01 01 00 00 00 00")));
  EXPECT_EQ(document.change(hash)->op_count, 0U);
  EXPECT_EQ(document.max_op(), 0U);
}

TEST(Vectors, OneIntegerAsChangeAndAsDocument) {
  auto document = replica(1);
  const auto hash = put(document, "k", std::int64_t{1});
  const auto chunk_bytes =
      hex("856f4a83 1ff7d319 01 2f | 00 10 01010101010101010101010101010101 01 01 00 00 00 |"
          "06 1503 3401 4202 5602 5701 7002 | 7f016b 01 7f01 7f14 01 7f00");
  EXPECT_EQ(to_hex(document.change_bytes(hash).value()), to_hex(chunk_bytes));
  const auto expected =
      "856f4a8399114c70006e"
      "0110"
      "01010101010101010101010101010101"
      "01" +
      hash.to_string() +
      "06010203021302230240025602"
      "0815032102230234014202560257018001"
      "02"
      "7f007f017f017f007f007f07"
      "7f016b7f007f01017f017f14017f00"
      "00";
  EXPECT_EQ(to_hex(raw(document)), expected);
}

TEST(Vectors, InsertsComeBeforeTheDeleteOfOneSplice) {
  auto document = replica(1);
  ObjectId text;
  change(document, [&](Transaction& tx) {
    text = tx.put_object(kRoot, "t", ObjectType::text).value();
    ASSERT_TRUE(tx.splice_text(text, 0, 0, "ab"));
  });
  const auto hash =
      change(document, [&](Transaction& tx) { ASSERT_TRUE(tx.splice_text(text, 1, 1, "XY")); });
  EXPECT_EQ(document.text(text).value(), "aXY");
  // Set insert, set insert, delete; keyed to 2@, 4@ and 3@.
  const auto bytes = to_hex(document.change_bytes(hash).value());
  EXPECT_NE(bytes.find(to_hex(hex("02 01 7f 03"))), std::string::npos) << bytes;  // actions
  EXPECT_NE(bytes.find(to_hex(hex("02 02 7f 7f"))), std::string::npos) << bytes;  // key deltas
}

TEST(InspectChange, TellsWhoAndWhatWithoutADocument) {
  auto document = replica(1);
  const auto first = put(document, "a", std::int64_t{1}, {.time = 1700000000, .message = "one"});
  const auto second = put(document, "b", std::string_view("two"), {.time = 1700000001});
  const auto info = inspect_change(document.change_bytes(second).value());
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->hash, second);
  EXPECT_EQ(info->actor, actor(1));
  EXPECT_EQ(info->seq, 2U);
  EXPECT_EQ(info->start_op, 2U);
  EXPECT_EQ(info->op_count, 1U);
  EXPECT_EQ(info->time, 1700000001);
  EXPECT_EQ(info->deps, std::vector{first});
  EXPECT_EQ(inspect_change(document.change_bytes(first).value())->message, "one");
}

TEST(InspectChange, ReadsACompressedChangeUnderItsOwnName) {
  auto document = replica(1);
  const auto hash = put(document, "k", std::string_view(std::string(400, 'x')));
  const auto plain = document.change_bytes(hash).value();
  const auto parsed = read_chunk(plain, 0).value();
  Bytes data;
  deflate(parsed.data, data);
  Bytes packed(plain.begin(), plain.begin() + 8);  // the checksum of the uncompressed change
  packed.push_back(2);
  put_uleb(packed, data.size());
  put_bytes(packed, data);
  ASSERT_LT(packed.size(), plain.size() / 2);
  ASSERT_TRUE(inspect_change(packed)) << inspect_change(packed).error().message;
  EXPECT_EQ(inspect_change(packed)->hash, hash);
  auto other = replica(2);
  EXPECT_EQ(receive(other, {packed})->applied, 1U);
  EXPECT_EQ(raw(other), raw(document));
}

TEST(InspectChange, RefusesADamagedByteAnywhere) {
  auto document = replica(1);
  const auto hash = put(document, "key", std::string_view("a value of some length"));
  const auto view = document.change_bytes(hash).value();
  const Bytes good(view.begin(), view.end());
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 0x20;
    EXPECT_FALSE(inspect_change(bad)) << "byte " << i;
  }
  for (std::size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(inspect_change(ByteView(good).first(n))) << n << " bytes";
  }
  EXPECT_CODE(inspect_change(hex(to_hex(good) + "00")), Code::malformed);
}

TEST(InspectChange, HandMadeVectorIsWhatTheOthersBend) {
  const auto info = inspect_change(change_chunk(put_one()));
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->hash.to_string().substr(0, 8), "1ff7d319");
}

TEST(InspectChange, RefusesWhatNoDocumentCouldGiveBack) {
  auto unknown = put_one();
  unknown.push_back({0xc2, hex("7f 01")});
  EXPECT_CODE(inspect_change(change_chunk(unknown)), Code::not_canonical);

  auto run_of_one = put_one();
  run_of_one[2].bytes = hex("01 01");
  EXPECT_CODE(inspect_change(change_chunk(run_of_one)), Code::not_canonical);

  auto needless_expand = put_one();
  needless_expand.push_back({0x94, hex("01")});  // all false
  EXPECT_CODE(inspect_change(change_chunk(needless_expand)), Code::not_canonical);

  auto no_insert = put_one();
  no_insert.erase(no_insert.begin() + 1);  // false is written all the same
  EXPECT_CODE(inspect_change(change_chunk(no_insert)), Code::not_canonical);

  EXPECT_CODE(inspect_change(change_chunk(put_one(), {Bytes(16, 2)})), Code::not_canonical);

  // A deletion of nothing leaves no trace in a saved document.
  const std::vector<Column> deletion{{0x15, hex("7f 01 6b")},
                                     {0x34, hex("01")},
                                     {0x42, hex("7f 03")},
                                     {0x56, hex("7f 00")},
                                     {0x70, hex("7f 00")}};
  EXPECT_CODE(inspect_change(change_chunk(deletion)), Code::not_canonical);
}

TEST(InspectChange, KeepsExtraBytesAsPartOfTheHash) {
  const auto plain = inspect_change(change_chunk(put_one()));
  const auto bytes = change_chunk(put_one(), {}, hex("01 03 616263"));
  const auto info = inspect_change(bytes);
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_NE(info->hash, plain->hash);
  auto document = replica(2);
  ASSERT_EQ(receive(document, {bytes})->applied, 1U);
  const auto again = Document::load(raw(document));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->heads(), Heads{info->hash});
  EXPECT_EQ(to_hex(again->change_bytes(info->hash).value()), to_hex(bytes));
}

TEST(InspectChange, PredecessorsAreAscendingByActorBytes) {
  // Two puts on "k" by actors 02 and 03 at counter 1, replaced by 01 at counter 2.
  const auto replace = [](std::string_view pred_actors) {
    auto columns = put_one();
    columns[5].bytes = hex("7f 02");
    columns.push_back({0x71, hex(pred_actors)});
    columns.push_back({0x73, hex("7e 01 00")});
    Bytes data = hex("00 | 10 01010101010101010101010101010101 | 01 02 00 00 | 02");
    for (const int n : {2, 3}) {
      data.push_back(16);
      put_bytes(data, Bytes(16, static_cast<std::uint8_t>(n)));
    }
    put_uleb(data, columns.size());
    for (const auto& column : columns) {
      put_uleb(data, column.spec);
      put_uleb(data, column.bytes.size());
    }
    for (const auto& column : columns) put_bytes(data, column.bytes);
    return chunk(ChunkType::kChange, data);
  };
  EXPECT_TRUE(inspect_change(replace("7e 01 02")));
  EXPECT_CODE(inspect_change(replace("7e 02 01")), Code::not_canonical);
}

TEST(InspectChange, RefusesImpossibleOperations) {
  const auto bend = [](std::size_t column, std::string_view bytes) {
    auto columns = put_one();
    columns[column].bytes = hex(bytes);
    return inspect_change(change_chunk(columns));
  };
  EXPECT_CODE(bend(2, "7f 08"), Code::malformed);     // an action beyond 7
  EXPECT_CODE(bend(1, "00 01"), Code::malformed);     // an insert at a map key
  EXPECT_CODE(bend(3, "7f 24"), Code::truncated);     // a value longer than its column
  EXPECT_CODE(bend(3, "7f 04"), Code::malformed);     // an integer without bytes
  EXPECT_CODE(bend(4, "ff"), Code::malformed);        // an integer that does not end
  EXPECT_CODE(bend(0, "7f 01 ff"), Code::malformed);  // a key that is not UTF-8
  EXPECT_CODE(bend(2, "02 01"), Code::truncated);     // more rows than the other columns
  EXPECT_CODE(bend(5, "7f 01"), Code::malformed);     // a predecessor that is not there
}

TEST(HostileCounts, AreRefusedWithoutMemory) {
  // 2^62 rows of everything: two records a column.
  const auto many = [](std::string_view value) {
    return hex("80 80 80 80 80 80 80 80 c0 00" + std::string(value));
  };
  const std::vector<Column> rows{{0x15, many("01 6b")},
                                 {0x34, hex("80 80 80 80 80 80 80 80 40")},
                                 {0x42, many("01")},
                                 {0x56, many("00")},
                                 {0x70, many("00")}};
  EXPECT_CODE(inspect_change(change_chunk(rows)), Code::limit_exceeded);

  auto predecessors = put_one();
  predecessors[5].bytes = hex("7f 80 80 80 80 80 80 80 80 40");
  predecessors.push_back({0x71, many("00")});
  predecessors.push_back({0x73, many("01")});
  EXPECT_CODE(inspect_change(change_chunk(predecessors)), Code::limit_exceeded);

  // 2^40 other actors, columns, dependencies.
  const auto big = hex("80 80 80 80 80 20");
  const auto head = hex("00 | 10 01010101010101010101010101010101 | 01 01 00 00");
  Bytes actors = head;
  put_bytes(actors, big);
  EXPECT_CODE(inspect_change(chunk(ChunkType::kChange, actors)), Code::truncated);
  Bytes columns = head;
  columns.push_back(0);
  put_bytes(columns, big);
  EXPECT_CODE(inspect_change(chunk(ChunkType::kChange, columns)), Code::truncated);
  EXPECT_CODE(inspect_change(chunk(ChunkType::kChange, big)), Code::truncated);
  EXPECT_CODE(Document::load(chunk(ChunkType::kDocument, big)), Code::truncated);
}

TEST(Limits, OfAChangeAreObeyed) {
  auto document = replica(1);
  const auto hash = change(document, [](Transaction& tx) {
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(tx.put(kRoot, "key" + std::to_string(i), std::int64_t{i}));
    }
  });
  const auto bytes = document.change_bytes(hash).value();
  EXPECT_TRUE(inspect_change(bytes));
  LoadLimits few_ops;
  few_ops.ops = 99;
  EXPECT_CODE(inspect_change(bytes, few_ops), Code::limit_exceeded);
  LoadLimits few_bytes;
  few_bytes.input_bytes = bytes.size() - 1;
  EXPECT_CODE(inspect_change(bytes, few_bytes), Code::limit_exceeded);
  LoadLimits short_actors;
  short_actors.actor_bytes = 15;
  EXPECT_CODE(inspect_change(bytes, short_actors), Code::limit_exceeded);
}

TEST(Limits, AnInflateBombStopsAtTheLimit) {
  const Bytes zeroes(64 << 20, 0);
  Bytes data;
  deflate(zeroes, data);
  Bytes bomb = hex("856f4a83 00000000 02");
  put_uleb(bomb, data.size());
  put_bytes(bomb, data);
  ASSERT_LT(bomb.size(), 100'000U);
  LoadLimits limits;
  limits.inflated_bytes = 1 << 20;
  EXPECT_CODE(inspect_change(bomb, limits), Code::limit_exceeded);
  auto document = replica(1);
  EXPECT_CODE(document.load_incremental(bomb, limits), Code::limit_exceeded);
}

TEST(Limits, OneOperationReplacesABoundedNumberOfOthers) {
  // 65,537 predecessors of actor 02, counters 1 to 65,537, in a few bytes.
  auto columns = put_one();
  columns[5].bytes = hex("7f 81 80 04");
  columns.push_back({0x71, hex("81 80 04 01")});
  columns.push_back({0x73, hex("81 80 04 01")});
  Bytes data = hex("00 | 10 01010101010101010101010101010101 | 01 82 80 08 00 00 | 01 10");
  put_bytes(data, Bytes(16, 2));
  put_uleb(data, columns.size());
  for (const auto& column : columns) {
    put_uleb(data, column.spec);
    put_uleb(data, column.bytes.size());
  }
  for (const auto& column : columns) put_bytes(data, column.bytes);
  EXPECT_CODE(inspect_change(chunk(ChunkType::kChange, data)), Code::limit_exceeded);
}

}  // namespace
}  // namespace peat::automerge
