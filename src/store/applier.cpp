#include "store/applier.hpp"

#include <utility>
#include <variant>

namespace peat::store {

namespace {

// The key once more if the row's key does not hold it whole.
std::string full_key(const std::string& key) {
  return key.size() > kPlainKeyBytes ? key : std::string();
}

}  // namespace

Applier::Applier(Backend& backend, const Rows* accumulating, const Rows* in_flight, Seq last,
                 const Limits& limits)
    : last_seq(last),
      backend_(backend),
      accumulating_(accumulating),
      in_flight_(in_flight),
      limits_(limits) {}

Status Applier::apply(std::vector<WriteBatch::Op> ops) {
  PEAT_TRY(auto view, View::open(backend_, {&rows, accumulating_, in_flight_}));
  view_.emplace(std::move(view));
  Status status;
  for (auto& op : ops) {
    status = std::visit([this](auto& what) { return run(what); }, op.what);
    if (!status) break;
  }
  view_.reset();
  return status;
}

Status Applier::run(op::Append& op) {
  PEAT_TRY(auto row, existing_or_new(op.key));
  for (const auto& chunk : op.chunks) put_body(row.number, ++row.chunks, chunk);
  row.heads = std::move(op.heads);
  row.origin = op.origin;
  row.time = op.time;
  put_document(op.key, std::move(row));
  return {};
}

Status Applier::run(op::Replace& op) {
  PEAT_TRY(auto row, existing_or_new(op.key, op.repair));
  erase_chunks(row);
  row.chunks = 0;
  put_body(row.number, 0, op.stored);
  row.heads = std::move(op.heads);
  row.origin = op.origin;
  row.time = op.time;
  put_document(op.key, std::move(row));
  return {};
}

Status Applier::run(op::Compact& op) {
  PEAT_TRY(auto row, view_->document(op.key));
  if (!row || row->heads != op.heads) return {};
  erase_chunks(*row);
  row->chunks = 0;
  put_body(row->number, 0, op.stored);
  auto stored = stored_key(op.key);
  auto record = make_record(Table::documents, stored, encode(*row));
  rows.put(Table::documents, std::move(stored), std::move(record));
  return {};
}

Status Applier::run(op::Erase& op) {
  PEAT_TRY(const auto erased, erase_document(op.key));
  if (!erased) return {};
  ++last_seq;
  announce(ChangeEvent::Action::erase, op.key, op.origin);
  return {};
}

Status Applier::run(op::Bury& op) {
  PEAT_TRY_VOID(check_key(op.key));
  if (op.tombstone.key() != op.key) {
    return fail(Code::invalid_argument, "a tombstone of '" + op.tombstone.key() +
                                            "' cannot bury the document '" + op.key + "'");
  }
  PEAT_TRY_VOID(erase_tombstone(op.key));
  TombstoneRow row;
  row.record.tombstone = std::move(op.tombstone);
  row.record.deleted_heads = std::move(op.deleted_heads);
  row.record.seq = ++last_seq;
  row.record.origin = op.origin;
  row.full_key = full_key(op.key);
  PEAT_TRY(const auto content, encode(row));
  auto stored = stored_key(op.key);
  auto record = make_record(Table::tombstones, stored, content);
  rows.put(Table::tombstones, std::move(stored), std::move(record));
  put_feed_row(last_seq, FeedKind::tombstone, op.key, op.origin);
  if (op.keep_document) {
    PEAT_TRY(auto document, view_->document(op.key));
    if (document) {
      put_document(op.key, std::move(*document));  // its row moves behind the tombstone's
      return {};
    }
  }
  PEAT_TRY_VOID(erase_document(op.key));
  announce(ChangeEvent::Action::erase, op.key, op.origin);
  return {};
}

Status Applier::run(op::RemoveTombstone& op) {
  PEAT_TRY_VOID(erase_tombstone(op.key));
  return {};
}

Status Applier::run(op::PutSyncState& op) {
  PEAT_TRY_VOID(check_key(op.key));
  auto key = sync_state_key(op.peer, op.key);
  auto record = make_record(Table::sync_states, key, op.state);
  rows.put(Table::sync_states, std::move(key), std::move(record));
  return {};
}

Status Applier::run(op::EraseSyncState& op) {
  rows.erase(Table::sync_states, sync_state_key(op.peer, op.key));
  return {};
}

Status Applier::run(op::EraseSyncStates& op) {
  const std::string prefix(as_text(op.peer.bytes));
  auto key = prefix;
  for (bool inclusive = true;; inclusive = false) {
    PEAT_TRY(const auto entry, view_->next(Table::sync_states, key, inclusive));
    if (!entry || !entry->key.starts_with(prefix)) return {};
    key = entry->key;
    rows.erase(Table::sync_states, key);
  }
}

Status Applier::run(op::PutMeta& op) {
  PEAT_TRY_VOID(check_name("a meta", op.name));
  auto record = make_record(Table::settings, op.name, op.value);
  rows.put(Table::settings, std::move(op.name), std::move(record));
  return {};
}

Status Applier::run(op::EraseMeta& op) {
  PEAT_TRY_VOID(check_name("a meta", op.name));
  rows.erase(Table::settings, std::move(op.name));
  return {};
}

Status Applier::run(op::PutIndex& op) {
  PEAT_TRY_VOID(check_name("an index row's", op.name));
  auto record = make_record(Table::index, op.name, op.value);
  rows.put(Table::index, std::move(op.name), std::move(record));
  return {};
}

Status Applier::run(op::EraseIndex& op) {
  PEAT_TRY_VOID(check_name("an index row's", op.name));
  rows.erase(Table::index, std::move(op.name));
  return {};
}

Status Applier::check_key(std::string_view key) const {
  if (key.empty()) return fail(Code::invalid_argument, "a document's key is empty");
  if (key.size() > limits_.wire_key_bytes) {
    return fail(Code::limit_exceeded, "a document's key has " + std::to_string(key.size()) +
                                          " bytes; at most " +
                                          std::to_string(limits_.wire_key_bytes) + " are stored");
  }
  return {};
}

Status Applier::check_name(std::string_view kind, std::string_view name) {
  if (!name.empty() && name.size() <= kPlainKeyBytes) return {};
  return fail(Code::invalid_argument, std::string(kind) + " name has " +
                                          std::to_string(name.size()) + " bytes; 1 to " +
                                          std::to_string(kPlainKeyBytes) + " are allowed");
}

Result<DocumentRow> Applier::existing_or_new(const std::string& key, bool repair) {
  PEAT_TRY_VOID(check_key(key));
  auto row = view_->document(key);
  const bool damaged = !row && row.error().code == Code::store_corrupt;
  if (!row && !(repair && damaged)) return std::unexpected(std::move(row).error());
  if (row && *row) return std::move(**row);
  DocumentRow fresh;
  fresh.number = last_seq + 1;
  fresh.full_key = full_key(key);
  if (!damaged) count(key, 1);
  return fresh;
}

void Applier::put_document(const std::string& key, DocumentRow row) {
  if (row.seq != 0) rows.erase(Table::feed, feed_key(row.seq));
  row.seq = ++last_seq;
  put_feed_row(row.seq, FeedKind::document, key, row.origin);
  auto stored = stored_key(key);
  auto record = make_record(Table::documents, stored, encode(row));
  rows.put(Table::documents, std::move(stored), std::move(record));
  announce(ChangeEvent::Action::put, key, row.origin);
}

void Applier::put_body(std::uint64_t document, std::uint32_t chunk, ByteView body) {
  auto key = body_key(document, chunk);
  auto record = make_record(Table::bodies, key, body);
  rows.put(Table::bodies, std::move(key), std::move(record));
}

void Applier::erase_chunks(const DocumentRow& row) {
  for (std::uint32_t chunk = 1; chunk <= row.chunks; ++chunk) {
    rows.erase(Table::bodies, body_key(row.number, chunk));
  }
}

Result<bool> Applier::erase_document(const std::string& key) {
  const auto row = view_->document(key);
  if (!row && row.error().code != Code::store_corrupt) return std::unexpected(row.error());
  if (row && !*row) return false;
  if (row) {
    erase_chunks(**row);
    rows.erase(Table::bodies, body_key((*row)->number, 0));
    rows.erase(Table::feed, feed_key((*row)->seq));
  }
  rows.erase(Table::documents, stored_key(key));
  count(key, -1);
  return true;
}

Status Applier::erase_tombstone(const std::string& key) {
  PEAT_TRY(const auto row, view_->tombstone(key));
  if (!row) return {};
  rows.erase(Table::feed, feed_key(row->record.seq));
  rows.erase(Table::tombstones, stored_key(key));
  return {};
}

void Applier::put_feed_row(Seq seq, FeedKind kind, const std::string& key, const Origin& origin) {
  auto stored = feed_key(seq);
  auto record = make_record(Table::feed, stored, encode(FeedRow{seq, kind, key, origin}));
  rows.put(Table::feed, std::move(stored), std::move(record));
}

void Applier::announce(ChangeEvent::Action action, const std::string& key, const Origin& origin) {
  events.push_back({last_seq, action, key, origin});
}

void Applier::count(std::string_view key, std::int64_t change) {
  // Documents outside any collection count under the empty prefix.
  const auto prefix = collection_prefix(key);
  auto it = count_changes.find(prefix);
  if (it == count_changes.end()) it = count_changes.emplace(prefix, 0).first;
  it->second += change;
}

}  // namespace peat::store
