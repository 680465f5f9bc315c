// Automerge engines that answer the command language of tests/interop/rust/oracle.rs: foreign ones
// in a process of their own, and ours in this one. A test sends the same line to each and compares
// the replies.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "peat/automerge/sync.hpp"

namespace peat::automerge::interop {

class Peer {
 public:
  virtual ~Peer() = default;
  // The reply without its "ok"; a reply "err …" comes back as it is.
  virtual std::string ask(const std::string& line) = 0;
};

inline bool failed(std::string_view reply) { return reply.starts_with("err"); }

// A program from the peers' directory (scripts/build-peers). Ends with this object.
class ForeignPeer final : public Peer {
 public:
  // Names as built: "am07", "am12", "npm". Null if the program is not there.
  static std::unique_ptr<ForeignPeer> start(const std::string& name);
  ~ForeignPeer() override;
  std::string ask(const std::string& line) override;

 private:
  ForeignPeer() = default;
  pid_t pid_ = -1;
  std::FILE* in_ = nullptr;
  std::FILE* out_ = nullptr;
};

// An object of one of our documents as a script names it.
struct NamedObject {
  std::string name;
  ObjectType type;
  std::size_t size;
};

class OurPeer final : public Peer {
 public:
  std::string ask(const std::string& line) override;

  Document& document(const std::string& slot) { return *slots_.at(slot).document; }
  // False for an `incr` that 0.7 gets wrong: of a list element (its op set breaks), and where a
  // counter stands beside a concurrent other value (its successors hide that value).
  bool increments_safely(const std::string& line);
  // Every object that can be reached, conflicting ones included.
  std::vector<NamedObject> objects(const std::string& slot);

 private:
  struct Slot {
    std::unique_ptr<Document> document;
    std::optional<Transaction> transaction;
    std::map<std::string, ObjectId> objects;  // by name; an id stays what it is
  };
  using Words = std::vector<std::string>;

  Result<std::string> run(const Words& words);
  Result<std::string> edit(const Words& words);
  Result<std::string> sync(const Words& words);
  Result<std::string> load(const Words& words);
  Result<Transaction*> transaction(const std::string& slot);
  void adopt(const std::string& slot, Document document);
  Result<ObjectId> object(const std::string& slot, const std::string& name);

  std::map<std::string, Slot> slots_;
  std::map<std::string, SyncState> states_;
};

std::string to_hex_word(ByteView bytes);  // "-" for nothing
Bytes from_hex_word(std::string_view word);

}  // namespace peat::automerge::interop

// Starts a foreign peer or leaves the test: skipped, or failed with PEAT_REQUIRE_PEERS=1.
#define PEAT_START_PEER(variable, name)                                                   \
  const auto variable = ::peat::automerge::interop::ForeignPeer::start(name);             \
  if (!variable) {                                                                        \
    const char* required = std::getenv("PEAT_REQUIRE_PEERS");                             \
    if (required != nullptr && std::string_view(required) == "1")                         \
      FAIL() << "peer " << name << " is not built: run scripts/build-peers";              \
    GTEST_SKIP() << "NOT TESTED: peer " << name << " is not built (scripts/build-peers)"; \
  }
