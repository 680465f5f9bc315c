#include "store/sealed_backend.hpp"

#include <algorithm>
#include <utility>

#include "base/reader.hpp"
#include "crypto/kdf.hpp"
#include "store/record.hpp"

namespace peat::store {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kSealedFlag = 2;
constexpr std::size_t kRunBytes = 16;
constexpr std::size_t kNonceBytes = kRunBytes + sizeof(std::uint64_t);
constexpr std::string_view kRunLabel = "peat-store-run-v1";
// Keys of former runs that are kept ready; beyond, they are derived again.
constexpr std::size_t kRunsReady = 64;
constexpr std::size_t kHeadBytes = 6;

constexpr std::array kSealedTables{Table::settings,    Table::documents,  Table::bodies,
                                   Table::feed,        Table::tombstones, Table::counts,
                                   Table::sync_states, Table::index};

void set_associated(Bytes& out, ByteView head, Table table, std::string_view key) {
  out.clear();
  Writer writer(out);
  writer.bytes(head);
  writer.u8(static_cast<std::uint8_t>(table));
  writer.text(key);
}

// Four zeros, then the counter at the end of `nonce`.
std::array<std::uint8_t, crypto::GcmKey::kNonceBytes> gcm_nonce(ByteView nonce) {
  std::array<std::uint8_t, crypto::GcmKey::kNonceBytes> out{};
  std::ranges::copy(nonce.subspan(kRunBytes), out.begin() + 4);
  return out;
}

std::unexpected<Error> damaged(Table table, std::string_view key, std::string_view why) {
  return fail(Code::store_corrupt,
              describe(table, key) + " " + std::string(why) + "; restore the store from a backup");
}

}  // namespace

SealedBackend::SealedBackend(std::shared_ptr<Backend> inner, SealingRing::Shared ring,
                             bool ring_is_new, Random& random)
    : inner_(std::move(inner)), ring_(std::move(ring)), ring_is_new_(ring_is_new) {
  random.fill(run_);
}

Result<std::shared_ptr<Backend>> SealedBackend::open(std::shared_ptr<Backend> inner,
                                                     const StoreKeys& keys, Random& random) {
  Bytes row;
  bool begun = false;  // there is a store
  {
    PEAT_TRY_VOID(inner->begin_read());
    struct End {
      Backend& backend;
      ~End() { backend.end_read(); }
    } const end{*inner};
    PEAT_TRY(const auto record, inner->get(Table::meta, kSealingName));
    if (record) {
      PEAT_TRY(const auto content, open_record(Table::meta, kSealingName, *record));
      row.assign(content.begin(), content.end());
    }
    PEAT_TRY(const auto any, inner->next(Table::meta, "", true));
    begun = any.has_value();
  }
  if (row.empty() && !keys.key) return inner;
  SealingRing::Opened opened;
  if (row.empty()) {
    PEAT_TRY(opened.ring, SealingRing::create(*keys.key, begun, random));
    opened.rewrapped = true;
  } else {
    PEAT_TRY(opened, SealingRing::open(row, keys, random));
  }
  return std::shared_ptr<Backend>(
      new SealedBackend(std::move(inner), std::move(opened.ring), opened.rewrapped, random));
}

SealingRing::Shared SealedBackend::ring() const {
  const std::lock_guard lock(mutex_);
  return ring_;
}

Bytes SealedBackend::ring_row(const SealingRing& ring) {
  return make_record(Table::meta, kSealingName, ring.encode());
}

std::uint64_t SealedBackend::features() const { return kFormatSealed; }

// --- reads --------------------------------------------------------------------------------------

Status SealedBackend::begin_read() { return inner_->begin_read(); }

void SealedBackend::end_read() {
  opened_.clear();
  inner_->end_read();
}

bool SealedBackend::is_sealed(ByteView value) {
  return value.size() >= kHeadBytes + kNonceBytes && value[0] == kVersion &&
         value[1] == kSealedFlag;
}

std::uint32_t SealedBackend::key_of(ByteView value) {
  return Reader(value.subspan(2)).u32le("the key id").value_or(0);
}

Result<crypto::GcmKey> SealedBackend::run_key(const crypto::SecretBytes& data_key, ByteView run) {
  PEAT_TRY(const auto key, crypto::hkdf_sha256(run, data_key.view(), as_bytes(kRunLabel)));
  return crypto::GcmKey::create(key.view());
}

