// Preloaded into a daemon: a resolver whose name servers do not answer.
#include <netdb.h>

#include <unistd.h>

extern "C" [[gnu::visibility("default")]] int getaddrinfo(const char*, const char*, const addrinfo*,
                                                          addrinfo**) {
  constexpr char kText[] = "looking up\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, kText, sizeof kText - 1);
  sleep(60);
  return EAI_AGAIN;
}
