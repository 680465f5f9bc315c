// The Automerge sync protocol: two documents find and exchange what the other lacks.
//
//   SyncState state;                                   // one per peer and document
//   auto message = generate_sync_message(doc, state);  // an error, a message, or nothing to say
//   if (message && *message) send(**message);
//   on receipt: receive_sync_message(doc, state, bytes);
//
// Both message versions (0x42, 0x43) are read; we write the newest form, which 0.7 and newer
// accept. State machine and wire form: those of the Rust implementation, except that
//   - of the missing changes and the whole document the smaller one goes out, where Rust sends the
//     whole document once a third of it is missing;
//   - a first message names no hash that its own filter shows to be missing: the peer sends it
//     anyway, and is asked by name only when its reading of the filter erred;
//   - "I lost history" is said once and not at every call, so that a caller may generate until
//     there is nothing to say;
//   - a peer that lost history is noticed however it shows, and is sent again what it lost;
//   - orphans that came from elsewhere are not asked of a peer that did not name them.
// Limits: 16 filters a message, 64 probes a filter; a hash named often counts once. A hostile
// filter costs no division by zero and no more than its own size.
//
// Cost: two documents of 1 KiB and one change agree in four messages and 8 us of both sides.
//
// Threading and errors: as Document. A message that cannot be applied leaves both unchanged.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "peat/automerge/document.hpp"

namespace peat::automerge {

struct SyncHave {
  std::vector<ChangeHash> last_sync;
  Bytes bloom;
};

// One message as a value. `changes` are chunks; a receiver joins them.
struct SyncMessage {
  std::uint8_t version = 1;  // 1: 0x42, 2: 0x43
  Heads heads;
  std::vector<ChangeHash> need;
  std::vector<SyncHave> have;
  std::vector<Bytes> changes;
  std::optional<Bytes> flags;  // the bytes of the optional tail, as they are

  static PEAT_API Result<SyncMessage> decode(ByteView input, const LoadLimits& limits = {});
  PEAT_API Bytes encode() const;
};

struct PEAT_API SyncState {
  Heads shared_heads;
  Heads last_sent_heads;
  std::optional<Heads> their_heads;
  std::optional<std::vector<ChangeHash>> their_need;
  std::optional<std::vector<SyncHave>> their_have;
  std::set<ChangeHash> sent_hashes;
  bool in_flight = false;
  bool have_responded = false;
  bool peer_is_v2 = false;         // sent a flags tail: reads 0x43 messages
  bool peer_is_read_only = false;  // said that it takes no changes: gets none

  // 0x43, count, shared heads: what survives a reconnect.
  Bytes encode() const;
  static Result<SyncState> decode(ByteView input);
};

struct ReceiveReport {
  ApplyReport applied;
  bool peer_was_reset = false;  // the peer lost its state; ours was dropped too
  bool heads_changed = false;
};

// The next message for the peer, or nullopt when there is nothing to say (or one is in flight).
PEAT_API Result<std::optional<Bytes>> generate_sync_message(const Document& document,
                                                            SyncState& state);
PEAT_API Result<ReceiveReport> receive_sync_message(Document& document, SyncState& state,
                                                    ByteView message,
                                                    const LoadLimits& limits = {});

}  // namespace peat::automerge
