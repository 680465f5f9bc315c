#include "security/handshake.hpp"

#include <gtest/gtest.h>

#include "base/encoding.hpp"

namespace peat::security {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{};

Bytes hex(std::string_view text) { return from_hex(text).value(); }

EndpointId id_of(std::uint8_t byte) {
  EndpointId id;
  id.bytes.fill(byte);
  return id;
}

const EndpointId kAcceptorId = id_of(1);
const EndpointId kDiallerId = id_of(2);

FormationKey key_of(std::uint8_t secret, std::string_view id = "test-formation") {
  return FormationKey::derive(Bytes(32, secret), id).value();
}

template <class Machine>
std::vector<HandshakeOutput> drain(Machine& machine) {
  std::vector<HandshakeOutput> outputs;
  while (auto output = machine.poll_output()) outputs.push_back(std::move(*output));
  return outputs;
}

// The one output of kind T that must be among those waiting.
template <class T, class Machine>
T expect(Machine& machine) {
  std::optional<T> found;
  for (auto& output : drain(machine)) {
    if (auto* value = std::get_if<T>(&output)) found = std::move(*value);
  }
  EXPECT_TRUE(found.has_value());
  return found.value_or(T{});
}

class Handshake : public ::testing::Test {
 protected:
  FormationAcceptor acceptor(const FormationKey& key, bool allow_unauthenticated = false) {
    return {kStart, {key, kAcceptorId, kDiallerId}, random_, {allow_unauthenticated, {}}};
  }
  FormationDialler dialler(const FormationKey& key, Variant variant, DiallerOptions options = {}) {
    return {kStart, {key, kDiallerId, kAcceptorId}, variant, options};
  }

  // Carries bytes both ways, `step` at a time, until both ends are quiet.
  void run(FormationDialler& d, FormationAcceptor& a, std::size_t step = 1000) {
    for (int round = 0; round < 8; ++round) {
      for (auto& output : drain(d)) {
        if (auto* open = std::get_if<HandshakeOpen>(&output)) {
          a.on_stream_opened(kStart);
          deliver(a, open->first, false, step);
          if (open->first.empty()) a.on_timeout(kStart + kSilentStreamWait);
        } else if (auto* write = std::get_if<HandshakeWrite>(&output)) {
          deliver(a, write->bytes, write->fin, step);
        } else {
          dialler_end_ = std::move(output);
        }
      }
      for (auto& output : drain(a)) {
        if (auto* write = std::get_if<HandshakeWrite>(&output)) {
          deliver(d, write->bytes, write->fin, step);
        } else {
          acceptor_end_ = std::move(output);
        }
      }
    }
  }

  template <class Machine>
  static void deliver(Machine& machine, const Bytes& bytes, bool fin, std::size_t step) {
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      const auto part = ByteView(bytes).subspan(at, std::min(step, bytes.size() - at));
      machine.on_stream_bytes(kStart, part, fin && at + part.size() == bytes.size());
    }
  }

  SeededRandom random_{1};
  std::optional<HandshakeOutput> dialler_end_;
  std::optional<HandshakeOutput> acceptor_end_;
};

TEST_F(Handshake, EveryVariantMakesAMemberHoweverItsBytesAreCut) {
  const auto key = key_of(0x42);
  for (const auto variant : {Variant::a_prime, Variant::b, Variant::a}) {
    for (const std::size_t step : {1u, 3u, 1000u}) {
      auto d = dialler(key, variant);
      auto a = acceptor(key);
      run(d, a, step);
      const auto& dialled = std::get<HandshakeAccepted>(dialler_end_.value());
      const auto& accepted = std::get<HandshakeAccepted>(acceptor_end_.value());
      EXPECT_EQ(dialled.variant, variant);
      EXPECT_EQ(accepted.variant, variant);
      EXPECT_TRUE(dialled.bound) << "our acceptors prove themselves to our diallers";
      EXPECT_TRUE(a.done() && d.done());
      EXPECT_EQ(a.next_timeout(), kNever);
      EXPECT_EQ(d.next_timeout(), kNever);
    }
  }
}

TEST_F(Handshake, AnotherSecretIsRejectedOnBothSides) {
  const auto ours = key_of(0x42);
  const auto theirs = key_of(0x43);
  for (const auto variant : {Variant::a_prime, Variant::b, Variant::a}) {
    auto d = dialler(theirs, variant);
    auto a = acceptor(ours);
    run(d, a);
    const auto& failed = std::get<HandshakeFailed>(dialler_end_.value());
    EXPECT_EQ(failed.error.code, Code::authentication_failed);
    EXPECT_TRUE(failed.challenged) << "no other variant would do better";
    EXPECT_FALSE(a.done()) << "the verdict is on its way";
    a.on_acknowledged();
    const auto closed = expect<HandshakeFailed>(a);
    EXPECT_EQ(closed.close_code, 1u);
    EXPECT_EQ(closed.close_reason,
              variant == Variant::b ? "authentication failed" : "formation auth failed");
  }
}

