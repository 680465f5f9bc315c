#include "wire/native.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.hpp"
#include "hex.hpp"
#include "wire/varint.hpp"

namespace peat::wire {
namespace {

using test::hex;
using test::join;

automerge::ChangeHash hash_of(std::uint8_t byte) {
  automerge::ChangeHash hash;
  hash.bytes.fill(byte);
  return hash;
}

const Epoch kEpoch{7, 1'700'000'000'000, "node-a"};

Hello a_hello() {
  auto hello = make_hello();
  hello.store_id.fill(0x5a);
  hello.incarnation = 3;
  hello.wall_clock_ms = 1'700'000'000'000;
  hello.last_position = 1'000'000;
  hello.document_count = 5300;
  hello.resume.store_id.fill(0xa5);
  hello.resume.position = 77;
  hello.node_id = "ship-1";
  return hello;
}

DocChanges some_changes() {
  DocChanges changes;
  changes.position = 42;
  changes.documents.push_back({"notes:1", {}, {hash_of(1), hash_of(2)}, hex("010203")});
  changes.documents.push_back({"notes:2", kEpoch, {}, {}});
  return changes;
}

std::vector<NativeFrame> one_of_each() {
  return {
      a_hello(),
      some_changes(),
      DocHeads{43, {{"notes:1", {}, {hash_of(1)}}, {"notes:2", kEpoch, {}}}},
      Need{true, {{"notes:1", {hash_of(3)}, {hash_of(1)}}, {"notes:2", {}, {}}}},
      Tombstones{44, {{"tracks", "t:1", 5, 7, "node-a", "why", Direction::up_only}}},
      DurableAck{45, {{"notes:1", {}, {hash_of(1)}}}},
      FeedDone{46},
      Ping{0x0102030405060708},
      Pong{9},
      Goodbye{701, "this node is shutting down"},
      LegacyFrame{{"notes:1", FrameType::delta, hex("42")}},
  };
}

Bytes encoded(const NativeFrame& frame, Compression compression = Compression::none) {
  Bytes out;
  EXPECT_TRUE(encode(frame, out, compression));
  return out;
}

// A frame written by hand.
Bytes raw(std::uint8_t type, const Bytes& body) {
  Bytes out;
  Writer writer(out);
  put_varint(writer, body.size());
  writer.u8(type);
  writer.bytes(body);
  return out;
}

Result<std::optional<NativeFrame>> read_one(const Bytes& bytes, const Limits& limits = {}) {
  NativeReader reader(limits);
  ByteView rest = bytes;
  return reader.read(rest);
}

TEST(Varint, TheExamplesOfRfc9000) {
  const struct {
    std::string_view bytes;
    std::uint64_t value;
  } rows[] = {{"c2197c5eff14e88c", 151288809941952652},
              {"9d7f3e7d", 494878333},
              {"7bbd", 15293},
              {"25", 37}};
  for (const auto& row : rows) {
    const auto bytes = hex(row.bytes);
    Reader reader(bytes);
    EXPECT_EQ(read_varint(reader, "x").value(), row.value);
    Bytes out;
    Writer writer(out);
    put_varint(writer, row.value);
    EXPECT_EQ(out, bytes);
  }
  const auto longer = hex("4025");
  Reader reader(longer);
  EXPECT_EQ(read_varint(reader, "x").value(), 37u) << "longer forms are legal";
  const auto cut = hex("9d7f3e");
  Reader short_reader(cut);
  EXPECT_EQ(read_varint(short_reader, "x").error().code, Code::truncated);
}

TEST(Native, EveryFrameComesBackAsItWasSent) {
  for (const auto& frame : one_of_each()) {
    const auto back = read_one(encoded(frame));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_TRUE(**back == frame) << "type " << frame.index();
  }
}

TEST(Native, BytesOfTheFirstVersionStayAsTheyAre) {
  EXPECT_EQ(encoded(Ping{0x0102030405060708}), hex("80000008 07 0102030405060708"));
  EXPECT_EQ(encoded(FeedDone{300}), hex("80000002 06 412c"));
  Bytes changes = hex("80000073 01 2a 00 02 07 6e6f7465733a31 00 02");
  changes.insert(changes.end(), 32, 0x01);
  changes.insert(changes.end(), 32, 0x02);
  changes = join(changes, hex("03 010203 07 6e6f7465733a32 01 0000000000000007"
                              "0000018bcfe56800 06 6e6f64652d61 00 00"));
  EXPECT_EQ(encoded(some_changes()), changes);
}

TEST(Native, FramesArriveHoweverTheStreamIsCut) {
  Bytes stream;
  for (const auto& frame : one_of_each()) ASSERT_TRUE(encode(frame, stream));
  for (const std::size_t step : {1u, 2u, 7u, 100u, 100000u}) {
    NativeReader reader;
    std::size_t got = 0;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      auto part = ByteView(stream).subspan(at, std::min(step, stream.size() - at));
      while (true) {
        auto frame = reader.read(part);
        ASSERT_TRUE(frame) << frame.error().message;
        if (!*frame) break;
        EXPECT_EQ((*frame)->index(), got++);
      }
    }
    EXPECT_EQ(got, 11u);
    EXPECT_TRUE(reader.at_boundary());
  }
}

TEST(Native, WhatALaterVersionAddsIsPassedOver) {
  // Another type of frame …
  const auto stream = join(raw(200, Bytes(5000, 1)), encoded(Ping{1}));
  NativeReader reader;
  ByteView rest = stream;
  EXPECT_TRUE(*reader.read(rest).value() == NativeFrame(Ping{1}));
  EXPECT_EQ(reader.skipped(), 1u);
  // … and more fields at the end of a known one.
  EXPECT_TRUE(**read_one(raw(7, hex("0000000000000001 ffff"))) == NativeFrame(Ping{1}));
  auto hello = encoded(a_hello());
  const auto body = Bytes(hello.begin() + 5, hello.end());
  EXPECT_TRUE(**read_one(raw(0, join(body, hex("7f020102")))) == NativeFrame(a_hello()));
}

TEST(Native, AnUnknownFrameIsPassedOverWithoutMemory) {
  NativeReader reader;
  Bytes stream = raw(200, Bytes(100000, 1));
  ByteView part = ByteView(stream).first(50000);
  EXPECT_FALSE(reader.read(part).value());
  EXPECT_EQ(reader.buffered(), 0u);
  EXPECT_FALSE(reader.at_boundary());
}

TEST(Native, EveryTruncatedBodyIsAnErrorThatNamesItsPlace) {
  for (const auto& frame : one_of_each()) {
    const auto whole = encoded(frame);
    const auto type = whole[4];
    for (std::size_t n = 0; n + 5 < whole.size(); ++n) {
      const auto result = read_one(raw(type, Bytes(whole.begin() + 5, whole.begin() + 5 + n)));
      ASSERT_FALSE(result) << int{type} << " cut to " << n;
      EXPECT_NE(result.error().message.find("native frame of type"), std::string::npos);
    }
  }
}

TEST(Native, AfterAnErrorTheReaderStaysThere) {
  NativeReader reader;
  const auto stream = join(raw(7, hex("01")), encoded(Ping{1}));
  ByteView rest = stream;
  EXPECT_EQ(reader.read(rest).error().code, Code::truncated);
  EXPECT_EQ(reader.read(rest).error().code, Code::truncated);
}

// --- compression
// ----------------------------------------------------------------------------------

DocChanges repetitive() {
  DocChanges changes;
  for (int i = 0; i < 100; ++i) {
    changes.documents.push_back({"notes:" + std::to_string(i), {}, {hash_of(1)}, Bytes(500, 0x20)});
  }
  return changes;
}

TEST(Native, CompressedChangesComeBackAsTheyWere) {
  const auto plain = encoded(repetitive());
  const auto compressed = encoded(repetitive(), Compression::deflate);
  EXPECT_LT(compressed.size() * 10, plain.size());
  EXPECT_TRUE(**read_one(compressed) == NativeFrame(repetitive()));
}

TEST(Native, WhatCompressionWouldNotMakeSmallerIsSentPlain) {
  EXPECT_EQ(encoded(some_changes(), Compression::deflate), encoded(some_changes()));
  DocChanges noise{1, {{"notes:1", {}, {}, {}}}};
  noise.documents[0].chunks.resize(5000);
  SeededRandom(1).fill(noise.documents[0].chunks);
  EXPECT_EQ(encoded(noise, Compression::deflate), encoded(noise));
}

TEST(Native, ACompressedBatchMustHoldExactlyWhatItAnnounces) {
  const auto good = encoded(repetitive(), Compression::deflate);
  // length, type, position 0, coding 1, then the inflated size as a 4-byte varint
  ASSERT_EQ(good[6], 1);
  for (const int change : {-1, 1}) {
    auto bad = good;
    bad[10] = static_cast<std::uint8_t>(bad[10] + change);
    EXPECT_EQ(read_one(bad).error().code, Code::malformed);
  }
}

TEST(Native, ASmallFrameCannotAskForMuchMemory) {
  // 10 bytes that claim to inflate to 64 MiB: more than DEFLATE can.
  const auto bomb = raw(1, hex("00 01 84000000 00000000000000000000"));
  const auto result = read_one(bomb);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::malformed);
  EXPECT_NE(result.error().message.find("cannot hold"), std::string::npos);
}

