#include "crypto/keys.hpp"

#include <gtest/gtest.h>

#include <concepts>
#include <sstream>

#include "base/encoding.hpp"

namespace peat::crypto {
namespace {

SecretKey key_of(std::uint8_t byte) {
  std::array<std::uint8_t, 32> seed;
  seed.fill(byte);
  return SecretKey::from_seed(seed);
}

template <class T>
concept Printable = requires(std::ostream& out, const T& value) { out << value; };

static_assert(!std::copyable<SecretKey> && std::movable<SecretKey>);
static_assert(!std::copyable<SecretBytes> && std::movable<SecretBytes>);
static_assert(!Printable<SecretKey>);

TEST(SecretKey, V1PublicKeysAndDeviceIdsOfKnownSeeds) {
  const struct {
    std::uint8_t byte;
    std::string_view public_key;
    std::string_view device_id;
  } rows[] = {
      {0x01, "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
       "34750f98bd59fcfc946da45aaabe933b"},
      {0x02, "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
       "6a3803d5f059902a1c6dafbc9ba47292"},
      {0x2a, "197f6b23e16c8532c6abc838facd5ea789be0c76b2920334039bfa8b3d368d61",
       "b600306cfa76723fdec395e53a9b3d9f"},
      {0x42, "2152f8d19b791d24453242e15f2eab6cb7cffa7b6a5ed30097960e069881db12",
       "3097e2dee2cb4a34b53840cdb705aed7"},
  };
  for (const auto& row : rows) {
    const auto id = key_of(row.byte).public_key();
    EXPECT_EQ(id.to_string(), row.public_key);
    EXPECT_EQ(to_hex(ByteView(sha256(id.bytes)).first(16)), row.device_id);
  }
}

TEST(SecretKey, SignsAsExistingPeersDo) {
  const auto key = key_of(0x01);
  const auto message = as_bytes("test message for signing");
  const auto signature = key.sign(message);
  EXPECT_EQ(to_hex(signature),
            "5842d47389f0c71a4c8624fe7a1833056e975a53e9caf3f0375a35ed9b112357"
            "752de237d764f64708cd38b32ab6d58ad994a1a02d97b78556c67a073ed75706");
  EXPECT_TRUE(verify(key.public_key(), message, signature));
  EXPECT_FALSE(verify(key.public_key(), as_bytes("another message"), signature));
  EXPECT_FALSE(verify(key_of(0x02).public_key(), message, signature));
}

TEST(SecretKey, GeneratedKeysDiffer) {
  SystemRandom random;
  EXPECT_NE(SecretKey::generate(random).public_key(), SecretKey::generate(random).public_key());
}

TEST(SecretKey, AMovedKeyStillSigns) {
  auto key = key_of(0x01);
  const auto id = key.public_key();
  const auto moved = std::move(key);
  EXPECT_TRUE(verify(id, as_bytes("x"), moved.sign(as_bytes("x"))));
}

TEST(SecretBytes, IsNeverPrinted) {
  std::ostringstream out;
  out << SecretBytes(as_bytes("hunter2"));
  EXPECT_EQ(out.str(), "[redacted]");
}

TEST(SecretBytes, MovingLeavesNothingBehind) {
  SecretBytes secret(as_bytes("hunter2"));
  const auto moved = std::move(secret);
  EXPECT_EQ(as_text(moved.view()), "hunter2");
  EXPECT_EQ(secret.size(), 0u);  // NOLINT(bugprone-use-after-move): what the test is about
  EXPECT_EQ(SecretBytes(std::size_t{3}).view()[2], 0);
  EXPECT_TRUE(SecretBytes(ByteView{}).view().empty());
}

}  // namespace
}  // namespace peat::crypto
