#include "sync/access.hpp"

#include <algorithm>
#include <utility>

#include "base/encoding.hpp"
#include "sync/documents.hpp"

namespace peat::sync {
namespace {

// One without a collection is nobody's: rules for "*" hold.
std::string_view collection_of(std::string_view key) {
  const auto parts = split_key(key);
  return parts ? parts->collection : std::string_view();
}

std::string describe(const security::Standing& standing) {
  if (!standing.certified) return standing.id.short_form() + " (no certificate)";
  return standing.id.short_form() + " (" + std::string(security::to_string(standing.tier)) + ", " +
         security::describe_permissions(standing.permissions) + ")";
}

class Gate {
 public:
  Gate(Access& access, const EndpointId& peer) : access_(access), peer_(peer) {}

  bool operator()(wire::Hello&) const { return true; }
  bool operator()(wire::DocChanges& frame) const {
    return remove(frame.documents, [](const auto& row) { return row.key; }) || frame.position > 0;
  }
  // Sent even if nothing is left: its answer is awaited.
  bool operator()(wire::DocHeads& frame) const {
    remove(frame.documents, [](const auto& row) { return row.key; });
    return true;
  }
  bool operator()(wire::Tombstones& frame) const {
    return remove(frame.tombstones, [](const auto& row) { return row.key(); }) ||
           frame.position > 0;
  }
  // What the peer has offered may be asked for by whoever takes it, but not with our heads.
  bool operator()(wire::Need& frame) const {
    for (auto& document : frame.documents) {
      if (access_.reads(peer_, document.key)) continue;
      document.have.clear();
      document.want.clear();
    }
    return true;
  }
  // Names what was not taken: its key alone.
  bool operator()(wire::DurableAck& frame) const {
    for (auto& document : frame.documents) {
      if (!access_.reads(peer_, document.key)) document = {document.key, {}, {}};
    }
    return true;
  }
  bool operator()(wire::FeedDone&) const { return true; }
  bool operator()(wire::Ping&) const { return true; }
  bool operator()(wire::Pong&) const { return true; }
  bool operator()(wire::Goodbye&) const { return true; }
  bool operator()(wire::LegacyFrame& frame) const {
    return access_.may_read(peer_, frame.frame.key);
  }

 private:
  // True: something is left.
  bool remove(auto& rows, auto key) const {
    std::erase_if(rows, [&](const auto& row) { return !access_.may_read(peer_, key(row)); });
    return !rows.empty();
  }

  Access& access_;
  const EndpointId& peer_;
};

}  // namespace

bool is_author(const EndpointId& device, const automerge::ActorId& actor) {
  return actor.bytes.size() >= kAuthorBytes &&
         std::ranges::equal(std::span(actor.bytes).first(kAuthorBytes),
                            std::span(device.bytes).first(kAuthorBytes));
}

security::Standing Access::standing(const EndpointId& peer) const {
  return options_.standing ? options_.standing(peer) : security::Standing{.id = peer};
}

bool Access::allows(const EndpointId& peer, Right right, std::string_view collection) const {
  return rules_.is_open(right, collection) || rules_.allows(standing(peer), right, collection);
}

bool Access::reads(const EndpointId& peer, std::string_view key) const {
  return allows(peer, Right::read, collection_of(key));
}

std::string Access::refusal(const security::Standing& peer, Right right,
                            std::string_view key) const {
  const auto collection = collection_of(key);
  return describe(peer) + " may not " + std::string(security::to_string(right)) + " '" +
         std::string(collection) + "': the access rules give that to " +
         rules_.who(right, collection);
}

Status Access::deny(const EndpointId& peer, Right right, std::string_view key, std::string why) {
  const auto index = static_cast<std::size_t>(right);
  ++total_[index];
  if (denied_.size() < options_.limits.sync_peers || denied_.contains(peer)) {
    ++denied_[peer][index];
  }
  if (options_.on_denied) options_.on_denied({peer, right, key, why});
  return fail(Code::permission_denied, std::move(why));
}

bool Access::may_read(const EndpointId& peer, std::string_view key) {
  if (reads(peer, key)) return true;
  return deny(peer, Right::read, key, refusal(standing(peer), Right::read, key)).has_value();
}

Status Access::may_send(const EndpointId& peer, std::string_view key) {
  const auto collection = collection_of(key);
  if (allows(peer, Right::write, collection) || allows(peer, Right::relay, collection)) return {};
  return deny(peer, Right::write, key, refusal(standing(peer), Right::write, key));
}

bool Access::asks_for_authors(const EndpointId& peer, std::string_view key) const {
  const auto collection = collection_of(key);
  return !allows(peer, Right::write, collection) || !allows(peer, Right::relay, collection);
}

Status Access::may_hand_over(const EndpointId& peer, std::string_view key,
                             const automerge::ActorId& actor) {
  const auto collection = collection_of(key);
  const bool own = is_author(peer, actor);
  const auto needed = own ? Right::write : Right::relay;
  if (!allows(peer, needed, collection)) {
    return deny(peer, needed, key, refusal(standing(peer), needed, key));
  }
  if (own || allows(peer, Right::write, collection)) return {};
  const auto author = options_.author && actor.bytes.size() >= kAuthorBytes
                          ? options_.author(std::span(actor.bytes).first(kAuthorBytes))
                          : std::nullopt;
  const auto judged = author.value_or(standing(peer));
  if (rules_.allows(judged, Right::write, collection)) return {};
  return deny(peer, Right::write, key, refusal(judged, Right::write, key));
}

Status Access::may_delete(const EndpointId& peer, std::string_view key) {
  if (allows(peer, Right::erase, collection_of(key))) return {};
  return deny(peer, Right::erase, key, refusal(standing(peer), Right::erase, key));
}

Status Access::may_write_here(const EndpointId& self, std::string_view key, Right right) const {
  if (allows(self, right, collection_of(key))) return {};
  return fail(Code::permission_denied, "this node, " + refusal(standing(self), right, key) +
                                           "; with rules like these other nodes would refuse it");
}

Status Access::may_use(const EndpointId& peer, std::string_view protocol) {
  const auto judged = standing(peer);
  if (rules_.allows_protocol(judged, protocol)) return {};
  return deny(peer, Right::use, protocol,
              describe(judged) + " may not use " + std::string(protocol) +
                  ": the access rules give that to " + rules_.who_may_use(protocol));
}

Access::Fingerprint Access::fingerprint(const EndpointId& peer) const {
  Fingerprint out{};
  if (rules_.rules().empty()) return out;
  const auto judged = standing(peer);
  const std::array<std::uint8_t, 3> facts = {judged.certified ? std::uint8_t{1} : std::uint8_t{0},
                                             static_cast<std::uint8_t>(judged.tier),
                                             judged.permissions};
  std::string text;
  for (const auto& rule : rules_.rules()) text += rule.text + '\n';
  const auto digest = sha256({facts, as_bytes(text)});
  std::copy_n(digest.begin(), out.size(), out.begin());
  return out;
}

Access::Counts Access::denied(const EndpointId& peer) const {
  const auto found = denied_.find(peer);
  return found == denied_.end() ? Counts{} : found->second;
}

bool withhold(wire::NativeFrame& frame, Access& access, const EndpointId& peer) {
  return std::visit(Gate(access, peer), frame);
}

}  // namespace peat::sync
