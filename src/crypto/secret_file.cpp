#include "crypto/secret_file.hpp"

#include <sys/stat.h>
#include <system_error>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

#include "base/encoding.hpp"

namespace peat::crypto {

namespace {

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::unexpected<Error> system_error(std::string_view doing, const std::string& path, int error) {
  return fail(Code::io_error, "cannot " + std::string(doing) + " " + path + ": " +
                                  std::generic_category().message(error));
}

std::unexpected<Error> bad(std::string_view what, const std::string& path, std::string_view why) {
  return fail(Code::bad_key_file, std::string(what) + " " + path + " " + std::string(why));
}

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool is_credential(const std::string& path, const struct stat& info) {
  const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
  return directory != nullptr && directory_of(path) == directory && info.st_uid == 0 &&
         (info.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) == 0;
}

Result<std::size_t> check(int fd, const std::string& path, const SecretFileRules& rules) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return system_error("inspect", path, errno);
  if (!S_ISREG(info.st_mode)) return bad(rules.what, path, "is not a regular file");
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0 && !is_credential(path, info)) {
    return bad(rules.what, path, "is open to group or others; run: chmod 600 " + path);
  }
  // Root may give a secret to a service, a service's user may not give one to root.
  if (info.st_uid != ::geteuid() && info.st_uid != 0 && ::geteuid() != 0) {
    return bad(rules.what, path,
               "belongs to another user; run: chown " + std::to_string(::geteuid()) + " " + path);
  }
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size < rules.min_bytes || size > rules.max_bytes) {
    return bad(
        rules.what, path,
        "has " + std::to_string(size) + " bytes" +
            (rules.size_remedy.empty() ? "; " + std::to_string(rules.min_bytes) + " to " +
                                             std::to_string(rules.max_bytes) + " are expected"
                                       : "; " + std::string(rules.size_remedy)));
  }
  return size;
}

Status read_exactly(int fd, std::span<std::uint8_t> out, const std::string& path,
                    std::string_view what) {
  while (!out.empty()) {
    const auto n = ::read(fd, out.data(), out.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("read", path, errno);
    if (n == 0) return bad(what, path, "became shorter while it was read");
    out = out.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Status write_and_flush(int fd, ByteView data, const std::string& path) {
  while (!data.empty()) {
    const auto n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("write", path, errno);
    data = data.subspan(static_cast<std::size_t>(n));
  }
  if (::fsync(fd) != 0) return system_error("flush", path, errno);
  return {};
}

Status flush_directory(const std::string& path) {
  const auto directory = directory_of(path);
  const File handle(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!handle) return system_error("open", directory, errno);
  if (::fsync(handle.fd()) != 0) return system_error("flush", directory, errno);
  return {};
}

// Gives the finished temporary file its name, which must be free.
Status publish_new(const std::string& temporary, const std::string& path, std::string_view what) {
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) {
    return flush_directory(path);
  }
  if (errno == EEXIST) return bad(what, path, "exists already; it is not replaced");
  if (errno != EINVAL && errno != ENOSYS) return system_error("create", path, errno);
  // A file system without that flag (NFS, for one): a hard link refuses a taken name as well.
  if (::link(temporary.c_str(), path.c_str()) != 0) {
    if (errno == EEXIST) return bad(what, path, "exists already; it is not replaced");
    return system_error("create", path, errno);
  }
  ::unlink(temporary.c_str());
  return flush_directory(path);
}

Status publish_over(const std::string& temporary, const std::string& path) {
  if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error("replace", path, errno);
  return flush_directory(path);
}

}  // namespace

Result<SecretBytes> read_secret_file(const std::string& path, const SecretFileRules& rules) {
  // O_NONBLOCK: a FIFO under this name must not hold up the start.
  const int follow = rules.follow_link ? 0 : O_NOFOLLOW;
  const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | follow));
  if (!file) {
    if (errno == ENOENT) {
      return fail(Code::not_found, "there is no " + std::string(rules.what) + " " + path);
    }
    if (errno == ELOOP) return bad(rules.what, path, "is a symbolic link; name the file itself");
    return system_error("open", path, errno);
  }
  PEAT_TRY(const auto size, check(file.fd(), path, rules));
  SecretBytes content(size);
  PEAT_TRY_VOID(read_exactly(file.fd(), content.mutable_view(), path, rules.what));
  return content;
}

Status write_secret_file(const std::string& path, ByteView content, Existing existing,
                         Random& random, std::string_view what) {
  std::array<std::uint8_t, 8> suffix;
  random.fill(suffix);
  const auto temporary = path + ".new-" + to_hex(suffix);
  Status status;
  {
    const File file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                           S_IRUSR | S_IWUSR));
    if (!file) return system_error("create", temporary, errno);
    status = write_and_flush(file.fd(), content, temporary);
  }
  if (status) {
    status = existing == Existing::replace ? publish_over(temporary, path)
                                           : publish_new(temporary, path, what);
  }
  if (!status) ::unlink(temporary.c_str());
  return status;
}

}  // namespace peat::crypto
