#include "security/certificate.hpp"

#include <gtest/gtest.h>

#include "security/device_id.hpp"
#include "vectors.hpp"

namespace peat::security {
namespace {

Certificate member_certificate() {
  Certificate c;
  c.subject = key_of(1).public_key();
  c.mesh_id = kMeshId;
  c.node_id = "tac-west-1";
  c.tier = Tier::tactical;
  c.permissions = permission::kStandard;
  c.issued_at_ms = kT0;
  c.expires_at_ms = kT0 + kDay;
  EXPECT_TRUE(c.sign(test_mesh().authority()));
  return c;
}

TEST(DeviceIds, V1AreTheFirstHalfOfTheKeysHash) {
  const struct {
    std::uint8_t seed;
    std::string_view key, id;
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
    const auto key = key_of(row.seed).public_key();
    EXPECT_EQ(key.to_string(), row.key);
    EXPECT_EQ(DeviceId::of(key).to_string(), row.id);
    EXPECT_EQ(*DeviceId::parse(row.id), DeviceId::of(key));
  }
  EXPECT_EQ(*DeviceId::parse("34750F98BD59FCFC946DA45AAABE933B"),
            DeviceId::of(key_of(1).public_key()));
}

TEST(DeviceIds, D41OnlyHexDigitsAreTaken) {
  for (const auto* text : {"abc", "00112233", "zz", "+a750f98bd59fcfc946da45aaabe933b",
                           "3\xc3\xa4"
                           "750f98bd59fcfc946da45aaabe93",
                           "34750f98bd59fcfc946da45aaabe933b0"}) {
    EXPECT_FALSE(DeviceId::parse(text)) << text;
  }
}

TEST(Certificates, V6AMembersEncodingIsThatOfExistingPeers) {
  const auto certificate = member_certificate();
  const auto bytes = certificate.encode().value();
  EXPECT_EQ(to_hex(bytes), std::string(kMemberSigned) + std::string(kMemberSignature));
  EXPECT_EQ(bytes.size(), 166U);
  EXPECT_EQ(
      to_base64(bytes),
      "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1wIMEI2Q0E3NkYKdGFjLXdlc3QtMQIDAGjlz4sBAAAAxAvViwE"
      "AABvE4AtqxDwOEV7/OyqXS4GdhIhBK8ctoWOIyvqXqr9sKhJ/imVdWLYhF5A8noxPasei4wnW9LZwwgt7yPs0WhoIyr"
      "u/RiNQYNDJFTf1GMP9r+xHfH2Zu1xeG3fBBxYZBA==");
  EXPECT_EQ(Certificate::decode(bytes).value(), certificate);
  EXPECT_TRUE(certificate.signature_matches());
}

TEST(Certificates, V6TheAuthoritysOwn) {
  const auto root = test_mesh().root_certificate("authority-0", kAtT0).value();
  EXPECT_EQ(
      to_hex(*root.encode()),
      "1bc4e00b6ac43c0e115eff3b2a974b819d8488412bc72da16388cafa97aabf6c083042364341373646"
      "0b617574686f726974792d3000870068e5cf8b01000000000000000000001bc4e00b6ac43c0e115eff3b2a97"
      "4b819d8488412bc72da16388cafa97aabf6c"
      "6ca636fbdbe8b9a362f6662e4101138e93141d059dcb634fbe46720902a4d6c967a7c7373b86464c5d81e48b"
      "b271637eeb5794dcefd3164f8085fc0af97a9309");
  EXPECT_TRUE(root.self_signed());
  EXPECT_TRUE(root.has(permission::kAuthority));
}

TEST(Certificates, V6TheSmallest) {
  Certificate certificate;
  certificate.subject = key_of(1).public_key();
  certificate.tier = Tier::enterprise;
  ASSERT_TRUE(certificate.sign(key_of(1)));
  const auto bytes = certificate.encode().value();
  EXPECT_EQ(bytes.size(), kCertificateMinBytes);
  EXPECT_EQ(to_hex(certificate.signature),
            "b3f4cf24a287e7140e43778fb3cd171504d3cbcae2212feb19e02e386a6189174a5ec90f26fb8f6285eb73"
            "08af34d94965b18ed42197a0755c9a11519286a80e");
}

TEST(Certificates, TheLargestHas658BytesAndD24ALongerNameIsRefused) {
  auto certificate = member_certificate();
  certificate.mesh_id.assign(255, 'm');
  certificate.node_id.assign(255, 'n');
  ASSERT_TRUE(certificate.sign(key_of(3)));
  EXPECT_EQ(certificate.encode()->size(), kCertificateMaxBytes);
  certificate.node_id += 'n';
  const auto refused = certificate.encode();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::limit_exceeded);
  EXPECT_FALSE(certificate.sign(key_of(3)));
}

TEST(Certificates, AnyChangedBitBreaksTheSignature) {
  const auto bytes = member_certificate().encode().value();
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto changed = bytes;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1U << bit % 8));
    const auto decoded = Certificate::decode(changed);
    EXPECT_FALSE(decoded && decoded->signature_matches()) << bit;
  }
}

