#include <utility>

#include "store/write_op.hpp"

namespace peat::store {

WriteBatch::WriteBatch() = default;
WriteBatch::WriteBatch(WriteBatch&&) noexcept = default;
WriteBatch& WriteBatch::operator=(WriteBatch&&) noexcept = default;
WriteBatch::~WriteBatch() = default;

void WriteBatch::append(std::string key, std::vector<Bytes> chunks, automerge::Heads heads,
                        Origin origin, std::optional<std::int64_t> time) {
  ops_.push_back({op::Append{std::move(key), std::move(chunks), std::move(heads), origin, time}});
}

void WriteBatch::replace(std::string key, Bytes stored, automerge::Heads heads, Origin origin,
                         std::optional<std::int64_t> time) {
  ops_.push_back(
      {op::Replace{std::move(key), std::move(stored), std::move(heads), origin, time, false}});
}

void WriteBatch::repair(std::string key, Bytes stored, automerge::Heads heads, Origin origin,
                        std::optional<std::int64_t> time) {
  ops_.push_back(
      {op::Replace{std::move(key), std::move(stored), std::move(heads), origin, time, true}});
}

void WriteBatch::compact(std::string key, Bytes stored, automerge::Heads heads) {
  ops_.push_back({op::Compact{std::move(key), std::move(stored), std::move(heads)}});
}

void WriteBatch::erase(std::string key, Origin origin) {
  ops_.push_back({op::Erase{std::move(key), origin}});
}

void WriteBatch::bury(std::string key, wire::Tombstone tombstone, automerge::Heads deleted_heads,
                      Origin origin, bool keep_document) {
  ops_.push_back({op::Bury{std::move(key), std::move(tombstone), std::move(deleted_heads), origin,
                           keep_document}});
}

void WriteBatch::remove_tombstone(std::string key) {
  ops_.push_back({op::RemoveTombstone{std::move(key)}});
}

void WriteBatch::put_sync_state(const EndpointId& peer, std::string key, Bytes state) {
  ops_.push_back({op::PutSyncState{peer, std::move(key), std::move(state)}});
}

void WriteBatch::erase_sync_state(const EndpointId& peer, std::string key) {
  ops_.push_back({op::EraseSyncState{peer, std::move(key)}});
}

void WriteBatch::erase_sync_states(const EndpointId& peer) {
  ops_.push_back({op::EraseSyncStates{peer}});
}

void WriteBatch::put_meta(std::string name, Bytes value) {
  ops_.push_back({op::PutMeta{std::move(name), std::move(value)}});
}

void WriteBatch::erase_meta(std::string name) { ops_.push_back({op::EraseMeta{std::move(name)}}); }

void WriteBatch::put_index(std::string name, Bytes value) {
  ops_.push_back({op::PutIndex{std::move(name), std::move(value)}});
}

void WriteBatch::erase_index(std::string name) {
  ops_.push_back({op::EraseIndex{std::move(name)}});
}

bool WriteBatch::empty() const { return ops_.empty(); }

std::vector<WriteBatch::Op> WriteBatch::take_ops() { return std::exchange(ops_, {}); }

}  // namespace peat::store
