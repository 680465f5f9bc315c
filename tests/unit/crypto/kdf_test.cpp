#include "crypto/kdf.hpp"

#include <gtest/gtest.h>

#include "base/encoding.hpp"

namespace peat::crypto {
namespace {

Bytes hex(std::string_view text) { return from_hex(text).value(); }

Bytes ascending(std::uint8_t first, std::size_t n) {
  Bytes out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::uint8_t>(first + i);
  return out;
}

std::string hkdf_hex(const Bytes& salt, const Bytes& key, const Bytes& info, std::size_t size) {
  return to_hex(hkdf_sha256(salt, key, info, size).value().view());
}

TEST(Hmac, Rfc4231) {
  EXPECT_EQ(to_hex(hmac_sha256(Bytes(20, 0x0b), {as_bytes("Hi There")})),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"),
                               {as_bytes("what do ya want "), as_bytes("for nothing?")})),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(Bytes(131, 0xaa),
                               {as_bytes("Test Using Larger Than Block-Size Key - Hash Key "
                                         "First")})),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Hkdf, Rfc5869) {
  EXPECT_EQ(hkdf_hex(ascending(0x00, 13), Bytes(22, 0x0b), ascending(0xf0, 10), 42),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
            "34007208d5b887185865");
  EXPECT_EQ(hkdf_hex(ascending(0x60, 80), ascending(0x00, 80), ascending(0xb0, 80), 82),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
            "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
            "cc30c58179ec3e87c14c01d5c1f3434f1d87");
  EXPECT_EQ(hkdf_hex({}, Bytes(22, 0x0b), {}, 42),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
            "9d201395faa4b61a96c8");
}

TEST(Hkdf, GivesAtMost255Blocks) {
  EXPECT_EQ(hkdf_sha256({}, hex("01"), {}, kHkdfMaxBytes).value().size(), kHkdfMaxBytes);
  EXPECT_EQ(hkdf_sha256({}, hex("01"), {}, kHkdfMaxBytes + 1).error().code, Code::invalid_argument);
}

TEST(ConstantTime, ComparesContentAndLength) {
  EXPECT_TRUE(equal_constant_time(hex("0102"), hex("0102")));
  EXPECT_FALSE(equal_constant_time(hex("0102"), hex("0103")));
  EXPECT_FALSE(equal_constant_time(hex("0102"), hex("010200")));
  EXPECT_TRUE(equal_constant_time({}, {}));
}

}  // namespace
}  // namespace peat::crypto
