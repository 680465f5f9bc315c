// What is set aside: documents that cannot be read, taken or loaded, each with its reason.
//
//   unreadable  its changes are here and travel, but make no document (design rule 7)
//   refused     a peer sent something that is no good state of it; ours is as it was
//   corrupt     the store's record of it is damaged; any peer's whole document repairs it
//
// A document is listed once for each of these. The list outlives a restart: a peer does not send
// again what was refused, so nothing else would remember it.
//
//   record := u8 1, entry*
//   entry  := u8 kind, u16be code, u64be first, u64be last, u64be count, u8 has peer, peer[32]?,
//             text key, text reason;  text := u16be length, bytes
//
// Threading: the loop. Cost: O(log n). Limits (base/limits.def): sync_quarantined; over it the
// oldest refused one gives way to what concerns our own store, other refusals stay unlisted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"

namespace peat::sync {

enum class QuarantineKind : std::uint8_t { unreadable, refused, corrupt };
std::string_view name(QuarantineKind kind);

struct Quarantined {
  std::string key;
  QuarantineKind kind = QuarantineKind::unreadable;
  Code code = Code::document_invalid;
  std::string reason;
  std::optional<EndpointId> peer;  // refused: who sent it last
  std::int64_t first_ms = 0;       // wall clock
  std::int64_t last_ms = 0;
  std::uint64_t count = 0;  // how often
};

class Quarantine {
 public:
  explicit Quarantine(std::uint64_t limit) : limit_(limit) {}

  enum class Noted : std::uint8_t { again, listed, unlisted };  // unlisted: there is no room
  Noted note(std::string_view key, QuarantineKind kind, const Error& error,
             const std::optional<EndpointId>& peer, WallTime now);
  // False: it was not listed.
  bool clear(std::string_view key, QuarantineKind kind);
  // What this peer had sent is good now.
  bool clear_refused(std::string_view key, const EndpointId& peer);
  std::vector<Quarantined> of(std::string_view key) const;
  std::vector<Quarantined> list() const;  // by key
  bool empty() const { return entries_.empty(); }

  Bytes encode() const;
  Status decode(ByteView record);  // replaces everything, up to the limit

  std::uint64_t unlisted = 0;  // for lack of room

 private:
  using Name = std::pair<std::string, QuarantineKind>;
  bool make_room(QuarantineKind kind);

  std::uint64_t limit_;
  std::map<Name, Quarantined> entries_;
};

}  // namespace peat::sync