// --- bytes that existing peers speak, id test-formation, secret 42*32
// -----------------------------

TEST_F(Handshake, V4DiallerAnswersAnOldAcceptorByteForByte) {
  const auto key = key_of(0x42);
  const auto challenge = hex("0e00746573742d666f726d6174696f6e42" + std::string(62, '0'));
  const auto response = hex("2f38d2bd0eab147be2169a87dcd9fdb603a208cf1cc88fb88b9b78ac0ce1a5c4");

  auto a_prime = dialler(key, Variant::a_prime);
  EXPECT_EQ(expect<HandshakeOpen>(a_prime).first, hex("01"));
  auto framed = hex("30000000");
  framed.insert(framed.end(), challenge.begin(), challenge.end());
  a_prime.on_stream_bytes(kStart, framed, false);
  auto framed_response = hex("20000000");
  framed_response.insert(framed_response.end(), response.begin(), response.end());
  EXPECT_EQ(expect<HandshakeWrite>(a_prime).bytes, framed_response);
  a_prime.on_stream_bytes(kStart, hex("01"), true);
  EXPECT_FALSE(expect<HandshakeAccepted>(a_prime).bound) << "an old acceptor binds nothing";

  auto b = dialler(key, Variant::b);
  EXPECT_EQ(expect<HandshakeOpen>(b).first, hex("0e00746573742d666f726d6174696f6e"));
  b.on_stream_bytes(kStart, challenge, false);
  EXPECT_EQ(expect<HandshakeWrite>(b).bytes, response);
  b.on_stream_bytes(kStart, hex("01"), false);
  EXPECT_EQ(expect<HandshakeAccepted>(b).variant, Variant::b);

  auto a = dialler(key, Variant::a);
  EXPECT_TRUE(expect<HandshakeOpen>(a).first.empty()) << "a zero-length STREAM frame";
}

TEST_F(Handshake, AcceptorChallengesInTheFormOfEachVariant) {
  const auto key = key_of(0x42);
  auto a_prime = acceptor(key);
  a_prime.on_stream_bytes(kStart, hex("01"), false);
  auto bytes = expect<HandshakeWrite>(a_prime).bytes;
  EXPECT_EQ(to_hex(ByteView(bytes).first(20)), "300000000e00746573742d666f726d6174696f6e");
  EXPECT_EQ(bytes.size(), 52u);

  auto b = acceptor(key);
  b.on_stream_bytes(kStart, hex("0e00746573742d666f726d6174696f6e"), false);
  bytes = expect<HandshakeWrite>(b).bytes;
  EXPECT_EQ(to_hex(ByteView(bytes).first(16)), "0e00746573742d666f726d6174696f6e");
  EXPECT_EQ(bytes.size(), 48u);
}

// D-05: a Rust dialler of variant A and a Rust acceptor wait for each other until both give up.
TEST_F(Handshake, D05ASilentStreamIsServedAsVariantAAfter250Ms) {
  const auto key = key_of(0x42);
  auto a = acceptor(key);
  a.on_stream_opened(kStart + 1s);
  EXPECT_EQ(a.next_timeout(), kStart + 1s + 250ms);
  a.on_timeout(kStart + 1s + 249ms);
  EXPECT_TRUE(drain(a).empty());
  a.on_timeout(kStart + 1s + 250ms);
  EXPECT_EQ(expect<HandshakeWrite>(a).bytes.size(), 52u);
}

TEST_F(Handshake, AMemberOfAnotherFormationIsTurnedAway) {
  const auto key = key_of(0x42);
  for (const auto* hello : {"0d00616161", "0e016161", "0e00616161616161616161616161616161"}) {
    auto a = acceptor(key);
    a.on_stream_bytes(kStart, hex(hello), false);
    EXPECT_EQ(expect<HandshakeFailed>(a).error.code, Code::authentication_failed) << hello;
  }
  for (const auto variant : {Variant::a_prime, Variant::b, Variant::a}) {
    const auto other_key = key_of(0x42, "test-formatiom");
    auto d = dialler(key, variant);
    auto a = acceptor(other_key);
    run(d, a);
    EXPECT_EQ(std::get<HandshakeFailed>(variant == Variant::b ? *acceptor_end_ : *dialler_end_)
                  .error.code,
              Code::authentication_failed);
  }
  auto d = dialler(key, Variant::b);
  d.on_stream_bytes(kStart, hex("0400"), false);
  EXPECT_EQ(expect<HandshakeFailed>(d).error.code, Code::authentication_failed);
}

