#include "store/lmdb_backend.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <span>
#include <sstream>
#include <unistd.h>
#include <utility>
#include <vector>

namespace peat::store {

namespace {

// A row brings about this much into memory: the kernel maps the pages around it, too.
constexpr std::uint64_t kBytesPerRead = 4U << 10;
constexpr std::uint64_t kBytesPerWrite = 16U << 10;
// Reads or commits of this much make the map's pages worth giving back.
constexpr std::uint64_t kTouchedBytes = 4U << 20;

MDB_val value_of(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }

ByteView view_of(const MDB_val& value) {
  return {static_cast<const std::uint8_t*>(value.mv_data), value.mv_size};
}

std::string_view text_of(const MDB_val& value) { return as_text(view_of(value)); }

// LMDB does not tell where its map is; the kernel does.
std::span<std::byte> find_map(const std::filesystem::path& file) {
  struct stat info{};
  if (::stat(file.c_str(), &info) != 0) return {};
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    std::istringstream fields(line);
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    std::string permissions;
    std::string offset;
    std::string device;
    std::uint64_t inode = 0;
    std::string path;
    fields >> std::hex >> begin >> dash >> end >> permissions >> offset >> device >> std::dec >>
        inode >> path;
    if (inode == info.st_ino && path.ends_with(file.filename().string())) {
      return {reinterpret_cast<std::byte*>(begin), end - begin};
    }
  }
  return {};
}

// How many pages from `first` on are on LMDB's list of free pages.
//   free list = rows of: transaction number → count pages…      (all of the machine's size_t)
std::size_t count_free_pages(MDB_env* env, std::size_t first) {
  constexpr MDB_dbi kFreeList = 0;
  MDB_txn* txn = nullptr;
  MDB_cursor* cursor = nullptr;
  if (mdb_txn_begin(env, nullptr, MDB_RDONLY, &txn) != 0) return 0;
  std::size_t free_pages = 0;
  if (mdb_cursor_open(txn, kFreeList, &cursor) == 0) {
    MDB_val key{};
    MDB_val value{};
    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
      std::vector<std::size_t> pages(value.mv_size / sizeof(std::size_t));
      if (pages.empty()) break;
      std::memcpy(pages.data(), value.mv_data, pages.size() * sizeof(std::size_t));
      pages.resize(std::min(pages.size() - 1, pages.front()) + 1);
      free_pages += static_cast<std::size_t>(
          std::count_if(pages.begin() + 1, pages.end(), [&](auto page) { return page >= first; }));
    }
    mdb_cursor_close(cursor);
  }
  mdb_txn_abort(txn);
  return free_pages;
}

// Small file, flushed and under its final name at once: a power cut leaves a whole store or none.
constexpr std::string_view kNewSuffix = ".new";

}  // namespace

LmdbBackend::LmdbBackend(std::filesystem::path dir, const LmdbOptions& options, StoreLock lock)
    : dir_(std::move(dir)), options_(options), lock_(std::move(lock)) {
  tables_.fill(kNoTable);
  map_bytes_ = options.map_bytes;
}

LmdbBackend::~LmdbBackend() { close_environment(); }

std::filesystem::path LmdbBackend::file() const { return dir_ / "peat.mdb"; }

Result<std::shared_ptr<Backend>> LmdbBackend::open(const std::filesystem::path& dir,
                                                   const LmdbOptions& options) {
  std::error_code error;
  if (!std::filesystem::exists(dir, error)) {
    if (std::filesystem::create_directories(dir, error) && !error) {
      std::filesystem::permissions(dir, std::filesystem::perms::owner_all, error);
    }
    if (error) return std::unexpected(file_error(error.value(), "create", dir));
  }
  PEAT_TRY(auto lock, StoreLock::acquire(dir));
  std::shared_ptr<LmdbBackend> backend(new LmdbBackend(dir, options, std::move(lock)));
  if (!std::filesystem::exists(backend->file(), error)) PEAT_TRY_VOID(backend->create_file());
  PEAT_TRY_VOID(backend->open_environment());
  return backend;
}

Status LmdbBackend::create_file() const {
  const auto path = file().string() + std::string(kNewSuffix);
  ::unlink(path.c_str());
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  int rc = mdb_env_create(&env);
  if (rc != 0) return std::unexpected(error(rc, "create"));
  mdb_env_set_maxdbs(env, kTableCount);
  rc = mdb_env_open(env, path.c_str(), MDB_NOSUBDIR | MDB_NOLOCK, 0600);
  if (rc == 0) rc = mdb_txn_begin(env, nullptr, 0, &txn);
  for (std::size_t i = 0; rc == 0 && i < kTableCount; ++i) {
    MDB_dbi table;
    rc = mdb_dbi_open(txn, kTableNames[i], MDB_CREATE, &table);
  }
  if (rc == 0) {
    rc = mdb_txn_commit(txn);
  } else {
    mdb_txn_abort(txn);
  }
  mdb_env_close(env);
  if (rc != 0) return std::unexpected(error(rc, "create"));
  if (::rename(path.c_str(), file().c_str()) != 0) {
    return std::unexpected(file_error(errno, "create", file()));
  }
  return sync_directory(dir_);
}

