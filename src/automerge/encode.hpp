// Writing changes out of operations whose ids are those of a document.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "automerge/actors.hpp"
#include "automerge/operations.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

// Writes one change whose operations, one behind the other from start_op, have ids in terms of
// `actors`. Appends the chunk to `out`.
struct ChangeFacts {
  std::span<const ChangeHash> deps;  // ascending
  std::uint32_t author = 0;
  std::uint32_t seq = 0;
  std::uint32_t start_op = 0;
  std::int64_t time = 0;
  std::string_view message;
  ByteView extra;
};
ChangeHash encode_change(const ActorTable& actors, const ChangeFacts& facts, std::span<OpView> ops,
                         Bytes& out);

}  // namespace peat::automerge