// --- limits
// ---------------------------------------------------------------------------------------

TEST(Native, LimitOfAFrame) {
  Limits limits;
  limits.wire_native_frame_bytes = 100;
  Bytes out;
  EXPECT_EQ(encode(some_changes(), out, Compression::none, limits).error().code,
            Code::limit_exceeded);
  EXPECT_TRUE(out.empty());
  for (const auto type : {std::uint8_t{1}, std::uint8_t{200}}) {
    NativeReader reader(limits);
    const auto head = hex("4065");
    auto bytes = head;
    bytes.push_back(type);
    ByteView rest = bytes;
    const auto result = reader.read(rest);
    ASSERT_FALSE(result) << "refused by its header alone";
    EXPECT_EQ(result.error().code, Code::limit_exceeded);
    EXPECT_EQ(reader.buffered(), 0u);
  }
}

TEST(Native, LimitOfInflatedBytes) {
  Limits limits;
  limits.wire_inflated_bytes = 1000;
  EXPECT_EQ(read_one(encoded(repetitive(), Compression::deflate), limits).error().code,
            Code::limit_exceeded);
  // A sender with that limit does not compress beyond it.
  Bytes out;
  ASSERT_TRUE(encode(repetitive(), out, Compression::deflate, limits));
  EXPECT_EQ(out, encoded(repetitive()));
}

