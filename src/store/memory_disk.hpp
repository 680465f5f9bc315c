// The store's in-memory twin: a disk that outlives the store object.
//
// What was committed stays when the store is destroyed; what was only visible is lost, as in a
// crash. Copying a MemoryDisk copies a data directory: the copy's store gets a new incarnation.
//
//   auto disk = std::make_shared<MemoryDisk>();
//   auto store = DocumentStore::open(disk, executor, random);
//
// A commit that is under way when its store goes away and the disk is opened again does nothing
// (a crashed process writes no more).
//
// Threading: safe from the loop and the pool at once. Cost: a map look-up per row. Limits: none of
// its own.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

#include "peat/error.hpp"
#include "store/document_store.hpp"
#include "store/rows.hpp"

namespace peat::store {

class MemoryDisk {
 public:
  MemoryDisk() = default;
  MemoryDisk(const MemoryDisk& other);
  MemoryDisk& operator=(const MemoryDisk&) = delete;

  // Every commit fails with this error until called with nullopt.
  void fail_commits(std::optional<Error> error);
  std::uint64_t commits() const;
  // Flips a bit of every committed row of a table whose key begins so, as a failing disk does.
  void damage(Table table, std::string_view key);

 private:
  friend class MemoryBackend;

  mutable std::mutex mutex_;
  Rows rows_;
  std::optional<std::uint64_t> stop_mark_;
  std::optional<Error> failure_;
  std::uint64_t opens_ = 0;
  std::uint64_t commits_ = 0;
};

}  // namespace peat::store