TEST(Certificates, TruncatedOnesAreRefusedAndTrailingBytesAreTheReadersChoice) {
  auto bytes = member_certificate().encode().value();
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const auto decoded = Certificate::decode(ByteView(bytes).first(n));
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, Code::truncated) << n;
  }
  bytes.push_back(0);
  EXPECT_FALSE(Certificate::decode(bytes));
  EXPECT_TRUE(Certificate::decode(bytes, Trailing::ignore));
}

TEST(Certificates, BadTiersAndTextsThatAreNoUtf8AreRefused) {
  auto bytes = member_certificate().encode().value();
  auto tier = bytes;
  tier[32 + 9 + 11] = 4;
  EXPECT_EQ(Certificate::decode(tier).error().code, Code::malformed);
  auto name = bytes;
  name[34] = 0xff;
  EXPECT_EQ(Certificate::decode(name).error().code, Code::malformed);
}

TEST(Certificates, TimesBeyondWhatDocumentsCanHoldAreNotSigned) {
  auto certificate = member_certificate();
  certificate.expires_at_ms = kMaxTimeMs + 1;
  EXPECT_FALSE(certificate.sign(key_of(1)));
}

TEST(Certificates, TheirTimeHasSkewToSpareAndNeverIsForEver) {
  using std::chrono::minutes;
  auto c = member_certificate();
  EXPECT_TRUE(c.valid_at(at(kT0), {}));
  EXPECT_FALSE(c.valid_at(at(kT0 - 1), {}));
  EXPECT_TRUE(c.valid_at(at(kT0 - 300'000), minutes(5)));
  EXPECT_FALSE(c.valid_at(at(kT0 - 300'001), minutes(5)));
  EXPECT_FALSE(c.valid_at(at(kT0 + kDay), {}));
  EXPECT_TRUE(c.valid_at(at(kT0 + kDay + 299'999), minutes(5)));
  EXPECT_FALSE(c.valid_at(at(kT0 + kDay + 300'000), minutes(5)));
  c.expires_at_ms = 0;
  EXPECT_TRUE(c.valid_at(at(kMaxTimeMs), {}));
  EXPECT_FALSE(c.valid_at({-1}, minutes(5)));
}

TEST(Certificates, TiersAndPermissionsHaveNames) {
  EXPECT_EQ(parse_tier(" tactical ").value(), Tier::tactical);
  EXPECT_EQ(to_string(Tier::enterprise), "Enterprise");
  EXPECT_FALSE(parse_tier("gold"));
  EXPECT_EQ(parse_permissions("standard,ENROLL").value(), 0x07);
  EXPECT_EQ(parse_permissions("none").value(), 0);
  EXPECT_FALSE(parse_permissions("root"));
  EXPECT_EQ(describe_permissions(permission::kAuthority), "relay,emergency,enroll,admin");
  EXPECT_EQ(describe_permissions(0x08), "0x08");
  EXPECT_EQ(describe_permissions(0), "none");
}

}  // namespace
}  // namespace peat::security
