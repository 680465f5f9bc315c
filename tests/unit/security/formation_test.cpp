#include "security/formation.hpp"

#include <gtest/gtest.h>

#include "base/encoding.hpp"

namespace peat::security {
namespace {

Nonce ascending(std::uint8_t first) {
  Nonce nonce;
  for (std::size_t i = 0; i < nonce.size(); ++i) nonce[i] = static_cast<std::uint8_t>(first + i);
  return nonce;
}

std::string response(std::string_view id, const Bytes& secret, const Nonce& nonce) {
  return to_hex(FormationKey::derive(secret, id).value().respond(nonce));
}

Bytes secret_of(std::string_view base64) {
  const auto secret = parse_formation_secret(base64, WeakSecrets::allow).value();
  return {secret.view().begin(), secret.view().end()};
}

std::string endpoint_id(const Bytes& secret, std::string_view name) {
  return derive_endpoint_key(secret, name).value().public_key().to_string();
}

// The bytes a test asks for, in order.
class FixedRandom final : public Random {
 public:
  void fill(std::span<std::uint8_t> out) override {
    for (auto& byte : out) byte = next_++;
  }

 private:
  std::uint8_t next_ = 0;
};

TEST(KeyDerivation, V2SeedsFromASecretAndAContext) {
  const struct {
    std::string_view secret, context, seed, public_key;
  } rows[] = {
      {"my-kubernetes-secret", "pod-alpha",
       "1f7d2ad7980936bbdd212d3afa5a4c27fd49b43bf0fc5dfc47503d582e528055",
       "32ea9640097e5cc7930a7037fec629ced96ca237d4e5d02b5f9d6844af8be3fa"},
      {"shared-seed", "context-a",
       "abf0b4638da4c5e1c76f0de68eeb1dadaf5d92158d87d2903b26d684bab6b2df",
       "5bc13696d97910e0a3e793dcc9bd829fc697b422fbde3cf2d3264d8a699aa3c2"},
      {"test-seed", "test-ctx", "1cef33643f60e85a70ef671f1076e9627ce7f49d1d9bc3c268cc14f6ba3c2205",
       "86a0f4a0bd53839032cd10caa730eeafa3e07037e84f68224a918f03a46ee8de"},
      {"", "some-context", "f183b28d22db3d9e70a7e69ae1091fb8e4a183318ba441b4546c79b0e0410199",
       "010eebc7ea94e0a4d9a1c21bce6976afc49f33e6e96271c662fdd9fe1869d827"},
  };
  for (const auto& row : rows) {
    const auto seed = crypto::hkdf_sha256({}, as_bytes(row.secret), as_bytes(row.context)).value();
    EXPECT_EQ(to_hex(seed.view()), row.seed);
    EXPECT_EQ(crypto::SecretKey::from_seed(seed.view().first<32>()).public_key().to_string(),
              row.public_key);
  }
}

TEST(KeyDerivation, V3EndpointIdsThatExistingPeersCompute) {
  const Bytes zeros(32, 0x00);
  EXPECT_EQ(endpoint_id(zeros, "edge-a"),
            "fb3854f189c31fb61df2ace61f34ef7817fc90ccefbcfb94c3346e03b8b143fb");
  EXPECT_EQ(endpoint_id(zeros, "edge-b"),
            "84f5efd74c84c3ae848be186d7c2f169b94acda724ec6ee1506b321d9a504a4f");
  EXPECT_EQ(endpoint_id(zeros, "attach-a"),
            "035254fa2cdf94cdd5fbf7ef7fe27efd26e1490d7db3b03b1bf30859be447634");
  EXPECT_EQ(endpoint_id(zeros, "attach-b"),
            "70de0ba0781a5e9698106335b7fa8733813db4063c110a375f0c5ed798f4e6f9");
  const auto published = secret_of("fPARVR0eqxhTNqqjKIrYrYTD1VBP6PjGKCAAa39+wl8=");
  EXPECT_EQ(endpoint_id(published, "attach-a"),
            "fdf9a98cb65237d2f2d70e1af68e7d2f543e14a287775a4e1bf12a35b84bccb6");
  EXPECT_EQ(endpoint_id(published, "attach-b"),
            "a53fca1d6263555d269d1594b2e5b05e88a0bab126b3885b9ee74259bd6ecd2f");
  EXPECT_EQ(endpoint_id(Bytes(32, 0x2a), "node-a"),
            "4229afe8d9c12d0acfd98cb56d4e2edd0e844442651a70a6995c2ed7ef100684");
  const auto text = [](std::string_view s) { return Bytes(s.begin(), s.end()); };
  EXPECT_EQ(endpoint_id(text("test-formation-secret"), "peat-mesh-0"),
            "3f62a7b13f6d578be64b2500008ee5e9bfe29dc529016571185dc501c8a39468");
  EXPECT_EQ(endpoint_id(text("test-formation-secret-32-bytes!!"), "peat-node-0"),
            "6e6e845b87e58b8c4212f54e2c6c2c16e8c4d6c550ca35d2f958de2ad1e69065");
  EXPECT_EQ(endpoint_id(text("test-formation-secret-12345678"), "node-a"),
            "e435ad7da5b8cb152c2c9f236abdd8212b08c6e17d07de7e18750dcd09143008");
  EXPECT_EQ(endpoint_id(text("test-formation-secret-12345678"), "node-b"),
            "b6bfb733c31ba5cc79c199c3b679f5b74981de0b8f636c505a4eb080cf77a4e6");
}

TEST(FormationKey, V4ProofsThatExistingPeersAccept) {
  const auto n = ascending(0);
  EXPECT_EQ(response("alpha-company", Bytes(32, 0x42), n),
            "88bf2eea716d5db1f5ebc70ecd98a12ea11d5b76bc9491359c05b5aa82a5b33a");
  EXPECT_EQ(response("bravo-company", Bytes(32, 0x42), n),
            "65d660ed6687ede3276673dc6296cabe76f60dc34299a7ffd09b9f989ee75c20");
  EXPECT_EQ(response("test-formation", Bytes(32, 0x42), n),
            "3666747707f7f0b480b38b2911f4ffd77b5c3db900322c79655106d26f8f64f2");
  EXPECT_EQ(response("test-formation", Bytes(32, 0x01), n),
            "5e68ad0ccbad01df896378f566897162b766a4f211203fd037f8791a9fd1ec00");
  EXPECT_EQ(response("test", Bytes(16, 0x00), n),
            "b995293c9e9c2399455ee30c0cb233bcdc7695bb26980c448326e7604cabc24c");
  EXPECT_EQ(response("test", Bytes(138, 0xab), n),
            "cbd8a9c192afd6e09936a5b05bc821b42a4876614feaa4953652a8fb4b54465c");
  EXPECT_EQ(response("peat", secret_of("dGVzdC1mb3JtYXRpb24tc2VjcmV0LTEyMzQ1Njc4"), n),
            "49ddea41869416209e3818a7b3722fd7a879295a5e5f248fe8418b29eda240f2");
  EXPECT_EQ(response("peat", secret_of(""), n),
            "6d27a7c76157078c41da25c24f82e0ad5a258689350bbcea57a739e761ebca73");
  EXPECT_EQ(response("alpha-company", Bytes(32, 0x42), Nonce{}),
            "cd76d139ab113fe42d8f7b06ea348da3d6cf41d670acb60e1fd5a48bfa2aca99");
  const auto ascending_secret = ascending(0);
  EXPECT_EQ(response("peat", {ascending_secret.begin(), ascending_secret.end()}, ascending(0x20)),
            "9d2f33c9c8cc939afb3952d0172faced21531ebc360910be0fb46d44725c3473");
}

TEST(FormationKey, AnotherSecretOrAnotherFormationDoesNotVerify) {
  const auto key = FormationKey::derive(Bytes(32, 0x42), "alpha-company").value();
  const auto other_secret = FormationKey::derive(Bytes(32, 0x43), "alpha-company").value();
  const auto other_id = FormationKey::derive(Bytes(32, 0x42), "bravo-company").value();
  const auto nonce = ascending(7);
  const auto proof = key.respond(nonce);
  EXPECT_TRUE(key.verify(nonce, proof));
  EXPECT_FALSE(other_secret.verify(nonce, proof));
  EXPECT_FALSE(other_id.verify(nonce, proof));
  EXPECT_FALSE(key.verify(ascending(8), proof));
  EXPECT_FALSE(key.verify(nonce, ByteView(proof).first(31)));
}

// D-29: with existing peers an acceptor proves nothing, and a challenge can be relayed.
TEST(FormationKey, D29ABoundNonceProvesTheAcceptorAndNamesBothEnds) {
  const auto key = FormationKey::derive(Bytes(32, 0x42), "test-formation").value();
  const auto acceptor =
      EndpointId::parse("fb3854f189c31fb61df2ace61f34ef7817fc90ccefbcfb94c3346e03b8b143fb").value();
  const auto connector =
      EndpointId::parse("84f5efd74c84c3ae848be186d7c2f169b94acda724ec6ee1506b321d9a504a4f").value();
  FixedRandom random;
  const auto nonce = key.make_bound_nonce(random, acceptor, connector);
  EXPECT_EQ(to_hex(nonce), "000102030405060708090a0b0c0d0e0fe934df82e2d1d7f3e2c02ecb2e1cc28a");
  EXPECT_EQ(to_hex(key.respond(nonce)),
            "178a23b5e48c42d70083da6270996bcc8f3a174b4e5997a3ef6112faa2abe5ba");
  EXPECT_TRUE(key.nonce_is_bound(nonce, acceptor, connector));
  EXPECT_FALSE(key.nonce_is_bound(nonce, connector, acceptor)) << "roles are part of it";
  EXPECT_FALSE(key.nonce_is_bound(nonce, acceptor, acceptor));
  EXPECT_FALSE(key.nonce_is_bound(ascending(0), acceptor, connector));
  const auto stranger = FormationKey::derive(Bytes(32, 0x43), "test-formation").value();
  EXPECT_FALSE(stranger.nonce_is_bound(nonce, acceptor, connector));
}

// D-30: existing peers take any secret, also an empty one and those printed in their manuals.
TEST(FormationSecret, D30SecretsThatCanBeGuessedAreRefusedAndTheRemedyIsNamed) {
  Bytes counting(32);
  for (std::size_t i = 0; i < 32; ++i) counting[i] = static_cast<std::uint8_t>(200 - i);
  Bytes pairs(64);
  for (std::size_t i = 0; i < 64; ++i) pairs[i] = i % 2 == 0 ? 0xab : 0xcd;
  const std::string weak[] = {
      "",
      to_base64(Bytes(31, 0x11)),
      to_base64(Bytes(32, 0x00)),
      to_base64(Bytes(32, 0x2a)),
      to_base64(counting),
      to_base64(pairs),
      "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
      "fPARVR0eqxhTNqqjKIrYrYTD1VBP6PjGKCAAa39+wl8=",
      "dGVzdC1mb3JtYXRpb24tc2VjcmV0LTEyMzQ1Njc4",
      to_base64(as_bytes("test-formation-secret-32-bytes!!")),
  };
  for (const auto& secret : weak) {
    const auto refused = parse_formation_secret(secret, WeakSecrets::refuse);
    ASSERT_FALSE(refused) << secret;
    EXPECT_EQ(refused.error().code, Code::weak_secret);
    EXPECT_NE(refused.error().message.find("peat secret new"), std::string::npos);
    EXPECT_TRUE(secret.empty() || refused.error().message.find(secret) == std::string::npos);
    EXPECT_TRUE(parse_formation_secret(secret, WeakSecrets::allow)) << secret;
  }
}

TEST(FormationSecret, GeneratedSecretsAreGoodAndDiffer) {
  SystemRandom random;
  const auto one = generate_formation_secret(random);
  const auto two = generate_formation_secret(random);
  EXPECT_NE(one, two);
  EXPECT_EQ(parse_formation_secret(one, WeakSecrets::refuse).value().size(), 32u);
  EXPECT_TRUE(parse_formation_secret("  " + two + "\n", WeakSecrets::refuse));
}

TEST(FormationSecret, TextThatIsNotBase64IsNotRepeatedInTheError) {
  const auto result = parse_formation_secret("hunter2!", WeakSecrets::allow);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::malformed);
  EXPECT_EQ(result.error().message.find("hunter2"), std::string::npos);
}

TEST(FormationId, LengthsThatLookLikeAnotherKindOfFirstByteAreRefused) {
  for (const std::size_t n : {0u, 1u, 256u, 257u, 512u, 513u}) {
    EXPECT_EQ(check_formation_id(std::string(n, 'x')).error().code, Code::invalid_argument) << n;
    EXPECT_FALSE(FormationKey::derive(Bytes(32, 0x42), std::string(n, 'x')));
  }
  for (const std::size_t n : {2u, 4u, 255u, 258u}) {
    EXPECT_TRUE(check_formation_id(std::string(n, 'x'))) << n;
  }
  EXPECT_EQ(check_formation_id("\xff\xfe").error().code, Code::invalid_argument);
}

TEST(FormationId, LimitOfTheChallenge) {
  EXPECT_TRUE(check_formation_id(std::string(1024 - 34, 'x')));
  EXPECT_EQ(check_formation_id(std::string(1024 - 33, 'x')).error().code, Code::limit_exceeded);
}

}  // namespace
}  // namespace peat::security
