#include "node/live_query.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>

#include "base/encoding.hpp"
#include "base/reader.hpp"
#include "node/node_api.hpp"
#include "query/page_token.hpp"

namespace peat::node {

namespace {

constexpr std::size_t kEventsPerStep = 32;

}  // namespace

Result<std::unique_ptr<LiveQuery>> LiveQueries::begin(Query query, std::string_view resume) {
  if (query.is_page()) {
    return fail(Code::invalid_argument,
                "a live query has no order by, limit or offset; take them out, or ask once");
  }
  if (open() >= limits_.query_live) {
    return fail(Code::limit_exceeded,
                fmt::format("{} live queries are open (query_live); end one", open()));
  }
  std::unique_ptr<LiveQuery> live(new LiveQuery(*this, std::move(query)));
  PEAT_TRY_VOID(live->begin(resume));
  return live;
}

LiveQuery::LiveQuery(LiveQueries& owner, Query query)
    : owner_(owner), open_(owner.open_), query_(std::move(query)) {
  ++*open_;
}

LiveQuery::~LiveQuery() { --*open_; }

// payload := store id[16], u64be position
std::string LiveQuery::token(std::uint64_t position) const {
  const auto store_id = owner_.node_.info().store_id;
  Bytes payload(store_id.begin(), store_id.end());
  Writer(payload).u64be(position);
  return query::seal_token(owner_.node_.queries().token_key(), query_, query::TokenKind::live,
                           as_text(payload));
}

Status LiveQuery::begin(std::string_view resume) {
  PEAT_TRY_VOID(take_snapshot());
  if (resume.empty()) return {};
  PEAT_TRY(const auto payload, query::open_token(owner_.node_.queries().token_key(), query_,
                                                 query::TokenKind::live, resume));
  const auto info = owner_.node_.info();
  Reader reader(as_bytes(payload));
  PEAT_TRY(const auto store_id, reader.take(info.store_id.size(), "the token's store"));
  PEAT_TRY(const auto position, reader.u64be("the token's position"));
  reset_ = !std::ranges::equal(store_id, info.store_id) || position < info.feed_floor;
  resumed_ = !reset_;
  if (resumed_) cursor_ = owner_.node_.events().after(position);
  return {};
}

Status LiveQuery::take_snapshot() {
  matching_.clear();
  complete_ = false;
  cursor_ = owner_.node_.events().now();
  complete_at_ = cursor_.seq;
  PEAT_TRY(auto run, query::Run::begin(query_, owner_.node_.queries(), "",
                                       std::numeric_limits<std::uint64_t>::max()));
  run_.emplace(std::move(run));
  return {};
}

Result<LiveQuery::State> LiveQuery::step(std::vector<LiveLine>& lines) {
  if (std::exchange(reset_, false)) lines.push_back({LiveLine::Kind::reset, {}, {}, {}});
  if (run_) return step_snapshot(lines);
  return step_changes(lines);
}

std::uint64_t LiveQuery::name_of(std::string_view id) const {
  // Keyed, so that nobody makes two ids that are taken for one.
  const auto digest = sha256({owner_.node_.queries().token_key(), as_bytes(id)});
  std::uint64_t name = 0;
  std::memcpy(&name, digest.data(), sizeof name);
  return name;
}

Status LiveQuery::remember(std::uint64_t name) {
  if (matching_.size() >= owner_.limits_.query_live_matches && !matching_.contains(name)) {
    return fail(Code::limit_exceeded,
                fmt::format("more than {} documents match (query_live_matches); narrow the query",
                            owner_.limits_.query_live_matches));
  }
  matching_.insert(name);
  return {};
}

Result<LiveQuery::State> LiveQuery::step_snapshot(std::vector<LiveLine>& lines) {
  std::vector<query::Row> rows;
  PEAT_TRY(const auto state, run_->step(rows));
  for (auto& row : rows) {
    PEAT_TRY_VOID(remember(name_of(row.id)));
    if (!resumed_) {
      lines.push_back({LiveLine::Kind::enter, std::move(row.id), std::move(row.json), {}});
    }
  }
  if (state == query::Run::State::done) run_.reset();
  return State::more;
}

Result<LiveQuery::State> LiveQuery::step_changes(std::vector<LiveLine>& lines) {
  PEAT_TRY(const auto events, owner_.node_.events().read(cursor_, kEventsPerStep));
  // A document that changed several times is told once, with the last.
  std::set<std::string_view> told;
  std::vector<const Event*> newest;
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    if (event->kind == Event::Kind::gap && event->seq < owner_.node_.info().feed_floor) {
      reset_ = true;
      resumed_ = false;
      PEAT_TRY_VOID(take_snapshot());
      return State::more;
    }
    const bool is_document = event->kind == Event::Kind::document;
    if (is_document && told.insert(event->key).second) newest.push_back(&*event);
  }
  for (auto event = newest.rbegin(); event != newest.rend(); ++event) {
    PEAT_TRY_VOID(tell(**event, lines));
  }
  if (!complete_ && cursor_.seq >= complete_at_) {
    complete_ = true;
    lines.push_back({LiveLine::Kind::complete, {}, {}, token(cursor_.seq)});
    return State::more;
  }
  return events.empty() ? State::waiting : State::more;
}

Status LiveQuery::tell(const Event& event, std::vector<LiveLine>& lines) {
  const auto& collection = query_.collection();
  if (!event.key.starts_with(collection) || event.key.size() <= collection.size() + 1 ||
      event.key[collection.size()] != ':') {
    return {};
  }
  std::string id = event.key.substr(collection.size() + 1);
  const auto name = name_of(id);
  auto json = owner_.node_.queries().json(event.key);
  const bool matches = json && *json && query_.matches(id, **json);
  // Of what happened while the follower was away only the end is known.
  const bool unknown = event.seq <= complete_at_;
  const bool matched = matching_.contains(name);
  if (!matches && !matched && !unknown) return {};
  if (matches) {
    PEAT_TRY_VOID(remember(name));
    const auto kind = matched && !unknown ? LiveLine::Kind::update : LiveLine::Kind::enter;
    lines.push_back({kind, std::move(id), std::move(**json), token(event.seq)});
  } else {
    matching_.erase(name);
    lines.push_back({LiveLine::Kind::leave, std::move(id), {}, token(event.seq)});
  }
  return {};
}

}  // namespace peat::node
