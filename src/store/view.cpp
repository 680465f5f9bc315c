#include "store/view.hpp"

#include <algorithm>

namespace peat::store {

std::unexpected<Error> corrupt_row(Table table, std::string_view key, const Error& why) {
  return fail(Code::store_corrupt, describe(table, key) + " cannot be read: " + why.message +
                                       "; restore the store from a backup");
}

Result<View> View::open(Backend& backend, std::array<const Rows*, kMaxLayers> layers) {
  PEAT_TRY_VOID(backend.begin_read());
  return View(backend, layers);
}

Result<std::optional<ByteView>> View::get(Table table, std::string_view key) const {
  for (const auto* layer : layers_) {
    if (layer == nullptr) continue;
    const auto& values = (*layer)[table];
    const auto it = values.find(key);
    if (it == values.end()) continue;
    if (!it->second) return std::nullopt;
    return open_record(table, key, *it->second);
  }
  PEAT_TRY(const auto record, backend_->get(table, key));
  if (!record) return std::nullopt;
  return open_record(table, key, *record);
}

Result<std::optional<View::Entry>> View::next(Table table, std::string_view from,
                                              bool inclusive) const {
  for (;;) {
    std::optional<std::string_view> first;
    std::optional<ByteView> record;
    // Newest layer first: a row of an older one counts only where its key is smaller.
    for (const auto* layer : layers_) {
      if (layer == nullptr) continue;
      const auto& values = (*layer)[table];
      const auto it = inclusive ? values.lower_bound(from) : values.upper_bound(from);
      if (it == values.end() || (first && *first <= it->first)) continue;
      first = it->first;
      record.reset();
      if (it->second) record = *it->second;
    }
    PEAT_TRY(const auto stored, backend_->next(table, from, inclusive));
    if (stored && (!first || stored->key < *first)) return Entry{stored->key, stored->value, true};
    if (!first) return std::nullopt;
    if (record) return Entry{*first, *record, false};
    from = *first;  // erased: look behind it
    inclusive = false;
  }
}

Result<ByteView> View::content(Table table, const Entry& entry) const {
  auto record = entry.record;
  if (entry.committed) {
    PEAT_TRY(record, backend_->unseal(table, entry.key, record));
  }
  return open_record(table, entry.key, record);
}

Result<std::optional<View::Entry>> View::previous(Table table, std::string_view before) const {
  for (;;) {
    std::optional<std::string_view> last;
    std::optional<ByteView> record;
    for (const auto* layer : layers_) {
      if (layer == nullptr) continue;
      const auto& values = (*layer)[table];
      auto it = values.lower_bound(before);
      if (it == values.begin()) continue;
      --it;
      if (last && *last >= it->first) continue;
      last = it->first;
      record.reset();
      if (it->second) record = *it->second;
    }
    PEAT_TRY(const auto stored, backend_->previous(table, before));
    if (stored && (!last || stored->key > *last)) {
      return Entry{stored->key, stored->value, true};
    }
    if (!last) return std::nullopt;
    if (record) return Entry{*last, *record, false};
    before = *last;  // erased: look before it
  }
}

Result<std::optional<DocumentRow>> View::document(std::string_view key) const {
  const auto stored = stored_key(key);
  PEAT_TRY(const auto content, get(Table::documents, stored));
  if (!content) return std::nullopt;
  auto row = decode_document(*content);
  if (!row) return corrupt_row(Table::documents, stored, row.error());
  return std::move(*row);
}

Result<std::optional<TombstoneRow>> View::tombstone(std::string_view key) const {
  const auto stored = stored_key(key);
  PEAT_TRY(const auto content, get(Table::tombstones, stored));
  if (!content) return std::nullopt;
  auto row = decode_tombstone_row(*content);
  if (!row) return corrupt_row(Table::tombstones, stored, row.error());
  return std::move(*row);
}

namespace {

// All keys that are stored as `head` and a hash, which does not order them: in their own order.
Result<std::vector<std::string>> hashed_group(const View& view, std::string_view head) {
  std::vector<std::string> keys;
  std::string from(head);
  for (;;) {
    PEAT_TRY(const auto entry, view.next(Table::documents, from, false));
    if (!entry || !is_hashed(entry->key) || !entry->key.starts_with(head)) break;
    from = entry->key;
    PEAT_TRY(const auto content, view.content(Table::documents, *entry));
    auto row = decode_document(content);
    if (!row) return corrupt_row(Table::documents, from, row.error());
    keys.push_back(std::move(row->full_key));
  }
  std::ranges::sort(keys);
  return keys;
}

}  // namespace

Result<std::vector<std::string>> list_keys(const View& view, std::string_view prefix,
                                           std::string_view after, std::size_t limit) {
  std::vector<std::string> keys;
  const bool skip_past_after = after >= prefix;
  const auto start = skip_past_after ? after : prefix;
  // A start beyond the plain length lies within a hashed group: take the group as a whole.
  std::string from(start.substr(0, kPlainKeyBytes));
  bool inclusive = !skip_past_after || start.size() > kPlainKeyBytes;
  while (keys.size() < limit) {
    PEAT_TRY(const auto entry, view.next(Table::documents, from, inclusive));
    if (!entry) break;
    inclusive = false;
    if (!is_hashed(entry->key)) {
      from = entry->key;
      if (from.starts_with(prefix)) {
        if (from > after) keys.push_back(from);
      } else if (from > prefix) {
        break;
      }
      continue;
    }
    const std::string head(entry->key.substr(0, kPlainKeyBytes));
    PEAT_TRY(auto group, hashed_group(view, head));
    for (auto& key : group) {
      if (keys.size() < limit && key.starts_with(prefix) && key > after) {
        keys.push_back(std::move(key));
      }
    }
    if (head > prefix && !head.starts_with(prefix)) break;
    from = head + std::string(32, '\xff');
  }
  return keys;
}

}  // namespace peat::store