TEST(Native, LimitOfEntries) {
  Limits limits;
  limits.wire_batch_entries = 1;
  for (const auto& frame : one_of_each()) {
    const auto type = type_of(frame);
    if (type != NativeType::doc_changes && type != NativeType::doc_heads &&
        type != NativeType::need) {
      continue;
    }
    EXPECT_EQ(read_one(encoded(frame), limits).error().code, Code::limit_exceeded);
    Bytes out;
    EXPECT_EQ(encode(frame, out, Compression::none, limits).error().code, Code::limit_exceeded);
    EXPECT_TRUE(out.empty());
  }
}

TEST(Native, LimitOfHashes) {
  Limits limits;
  limits.wire_hashes = 1;
  EXPECT_EQ(read_one(encoded(some_changes()), limits).error().code, Code::limit_exceeded);
  Bytes out;
  EXPECT_EQ(encode(some_changes(), out, Compression::none, limits).error().code,
            Code::limit_exceeded);
}

TEST(Native, LimitOfTexts) {
  Limits limits;
  limits.wire_key_bytes = 5;
  for (const auto type : {0, 1, 2, 3, 4, 5, 9, 10}) {
    const auto frame = one_of_each()[static_cast<std::size_t>(type)];
    EXPECT_EQ(read_one(encoded(frame), limits).error().code, Code::limit_exceeded) << type;
    Bytes out;
    EXPECT_EQ(encode(frame, out, Compression::none, limits).error().code, Code::limit_exceeded);
  }
}

