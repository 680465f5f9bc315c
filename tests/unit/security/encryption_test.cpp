#include "security/encryption.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/encoding.hpp"
#include "base/reader.hpp"

namespace peat::security {
namespace {

// The bytes 0, 1, 2, …, again with each call.
class Ascending final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override { std::iota(out.begin(), out.end(), 0); }
};

crypto::AgreementKey agreement(std::uint8_t byte) {
  const Bytes secret(32, byte);
  return crypto::AgreementKey::from_secret(ByteView(secret).first<32>());
}

crypto::SecretBytes secret(std::uint8_t byte) { return crypto::SecretBytes(Bytes(32, byte)); }

std::string text_of(const Result<Bytes>& bytes) {
  return bytes ? std::string(as_text(*bytes)) : "error: " + bytes.error().message;
}

TEST(Encryption, V8PeerKeysAndMessages) {
  const auto alice = agreement(0x2a);
  const auto bob = agreement(0x2b);
  EXPECT_EQ(to_hex(alice.public_key()),
            "07aaff3e9fc167275544f4c3a6a17cd837f2ec6e78cd8a57b1e3dfb3cc035a76");
  EXPECT_EQ(to_hex(bob.public_key()),
            "45c7e0150b2d6ab9f25c8257194b1498c74222181369b5e1ff0d97a985159a53");
  EXPECT_EQ(to_hex(alice.agree(bob.public_key())->view()),
            "34186160d9195592ef25afccf3d9a167a9bc193bd5e82e92c4ccf1e538e8e924");
  const auto key = derive_peer_key(alice, bob.public_key()).value();
  EXPECT_EQ(to_hex(key.view()), "a5b0c153b1df55692ee7906a3789f3fc902077580750ace5c8f9cb634f272b47");
  Ascending random;
  const auto sealed = seal_for_peer(key, as_bytes("Secret message from Alice"), random).value();
  EXPECT_EQ(
      to_hex(sealed),
      "000102030405060708090a0b62e7097577c0aa91e6cc03105f39aa2641a144e629c37fe3bc2d875af53efdb0"
      "c116559f6755463dbf");
  const auto theirs = derive_peer_key(bob, alice.public_key()).value();
  EXPECT_EQ(text_of(open_from_peer(theirs, sealed)), "Secret message from Alice");
  EXPECT_EQ(to_hex(*seal_for_peer(secret(0x2a), as_bytes("Hello, World!"), random)),
            "000102030405060708090a0bd6d85efcde4b18aefa8b32c037ade1b25f0d4527fff901890cef591855");
}

TEST(Encryption, V8GroupMessages) {
  Ascending random;
  const auto sealed =
      seal_for_group_v1(secret(7), {"cell-99", 5}, as_bytes("Cell broadcast"), random).value();
  EXPECT_EQ(
      to_hex(sealed),
      "0700000063656c6c2d39390500000000000000000102030405060708090a0b6f109d4f4cf9dd43761262abcc"
      "6ed5eca06b73b971bd08f647d00b3a581e");
  GroupKeys keys("cell-99");
  ASSERT_TRUE(keys.install({5, secret(7), 0, 0}, Instant{}));
  EXPECT_EQ(text_of(keys.open(sealed, Instant{})), "Cell broadcast");
}

TEST(Encryption, V8DocumentsAtRest) {
  Ascending random;
  const auto key = derive_legacy_document_key(agreement(0x2a).public_key()).value();
  EXPECT_EQ(to_hex(key.view()), "75b5e20d528330e582121c4c178c7006ed539ea80b6a310235487e5bf386c26f");
  EXPECT_EQ(
      to_hex(*seal_for_peer(key, as_bytes("Sensitive document content"), random)),
      "000102030405060708090a0b6bb5d7cf97a1f23dc57ed47251e9039da69a127a776fc64ce6c2d04b5fdcdb46"
      "19ff5091253c73096bb2");
  const auto cipher = StoreCipher::from_base64(to_base64(Bytes(32, 0xab))).value();
  const std::string sealed =
      "ENC:v1:AAECAwQFBgcICQoLW3luOyJ7Cnp+DS7mC/ZKgInBGz6zV0OnmDi5lUE3Vr7MzNyONs4vuw+I";
  EXPECT_EQ(cipher.seal_v1(R"({"hello":"world","num":42})", random), sealed);
  EXPECT_EQ(cipher.open(sealed, "any:document").value(), R"({"hello":"world","num":42})");
}

// D-04: the reference's at-rest key is computed from a public key.
TEST(Encryption, D04OurDocumentKeyIsNotToBeHadFromThePublicKey) {
  const auto mine = agreement(0x2a);
  EXPECT_NE(to_hex(derive_document_key(mine)->view()),
            to_hex(derive_legacy_document_key(mine.public_key())->view()));
  EXPECT_NE(to_hex(derive_document_key(mine)->view()),
            to_hex(derive_document_key(agreement(0x2b))->view()));
}

struct Channels {
  PeerChannel a = *PeerChannel::establish(agreement(1), agreement(2).public_key(),
                                          PeerChannel::Role::initiator);
  PeerChannel b = *PeerChannel::establish(agreement(2), agreement(1).public_key(),
                                          PeerChannel::Role::responder);
};

TEST(PeerChannels, BothWaysInAnyOrder) {
  Channels c;
  const auto first = *c.a.seal(as_bytes("one"));
  const auto second = *c.a.seal(as_bytes("two"));
  EXPECT_EQ(text_of(c.b.open(second)), "two");
  EXPECT_EQ(text_of(c.b.open(first)), "one");
  EXPECT_EQ(text_of(c.a.open(*c.b.seal(as_bytes("back")))), "back");
}

// D-43, D-44: in the reference a message can be sent back to its sender, and again.
TEST(PeerChannels, D44ARepeatedMessageIsRefusedAndD43AReflectedOne) {
  Channels c;
  const auto message = *c.a.seal(as_bytes("fire"));
  EXPECT_EQ(c.a.open(message).error().code, Code::decryption_failed);
  EXPECT_EQ(text_of(c.b.open(message)), "fire");
  EXPECT_EQ(c.b.open(message).error().code, Code::replayed);
}

TEST(PeerChannels, WhatIsForgedDoesNotMoveTheWindow) {
  Channels c;
  const auto good = *c.a.seal(as_bytes("one"));
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= 0x80;
    EXPECT_FALSE(c.b.open(bad)) << i;
    EXPECT_FALSE(c.b.open(ByteView(good).first(i))) << i;
  }
  EXPECT_EQ(text_of(c.b.open(good)), "one");
}

