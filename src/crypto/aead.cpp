#include "crypto/aead.hpp"

#include <openssl/evp.h>
#include <sodium.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

namespace peat::crypto {

namespace {

Status check(const AeadInput& input) {
  if (input.key.size() != kAeadKeyBytes || input.nonce.size() != nonce_bytes(input.cipher)) {
    return fail(Code::invalid_argument,
                "a key of " + std::to_string(input.key.size()) + " bytes and a nonce of " +
                    std::to_string(input.nonce.size()) + "; 32 and " +
                    std::to_string(nonce_bytes(input.cipher)) + " are needed");
  }
  return {};
}

std::unexpected<Error> refused() {
  return fail(Code::decryption_failed,
              "the sealed bytes were changed, or sealed with another key or for another purpose");
}

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

// OpenSSL's lengths are int: a buffer beyond that is refused before it gets there.
constexpr std::size_t kMaxAesBytes = std::size_t{1} << 30;

bool aes_seal(const AeadInput& input, ByteView plaintext, std::span<std::uint8_t> out) {
  const Context context(EVP_CIPHER_CTX_new());
  int n = 0;
  return context && plaintext.size() <= kMaxAesBytes &&
         input.associated_data.size() <= kMaxAesBytes &&
         EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, input.key.data(),
                            input.nonce.data()) == 1 &&
         EVP_EncryptUpdate(context.get(), nullptr, &n, input.associated_data.data(),
                           static_cast<int>(input.associated_data.size())) == 1 &&
         EVP_EncryptUpdate(context.get(), out.data(), &n, plaintext.data(),
                           static_cast<int>(plaintext.size())) == 1 &&
         EVP_EncryptFinal_ex(context.get(), out.data() + plaintext.size(), &n) == 1 &&
         EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes,
                             out.data() + plaintext.size()) == 1;
}

bool aes_open(const AeadInput& input, ByteView sealed, std::span<std::uint8_t> out) {
  const Context context(EVP_CIPHER_CTX_new());
  Bytes tag(sealed.end() - kTagBytes, sealed.end());
  int n = 0;
  return context && sealed.size() <= kMaxAesBytes && input.associated_data.size() <= kMaxAesBytes &&
         EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, input.key.data(),
                            input.nonce.data()) == 1 &&
         EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
         EVP_DecryptUpdate(context.get(), nullptr, &n, input.associated_data.data(),
                           static_cast<int>(input.associated_data.size())) == 1 &&
         EVP_DecryptUpdate(context.get(), out.data(), &n, sealed.data(),
                           static_cast<int>(out.size())) == 1 &&
         EVP_DecryptFinal_ex(context.get(), out.data() + out.size(), &n) == 1;
}

// `out` is as long as the plaintext.
Status open_into(const AeadInput& input, ByteView sealed, std::span<std::uint8_t> out) {
  bool good = false;
  const auto& data = input.associated_data;
  switch (input.cipher) {
    case Cipher::chacha20_poly1305:
      good = crypto_aead_chacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, sealed.data(),
                                                       sealed.size(), data.data(), data.size(),
                                                       input.nonce.data(), input.key.data()) == 0;
      break;
    case Cipher::xchacha20_poly1305:
      good = crypto_aead_xchacha20poly1305_ietf_decrypt(out.data(), nullptr, nullptr, sealed.data(),
                                                        sealed.size(), data.data(), data.size(),
                                                        input.nonce.data(), input.key.data()) == 0;
      break;
    case Cipher::aes_256_gcm:
      good = aes_open(input, sealed, out);
      break;
  }
  if (good) return {};
  wipe(out);
  return refused();
}

}  // namespace

Result<Bytes> seal(const AeadInput& input, ByteView plaintext) {
  PEAT_TRY_VOID(check(input));
  Bytes out(plaintext.size() + kTagBytes);
  const auto& data = input.associated_data;
  switch (input.cipher) {
    case Cipher::chacha20_poly1305:
      crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, plaintext.data(),
                                                plaintext.size(), data.data(), data.size(), nullptr,
                                                input.nonce.data(), input.key.data());
      return out;
    case Cipher::xchacha20_poly1305:
      crypto_aead_xchacha20poly1305_ietf_encrypt(out.data(), nullptr, plaintext.data(),
                                                 plaintext.size(), data.data(), data.size(),
                                                 nullptr, input.nonce.data(), input.key.data());
      return out;
    case Cipher::aes_256_gcm:
      break;
  }
  if (!aes_seal(input, plaintext, out)) {
    return fail(Code::limit_exceeded, "a text of " + std::to_string(plaintext.size()) +
                                          " bytes cannot be sealed at once");
  }
  return out;
}

