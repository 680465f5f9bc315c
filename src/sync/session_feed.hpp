// Places in change feeds: which of our old ones still mean something, and how far we hold a peer's.
//
// A feed position is valid for one store id. After an unclean stop the store goes on under a new
// id, and its positions continue above all that were ever used (store/document_store.hpp). A
// position that a peer holds of a former id of this very store is therefore still good up to the
// place where that life ended; positions of ids unknown here are not.
//
// In the store's meta: "sync.lines" := line*, line := 16-byte id, u64be end; newest last.
// "sync.from.<peer>" := 16-byte id of the peer's store, u64be position: up to there the peer's
// feed is in this store. It is written after the documents it speaks for, so that it cannot
// become durable before them.
//
// "sync.peers" := 32-byte peer*, noted longest ago first: of whom something is kept (a position,
// sync states of the old dialect), at most sync_peers. Who is over it is forgotten, and begins at
// the beginning when it comes back, which costs time and no data.
//
// "sync.acked.<peer>" := 16-byte id of our store, u64be position, u64be clock: how far the peer
// durably holds our feed, and when we last spoke to it, in this node's running time (upkeep.hpp).
//
// "sync.rights.<peer>" := the 16-byte fingerprint of its rights (access.hpp) under which both feeds
// were walked; none: no rule restricted anybody; kUnsettledRights: they are being walked.
//
// Threading: the loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "store/document_store.hpp"
#include "sync/access.hpp"
#include "wire/native.hpp"

namespace peat::sync {

class FeedLines {
 public:
  // Reads the former lives and notes the present one if it is new.
  static Result<FeedLines> open(store::DocumentStore& store);

  // Where to go on for a peer that says it holds our feed up to `resume`: 0 for the beginning.
  store::Seq resume_point(const wire::Resume& resume) const;

 private:
  struct Line {
    store::StoreId id{};
    store::Seq end = 0;
  };

  explicit FeedLines(const store::DocumentStore& store) : store_(&store) {}

  const store::DocumentStore* store_;
  std::vector<Line> former_;
};

Result<wire::Resume> load_position(const store::DocumentStore& store, const EndpointId& peer);
Status save_position(store::DocumentStore& store, const EndpointId& peer,
                     const wire::Resume& position);

// Before the first thing kept of a peer on a connection. Forgets the one noted longest ago if there
// are more than `limit`.
Status note_peer(store::DocumentStore& store, const EndpointId& peer, std::uint64_t limit);
struct PeerAck {
  wire::Resume held;                      // of our feed
  std::chrono::milliseconds last_seen{};  // by this node's running time
};
Result<std::optional<PeerAck>> load_ack(const store::DocumentStore& store, const EndpointId& peer);
Status save_ack(store::DocumentStore& store, const EndpointId& peer, const PeerAck& ack);
inline constexpr Access::Fingerprint kUnsettledRights = {0xff};
Result<Access::Fingerprint> load_rights(const store::DocumentStore& store, const EndpointId& peer);
Status save_rights(store::DocumentStore& store, const EndpointId& peer,
                   const Access::Fingerprint& rights);
// Those of whom something is kept.
Result<std::vector<EndpointId>> noted_peers(const store::DocumentStore& store);

// Erases its positions, its rights and its sync states.
Status forget_peer(store::DocumentStore& store, const EndpointId& peer);

}  // namespace peat::sync