TEST(Groups, D45AGenerationIsNeverRolledBackAndOldOnesAreKeptForWhatIsUnderWay) {
  Instant now{};
  GroupKeys issuer("cell"), member("cell");
  SeededRandom random(1);
  const auto share = [&](std::uint32_t index) {
    const auto generation = issuer.generation();
    return member.install(
        {generation, crypto::SecretBytes(issuer.key(generation)->view()), index, 0}, now);
  };
  std::vector<Bytes> messages;
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(issuer.rotate(random, 1, now));
    ASSERT_TRUE(share(2));
    messages.push_back(*issuer.seal(as_bytes("m")));
    EXPECT_EQ(share(2).error().code, Code::replayed);
  }
  EXPECT_EQ(member.open(messages[0], now).error().code, Code::no_group_key) << "five are kept";
  EXPECT_EQ(text_of(member.open(messages[1], now)), "m");
  now += std::chrono::hours(25);
  EXPECT_EQ(member.open(messages[2], now).error().code, Code::no_group_key) << "for a day";
  EXPECT_EQ(text_of(member.open(messages[5], now)), "m") << "the current one";
}

TEST(Groups, D44GroupGenerationAndSenderAreAuthenticAndRepeatsAreRefused) {
  GroupKeys a("cell"), b("cell"), other("call");
  ASSERT_TRUE(a.install({1, secret(7), 1, 0}, Instant{}));
  ASSERT_TRUE(b.install({1, secret(7), 2, 0}, Instant{}));
  ASSERT_TRUE(other.install({1, secret(7), 3, 0}, Instant{}));
  const auto message = *a.seal(as_bytes("go"));
  EXPECT_EQ(other.open(message, Instant{}).error().code, Code::no_group_key);
  for (std::size_t i = 0; i < message.size(); ++i) {
    auto bad = message;
    bad[i] ^= 1;
    EXPECT_FALSE(b.open(bad, Instant{})) << i;
    EXPECT_FALSE(b.open(ByteView(message).first(i), Instant{})) << i;
  }
  EXPECT_EQ(text_of(b.open(message, Instant{})), "go");
  EXPECT_EQ(b.open(message, Instant{}).error().code, Code::replayed);
  // Two senders never share a nonce: the same counter of each opens.
  EXPECT_EQ(text_of(a.open(*b.seal(as_bytes("yes")), Instant{})), "yes");
}

