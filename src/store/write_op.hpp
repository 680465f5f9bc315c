// The operations a WriteBatch collects.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "store/document_store.hpp"

namespace peat::store::op {

struct Append {
  std::string key;
  std::vector<Bytes> chunks;
  automerge::Heads heads;
  Origin origin;
  std::optional<std::int64_t> time;
};
struct Replace {
  std::string key;
  Bytes stored;
  automerge::Heads heads;
  Origin origin;
  std::optional<std::int64_t> time;
  bool repair = false;  // also over a record that cannot be read
};
struct Compact {
  std::string key;
  Bytes stored;
  automerge::Heads heads;
};
struct Erase {
  std::string key;
  Origin origin;
};
struct Bury {
  std::string key;
  wire::Tombstone tombstone;
  automerge::Heads deleted_heads;
  Origin origin;
  bool keep_document = false;
};
struct RemoveTombstone {
  std::string key;
};
struct PutSyncState {
  EndpointId peer;
  std::string key;
  Bytes state;
};
struct EraseSyncState {
  EndpointId peer;
  std::string key;
};
struct EraseSyncStates {
  EndpointId peer;
};
struct PutMeta {
  std::string name;
  Bytes value;
};
struct EraseMeta {
  std::string name;
};
struct PutIndex {
  std::string name;
  Bytes value;
};
struct EraseIndex {
  std::string name;
};

}  // namespace peat::store::op

namespace peat::store {

struct WriteBatch::Op {
  std::variant<op::Append, op::Replace, op::Compact, op::Erase, op::Bury, op::RemoveTombstone,
               op::PutSyncState, op::EraseSyncState, op::EraseSyncStates, op::PutMeta,
               op::EraseMeta, op::PutIndex, op::EraseIndex>
      what;
};

}  // namespace peat::store
