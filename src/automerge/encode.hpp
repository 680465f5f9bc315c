// Writing changes out of operations whose ids are those of a document.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "automerge/actors.hpp"
#include "automerge/operations.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

// The operations of a change in their order, ids in terms of an actor table. Made one by one when
// they are written: as a list they would be most of the memory of a large change.
class OpSource {
 public:
  virtual void restart() = 0;
  // False at the end. Views in `op` live until the next call.
  virtual bool next(OpView& op) = 0;

 protected:
  ~OpSource() = default;
};

// Writes one change whose operations, one behind the other from start_op, come from `ops`, which
// may be asked twice. Appends the chunk to `out`.
struct ChangeFacts {
  std::span<const ChangeHash> deps;  // ascending
  std::uint32_t author = 0;
  std::uint32_t seq = 0;
  std::uint32_t start_op = 0;
  std::uint32_t op_count = 0;
  std::int64_t time = 0;
  std::string_view message;
  ByteView extra;
};
ChangeHash encode_change(const ActorTable& actors, const ChangeFacts& facts, OpSource& ops,
                         Bytes& out);

}  // namespace peat::automerge
