// The vocabulary of Automerge documents: ids, values, changes, limits, heads.
//
// All types are values. Views (std::string_view, ByteView) inside a Scalar point into the document
// that returned it and are valid until its next mutation; copy what is to be kept.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/export.hpp"

namespace peat::automerge {

// SHA-256 of an uncompressed change chunk (type byte, length, data).
struct ChangeHash {
  std::array<std::uint8_t, 32> bytes{};
  friend auto operator<=>(const ChangeHash&, const ChangeHash&) = default;
  PEAT_API std::string to_string() const;  // 64 lower-case hex digits
  PEAT_API static Result<ChangeHash> parse(std::string_view hex);
};

// Heads of a document: the hashes of the changes nothing depends on, ascending.
using Heads = std::vector<ChangeHash>;

// Who makes changes: 1 to 65,535 bytes (16 by habit); orders as unsigned bytes, a prefix first.
struct ActorId {
  Bytes bytes;
  friend auto operator<=>(const ActorId&, const ActorId&) = default;
  PEAT_API std::string to_string() const;
  PEAT_API static Result<ActorId> parse(std::string_view hex);
  PEAT_API static ActorId random();  // 16 bytes of the system's randomness
};

// An operation's id inside one Document: Lamport counter and index into that document's actor
// table. Zero is "none" (and the root object). Not comparable between documents.
struct OpId {
  std::uint64_t packed = 0;  // counter << 32 | actor index

  OpId() = default;
  constexpr OpId(std::uint32_t counter, std::uint32_t actor)
      : packed(std::uint64_t{counter} << 32 | actor) {}
  constexpr std::uint32_t counter() const { return static_cast<std::uint32_t>(packed >> 32); }
  constexpr std::uint32_t actor() const { return static_cast<std::uint32_t>(packed); }
  constexpr bool none() const { return packed == 0; }
  friend bool operator==(OpId, OpId) = default;
};

// An object of a document. kRoot is the root map. Text form: "_root" or "counter@actorhex".
struct ObjectId {
  OpId op;
  friend bool operator==(ObjectId, ObjectId) = default;
};
inline constexpr ObjectId kRoot{};

enum class ObjectType : std::uint8_t { map, list, text, table };

using Prop = std::variant<std::string, std::size_t>;  // a key, or an index
using Path = std::vector<Prop>;                       // from the root down

enum class JsonForm : std::uint8_t {
  plain,  // as anybody's JSON
  typed,  // nothing is lost: see Document::to_json
};

struct Null {
  friend bool operator==(Null, Null) = default;
};
struct Counter {
  std::int64_t value = 0;
  friend bool operator==(Counter, Counter) = default;
};
struct Timestamp {
  std::int64_t ms = 0;  // since the Unix epoch
  friend bool operator==(Timestamp, Timestamp) = default;
};
// A value type that this version does not know (codes 10 to 15); kept and written back unchanged.
struct UnknownValue {
  std::uint8_t type = 0;
  ByteView bytes;
};

// Doubles keep NaN payloads and the sign of zero.
using Scalar = std::variant<Null, bool, std::int64_t, std::uint64_t, double, Counter, Timestamp,
                            std::string_view, ByteView, UnknownValue>;

// A Scalar that keeps its own bytes. Equal if type and value are; doubles bit by bit.
class PEAT_API OwnedScalar {
 public:
  OwnedScalar() = default;  // null
  explicit OwnedScalar(const Scalar& value);
  Scalar view() const;  // into this object
  bool is_null() const { return std::holds_alternative<Null>(value_); }
  friend PEAT_API bool operator==(const OwnedScalar& a, const OwnedScalar& b);

 private:
  struct Unknown {
    std::uint8_t type = 0;
    Bytes bytes;
  };
  std::variant<Null, bool, std::int64_t, std::uint64_t, double, Counter, Timestamp, std::string,
               Bytes, Unknown>
      value_;
};

// What positions and lengths in texts count. An element that is no text (a block, a number) counts
// as U+FFFC: 1, 3 or 1. Lists count elements, always. Grapheme clusters are not offered: they
// change with the Unicode version, so two devices would count differently.
enum class TextUnit : std::uint8_t { code_point, utf8, utf16 };

struct ObjectRef {
  ObjectType type = ObjectType::map;
  ObjectId id;
};

struct Value {
  std::variant<Scalar, ObjectRef> data;
  OpId op;  // the operation that set it
};

// Bounds on what a file or a peer may claim. Every refusal names the rule, the chunk and the byte
// offset. Safe defaults; raise them only for input you trust.
struct LoadLimits {
  std::uint64_t input_bytes = 256ULL << 20;
  std::uint64_t inflated_bytes = 256ULL << 20;
  std::uint64_t ops = 1ULL << 26;
  std::uint64_t changes = 1ULL << 24;
  std::uint32_t actor_bytes = 65535;
};

// What is known of a change without applying it.
struct ChangeInfo {
  ChangeHash hash;
  ActorId actor;
  std::uint64_t seq = 0;       // 1, 2, 3 … per actor
  std::uint64_t start_op = 0;  // counter of its first operation
  std::uint64_t op_count = 0;
  std::int64_t time = 0;  // seconds since the Unix epoch, by the writer's clock
  std::string message;
  std::vector<ChangeHash> deps;   // ascending
  std::optional<Bytes> author{};  // on an actor's first change, if its document had one set

  std::uint64_t max_op() const { return start_op + op_count - 1; }
};

// Checks one change chunk (type 1 or 2) completely without a document: checksum, grammar, limits,
// and that re-encoding its operations gives the same hash (a change for which it does not could
// never be rebuilt from a saved document). Cost: one pass plus SHA-256, about 3 µs for 1 KiB.
PEAT_API Result<ChangeInfo> inspect_change(ByteView chunk, const LoadLimits& limits = {});

}  // namespace peat::automerge

template <>
struct std::hash<peat::automerge::ChangeHash> {
  std::size_t operator()(const peat::automerge::ChangeHash& change) const noexcept {
    std::size_t h;  // the bytes are uniform already
    std::memcpy(&h, change.bytes.data(), sizeof h);
    return h;
  }
};
