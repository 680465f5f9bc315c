#include "security/encryption.hpp"

#include <algorithm>
#include <array>

#include "base/encoding.hpp"
#include "base/reader.hpp"
#include "crypto/aead.hpp"
#include "crypto/kdf.hpp"

namespace peat::security {

namespace {

using crypto::Cipher;

constexpr std::size_t kNonceBytes = crypto::nonce_bytes(Cipher::chacha20_poly1305);
constexpr std::uint32_t kVersion2Bit = 0x80000000;
constexpr std::uint32_t kPeerVersion2 = 0x80000002;
constexpr std::size_t kMaxGroupId = 65535;
constexpr std::string_view kStoreV1 = "ENC:v1:";
constexpr std::string_view kStoreV2 = "ENC:v2:";
constexpr std::size_t kKeyIdDigits = 8;

using Nonce12 = std::array<std::uint8_t, kNonceBytes>;

Nonce12 counter_nonce(std::uint32_t sender, std::uint64_t counter) {
  Bytes bytes;
  Writer writer(bytes);
  writer.u32be(sender);
  writer.u64be(counter);
  Nonce12 nonce;
  std::ranges::copy(bytes, nonce.begin());
  return nonce;
}

// nonce, sealed
Result<Bytes> seal_random(const crypto::SecretBytes& key, ByteView text, Random& random) {
  Nonce12 nonce;
  random.fill(nonce);
  PEAT_TRY(const auto sealed, crypto::seal({Cipher::chacha20_poly1305, key.view(), nonce}, text));
  Bytes out(nonce.begin(), nonce.end());
  out.insert(out.end(), sealed.begin(), sealed.end());
  return out;
}

std::unexpected<Error> seen() {
  return fail(Code::replayed,
              "this message was received before, or is too old to be told from one "
              "that was");
}

}  // namespace

// --- version 1 -----------------------------------------------------------------------------------

Result<crypto::SecretBytes> derive_peer_key(const crypto::AgreementKey& mine,
                                            const crypto::AgreementPublicKey& theirs) {
  PEAT_TRY(const auto shared, mine.agree(theirs));
  return crypto::hkdf_sha256({}, shared.view(), as_bytes("peat-protocol-v1-peer"));
}

Result<Bytes> seal_for_peer(const crypto::SecretBytes& key, ByteView text, Random& random) {
  return seal_random(key, text, random);
}

Result<Bytes> open_from_peer(const crypto::SecretBytes& key, ByteView sealed) {
  Reader reader(sealed);
  PEAT_TRY(const auto nonce, reader.take(kNonceBytes, "nonce"));
  return crypto::open({Cipher::chacha20_poly1305, key.view(), nonce}, reader.rest());
}

// group := u32le n, group id[n], u64le generation, nonce, sealed
Result<Bytes> seal_for_group_v1(const crypto::SecretBytes& key, const GroupHeader& header,
                                ByteView text, Random& random) {
  if (header.group_id.size() > kMaxGroupId) {
    return fail(Code::limit_exceeded, "a group's id has at most 65535 bytes");
  }
  Bytes out;
  Writer writer(out);
  writer.u32le(static_cast<std::uint32_t>(header.group_id.size()));
  writer.text(header.group_id);
  writer.u64le(header.generation);
  PEAT_TRY(const auto sealed, seal_random(key, text, random));
  writer.bytes(sealed);
  return out;
}

// --- between two of our own nodes ----------------------------------------------------------------

Result<PeerChannel> PeerChannel::establish(const crypto::AgreementKey& mine,
                                           const crypto::AgreementPublicKey& theirs, Role role) {
  PEAT_TRY(const auto shared, mine.agree(theirs));
  const auto own = mine.public_key();
  const auto& initiator = role == Role::initiator ? own : theirs;
  const auto& responder = role == Role::initiator ? theirs : own;
  Bytes salt(initiator.begin(), initiator.end());
  salt.insert(salt.end(), responder.begin(), responder.end());
  const auto derive = [&](std::string_view direction) {
    return crypto::hkdf_sha256(salt, shared.view(),
                               as_bytes("peat-protocol-v2-peer " + std::string(direction)));
  };
  PEAT_TRY(auto forward, derive("initiator"));
  PEAT_TRY(auto backward, derive("responder"));
  return role == Role::initiator ? PeerChannel(std::move(forward), std::move(backward))
                                 : PeerChannel(std::move(backward), std::move(forward));
}

Result<Bytes> PeerChannel::seal(ByteView text) {
  if (next_ >= GroupKeys::kMaxMessages) {
    return fail(Code::limit_exceeded, "this channel has sealed 2^32 messages; establish another");
  }
  Bytes out;
  Writer writer(out);
  writer.u32be(kPeerVersion2);
  writer.u64be(next_);
  const auto nonce = counter_nonce(0, next_);
  PEAT_TRY(const auto sealed,
           crypto::seal({Cipher::chacha20_poly1305, sending_.view(), nonce, out}, text));
  ++next_;
  writer.bytes(sealed);
  return out;
}

Result<Bytes> PeerChannel::open(ByteView message) {
  Reader reader(message);
  PEAT_TRY(const auto version, reader.u32be("version"));
  if (version != kPeerVersion2) {
    return fail(Code::wrong_version, "a sealed message of another version");
  }
  PEAT_TRY(const auto counter, reader.u64be("counter"));
  if (!seen_.is_new(counter)) return seen();
  const auto nonce = counter_nonce(0, counter);
  PEAT_TRY(auto text, crypto::open({Cipher::chacha20_poly1305, receiving_.view(), nonce,
                                    message.first(reader.offset())},
                                   reader.rest()));
  seen_.mark(counter);
  return text;
}

// --- groups --------------------------------------------------------------------------------------

Status GroupKeys::install(Generation generation, Instant now) {
  if (generation.key.size() != crypto::kAeadKeyBytes) {
    return fail(Code::invalid_argument, "a group's key has 32 bytes");
  }
  if (!held_.empty() && generation.generation <= this->generation()) {
    return fail(Code::replayed, "generation " + std::to_string(generation.generation) +
                                    " of the key of " + group_id_ + " is not newer than " +
                                    std::to_string(this->generation()));
  }
  if (!held_.empty()) held_.rbegin()->second.replaced = now;
  const auto number = generation.generation;
  held_.emplace(number, Held{std::move(generation), kNever, 0, {}});
  while (held_.size() > kKept) held_.erase(held_.begin());
  return {};
}

Status GroupKeys::rotate(Random& random, std::uint32_t sender, Instant now) {
  Generation next;
  next.generation = generation() + 1;
  next.key = crypto::SecretBytes(crypto::kAeadKeyBytes);
  random.fill(next.key.mutable_view());
  next.sender = sender;
  return install(std::move(next), now);
}

std::uint64_t GroupKeys::generation() const { return held_.empty() ? 0 : held_.rbegin()->first; }

const crypto::SecretBytes* GroupKeys::key(std::uint64_t generation) const {
  const auto found = held_.find(generation);
  return found == held_.end() ? nullptr : &found->second.generation.key;
}

std::uint64_t GroupKeys::next_counter() const {
  if (held_.empty()) return 0;
  const auto& held = held_.rbegin()->second;
  return held.generation.first_counter + held.sealed;
}

GroupKeys::Held* GroupKeys::find(std::uint64_t generation, Instant now) {
  const auto found = held_.find(generation);
  if (found == held_.end()) return nullptr;
  auto& held = found->second;
  const bool expired = held.replaced != kNever && now > held.replaced + kKeptFor;
  return expired ? nullptr : &held;
}

Status GroupKeys::count(Held& held) const {
  if (held.sealed >= kMaxMessages) {
    return fail(Code::limit_exceeded,
                "the key of " + group_id_ + " has sealed 2^32 messages; it must be rotated");
  }
  ++held.sealed;
  return {};
}

Result<Bytes> GroupKeys::seal_v1(ByteView text, Random& random) {
  if (held_.empty()) return fail(Code::no_group_key, "there is no key of " + group_id_);
  auto& held = held_.rbegin()->second;
  PEAT_TRY_VOID(count(held));
  return seal_for_group_v1(held.generation.key, {group_id_, held.generation.generation}, text,
                           random);
}

Result<Bytes> GroupKeys::seal(ByteView text) {
  if (held_.empty()) return fail(Code::no_group_key, "there is no key of " + group_id_);
  auto& held = held_.rbegin()->second;
  const auto counter = next_counter();
  PEAT_TRY_VOID(count(held));
  Bytes out;
  Writer writer(out);
  writer.u32le(kVersion2Bit | static_cast<std::uint32_t>(group_id_.size()));
  writer.text(group_id_);
  writer.u64le(held.generation.generation);
  writer.u32be(held.generation.sender);
  writer.u64be(counter);
  const auto nonce = counter_nonce(held.generation.sender, counter);
  PEAT_TRY(const auto sealed,
           crypto::seal({Cipher::chacha20_poly1305, held.generation.key.view(), nonce, out}, text));
  writer.bytes(sealed);
  return out;
}

Result<Bytes> GroupKeys::open(ByteView message, Instant now) {
  PEAT_TRY(const auto word, Reader(message).u32le("group id length"));
  const auto id_length = word & ~kVersion2Bit;
  if (id_length > kMaxGroupId) {
    return fail(Code::limit_exceeded,
                "a group id of " + std::to_string(id_length) + " bytes; 65535 are taken");
  }
  return (word & kVersion2Bit) != 0 ? open_v2(message, id_length, now)
                                    : open_v1(message, id_length, now);
}

Result<Bytes> GroupKeys::open_v1(ByteView message, std::uint32_t id_length, Instant now) {
  Reader reader(message.subspan(sizeof id_length));
  PEAT_TRY(const auto id, reader.take(id_length, "group id"));
  PEAT_TRY(const auto generation, reader.u64le("generation"));
  if (as_text(id) != group_id_) return fail(Code::no_group_key, "a message of another group");
  const auto* held = find(generation, now);
  if (held == nullptr) {
    return fail(Code::no_group_key, "generation " + std::to_string(generation) + " of the key of " +
                                        group_id_ + " is not held");
  }
  return open_from_peer(held->generation.key, reader.rest());
}

Result<Bytes> GroupKeys::open_v2(ByteView message, std::uint32_t id_length, Instant now) {
  Reader reader(message.subspan(sizeof id_length));
  PEAT_TRY(const auto id, reader.take(id_length, "group id"));
  PEAT_TRY(const auto generation, reader.u64le("generation"));
  PEAT_TRY(const auto sender, reader.u32be("sender"));
  PEAT_TRY(const auto counter, reader.u64be("counter"));
  if (as_text(id) != group_id_) return fail(Code::no_group_key, "a message of another group");
  auto* held = find(generation, now);
  if (held == nullptr) {
    return fail(Code::no_group_key, "generation " + std::to_string(generation) + " of the key of " +
                                        group_id_ + " is not held");
  }
  const auto window = held->seen.find(sender);
  if (window != held->seen.end() && !window->second.is_new(counter)) return seen();
  const auto head = message.first(sizeof id_length + reader.offset());
  const auto nonce = counter_nonce(sender, counter);
  PEAT_TRY(auto text,
           crypto::open({Cipher::chacha20_poly1305, held->generation.key.view(), nonce, head},
                        reader.rest()));
  if (window == held->seen.end() && held->seen.size() >= kMaxSenders) {
    return fail(Code::limit_exceeded, "generation " + std::to_string(generation) + " of " +
                                          group_id_ + " has " + std::to_string(kMaxSenders) +
                                          " senders already; rotate its key");
  }
  held->seen[sender].mark(counter);
  return text;
}

// --- documents at rest ---------------------------------------------------------------------------

Result<StoreCipher> StoreCipher::from_base64(std::string_view key_text) {
  PEAT_TRY(auto decoded, peat::from_base64(key_text));
  const auto size = decoded.size();
  crypto::SecretBytes key{ByteView(decoded)};
  crypto::wipe(decoded);
  if (size != crypto::kAeadKeyBytes) {
    return fail(Code::invalid_argument,
                "a store's key is base64 of exactly 32 bytes, not " + std::to_string(size));
  }
  return StoreCipher(std::move(key));
}

std::string StoreCipher::key_id() const {
  const auto mac = crypto::hmac_sha256(key_.view(), {as_bytes("peat-store-key-id")});
  return to_hex(ByteView(mac).first(kKeyIdDigits / 2));
}

std::string StoreCipher::seal_v1(std::string_view text, Random& random) const {
  Nonce12 nonce;
  random.fill(nonce);
  // The key has its length, and a document is far below what AES-GCM takes at once.
  const auto sealed = crypto::seal({Cipher::aes_256_gcm, key_.view(), nonce}, as_bytes(text));
  Bytes out(nonce.begin(), nonce.end());
  out.insert(out.end(), sealed->begin(), sealed->end());
  return std::string(kStoreV1) + to_base64(out);
}

std::string StoreCipher::seal(std::string_view text, std::string_view document_key,
                              Random& random) const {
  std::array<std::uint8_t, crypto::nonce_bytes(Cipher::xchacha20_poly1305)> nonce;
  random.fill(nonce);
  const auto sealed = crypto::seal(
      {Cipher::xchacha20_poly1305, key_.view(), nonce, as_bytes(document_key)}, as_bytes(text));
  Bytes out(nonce.begin(), nonce.end());
  out.insert(out.end(), sealed->begin(), sealed->end());
  return std::string(kStoreV2) + key_id() + ":" + to_base64(out);
}

bool StoreCipher::is_sealed(std::string_view text) {
  return text.starts_with(kStoreV1) || text.starts_with(kStoreV2);
}

Result<std::string> StoreCipher::open(std::string_view sealed,
                                      std::string_view document_key) const {
  if (!is_sealed(sealed)) {
    return fail(Code::malformed, "the document is not sealed; where a key is set, that is refused");
  }
  const bool v2 = sealed.starts_with(kStoreV2);
  auto rest = sealed.substr(kStoreV1.size());
  if (v2) {
    if (rest.substr(0, kKeyIdDigits) != key_id() || rest.substr(kKeyIdDigits, 1) != ":") {
      return fail(Code::decryption_failed, "the document is sealed with key " +
                                               std::string(rest.substr(0, kKeyIdDigits)) +
                                               ", this is key " + key_id());
    }
    rest.remove_prefix(kKeyIdDigits + 1);
  }
  const auto cipher = v2 ? Cipher::xchacha20_poly1305 : Cipher::aes_256_gcm;
  PEAT_TRY(const auto bytes, peat::from_base64(rest));
  Reader reader(bytes);
  PEAT_TRY(const auto nonce, reader.take(crypto::nonce_bytes(cipher), "nonce"));
  PEAT_TRY(const auto text,
           crypto::open({cipher, key_.view(), nonce, v2 ? as_bytes(document_key) : ByteView()},
                        reader.rest()));
  return std::string(as_text(text));
}

Result<crypto::SecretBytes> derive_legacy_document_key(const crypto::AgreementPublicKey& key) {
  return crypto::hkdf_sha256({}, key, as_bytes("peat-protocol-v1-device"));
}

Result<crypto::SecretBytes> derive_document_key(const crypto::AgreementKey& key) {
  return crypto::hkdf_sha256({}, key.secret(), as_bytes("peat-protocol-v2-device"));
}

}  // namespace peat::security
