#include "crypto/keys.hpp"

#include <sodium.h>

#include <algorithm>
#include <new>
#include <ostream>
#include <utility>

namespace peat::crypto {

namespace {

void ensure_sodium() {
  static const bool ready = sodium_init() >= 0;
  if (!ready) std::abort();  // without its guarded memory no secret may be held
}

}  // namespace

void SecretBytes::Free::operator()(std::uint8_t* data) const noexcept { sodium_free(data); }

SecretBytes::SecretBytes(std::size_t size) : size_(size) {
  if (size == 0) return;
  ensure_sodium();
  data_.reset(static_cast<std::uint8_t*>(sodium_malloc(size)));
  if (!data_) throw std::bad_alloc();
  sodium_memzero(data_.get(), size);
}

SecretBytes::SecretBytes(ByteView content) : SecretBytes(content.size()) {
  std::copy(content.begin(), content.end(), data_.get());
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  data_ = std::move(other.data_);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

std::ostream& operator<<(std::ostream& out, const SecretBytes&) { return out << "[redacted]"; }

void wipe(std::span<std::uint8_t> memory) { sodium_memzero(memory.data(), memory.size()); }

SecretKey SecretKey::from_seed(std::span<const std::uint8_t, kSeedBytes> seed) {
  SecretKey out;
  out.key_ = SecretBytes(std::size_t{crypto_sign_SECRETKEYBYTES});
  std::array<std::uint8_t, crypto_sign_PUBLICKEYBYTES> public_key;
  crypto_sign_seed_keypair(public_key.data(), out.key_.mutable_view().data(), seed.data());
  return out;
}

SecretKey SecretKey::generate(Random& random) {
  SecretBytes seed(kSeedBytes);
  random.fill(seed.mutable_view());
  return from_seed(seed.view().first<kSeedBytes>());
}

EndpointId SecretKey::public_key() const {
  EndpointId id;
  const auto half = key_.view().subspan<kSeedBytes>();
  std::copy(half.begin(), half.end(), id.bytes.begin());
  return id;
}

Signature SecretKey::sign(ByteView message) const {
  Signature signature;
  crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(),
                       key_.view().data());
  return signature;
}

ByteView SecretKey::seed() const { return key_.view().first(kSeedBytes); }

bool verify(const EndpointId& key, ByteView message,
            std::span<const std::uint8_t, kSignatureBytes> signature) {
  ensure_sodium();
  return crypto_sign_verify_detached(signature.data(), message.data(), message.size(),
                                     key.bytes.data()) == 0;
}

}  // namespace peat::crypto
