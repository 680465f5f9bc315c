// The small parts below the QUIC core: addresses, send queues, the search for STOP_SENDING.
#include <gtest/gtest.h>

#include "net/address.hpp"
#include "net/frame_scan.hpp"
#include "net/send_queue.hpp"

namespace peat::net {
namespace {

TEST(SocketAddressText, ParsesWhatItPrints) {
  for (const char* text :
       {"127.0.0.1:11204", "0.0.0.0:0", "[::1]:65535", "[2001:db8::7]:1", "[fe80::1%2]:9"}) {
    const auto address = SocketAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
}

TEST(SocketAddressText, ErrorsNameTheInputAndTheRemedy) {
  for (const char* text :
       {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", ":5", "::1:5", "[::1:5",
        "[::1%eth0]:5", "example:5", "1.2.3:4", "[1.2.3.4]x:5"}) {
    const auto address = SocketAddress::parse(text);
    ASSERT_FALSE(address) << text;
    EXPECT_EQ(address.error().code, Code::invalid_argument);
    EXPECT_NE(address.error().message.find(text), std::string::npos);
  }
}

TEST(SocketAddressText, HostNamesKeepTheirPort) {
  const auto target = HostAndPort::parse("node-7.example:11204");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->host, "node-7.example");
  EXPECT_EQ(target->port, 11204);
  EXPECT_FALSE(HostAndPort::parse(std::string(254, 'a') + ":1"));
}

TEST(SocketAddressFamilies, ADualStackSocketSeesIpv4AsMapped) {
  const auto v4 = SocketAddress::parse("192.0.2.1:5").value();
  const auto mapped = v4.mapped();
  EXPECT_TRUE(mapped.is_v6());
  EXPECT_EQ(mapped.to_string(), "192.0.2.1:5");
  EXPECT_EQ(mapped.unmapped(), v4);
  EXPECT_FALSE(mapped == v4);
  EXPECT_EQ(mapped.group(), v4.group());
  EXPECT_TRUE(SocketAddress::parse("0.0.0.0:5").value().mapped().is_unspecified());
}

TEST(SocketAddressFamilies, LimitsCountIpv6PerPrefixAndIpv4PerAddress) {
  const auto group = [](const char* text) { return SocketAddress::parse(text).value().group(); };
  EXPECT_EQ(group("[2001:db8:0:1::1]:1"), group("[2001:db8:0:1:ffff::9]:2"));
  EXPECT_FALSE(group("[2001:db8:0:1::1]:1") == group("[2001:db8:0:2::1]:1"));
  EXPECT_EQ(group("192.0.2.1:1"), group("192.0.2.1:2"));
  EXPECT_FALSE(group("192.0.2.1:1") == group("192.0.2.2:1"));
}

TEST(SocketAddressFamilies, KnowsLoopbackInEverySpelling) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"}) {
    EXPECT_TRUE(SocketAddress::parse(text).value().is_loopback()) << text;
  }
  EXPECT_FALSE(SocketAddress::parse("128.0.0.1:1").value().is_loopback());
}

// ---- SendQueue

Bytes unsent_bytes(const SendQueue& queue, std::size_t pieces = 64) {
  std::vector<ngtcp2_vec> vectors(pieces);
  vectors.resize(queue.gather(vectors));
  Bytes out;
  for (const auto& v : vectors) out.insert(out.end(), v.base, v.base + v.len);
  return out;
}

TEST(SendQueue, KeepsBytesInPlaceUntilTheyAreAcknowledged) {
  SendQueue queue;
  queue.push(as_bytes("hello "));
  std::array<ngtcp2_vec, 1> first{};
  ASSERT_EQ(queue.gather(first), 1U);
  queue.sent(6);
  for (int i = 0; i < 10'000; ++i) queue.push(as_bytes("more and more "));
  EXPECT_EQ(as_text({first[0].base, 6}), "hello ") << "ngtcp2 may still retransmit from here";
  EXPECT_EQ(queue.unacknowledged(), 6U + 140'000U);
  EXPECT_EQ(queue.unsent(), 140'000U);
}

TEST(SendQueue, PiecesComeOutInOrderWhateverTheirSizes) {
  SendQueue queue;
  Bytes all;
  std::uint64_t acknowledged = 0;
  Bytes sent;
  for (std::size_t i = 0; i < 400; ++i) {
    const Bytes piece(i * i % 3001, static_cast<std::uint8_t>(i));
    queue.push(piece);
    all.insert(all.end(), piece.begin(), piece.end());
    const auto ready = unsent_bytes(queue, 1 + i % 5);
    const auto take = std::min<std::size_t>(ready.size(), 1 + i % 1400);
    sent.insert(sent.end(), ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(take));
    if (!ready.empty()) queue.sent(take);
    if (i % 7 == 0) {
      acknowledged = std::max<std::uint64_t>(acknowledged, sent.size() / 2);
      queue.acknowledge(acknowledged);
    }
  }
  while (queue.unsent() > 0) {
    const auto ready = unsent_bytes(queue);
    sent.insert(sent.end(), ready.begin(), ready.end());
    queue.sent(ready.size());
  }
  EXPECT_EQ(sent, all);
}

TEST(SendQueue, AnIdleStreamHoldsNoMemory) {
  SendQueue queue;
  queue.push(Bytes(1'000'000, 1));
  EXPECT_LE(queue.capacity(), 1'001'000U) << "about what was written";
  queue.sent(1'000'000);
  queue.acknowledge(999'999);
  EXPECT_LE(queue.capacity(), 64U << 10);
  queue.acknowledge(1'000'000);
  EXPECT_EQ(queue.capacity(), 0U);
}

TEST(SendQueue, AbandonedBytesAreNotSent) {
  SendQueue queue;
  queue.push(as_bytes("sent, never sent"));
  queue.sent(4);
  queue.abandon_unsent();
  EXPECT_EQ(queue.unsent(), 0U);
  EXPECT_TRUE(unsent_bytes(queue).empty());
  EXPECT_EQ(queue.unacknowledged(), 4U);
}

// ---- STOP_SENDING

std::vector<StopSending> scan(const Bytes& payload) {
  std::vector<StopSending> out;
  scan_stop_sending(payload, out);
  return out;
}

TEST(StopSendingScan, FindsTheFrameAmongAllOthers) {
  // One frame of each type of RFC 9000 section 19 before it.
  const std::vector<Bytes> frames{
      {0x00},                                            // PADDING
      {0x01},                                            // PING
      {0x02, 0x0a, 0x00, 0x01, 0x00, 0x01, 0x02},        // ACK with one further range
      {0x03, 0x0a, 0x00, 0x00, 0x00, 0x01, 0x02, 0x03},  // ACK with ECN counts
      {0x04, 0x04, 0x07, 0x10},                          // RESET_STREAM
      {0x06, 0x00, 0x02, 0xaa, 0xbb},                    // CRYPTO
      {0x07, 0x01, 0xcc},                                // NEW_TOKEN
      {0x0a, 0x04, 0x02, 0x05, 0x05},                    // STREAM with length, data of type 5
      {0x0e, 0x04, 0x08, 0x01, 0x05},                    // STREAM with offset and length
      {0x10, 0x40, 0x64},                                // MAX_DATA, a two-byte varint
      {0x11, 0x04, 0x10},                                // MAX_STREAM_DATA
      {0x12, 0x10},                                      // MAX_STREAMS
      {0x13, 0x10},
      {0x14, 0x10},        // DATA_BLOCKED
      {0x15, 0x04, 0x10},  // STREAM_DATA_BLOCKED
      {0x16, 0x10},        // STREAMS_BLOCKED
      {0x17, 0x10},
      {0x18, 0x01, 0x00, 0x04, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
      {0x19, 0x01},                    // RETIRE_CONNECTION_ID
      {0x1a, 1, 2, 3, 4, 5, 6, 7, 8},  // PATH_CHALLENGE
      {0x1b, 1, 2, 3, 4, 5, 6, 7, 8},  // PATH_RESPONSE
      {0x1e},                          // HANDSHAKE_DONE
  };
  const Bytes stop{0x05, 0x08, 0x40, 0x7b};
  Bytes all;
  for (const auto& frame : frames) {
    Bytes alone = frame;
    alone.insert(alone.end(), stop.begin(), stop.end());
    EXPECT_EQ(scan(alone), (std::vector<StopSending>{{8, 123}})) << "after type " << int{frame[0]};
    all.insert(all.end(), frame.begin(), frame.end());
  }
  all.insert(all.end(), stop.begin(), stop.end());
  EXPECT_EQ(scan(all), (std::vector<StopSending>{{8, 123}}));
}

TEST(StopSendingScan, StopsQuietlyAtWhatItCannotRead) {
  EXPECT_TRUE(scan({}).empty());
  EXPECT_TRUE(scan({0x05}).empty());
  EXPECT_TRUE(scan({0x05, 0x08}).empty());
  EXPECT_TRUE(scan({0x05, 0x08, 0x40}).empty());
  EXPECT_TRUE(scan({0x21, 0x05, 0x08, 0x01}).empty()) << "an unknown frame has an unknown length";
  EXPECT_TRUE(scan({0x08, 0x04, 0x05, 0x08, 0x01}).empty()) << "stream data up to the end";
  EXPECT_TRUE(scan({0x06, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}).empty());
  // A count of ranges that the packet cannot hold ends at the packet's end.
  EXPECT_TRUE(scan({0x02, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}).empty());
}

}  // namespace
}  // namespace peat::net