// --- unauthenticated peers
// ------------------------------------------------------------------------

// D-08, D1b: the released Rust node serves everyone; ours only where it was told to.
TEST_F(Handshake, D08AnUnauthenticatedFrameIsRefusedUnlessAllowed) {
  const auto key = key_of(0x42);
  const auto frame = hex("000863656c6c733a63310100000004deadbeef");
  auto strict = acceptor(key);
  strict.on_stream_bytes(kStart, frame, true);
  const auto failed = expect<HandshakeFailed>(strict);
  EXPECT_EQ(failed.error.code, Code::authentication_failed);
  EXPECT_EQ(failed.close_reason, "formation auth failed");

  auto open = acceptor(key, true);
  open.on_stream_bytes(kStart, frame, true);
  const auto accepted = expect<HandshakeAccepted>(open);
  EXPECT_EQ(accepted.variant, std::nullopt);
  EXPECT_FALSE(accepted.bound);
  EXPECT_EQ(accepted.unread, frame) << "nothing that the peer said is lost";
}

TEST_F(Handshake, ADiallerThatOpensNoStreamIsUnauthenticatedAfterTwoSecondsWhereAllowed) {
  const auto key = key_of(0x42);
  auto open = acceptor(key, true);
  EXPECT_EQ(open.next_timeout(), kStart + 2s);
  open.on_timeout(kStart + 2s);
  EXPECT_EQ(expect<HandshakeAccepted>(open).variant, std::nullopt);

  auto strict = acceptor(key);
  EXPECT_EQ(strict.next_timeout(), kStart + 30s);
  strict.on_timeout(kStart + 2s);
  EXPECT_TRUE(drain(strict).empty());
  strict.on_timeout(kStart + 30s);
  const auto failed = expect<HandshakeFailed>(strict);
  EXPECT_EQ(failed.error.code, Code::timeout);
  EXPECT_EQ(failed.close_code, 1u);
  EXPECT_EQ(failed.close_reason, "formation auth failed");
}

TEST_F(Handshake, WhereUnauthenticatedPeersAreAllowedMembersStillProveThemselves) {
  const auto key = key_of(0x42);
  for (const auto variant : {Variant::a_prime, Variant::b, Variant::a}) {
    auto d = dialler(key, variant);
    auto a = acceptor(key, true);
    run(d, a);
    EXPECT_EQ(std::get<HandshakeAccepted>(acceptor_end_.value()).variant, variant);
  }
}

// --- binding
// --------------------------------------------------------------------------------------

// D-29: somebody between two members relays one's challenge to the other.
TEST_F(Handshake, D29ARelayedChallengeIsRefusedWhereBindingIsRequired) {
  const auto key = key_of(0x42);
  FormationAcceptor far(kStart, {key, kAcceptorId, id_of(9)}, random_, {});  // sees the relay
  auto d = dialler(key, Variant::a_prime, {.require_bound = true, .rtt = {}, .limits = {}});
  run(d, far);
  const auto& failed = std::get<HandshakeFailed>(dialler_end_.value());
  EXPECT_EQ(failed.error.code, Code::authentication_failed);
  EXPECT_FALSE(far.done()) << "the relay got no proof to pass on";

  FormationAcceptor again(kStart, {key, kAcceptorId, id_of(9)}, random_, {});
  auto lenient = dialler(key, Variant::a_prime);
  run(lenient, again);
  EXPECT_FALSE(std::get<HandshakeAccepted>(dialler_end_.value()).bound);
}

// --- time
// -----------------------------------------------------------------------------------------

TEST_F(Handshake, AnAttemptWithoutAChallengeIsDroppedAfterTwoSecondsOrFourRoundTrips) {
  const auto key = key_of(0x42);
  auto near = dialler(key, Variant::a_prime);
  EXPECT_EQ(near.next_timeout(), kStart + 2s);
  near.on_timeout(kStart + 2s);
  const auto failed = expect<HandshakeFailed>(near);
  EXPECT_EQ(failed.error.code, Code::timeout);
  EXPECT_FALSE(failed.challenged) << "the next variant is worth a dial";

  auto far = dialler(key, Variant::a_prime, {.require_bound = false, .rtt = 800ms, .limits = {}});
  EXPECT_EQ(far.next_timeout(), kStart + 3200ms);
}