Status LmdbBackend::open_environment() {
  int rc = mdb_env_create(&env_);
  if (rc != 0) return std::unexpected(error(rc, "open"));
  mdb_env_set_maxdbs(env_, kTableCount);
  rc = mdb_env_set_mapsize(env_, map_bytes_);
  const unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD;
  if (rc == 0) {
    rc = mdb_env_open(env_, file().c_str(), flags | (options_.sync ? 0U : MDB_NOSYNC), 0600);
  }
  if (rc == 0) {
    int dead = 0;
    rc = mdb_reader_check(env_, &dead);
  }
  if (rc == 0) {
    PEAT_TRY_VOID(check_size());
    rc = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reader_);
  }
  if (rc != 0) return std::unexpected(error(rc, "open"));
  map_ = find_map(file());
  return open_tables();
}

// A table that is not there is an error of whoever asks for it: first the format is looked at.
Status LmdbBackend::open_tables() {
  MDB_txn* txn = nullptr;
  mdb_txn_reset(reader_);
  int rc = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  for (std::size_t i = 0; rc == 0 && i < kTableCount; ++i) {
    rc = mdb_dbi_open(txn, kTableNames[i], 0, &tables_[i]);
    if (rc == MDB_NOTFOUND) {
      tables_[i] = kNoTable;
      rc = 0;
    }
  }
  if (rc == 0) {
    rc = mdb_txn_commit(txn);  // which keeps the handles
  } else {
    mdb_txn_abort(txn);
  }
  if (rc != 0) return std::unexpected(error(rc, "open"));
  return {};
}

// A page behind the end of the file would be a SIGBUS, not an error. Pages that a commit took and
// gave back at once are not written, so that a healthy file may end before the last of them: the
// end is missing only where it is in use.
Status LmdbBackend::check_size() const {
  MDB_envinfo info{};
  MDB_stat stat{};
  mdb_env_info(env_, &info);
  mdb_env_stat(env_, &stat);
  const auto needed = (std::uint64_t{info.me_last_pgno} + 1) * stat.ms_psize;
  std::error_code failure;
  const auto size = std::filesystem::file_size(file(), failure);
  if (failure || size >= needed) return {};
  std::filesystem::resize_file(file(), needed, failure);
  if (failure) return std::unexpected(file_error(failure.value(), "enlarge", file()));
  const auto first = (size + stat.ms_psize - 1) / stat.ms_psize;
  if (count_free_pages(env_, first) == info.me_last_pgno + 1 - first) return {};
  std::filesystem::resize_file(file(), size, failure);
  return fail(Code::store_corrupt, "'" + file().string() + "' has " + std::to_string(size) +
                                       " bytes of " + std::to_string(needed) +
                                       "; restore the store from a backup");
}

void LmdbBackend::close_environment() {
  for (auto& cursor : cursors_) {
    if (cursor.cursor != nullptr) mdb_cursor_close(cursor.cursor);
    cursor = {};
  }
  if (reader_ != nullptr) mdb_txn_abort(std::exchange(reader_, nullptr));
  if (env_ != nullptr) mdb_env_close(std::exchange(env_, nullptr));
  tables_.fill(kNoTable);
}

Status LmdbBackend::reopen_environment() {
  close_environment();
  auto status = open_environment();
  if (!status) close_environment();
  return status;
}

Status LmdbBackend::usable() const {
  if (closed_) return fail(Code::shut_down, "the store is closed");
  if (env_ != nullptr) return {};
  return fail(Code::io_error, "'" + file().string() + "' could not be opened again after an error");
}

// --- reads --------------------------------------------------------------------------------------

Status LmdbBackend::begin_read() {
  PEAT_TRY_VOID(usable());
  if (const int rc = mdb_txn_renew(reader_); rc != 0) return std::unexpected(error(rc, "read"));
  ++read_;
  return {};
}

void LmdbBackend::end_read() {
  mdb_txn_reset(reader_);
  drop_pages(read_bytes_);
}

