// Files beside the database: the lock that keeps a second process out, and the stop mark.
//
// Threading: values for one thread. Cost: a few system calls; the mark is flushed to disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>

#include "peat/error.hpp"

namespace peat::store {

// Holds <dir>/peat.lock (flock, so that it also keeps out a second store of this process; given
// up by the kernel however the process ends). The file names the holder's process id.
class StoreLock {
 public:
  // Code::store_in_use names the holder.
  static Result<StoreLock> acquire(const std::filesystem::path& dir);
  StoreLock(StoreLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  StoreLock& operator=(StoreLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~StoreLock() { release(); }

  void release();

 private:
  explicit StoreLock(int fd) : fd_(fd) {}

  int fd_;
};

// The stop mark <dir>/peat.stop says which run stopped cleanly and what the data file looked like
// then: inode, size, time of change (which no copy and no restore can set), boot of the machine.
Status leave_stop_mark(const std::filesystem::path& dir, const std::filesystem::path& data,
                       std::uint64_t run);
// The run, if everything is as the mark says. The mark is gone from the disk afterwards.
Result<std::optional<std::uint64_t>> take_stop_mark(const std::filesystem::path& dir,
                                                    const std::filesystem::path& data);

// Makes creations, renames and removals in `dir` durable.
Status sync_directory(const std::filesystem::path& dir);

// "cannot <doing> '<path>': <errno's text>", with the remedy where there is one.
Error file_error(int error, std::string_view doing, const std::filesystem::path& path);

}  // namespace peat::store
