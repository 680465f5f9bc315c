// The coordinator: from a store and its channels to a mesh that agrees.
//
// It makes a session for every channel of the manager, tells each session of every change of the
// store (local, or received from a third peer: A→B→C relays, F21) and lets them speak, at most once
// per turn of the loop. It decides nothing about documents; that is Documents' and the sessions'.
//
// Threading: the loop. Lifetime: documents, manager and executor outlive it; destroying it detaches
// from the channels, which stay.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.hpp"
#include "base/limits.hpp"
#include "peat/error.hpp"
#include "sync/channel.hpp"
#include "sync/documents.hpp"
#include "sync/session.hpp"
#include "sync/write_waits.hpp"

namespace peat::sync {

class Coordinator {
 public:
  struct Options {
    std::string node_id;
    Limits limits;
    // Told when a peer's channel has a live connection, and when that is gone.
    std::function<void(const EndpointId& peer, bool connected)> on_peer;
    // Told of every document that was skipped for a fault of its own, from inside the session.
    std::function<void(const EndpointId& peer, const DocumentFault& fault)> on_fault;
    // Where a peer stands; empty: nobody knows. Asked when its channel is made, and by relate().
    std::function<Relation(const EndpointId& peer)> relation_of;
    Access* access = nullptr;  // what peers may be sent; nullptr: everything. Outlives this object.
  };
  // Installs itself as the manager's listener factory: create it before the first channel.
  static Result<std::unique_ptr<Coordinator>> create(Documents& documents,
                                                     SyncChannelManager& channels,
                                                     Executor& executor, Options options);
  virtual ~Coordinator() = default;

  // Every peer with a channel, ordered by id.
  virtual std::vector<SessionStatus> status() const = 0;
  virtual std::optional<SessionStatus> status(const EndpointId& peer) const = 0;

  // Up to where the peer durably holds our feed, as far as is known, connected or not: 0 if nothing
  // is.
  virtual store::Seq holds_up_to(const EndpointId& peer) const = 0;
  // What the session knows of one document; nullopt: no channel. `place`: only while connected.
  struct DocumentOnItsWay {
    std::optional<KeyPlace> place;
    bool declined = false;                  // the peer did not take it
    std::optional<std::uint32_t> attempts;  // sent so often in vain, and due again
  };
  virtual std::optional<DocumentOnItsWay> locate(const EndpointId& peer,
                                                 std::string_view key) const = 0;
  // Asks a peer, or all that are connected, for a document of which `have` is here; the value says
  // who was asked.
  virtual std::vector<EndpointId> request(std::string_view key, const automerge::Heads& have,
                                          const std::optional<EndpointId>& peer) = 0;

  // Asks again where each peer stands.
  virtual void relate() = 0;

  // Writes down how far peers have acknowledged our feed. `clock` is the node's running time
  // (Upkeep); peers heard of within the last 30 days of it count from now on.
  virtual void note_acknowledgements(std::chrono::milliseconds clock) = 0;
  // Whether every peer that counts has the tombstone (on its disk; an old one: at hand). One that
  // it may not travel to never has it.
  virtual bool acknowledged(const store::TombstoneRecord& tombstone) const = 0;

  // Calls back when so many peers hold the write durably, or when the deadline comes.
  virtual void await_holders(Write write, const WaitFor& wanted, Duration deadline,
                             WriteWaits::Done done) = 0;
  // How many other nodes make a majority with this one, of all that are known.
  virtual std::size_t quorum_peers() const = 0;

  // Erases what the store keeps of this peer (its position, its sync states), as soon as its
  // session is over: remove its channel first. It may come back, and begins at the beginning.
  virtual void forget(const EndpointId& peer) = 0;
};

}  // namespace peat::sync
