#include "node/explain.hpp"

#include <fmt/format.h>

#include <utility>

#include "node/node_api.hpp"

namespace peat::node {

namespace {

using Kind = Finding::Kind;

class Report {
 public:
  void add(std::string about, Kind kind, std::string text) {
    out_.findings.push_back({std::move(about), kind, std::move(text)});
  }
  // The first reason counts: the others would not have come to bear.
  void conclude(std::string verdict) {
    if (out_.verdict.empty()) out_.verdict = std::move(verdict);
  }
  Explanation take() { return std::move(out_); }

 private:
  Explanation out_;
};

std::string_view name(sync::SyncMode mode) {
  switch (mode) {
    case sync::SyncMode::full_history:
      return "with its history";
    case sync::SyncMode::latest_only:
      return "the latest state only";
    case sync::SyncMode::windowed:
      break;
  }
  return "with the history of a window of time";
}

void explain_here(const DocumentFacts& facts, Report& report) {
  if (facts.unreadable) {
    report.add("here", Kind::blocks, "this node cannot read its record: " + *facts.unreadable);
    report.conclude(
        "not sent: this node's record of it is damaged; peat quarantine retry asks "
        "the peers for it");
  } else if (facts.version) {
    report.add("here", Kind::fine,
               fmt::format("this node has it, {} heads, changed at position {}{}",
                           facts.version->heads.size(), facts.version->seq,
                           facts.softly_deleted ? ", marked as deleted" : ""));
  } else if (!facts.tombstone) {
    report.add("here", Kind::blocks, "this node does not have it");
    report.conclude("this node does not have it, so that it cannot say more");
  }
  for (const auto& entry : facts.quarantined) {
    report.add("quarantine",
               entry.kind == sync::QuarantineKind::unreadable ? Kind::note : Kind::blocks,
               fmt::format("{}: {}", sync::name(entry.kind), entry.reason));
  }
}

void explain_deletion(const DocumentFacts& facts, Report& report) {
  if (!facts.tombstone) return;
  const auto& tombstone = facts.tombstone->tombstone;
  const bool travels = sync::may_travel(tombstone.direction, facts.relation);
  const auto what = sync::is_expiry(tombstone)
                        ? std::string("it expired here")
                        : fmt::format("it was deleted by {}", tombstone.deleted_by);
  if (facts.version) {
    report.add("tombstone", Kind::note, what + ", and was made anew afterwards");
    return;
  }
  report.add("tombstone", travels ? Kind::note : Kind::blocks,
             what + (travels ? "; the deletion travels to this peer"
                             : "; the deletion may not travel to this peer, which keeps the "
                               "document if it has it"));
  report.conclude(what + (travels ? "; so it is there once the peer has taken that over, and not "
                                    "sent to it"
                                  : "; the peer is not told of it"));
}

void explain_policy(const DocumentFacts& facts, Report& report) {
  if (!facts.may_read) {
    report.add("policy", Kind::blocks, "the access rules do not let this peer read it");
    report.conclude("not sent: the access rules do not let this peer read it");
  }
  report.add("policy", Kind::fine,
             fmt::format("travels {}, in the class {}", name(facts.rule.mode),
                         sync::to_string(facts.rule.qos)));
}

// False: nothing more can be said.
bool explain_connection(const PeerInfo* peer, Report& report) {
  if (peer == nullptr) {
    report.add("peer", Kind::blocks,
               "this node does not know it; peat connect ENDPOINT_ID@HOST:PORT");
    report.conclude("not sent: this node does not know the peer");
    return false;
  }
  const auto error = peer->last_error.empty() ? "" : ", last error: " + peer->last_error;
  if (!peer->connected) {
    report.add("peer", Kind::blocks, fmt::format("not connected, {}{}", peer->state, error));
    report.conclude(fmt::format("waits: the peer is not connected ({}{})", peer->state, error));
  } else {
    report.add("peer", Kind::fine, "connected" + error);
    report.add(
        "path", Kind::fine,
        fmt::format("{} over QUIC at {}{}", peer->dialect, peer->address,
                    peer->rtt_ms ? fmt::format(", {} ms there and back", *peer->rtt_ms) : ""));
  }
  if (peer->circuit != "closed") {
    const auto wait = peer->circuit_wait_ms ? fmt::format("; tried again in {} s",
                                                          (*peer->circuit_wait_ms + 999) / 1000)
                                            : std::string("; being tried");
    report.add("circuit", Kind::blocks, peer->circuit + ": " + peer->circuit_reason + wait);
    report.conclude("waits: the peer is not spoken to for a while, because " +
                    peer->circuit_reason);
  } else if (!peer->circuit_reason.empty()) {
    report.add("circuit", Kind::note, "closed; before that " + peer->circuit_reason);
  }
  return true;
}

void explain_answer(const DocumentFacts& facts, const PeerInfo& peer, Report& report) {
  for (auto fault = peer.faults.rbegin(); fault != peer.faults.rend(); ++fault) {
    if (fault->key != facts.key) continue;
    report.add("error", Kind::blocks, fault->reason);
    report.conclude("not there: " + fault->reason);
    break;
  }
  if (!facts.on_its_way) return;
  if (facts.on_its_way->attempts) {
    report.add("error", Kind::note,
               fmt::format("sent {} times in vain, and again later", *facts.on_its_way->attempts));
  }
  if (facts.on_its_way->declined) {
    report.add("answer", Kind::blocks,
               "the peer did not take it (its tombstone, its quarantine, its rules); ask there: "
               "peat explain doc");
    report.conclude("not there: the peer did not take it; its own peat explain says why");
  }
}

void explain_position(const DocumentFacts& facts, const PeerInfo& peer, Report& report) {
  if (!facts.version && !facts.tombstone) return;
  const auto seq = facts.version ? facts.version->seq : facts.tombstone->seq;
  const auto acknowledged =
      fmt::format("the peer has acknowledged up to {} of {}, this stands at {}", facts.position,
                  facts.last_seq, seq);
  if (facts.origin == peer.id) {
    report.add("position", Kind::fine, "its newest change came from this peer");
    report.conclude("there: its newest change came from this peer");
    return;
  }
  const auto& way = facts.on_its_way;
  if (seq <= facts.position || (way && way->place && way->place->known && facts.version)) {
    report.add("position", Kind::fine, acknowledged);
    report.conclude(peer.dialect == sync::kAlpnOld || !(seq <= facts.position)
                        ? "sent to the peer"
                        : "there: the peer has acknowledged it");
    return;
  }
  report.add("position", Kind::note, acknowledged);
  std::string waits = "waits in the feed";
  if (way && way->place && way->place->ahead) {
    waits = fmt::format("waits in the class {}, behind {} others", sync::to_string(way->place->qos),
                        *way->place->ahead);
  } else if (way && way->place && way->place->asked) {
    waits = "the peer has asked for it, the answer waits";
  } else if (facts.rows_before) {
    waits = fmt::format("waits in the feed, behind {} others", *facts.rows_before);
  }
  report.add("queue", Kind::note, waits);
  report.conclude("on its way: " + waits);
}

}  // namespace

Explanation explain_document(const DocumentFacts& facts, const PeerInfo* peer) {
  Report report;
  explain_here(facts, report);
  explain_policy(facts, report);
  explain_deletion(facts, report);
  if (explain_connection(peer, report)) {
    explain_answer(facts, *peer, report);
    explain_position(facts, *peer, report);
  }
  return report.take();
}

Explanation explain_peer(const PeerInfo* peer, store::Seq position, store::Seq last_seq) {
  Report report;
  if (!explain_connection(peer, report)) return report.take();
  if (!peer->handshake.empty())
    report.add("membership", Kind::fine, "proved by " + peer->handshake);
  report.add("position", Kind::fine,
             fmt::format("has acknowledged up to {} of {}", position, last_seq));
  if (peer->refused > 0) {
    report.add("tombstone", Kind::note,
               fmt::format("{} of its documents were held back by deletions", peer->refused));
  }
  if (peer->retries > 0) {
    report.add("error", Kind::note,
               fmt::format("{} documents are sent again later", peer->retries));
  }
  for (const auto& fault : peer->faults) {
    report.add("error", Kind::note, (fault.key.empty() ? "" : fault.key + ": ") + fault.reason);
  }
  report.conclude(position >= last_seq ? "connected, and has everything"
                                       : "connected, and behind: peat sync says by how much");
  return report.take();
}

}  // namespace peat::node
