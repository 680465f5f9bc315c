#include "store/store_lock.hpp"

#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <unistd.h>

namespace peat::store {

namespace {

std::filesystem::path stop_file(const std::filesystem::path& dir) { return dir / "peat.stop"; }

class File {
 public:
  File(const std::filesystem::path& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// At most `limit` bytes: the files read here are small.
std::string read_text(int fd) {
  std::array<char, 512> buffer;
  const auto got = ::pread(fd, buffer.data(), buffer.size(), 0);
  return got > 0 ? std::string(buffer.data(), static_cast<std::size_t>(got)) : std::string();
}

bool write_text(int fd, std::string_view text) {
  return ::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

std::string boot_id() {
  const File file("/proc/sys/kernel/random/boot_id", O_RDONLY);
  return file.fd() < 0 ? std::string() : read_text(file.fd());
}

//   mark = run ' ' inode ' ' size ' ' seconds '.' nanoseconds ' ' boot-id '\n'     (decimal)
Result<std::string> mark_text(const std::filesystem::path& data, std::uint64_t run) {
  struct stat info{};
  if (::stat(data.c_str(), &info) != 0) {
    return std::unexpected(file_error(errno, "look at", data));
  }
  return std::to_string(run) + ' ' + std::to_string(info.st_ino) + ' ' +
         std::to_string(info.st_size) + ' ' + std::to_string(info.st_ctim.tv_sec) + '.' +
         std::to_string(info.st_ctim.tv_nsec) + ' ' + boot_id() + '\n';
}

}  // namespace

Error file_error(int error, std::string_view doing, const std::filesystem::path& path) {
  std::string message = "cannot " + std::string(doing) + " '" + path.string() + "': ";
  message += std::strerror(error);
  struct stat info{};
  if ((error == EACCES || error == EPERM) && ::stat(path.c_str(), &info) == 0 &&
      info.st_uid != ::geteuid()) {
    message += "; it belongs to user id " + std::to_string(info.st_uid) +
               " and this process runs as " + std::to_string(::geteuid()) + ": change its owner";
  }
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    return {Code::store_full, message + "; make room, the store goes on by itself"};
  }
  return {Code::io_error, std::move(message)};
}

Result<StoreLock> StoreLock::acquire(const std::filesystem::path& dir) {
  const auto path = dir / "peat.lock";
  File file(path, O_RDWR | O_CREAT, 0600);
  if (file.fd() < 0) return std::unexpected(file_error(errno, "open", path));
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return std::unexpected(file_error(errno, "lock", path));
    auto holder = read_text(file.fd());
    if (const auto end = holder.find('\n'); end != std::string::npos) holder.resize(end);
    return fail(Code::store_in_use, "the store in '" + dir.string() + "' is in use by process " +
                                        (holder.empty() ? "(unknown)" : holder) +
                                        "; stop it or choose another data directory");
  }
  const auto text = std::to_string(::getpid()) + '\n';
  // A full disk must not keep the store from being read: the lock holds without its text.
  if (::ftruncate(file.fd(), 0) == 0) (void)write_text(file.fd(), text);
  return StoreLock(file.release());
}

void StoreLock::release() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Status sync_directory(const std::filesystem::path& dir) {
  const File file(dir, O_RDONLY | O_DIRECTORY);
  if (file.fd() < 0 || ::fsync(file.fd()) != 0) {
    return std::unexpected(file_error(errno, "flush", dir));
  }
  return {};
}

Status leave_stop_mark(const std::filesystem::path& dir, const std::filesystem::path& data,
                       std::uint64_t run) {
  PEAT_TRY(const auto text, mark_text(data, run));
  const auto path = stop_file(dir);
  {
    const File file(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file.fd() < 0 || !write_text(file.fd(), text) || ::fsync(file.fd()) != 0) {
      return std::unexpected(file_error(errno, "write", path));
    }
  }
  return sync_directory(dir);
}

Result<std::optional<std::uint64_t>> take_stop_mark(const std::filesystem::path& dir,
                                                    const std::filesystem::path& data) {
  const auto path = stop_file(dir);
  std::string text;
  {
    const File file(path, O_RDONLY);
    if (file.fd() < 0) {
      if (errno == ENOENT) return std::nullopt;
      return std::unexpected(file_error(errno, "open", path));
    }
    text = read_text(file.fd());
  }
  std::uint64_t run = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), run);
  PEAT_TRY(const auto expected, mark_text(data, run));
  if (::unlink(path.c_str()) != 0) return std::unexpected(file_error(errno, "remove", path));
  PEAT_TRY_VOID(sync_directory(dir));
  if (parsed.ec != std::errc() || text != expected) return std::nullopt;
  return run;
}

}  // namespace peat::store
