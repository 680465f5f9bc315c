#include "wire/batch.hpp"

#include <gtest/gtest.h>

#include "hex.hpp"

namespace peat::wire {
namespace {

using test::hex;
using test::join;

const Bytes kBatch =
    hex("0000000000000001 0000018bcfe56800 05 00000001"
        "0008 6e6f6465733a6e31 00 00000003 010203");

SyncBatch one_delta() {
  SyncBatch batch;
  batch.id = 1;
  batch.created_at_ms = 1'700'000'000'000;
  batch.entries.push_back({"nodes:n1", EntryType::delta, hex("010203")});
  return batch;
}

TEST(SyncBatch, HasTheBytesThatExistingPeersSpeak) {
  Bytes out;
  ASSERT_TRUE(encode(one_delta(), out));
  EXPECT_EQ(out, kBatch);
  const auto back = decode_batch(kBatch).value();
  EXPECT_EQ(back.id, 1u);
  EXPECT_EQ(back.created_at_ms, 1'700'000'000'000u);
  EXPECT_EQ(back.ttl, 5);
  EXPECT_EQ(back.entries, one_delta().entries);
  EXPECT_EQ(one_delta().encoded_size(), kBatch.size());
}

TEST(SyncBatch, AsAFrameHasTheBytesThatExistingPeersSpeak) {
  Bytes out;
  ASSERT_TRUE(encode_batch_frame(one_delta(), out));
  EXPECT_EQ(out, join(hex("0005 6261746368 07 00000027"), kBatch));
  Bytes empty;
  ASSERT_TRUE(encode_batch_frame(SyncBatch{}, empty));
  EXPECT_EQ(empty, hex("0005 6261746368 07 00000015 0000000000000000 0000000000000000 05"
                       "00000000"));
}

TEST(SyncBatch, AnEntryThatCannotBeUsedCostsOnlyItself) {
  SyncBatch batch = one_delta();
  batch.entries.push_back({"x", static_cast<EntryType>(0x05), hex("00")});
  batch.entries.push_back({"y", static_cast<EntryType>(0x55), hex("00")});
  batch.entries.push_back({"\xff", EntryType::snapshot, hex("00")});
  batch.entries.push_back({"nodes:n2", EntryType::snapshot, hex("04")});
  Bytes out;
  ASSERT_TRUE(encode(batch, out));
  const auto back = decode_batch(out).value();
  ASSERT_EQ(back.entries.size(), 2u);
  EXPECT_EQ(back.entries[1].key, "nodes:n2");
  EXPECT_EQ(back.skipped, 3u);
}

TEST(SyncBatch, BytesAfterTheLastEntryAreIgnored) {
  EXPECT_EQ(decode_batch(join(kBatch, hex("ffff"))).value().entries.size(), 1u);
}

TEST(SyncBatch, EveryTruncationIsAnError) {
  for (std::size_t n = 0; n < kBatch.size(); ++n) {
    EXPECT_EQ(decode_batch(ByteView(kBatch).first(n)).error().code, Code::truncated) << n;
  }
}

// D3h: existing peers reserve memory by the count that a stranger claims.
TEST(SyncBatch, D3hAHostileCountReservesNothing) {
  auto input = hex("0000000000000001 0000018bcfe56800 05 ffffffff");
  EXPECT_EQ(decode_batch(input).error().code, Code::limit_exceeded);
  // Within the limit, but not within the bytes: the entries that are there decide.
  input = hex("0000000000000001 0000018bcfe56800 05 00010000 0000 00 00000000");
  EXPECT_EQ(decode_batch(input).error().code, Code::truncated);
}

TEST(SyncBatch, LimitOfEntries) {
  Limits limits;
  limits.wire_batch_entries = 1;
  EXPECT_TRUE(decode_batch(kBatch, limits));
  auto batch = one_delta();
  batch.entries.push_back(batch.entries[0]);
  Bytes out;
  ASSERT_TRUE(encode(batch, out));
  EXPECT_EQ(decode_batch(out, limits).error().code, Code::limit_exceeded);
  Bytes none;
  EXPECT_EQ(encode(batch, none, limits).error().code, Code::limit_exceeded);
  EXPECT_TRUE(none.empty());
}

TEST(SyncBatch, LimitOfAKey) {
  Limits limits;
  limits.wire_key_bytes = 7;
  EXPECT_EQ(decode_batch(kBatch, limits).error().code, Code::limit_exceeded);
}

}  // namespace
}  // namespace peat::wire
