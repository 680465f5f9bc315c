// What each peer may do with each document, while the node runs: the one place where it is decided.
//
// Rules (security/access_rules.hpp) over what is known of a peer now. Documents asks before it
// takes anything from a peer, sessions before they send anything of a document; withhold() is the
// last gate in front of the native channel, and knows every kind of frame. Nothing else decides.
//
// Authors. A node's actor ids begin with the first eight bytes of its endpoint id. A change that a
// peer hands over is its own if its actor says so, and then needs `write`. Others' changes need
// `relay` of the peer, and `write` of the peer, who then vouches for them, or of the author, if
// that is a member here. Changes carry no signature: whoever may relay is believed about authors,
// and who may relay is the rules' to say.
//
// When rights change. Narrowed rights act at once. What was withheld or refused under other rights
// has to be gone through again: the fingerprint of a peer's rights is kept with its position in the
// feed, and where it differs both feeds are walked from the beginning (by heads: what is there
// already costs its offer). It is kept when the walk has surely arrived. The node starts a
// connected peer's session anew when its fingerprint changes.
//
// Counting. Every denial is counted by peer and right; `on_denied` is told of each.
//
// Threading: the loop. Cost: without rules, one comparison; with rules, two map look-ups. Memory:
// counters for sync_peers peers at most.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "peat/automerge/types.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "security/access_rules.hpp"
#include "wire/native.hpp"

namespace peat::sync {

using security::Right;

// By these an actor id is known to be a device's.
inline constexpr std::size_t kAuthorBytes = 8;
bool is_author(const EndpointId& device, const automerge::ActorId& actor);

class Access {
 public:
  using Fingerprint = std::array<std::uint8_t, 16>;  // zeros: no rule restricts anybody
  struct Denial {
    EndpointId peer;
    Right right = Right::read;
    std::string_view key;  // of the document; of `use`: the protocol
    std::string why;
  };
  struct Options {
    // What is known of a peer now; empty: nobody has a certificate.
    std::function<security::Standing(const EndpointId&)> standing;
    // The member whose actor ids begin so; empty, or nullopt: nobody known.
    std::function<std::optional<security::Standing>(std::span<const std::uint8_t>)> author;
    std::function<void(const Denial&)> on_denied;
    Limits limits;
  };
  Access(security::AccessRules rules, Options options)
      : rules_(std::move(rules)), options_(std::move(options)) {}

  void set_rules(security::AccessRules rules) { rules_ = std::move(rules); }
  const security::AccessRules& rules() const { return rules_; }

  // Whether the peer may be sent anything of the document. A `no` is counted.
  bool may_read(const EndpointId& peer, std::string_view key);
  // The same, for deciding without sending: not counted.
  bool reads(const EndpointId& peer, std::string_view key) const;

  // Whether anything at all of the document is taken from the peer, before it is looked at.
  Status may_send(const EndpointId& peer, std::string_view key);
  // Whether it matters who wrote what of the document the peer sends.
  bool asks_for_authors(const EndpointId& peer, std::string_view key) const;
  // Whether the peer may hand over a change of this actor.
  Status may_hand_over(const EndpointId& peer, std::string_view key,
                       const automerge::ActorId& actor);
  Status may_delete(const EndpointId& peer, std::string_view key);
  // A local write is judged by this node's own certificate: others would refuse it.
  Status may_write_here(const EndpointId& self, std::string_view key, Right right) const;
  Status may_use(const EndpointId& peer, std::string_view protocol);

  Fingerprint fingerprint(const EndpointId& peer) const;
  bool allows(const EndpointId& peer, Right right, std::string_view collection) const;

  using Counts = std::array<std::uint64_t, security::kRights>;
  Counts denied(const EndpointId& peer) const;
  const Counts& denied() const { return total_; }

 private:
  security::Standing standing(const EndpointId& peer) const;
  Status deny(const EndpointId& peer, Right right, std::string_view key, std::string why);
  std::string refusal(const security::Standing& peer, Right right, std::string_view key) const;

  security::AccessRules rules_;
  Options options_;
  std::map<EndpointId, Counts> denied_;
  Counts total_{};
};

// Takes out of a frame what the peer may not be told. False: nothing is left to be sent. Keys that
// the peer itself has named stay, without what is here of them. Each kind of frame has its rule: a
// new one does not compile without.
bool withhold(wire::NativeFrame& frame, Access& access, const EndpointId& peer);

}  // namespace peat::sync
