#include <gtest/gtest.h>

#include <set>

#include "base/encoding.hpp"
#include "base/limits.hpp"
#include "base/network.hpp"
#include "base/random.hpp"
#include "base/reader.hpp"
#include "peat/ids.hpp"

namespace peat {
namespace {

TEST(Hex, RoundTripsAndNamesTheBadDigit) {
  EXPECT_EQ(to_hex(Bytes{0x00, 0xff, 0x0a, 0xb5}), "00ff0ab5");
  EXPECT_EQ(from_hex("00FF0ab5").value(), (Bytes{0x00, 0xff, 0x0a, 0xb5}));
  EXPECT_NE(from_hex("00zz").error().message.find("position 2"), std::string::npos);
  EXPECT_FALSE(from_hex("abc"));
}

TEST(Base64, IsStrictButForgivesSurroundingWhiteSpace) {
  EXPECT_EQ(to_base64(Bytes{0, 1, 2, 3}), "AAECAw==");
  EXPECT_EQ(from_base64(" AAECAw==\n").value(), (Bytes{0, 1, 2, 3}));
  EXPECT_TRUE(from_base64("").value().empty());
  EXPECT_FALSE(from_base64("AAE CAw=="));
  EXPECT_FALSE(from_base64("AAECAw"));
  EXPECT_FALSE(from_base64("AA-_Aw=="));
  EXPECT_EQ(to_base64url(Bytes{0, 0x3f, 0xbf, 3}), "AD-_Aw");
  EXPECT_EQ(from_base64url("AD-_Aw").value(), (Bytes{0, 0x3f, 0xbf, 3}));
  for (const auto* text : {"AD+_Aw", "AD-_Aw==", "AD-_ Aw", "AD-_A"}) {
    EXPECT_FALSE(from_base64url(text)) << text;
  }
}

TEST(Sha256, MatchesTheStandardVector) {
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256({as_bytes("a"), as_bytes("bc")}), sha256(as_bytes("abc")));
}

TEST(Utf8, RefusesWhatRfc3629Refuses) {
  EXPECT_TRUE(is_utf8("na\xc3\xafve \xf0\x9f\x9a\x80"));
  EXPECT_FALSE(is_utf8("\xc0\xaf"));          // overlong
  EXPECT_FALSE(is_utf8("\xed\xa0\x80"));      // surrogate
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));  // beyond U+10FFFF
  EXPECT_FALSE(is_utf8("\xe2\x82"));          // cut short
}

TEST(EndpointId, ParsesExactlySixtyFourHexDigits) {
  const std::string hex(64, 'a');
  const auto id = EndpointId::parse(hex);
  ASSERT_TRUE(id);
  EXPECT_EQ(id->to_string(), hex);
  EXPECT_EQ(id->short_form(), "aaaaaaaaaa");
  EXPECT_FALSE(EndpointId::parse(hex.substr(1)));
}

TEST(ReaderAndWriter, KeepByteOrderAndStopAtTheEnd) {
  Bytes out;
  Writer w(out);
  w.u16be(0x0102);
  w.u32le(0x03040506);
  w.u64be(7);
  EXPECT_EQ(to_hex(out), "0102060504030000000000000007");
  Reader r(out);
  EXPECT_EQ(r.u16be("a").value(), 0x0102);
  EXPECT_EQ(r.u32le("b").value(), 0x03040506U);
  EXPECT_EQ(r.u64be("c").value(), 7U);
  const auto past = r.u8("the type byte");
  ASSERT_FALSE(past);
  EXPECT_EQ(past.error().code, Code::truncated);
  EXPECT_NE(past.error().message.find("the type byte"), std::string::npos);
}

TEST(ErrorTable, NumbersAndNamesAreUnique) {
  std::set<int> numbers;
  std::set<std::string_view> names;
#define PEAT_ERROR(id, number, retry, http, exit_code, text) \
  EXPECT_TRUE(numbers.insert(number).second) << #id;         \
  EXPECT_TRUE(names.insert(#id).second) << #id;              \
  EXPECT_EQ(info(Code::id).name, #id);
#include "peat/error_codes.def"
#undef PEAT_ERROR
}

TEST(SeededRandom, SameSeedSameStream) {
  SeededRandom a(7);
  SeededRandom b(7);
  SeededRandom c(8);
  const auto first = a.next_u64();
  EXPECT_EQ(first, b.next_u64());
  EXPECT_NE(first, c.next_u64());
  EXPECT_NE(first, a.next_u64());
}

TEST(NetworkOf, OneIpv6NetworkIsOneStrangerHoweverManyAddressesItHas) {
  EXPECT_EQ(network_of("192.0.2.7:11204"), "192.0.2.7");
  EXPECT_EQ(network_of("[2001:db8:1:2:3:4:5:6]:1"), "2001:db8:1:2::/64");
  EXPECT_EQ(network_of("[2001:db8:1:2::9]:7"), network_of("[2001:db8:1:2:ffff::1]:8"));
  EXPECT_NE(network_of("[2001:db8:1:2::9]:7"), network_of("[2001:db8:1:3::9]:7"));
  EXPECT_EQ(network_of("[fe80::1%2]:1"), "fe80::/64");
  EXPECT_EQ(network_of("[::ffff:192.0.2.7]:1"), "192.0.2.7");
  EXPECT_EQ(network_of("depot.example:1"), "depot.example");
  EXPECT_EQ(network_of(""), "");
}

TEST(LimitTable, EveryLimitIsPositiveAndNamed) {
  for (const auto& row : limit_table()) {
    EXPECT_GT(row.value, 0U) << row.name;
    EXPECT_FALSE(row.policy.empty()) << row.name;
  }
}

}  // namespace
}  // namespace peat
