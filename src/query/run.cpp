#include "query/run.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "query/ast.hpp"
#include "query/index_key.hpp"

namespace peat::query {

namespace {

// A step ends after so much: about a millisecond.
constexpr std::size_t kDocumentsPerStep = 32;
constexpr std::size_t kBytesPerStep = 64U << 10;
constexpr std::size_t kNamedUnreadable = 64;
constexpr std::size_t kEntriesPerStep = 512;
constexpr std::size_t kMostProbed = 200'000;
// The order key of what is missing: behind everything.
constexpr std::string_view kMissingOrder = "\xff";

std::string inverted(std::string key) {
  for (auto& c : key) c = static_cast<char>(~c);
  return key;
}

// What the conditions that must all hold say of the id.
struct IdBounds {
  std::optional<std::vector<std::string>> ids;
  std::string prefix;
};

void look_at_id(const Ast& ast, const Condition& condition, IdBounds& bounds) {
  if (condition.kind == Condition::Kind::conjunction) {
    for (const auto& part : condition.parts) look_at_id(ast, part, bounds);
  }
  if (condition.kind != Condition::Kind::test || !ast.paths[condition.path].is_id()) return;
  const bool names =
      condition.test == Test::equal || condition.test == Test::same || condition.test == Test::in;
  if (names && !bounds.ids) {
    bounds.ids.emplace();
    for (const auto& value : condition.values) {
      if (value.type == Type::text) bounds.ids->push_back(value.text);
    }
  }
  const auto& text = condition.values.empty() ? std::string() : condition.values[0].text;
  if (condition.test == Test::starts_with && text.size() > bounds.prefix.size()) {
    bounds.prefix = text;
  }
}

}  // namespace

bool Run::Budget::spent() const { return documents >= kDocumentsPerStep || bytes >= kBytesPerStep; }

Run::Run(Query query, Source& source, std::uint64_t default_rows)
    : query_(std::move(query)),
      source_(&source),
      rows_left_(query_.limit().value_or(default_rows)),
      prefix_bytes_(query_.collection().size() + 1) {}

Result<Run> Run::begin(Query query, Source& source, std::string_view page,
                       std::uint64_t default_rows) {
  Run run(std::move(query), source, default_rows);
  PEAT_TRY_VOID(run.start(page));
  return run;
}

Status Run::start(std::string_view page) {
  const auto& ast = query_.ast();
  const auto base = query_.collection() + ':';
  IdBounds bounds;
  look_at_id(ast, ast.where, bounds);
  scan_prefix_ = base + bounds.prefix;
  if (bounds.ids) {
    listed_.emplace();
    for (const auto& id : *bounds.ids) listed_->push_back(base + id);
    std::ranges::sort(*listed_);
    listed_->erase(std::unique(listed_->begin(), listed_->end()), listed_->end());
  }
  const bool ordered = !ast.order.empty();
  if (page.empty()) {
    offset_left_ = ast.offset;
  } else {
    const auto kind = ordered ? TokenKind::ordered : TokenKind::by_id;
    PEAT_TRY(auto payload, open_token(source_->token_key(), query_, kind, page));
    if (ordered) {
      PEAT_TRY(begin_after_, decode_place(payload));
    } else {
      after_ = base + payload;
    }
  }
  most_kept_ = static_cast<std::size_t>(rows_left_ + offset_left_);
  if (!listed_ && bounds.prefix.empty()) choose_index();
  return {};
}

void Run::choose_index() {
  const auto& ast = query_.ast();
  const auto demanded = demands(ast);
  const auto documents = static_cast<double>(source_->count(query_.collection()));
  for (const auto& demand : demanded) {
    const auto path = print_path(ast.paths[demand.path]);
    const auto index = source_->find_index(query_.collection(), path);
    if (!index) continue;
    // A scan for a page by id finds its rows after reading rows / share of documents, an index
    // names share * documents of them: even at their geometric mean. A scan for an order reads all.
    const auto most =
        ast.order.empty() ? std::sqrt(documents * static_cast<double>(most_kept_)) : documents / 2;
    probe_ = Probe{*index, path, demand.ranges,
                   0,      {},   static_cast<std::size_t>(std::min<double>(most, kMostProbed)) + 64,
                   {}};
    break;
  }
  if (ast.order.size() != 1) return;
  const auto& key = ast.order[0];
  const auto path = print_path(ast.paths[key.path]);
  const auto index = source_->find_index(query_.collection(), path);
  if (!index) return;
  walk_ = Walk{*index,
               path,
               {},
               {},
               key.descending,
               std::ranges::find(demanded, key.path, &PathDemand::path) == demanded.end()};
  if (!begin_after_) return;
  // The rows before are not looked at again; those with the same value are.
  if (key.descending) {
    walk_->range.high = behind(inverted(begin_after_->order));
  } else {
    walk_->range.low = begin_after_->order;
  }
  if (begin_after_->order == kMissingOrder) end_of_index();
}

Result<Run::State> Run::step(std::vector<Row>& rows) {
  if (probe_) {
    PEAT_TRY_VOID(step_probe());
    return State::more;
  }
  Budget budget;
  if (query_.ast().order.empty()) return step_by_id(rows, budget);
  if (!collected_) return step_ordered(budget);
  return step_output(rows, budget);
}

Status Run::step_probe() {
  auto& probe = *probe_;
  PEAT_TRY(const auto entries, source_->index_entries(probe.index, probe.ranges[probe.range],
                                                      probe.place, false, kEntriesPerStep));
  for (const auto& entry : entries) probe.keys.push_back(query_.collection() + ':' + entry.id);
  if (probe.keys.size() > probe.most) {
    probe_.reset();
    return {};
  }
  if (!entries.empty()) probe.place = entries.back().place;
  if (entries.size() == kEntriesPerStep) return {};
  probe.place.clear();
  if (++probe.range < probe.ranges.size()) return {};
  std::ranges::sort(probe.keys);
  probe.keys.erase(std::unique(probe.keys.begin(), probe.keys.end()), probe.keys.end());
  listed_ = std::move(probe.keys);
  index_ = std::move(probe.path);
  probe_.reset();
  walk_.reset();
  return {};
}

// Documents without the field come last: they are looked for among all, if there is room for them.
// False if there is not.
bool Run::end_of_index() {
  const bool look = walk_->missing_too && kept_.size() <= most_kept_;
  walk_.reset();
  after_.clear();
  const Place missing{std::string(kMissingOrder), {}};
  if (!begin_after_ || *begin_after_ < missing) begin_after_ = missing;
  return look;
}

// None when the page is full: what follows has a greater value than its last row.
Result<std::vector<std::string>> Run::along_index() {
  index_ = walk_->path;
  PEAT_TRY(const auto entries, source_->index_entries(walk_->index, walk_->range, walk_->place,
                                                      walk_->descending, kDocumentsPerStep));
  std::vector<std::string> keys;
  for (const auto& entry : entries) {
    const auto order = walk_->descending ? inverted(entry.value) : entry.value;
    if (kept_.size() > most_kept_ && order > kept_.front().place.order) return keys;
    keys.push_back(query_.collection() + ':' + entry.id);
    walk_->place = entry.place;
  }
  if (keys.empty() && end_of_index()) return candidates();
  return keys;
}

// The next keys to look at; none at the end.
Result<std::vector<std::string>> Run::candidates() {
  if (walk_) return along_index();
  if (!listed_) return source_->keys(scan_prefix_, after_, kDocumentsPerStep);
  const auto from = std::ranges::upper_bound(*listed_, after_);
  const auto left = static_cast<std::size_t>(listed_->end() - from);
  return std::vector<std::string>(
      from, from + static_cast<std::ptrdiff_t>(std::min(left, kDocumentsPerStep)));
}

std::optional<std::string> Run::read(const std::string& key, Budget& budget) {
  ++budget.documents;
  ++examined_;
  auto json = source_->json(key);
  if (!json) {
    ++unreadable_count_;
    if (unreadable_.size() < kNamedUnreadable) {
      unreadable_.emplace_back(std::string(id_of(key)), json.error().message);
    }
    return std::nullopt;
  }
  if (*json) budget.bytes += (*json)->size();
  return std::move(*json);
}

Result<Run::State> Run::step_by_id(std::vector<Row>& rows, Budget& budget) {
  PEAT_TRY(const auto keys, candidates());
  if (keys.empty()) return State::done;
  for (const auto& key : keys) {
    if (rows_left_ == 0) {
      next_ = seal_token(source_->token_key(), query_, TokenKind::by_id, id_of(after_));
      return State::done;
    }
    if (budget.spent()) break;
    after_ = key;
    auto json = read(key, budget);
    if (!json) continue;
    const auto id = id_of(key);
    if (!query_.matches(id, *json)) continue;
    if (offset_left_ > 0) {
      --offset_left_;
      continue;
    }
    --rows_left_;
    rows.push_back({std::string(id), std::move(*json)});
  }
  return State::more;
}

Result<Run::State> Run::step_ordered(Budget& budget) {
  PEAT_TRY(const auto keys, candidates());
  if (keys.empty() || most_kept_ == 0) {
    std::sort_heap(kept_.begin(), kept_.end());
    output_ = static_cast<std::size_t>(offset_left_);
    if (kept_.size() > most_kept_ && rows_left_ > 0) {
      kept_.pop_back();
      next_ = seal_token(source_->token_key(), query_, TokenKind::ordered,
                         encode_place(kept_.back().place));
    }
    collected_ = true;
    return State::more;
  }
  for (const auto& key : keys) {
    if (!walk_) {
      if (budget.spent()) break;
      after_ = key;
    }
    const auto json = read(key, budget);
    if (!json) continue;
    const auto id = id_of(key);
    const auto fields = read_fields(query_.ast(), id, *json);
    if (matches(query_.ast(), fields)) keep({order_key(query_.ast(), fields), id_key(id)}, id);
  }
  return State::more;
}

// One more than wanted, which tells whether there is a next page.
void Run::keep(Place place, std::string_view id) {
  if (begin_after_ && !(*begin_after_ < place)) return;
  if (kept_.size() > most_kept_) {
    if (!(place < kept_.front().place)) return;
    std::pop_heap(kept_.begin(), kept_.end());
    kept_.pop_back();
  }
  kept_.push_back({std::move(place), std::string(id)});
  std::push_heap(kept_.begin(), kept_.end());
}

Result<Run::State> Run::step_output(std::vector<Row>& rows, Budget& budget) {
  while (output_ < kept_.size() && !budget.spent()) {
    auto& kept = kept_[output_++];
    auto json = read(query_.collection() + ':' + kept.id, budget);
    if (json && query_.matches(kept.id, *json)) {
      rows.push_back({std::move(kept.id), std::move(*json)});
    }
  }
  return output_ < kept_.size() ? State::more : State::done;
}

}  // namespace peat::query
