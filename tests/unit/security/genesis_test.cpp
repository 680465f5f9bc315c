#include <gtest/gtest.h>

#include "security/device_id.hpp"
#include "security/genesis_file.hpp"
#include "vectors.hpp"

namespace peat::security {
namespace {

constexpr crypto::PasswordCost kCheap{1, 64};

MeshGenesis mesh(std::string_view name, std::uint8_t seed) {
  return MeshGenesis::from_seed(Bytes(32, seed), name, MembershipPolicy::controlled, kAtT0).value();
}

TEST(Genesis, V5DerivesMeshIdAndFormationSecret) {
  const struct {
    std::string_view name;
    std::uint8_t seed;
    std::string_view id, secret;
  } rows[] = {
      {"TEST", 0x42, "0B6CA76F",
       "5bf3e94cecc6d11918a622dc71a0896dbd18229436e1048a8127ecd68ff121f2"},
      {"TEST", 0x43, "547D6127",
       "6ef7e9305e8ec215c2bd97078b7643e46a87527e3a43a0866a0150f5ccd7f986"},
      {"ALPHA", 0x42, "333F3376",
       "b23d654660637477d4fe8403fda7d1521d5bdf37b05fac819f303dd56350bca9"},
      {"BRAVO", 0x42, "54D69EC5",
       "eae6b642e08fd7ace09f529cd9921b22fd45d1cb82ef54066d036696a64ad713"},
      {"HSM-MESH", 0x42, "E4C1C9C3",
       "a9d4862f13bfb020951ced9b67a68dd7cf3e4719526cc9317dbfab4fc9278a16"},
      {"ALPHA-TEAM", 0x42, "791F9D4B",
       "b1a8f0dae629620b42a1cb11244683c8d700e9d1e22c230f0ef6acae7518a71f"},
  };
  for (const auto& row : rows) {
    const auto genesis = mesh(row.name, row.seed);
    EXPECT_EQ(genesis.mesh_id(), row.id);
    EXPECT_EQ(to_hex(genesis.credentials().formation_secret.view()), row.secret);
  }
}

TEST(Genesis, V5DerivesTheAuthorityFromTheSeedAlone) {
  const auto authority = mesh("TEST", 0x42).authority().public_key();
  EXPECT_EQ(to_hex(mesh("TEST", 0x42).authority().seed()),
            "fd60458c490308a3e01139312499415ea6a2f90b0456516311350499f8c84392");
  EXPECT_EQ(authority.to_string(),
            "1bc4e00b6ac43c0e115eff3b2a974b819d8488412bc72da16388cafa97aabf6c");
  EXPECT_EQ(DeviceId::of(authority).to_string(), "d86ab200cf51235df2665c7480bea0c5");
  EXPECT_EQ(mesh("ALPHA", 0x42).authority().public_key(), authority);
  EXPECT_EQ(mesh("TEST", 0x43).authority().public_key().to_string(),
            "7dac3f6cb40e7b8bd94cbff57b09dc29b4f679ec61ada6f2ebb7622283d84920");
}

// D-28: one seed under two names has one authority, so each mesh gets its own.
TEST(Genesis, D28EveryNewMeshHasASeedOfItsOwn) {
  SystemRandom random;
  const auto a = MeshGenesis::create(random, "m", MembershipPolicy::open, kAtT0).value();
  const auto b = MeshGenesis::create(random, "m", MembershipPolicy::open, kAtT0).value();
  EXPECT_NE(a.authority().public_key(), b.authority().public_key());
  EXPECT_NE(a.mesh_id(), b.mesh_id());
}

TEST(Genesis, V5EncodingsAreThoseOfExistingPeers) {
  const auto genesis = mesh("TEST", 0x42);
  const auto bytes = genesis.encode();
  std::string seed;
  for (int i = 0; i < 32; ++i) seed += "42";
  EXPECT_EQ(to_hex(bytes.view()),
            "040054455354" + seed +
                "fd60458c490308a3e01139312499415ea6a2f90b0456516311350499f8c84392"
                "0068e5cf8b01000001");
  EXPECT_EQ(bytes.size(), 79U);
  const auto credentials = genesis.credentials().encode().value();
  EXPECT_EQ(to_hex(credentials.view()),
            "0400544553543042364341373646"
            "5bf3e94cecc6d11918a622dc71a0896dbd18229436e1048a8127ecd68ff121f2"
            "1bc4e00b6ac43c0e115eff3b2a974b819d8488412bc72da16388cafa97aabf6c01");
}

TEST(Genesis, SurvivesEncodingWithADerivedAndWithASuppliedAuthority) {
  for (const bool supplied : {false, true}) {
    std::optional<crypto::SecretKey> authority;
    if (supplied) authority = key_of(9);
    const auto genesis =
        MeshGenesis::from_seed(Bytes(32, 0x42), "HSM-MESH", MembershipPolicy::strict, kAtT0,
                               std::move(authority))
            .value();
    const auto again = MeshGenesis::decode(genesis.encode().view()).value();
    EXPECT_EQ(again.mesh_id(), "E4C1C9C3");
    EXPECT_EQ(again.policy(), MembershipPolicy::strict);
    EXPECT_EQ(again.created(), kAtT0);
    EXPECT_EQ(again.authority().public_key(), genesis.authority().public_key());
    EXPECT_EQ(again.authority().public_key() == key_of(9).public_key(), supplied);
  }
}

TEST(Genesis, TruncatedOversizedAndConfusedFilesAreRefused) {
  const auto genesis = mesh("TEST", 0x42).encode();
  const auto credentials = mesh("TEST", 0x42).credentials().encode().value();
  for (std::size_t n = 0; n < genesis.size(); ++n) {
    EXPECT_FALSE(MeshGenesis::decode(genesis.view().first(n))) << n;
    EXPECT_FALSE(MeshCredentials::decode(credentials.view().first(n))) << n;
  }
  Bytes longer(genesis.view().begin(), genesis.view().end());
  longer.push_back(0);
  EXPECT_FALSE(MeshGenesis::decode(longer));
  longer.pop_back();
  longer.back() = 3;
  EXPECT_FALSE(MeshGenesis::decode(longer));
  // Existing peers read one as the other without a word.
  const auto confused = MeshCredentials::decode(mesh("TEST", 0x17).encode().view());
  ASSERT_FALSE(confused);
  EXPECT_NE(confused.error().message.find("genesis"), std::string::npos);
  EXPECT_FALSE(MeshGenesis::create(*std::make_unique<SystemRandom>(), std::string(65536, 'x'),
                                   MembershipPolicy::open, kAtT0));
}

TEST(Genesis, PoliciesHaveNames) {
  EXPECT_EQ(parse_membership_policy(" STRICT ").value(), MembershipPolicy::strict);
  EXPECT_EQ(to_string(MembershipPolicy::open), "Open");
  EXPECT_FALSE(parse_membership_policy("closed"));
}

TEST(GenesisFile, D22OnlyThePassphraseOpensIt) {
  SystemRandom random;
  const auto sealed =
      seal_genesis(mesh("TEST", 0x42), as_bytes("correct horse battery"), random, kCheap).value();
  EXPECT_EQ(open_genesis(sealed, as_bytes("correct horse battery"))->mesh_id(), "0B6CA76F");
  EXPECT_EQ(open_genesis(sealed, as_bytes("correct horse batterz")).error().code,
            Code::decryption_failed);
  // Neither the seed nor the authority's key is to be found in it.
  const auto text = to_hex(sealed);
  EXPECT_EQ(text.find("42424242"), std::string::npos);
  EXPECT_EQ(text.find("fd60458c"), std::string::npos);
}

TEST(GenesisFile, AnyChangedByteIsRefusedTheCostIncluded) {
  SystemRandom random;
  const auto passphrase = as_bytes("correct horse battery");
  const auto sealed = seal_genesis(mesh("TEST", 0x42), passphrase, random, kCheap).value();
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto changed = sealed;
    // Of the memory cost only the lowest byte: the others would demand gigabytes.
    if (i >= 21 && i < 24) continue;
    changed[i] ^= 1;
    EXPECT_FALSE(open_genesis(changed, passphrase)) << i;
  }
  for (std::size_t n = 0; n < sealed.size(); ++n) {
    EXPECT_FALSE(open_genesis(ByteView(sealed).first(n), passphrase)) << n;
  }
}

TEST(GenesisFile, AShortPassphraseIsRefused) {
  SystemRandom random;
  const auto sealed = seal_genesis(mesh("TEST", 0x42), as_bytes("short"), random, kCheap);
  ASSERT_FALSE(sealed);
  EXPECT_EQ(sealed.error().code, Code::weak_secret);
}

}  // namespace
}  // namespace peat::security
