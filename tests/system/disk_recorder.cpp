#include "disk_recorder.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <fcntl.h>
#include <limits>
#include <map>
#include <mutex>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace peat::test {

namespace {

struct Recording {
  std::mutex mutex;
  std::string suffix;
  std::map<int, bool> files;  // descriptor → opened with O_DSYNC
  std::vector<DiskEvent> events;
  std::uint64_t room = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t largest_map = std::numeric_limits<std::uint64_t>::max();
};
Recording* recording = nullptr;

// Writes as much as there is room for; records what was written.
ssize_t watched_pwrite(int fd, const void* data, std::size_t size, off_t offset) {
  auto* const watcher = recording;
  if (watcher == nullptr) return ::syscall(SYS_pwrite64, fd, data, size, offset);
  const std::lock_guard lock(watcher->mutex);
  const auto file = watcher->files.find(fd);
  if (file == watcher->files.end()) return ::syscall(SYS_pwrite64, fd, data, size, offset);
  if (size > 0 && watcher->room == 0) {
    errno = ENOSPC;
    return -1;
  }
  const auto fits = std::min<std::uint64_t>(size, watcher->room);
  const auto written = ::syscall(SYS_pwrite64, fd, data, fits, offset);
  if (written <= 0) return written;
  if (watcher->room != std::numeric_limits<std::uint64_t>::max()) {
    watcher->room -= static_cast<std::uint64_t>(written);
  }
  DiskEvent event;
  event.kind = file->second ? DiskEvent::Kind::synced_write : DiskEvent::Kind::write;
  event.offset = static_cast<std::uint64_t>(offset);
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  event.bytes.assign(bytes, bytes + written);
  watcher->events.push_back(std::move(event));
  return written;
}

int watched_flush(long call, int fd) {
  const auto result = static_cast<int>(::syscall(call, fd));
  auto* const watcher = recording;
  if (result != 0 || watcher == nullptr) return result;
  const std::lock_guard lock(watcher->mutex);
  if (watcher->files.contains(fd)) watcher->events.push_back({DiskEvent::Kind::flush, 0, {}, 0});
  return result;
}

}  // namespace

DiskRecorder::DiskRecorder(std::string suffix) {
  recording = new Recording;
  recording->suffix = std::move(suffix);
}

DiskRecorder::~DiskRecorder() { delete std::exchange(recording, nullptr); }

void DiskRecorder::note(std::uint64_t number) {
  const std::lock_guard lock(recording->mutex);
  recording->events.push_back({DiskEvent::Kind::note, 0, {}, number});
}

std::vector<DiskEvent> DiskRecorder::take() {
  const std::lock_guard lock(recording->mutex);
  return std::exchange(recording->events, {});
}

void DiskRecorder::set_room(std::uint64_t bytes) {
  const std::lock_guard lock(recording->mutex);
  recording->room = bytes;
}

void DiskRecorder::set_largest_map(std::uint64_t bytes) {
  const std::lock_guard lock(recording->mutex);
  recording->largest_map = bytes;
}

}  // namespace peat::test

#define PEAT_INTERPOSED extern "C" __attribute__((visibility("default")))

PEAT_INTERPOSED int open(const char* path, int flags, ...) {
  mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  const auto fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
  auto* const watcher = peat::test::recording;
  if (fd >= 0 && watcher != nullptr) {
    const std::lock_guard lock(watcher->mutex);
    if (std::string_view(path).ends_with(watcher->suffix)) {
      watcher->files[fd] = (flags & O_DSYNC) != 0;
    }
  }
  return fd;
}

PEAT_INTERPOSED int close(int fd) {
  if (auto* const watcher = peat::test::recording; watcher != nullptr) {
    const std::lock_guard lock(watcher->mutex);
    watcher->files.erase(fd);
  }
  return static_cast<int>(::syscall(SYS_close, fd));
}

PEAT_INTERPOSED ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  return peat::test::watched_pwrite(fd, data, size, offset);
}

PEAT_INTERPOSED void* mmap(void* at, size_t size, int protection, int flags, int fd,
                           off_t offset) noexcept {
  if (auto* const watcher = peat::test::recording; watcher != nullptr && fd >= 0) {
    const std::lock_guard lock(watcher->mutex);
    if (size > watcher->largest_map && watcher->files.contains(fd)) {
      errno = ENOMEM;
      return MAP_FAILED;
    }
  }
  return reinterpret_cast<void*>(::syscall(SYS_mmap, at, size, protection, flags, fd, offset));
}

// LMDB seeks and then writes runs of pages with writev.
PEAT_INTERPOSED ssize_t writev(int fd, const struct iovec* parts, int count) {
  auto* const watcher = peat::test::recording;
  bool watched = false;
  if (watcher != nullptr) {
    const std::lock_guard lock(watcher->mutex);
    watched = watcher->files.contains(fd);
  }
  if (!watched) return ::syscall(SYS_writev, fd, parts, count);
  const auto start = ::lseek(fd, 0, SEEK_CUR);
  ssize_t total = 0;
  for (int i = 0; i < count; ++i) {
    const auto written =
        peat::test::watched_pwrite(fd, parts[i].iov_base, parts[i].iov_len, start + total);
    if (written < 0) {
      if (total == 0) return -1;
      break;
    }
    total += written;
    if (static_cast<size_t>(written) < parts[i].iov_len) break;
  }
  ::lseek(fd, start + total, SEEK_SET);
  return total;
}

PEAT_INTERPOSED int fdatasync(int fd) { return peat::test::watched_flush(SYS_fdatasync, fd); }
PEAT_INTERPOSED int fsync(int fd) { return peat::test::watched_flush(SYS_fsync, fd); }
