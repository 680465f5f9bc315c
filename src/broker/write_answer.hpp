// The answer to a write: when it is durable here, and, if asked for, on other nodes.
//
//   PUT …?wait=2             two peers hold it on their disks
//   PUT …?wait=quorum        so many that they are a majority with this node
//   PUT …?wait=peer:ID       this one holds it
//        &deadline_ms=5000   after so long 504, naming who holds it; the write stays (default 10 s)
//
// Threading: the loop.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "broker/routes.hpp"
#include "sync/write_waits.hpp"

namespace peat::broker {

struct WaitQuery {
  std::optional<sync::WaitFor> wanted;  // nullopt: a majority
  Duration deadline{};
};
// nullopt: nobody is to be waited for.
Result<std::optional<WaitQuery>> wait_in_query(const Target& target);

// Answers once both are there. Shared by the callbacks that bring them.
class WriteAnswer : public std::enable_shared_from_this<WriteAnswer> {
 public:
  WriteAnswer(Call& call, bool awaits_holders);

  node::NodeApi::WriteDone on_written();
  sync::WriteWaits::Done on_held();

 private:
  void answer_if_complete();

  Respond respond_;
  std::string collection_;
  std::string id_;
  bool awaits_holders_;
  std::optional<Result<sync::WriteResult>> written_;
  std::optional<Result<sync::Holders>> held_;
};

}  // namespace peat::broker
