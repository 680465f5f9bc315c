// Secrets in memory: byte strings and Ed25519 keys that cannot be copied, printed or swapped out.
//
// The memory is libsodium's: locked where the system allows it, left out of core dumps, between
// guard pages, wiped when it is given back. Each object costs about four pages, so keep few.
//
// Threading: values; const calls are safe from several threads. Errors: running out of memory is
// std::bad_alloc, as with any container.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <span>

#include "base/random.hpp"
#include "peat/bytes.hpp"
#include "peat/ids.hpp"

namespace peat::crypto {

// A secret byte string. Prints as "[redacted]".
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::size_t size);  // zeros
  explicit SecretBytes(ByteView content);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() = default;

  std::size_t size() const { return size_; }
  ByteView view() const { return {data_.get(), size_}; }
  std::span<std::uint8_t> mutable_view() { return {data_.get(), size_}; }

  friend std::ostream& operator<<(std::ostream& out, const SecretBytes& secret);

 private:
  struct Free {
    void operator()(std::uint8_t* data) const noexcept;
  };

  std::unique_ptr<std::uint8_t, Free> data_;
  std::size_t size_ = 0;
};

// Overwrites memory in a way that no compiler removes: for a secret that passed through ordinary
// memory.
void wipe(std::span<std::uint8_t> memory);

inline constexpr std::size_t kSeedBytes = 32;
inline constexpr std::size_t kSignatureBytes = 64;
using Signature = std::array<std::uint8_t, kSignatureBytes>;

// An Ed25519 private key (RFC 8032, pure).
class SecretKey {
 public:
  // The key whose RFC 8032 secret is `seed`. The caller wipes its own copy.
  static SecretKey from_seed(std::span<const std::uint8_t, kSeedBytes> seed);
  static SecretKey generate(Random& random);

  // The public key; as a QUIC endpoint's, it is the node's identity.
  EndpointId public_key() const;
  Signature sign(ByteView message) const;
  // The 32 bytes that from_seed takes: for writing a key file, nothing else.
  ByteView seed() const;

 private:
  SecretKey() = default;
  SecretBytes key_;  // seed, then public key
};

// True if `signature` is `key`'s over `message`. Refuses small-order keys.
bool verify(const EndpointId& key, ByteView message,
            std::span<const std::uint8_t, kSignatureBytes> signature);

}  // namespace peat::crypto
