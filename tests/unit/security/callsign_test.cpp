#include "security/callsign.hpp"

#include <gtest/gtest.h>

#include <set>

#include "security/membership_certificate.hpp"
#include "vectors.hpp"

namespace peat::security {
namespace {

TEST(Callsigns, V12AreReadAsExistingPeersReadThem) {
  EXPECT_EQ(Callsign::parse("ALPHA-00").value(), (Callsign{0, 0}));
  EXPECT_EQ(Callsign::parse("BRAVO-01").value(), (Callsign{1, 1}));
  EXPECT_EQ(Callsign::parse("ZULU-99").value(), (Callsign{25, 99}));
  EXPECT_EQ(Callsign::parse(" november-42\n").value(), (Callsign{13, 42}));
  for (const auto* text : {"INVALID", "ALPHA-100", "ALPHA-1", "BADWORD-01", "", "-01", "ALPHA-"}) {
    EXPECT_FALSE(Callsign::parse(text)) << text;
  }
}

TEST(Callsigns, D42OnlyDigitsAreDigits) {
  for (const auto* text : {"ALPHA-+5", "ALPHA- 5", "ALPHA-5 ", "ALPHA-\xd9\xa5"}) {
    EXPECT_FALSE(Callsign::parse(text)) << text;
  }
}

TEST(Callsigns, EveryOneComesBackAsItWent) {
  for (std::uint8_t word = 0; word < 26; ++word) {
    for (std::uint8_t number = 0; number < 100; ++number) {
      const Callsign callsign{word, number};
      EXPECT_EQ(Callsign::parse(callsign.to_string()).value(), callsign);
      EXPECT_LE(callsign.to_string().size(), 11U);
    }
  }
}

TEST(Callsigns, All2600AreGivenOutOnceThenNoneIsLeft) {
  CallsignRegistry registry;
  SeededRandom random(1);
  ASSERT_TRUE(registry.reserve({3, 7}));
  EXPECT_FALSE(registry.reserve({3, 7}));
  std::set<std::string> given;
  for (std::size_t i = 0; i + 1 < kCallsigns; ++i) {
    EXPECT_TRUE(given.insert(registry.generate(random)->to_string()).second);
  }
  EXPECT_FALSE(given.contains("DELTA-07"));
  EXPECT_EQ(registry.generate(random).error().code, Code::limit_exceeded);
  EXPECT_TRUE(registry.release({3, 7}));
  EXPECT_FALSE(registry.release({3, 7}));
  EXPECT_EQ(registry.generate(random)->to_string(), "DELTA-07");
}

// D-42: the reference draws the numbers 00 to 55 half as often again as the others.
TEST(Callsigns, D42EveryNumberIsAsLikelyAsEveryOther) {
  SeededRandom random(5);
  std::size_t low = 0;
  constexpr std::size_t kDraws = 20'000;
  for (std::size_t i = 0; i < kDraws; ++i) {
    CallsignRegistry registry;
    if (registry.generate(random)->number < 56) ++low;
  }
  EXPECT_NEAR(static_cast<double>(low) / kDraws, 0.56, 0.02);
}

MembershipCertificate membership() {
  MembershipCertificate out;
  out.member = key_of(1).public_key();
  out.callsign = "ALPHA-01";
  out.mesh_id = "A1B2C3D4";
  out.issued_at_ms = kT0;
  out.expires_at_ms = kT0 + kDay;
  out.permissions = permission::kStandard;
  EXPECT_TRUE(out.sign(test_mesh().authority()));
  return out;
}

TEST(MembershipCertificates, V11AreThoseOfExistingPeers) {
  const auto bytes = membership().encode().value();
  EXPECT_EQ(
      to_hex(bytes),
      "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c08414c5048412d3031413142"
      "32433344340068e5cf8b010000"
      "00c40bd58b010000031bc4e00b6ac43c0e115eff3b2a974b819d8488412bc72da16388cafa97aabf6c"
      "0d1cb1d62a28e146ce1ed36f9b25baba7604947e28cdc3b816a56aef59be8e78cb8d53074ab268f11566b076"
      "13ccf32368397f1996088363d08c09b64befff02");
  EXPECT_EQ(bytes.size(), 162U);
  EXPECT_TRUE(MembershipCertificate::decode(bytes)->signature_matches());
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_FALSE(MembershipCertificate::decode(ByteView(bytes).first(n)));
  }
}

// D-61: the reference clears unknown permissions before it checks the signature, and takes a
// certificate that never expires for an expired one.
TEST(MembershipCertificates, D61UnknownPermissionsVerifyAndNeverIsForEver) {
  auto certificate = membership();
  certificate.permissions = 0x43;
  certificate.expires_at_ms = 0;
  ASSERT_TRUE(certificate.sign(key_of(2)));
  const auto again = MembershipCertificate::decode(*certificate.encode()).value();
  EXPECT_TRUE(again.signature_matches());
  EXPECT_EQ(again.permissions, 0x43);
  EXPECT_TRUE(again.valid_at(at(kT0 + 10'000 * kDay)));
  EXPECT_FALSE(again.valid_at(at(kT0 - 1)));
}

}  // namespace
}  // namespace peat::security
