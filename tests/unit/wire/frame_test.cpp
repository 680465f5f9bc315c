#include "wire/frame.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "hex.hpp"
#include "wire/heartbeat.hpp"

namespace peat::wire {
namespace {

using test::hex;
using test::join;

std::vector<Frame> read_all(FrameReader& reader, ByteView input) {
  std::vector<Frame> frames;
  while (true) {
    auto frame = reader.read(input);
    if (!frame || !*frame) return frames;
    frames.push_back(std::move(**frame));
  }
}

Bytes frame(std::string_view key, FrameType type, const Bytes& payload) {
  Bytes out;
  EXPECT_TRUE(encode_frame(key, type, payload, out));
  return out;
}

TEST(Frame, SnapshotHasTheBytesThatExistingPeersSpeak) {
  const Frame value{"cells:c1", FrameType::snapshot, hex("deadbeef")};
  const auto bytes = hex("0008 63656c6c733a6331 01 00000004 deadbeef");
  EXPECT_EQ(frame(value.key, value.type, value.payload), bytes);
  FrameReader reader;
  EXPECT_EQ(read_all(reader, bytes), std::vector{value});
}

TEST(Frame, HeartbeatHasTheBytesThatExistingPeersSpeak) {
  const auto beat = encode_heartbeat(1'700'000'000'000);
  EXPECT_EQ(Bytes(beat.begin(), beat.end()), hex("01 0000018bcfe56800"));
  EXPECT_EQ(decode_heartbeat(beat).value(), 1'700'000'000'000u);
  EXPECT_EQ(decode_heartbeat(hex("02 0000018bcfe56800")).error().code, Code::malformed);
  EXPECT_EQ(decode_heartbeat(hex("01 0000018bcfe568")).error().code, Code::truncated);
  EXPECT_EQ(decode_heartbeat(hex("01 0000018bcfe56800 00")).error().code, Code::malformed);
}

// D3a: existing acceptors lose every frame of a stream after its first.
TEST(Frame, D3aEveryFrameOfAStreamArrivesHoweverTheStreamIsCut) {
  const auto one = frame("notes:1", FrameType::delta, hex("010203"));
  const auto two = frame("", FrameType::batch, {});
  const auto three = frame("notes:2", FrameType::snapshot, Bytes(300, 7));
  const auto stream = join(join(one, two), three);
  for (std::size_t step = 1; step <= stream.size(); ++step) {
    FrameReader reader;
    std::vector<Frame> got;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      const auto part = ByteView(stream).subspan(at, std::min(step, stream.size() - at));
      for (auto& f : read_all(reader, part)) got.push_back(std::move(f));
    }
    ASSERT_EQ(got.size(), 3u) << "pieces of " << step;
    EXPECT_EQ(got[0].key, "notes:1");
    EXPECT_EQ(got[1].type, FrameType::batch);
    EXPECT_EQ(got[2].payload, Bytes(300, 7));
    EXPECT_TRUE(reader.at_boundary());
  }
}

TEST(Frame, AnUnknownTypeCostsItsOwnBytesAndTheStreamGoesOn) {
  for (const int type : {0x02, 0x03, 0x06, 0x0a, 0x0b, 0xff}) {
    const auto odd = frame("k", static_cast<FrameType>(type), Bytes(1000, 1));
    FrameReader reader;
    const auto got = read_all(reader, join(odd, frame("notes:1", FrameType::delta, hex("01"))));
    ASSERT_EQ(got.size(), 1u) << "type " << type;
    EXPECT_EQ(got[0].key, "notes:1");
    EXPECT_EQ(reader.skipped(), 1u);
  }
}

TEST(Frame, ADocumentKeyThatIsNotTextIsPassedOverButIgnoredKeysAreNotLookedAt) {
  FrameReader reader;
  const auto bad = frame("\xff\xfe", FrameType::snapshot, hex("01"));
  const auto batch = frame("\xff\xfe", FrameType::batch, hex("02"));
  const auto got = read_all(reader, join(bad, batch));
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].type, FrameType::batch);
  EXPECT_EQ(reader.skipped(), 1u);
}

