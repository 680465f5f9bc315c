// Why a document is, or is not, on a peer: every thing that decides it, in the order in which it is
// decided, and a sentence that says what it comes to.
//
//   here         whether this node has it, deleted or set aside
//   policy       the collection's rule (mode, class), and whether the peer may read it
//   tombstone    a deletion that holds back, and whether it may travel to the peer
//   peer         whether the peer is known, reachable and connected, and its last error
//   path         by which protocol and address
//   circuit      whether the peer is spoken to
//   position     how far the peer has acknowledged this node's changes, and where this one stands
//   queue        where it waits, and behind how many
//   answer       whether the peer took it
//   error        the last one of this document with this peer
//
// Pure: facts in, text out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "peat/ids.hpp"
#include "sync/coordinator.hpp"
#include "sync/documents.hpp"

namespace peat::node {

struct PeerInfo;

struct Finding {
  enum class Kind : std::uint8_t { fine, blocks, note };
  std::string about;
  Kind kind = Kind::note;
  std::string text;
};

struct Explanation {
  std::string verdict;
  std::vector<Finding> findings;
};

// What is known of a document and a peer.
struct DocumentFacts {
  std::string key;
  std::optional<store::Version> version;            // here, visible
  std::optional<std::string> unreadable;            // why this node cannot read its record
  std::optional<store::TombstoneRecord> tombstone;  // stored here
  bool softly_deleted = false;
  sync::CollectionRule rule;
  bool may_read = true;  // by the access rules
  std::vector<sync::Quarantined> quarantined;
  sync::Relation relation = sync::Relation::unknown;  // of the peer
  store::Seq position = 0;                            // the peer has acknowledged up to here
  store::Seq last_seq = 0;
  store::Origin origin;                      // of the newest change
  std::optional<std::uint64_t> rows_before;  // of the feed, between the peer's position and it
  std::optional<sync::Coordinator::DocumentOnItsWay> on_its_way;
};

// `peer` null: nobody has heard of it.
Explanation explain_document(const DocumentFacts& facts, const PeerInfo* peer);
Explanation explain_peer(const PeerInfo* peer, store::Seq position, store::Seq last_seq);

}  // namespace peat::node
