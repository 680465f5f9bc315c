// Encryption between two members, within a group, and of one document, as existing peers do it
// (spec/security.md 10), without what made it weak.
//
//   peer key   := HKDF(-, X25519(mine, theirs), "peat-protocol-v1-peer")
//   peer       := nonce[12], ChaCha20-Poly1305(peer key, nonce, text)
//   group      := u32le n, group id[n], u64le generation, nonce[12],
//                 ChaCha20-Poly1305(group key, nonce, text)
//   store      := "ENC:v1:", base64(nonce[12], AES-256-GCM(key, nonce, text))
//
// Version 1 authenticates neither group nor generation and has no order; what it is, it stays,
// because existing peers read it. Version 2 is spoken between our own nodes: both directions of a
// peer channel have their own key, the header is associated data, and nonces are counters, so that
// a receiver refuses what it has seen (D-43, D-44):
//
//   peer v2    := u32be 0x80000002, u64be counter, ChaCha20-Poly1305(k, nonce, text, head)
//   group v2   := u32le 0x80000000 | n, group id[n], u64le generation, u32be sender,
//                 u64be counter, ChaCha20-Poly1305(group key, nonce, text, head)
//   k          := HKDF(initiator's key, responder's key; X25519, "peat-protocol-v2-peer",
//                 direction)
//   nonce      := u32be 0 or sender, u64be counter
//   store v2   := "ENC:v2:", 8 hex digits of key id, ":", base64(nonce[24],
//                 XChaCha20-Poly1305(key, nonce, text, document key))
//
// `sender` is the unique index that the key's issuer gave each member for this generation: it is
// never hashed, or two members could share nonces. Readers of version 1 fail cleanly on the top
// bit.
//
// Threading: one thread each. Errors: decryption_failed, replayed, no_group_key, truncated,
// malformed, limit_exceeded (a key that has sealed 2^32 messages: rotate it).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/random.hpp"
#include "base/time.hpp"
#include "crypto/agreement.hpp"
#include "crypto/keys.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "security/replay_window.hpp"

namespace peat::security {

// --- version 1 -----------------------------------------------------------------------------------

Result<crypto::SecretBytes> derive_peer_key(const crypto::AgreementKey& mine,
                                            const crypto::AgreementPublicKey& theirs);
Result<Bytes> seal_for_peer(const crypto::SecretBytes& key, ByteView text, Random& random);
Result<Bytes> open_from_peer(const crypto::SecretBytes& key, ByteView sealed);

struct GroupHeader {
  std::string group_id;
  std::uint64_t generation = 0;
};
Result<Bytes> seal_for_group_v1(const crypto::SecretBytes& key, const GroupHeader& header,
                                ByteView text, Random& random);

// --- between two of our own nodes ----------------------------------------------------------------

class PeerChannel {
 public:
  // Both sides call it with the same two public keys in the same order of roles.
  enum class Role : std::uint8_t { initiator, responder };
  static Result<PeerChannel> establish(const crypto::AgreementKey& mine,
                                       const crypto::AgreementPublicKey& theirs, Role role);

  Result<Bytes> seal(ByteView text);
  Result<Bytes> open(ByteView sealed);

 private:
  PeerChannel(crypto::SecretBytes sending, crypto::SecretBytes receiving)
      : sending_(std::move(sending)), receiving_(std::move(receiving)) {}

  crypto::SecretBytes sending_;
  crypto::SecretBytes receiving_;
  std::uint64_t next_ = 0;
  ReplayWindow seen_;
};

// --- groups --------------------------------------------------------------------------------------

// The keys of one group: the current generation, and the last few for what was under way (D-45).
class GroupKeys {
 public:
  static constexpr std::size_t kKept = 5;
  static constexpr Duration kKeptFor = std::chrono::hours(24);
  static constexpr std::uint64_t kMaxMessages = std::uint64_t{1} << 32;
  // Senders of one generation that are told apart: a member could make up as many as it likes.
  static constexpr std::size_t kMaxSenders = 4096;

  explicit GroupKeys(std::string group_id) : group_id_(std::move(group_id)) {}

  // Code::replayed unless `generation` is newer than the current: a generation is never rolled
  // back. `sender` is this node's index in it, `first_counter` beyond all it has used under this
  // key.
  struct Generation {
    std::uint64_t generation = 1;
    crypto::SecretBytes key;
    std::uint32_t sender = 0;
    std::uint64_t first_counter = 0;
  };
  Status install(Generation generation, Instant now);
  // On the member that issues keys: a new random key under the next number.
  Status rotate(Random& random, std::uint32_t sender, Instant now);
  std::uint64_t generation() const;
  const crypto::SecretBytes* key(std::uint64_t generation) const;
  // Below which counters of this node are spent: to be stored before what was sealed is sent.
  std::uint64_t next_counter() const;

  Result<Bytes> seal(ByteView text);                     // version 2
  Result<Bytes> seal_v1(ByteView text, Random& random);  // for existing peers
  // Either version. Code::limit_exceeded: a sender beyond kMaxSenders.
  Result<Bytes> open(ByteView message, Instant now);

 private:
  struct Held {
    Generation generation;
    Instant replaced = kNever;
    std::uint64_t sealed = 0;
    std::map<std::uint32_t, ReplayWindow> seen;
  };
  Held* find(std::uint64_t generation, Instant now);
  Status count(Held& held) const;
  Result<Bytes> open_v1(ByteView message, std::uint32_t id_length, Instant now);
  Result<Bytes> open_v2(ByteView message, std::uint32_t id_length, Instant now);

  std::string group_id_;
  std::map<std::uint64_t, Held> held_;
};

// --- documents at rest ---------------------------------------------------------------------------

// The cipher of an existing node's store. `key_text` is base64 of 32 bytes.
class StoreCipher {
 public:
  static Result<StoreCipher> from_base64(std::string_view key_text);

  std::string seal_v1(std::string_view text, Random& random) const;
  // With the document's key as associated data, so that sealed documents cannot change places
  // (D-51).
  std::string seal(std::string_view text, std::string_view document_key, Random& random) const;
  // Either version; Code::malformed if it is none.
  Result<std::string> open(std::string_view sealed, std::string_view document_key) const;
  static bool is_sealed(std::string_view text);

  std::string key_id() const;  // 8 hex digits

 private:
  explicit StoreCipher(crypto::SecretBytes key) : key_(std::move(key)) {}
  crypto::SecretBytes key_;
};

// The key that existing peers derive for one document from a *public* key, so that anybody can
// open it (D-04): for reading what they left.
Result<crypto::SecretBytes> derive_legacy_document_key(const crypto::AgreementPublicKey& key);
// Ours, from the secret.
Result<crypto::SecretBytes> derive_document_key(const crypto::AgreementKey& key);

}  // namespace peat::security
