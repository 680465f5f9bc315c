#include "node/document_index.hpp"

#include <algorithm>
#include <chrono>

#include "base/reader.hpp"
#include "query/index_key.hpp"
#include "sync/documents.hpp"

namespace peat::node {

namespace {

// What a turn of the loop is given for it: about a millisecond.
constexpr std::size_t kRowsPerTurn = 32;
constexpr std::size_t kDroppedPerTurn = 256;
// After a change, so that what comes in a burst is read once.
constexpr Duration kPause = std::chrono::milliseconds(50);
// A query waits for an index that is so few changes behind.
constexpr store::Seq kWorthWaiting = 256;
constexpr store::Seq kSilentRows = 1024;

std::string row_name(char kind, std::uint32_t number) {
  std::string name(1, kind);
  for (int shift = 24; shift >= 0; shift -= 8) name += static_cast<char>(number >> shift & 0xff);
  return name;
}

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

}  // namespace

Result<std::unique_ptr<DocumentIndex>> DocumentIndex::open(sync::Documents& documents,
                                                           Executor& executor) {
  std::unique_ptr<DocumentIndex> index(new DocumentIndex(documents, executor));
  PEAT_TRY_VOID(index->load());
  return index;
}

DocumentIndex::~DocumentIndex() {
  if (timer_ != 0) executor_.cancel(timer_);
}

Result<DocumentIndex::Index> DocumentIndex::make(std::uint32_t number, IndexName name,
                                                 store::Seq position) {
  Index index;
  index.number = number;
  index.name = std::move(name);
  index.position = position;
  PEAT_TRY(auto path, query::parse_path(index.name.path));
  index.name.path = query::print_path(path);
  index.fields.collection = index.name.collection;
  index.fields.slot_of(std::move(path));
  PEAT_TRY_VOID(query::finish(index.fields));
  return index;
}

Status DocumentIndex::load() {
  PEAT_TRY(const auto rows,
           store_.index_rows("i", "", store::DocumentStore::Direction::up, 1U << 16));
  for (const auto& row : rows) {
    Reader name(as_bytes(std::string_view(row.name).substr(1)));
    PEAT_TRY(const auto number, name.u32be("an index's number"));
    Reader value(row.value);
    PEAT_TRY(const auto length, value.u16be("an index's collection"));
    PEAT_TRY(const auto collection, value.take(length, "an index's collection"));
    PEAT_TRY(const auto position, value.u64be("an index's position"));
    PEAT_TRY(auto index,
             make(number, {std::string(as_text(collection)), std::string(as_text(value.rest()))},
                  position));
    next_number_ = std::max(next_number_, number + 1);
    indexes_.push_back(std::move(index));
  }
  return {};
}

void DocumentIndex::save(store::WriteBatch& batch, Index& index, store::Seq position) {
  index.saved = position;
  Bytes value;
  Writer writer(value);
  writer.u16be(static_cast<std::uint16_t>(index.name.collection.size()));
  writer.text(index.name.collection);
  writer.u64be(position);
  writer.text(index.name.path);
  batch.put_index(row_name('i', index.number), std::move(value));
}

Status DocumentIndex::set(const std::vector<IndexName>& wanted) {
  if (!wanted.empty() && store_.stats().data_key != 0) {
    return fail(Code::bad_setting,
                "collections: index=" + wanted.front().path +
                    ": this store is encrypted, and an index would write the values of that field "
                    "into the keys of rows, which stay readable; take index= away");
  }
  std::vector<Index> fresh;
  for (const auto& name : wanted) {
    PEAT_TRY(auto index, make(next_number_, name, 0));
    const auto same = [&index](const Index& other) {
      return !other.dropped && other.name == index.name;
    };
    if (std::ranges::any_of(fresh, same)) continue;
    const auto known = std::ranges::find_if(indexes_, same);
    if (known != indexes_.end()) {
      fresh.push_back(std::move(*known));
      indexes_.erase(known);
      continue;
    }
    ++next_number_;
    fresh.push_back(std::move(index));
  }
  store::WriteBatch batch;
  for (auto& index : fresh) {
    if (index.position == 0) save(batch, index, 0);
  }
  for (auto& index : indexes_) {
    index.dropped = true;
    fresh.push_back(std::move(index));
  }
  indexes_ = std::move(fresh);
  if (!batch.empty()) PEAT_TRY_VOID(store_.write(std::move(batch)));
  schedule(kPause);
  return {};
}

void DocumentIndex::on_change() { schedule(kPause); }

// What the index writes itself moves nothing in the feed, so it comes to rest; what fails is tried
// again with the next change.
void DocumentIndex::schedule(Duration pause) {
  if (timer_ != 0 || indexes_.empty()) return;
  timer_ = executor_.at(executor_.now().mono + pause, [this] {
    timer_ = 0;
    const auto dropped = std::ranges::find(indexes_, true, &Index::dropped);
    const auto more = dropped != indexes_.end() ? drop(*dropped) : follow();
    if (more && *more) schedule({});
  });
}

store::Seq DocumentIndex::behind_most() const {
  auto least = store_.last_seq();
  for (const auto& index : indexes_) least = std::min(least, index.position);
  return least;
}

Result<bool> DocumentIndex::follow() {
  const auto from = behind_most();
  if (from >= store_.last_seq()) return false;
  PEAT_TRY(const auto rows, store_.feed(from, kRowsPerTurn));
  store::WriteBatch batch;
  for (const auto& row : rows) {
    const auto parts = sync::split_key(row.key);
    if (!parts) continue;
    std::optional<std::string> json;
    bool read = false;
    for (const auto& index : indexes_) {
      if (index.position >= row.seq || index.name.collection != parts->collection) continue;
      if (!std::exchange(read, true)) {
        // One that cannot be read has no values until a change heals it.
        if (auto view = documents_.glance(row.key); view && *view) json = std::move((*view)->json);
      }
      PEAT_TRY_VOID(note(batch, index, parts->id, json));
    }
  }
  const auto reached = rows.empty() ? store_.last_seq() : rows.back().seq;
  const bool news = !batch.empty();
  std::vector<Index*> moved;
  for (auto& index : indexes_) {
    if (index.position >= reached) continue;
    moved.push_back(&index);
    // A position without news is not worth a commit.
    if (news || reached - index.saved >= kSilentRows) save(batch, index, reached);
  }
  if (!batch.empty()) PEAT_TRY_VOID(store_.write(std::move(batch)));
  for (auto* index : moved) index->position = reached;
  return reached < store_.last_seq();
}

Status DocumentIndex::note(store::WriteBatch& batch, const Index& index, std::string_view id,
                           const std::optional<std::string>& json) const {
  const auto key = query::id_key(id);
  const auto own = row_name('e', index.number) + key;
  std::optional<std::string> value;
  if (json) value = query::value_key(query::read_fields(index.fields, id, *json)[0]);
  PEAT_TRY(const auto before, store_.index_row(own));
  if (before && value && as_text(*before) == *value) return {};
  const auto values = row_name('v', index.number);
  if (before) batch.erase_index(values + std::string(as_text(*before)) + key);
  if (value) {
    batch.put_index(values + *value + key, bytes_of(id));
    batch.put_index(own, bytes_of(*value));
  } else if (before) {
    batch.erase_index(own);
  }
  return {};
}

Result<bool> DocumentIndex::drop(Index& index) {
  store::WriteBatch batch;
  for (const char kind : {'v', 'e'}) {
    PEAT_TRY(const auto rows,
             store_.index_rows(row_name(kind, index.number), "",
                               store::DocumentStore::Direction::up, kDroppedPerTurn));
    for (const auto& row : rows) batch.erase_index(row.name);
  }
  const bool last = batch.empty();
  if (last) batch.erase_index(row_name('i', index.number));
  PEAT_TRY_VOID(store_.write(std::move(batch)));
  if (last) indexes_.erase(indexes_.begin() + (&index - indexes_.data()));
  return true;
}

std::optional<std::uint32_t> DocumentIndex::find(std::string_view collection,
                                                 std::string_view path) {
  const auto index = std::ranges::find_if(indexes_, [&](const auto& i) {
    return !i.dropped && i.name.collection == collection && i.name.path == path;
  });
  if (index == indexes_.end()) return std::nullopt;
  const auto number = index->number;
  if (store_.last_seq() - behind_most() > kWorthWaiting) return std::nullopt;
  for (;;) {
    const auto more = follow();
    if (!more) return std::nullopt;
    if (!*more) return number;
  }
}

Result<std::vector<query::IndexEntry>> DocumentIndex::entries(std::uint32_t number,
                                                              const query::KeyRange& range,
                                                              std::string_view after,
                                                              bool descending,
                                                              std::size_t limit) const {
  using Direction = store::DocumentStore::Direction;
  const auto prefix = row_name('v', number);
  auto from = prefix + (descending ? range.high : range.low);
  if (!after.empty()) from = prefix + std::string(after);
  // Down from the end of the index, if the range has none.
  if (descending && after.empty() && range.high.empty()) from.clear();
  PEAT_TRY(const auto rows,
           store_.index_rows(prefix, from, descending ? Direction::down : Direction::up, limit));
  std::vector<query::IndexEntry> out;
  for (const auto& row : rows) {
    const auto place = std::string_view(row.name).substr(prefix.size());
    if (descending ? place < range.low : !range.high.empty() && place >= range.high) break;
    std::string id(as_text(row.value));
    const auto tail = query::id_key(id).size();
    const auto value = place.substr(0, place.size() - std::min(tail, place.size()));
    out.push_back({std::string(value), std::move(id), std::string(place)});
  }
  return out;
}

std::vector<DocumentIndex::State> DocumentIndex::states() const {
  std::vector<State> out;
  for (const auto& index : indexes_) {
    if (!index.dropped) out.push_back({index.name, store_.last_seq() - index.position});
  }
  return out;
}

}  // namespace peat::node