Result<crypto::GcmKey*> SealedBackend::opening_key(std::uint32_t id, ByteView run) {
  std::pair<std::uint32_t, Run> name{id, {}};
  std::ranges::copy(run, name.second.begin());
  const auto ring = this->ring();
  const auto* data_key = ring->find(id);
  if (data_key == nullptr) {
    return fail(Code::not_found,
                "is sealed with key " + std::to_string(id) + ", which is not here");
  }
  const auto found = opening_.find(name);
  if (found != opening_.end()) return &found->second;
  PEAT_TRY(auto key, run_key(*data_key, run));
  if (opening_.size() >= kRunsReady) opening_.clear();
  return &opening_.emplace(name, std::move(key)).first->second;
}

Result<ByteView> SealedBackend::unseal(Table table, std::string_view key, ByteView value) {
  if (table == Table::meta) return value;
  if (!is_sealed(value)) {
    if (ring()->takes_plain()) return value;
    return damaged(table, key, "is not sealed, and in this store every row is");
  }
  const auto nonce = value.subspan(kHeadBytes, kNonceBytes);
  const auto opening = opening_key(key_of(value), nonce.first(kRunBytes));
  if (!opening) return damaged(table, key, opening.error().message);
  set_associated(opening_data_, value.first(kHeadBytes), table, key);
  auto plain =
      (*opening)->open(gcm_nonce(nonce), opening_data_, value.subspan(kHeadBytes + kNonceBytes));
  if (!plain) return damaged(table, key, "does not open: it was changed, or belongs elsewhere");
  return ByteView(opened_.emplace_back(std::move(*plain)));
}

Result<std::optional<ByteView>> SealedBackend::get(Table table, std::string_view key) {
  PEAT_TRY(const auto value, inner_->get(table, key));
  if (!value) return std::nullopt;
  PEAT_TRY(const auto record, unseal(table, key, *value));
  return record;
}

Result<SealedBackend::Stale> SealedBackend::stale(const SealingRing::Walk& walk, std::size_t rows,
                                                  std::size_t bytes) {
  const auto current = ring()->current();
  Stale out;
  std::size_t taken = 0;
  auto from = walk.key;
  for (bool inclusive = from.empty(); out.looked_at < rows && taken < bytes; inclusive = false) {
    PEAT_TRY(const auto entry, inner_->next(walk.table, from, inclusive));
    if (!entry) {
      const auto at = std::ranges::find(kSealedTables, walk.table);
      if (at != kSealedTables.end() && at + 1 != kSealedTables.end()) {
        out.next = SealingRing::Walk{*(at + 1), {}};
      }
      return out;
    }
    ++out.looked_at;
    from = entry->key;
    if (is_sealed(entry->value) && key_of(entry->value) == current) continue;
    const auto record = unseal(walk.table, from, entry->value);
    if (!record) {
      ++out.failed;
      continue;
    }
    taken += record->size();
    out.rows.emplace_back(from, Bytes(record->begin(), record->end()));
  }
  out.next = SealingRing::Walk{walk.table, std::move(from)};
  return out;
}

// --- commits ------------------------------------------------------------------------------------

Status SealedBackend::seal_rows(const SealingRing& ring, const Rows& rows, Rows& out) {
  const auto id = ring.current();
  if (!sealing_ || sealing_->first != id) {
    PEAT_TRY(auto key, run_key(*ring.find(id), run_));
    sealing_.emplace(id, std::move(key));
  }
  for (const auto table : kSealedTables) {
    for (const auto& [key, value] : rows[table]) {
      if (!value) {
        out.erase(table, key);
        continue;
      }
      Bytes sealed;
      sealed.reserve(kHeadBytes + kNonceBytes + value->size() + crypto::kTagBytes);
      Writer writer(sealed);
      writer.u8(kVersion);
      writer.u8(kSealedFlag);
      writer.u32le(id);
      set_associated(sealing_data_, sealed, table, key);
      writer.bytes(run_);
      writer.u64le(counter_++);
      const auto nonce = gcm_nonce(ByteView(sealed).subspan(kHeadBytes));
      PEAT_TRY_VOID(sealing_->second.seal(nonce, sealing_data_, *value, sealed));
      out.put(table, key, std::move(sealed));
    }
  }
  return {};
}

Status SealedBackend::commit(const Rows& rows) {
  auto ring = this->ring();
  const auto& meta = rows[Table::meta];
  if (const auto row = meta.find(kSealingName); row != meta.end() && row->second) {
    PEAT_TRY(const auto content, open_record(Table::meta, kSealingName, *row->second));
    PEAT_TRY(ring, ring->reread(content));
    // Before the rows are there: who reads them finds the key.
    const std::lock_guard lock(mutex_);
    ring_ = ring;
  }
  Rows sealed;
  for (const auto& [key, value] : meta) {
    if (value) {
      sealed.put(Table::meta, key, *value);
    } else {
      sealed.erase(Table::meta, key);
    }
  }
  PEAT_TRY_VOID(seal_rows(*ring, rows, sealed));
  return inner_->commit(sealed);
}

}  // namespace peat::store
