// Records: what is damaged, misplaced or too new is an error that names its row.
#include "store/record.hpp"

#include "store_fixture.hpp"

namespace peat::store {
namespace {

DocumentRow sample() {
  DocumentRow row;
  row.number = 3;
  row.seq = 9;
  row.chunks = 2;
  row.origin = peer(4);
  row.heads = heads_of("x");
  row.full_key = "roads:long";
  return row;
}

TEST(Records, ComeBackAsTheyWere) {
  const auto row = decode_document(encode(sample())).value();
  EXPECT_EQ(row.number, 3U);
  EXPECT_EQ(row.seq, 9U);
  EXPECT_EQ(row.chunks, 2U);
  EXPECT_EQ(row.origin, peer(4));
  EXPECT_EQ(row.heads, heads_of("x"));
  EXPECT_EQ(row.full_key, "roads:long");
}

TEST(Records, TheTimeOfTheHeadsIsKeptWhereItIsKnown) {
  auto row = sample();
  EXPECT_FALSE(decode_document(encode(row))->time);
  row.time = -5;
  const auto content = encode(row);
  EXPECT_EQ(decode_document(content)->time, -5);
  EXPECT_FALSE(decode_document(ByteView(content).first(content.size() - 1)));
  auto longer = content;
  longer.push_back(0);
  EXPECT_FALSE(decode_document(longer));
}

TEST(Records, EveryFlippedBitIsNoticed) {
  const auto record = make_record(Table::documents, "roads:a", encode(sample()));
  ASSERT_TRUE(open_record(Table::documents, "roads:a", record));
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    auto damaged = record;
    damaged[bit / 8] = static_cast<std::uint8_t>(damaged[bit / 8] ^ (1U << bit % 8));
    EXPECT_FALSE(open_record(Table::documents, "roads:a", damaged)) << "bit " << bit;
  }
}

TEST(Records, ARecordUnderAnotherKeyOrTableIsDamaged) {
  const auto record = make_record(Table::documents, "roads:a", encode(sample()));
  const auto other = open_record(Table::documents, "roads:b", record);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Code::store_corrupt);
  EXPECT_NE(other.error().message.find("documents row 'roads:b'"), std::string::npos);
  EXPECT_FALSE(open_record(Table::tombstones, "roads:a", record));
}

TEST(Records, AnEmptyContentIsCheckedToo) {
  const auto record = make_record(Table::bodies, "k", {});
  EXPECT_TRUE(open_record(Table::bodies, "k", record).value().empty());
  EXPECT_FALSE(open_record(Table::bodies, "l", record));
}

TEST(Records, AFlagOfALaterVersionIsNamedAsThat) {
  auto record = make_record(Table::bodies, "k", bytes_of("sealed"));
  record[1] = 2;
  EXPECT_EQ(open_record(Table::bodies, "k", record).error().code, Code::store_too_new);
  record = make_record(Table::bodies, "k", bytes_of("v2"));
  record[0] = 2;
  EXPECT_EQ(open_record(Table::bodies, "k", record).error().code, Code::store_too_new);
}

TEST(Records, EveryTruncationIsAnError) {
  const auto content = encode(sample());
  for (std::size_t size = 0; size < content.size(); ++size) {
    EXPECT_FALSE(decode_document(ByteView(content).first(size))) << size;
  }
  auto longer = content;
  longer.push_back(0);
  EXPECT_FALSE(decode_document(longer));
}

TEST(Records, ACountOfHeadsThatTheBytesCannotHoldTakesNoMemory) {
  DocumentRow row;
  auto content = encode(row);
  content[21] = content[22] = content[23] = content[24] = 0xff;  // 2^32 - 1 heads
  EXPECT_EQ(decode_document(content).error().code, Code::truncated);
}

TEST(Records, RowsAreNamedSoThatAPersonCanReadThem) {
  EXPECT_EQ(describe(Table::documents, "roads:ä"), "documents row 'roads:ä'");
  EXPECT_EQ(describe(Table::feed, feed_key(258)), "feed row 0x0000000000000102");
}

}  // namespace
}  // namespace peat::store
