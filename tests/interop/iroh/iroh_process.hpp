// An iroh peer (src/main.rs) as a child process whose lines the test reads.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace peat::net::interop {

class IrohProcess {
 public:
  // `generation`: "iroh97" or "iroh1". Null if the program is not built.
  static std::unique_ptr<IrohProcess> start(const std::string& generation,
                                            const std::vector<std::string>& arguments);
  static bool is_built(const std::string& generation);
  ~IrohProcess();  // ends it
  IrohProcess(const IrohProcess&) = delete;
  IrohProcess& operator=(const IrohProcess&) = delete;

  // Reads what there is, without waiting.
  void poll();
  // The rest of the first line so far that begins with `word`.
  std::optional<std::string> line(const std::string& word);
  // Everything so far, for messages.
  const std::string& text() const { return text_; }

 private:
  IrohProcess() = default;

  pid_t pid_ = -1;
  int out_ = -1;
  std::string text_;
};

}  // namespace peat::net::interop
