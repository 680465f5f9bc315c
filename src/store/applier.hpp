// Turns the operations of one batch into rows, events and counts, on top of what is visible.
//
// Nothing is changed until all operations have succeeded; the caller then takes the results over.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "store/view.hpp"
#include "store/write_op.hpp"

namespace peat::store {

class Applier {
 public:
  // `accumulating` and `in_flight` (which may be null) lie under the batch's own rows.
  Applier(Backend& backend, const Rows* accumulating, const Rows* in_flight, Seq last_seq,
          const Limits& limits);

  Status apply(std::vector<WriteBatch::Op> ops);

  // The results.
  Rows rows;
  std::vector<ChangeEvent> events;
  std::map<std::string, std::int64_t, std::less<>> count_changes;  // by collection prefix
  Seq last_seq;

 private:
  Status run(op::Append& op);
  Status run(op::Replace& op);
  Status run(op::Compact& op);
  Status run(op::Erase& op);
  Status run(op::Bury& op);
  Status run(op::RemoveTombstone& op);
  Status run(op::PutSyncState& op);
  Status run(op::EraseSyncState& op);
  Status run(op::EraseSyncStates& op);
  Status run(op::PutMeta& op);
  Status run(op::EraseMeta& op);
  Status run(op::PutIndex& op);
  Status run(op::EraseIndex& op);

  Status check_key(std::string_view key) const;
  static Status check_name(std::string_view kind, std::string_view name);
  // `repair`: one that cannot be read counts as there, and nothing is kept of it.
  Result<DocumentRow> existing_or_new(const std::string& key, bool repair = false);
  void put_document(const std::string& key, DocumentRow row);
  void put_body(std::uint64_t document, std::uint32_t chunk, ByteView body);
  void erase_chunks(const DocumentRow& row);
  Result<bool> erase_document(const std::string& key);
  Status erase_tombstone(const std::string& key);
  void put_feed_row(Seq seq, FeedKind kind, const std::string& key, const Origin& origin);
  void announce(ChangeEvent::Action action, const std::string& key, const Origin& origin);
  void count(std::string_view key, std::int64_t change);

  Backend& backend_;
  const Rows* accumulating_;
  const Rows* in_flight_;
  const Limits& limits_;
  std::optional<View> view_;  // while apply runs
};

}  // namespace peat::store
