#include "daemon/process.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <unistd.h>

namespace peat::daemon {

void harden_process() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  // Also keeps other processes of the same user from attaching and reading the keys.
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void keep_heap_small() {
  mallopt(M_ARENA_MAX, 1);
  // Freed pieces at the top of the heap go back to the system early.
  mallopt(M_TRIM_THRESHOLD, 256 << 10);
}

void notify_service_manager(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  if (path == nullptr || std::strlen(path) >= sizeof address.sun_path) return;
  if (path[0] != '/' && path[0] != '@') return;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path, std::strlen(path));
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract socket
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const auto size = offsetof(sockaddr_un, sun_path) + std::strlen(path);
  [[maybe_unused]] const auto sent =
      sendto(fd, state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address),
             static_cast<socklen_t>(size));
  close(fd);
}

}  // namespace peat::daemon
