// Who made an actor's changes: the author footer.
//
//   extra bytes of a change = ULEB 1, ULEB length + author, and whatever else
//
// An author is any bytes that an application knows people by; one author may have many actors, an
// actor has one author at most. Writers put the footer on an actor's first change. Older engines
// carry the bytes without a meaning.
#pragma once

#include <optional>

#include "peat/bytes.hpp"

namespace peat::automerge {

Bytes author_footer(ByteView author);
// Nullopt if the extra bytes of a change are no footer.
std::optional<ByteView> author_in(ByteView extra);

}  // namespace peat::automerge
