// Write acknowledgements: who holds a write durably, and telling when enough do.
//
// A peer holds a write once it has acknowledged our feed up to the write's position: the document,
// as it was then or newer, is committed on its disk. It names the documents that it did not take
// (its tombstone, its quarantine, its rules), and is then no holder; nor is one that may not have
// the document. Peers of `cap/automerge/1`
// acknowledge nothing and are never holders.
//
// Threading: the loop. Cost: each acknowledgement looks at each wait. Limit: sync_write_waits.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/executor.hpp"
#include "base/limits.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "store/document_store.hpp"
#include "wire/native.hpp"

namespace peat::sync {

struct WaitFor {
  std::size_t peers = 1;           // so many, this node not counted; or
  std::optional<EndpointId> peer;  // this one
};

struct Write {
  std::string key;
  automerge::Heads heads;
  store::Seq seq = 0;
};

struct Holders {
  bool enough = false;  // false: the deadline came first
  std::vector<EndpointId> peers;
};

class WriteWaits {
 public:
  using Done = std::function<void(Result<Holders>)>;

  using MayHold = std::function<bool(const EndpointId& peer, std::string_view key)>;

  // `may_hold` empty: everybody.
  WriteWaits(Executor& executor, const Limits& limits, MayHold may_hold = {})
      : executor_(executor), limits_(limits), may_hold_(std::move(may_hold)) {}
  ~WriteWaits();
  WriteWaits(const WriteWaits&) = delete;
  WriteWaits& operator=(const WriteWaits&) = delete;

  // `acked`: what each peer has acknowledged up to now. `done` at once if that is enough;
  // Code::limit_exceeded if too many wait.
  void add(Write write, const WaitFor& wanted, Duration deadline,
           const std::map<EndpointId, store::Seq>& acked, Done done);
  void on_ack(const EndpointId& peer, store::Seq acked,
              const std::vector<wire::DocumentHeads>& declined);
  std::size_t size() const { return waits_.size(); }

 private:
  struct Wait {
    Write write;
    WaitFor wanted;
    std::set<EndpointId> holders;
    std::set<EndpointId> declined;
    TimerId timer = 0;
    Done done;
  };

  static bool is_enough(const Wait& wait);
  bool may_hold(const EndpointId& peer, const Wait& wait) const {
    return !may_hold_ || may_hold_(peer, wait.write.key);
  }
  void finish(std::uint64_t number);

  Executor& executor_;
  Limits limits_;
  MayHold may_hold_;
  std::map<std::uint64_t, Wait> waits_;
  std::uint64_t next_ = 1;
};

}  // namespace peat::sync
