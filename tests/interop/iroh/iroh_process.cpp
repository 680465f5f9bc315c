#include "iroh_process.hpp"

#include <sys/wait.h>

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

namespace peat::net::interop {
namespace {

std::string program(const std::string& generation) {
  const char* directory = std::getenv("PEAT_PEERS_DIR");
  const char* home = std::getenv("HOME");
  const std::string peers = directory != nullptr
                                ? directory
                                : std::string(home == nullptr ? "" : home) + "/.cache/peat-peers";
  return peers + "/target/release/" + generation;
}

}  // namespace

bool IrohProcess::is_built(const std::string& generation) {
  return access(program(generation).c_str(), X_OK) == 0;
}

std::unique_ptr<IrohProcess> IrohProcess::start(const std::string& generation,
                                                const std::vector<std::string>& arguments) {
  const auto path = program(generation);
  std::array<int, 2> pipe_ends{};
  if (access(path.c_str(), X_OK) != 0 || pipe2(pipe_ends.data(), O_CLOEXEC) != 0) return nullptr;
  std::vector<char*> argv{const_cast<char*>(path.c_str())};
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::unique_ptr<IrohProcess> out(new IrohProcess);
  out->pid_ = fork();
  if (out->pid_ == 0) {
    dup2(pipe_ends[1], STDOUT_FILENO);
    execv(path.c_str(), argv.data());
    _exit(127);
  }
  close(pipe_ends[1]);
  out->out_ = pipe_ends[0];
  fcntl(out->out_, F_SETFL, O_NONBLOCK);
  return out;
}

IrohProcess::~IrohProcess() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  close(out_);
}

void IrohProcess::poll() {
  std::array<char, 4096> buffer;
  for (;;) {
    const auto n = read(out_, buffer.data(), buffer.size());
    if (n <= 0) return;
    text_.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

std::optional<std::string> IrohProcess::line(const std::string& word) {
  poll();
  std::size_t begin = 0;
  for (;;) {
    const auto end = text_.find('\n', begin);
    if (end == std::string::npos) return std::nullopt;  // only whole lines count
    const std::string candidate = text_.substr(begin, end - begin);
    if (candidate == word) return std::string();
    if (candidate.starts_with(word + " ")) return candidate.substr(word.size() + 1);
    begin = end + 1;
  }
}

}  // namespace peat::net::interop
