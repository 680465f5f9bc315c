// The peers a node is told to keep connected, and by whom.
//
// Those of the settings come with every start; those added by the interface are kept in the
// store's meta (one record: "1\n", then a line per peer as PeerSetting prints it) and come back
// after a restart (fault F23). A peer of both counts as one of the settings; its address is the
// one given last.
//
// Threading: the loop. Limit: peers_kept.
#pragma once

#include <map>
#include <optional>
#include <string_view>

#include "base/limits.hpp"
#include "node/settings.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"

namespace peat::node {

inline constexpr std::string_view kPeersMeta = "node.peers";

class PeerBook {
 public:
  explicit PeerBook(const Limits& limits) : limit_(limits.peers_kept) {}

  // Code::store_corrupt if the record is not what encode() wrote.
  Status decode(ByteView record);
  Bytes encode() const;

  // Replaces those of the settings; `added` and `removed` say what that changes on the whole.
  struct Difference {
    std::vector<PeerSetting> added;  // or with another address
    std::vector<EndpointId> removed;
  };
  Difference set_from_settings(const Peers& peers);
  Status add(const PeerSetting& peer);  // Code::limit_exceeded
  bool remove(const EndpointId& peer);  // also one of the settings, until the next start

  bool in_settings(const EndpointId& peer) const { return from_settings_.contains(peer); }
  bool added(const EndpointId& peer) const { return added_.contains(peer); }
  sync::Relation relation(const EndpointId& peer) const;  // unknown for those not in the book
  Peers all() const;

 private:
  std::uint64_t limit_;
  std::map<EndpointId, PeerSetting> from_settings_;
  std::map<EndpointId, PeerSetting> added_;
};

}  // namespace peat::node
