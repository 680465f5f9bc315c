#include "sync/upkeep.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/encoding.hpp"
#include "base/reader.hpp"
#include "sync/upkeep_ages.hpp"

namespace peat::sync {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kAgesName = "sync.ages";
constexpr std::string_view kCursorsName = "sync.aged";
constexpr std::size_t kRowsPerTurn = 256;
constexpr Duration kSaveWhileExpiring = std::chrono::minutes(1);
constexpr Duration kSaveOtherwise = std::chrono::minutes(10);
// An expiry tombstone keeps out copies of peers that expire them a little later.
constexpr int kExpiryTombstoneTtls = 4;

// Collections that age alike, and how far the feed has been looked through for them.
struct Group {
  Duration age{};
  bool softly_deleted = false;
  std::vector<std::string> collections;
  std::uint64_t name = 0;  // tells it in the store
  store::Seq cursor = 0;
};

std::uint64_t name_of(const Group& group) {
  std::string text = (group.softly_deleted ? "soft " : "ttl ") + std::to_string(group.age.count());
  for (const auto& collection : group.collections) text += '\n' + collection;
  const auto digest = sha256(as_bytes(text));
  return *Reader(digest).u64be("a digest");
}

std::vector<Group> groups_of(const Collections& collections) {
  std::map<std::pair<bool, Duration>, Group> groups;
  for (const auto& [name, rule] : collections.named()) {
    const bool softly = rule.deletion == DeletionPolicy::soft_delete;
    if (!softly && rule.deletion != DeletionPolicy::implicit_ttl) continue;
    const auto age = softly ? collections.retention(name) : rule.ttl;
    auto& group = groups[{softly, age}];
    group.age = age;
    group.softly_deleted = softly;
    group.collections.push_back(name);
  }
  std::vector<Group> out;
  for (auto& [age, group] : groups) {
    group.name = name_of(group);
    out.push_back(std::move(group));
  }
  return out;
}

class UpkeepImpl final : public Upkeep {
 public:
  UpkeepImpl(Documents& documents, Executor& executor, Options options)
      : documents_(documents),
        store_(documents.store()),
        executor_(executor),
        options_(std::move(options)),
        last_advance_(executor.now().mono),
        last_save_(last_advance_),
        last_collection_(last_advance_) {}
  ~UpkeepImpl() override {
    if (timer_ != 0) executor_.cancel(timer_);
  }
  UpkeepImpl(const UpkeepImpl&) = delete;
  UpkeepImpl& operator=(const UpkeepImpl&) = delete;

  Status load();
  void start() { arm(); }

  UpkeepStats stats() const override { return stats_; }
  milliseconds clock() const override { return ages_.clock(); }
  void save() override;

 private:
  void arm();
  void look();
  void turn();
  bool expire_some();
  bool expire_some(Group& group);
  bool collect_some();
  void adopt_groups();
  bool is_due(const store::TombstoneRecord& record) const;

