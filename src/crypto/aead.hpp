// Authenticated encryption: three ciphers, one pair of functions.
//
//   chacha20_poly1305   RFC 8439; nonce 12: what existing peers seal messages with
//   xchacha20_poly1305  nonce 24: random nonces without counting; our own files and records
//   aes_256_gcm         nonce 12: what existing nodes seal their stores with
//
// Keys are 32 bytes; the 16-byte tag follows the ciphertext. A nonce must not serve twice under
// one key. Random 12-byte nonces stay safe for 2^32 messages of a key.
//
// Threading: pure functions. Errors: Code::decryption_failed says nothing about why, because the
// reason would help who tries; Code::invalid_argument is a key or nonce of another length.
#pragma once

#include <cstdint>
#include <memory>

#include "crypto/keys.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"

namespace peat::crypto {

enum class Cipher : std::uint8_t { chacha20_poly1305, xchacha20_poly1305, aes_256_gcm };

inline constexpr std::size_t kAeadKeyBytes = 32;
inline constexpr std::size_t kTagBytes = 16;
constexpr std::size_t nonce_bytes(Cipher cipher) {
  return cipher == Cipher::xchacha20_poly1305 ? 24 : 12;
}

struct AeadInput {
  Cipher cipher;
  ByteView key;
  ByteView nonce;
  ByteView associated_data = {};
};

// Ciphertext and tag.
Result<Bytes> seal(const AeadInput& input, ByteView plaintext);

// The plaintext; nothing of it is to be seen unless the tag is right.
Result<Bytes> open(const AeadInput& input, ByteView sealed);
// The same into locked memory, for plaintexts that are secrets.
Result<SecretBytes> open_secret(const AeadInput& input, ByteView sealed);

// AES-256-GCM under one key for many small texts: the key's schedule is computed once.
//
// Threading: one thread at a time. A nonce must not serve twice.
class GcmKey {
 public:
  static Result<GcmKey> create(ByteView key);
  GcmKey(GcmKey&&) noexcept;
  GcmKey& operator=(GcmKey&&) noexcept;
  ~GcmKey();

  static constexpr std::size_t kNonceBytes = 12;
  // Appends ciphertext and tag to `out`. Code::limit_exceeded for more than a gibibyte.
  Status seal(ByteView nonce, ByteView associated_data, ByteView plaintext, Bytes& out);
  Result<Bytes> open(ByteView nonce, ByteView associated_data, ByteView sealed);

 private:
  struct Contexts;
  explicit GcmKey(std::unique_ptr<Contexts> contexts);
  std::unique_ptr<Contexts> contexts_;
};

}  // namespace peat::crypto