Result<std::optional<ByteView>> LmdbBackend::get(Table table, std::string_view key) {
  const auto dbi = tables_[index(table)];
  if (dbi == kNoTable) return no_table(table);
  auto name = value_of(key);
  MDB_val value{};
  const int rc = mdb_get(reader_, dbi, &name, &value);
  if (rc == MDB_NOTFOUND) return std::nullopt;
  if (rc != 0) return std::unexpected(error(rc, "read"));
  read_bytes_ += kBytesPerRead + value.mv_size;
  return view_of(value);
}

Result<MDB_cursor*> LmdbBackend::cursor(Table table) {
  auto& entry = cursors_[index(table)];
  if (entry.cursor == nullptr) {
    const int rc = mdb_cursor_open(reader_, tables_[index(table)], &entry.cursor);
    if (rc != 0) return std::unexpected(error(rc, "read"));
    entry.read = read_;
  } else if (entry.read != read_) {
    const int rc = mdb_cursor_renew(reader_, entry.cursor);
    if (rc != 0) return std::unexpected(error(rc, "read"));
    entry.read = read_;
    entry.placed = false;
  }
  return entry.cursor;
}

Result<std::optional<Backend::Entry>> LmdbBackend::next(Table table, std::string_view from,
                                                        bool inclusive) {
  if (tables_[index(table)] == kNoTable) return no_table(table);
  PEAT_TRY(auto* const cursor, this->cursor(table));
  auto& entry = cursors_[index(table)];
  auto key = value_of(from);
  MDB_val value{};
  int rc = 0;
  if (!inclusive && entry.placed && entry.key == from) {
    rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  } else {
    // LMDB has no empty keys, so that none is before the first.
    rc = mdb_cursor_get(cursor, &key, &value, from.empty() ? MDB_FIRST : MDB_SET_RANGE);
    if (rc == 0 && !inclusive && text_of(key) == from) {
      rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
  }
  entry.placed = rc == 0;
  if (rc == MDB_NOTFOUND) return std::nullopt;
  if (rc != 0) return std::unexpected(error(rc, "read"));
  entry.key = text_of(key);
  read_bytes_ += value.mv_size;
  return Entry{text_of(key), view_of(value)};
}

Result<std::optional<Backend::Entry>> LmdbBackend::previous(Table table, std::string_view before) {
  if (tables_[index(table)] == kNoTable) return no_table(table);
  PEAT_TRY(auto* const cursor, this->cursor(table));
  cursors_[index(table)].placed = false;
  auto key = value_of(before);
  MDB_val value{};
  int rc = MDB_NOTFOUND;
  if (!before.empty()) rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
  if (rc == 0) {
    rc = mdb_cursor_get(cursor, &key, &value, MDB_PREV);
  } else if (rc == MDB_NOTFOUND && !before.empty()) {
    rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
  }
  if (rc == MDB_NOTFOUND) return std::nullopt;
  if (rc != 0) return std::unexpected(error(rc, "read"));
  read_bytes_ += value.mv_size;
  return Entry{text_of(key), view_of(value)};
}

// --- commits ------------------------------------------------------------------------------------

int LmdbBackend::put_rows(MDB_txn* txn, const Rows& rows) const {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    for (const auto& [key, value] : rows[static_cast<Table>(i)]) {
      if (tables_[i] == kNoTable) return MDB_NOTFOUND;
      auto name = value_of(key);
      int rc = 0;
      if (value) {
        auto content = value_of(as_text(*value));
        rc = mdb_put(txn, tables_[i], &name, &content, 0);
      } else {
        rc = mdb_del(txn, tables_[i], &name, nullptr);
        if (rc == MDB_NOTFOUND) rc = 0;
      }
      if (rc != 0) return rc;
    }
  }
  return 0;
}

// Versions that do not know a table pass it over, so this is no change of the format.
Status LmdbBackend::make_missing_tables() {
  if (std::ranges::find(tables_, kNoTable) == tables_.end()) return {};
  PEAT_TRY_VOID(usable());
  MDB_txn* txn = nullptr;
  auto tables = tables_;
  int rc = mdb_txn_begin(env_, nullptr, 0, &txn);
  for (std::size_t i = 0; rc == 0 && i < kTableCount; ++i) {
    if (tables[i] == kNoTable) rc = mdb_dbi_open(txn, kTableNames[i], MDB_CREATE, &tables[i]);
  }
  if (rc == 0) {
    rc = mdb_txn_commit(txn);
  } else {
    mdb_txn_abort(txn);
  }
  if (rc != 0) return commit_failed(rc);
  tables_ = tables;
  return {};
}

