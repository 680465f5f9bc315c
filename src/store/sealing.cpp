#include "store/sealing.hpp"

#include <algorithm>
#include <utility>

#include "base/reader.hpp"
#include "crypto/aead.hpp"
#include "crypto/kdf.hpp"

namespace peat::store {
namespace {

constexpr std::uint8_t kRingVersion = 1;
constexpr auto kCipher = crypto::Cipher::xchacha20_poly1305;
constexpr std::size_t kNonceBytes = crypto::nonce_bytes(kCipher);
constexpr std::size_t kWrappedBytes = kNonceBytes + crypto::kAeadKeyBytes + crypto::kTagBytes;
constexpr std::size_t kPassphraseMinBytes = 12;
constexpr std::string_view kWrapLabel = "peat-store-wrap-v1";
constexpr std::string_view kRingLabel = "peat-store-ring-v1";
constexpr std::size_t kMacBytes = sizeof(crypto::Mac);

using SharedKey = std::shared_ptr<const crypto::SecretBytes>;

Bytes associated(ByteView head, std::uint32_t id) {
  Bytes out(head.begin(), head.end());
  Writer(out).u32le(id);
  return out;
}

std::string_view words(StoreKey::Kind kind) {
  return kind == StoreKey::Kind::key ? "key" : "passphrase";
}

}  // namespace

Bytes SealingRing::head(const Wrapping& wrapping) {
  Bytes out;
  Writer writer(out);
  writer.u8(static_cast<std::uint8_t>(wrapping.kind));
  writer.u32le(wrapping.cost.passes);
  writer.u32le(wrapping.cost.memory_kib);
  writer.bytes(wrapping.salt);
  return out;
}

Result<SharedKey> SealingRing::wrapping_key(const Wrapping& wrapping, const StoreKey& key) {
  if (key.kind != wrapping.kind) {
    return fail(Code::decryption_failed, "the store was encrypted with a " +
                                             std::string(words(wrapping.kind)) + ", and a " +
                                             std::string(words(key.kind)) + " is given");
  }
  crypto::SecretBytes stretched;
  auto input = key.secret.view();
  if (wrapping.kind == StoreKey::Kind::passphrase) {
    PEAT_TRY(stretched, crypto::key_from_password(input, wrapping.salt, wrapping.cost));
    input = stretched.view();
  } else if (input.size() != crypto::kAeadKeyBytes) {
    return fail(Code::invalid_argument,
                "a store's key has 32 bytes, this one has " + std::to_string(input.size()));
  }
  PEAT_TRY(auto out, crypto::hkdf_sha256(wrapping.salt, input, as_bytes(kWrapLabel)));
  return std::make_shared<const crypto::SecretBytes>(std::move(out));
}

Status SealingRing::add_key(std::uint32_t id, SharedKey key, Random& random) {
  std::array<std::uint8_t, kNonceBytes> nonce;
  random.fill(nonce);
  const auto data = associated(head(wrapping_), id);
  PEAT_TRY(const auto sealed, crypto::seal({kCipher, wrapper_->view(), nonce, data}, key->view()));
  Bytes wrapped(nonce.begin(), nonce.end());
  wrapped.insert(wrapped.end(), sealed.begin(), sealed.end());
  keys_.push_back({id, std::move(key), std::move(wrapped)});
  return {};
}

Status SealingRing::wrap_anew(const StoreKey& key, Random& random) {
  if (key.kind == StoreKey::Kind::passphrase && key.secret.size() < kPassphraseMinBytes) {
    return fail(Code::weak_secret, "the store's passphrase has " +
                                       std::to_string(key.secret.size()) +
                                       " bytes; whoever finds the disk can try many: take 12");
  }
  wrapping_.kind = key.kind;
  wrapping_.cost = key.kind == StoreKey::Kind::passphrase ? key.cost : crypto::PasswordCost{0, 0};
  random.fill(wrapping_.salt);
  PEAT_TRY(wrapper_, wrapping_key(wrapping_, key));
  for (auto& old : std::exchange(keys_, {})) {
    PEAT_TRY_VOID(add_key(old.id, std::move(old.key), random));
  }
  return {};
}

Result<SealingRing::Shared> SealingRing::create(const StoreKey& key, bool plain, Random& random) {
  auto ring = std::make_shared<SealingRing>();
  ring->plain_ = plain;
  if (plain) ring->walk_.emplace();
  ring->current_ = 1;
  PEAT_TRY_VOID(ring->wrap_anew(key, random));
  crypto::SecretBytes data_key(crypto::kAeadKeyBytes);
  random.fill(data_key.mutable_view());
  PEAT_TRY_VOID(
      ring->add_key(1, std::make_shared<const crypto::SecretBytes>(std::move(data_key)), random));
  return ring;
}

Bytes SealingRing::encode() const {
  Bytes out;
  Writer writer(out);
  writer.u8(kRingVersion);
  writer.bytes(head(wrapping_));
  writer.u8(plain_ ? 1 : 0);
  writer.u8(walk_ ? 1 : 0);
  if (walk_) {
    writer.u8(static_cast<std::uint8_t>(walk_->table));
    writer.u16le(static_cast<std::uint16_t>(walk_->key.size()));
    writer.text(walk_->key);
  }
  writer.u32le(current_);
  writer.u8(static_cast<std::uint8_t>(keys_.size()));
  for (const auto& key : keys_) {
    writer.u32le(key.id);
    writer.bytes(key.wrapped);
  }
  const auto mac = crypto::hmac_sha256(wrapper_->view(), {as_bytes(kRingLabel), out});
  writer.bytes(mac);
  return out;
}

Result<std::shared_ptr<SealingRing>> SealingRing::parse(ByteView row) {
  auto ring = std::make_shared<SealingRing>();
  Reader in(row);
  PEAT_TRY(const auto version, in.u8("the version of the ring of keys"));
  if (version != kRingVersion) {
    return fail(Code::store_too_new, "the ring of the store's keys is of version " +
                                         std::to_string(version) +
                                         ": use the version that wrote "
                                         "it, or a newer one");
  }
  PEAT_TRY(const auto kind, in.u8("the kind of the key"));
  if (kind > 1) return fail(Code::malformed, "a key of kind " + std::to_string(kind));
  ring->wrapping_.kind = static_cast<StoreKey::Kind>(kind);
  PEAT_TRY(ring->wrapping_.cost.passes, in.u32le("passes"));
  PEAT_TRY(ring->wrapping_.cost.memory_kib, in.u32le("memory"));
  PEAT_TRY(const auto salt, in.take(ring->wrapping_.salt.size(), "the salt"));
  std::ranges::copy(salt, ring->wrapping_.salt.begin());
  PEAT_TRY(const auto plain, in.u8("whether there are plain records"));
  PEAT_TRY(const auto walking, in.u8("whether records are sealed anew"));
  if (plain > 1 || walking > 1) return fail(Code::malformed, "a flag that is neither 0 nor 1");
  ring->plain_ = plain == 1;
  if (walking == 1) {
    auto& walk = ring->walk_.emplace();
    PEAT_TRY(const auto table, in.u8("a table"));
    if (table >= kTableCount) return fail(Code::malformed, "table " + std::to_string(table));
    walk.table = static_cast<Table>(table);
    PEAT_TRY(const auto size, in.u16le("the length of a row's key"));
    PEAT_TRY(const auto key, in.take(size, "a row's key"));
    walk.key = as_text(key);
  }
  PEAT_TRY(ring->current_, in.u32le("the current key"));
  PEAT_TRY(const auto count, in.u8("the number of keys"));
  if (count > kMaxDataKeys) {
    return fail(Code::limit_exceeded, std::to_string(count) + " data keys (16 at most)");
  }
  for (std::uint8_t i = 0; i < count; ++i) {
    PEAT_TRY(const auto id, in.u32le("a key's id"));
    PEAT_TRY(const auto wrapped, in.take(kWrappedBytes, "a wrapped key"));
    ring->keys_.push_back({id, nullptr, Bytes(wrapped.begin(), wrapped.end())});
  }
  PEAT_TRY_VOID(in.take(kMacBytes, "the ring's mac"));
  const bool has_current =
      std::ranges::find(ring->keys_, ring->current_, &DataKey::id) != ring->keys_.end();
  if (!in.done() || !has_current) {
    return fail(Code::malformed,
                "the ring of the store's keys lacks its current key, or goes on "
                "behind its end");
  }
  return ring;
}

Status SealingRing::check_mac(ByteView row) const {
  const auto body = row.first(row.size() - kMacBytes);
  const auto mac = crypto::hmac_sha256(wrapper_->view(), {as_bytes(kRingLabel), body});
  if (crypto::equal_constant_time(mac, row.subspan(body.size()))) return {};
  return fail(Code::decryption_failed, "the ring of the store's keys was changed");
}

Status SealingRing::unwrap_all() {
  for (auto& key : keys_) {
    const auto nonce = ByteView(key.wrapped).first(kNonceBytes);
    const auto data = associated(head(wrapping_), key.id);
    PEAT_TRY(auto opened, crypto::open_secret({kCipher, wrapper_->view(), nonce, data},
                                              ByteView(key.wrapped).subspan(kNonceBytes)));
    key.key = std::make_shared<const crypto::SecretBytes>(std::move(opened));
  }
  return {};
}

Result<SealingRing::Shared> SealingRing::reread(ByteView row) const {
  PEAT_TRY(auto ring, parse(row));
  ring->wrapper_ = wrapper_;
  PEAT_TRY_VOID(ring->check_mac(row));
  PEAT_TRY_VOID(ring->unwrap_all());
  return ring;
}

Result<SealingRing::Opened> SealingRing::open(ByteView row, const StoreKeys& keys, Random& random) {
  PEAT_TRY(auto ring, parse(row));
  const auto opens = [&ring, row](const std::optional<StoreKey>& key) -> Status {
    if (!key) return fail(Code::missing_setting, "no key is given");
    PEAT_TRY(ring->wrapper_, wrapping_key(ring->wrapping_, *key));
    PEAT_TRY_VOID(ring->check_mac(row));
    return ring->unwrap_all();
  };
  auto opened = opens(keys.key);
  if (opened) return Opened{ring, false};
  if (!keys.key) {
    return fail(Code::missing_setting, "the store is encrypted with a " +
                                           std::string(words(ring->wrapping_.kind)) +
                                           ", and none is given; name the file that holds it");
  }
  if (opens(keys.previous)) {
    PEAT_TRY_VOID(ring->wrap_anew(*keys.key, random));
    return Opened{ring, true};
  }
  if (opened.error().code != Code::decryption_failed) return std::unexpected(opened.error());
  return fail(Code::decryption_failed,
              "the store does not open with the " + std::string(words(keys.key->kind)) +
                  " that is given (it was encrypted with a " +
                  std::string(words(ring->wrapping_.kind)) +
                  "); give the one it was encrypted with, or that one as the previous one beside "
                  "the new one");
}

Result<SealingRing::Shared> SealingRing::with_new_key(Random& random) const {
  if (keys_.size() >= kMaxDataKeys) {
    return fail(Code::limit_exceeded,
                std::to_string(keys_.size()) +
                    " data keys are in use (16 at most); wait until the records are sealed "
                    "anew");
  }
  auto ring = std::make_shared<SealingRing>(*this);
  crypto::SecretBytes key(crypto::kAeadKeyBytes);
  random.fill(key.mutable_view());
  ring->current_ = current_ + 1;
  ring->walk_ = Walk{};
  PEAT_TRY_VOID(ring->add_key(ring->current_,
                              std::make_shared<const crypto::SecretBytes>(std::move(key)), random));
  return ring;
}

SealingRing::Shared SealingRing::with_walk(Walk walk) const {
  auto ring = std::make_shared<SealingRing>(*this);
  ring->walk_ = std::move(walk);
  return ring;
}

SealingRing::Shared SealingRing::finished() const {
  auto ring = std::make_shared<SealingRing>(*this);
  ring->walk_.reset();
  ring->plain_ = false;
  std::erase_if(ring->keys_, [this](const auto& key) { return key.id != current_; });
  return ring;
}

const crypto::SecretBytes* SealingRing::find(std::uint32_t id) const {
  const auto found = std::ranges::find(keys_, id, &DataKey::id);
  return found == keys_.end() ? nullptr : found->key.get();
}

}  // namespace peat::store
