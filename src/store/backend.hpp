// What lies under the document store: ordered tables of rows with atomic, durable commits.
//
// Two implementations: LMDB (lmdb_backend.hpp) and memory (memory_backend.hpp).
//
// Threading: everything on the loop but `commit`, `copy_to` and `close`, which run on the pool, one
// at a time; reads may go on beside a commit, and see it whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "store/rows.hpp"

namespace peat::store {

class SealedBackend;

class Backend {
 public:
  virtual ~Backend() = default;

  struct Entry {
    std::string_view key;
    ByteView value;
  };
  // Between begin_read and end_read all reads see one state, and the views they return stay valid.
  virtual Status begin_read() = 0;
  virtual void end_read() = 0;
  virtual Result<std::optional<ByteView>> get(Table table, std::string_view key) = 0;
  // The first row at or after `from`, or strictly after it; its value as it is stored: unseal() it.
  virtual Result<std::optional<Entry>> next(Table table, std::string_view from, bool inclusive) = 0;
  // The last row strictly before `before`, likewise.
  virtual Result<std::optional<Entry>> previous(Table table, std::string_view before) = 0;

  // What `next` or `previous` gave as a value, as `get` would give it.
  virtual Result<ByteView> unseal(Table, std::string_view /*key*/, ByteView value) { return value; }

  // Once, before the first commit: makes the tables that a file of an earlier version lacks.
  virtual Status make_missing_tables() = 0;
  // All of `rows` or nothing; durable when it returns success.
  virtual Status commit(const Rows& rows) = 0;
  // After a failed commit: true if the obstacle is gone (the map has grown) and the same commit
  // is worth repeating at once.
  virtual Result<bool> recover() = 0;

  // The run that the last clean stop belonged to, if the files are still exactly as it left them.
  // Removes the mark, durably.
  virtual Result<std::optional<std::uint64_t>> take_stop_mark() = 0;
  // Gives everything back; leaves a stop mark.
  virtual Status close(std::uint64_t run) = 0;

  // Feature bits of the store's format that are in use (record.hpp).
  virtual std::uint64_t features() const { return 0; }
  // What seals the rows; nullptr: nothing does.
  virtual SealedBackend* sealed() { return nullptr; }
  // What is committed, without free pages, as a new file. On the pool, while no commit is under
  // way.
  virtual Status copy_to(const std::filesystem::path&) { return no_file(); }
  // The file that `copy_to` made, in place of the own one. On the loop, in the same pause.
  virtual Status adopt(const std::filesystem::path&) { return no_file(); }
  // Where such a file can be made; empty in memory.
  virtual std::filesystem::path directory() const { return {}; }

  virtual std::uint64_t map_bytes() const = 0;
  virtual std::uint64_t file_bytes() const = 0;

 private:
  static std::unexpected<Error> no_file() {
    return fail(Code::unsupported, "a store in memory has no file");
  }
};

}  // namespace peat::store
