#include "peat_cli/prompt.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "crypto/kdf.hpp"
#include "crypto/secret_file.hpp"

namespace peat::cli {

namespace {

constexpr std::size_t kMaxLine = 1024;

class Terminal {
 public:
  Terminal() : fd_(::open("/dev/tty", O_RDWR | O_CLOEXEC)) {
    if (fd_ < 0 || ::tcgetattr(fd_, &before_) != 0) return;
    auto silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = ::tcsetattr(fd_, TCSAFLUSH, &silent) == 0;
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    if (changed_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
  termios before_{};
  bool changed_ = false;
};

// One line, without its end, byte by byte so that nothing stays in a buffer.
Result<crypto::SecretBytes> read_line(int fd) {
  crypto::SecretBytes line(kMaxLine);
  std::size_t size = 0;
  while (true) {
    std::uint8_t byte = 0;
    const auto n = ::read(fd, &byte, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return fail(Code::io_error, "cannot read: " + std::string(std::strerror(errno)));
    }
    if (n == 0 || byte == '\n') break;
    if (size == kMaxLine) return fail(Code::limit_exceeded, "the line has over 1024 bytes");
    line.mutable_view()[size++] = byte;
  }
  return crypto::SecretBytes(line.view().first(size));
}

}  // namespace

Result<crypto::SecretBytes> ask_secret(const std::string& prompt) {
  const Terminal terminal;
  if (terminal.fd() < 0) {
    return fail(Code::invalid_argument,
                "there is no terminal to ask for a passphrase; give --passphrase-file FILE");
  }
  // A terminal that cannot be written to shows nothing, and can be typed into all the same.
  [[maybe_unused]] auto shown = ::write(terminal.fd(), prompt.data(), prompt.size());
  auto line = read_line(terminal.fd());
  shown = ::write(terminal.fd(), "\n", 1);
  return line;
}

Result<crypto::SecretBytes> known_passphrase(const std::string& file) {
  if (file.empty()) return ask_secret("Passphrase: ");
  if (file == "-") return read_line(STDIN_FILENO);
  PEAT_TRY(const auto content,
           crypto::read_secret_file(file, {.what = "passphrase file", .max_bytes = kMaxLine}));
  const auto view = content.view();
  const auto end = std::ranges::find(view, static_cast<std::uint8_t>('\n'));
  return crypto::SecretBytes(view.first(static_cast<std::size_t>(end - view.begin())));
}

Result<crypto::SecretBytes> new_passphrase(const std::string& file) {
  if (!file.empty()) return known_passphrase(file);
  PEAT_TRY(auto first, ask_secret("A passphrase for the mesh's genesis: "));
  PEAT_TRY(const auto second, ask_secret("The same again: "));
  if (!crypto::equal_constant_time(first.view(), second.view())) {
    return fail(Code::invalid_argument, "the two passphrases differ");
  }
  return first;
}

}  // namespace peat::cli
