#include "store/sealed_backend.hpp"

#include <algorithm>
#include <utility>

#include "base/reader.hpp"
#include "crypto/aead.hpp"
#include "store/record.hpp"

namespace peat::store {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kSealedFlag = 2;
constexpr auto kCipher = crypto::Cipher::xchacha20_poly1305;
constexpr std::size_t kNonceBytes = crypto::nonce_bytes(kCipher);
constexpr std::size_t kHeadBytes = 6;

constexpr std::array kSealedTables{Table::settings,   Table::documents,  Table::bodies,
                                   Table::feed,       Table::tombstones, Table::counts,
                                   Table::sync_states};

Bytes associated(ByteView head, Table table, std::string_view key) {
  Bytes out;
  out.reserve(head.size() + 1 + key.size());
  Writer writer(out);
  writer.bytes(head);
  writer.u8(static_cast<std::uint8_t>(table));
  writer.text(key);
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

Result<ByteView> SealedBackend::open_row(Table table, std::string_view key, ByteView value) {
  if (table == Table::meta) return value;
  const auto ring = this->ring();
  if (!is_sealed(value)) {
    if (ring->takes_plain()) return value;
    return damaged(table, key, "is not sealed, and in this store every row is");
  }
  const auto head = value.first(kHeadBytes);
  const auto id = key_of(value);
  const auto* data_key = ring->find(id);
  if (data_key == nullptr) {
    return damaged(table, key, "is sealed with key " + std::to_string(id) + ", which is not here");
  }
  const auto nonce = value.subspan(kHeadBytes, kNonceBytes);
  auto plain = crypto::open({kCipher, data_key->view(), nonce, associated(head, table, key)},
                            value.subspan(kHeadBytes + kNonceBytes));
  if (!plain) return damaged(table, key, "does not open: it was changed, or belongs elsewhere");
  return ByteView(opened_.emplace_back(std::move(*plain)));
}

Result<std::optional<ByteView>> SealedBackend::get(Table table, std::string_view key) {
  PEAT_TRY(const auto value, inner_->get(table, key));
  if (!value) return std::nullopt;
  PEAT_TRY(const auto record, open_row(table, key, *value));
  return record;
}

Result<std::optional<Backend::Entry>> SealedBackend::next(Table table, std::string_view from,
                                                          bool inclusive) {
  PEAT_TRY(auto entry, inner_->next(table, from, inclusive));
  if (!entry) return std::nullopt;
  PEAT_TRY(entry->value, open_row(table, entry->key, entry->value));
  return entry;
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
    const auto record = open_row(walk.table, from, entry->value);
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

Bytes SealedBackend::seal(const SealingRing& ring, Table table, std::string_view key,
                          ByteView record) {
  Bytes out;
  out.reserve(kHeadBytes + kNonceBytes + record.size() + crypto::kTagBytes);
  Writer writer(out);
  writer.u8(kVersion);
  writer.u8(kSealedFlag);
  writer.u32le(ring.current());
  const auto data = associated(out, table, key);
  writer.bytes(run_);
  writer.u64le(sealed_rows_++);
  const auto nonce = ByteView(out).subspan(kHeadBytes);
  // Of all lengths this cipher fails for none.
  const auto sealed =
      *crypto::seal({kCipher, ring.find(ring.current())->view(), nonce, data}, record);
  writer.bytes(sealed);
  return out;
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
  for (const auto table : kSealedTables) {
    for (const auto& [key, value] : rows[table]) {
      if (value) {
        sealed.put(table, key, seal(*ring, table, key, *value));
      } else {
        sealed.erase(table, key);
      }
    }
  }
  return inner_->commit(sealed);
}

}  // namespace peat::store