Status LmdbBackend::commit(const Rows& rows) {
  if (auto status = usable(); !status) {
    remedy_ = Remedy::reopen;
    return status;
  }
  MDB_txn* txn = nullptr;
  int rc = mdb_txn_begin(env_, nullptr, 0, &txn);
  if (rc != 0) return commit_failed(rc);
  rc = put_rows(txn, rows);
  if (rc != 0) {
    mdb_txn_abort(txn);
    return commit_failed(rc);
  }
  rc = mdb_txn_commit(txn);
  if (rc != 0) return commit_failed(rc);
  repeated_ = false;
  committed_bytes_ += rows.count() * kBytesPerWrite + rows.bytes();
  drop_pages(committed_bytes_);
  measure();
  return {};
}

void LmdbBackend::measure() {
  MDB_envinfo info{};
  MDB_stat stat{};
  mdb_env_info(env_, &info);
  mdb_env_stat(env_, &stat);
  file_bytes_ = (std::uint64_t{info.me_last_pgno} + 1) * stat.ms_psize;
}

// --- copies -------------------------------------------------------------------------------------

Status LmdbBackend::copy_to(const std::filesystem::path& file) {
  PEAT_TRY_VOID(usable());
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return std::unexpected(file_error(errno, "create", file));
  int rc = mdb_env_copyfd2(env_, fd, MDB_CP_COMPACT);
  if (rc == 0 && ::fsync(fd) != 0) rc = errno;
  ::close(fd);
  if (rc == 0) return {};
  ::unlink(file.c_str());
  if (rc > 0 && rc != ENOMEM) return std::unexpected(file_error(rc, "write", file));
  return std::unexpected(error(rc, "copy"));
}

Status LmdbBackend::adopt(const std::filesystem::path& copy) {
  close_environment();
  const int failed = ::rename(copy.c_str(), file().c_str()) != 0 ? errno : 0;
  PEAT_TRY_VOID(reopen_environment());
  if (failed != 0) return std::unexpected(file_error(failed, "replace", file()));
  measure();
  return sync_directory(dir_);
}

Status LmdbBackend::commit_failed(int rc) {
  const auto failure = error(rc, "write");
  unsigned flags = 0;
  mdb_env_get_flags(env_, &flags);
  if (rc == MDB_MAP_FULL || rc == MDB_MAP_RESIZED) {
    remedy_ = Remedy::grow;
  } else if (rc == MDB_PANIC || rc == EIO) {
    remedy_ = Remedy::reopen;
  } else {
    remedy_ = Remedy::none;
  }
  return std::unexpected(failure);
}

Result<bool> LmdbBackend::recover() {
  switch (std::exchange(remedy_, Remedy::none)) {
    case Remedy::none:
      return false;
    case Remedy::grow: {
      const int rc = mdb_env_set_mapsize(env_, map_bytes_ * 2);
      if (rc != 0) {
        // LMDB has given up the old map by now; with its size the store can be read on.
        PEAT_TRY_VOID(reopen_environment());
        return std::unexpected(error(rc, "enlarge the map of"));
      }
      map_bytes_ = map_bytes_ * 2;
      map_ = find_map(file());
      return true;
    }
    case Remedy::reopen:
      PEAT_TRY_VOID(reopen_environment());
      // A full disk shows itself first as a short write, which LMDB calls EIO; then by its name.
      return !std::exchange(repeated_, true);
  }
  return false;
}

Result<std::optional<std::uint64_t>> LmdbBackend::take_stop_mark() {
  return store::take_stop_mark(dir_, file());
}

Status LmdbBackend::close(std::uint64_t run) {
  close_environment();
  closed_ = true;
  const auto status = leave_stop_mark(dir_, file(), run);
  lock_.release();
  return status;
}

// --- the rest -----------------------------------------------------------------------------------

std::unexpected<Error> LmdbBackend::no_table(Table table) const {
  return fail(Code::store_corrupt, "'" + file().string() + "' has no table '" + name(table) +
                                       "'; restore the store from a backup");
}

// Given back while somebody reads them, pages come back from the page cache unchanged.
void LmdbBackend::drop_pages(std::uint64_t& touched_bytes) const {
  if (touched_bytes < kTouchedBytes) return;
  touched_bytes = 0;
  if (!map_.empty()) ::madvise(map_.data(), map_.size(), MADV_DONTNEED);
}

Error LmdbBackend::error(int rc, std::string_view doing) const {
  if (rc > 0 && rc != ENOMEM) return file_error(rc, doing, file());
  std::string message = "cannot " + std::string(doing) + " '" + file().string() + "': ";
  message += mdb_strerror(rc);
  switch (rc) {
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_NOTFOUND:
      return {Code::store_corrupt, message + "; restore the store from a backup"};
    case MDB_VERSION_MISMATCH:
      return {Code::store_too_new, message + "; use the version that wrote it"};
    case ENOMEM:
      return {Code::out_of_memory, message + "; the process needs more address space"};
    default:
      return {Code::io_error, std::move(message)};
  }
}

}  // namespace peat::store