TEST(Groups, SoManySendersAreToldApartAndNoMore) {
  GroupKeys reader("cell");
  ASSERT_TRUE(reader.install({1, secret(7), 0, 0}, Instant{}));
  const auto said_by = [](std::uint32_t sender) {
    GroupKeys member("cell");
    EXPECT_TRUE(member.install({1, secret(7), sender, 0}, Instant{}));
    return *member.seal(as_bytes("m"));
  };
  for (std::uint32_t n = 1; n <= GroupKeys::kMaxSenders; ++n) {
    ASSERT_TRUE(reader.open(said_by(n), Instant{}));
  }
  EXPECT_EQ(reader.open(said_by(5000), Instant{}).error().code, Code::limit_exceeded);
  EXPECT_EQ(reader.open(said_by(1), Instant{}).error().code, Code::replayed);
}

TEST(Groups, AReaderOfVersion1FailsCleanlyOnVersion2) {
  GroupKeys a("cell");
  ASSERT_TRUE(a.install({1, secret(7), 1, 0}, Instant{}));
  const auto message = *a.seal(as_bytes("go"));
  // What it takes for the length of the group id is beyond the message.
  EXPECT_GT(*Reader(message).u32le("length"), message.size());
}

TEST(Groups, ACounterGoesOnAfterARestart) {
  GroupKeys a("cell");
  ASSERT_TRUE(a.install({1, secret(7), 1, 0}, Instant{}));
  const auto before = *a.seal(as_bytes("x"));
  const auto next = a.next_counter();
  EXPECT_EQ(next, 1U);
  GroupKeys again("cell");
  ASSERT_TRUE(again.install({1, secret(7), 1, next}, Instant{}));
  EXPECT_NE(*again.seal(as_bytes("x")), before) << "a nonce that serves twice tells the texts";
}

// D-51: in the reference sealed documents can change places.
TEST(StoreCiphers, D51SealedDocumentsCannotChangePlacesNorBePassedOffAsPlain) {
  SeededRandom random(1);
  const auto cipher = StoreCipher::from_base64(to_base64(Bytes(32, 0xab))).value();
  const auto sealed = cipher.seal(R"({"a":1})", "cargo:7", random);
  EXPECT_TRUE(StoreCipher::is_sealed(sealed));
  EXPECT_EQ(cipher.open(sealed, "cargo:7").value(), R"({"a":1})");
  EXPECT_EQ(cipher.open(sealed, "cargo:8").error().code, Code::decryption_failed);
  EXPECT_EQ(cipher.open(R"({"a":1})", "cargo:7").error().code, Code::malformed);
  const auto other = StoreCipher::from_base64(to_base64(Bytes(32, 0xac))).value();
  EXPECT_NE(other.open(sealed, "cargo:7").error().message.find(cipher.key_id()), std::string::npos);
  EXPECT_FALSE(StoreCipher::from_base64("c2hvcnQ="));
}

TEST(ReplayWindows, TakeEveryCounterOnceWithin2048) {
  ReplayWindow window;
  const auto take = [&](std::uint64_t counter) {
    const bool fresh = window.is_new(counter);
    if (fresh) window.mark(counter);
    return fresh;
  };
  EXPECT_TRUE(take(0));
  EXPECT_FALSE(take(0));
  EXPECT_TRUE(take(5000));
  EXPECT_FALSE(take(5000 - 2048));
  EXPECT_TRUE(take(5000 - 2047));
  EXPECT_FALSE(take(5000 - 2047));
  EXPECT_TRUE(take(4000));
  EXPECT_TRUE(take(5001));
  EXPECT_FALSE(take(4000));
  EXPECT_TRUE(take(4001));
  EXPECT_TRUE(take(~std::uint64_t{0} - 1));
  EXPECT_FALSE(take(5001));
}

// Against a set that remembers everything.
TEST(ReplayWindows, AgreeWithASetThatRemembersEverything) {
  SeededRandom random(9);
  ReplayWindow window;
  std::set<std::uint64_t> taken;
  std::uint64_t highest = 0;
  for (int i = 0; i < 50'000; ++i) {
    const auto jump = random.next_u64() % 3000;
    const auto counter =
        random.next_u64() % 8 == 0 ? highest + jump % 100 : highest - std::min(highest, jump);
    const bool expected = !taken.contains(counter) &&
                          (taken.empty() || counter > highest || highest + 1 - counter <= 2048);
    ASSERT_EQ(window.is_new(counter), expected) << i << " " << counter << " " << highest;
    if (!expected) continue;
    window.mark(counter);
    taken.insert(counter);
    highest = std::max(highest, counter);
  }
}

}  // namespace
}  // namespace peat::security
