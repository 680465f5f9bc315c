// Encryption at rest: a backend that seals the rows of another.
//
// Every row but those of the table `meta` is sealed for itself:
//
//   sealed = version flags key-id nonce ciphertext
//   version = u8 1      flags = u8 2      key-id = u32le
//   nonce   = run[16], counter u64le: a random number of this run of the program, and a count
//   ciphertext = AES-256-GCM of the record as it would stand there in the clear, with its tag
//     key    HKDF-SHA256(run, data key, "peat-store-run-v1")
//     nonce  four zeros and the counter
//     associated data: version, flags, key id, table (u8), row key
//
// A key for each run leaves no nonce that could serve twice, whatever is restored or rolled back.
//
// so that rows cannot change places or be taken from another store. What stays in the clear: row
// keys (document keys, collection names, ids of peers, feed positions), the sizes of rows, and
// `meta` (format, incarnation, feed position, number of documents, the ring of wrapped keys). A row
// that was replaced by an older one of the same key is not noticed.
//
// A store that begins with a key is sealed from its first row. One that was plain is sealed row by
// row while it runs (Store::reseal), and takes plain rows until that is done, none afterwards.
//
// Keys change with the commit that carries the ring's row: rows of that commit and of all later
// ones are sealed with its current key.
//
// Threading: as Backend. Cost: one pass of AES-GCM per row written or read, 46 bytes more per row;
// sealing runs on the pool, opening on the loop. Errors: store_corrupt for a row that
// does not open, with its name.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.hpp"
#include "crypto/aead.hpp"
#include "store/backend.hpp"
#include "store/sealing.hpp"

namespace peat::store {

inline constexpr std::string_view kSealingName = "sealing";  // the ring's row in `meta`

class SealedBackend final : public Backend {
 public:
  // `inner` as it is if it is not sealed and no key is given. A ring that is new, or wrapped anew,
  // has to be committed (ring_row) with the first commit.
  static Result<std::shared_ptr<Backend>> open(std::shared_ptr<Backend> inner,
                                               const StoreKeys& keys, Random& random);

  Status begin_read() override;
  void end_read() override;
  Result<std::optional<ByteView>> get(Table table, std::string_view key) override;
  Result<std::optional<Entry>> next(Table table, std::string_view from, bool inclusive) override {
    return inner_->next(table, from, inclusive);
  }
  Result<ByteView> unseal(Table table, std::string_view key, ByteView value) override;
  Result<std::optional<Entry>> previous(Table table, std::string_view before) override {
    return inner_->previous(table, before);
  }
  Status make_missing_tables() override { return inner_->make_missing_tables(); }
  Status commit(const Rows& rows) override;
  Result<bool> recover() override { return inner_->recover(); }
  Result<std::optional<std::uint64_t>> take_stop_mark() override {
    return inner_->take_stop_mark();
  }
  Status close(std::uint64_t run) override { return inner_->close(run); }
  std::uint64_t features() const override;
  SealedBackend* sealed() override { return this; }
  // Sealed rows stay sealed, under the same ring.
  Status copy_to(const std::filesystem::path& file) override { return inner_->copy_to(file); }
  Status adopt(const std::filesystem::path& file) override { return inner_->adopt(file); }
  std::filesystem::path directory() const override { return inner_->directory(); }
  std::uint64_t map_bytes() const override { return inner_->map_bytes(); }
  std::uint64_t file_bytes() const override { return inner_->file_bytes(); }

  SealingRing::Shared ring() const;
  // The value of the ring's row.
  static Bytes ring_row(const SealingRing& ring);
  bool ring_is_new() const { return ring_is_new_; }

  // Rows from the place `walk` on that are not sealed with the current key, opened, and the place
  // behind them: at most `rows` looked at or about `bytes` taken. Between begin_read and end_read.
  struct Stale {
    std::vector<std::pair<std::string, Bytes>> rows;  // all of `walk`'s table
    std::optional<SealingRing::Walk> next;            // nullopt: that was the end
    std::uint64_t looked_at = 0;
    std::uint64_t failed = 0;  // rows that do not open: they stay as they are
  };
  Result<Stale> stale(const SealingRing::Walk& walk, std::size_t rows, std::size_t bytes);

 private:
  SealedBackend(std::shared_ptr<Backend> inner, SealingRing::Shared ring, bool ring_is_new,
                Random& random);

  using Run = std::array<std::uint8_t, 16>;
  static Result<crypto::GcmKey> run_key(const crypto::SecretBytes& data_key, ByteView run);
  Status seal_rows(const SealingRing& ring, const Rows& rows, Rows& out);
  Result<crypto::GcmKey*> opening_key(std::uint32_t id, ByteView run);
  static bool is_sealed(ByteView value);
  static std::uint32_t key_of(ByteView value);

  std::shared_ptr<Backend> inner_;
  mutable std::mutex mutex_;
  SealingRing::Shared ring_;
  bool ring_is_new_;
  Run run_;
  // Of the loop.
  std::deque<Bytes> opened_;  // of the read under way
  std::map<std::pair<std::uint32_t, Run>, crypto::GcmKey> opening_;
  Bytes opening_data_;
  // Of the pool.
  std::optional<std::pair<std::uint32_t, crypto::GcmKey>> sealing_;  // by the id of the data key
  std::uint64_t counter_ = 0;
  Bytes sealing_data_;
};

}  // namespace peat::store