  Documents& documents_;
  store::DocumentStore& store_;
  Executor& executor_;
  Options options_;
  FeedAges ages_;
  std::vector<Group> groups_;
  std::map<std::uint64_t, store::Seq> cursors_;  // as the store has them
  Instant last_advance_;
  Instant last_save_;
  Instant last_collection_;
  std::optional<std::string> page_;  // of the pass under way
  UpkeepStats pass_;                 // its counts so far
  UpkeepStats stats_;
  TimerId timer_ = 0;
  bool turn_posted_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

Status UpkeepImpl::load() {
  PEAT_TRY(const auto ages, store_.meta(kAgesName));
  if (ages) {
    PEAT_TRY(ages_, FeedAges::decode(*ages));
  }
  PEAT_TRY(const auto cursors, store_.meta(kCursorsName));
  if (!cursors) return {};
  Reader reader(*cursors);
  while (!reader.done()) {
    PEAT_TRY(const auto name, reader.u64be("how far documents have been looked at"));
    PEAT_TRY(cursors_[name], reader.u64be("how far documents have been looked at"));
  }
  return {};
}

void UpkeepImpl::save() {
  if (groups_.empty()) adopt_groups();  // a stop before the first look must not lose the cursors
  ages_.advance(executor_.now().mono - std::exchange(last_advance_, executor_.now().mono),
                store_.last_seq());
  Bytes cursors;
  Writer writer(cursors);
  for (const auto& group : groups_) {
    writer.u64be(group.name);
    writer.u64be(group.cursor);
  }
  store::WriteBatch batch;
  batch.put_meta(std::string(kAgesName), ages_.encode());
  batch.put_meta(std::string(kCursorsName), std::move(cursors));
  // Refused: written with the next one.
  if (store_.write(std::move(batch))) last_save_ = executor_.now().mono;
}

void UpkeepImpl::arm() {
  timer_ = executor_.at(executor_.now().mono + options_.look_every, [this] {
    timer_ = 0;
    look();
    arm();
  });
}

void UpkeepImpl::look() {
  const auto now = executor_.now().mono;
  ages_.advance(now - std::exchange(last_advance_, now), store_.last_seq());
  adopt_groups();
  const bool expiring = std::ranges::any_of(groups_, [this](const auto& group) {
    return std::ranges::any_of(group.collections,
                               [this](const auto& name) { return store_.count(name) > 0; });
  });
  if (now - last_save_ >= (expiring ? kSaveWhileExpiring : kSaveOtherwise)) save();
  if (now - last_collection_ >= options_.collect_every && !page_) {
    last_collection_ = now;
    if (options_.before_collection) options_.before_collection(ages_.clock());
    page_.emplace();
    pass_ = {};
  }
  if (!turn_posted_) turn();
}

// The collections may have been given other rules.
void UpkeepImpl::adopt_groups() {
  auto groups = groups_of(documents_.collections());
  for (auto& group : groups) {
    const auto same = std::ranges::find(groups_, group.name, &Group::name);
    const auto kept = cursors_.find(group.name);
    if (same != groups_.end()) {
      group.cursor = same->cursor;
    } else if (kept != cursors_.end()) {
      group.cursor = std::min(kept->second, store_.last_seq());
    }
  }
  groups_ = std::move(groups);
}

void UpkeepImpl::turn() {
  const bool more_to_expire = expire_some();
  const bool more_to_collect = page_ && collect_some();
  if (!more_to_expire && !more_to_collect) return;
  turn_posted_ = true;
  executor_.post([this, alive = std::weak_ptr(alive_)] {
    if (alive.expired()) return;
    turn_posted_ = false;
    turn();
  });
}

bool UpkeepImpl::expire_some() {
  bool more = false;
  for (auto& group : groups_) more = expire_some(group) || more;
  return more;
}

bool UpkeepImpl::expire_some(Group& group) {
  const auto until = ages_.older_than(group.age);
  if (group.cursor >= until) return false;
  const auto rows = store_.feed(group.cursor, kRowsPerTurn);
  if (!rows) {
    ++stats_.failed;
    return false;
  }
  for (const auto& row : *rows) {
    if (row.seq > until) {
      group.cursor = until;
      return false;
    }
    ++stats_.looked_at;
    const auto parts = split_key(row.key);
    const bool concerned =
        row.kind == store::FeedKind::document && parts &&
        std::ranges::find(group.collections, parts->collection) != group.collections.end();
    if (concerned) {
      const auto gone = documents_.expire(row.key, group.softly_deleted);
      if (!gone && info(gone.error().code).retry == RetryClass::later) {
        ++stats_.failed;
        return false;
      }
      stats_.failed += gone ? 0 : 1;
      (group.softly_deleted ? stats_.purged : stats_.expired) += gone && *gone ? 1 : 0;
    }
    group.cursor = row.seq;
  }
  if (rows->size() < kRowsPerTurn) group.cursor = until;
  return group.cursor < until;
}

bool UpkeepImpl::is_due(const store::TombstoneRecord& record) const {
  const auto& rule = documents_.collections().rule(record.tombstone.collection);
  const bool by_ttl = is_expiry(record.tombstone) && rule.ttl > Duration{};
  const auto age = by_ttl ? rule.ttl * kExpiryTombstoneTtls
                          : documents_.collections().retention(record.tombstone.collection);
  return record.seq <= ages_.older_than(age);
}

bool UpkeepImpl::collect_some() {
  auto page = store_.tombstones(*page_, options_.page);
  if (!page) {
    ++stats_.failed;
    page_.reset();
    return false;
  }
  pass_.tombstones += page->tombstones.size();
  std::vector<store::TombstoneRecord> due;
  for (auto& record : page->tombstones) {
    const auto heads = store_.heads(record.tombstone.key());
    if (!heads || *heads || !is_due(record)) continue;
    const bool needed =
        !is_expiry(record.tombstone) && options_.acknowledged && !options_.acknowledged(record);
    if (needed) {
      ++pass_.held;
    } else {
      due.push_back(std::move(record));
    }
  }
  if (documents_.collect(due)) {
    stats_.collected += due.size();
  } else {
    stats_.failed += due.size();
  }
  if (!page->next.empty()) {
    page_ = std::move(page->next);
    return true;
  }
  page_.reset();
  ++stats_.passes;
  stats_.tombstones = pass_.tombstones;
  stats_.held = pass_.held;
  return false;
}

}  // namespace

Result<std::unique_ptr<Upkeep>> Upkeep::open(Documents& documents, Executor& executor,
                                             Options options) {
  auto upkeep = std::make_unique<UpkeepImpl>(documents, executor, std::move(options));
  PEAT_TRY_VOID(upkeep->load());
  upkeep->start();
  return upkeep;
}

}  // namespace peat::sync
