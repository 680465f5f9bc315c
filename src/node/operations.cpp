#include "node/operations.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace peat::node {

void Operations::survey_lag(LagDone done) {
  std::vector<sync::LagSurvey::Peer> list;
  for (const auto& peer : deps_.peers()) {
    list.push_back({peer.id, deps_.coordinator.holds_up_to(peer.id)});
  }
  step_survey(std::make_shared<sync::LagSurvey>(deps_.store, list, deps_.executor.now().wall),
              std::move(done));
}

void Operations::step_survey(std::shared_ptr<sync::LagSurvey> survey, LagDone done) {
  constexpr std::size_t kRowsPerTurn = 512;
  const auto more = survey->step(kRowsPerTurn);
  if (!more) return done(std::unexpected(more.error()));
  if (*more) {
    deps_.executor.post([this, alive = std::weak_ptr(alive_), survey = std::move(survey),
                         done = std::move(done)]() mutable {
      if (!alive.expired()) step_survey(std::move(survey), std::move(done));
    });
    return;
  }
  std::vector<PeerSync> out;
  for (auto& peer : deps_.peers()) {
    const auto lag = std::ranges::find(survey->result, peer.id, &sync::PeerLag::peer);
    if (lag != survey->result.end()) out.push_back({std::move(peer), std::move(*lag)});
  }
  done(std::move(out));
}

DocumentFacts Operations::facts_of(std::string_view key, const EndpointId& peer) const {
  constexpr std::size_t kRowsCounted = 1024;
  DocumentFacts facts;
  facts.key = key;
  if (auto version = deps_.store.version(key)) {
    facts.version = std::move(*version);
  } else {
    facts.unreadable = version.error().message;
  }
  if (auto buried = deps_.store.tombstone(key)) facts.tombstone = std::move(*buried);
  const auto parts = sync::split_key(key).value_or(sync::KeyParts{});
  facts.rule = deps_.documents.collections().rule(parts.collection);
  facts.may_read = deps_.access.allows(peer, security::Right::read, parts.collection);
  facts.quarantined = deps_.documents.quarantined(key);
  facts.relation = deps_.book.relation(peer);
  facts.position = deps_.coordinator.holds_up_to(peer);
  facts.last_seq = deps_.store.last_seq();
  facts.on_its_way = deps_.coordinator.locate(peer, key);
  const auto seq = facts.version ? facts.version->seq : facts.tombstone ? facts.tombstone->seq : 0;
  if (seq == 0) return facts;
  if (const auto own = deps_.store.feed(seq - 1, 1); own && !own->empty()) {
    facts.origin = own->front().origin;
  }
  if (seq <= facts.position) return facts;
  if (const auto before = deps_.store.feed(facts.position, kRowsCounted)) {
    const auto waiting = std::ranges::count_if(
        *before, [&](const auto& row) { return row.seq < seq && row.origin != peer; });
    const bool all = before->size() < kRowsCounted || before->back().seq >= seq;
    if (all) facts.rows_before = static_cast<std::uint64_t>(waiting);
  }
  return facts;
}

Explanation Operations::explain_document(std::string_view key, const EndpointId& peer) {
  auto facts = facts_of(key, peer);
  if (const auto view = deps_.documents.get(key); view && *view) {
    facts.softly_deleted = (*view)->deleted;
  } else if (!view) {
    facts.quarantined = deps_.documents.quarantined(key);
    if (view.error().code == Code::store_corrupt) facts.unreadable = view.error().message;
  }
  const auto known = deps_.peers();
  const auto found = std::ranges::find(known, peer, &PeerInfo::id);
  return node::explain_document(facts, found == known.end() ? nullptr : &*found);
}

Explanation Operations::explain_peer(const EndpointId& peer) {
  const auto known = deps_.peers();
  const auto found = std::ranges::find(known, peer, &PeerInfo::id);
  return node::explain_peer(found == known.end() ? nullptr : &*found,
                            deps_.coordinator.holds_up_to(peer), deps_.store.last_seq());
}

Result<std::vector<EndpointId>> Operations::retry_quarantined(std::string_view key) {
  const auto listed = deps_.documents.quarantined(key);
  PEAT_TRY(const auto have, deps_.documents.retry_quarantined(key));
  std::set<EndpointId> asked;
  for (const auto& entry : listed) {
    // Who sent what was refused; of a damaged record anybody may know.
    const auto from = deps_.coordinator.request(key, have, entry.peer);
    asked.insert(from.begin(), from.end());
  }
  return std::vector<EndpointId>(asked.begin(), asked.end());
}

void Operations::backup(std::function<void(Result<std::filesystem::path>)> done) {
  const auto file = deps_.data_dir / fmt::format("peat.backup.{}", ++backups_);
  std::error_code ignored;  // of one that a crash left behind
  std::filesystem::remove(file, ignored);
  deps_.store.copy_to(file, [file, done = std::move(done)](Status status) {
    if (!status) return done(std::unexpected(std::move(status).error()));
    done(file);
  });
}

}  // namespace peat::node
