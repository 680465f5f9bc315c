// The primitives at their edges, against another implementation: edge_cases.txt, which
// scripts/make-crypto-vectors has made and explains.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/encoding.hpp"
#include "crypto/aead.hpp"
#include "crypto/agreement.hpp"
#include "crypto/kdf.hpp"

namespace peat::crypto {
namespace {

using Fields = std::vector<std::string>;

Bytes bytes(const std::string& hex) { return hex == "''" ? Bytes() : from_hex(hex).value(); }

template <std::size_t n>
std::array<std::uint8_t, n> array(const std::string& hex) {
  std::array<std::uint8_t, n> out{};
  std::ranges::copy(bytes(hex), out.begin());
  return out;
}

void check_aead(const Fields& f) {
  const auto cipher = f[1] == "aes_256_gcm" ? Cipher::aes_256_gcm : Cipher::chacha20_poly1305;
  const auto key = bytes(f[2]);
  const auto nonce = bytes(f[3]);
  const auto data = bytes(f[4]);
  const AeadInput input{cipher, key, nonce, data};
  EXPECT_EQ(*seal(input, bytes(f[5])), bytes(f[6]));
  EXPECT_EQ(*open(input, bytes(f[6])), bytes(f[5]));
  for (std::size_t at = 1; at <= kTagBytes; ++at) {
    auto changed = bytes(f[6]);
    changed[changed.size() - at] ^= 0x80;
    EXPECT_FALSE(open(input, changed)) << "byte " << at << " of the tag";
  }
  if (cipher != Cipher::aes_256_gcm) return;
  auto kept = GcmKey::create(key).value();
  Bytes out;
  ASSERT_TRUE(kept.seal(nonce, data, bytes(f[5]), out));
  EXPECT_EQ(out, bytes(f[6]));
  EXPECT_EQ(*kept.open(nonce, data, out), bytes(f[5]));
}

void check_hkdf(const Fields& f) {
  const auto out = hkdf_sha256(bytes(f[1]), bytes(f[2]), bytes(f[3]), std::stoul(f[4]));
  ASSERT_TRUE(out);
  EXPECT_EQ(to_hex(out->view()), f[5]);
}

void check_x25519(const Fields& f) {
  const auto shared = AgreementKey::from_secret(array<32>(f[1])).agree(array<32>(f[2]));
  ASSERT_EQ(shared.has_value(), f[3] != "-");
  if (shared) {
    EXPECT_EQ(to_hex(shared->view()), f[3]);
  }
}

void check_ed25519(const Fields& f) {
  EXPECT_EQ(verify(EndpointId{array<32>(f[1])}, bytes(f[2]), array<64>(f[3])), f[4] == "good");
}

TEST(EdgeCases, ThePrimitivesAgreeWithAnotherImplementationAndRefuseWhatIsNotHonest) {
  std::ifstream file(PEAT_CRYPTO_EDGE_CASES);
  std::map<std::string, int> seen;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    SCOPED_TRACE(line.substr(0, 120));
    std::istringstream words(line);
    Fields f;
    for (std::string word; words >> word;) f.push_back(word);
    ++seen[f[0]];
    if (f[0] == "aead") check_aead(f);
    if (f[0] == "hkdf") check_hkdf(f);
    if (f[0] == "x25519") check_x25519(f);
    if (f[0] == "ed25519") check_ed25519(f);
  }
  EXPECT_EQ(seen, (std::map<std::string, int>{
                      {"aead", 132}, {"ed25519", 50}, {"hkdf", 151}, {"x25519", 31}}));
}

}  // namespace
}  // namespace peat::crypto