TEST(Frame, ATruncatedFrameAtTheEndDiscardsOnlyItself) {
  const auto whole = frame("notes:1", FrameType::delta, hex("01"));
  auto cut = frame("notes:2", FrameType::delta, hex("0203"));
  cut.pop_back();
  FrameReader reader;
  EXPECT_EQ(read_all(reader, join(whole, cut)).size(), 1u);
  EXPECT_FALSE(reader.at_boundary());
}

// D3h: existing peers allocate up to 4 GiB on a stranger's word.
TEST(Frame, D3hAHostileLengthIsRefusedBeforeMemoryIsTaken) {
  FrameReader reader;
  const auto input = hex("0001 61 00 ffffffff 0000");
  ByteView rest = input;
  const auto result = reader.read(rest);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::limit_exceeded);
  EXPECT_NE(result.error().message.find("wire_payload_bytes"), std::string::npos);
  EXPECT_EQ(reader.buffered(), 0u);
  // The stream is over: more input gives the same error.
  const auto more = frame("notes:1", FrameType::delta, hex("01"));
  rest = more;
  EXPECT_EQ(reader.read(rest).error().code, Code::limit_exceeded);
}

TEST(Frame, MemoryGrowsWithTheBytesThatArriveNotWithTheLengthAnnounced) {
  FrameReader reader;
  auto input = hex("0001 61 00 04000000");  // 64 MiB, which the limit allows
  input.resize(input.size() + 100, 0);
  ByteView rest = input;
  EXPECT_FALSE(reader.read(rest).value());
  EXPECT_EQ(reader.buffered(), 101u);
}

TEST(Frame, LimitOfTheKey) {
  Limits limits;
  limits.wire_key_bytes = 8;
  Bytes out;
  EXPECT_TRUE(encode_frame("12345678", FrameType::delta, {}, out, limits));
  EXPECT_EQ(encode_frame("123456789", FrameType::delta, {}, out, limits).error().code,
            Code::limit_exceeded);
  FrameReader reader(limits);
  EXPECT_EQ(read_all(reader, out).size(), 1u);
  const auto long_key = frame("123456789", FrameType::delta, {});
  ByteView rest = long_key;
  EXPECT_EQ(reader.read(rest).error().code, Code::limit_exceeded);
}

TEST(Frame, LimitOfThePayload) {
  Limits limits;
  limits.wire_payload_bytes = 4;
  Bytes out;
  EXPECT_EQ(encode_frame("k", FrameType::delta, Bytes(5), out, limits).error().code,
            Code::limit_exceeded);
  EXPECT_TRUE(out.empty());
  const auto five = frame("k", FrameType::delta, Bytes(5));
  FrameReader reader(limits);
  ByteView rest = five;
  EXPECT_EQ(reader.read(rest).error().code, Code::limit_exceeded);
}

TEST(Frame, LimitOfReconciliationMessages) {
  Limits limits;
  limits.wire_negentropy_bytes = 4;
  const auto five = frame("_negentropy", FrameType::negentropy_init, Bytes(5));
  FrameReader reader(limits);
  ByteView rest = five;
  EXPECT_EQ(reader.read(rest).error().code, Code::limit_exceeded);
  EXPECT_EQ(FrameReader().read(rest = five).value()->payload.size(), 5u);
}

// The reverse half of our own stream: an old channel's receive loop expects batches without key.
TEST(Frame, KeylessBatchesAreReadOnlyWhereTheyMayStand) {
  const auto keyless = hex("07 00000003 010203");
  FrameReader reverse({}, KeylessBatches::accept);
  auto got = read_all(reverse, join(keyless, keyless));
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[1].type, FrameType::batch);
  EXPECT_EQ(got[1].payload, hex("010203"));

  // After a frame with a key the keyless form is gone: 0x07 is half of a key length again.
  const auto long_key = frame(std::string(0x0701, 'a'), FrameType::delta, hex("01"));
  FrameReader keyed({}, KeylessBatches::accept);
  got = read_all(keyed, join(frame("a", FrameType::delta, {}), long_key));
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[1].key.size(), 0x0701u);

  // On every other half 0x07 begins a key length.
  FrameReader forward;
  EXPECT_EQ(read_all(forward, long_key).size(), 1u);
}

}  // namespace
}  // namespace peat::wire
