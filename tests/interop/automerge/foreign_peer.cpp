#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <unistd.h>

#include "peer.hpp"

namespace peat::automerge::interop {
namespace {

std::filesystem::path peers_directory() {
  if (const char* set = std::getenv("PEAT_PEERS_DIR"); set != nullptr && *set != '\0') return set;
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home == nullptr ? "/root" : home) / ".cache/peat-peers";
}

std::vector<std::string> command_line(const std::string& name) {
  if (name != "npm") return {(peers_directory() / "target/release" / name).string()};
  return {"node", (peers_directory() / "npm/peer.mjs").string()};
}

}  // namespace

std::unique_ptr<ForeignPeer> ForeignPeer::start(const std::string& name) {
  auto words = command_line(name);
  if (!std::filesystem::exists(words.back())) return nullptr;
  int to_peer[2];
  int from_peer[2];
  if (pipe(to_peer) != 0 || pipe(from_peer) != 0) return nullptr;
  // A peer that died must be an empty reply, not the end of this program.
  std::signal(SIGPIPE, SIG_IGN);
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(to_peer[0], STDIN_FILENO);
    dup2(from_peer[1], STDOUT_FILENO);
    for (const int fd : {to_peer[0], to_peer[1], from_peer[0], from_peer[1]}) close(fd);
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(to_peer[0]);
  close(from_peer[1]);
  auto peer = std::unique_ptr<ForeignPeer>(new ForeignPeer());
  peer->pid_ = pid;
  peer->in_ = fdopen(to_peer[1], "w");
  peer->out_ = fdopen(from_peer[0], "r");
  return peer;
}

ForeignPeer::~ForeignPeer() {
  std::fclose(in_);
  std::fclose(out_);
  waitpid(pid_, nullptr, 0);
}

std::string ForeignPeer::ask(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), in_);
  std::fputc('\n', in_);
  std::fflush(in_);
  char* text = nullptr;
  std::size_t capacity = 0;
  const auto size = getline(&text, &capacity, out_);
  std::string reply(text == nullptr ? "" : text, size > 0 ? static_cast<std::size_t>(size) : 0);
  std::free(text);
  if (reply.empty()) throw std::runtime_error("the peer died on: " + line.substr(0, 400));
  if (reply.ends_with('\n')) reply.pop_back();
  if (reply == "ok") return "";
  return reply.starts_with("ok ") ? reply.substr(3) : reply;
}

}  // namespace peat::automerge::interop
