#include "crypto/agreement.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/encoding.hpp"
#include "crypto/password.hpp"

namespace peat::crypto {
namespace {

AgreementPublicKey public_key(std::string_view hex) {
  AgreementPublicKey key;
  std::ranges::copy(*from_hex(hex), key.begin());
  return key;
}

AgreementKey secret_key(std::string_view hex) {
  const auto bytes = *from_hex(hex);
  return AgreementKey::from_secret(std::span<const std::uint8_t, 32>(bytes));
}

// RFC 7748 5.2.
TEST(Agreement, PublishedVectors) {
  const auto one = secret_key("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
  const auto shared =
      one.agree(public_key("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"));
  ASSERT_TRUE(shared);
  EXPECT_EQ(to_hex(shared->view()),
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
}

TEST(Agreement, BothSidesGetTheSameSecret) {
  SeededRandom random(7);
  const auto a = AgreementKey::generate(random);
  const auto b = AgreementKey::generate(random);
  EXPECT_TRUE(std::ranges::equal(a.agree(b.public_key())->view(), b.agree(a.public_key())->view()));
}

TEST(Agreement, D43AKeyOfSmallOrderIsRefused) {
  SeededRandom random(7);
  const auto key = AgreementKey::generate(random);
  for (const auto* hex : {"0000000000000000000000000000000000000000000000000000000000000000",
                          "0100000000000000000000000000000000000000000000000000000000000000",
                          "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                          "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                          "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    const auto shared = key.agree(public_key(hex));
    ASSERT_FALSE(shared) << hex;
    EXPECT_EQ(shared.error().code, Code::bad_public_key);
  }
}

TEST(Password, TheSameWordsSaltAndCostGiveTheSameKeyAndNothingElseDoes) {
  const std::array<std::uint8_t, kPasswordSaltBytes> salt{1, 2, 3};
  const std::array<std::uint8_t, kPasswordSaltBytes> other{1, 2, 4};
  const PasswordCost cost{1, 64};
  const auto key = [&](std::string_view word, const auto& with, const PasswordCost& at) {
    return to_hex(key_from_password(as_bytes(word), with, at)->view());
  };
  EXPECT_EQ(key("correct horse", salt, cost), key("correct horse", salt, cost));
  EXPECT_NE(key("correct horse", salt, cost), key("correct horsf", salt, cost));
  EXPECT_NE(key("correct horse", salt, cost), key("correct horse", other, cost));
  EXPECT_NE(key("correct horse", salt, cost), key("correct horse", salt, {2, 64}));
}

TEST(Password, ACostThatAFileDemandsIsBounded) {
  const std::array<std::uint8_t, kPasswordSaltBytes> salt{};
  for (const PasswordCost cost :
       {PasswordCost{0, 64}, {17, 64}, {1, 7}, {1, (4U << 20) + 1}, {1, 0xffffffff}}) {
    const auto key = key_from_password(as_bytes("x"), salt, cost);
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Code::invalid_argument);
  }
}

}  // namespace
}  // namespace peat::crypto
