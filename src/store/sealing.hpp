// The keys of a store that is encrypted at rest, and the row that keeps them.
//
// Records are sealed with data keys, which the store makes itself. The ring of data keys is a row
// of the store ("sealing" in the table meta), in which each is wrapped by the key that the operator
// gives: 32 bytes, or a passphrase through Argon2id. So that key can change without touching the
// records, and records are sealed anew, in slices, without a change of that key.
//
//   ring     = version kind passes memory salt plain walk current count { key } mac
//   version  = u8 1
//   kind     = u8: 0 key, 1 passphrase
//   passes, memory = u32le: of Argon2id; 0 for a key
//   salt     = 16 bytes
//   plain    = u8: 1 while records that are not sealed may still be there
//   walk     = u8 0 | u8 1, u8 table, u16le n, n bytes: up to where records are sealed anew
//   current  = u32le: the id of the key that new records are sealed with
//   count    = u8
//   key      = u32le id, nonce[24], wrapped[48]
//   mac      = HMAC-SHA256 under the wrapping key of a label and all before
//
// Wrapping is XChaCha20-Poly1305 under HKDF-SHA256(salt, key, "peat-store-wrap-v1"), with the
// bytes from kind to salt and the id as associated data.
//
// Threading: values; a ring is immutable and shared. Errors: missing_setting (encrypted, and no key
// is given), decryption_failed (another key), malformed, weak_secret (a passphrase under 12 bytes).
// Limit: kMaxDataKeys, of keys in use at once.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.hpp"
#include "crypto/keys.hpp"
#include "crypto/password.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "store/rows.hpp"

namespace peat::store {

// What the operator gives.
struct StoreKey {
  enum class Kind : std::uint8_t { key, passphrase };
  Kind kind = Kind::key;
  crypto::SecretBytes secret;   // 32 bytes, or the passphrase
  crypto::PasswordCost cost{};  // for wrapping anew; a stored ring names its own
};

struct StoreKeys {
  std::optional<StoreKey> key;
  std::optional<StoreKey> previous;  // opens a store that is still wrapped by it
};

// Up to where records are sealed anew.
struct SealingWalk {
  Table table = Table::settings;
  std::string key;
  friend bool operator==(const SealingWalk&, const SealingWalk&) = default;
};

// More are not begun before the old ones are gone.
inline constexpr std::size_t kMaxDataKeys = 16;

class SealingRing {
 public:
  using Walk = SealingWalk;
  using Shared = std::shared_ptr<const SealingRing>;

  // With one data key. `plain`: records of before are not sealed, and are from here on.
  static Result<Shared> create(const StoreKey& key, bool plain, Random& random);
  // Opens the data keys. A ring that only `previous` opens comes back wrapped by `key`.
  struct Opened {
    Shared ring;
    bool rewrapped = false;
  };
  static Result<Opened> open(ByteView row, const StoreKeys& keys, Random& random);
  // The same ring later, under the wrapping key that opened it.
  Result<Shared> reread(ByteView row) const;

  Bytes encode() const;

  // Steps of sealing anew. A new data key, and the walk begins; Code::limit_exceeded if old keys
  // are still there in such number.
  Result<Shared> with_new_key(Random& random) const;
  Shared with_walk(Walk walk) const;
  Shared finished() const;  // the current key alone, nothing plain

  std::uint32_t current() const { return current_; }
  bool takes_plain() const { return plain_; }
  const std::optional<Walk>& walk() const { return walk_; }
  std::size_t keys() const { return keys_.size(); }
  const crypto::SecretBytes* find(std::uint32_t id) const;

 private:
  struct DataKey {
    std::uint32_t id = 0;
    std::shared_ptr<const crypto::SecretBytes> key;
    Bytes wrapped;  // nonce and ciphertext
  };
  struct Wrapping {
    StoreKey::Kind kind = StoreKey::Kind::key;
    crypto::PasswordCost cost{0, 0};
    std::array<std::uint8_t, crypto::kPasswordSaltBytes> salt{};
  };

  static Result<std::shared_ptr<SealingRing>> parse(ByteView row);
  static Result<std::shared_ptr<const crypto::SecretBytes>> wrapping_key(const Wrapping& wrapping,
                                                                         const StoreKey& key);
  static Bytes head(const Wrapping& wrapping);
  Status unwrap_all();
  Status check_mac(ByteView row) const;
  Status add_key(std::uint32_t id, std::shared_ptr<const crypto::SecretBytes> key, Random& random);
  Status wrap_anew(const StoreKey& key, Random& random);

  Wrapping wrapping_;
  std::shared_ptr<const crypto::SecretBytes> wrapper_;
  bool plain_ = false;
  std::optional<Walk> walk_;
  std::uint32_t current_ = 0;
  std::vector<DataKey> keys_;
};

}  // namespace peat::store