TEST(Native, LimitOfTombstones) {
  Limits limits;
  limits.wire_tombstones_per_batch = 1;
  const Tombstone tombstone{"tracks", "t1", 5, 7, "a", "", Direction::bidirectional};
  const Tombstones two{1, {tombstone, tombstone}};
  EXPECT_EQ(read_one(encoded(two), limits).error().code, Code::limit_exceeded);
  Bytes out;
  EXPECT_EQ(encode(two, out, Compression::none, limits).error().code, Code::limit_exceeded);
}

TEST(Native, AHostileCountIsRefusedByTheBytesThatFollow) {
  // 65,536 documents, 65,536 hashes, 1,000,000 tombstones announced in a few bytes.
  for (const auto& [type, body] : {std::pair{1, "00 00 80010000"},
                                   {2, "00 80010000"},
                                   {3, "00 80010000"},
                                   {1, "00 00 01 01 61 00 80010000"},
                                   {4, "00 800f4240"},
                                   {5, "00 80010000"}}) {
    const auto result = read_one(raw(static_cast<std::uint8_t>(type), hex(body)));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::truncated) << result.error().message;
  }
}

TEST(Native, TextThatIsNotUtf8IsRefused) {
  EXPECT_EQ(read_one(raw(9, hex("00 02 fffe"))).error().code, Code::malformed);
  EXPECT_EQ(read_one(raw(1, hex("00 00 01 01 ff 00 00 00"))).error().code, Code::malformed);
}

TEST(Native, AHelloOfSomethingElseIsRefused) {
  EXPECT_EQ(read_one(raw(0, hex("48545450"))).error().code, Code::malformed);
}

// --- negotiation
// ----------------------------------------------------------------------------------

TEST(Negotiate, TwoEqualNodesUseWhatBothOffer) {
  const auto result = negotiate(make_hello(), make_hello()).value();
  EXPECT_EQ(result.version, kNativeVersionMax);
  EXPECT_EQ(result.features, kKnownFeatures);
  EXPECT_EQ(result.send_limits.wire_native_frame_bytes, Limits{}.wire_native_frame_bytes);
}

TEST(Negotiate, TheNewestCommonVersionAndTheSmallerLimitsHold) {
  auto theirs = make_hello();
  theirs.version_max = 9;
  theirs.offered_features = 1ULL << 40;
  theirs.max_frame_bytes = 100'000;
  theirs.max_inflated_bytes = 1ULL << 40;
  theirs.max_entries = 10;
  const auto result = negotiate(make_hello(), theirs).value();
  EXPECT_EQ(result.version, kNativeVersionMax);
  EXPECT_EQ(result.features, 0u);
  EXPECT_EQ(result.send_limits.wire_native_frame_bytes, 100'000u);
  EXPECT_EQ(result.send_limits.wire_inflated_bytes, Limits{}.wire_inflated_bytes);
  EXPECT_EQ(result.send_limits.wire_batch_entries, 10u);
}

TEST(Negotiate, WhatCannotWorkIsRefusedWithItsReason) {
  const auto refuse = [](const Hello& theirs, std::string_view reason) {
    const auto result = negotiate(make_hello(), theirs);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Code::wrong_version);
    EXPECT_NE(result.error().message.find(reason), std::string::npos) << result.error().message;
  };
  auto hello = make_hello();
  hello.version_min = hello.version_max = 2;
  refuse(hello, "2 to 2");
  hello = make_hello();
  hello.required_features = 1ULL << 40;
  refuse(hello, "bits 40");
  hello = make_hello();
  hello.max_frame_bytes = 100;
  refuse(hello, "too little");
  auto strict = make_hello();
  strict.required_features = kFeatureDeflate;
  hello = make_hello();
  hello.offered_features = 0;
  EXPECT_EQ(negotiate(strict, hello).error().code, Code::wrong_version);
}

}  // namespace
}  // namespace peat::wire