Result<Bytes> open(const AeadInput& input, ByteView sealed) {
  PEAT_TRY_VOID(check(input));
  if (sealed.size() < kTagBytes) return refused();
  Bytes out(sealed.size() - kTagBytes);
  PEAT_TRY_VOID(open_into(input, sealed, out));
  return out;
}

Result<SecretBytes> open_secret(const AeadInput& input, ByteView sealed) {
  PEAT_TRY_VOID(check(input));
  if (sealed.size() < kTagBytes) return refused();
  SecretBytes out(sealed.size() - kTagBytes);
  PEAT_TRY_VOID(open_into(input, sealed, out.mutable_view()));
  return out;
}

// --- one key, many texts ------------------------------------------------------------------------

struct GcmKey::Contexts {
  Context sealing{EVP_CIPHER_CTX_new()};
  Context opening{EVP_CIPHER_CTX_new()};
};

GcmKey::GcmKey(std::unique_ptr<Contexts> contexts) : contexts_(std::move(contexts)) {}
GcmKey::GcmKey(GcmKey&&) noexcept = default;
GcmKey& GcmKey::operator=(GcmKey&&) noexcept = default;
GcmKey::~GcmKey() = default;

Result<GcmKey> GcmKey::create(ByteView key) {
  if (key.size() != kAeadKeyBytes) {
    return fail(Code::invalid_argument,
                "a key of " + std::to_string(key.size()) + " bytes, not 32");
  }
  auto contexts = std::make_unique<Contexts>();
  const auto* const cipher = EVP_aes_256_gcm();
  if (!contexts->sealing || !contexts->opening ||
      EVP_EncryptInit_ex(contexts->sealing.get(), cipher, nullptr, key.data(), nullptr) != 1 ||
      EVP_DecryptInit_ex(contexts->opening.get(), cipher, nullptr, key.data(), nullptr) != 1) {
    return fail(Code::out_of_memory, "no memory for a cipher");
  }
  return GcmKey(std::move(contexts));
}

Status GcmKey::seal(ByteView nonce, ByteView associated_data, ByteView plaintext, Bytes& out) {
  const auto before = out.size();
  if (nonce.size() != kNonceBytes) {
    return fail(Code::invalid_argument,
                "a nonce of " + std::to_string(nonce.size()) + " bytes, not 12");
  }
  if (plaintext.size() > kMaxAesBytes || associated_data.size() > kMaxAesBytes) {
    return fail(Code::limit_exceeded, "a text of " + std::to_string(plaintext.size()) +
                                          " bytes cannot be sealed at once");
  }
  out.resize(before + plaintext.size() + kTagBytes);
  auto* const context = contexts_->sealing.get();
  auto* const to = out.data() + before;
  int n = 0;
  const bool good =
      EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
      EVP_EncryptUpdate(context, nullptr, &n, associated_data.data(),
                        static_cast<int>(associated_data.size())) == 1 &&
      EVP_EncryptUpdate(context, to, &n, plaintext.data(), static_cast<int>(plaintext.size())) ==
          1 &&
      EVP_EncryptFinal_ex(context, to + plaintext.size(), &n) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, kTagBytes, to + plaintext.size()) == 1;
  if (good) return {};
  out.resize(before);
  return fail(Code::internal, "a text could not be sealed");
}

Result<Bytes> GcmKey::open(ByteView nonce, ByteView associated_data, ByteView sealed) {
  if (sealed.size() < kTagBytes || sealed.size() > kMaxAesBytes || nonce.size() != kNonceBytes ||
      associated_data.size() > kMaxAesBytes) {
    return refused();
  }
  Bytes out(sealed.size() - kTagBytes);
  std::array<std::uint8_t, kTagBytes> tag;
  std::copy_n(sealed.end() - kTagBytes, kTagBytes, tag.begin());
  auto* const context = contexts_->opening.get();
  int n = 0;
  const bool good =
      EVP_DecryptInit_ex(context, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptUpdate(context, nullptr, &n, associated_data.data(),
                        static_cast<int>(associated_data.size())) == 1 &&
      EVP_DecryptUpdate(context, out.data(), &n, sealed.data(), static_cast<int>(out.size())) ==
          1 &&
      EVP_DecryptFinal_ex(context, out.data() + out.size(), &n) == 1;
  if (good) return out;
  wipe(out);
  return refused();
}

}  // namespace peat::crypto
