// The backend over LMDB: one file, one write transaction per commit, one reader on the loop.
//
// Crash safety is LMDB's: new pages are written and flushed (fdatasync) before the meta page that
// makes them reachable is (O_DSYNC). tests/system/store_power_cut proves it on recorded writes.
//
// Memory: the map costs address space only; the pages that reads and commits have touched are
// given back (they stay in the page cache) after every few megabytes.
//
// Disk errors: a full disk is Code::store_full, also where it begins with a short write. After a
// failure that may have left LMDB's environment unusable it is opened anew.
#pragma once

#include <lmdb.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "store/backend.hpp"
#include "store/store_lock.hpp"

namespace peat::store {

struct LmdbOptions {
  std::size_t map_bytes = 64U << 20;  // to begin with; doubles whenever a commit does not fit
  bool sync = true;  // false: no flushes, so that the tests can show that they notice
};

class LmdbBackend final : public Backend {
 public:
  static Result<std::shared_ptr<Backend>> open(const std::filesystem::path& dir,
                                               const LmdbOptions& options = {});
  ~LmdbBackend() override;

  Status begin_read() override;
  void end_read() override;
  Result<std::optional<ByteView>> get(Table table, std::string_view key) override;
  Result<std::optional<Entry>> next(Table table, std::string_view from, bool inclusive) override;
  Result<std::optional<Entry>> previous(Table table, std::string_view before) override;
  Status make_missing_tables() override;
  Status commit(const Rows& rows) override;
  Result<bool> recover() override;
  Result<std::optional<std::uint64_t>> take_stop_mark() override;
  Status close(std::uint64_t run) override;
  Status copy_to(const std::filesystem::path& file) override;
  Status adopt(const std::filesystem::path& file) override;
  std::filesystem::path directory() const override { return dir_; }
  std::uint64_t map_bytes() const override { return map_bytes_; }
  std::uint64_t file_bytes() const override { return file_bytes_; }

 private:
  static constexpr MDB_dbi kNoTable = ~MDB_dbi{0};

  enum class Remedy : std::uint8_t { none, grow, reopen };

  LmdbBackend(std::filesystem::path dir, const LmdbOptions& options, StoreLock lock);

  Status open_environment();
  Status create_file() const;
  Status open_tables();
  Status check_size() const;
  void close_environment();
  Status reopen_environment();
  void measure();
  Status usable() const;
  Result<MDB_cursor*> cursor(Table table);
  int put_rows(MDB_txn* txn, const Rows& rows) const;
  std::unexpected<Error> no_table(Table table) const;
  Status commit_failed(int rc);
  void drop_pages(std::uint64_t& touched_bytes) const;
  Error error(int rc, std::string_view doing) const;
  std::filesystem::path file() const;

  std::filesystem::path dir_;
  LmdbOptions options_;
  StoreLock lock_;
  MDB_env* env_ = nullptr;  // also null while it could not be opened again
  bool closed_ = false;
  std::array<MDB_dbi, kTableCount> tables_;
  std::atomic<std::uint64_t> map_bytes_ = 0;
  std::atomic<std::uint64_t> file_bytes_ = 0;
  Remedy remedy_ = Remedy::none;  // of the last failed commit
  bool repeated_ = false;         // since the last commit that succeeded

  MDB_txn* reader_ = nullptr;  // reset between calls
  struct TableCursor {
    MDB_cursor* cursor = nullptr;
    std::uint64_t read = 0;  // the read it was last bound to
    std::string key;         // where it stands in that read
    bool placed = false;
  };
  std::array<TableCursor, kTableCount> cursors_;
  std::uint64_t read_ = 0;

  std::span<std::byte> map_;           // of the data file, in this process
  std::uint64_t read_bytes_ = 0;       // since pages were given back
  std::uint64_t committed_bytes_ = 0;  // the same, of the pool
};

}  // namespace peat::store
