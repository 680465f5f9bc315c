#include "crypto/aead.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "base/encoding.hpp"

namespace peat::crypto {
namespace {

Bytes ascending(std::size_t size, std::uint8_t first = 0) {
  Bytes out(size);
  std::iota(out.begin(), out.end(), first);
  return out;
}

struct Vector {
  std::string_view name, key, nonce, data, text, sealed;
  Cipher cipher;
};

// RFC 8439 2.8.2; draft-irtf-cfrg-xchacha A.3.1; NIST GCM test cases 13 to 16.
constexpr std::string_view kSunscreen =
    "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a2049662049"
    "20636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c20"
    "73756e73637265656e20776f756c642062652069742e";
constexpr Vector kVectors[] = {
    {"RFC 8439", "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7", kSunscreen,
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92"
     "728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b"
     "4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
     Cipher::chacha20_poly1305},
    {"XChaCha draft", "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
     "404142434445464748494a4b4c4d4e4f5051525354555657", "50515253c0c1c2c3c4c5c6c7", kSunscreen,
     "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda"
     "7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b23835"
     "65d3fff921f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49",
     Cipher::xchacha20_poly1305},
    {"GCM 13", "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b", Cipher::aes_256_gcm},
    {"GCM 14", "0000000000000000000000000000000000000000000000000000000000000000",
     "000000000000000000000000", "", "00000000000000000000000000000000",
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919", Cipher::aes_256_gcm},
    {"GCM 16", "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
     "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6"
     "b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828"
     "838"
     "c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
     Cipher::aes_256_gcm},
};

TEST(Aead, PublishedVectorsSealAndOpen) {
  for (const auto& v : kVectors) {
    const auto key = *from_hex(v.key);
    const auto nonce = *from_hex(v.nonce);
    const auto data = *from_hex(v.data);
    const AeadInput input{v.cipher, key, nonce, data};
    const auto sealed = seal(input, *from_hex(v.text));
    ASSERT_TRUE(sealed) << v.name;
    EXPECT_EQ(to_hex(*sealed), v.sealed) << v.name;
    const auto opened = open(input, *sealed);
    ASSERT_TRUE(opened) << v.name;
    EXPECT_EQ(to_hex(*opened), v.text) << v.name;
    EXPECT_EQ(to_hex(open_secret(input, *sealed)->view()), v.text) << v.name;
  }
}

TEST(Aead, AnyChangedBitOfCiphertextTagNonceKeyOrDataIsRefused) {
  for (const auto& v : kVectors) {
    const auto key = *from_hex(v.key);
    const auto nonce = *from_hex(v.nonce);
    const auto data = *from_hex(v.data);
    const auto sealed = *from_hex(v.sealed);
    const auto refused = [&](const Bytes& k, const Bytes& n, const Bytes& d, const Bytes& s) {
      const auto opened = open({v.cipher, k, n, d}, s);
      return !opened && opened.error().code == Code::decryption_failed;
    };
    for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
      auto changed = sealed;
      changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1U << bit % 8));
      EXPECT_TRUE(refused(key, nonce, data, changed)) << v.name << " bit " << bit;
    }
    auto other = key;
    other[31] ^= 1;
    EXPECT_TRUE(refused(other, nonce, data, sealed)) << v.name;
    other = nonce;
    other[0] ^= 1;
    EXPECT_TRUE(refused(key, other, data, sealed)) << v.name;
    other = data;
    other.push_back(0);
    EXPECT_TRUE(refused(key, nonce, other, sealed)) << v.name;
  }
}

TEST(GcmKeys, OneKeySealsAndOpensAsTheVectorsSayHoweverOftenItWasUsed) {
  for (const auto& v : kVectors) {
    if (v.cipher != Cipher::aes_256_gcm) continue;
    const auto nonce = *from_hex(v.nonce);
    const auto data = *from_hex(v.data);
    const auto text = *from_hex(v.text);
    auto key = GcmKey::create(*from_hex(v.key)).value();
    Bytes out = {1, 2};
    for (int again = 0; again < 3; ++again) {
      out.resize(2);
      ASSERT_TRUE(key.seal(nonce, data, text, out)) << v.name;
      EXPECT_EQ(to_hex(ByteView(out).subspan(2)), v.sealed) << v.name;
      EXPECT_EQ(key.open(nonce, data, ByteView(out).subspan(2)).value(), text) << v.name;
      // What is refused spoils nothing for what comes after.
      auto changed = out;
      changed.back() ^= 1;
      EXPECT_FALSE(key.open(nonce, data, ByteView(changed).subspan(2))) << v.name;
      EXPECT_FALSE(key.open(nonce, data, ByteView(out).first(kTagBytes - 1))) << v.name;
    }
  }
  EXPECT_FALSE(GcmKey::create(Bytes(31)));
  auto key = GcmKey::create(Bytes(32)).value();
  Bytes out;
  EXPECT_EQ(key.seal(Bytes(11), {}, {}, out).error().code, Code::invalid_argument);
  EXPECT_FALSE(key.open(Bytes(13), {}, Bytes(32)));
}

TEST(Aead, TruncatedAndEmptyInputIsRefused) {
  const auto key = ascending(32);
  for (const auto cipher :
       {Cipher::chacha20_poly1305, Cipher::xchacha20_poly1305, Cipher::aes_256_gcm}) {
    const auto nonce = ascending(nonce_bytes(cipher));
    const auto sealed = seal({cipher, key, nonce}, as_bytes("four"));
    ASSERT_TRUE(sealed);
    for (std::size_t n = 0; n < sealed->size(); ++n) {
      EXPECT_FALSE(open({cipher, key, nonce}, ByteView(*sealed).first(n)));
    }
  }
}

TEST(Aead, KeysAndNoncesOfAnotherLengthAreNotTaken) {
  const auto key = ascending(32);
  const auto nonce = ascending(12);
  const auto code = [](const auto& result) { return result.error().code; };
  EXPECT_EQ(code(seal({Cipher::chacha20_poly1305, ByteView(key).first(31), nonce}, {})),
            Code::invalid_argument);
  EXPECT_EQ(code(seal({Cipher::xchacha20_poly1305, key, nonce}, {})), Code::invalid_argument);
  EXPECT_EQ(code(open({Cipher::aes_256_gcm, key, ByteView(nonce).first(11)}, Bytes(16))),
            Code::invalid_argument);
}

}  // namespace
}  // namespace peat::crypto