TEST_F(Handshake, TheVerdictIsAwaitedUntilTheTotalDeadline) {
  const auto key = key_of(0x42);
  auto d = dialler(key, Variant::b);
  d.on_stream_bytes(kStart, hex("0e00746573742d666f726d6174696f6e" + std::string(64, '0')), false);
  EXPECT_EQ(d.next_timeout(), kStart + 30s);
  d.on_timeout(kStart + 30s);
  EXPECT_TRUE(expect<HandshakeFailed>(d).challenged);
}

// D-07: one silent peer stops every other from being accepted; here it only spends its own time.
TEST_F(Handshake, D07OneDeadlineCoversAnAcceptorHoweverSlowlyBytesCome) {
  const auto key = key_of(0x42);
  auto a = acceptor(key);
  a.on_stream_bytes(kStart + 1s, hex("01"), false);
  drain(a);
  for (int second = 2; second < 30; ++second) {
    a.on_stream_bytes(kStart + second * 1s, second < 6 ? hex("20") : Bytes{}, false);
    if (a.done()) break;
    a.on_timeout(kStart + second * 1s);
  }
  EXPECT_TRUE(a.done()) << "0x20202020 is no response length";

  auto slow = acceptor(key);
  slow.on_stream_bytes(kStart + 1s, hex("01"), false);
  drain(slow);
  slow.on_stream_bytes(kStart + 29s, hex("2000000000"), false);
  EXPECT_EQ(slow.next_timeout(), kStart + 30s);
  slow.on_timeout(kStart + 30s);
  EXPECT_EQ(expect<HandshakeFailed>(slow).error.code, Code::timeout);
}

// D1c: existing acceptors close at once, so that their verdict is rarely read.
TEST_F(Handshake, D1cAfterARejectTheVerdictGetsASecondToArriveBeforeTheClose) {
  const auto key = key_of(0x42);
  auto a = acceptor(key);
  a.on_stream_bytes(kStart, hex("01"), false);
  drain(a);
  auto wrong = hex("20000000");
  wrong.resize(36, 0xee);
  a.on_stream_bytes(kStart + 5s, wrong, true);
  auto outputs = drain(a);
  ASSERT_EQ(outputs.size(), 1u);
  EXPECT_EQ(std::get<HandshakeWrite>(outputs[0]).bytes, hex("00"));
  EXPECT_TRUE(std::get<HandshakeWrite>(outputs[0]).fin);
  EXPECT_EQ(a.next_timeout(), kStart + 6s);
  a.on_timeout(kStart + 6s);
  EXPECT_EQ(expect<HandshakeFailed>(a).error.code, Code::authentication_failed);
}

// --- hostile input
// --------------------------------------------------------------------------------

TEST_F(Handshake, LimitOfTheResponse) {
  const auto key = key_of(0x42);
  for (const auto* length : {"01010000", "1f000000", "ffffffff"}) {
    auto a = acceptor(key);
    a.on_stream_bytes(kStart, hex("01"), false);
    drain(a);
    a.on_stream_bytes(kStart, hex(length), false);
    EXPECT_EQ(expect<HandshakeFailed>(a).error.code, Code::limit_exceeded) << length;
  }
}

TEST_F(Handshake, LimitOfTheChallenge) {
  const auto key = key_of(0x42);
  auto d = dialler(key, Variant::a_prime);
  d.on_stream_bytes(kStart, hex("01040000"), false);
  EXPECT_EQ(expect<HandshakeFailed>(d).error.code, Code::limit_exceeded);
}

TEST_F(Handshake, AStreamThatEndsEarlyFailsAtOnce) {
  const auto key = key_of(0x42);
  auto a = acceptor(key);
  a.on_stream_bytes(kStart, hex("01"), true);
  EXPECT_EQ(expect<HandshakeFailed>(a).error.code, Code::truncated);
  auto d = dialler(key, Variant::a_prime);
  d.on_stream_bytes(kStart, {}, true);
  const auto failed = expect<HandshakeFailed>(d);
  EXPECT_EQ(failed.error.code, Code::truncated);
  EXPECT_FALSE(failed.challenged);
}

TEST_F(Handshake, AnythingButOneIsAReject) {
  const auto key = key_of(0x42);
  for (const auto* verdict : {"00", "02", "ff"}) {
    auto d = dialler(key, Variant::b);
    d.on_stream_bytes(kStart, hex("0e00746573742d666f726d6174696f6e" + std::string(64, '0')),
                      false);
    d.on_stream_bytes(kStart, hex(verdict), true);
    EXPECT_EQ(expect<HandshakeFailed>(d).error.code, Code::authentication_failed) << verdict;
  }
}

}  // namespace
}  // namespace peat::security
