// Tombstones: the record that a document was deleted, as it travels and as it is stored.
//
// Values and codecs; no policy. Times are milliseconds since the Unix epoch by the deleter's wall
// clock. Strings are UTF-8 without terminator.
//
// Threading: values, no shared state. Cost: one pass, one copy of each string. Limits
// (base/limits.def): collection and id together fit a key of wire_key_bytes; a batch holds at most
// wire_tombstones_per_batch, and nothing is reserved on a count that the bytes cannot hold.
// Errors: truncated, malformed, limit_exceeded; each names the field and the offset.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"

namespace peat::wire {

// Which way a deletion travels in a hierarchy.
enum class Direction : std::uint8_t {
  bidirectional = 0,
  up_only = 1,
  down_only = 2,
  system_wide = 3,
};

constexpr bool allows_up(Direction direction) { return direction != Direction::down_only; }
constexpr bool allows_down(Direction direction) { return direction != Direction::up_only; }

// The direction a deleter assigns when nobody names one: reports go up, commands go down.
Direction default_direction(std::string_view collection);

struct Tombstone {
  std::string collection;
  std::string id;  // may contain ':'
  std::uint64_t deleted_at_ms = 0;
  std::uint64_t lamport = 0;
  std::string deleted_by;  // the deleter's node id
  std::string reason;      // empty: none (the wire cannot tell the two apart)
  Direction direction = Direction::bidirectional;

  // The document's key, "collection:id".
  std::string key() const { return collection + ':' + id; }

  friend bool operator==(const Tombstone&, const Tombstone&) = default;
};

// Which deletion a document stands behind: the identity of its tombstone, all zero for none. A
// document that was created again after a deletion carries that deletion's. Orders by age.
struct Epoch {
  std::uint64_t lamport = 0;
  std::uint64_t deleted_at_ms = 0;
  std::string deleted_by;
  friend auto operator<=>(const Epoch&, const Epoch&) = default;
};

// True if `a` replaces `b` for the same document: the greater of (lamport, deleted_at_ms,
// deleted_by). Irreflexive, and every node orders two tombstones alike.
bool supersedes(const Tombstone& a, const Tombstone& b);

// Appends one tombstone message to `out`. Code::limit_exceeded (and `out` unchanged) if a string
// is too long for its field or for the key limit.
Status encode(const Tombstone& tombstone, Bytes& out, const Limits& limits = {});

// Reads one tombstone message; bytes after `direction` are ignored, as the field's peers do.
Result<Tombstone> decode_tombstone(ByteView input, const Limits& limits = {});

// A decoded batch. Elements carry their own length, so one that is malformed costs only itself:
// it is counted and the others are kept.
struct TombstoneBatch {
  std::vector<Tombstone> tombstones;
  std::uint32_t malformed = 0;
};

// What one batch that we send holds at most.
inline constexpr std::size_t kMaxTombstonesPerFrame = 4096;
inline constexpr std::size_t kMaxTombstoneFrameBytes = 1 << 20;

// Appends one batch of as many of `tombstones` from the front as the two bounds above allow (at
// least one) and returns how many; call again with the rest.
Result<std::size_t> encode_tombstone_batch(std::span<const Tombstone> tombstones, Bytes& out,
                                           const Limits& limits = {});
Result<TombstoneBatch> decode_tombstone_batch(ByteView input, const Limits& limits = {});

}  // namespace peat::wire
