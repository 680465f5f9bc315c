#include "security/trust_documents.hpp"

#include <gtest/gtest.h>

#include "security/trust.hpp"
#include "vectors.hpp"

namespace peat::security {
namespace {

Certificate member() {
  return Certificate::decode(*from_hex(std::string(kMemberSigned) + std::string(kMemberSignature)))
      .value();
}

TEST(TrustDocuments, HoldTheFieldsThatExistingPeersRead) {
  const auto json = certificate_json(member(), at(kT0 + 5)).value();
  EXPECT_EQ(
      json,
      R"({"cert_data":")" + to_base64(*member().encode()) +
          R"(","node_id":"tac-west-1","tier":"Tactical","subject":")" +
          member().subject.to_string() + R"(","issuer":")" + member().issuer.to_string() +
          R"(","permissions":3,"expires_at_ms":1700086400000,"written_at_ms":1700000000005})");
  EXPECT_EQ(parse_certificate_json(json, member().subject).value(), member());
  EXPECT_EQ(certificate_key(member().subject), "certificates:" + member().subject.to_string());
  const auto key = revocation_key(member().subject);
  EXPECT_EQ(key, "revocations:" + member().subject.to_string());
  EXPECT_EQ(subject_of_key(key).value(), member().subject);
}

// D-10: of a certificate's document everything but cert_data is anybody's to write.
TEST(TrustDocuments, D10WhatIsNotSignedIsNotRead) {
  const auto data = to_base64(*member().encode());
  const auto lying = R"({"cert_data":")" + data +
                     R"(","node_id":"enterprise-0","permissions":255,"subject":"00"})";
  EXPECT_EQ(parse_certificate_json(lying, member().subject).value(), member());
  // A document named after somebody else does not stand in for their certificate.
  EXPECT_FALSE(parse_certificate_json(lying, key_of(2).public_key()));
}

TEST(TrustDocuments, RevocationsComeBackAsTheyWentWithOrWithoutASeal) {
  const auto subject = key_of(2).public_key();
  const auto sealed =
      Revocation::create(key_of(1), kMeshId, subject, "lost \"at\" sea", 7, kAtT0).value();
  const Revocation bare{subject, "lost", kT0, std::nullopt};
  for (const auto& revocation : {sealed, bare}) {
    EXPECT_EQ(parse_revocation_json(revocation_json(revocation), subject).value(), revocation);
  }
  EXPECT_EQ(revocation_json(bare), R"({"subject":")" + subject.to_string() +
                                       R"(","reason":"lost","timestamp_ms":1700000000000})");
  EXPECT_FALSE(parse_revocation_json(revocation_json(bare), key_of(3).public_key()));
}

TEST(TrustDocuments, OtherKeysAndOtherShapesAreRefused) {
  const auto hex = key_of(1).public_key().to_string();
  for (const auto& key : {std::string("cargo:") + hex, std::string("certificates"),
                          "certificates:" + hex.substr(1), "certificates:x" + hex}) {
    EXPECT_FALSE(subject_of_key(key)) << key;
  }
  auto upper = "certificates:" + hex;
  for (auto& c : upper) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c;
  EXPECT_FALSE(subject_of_key(upper)) << "one subject, one document";
  const auto subject = key_of(1).public_key();
  for (const auto* json :
       {"", "[]", "{}", R"({"cert_data":1})", R"({"cert_data":"!"})", R"({"cert_data":"AAAA"})",
        "{\"cert_data\":\"\"", "{\"a\":[[[[[[[[[[1]"}) {
    EXPECT_FALSE(parse_certificate_json(json, subject)) << json;
    EXPECT_FALSE(parse_revocation_json(json, subject)) << json;
  }
  EXPECT_FALSE(
      parse_certificate_json(R"({"cert_data":")" + std::string(5000, 'A') + "\"}", subject));
  const auto with = [&](std::string_view field) {
    return parse_revocation_json(R"({"subject":")" + hex + R"(","reason":"x","timestamp_ms":1,)" +
                                     std::string(field) + "}",
                                 subject)
        .has_value();
  };
  EXPECT_FALSE(with(R"("signature":"00","issuer":")" + hex + R"(","serial":1)"));
  EXPECT_FALSE(with(R"("signature":1)"));
  EXPECT_FALSE(parse_revocation_json(
      R"({"subject":")" + hex + R"(","reason":"x","timestamp_ms":-1})", subject));
}

}  // namespace
}  // namespace peat::security
