#include "wire/tombstone.hpp"

#include <gtest/gtest.h>

#include "hex.hpp"
#include "wire/frame.hpp"

namespace peat::wire {
namespace {

using test::hex;
using test::join;

constexpr std::uint64_t kTime = 1'700'000'000'000;

const Tombstone kTrack{"tracks", "t-1", kTime, 7, "node-a", "", Direction::bidirectional};
const Tombstone kCommand{"commands", "c9", kTime, 8, "hq", "rev", Direction::down_only};
const Bytes kTrackBytes = hex(
    "0006 747261636b73 0003 742d31 0000018bcfe56800 0000000000000007 0006 6e6f64652d61 0000 00");
const Bytes kCommandBytes = hex(
    "0008 636f6d6d616e6473 0002 6339 0000018bcfe56800 0000000000000008 0002 6871 0003 726576 02");

TEST(Tombstone, HasTheBytesThatExistingPeersSpeak) {
  for (const auto& [value, bytes] : {std::pair{kTrack, kTrackBytes}, {kCommand, kCommandBytes}}) {
    Bytes out;
    ASSERT_TRUE(encode(value, out));
    EXPECT_EQ(out, bytes);
    EXPECT_EQ(decode_tombstone(bytes).value(), value);
  }
  Bytes frame;
  ASSERT_TRUE(encode_frame(std::string(kTombstoneKeyPrefix) + kTrack.key(), FrameType::tombstone,
                           kTrackBytes, frame));
  EXPECT_EQ(frame,
            join(hex("0015 746f6d6273746f6e65733a747261636b733a742d31 04 00000028"), kTrackBytes));
}

TEST(Tombstone, BatchHasTheBytesThatExistingPeersSpeak) {
  const auto bytes =
      join(join(hex("00000002 00000028"), kTrackBytes), join(hex("00000028"), kCommandBytes));
  Bytes out;
  const std::vector both{kTrack, kCommand};
  EXPECT_EQ(encode_tombstone_batch(both, out).value(), 2u);
  EXPECT_EQ(out, bytes);
  EXPECT_EQ(decode_tombstone_batch(bytes).value().tombstones, both);
}

TEST(Tombstone, EveryTruncationIsAnErrorAndBytesBehindAreIgnored) {
  for (std::size_t n = 0; n < kCommandBytes.size(); ++n) {
    EXPECT_EQ(decode_tombstone(ByteView(kCommandBytes).first(n)).error().code, Code::truncated);
  }
  EXPECT_EQ(decode_tombstone(join(kCommandBytes, hex("00"))).value(), kCommand);
}

TEST(Tombstone, DirectionsAndTheirDefaults) {
  EXPECT_EQ(default_direction("cells"), Direction::up_only);
  EXPECT_EQ(default_direction("contact_reports"), Direction::up_only);
  EXPECT_EQ(default_direction("commands"), Direction::down_only);
  EXPECT_EQ(default_direction("tracks"), Direction::bidirectional);
  EXPECT_TRUE(allows_up(Direction::bidirectional) && allows_down(Direction::bidirectional));
  EXPECT_TRUE(allows_up(Direction::up_only) && !allows_down(Direction::up_only));
  EXPECT_TRUE(!allows_up(Direction::down_only) && allows_down(Direction::down_only));
  EXPECT_TRUE(allows_up(Direction::system_wide) && allows_down(Direction::system_wide));
  auto bytes = kTrackBytes;
  bytes.back() = 4;
  EXPECT_EQ(decode_tombstone(bytes).error().code, Code::malformed);
}

TEST(Tombstone, TextThatIsNotUtf8IsRefused) {
  auto bytes = kTrackBytes;
  bytes[2] = 0xff;
  EXPECT_EQ(decode_tombstone(bytes).error().code, Code::malformed);
}

// D6b: existing peers never let a newer tombstone replace an older one.
TEST(Tombstone, D6bTheNewerOfTwoIsTheSameForEveryNode) {
  Tombstone later_clock = kTrack;
  later_clock.lamport = 8;
  later_clock.deleted_at_ms = 0;
  Tombstone later_time = kTrack;
  later_time.deleted_at_ms += 1;
  Tombstone other_node = kTrack;
  other_node.deleted_by = "node-b";
  for (const auto& newer : {later_clock, later_time, other_node}) {
    EXPECT_TRUE(supersedes(newer, kTrack));
    EXPECT_FALSE(supersedes(kTrack, newer));
  }
  EXPECT_FALSE(supersedes(kTrack, kTrack));
}

// D3i: existing peers cut a length to 16 bits and lose the rest of the stream.
TEST(Tombstone, D3iAStringTooLongForItsFieldIsRefusedNotCut) {
  Tombstone tombstone = kTrack;
  tombstone.reason.assign(65536, 'x');
  Bytes out;
  EXPECT_EQ(encode(tombstone, out).error().code, Code::limit_exceeded);
  EXPECT_TRUE(out.empty());
}

TEST(Tombstone, LimitOfTheKey) {
  Limits limits;
  limits.wire_key_bytes = 10;  // "tracks:t-1"
  EXPECT_TRUE(decode_tombstone(kTrackBytes, limits));
  limits.wire_key_bytes = 9;
  EXPECT_EQ(decode_tombstone(kTrackBytes, limits).error().code, Code::limit_exceeded);
  Bytes out;
  EXPECT_EQ(encode(kTrack, out, limits).error().code, Code::limit_exceeded);
}

TEST(TombstoneBatch, OneMalformedElementCostsOnlyItself) {
  auto bad = kTrackBytes;
  bad.back() = 9;
  const auto bytes =
      join(join(hex("00000002 00000028"), bad), join(hex("00000028"), kCommandBytes));
  const auto batch = decode_tombstone_batch(bytes).value();
  EXPECT_EQ(batch.tombstones, std::vector{kCommand});
  EXPECT_EQ(batch.malformed, 1u);
}

TEST(TombstoneBatch, D3hAHostileCountIsRefusedOrReservesNothing) {
  EXPECT_EQ(decode_tombstone_batch(hex("ffffffff")).error().code, Code::limit_exceeded);
  EXPECT_EQ(decode_tombstone_batch(hex("000f4240")).error().code, Code::truncated);
}

TEST(TombstoneBatch, LimitOfTombstones) {
  Limits limits;
  limits.wire_tombstones_per_batch = 1;
  Bytes out;
  ASSERT_TRUE(encode_tombstone_batch(std::vector{kTrack, kCommand}, out));
  EXPECT_EQ(decode_tombstone_batch(out, limits).error().code, Code::limit_exceeded);
}

TEST(TombstoneBatch, WhatWeSendIsCutIntoFramesThatEveryPeerTakes) {
  const std::vector many(5000, kTrack);
  std::span<const Tombstone> rest(many);
  Bytes first;
  auto n = encode_tombstone_batch(rest, first).value();
  EXPECT_EQ(n, kMaxTombstonesPerFrame);
  rest = rest.subspan(n);
  Bytes second;
  EXPECT_EQ(encode_tombstone_batch(rest, second).value(), 904u);
  EXPECT_EQ(decode_tombstone_batch(second).value().tombstones.size(), 904u);

  Tombstone wordy = kTrack;
  wordy.reason.assign(60000, 'x');
  Bytes third;
  n = encode_tombstone_batch(std::vector(100, wordy), third).value();
  EXPECT_LT(n, 100u);
  EXPECT_LE(third.size(), kMaxTombstoneFrameBytes);
}

}  // namespace
}  // namespace peat::wire
