#include "security/genesis_file.hpp"

#include <array>

#include "base/reader.hpp"
#include "crypto/aead.hpp"

namespace peat::security {

namespace {

constexpr std::string_view kMagic{"peat-genesis-v1\0", 16};
constexpr auto kCipher = crypto::Cipher::xchacha20_poly1305;

}  // namespace

Result<Bytes> seal_genesis(const MeshGenesis& genesis, ByteView passphrase, Random& random,
                           const crypto::PasswordCost& cost) {
  if (passphrase.size() < kPassphraseMinBytes) {
    return fail(Code::weak_secret,
                "the passphrase has " + std::to_string(passphrase.size()) +
                    " characters; whoever finds the file can try many: take at least 12");
  }
  std::array<std::uint8_t, crypto::kPasswordSaltBytes> salt;
  std::array<std::uint8_t, crypto::nonce_bytes(kCipher)> nonce;
  random.fill(salt);
  random.fill(nonce);
  Bytes out;
  Writer writer(out);
  writer.text(kMagic);
  writer.u32le(cost.passes);
  writer.u32le(cost.memory_kib);
  writer.bytes(salt);
  writer.bytes(nonce);
  PEAT_TRY(const auto key, crypto::key_from_password(passphrase, salt, cost));
  const auto plain = genesis.encode();
  PEAT_TRY(const auto sealed, crypto::seal({kCipher, key.view(), nonce, out}, plain.view()));
  writer.bytes(sealed);
  return out;
}

Result<MeshGenesis> open_genesis(ByteView file, ByteView passphrase) {
  Reader reader(file);
  const auto magic = reader.take(kMagic.size(), "genesis file");
  if (!magic || as_text(*magic) != kMagic) {
    return fail(Code::malformed, "this is no sealed genesis of a mesh");
  }
  crypto::PasswordCost cost;
  PEAT_TRY(cost.passes, reader.u32le("passes"));
  PEAT_TRY(cost.memory_kib, reader.u32le("memory"));
  PEAT_TRY(const auto salt, reader.take(crypto::kPasswordSaltBytes, "salt"));
  PEAT_TRY(const auto nonce, reader.take(crypto::nonce_bytes(kCipher), "nonce"));
  const auto head = file.first(reader.offset());
  PEAT_TRY(const auto key,
           crypto::key_from_password(passphrase, salt.first<crypto::kPasswordSaltBytes>(), cost));
  auto plain = crypto::open_secret({kCipher, key.view(), nonce, head}, reader.rest());
  if (!plain) {
    return fail(Code::decryption_failed,
                "the genesis does not open: the passphrase is wrong, or "
                "the file was changed");
  }
  return MeshGenesis::decode(plain->view());
}

}  // namespace peat::security
