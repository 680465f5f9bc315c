#include "store/store.hpp"

#include <algorithm>
#include <new>

#include "store/applier.hpp"

namespace peat::store {

namespace {

constexpr std::string_view kFormatName = "format";
constexpr std::string_view kIncarnationName = "incarnation";
constexpr std::string_view kPositionName = "position";
constexpr std::string_view kDocumentsName = "documents";

// More than any crash can have lost: the rows of two commits.
constexpr Seq kUncleanGap = 1 << 20;

void put_meta_row(Rows& rows, std::string_view name, const Bytes& content) {
  rows.put(Table::meta, std::string(name), make_record(Table::meta, name, content));
}

template <class Row>
Result<Row> named(Result<Row> row, Table table, std::string_view key) {
  if (!row) return corrupt_row(table, key, row.error());
  return row;
}

}  // namespace

Store::Store(std::shared_ptr<Backend> backend, Executor& executor, const Limits& limits)
    : backend_(std::move(backend)), executor_(executor), limits_(limits) {}

Store::~Store() {
  if (reseal_timer_ != 0) executor_.cancel(reseal_timer_);
  if (commit_) commit_->abandon();
}

Result<std::unique_ptr<DocumentStore>> Store::open(std::shared_ptr<Backend> backend,
                                                   Executor& executor, Random& random,
                                                   const Limits& limits) {
  std::unique_ptr<Store> store(new Store(std::move(backend), executor, limits));
  IncarnationRow last;
  {
    PEAT_TRY(const auto view, View::open(*store->backend_, {}));
    PEAT_TRY_VOID(store->check_format(view));
    if (!store->fresh_) PEAT_TRY_VOID(store->load(view, last));
  }
  PEAT_TRY_VOID(store->begin_run(last, random));
  store->commit_ =
      std::make_shared<GroupCommit>(store->backend_, executor, store->last_seq_,
                                    [self = store.get()](Rows& rows) { self->complete(rows); });
  // What was under way when the store was closed goes on.
  auto* const sealed = store->backend_->sealed();
  if (sealed != nullptr && sealed->ring()->walk()) {
    store->resealing_ = true;
    store->reseal_later();
  }
  return store;
}

Status Store::check_format(const View& view) {
  PEAT_TRY(const auto content, view.get(Table::meta, kFormatName));
  fresh_ = !content;
  if (fresh_) return {};
  PEAT_TRY(const auto row, named(decode_format(*content), Table::meta, kFormatName));
  if (row.format > kFormat) {
    return fail(Code::store_too_new, "the store has format " + std::to_string(row.format) +
                                         "; this version reads up to " + std::to_string(kFormat) +
                                         ": use the version that wrote it, or a newer one");
  }
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((row.incompatible & ~(kFormatIncompatible | kFormatSealed)) >> bit & 1) {
      return fail(Code::store_too_new, "the store uses feature bit " + std::to_string(bit) +
                                           ", which this version does not know: use the version "
                                           "that wrote it, or a newer one");
    }
  }
  format_ = row;
  if ((row.incompatible & kFormatSealed) != 0 && backend_->sealed() == nullptr) {
    return corrupt_row(Table::meta, kSealingName,
                       {Code::not_found, "it is missing, and the store is encrypted"});
  }
  return {};
}

Status Store::load(const View& view, IncarnationRow& last) {
  const auto required = [&view](std::string_view name) -> Result<ByteView> {
    PEAT_TRY(const auto content, view.get(Table::meta, name));
    if (!content) return corrupt_row(Table::meta, name, {Code::not_found, "it is missing"});
    return *content;
  };
  PEAT_TRY(const auto incarnation, required(kIncarnationName));
  PEAT_TRY(last, named(decode_incarnation(incarnation), Table::meta, kIncarnationName));
  PEAT_TRY(const auto position, required(kPositionName));
  PEAT_TRY(last_seq_, named(decode_number(position), Table::meta, kPositionName));
  PEAT_TRY(const auto documents, required(kDocumentsName));
  PEAT_TRY(documents_, named(decode_number(documents), Table::meta, kDocumentsName));
  return load_counts(view);
}

Status Store::load_counts(const View& view) {
  std::uint64_t collected = 0;
  std::string from;
  for (;;) {
    PEAT_TRY(const auto entry, view.next(Table::counts, from, false));
    if (!entry) break;
    from = entry->key;
    PEAT_TRY(const auto content, view.content(Table::counts, *entry));
    PEAT_TRY(auto row, named(decode_count(content), Table::counts, from));
    collected += row.documents;
    counts_[row.full_prefix.empty() ? from : std::move(row.full_prefix)] = row.documents;
  }
  if (collected > documents_) {
    return corrupt_row(Table::meta, kDocumentsName,
                       {Code::malformed, "collections hold more documents than there are"});
  }
  if (collected < documents_) counts_[""] = documents_ - collected;
  return {};
}

Status Store::begin_run(IncarnationRow last, Random& random) {
  PEAT_TRY(const auto mark, backend_->take_stop_mark());
  incarnation_.continued = !fresh_ && mark == last.run;
  if (!incarnation_.continued) {
    random.fill(last.store_id);
    if (!fresh_) last_seq_ += kUncleanGap;
  }
  ++last.run;
  incarnation_.store_id = last.store_id;
  incarnation_.run = last.run;
  incarnation_.actor.bytes.assign(last.store_id.begin(), last.store_id.end());

  Rows rows;
  const auto features = kFormatIncompatible | backend_->features();
  if (fresh_ || format_.incompatible != features) {
    format_.incompatible = features;
    put_meta_row(rows, kFormatName, encode(format_));
  }
  if (auto* const sealed = backend_->sealed(); sealed != nullptr && sealed->ring_is_new()) {
    rows.put(Table::meta, std::string(kSealingName), SealedBackend::ring_row(*sealed->ring()));
  }
  put_meta_row(rows, kIncarnationName, encode(last));
  complete(rows);
  for (;;) {
    auto status = backend_->make_missing_tables();
    if (status) status = backend_->commit(rows);
    if (status) return {};
    PEAT_TRY(const auto repeat, backend_->recover());
    if (!repeat) return status;
  }
}

// --- reads --------------------------------------------------------------------------------------

Result<View> Store::view() const {
  return View::open(*backend_, {&commit_->accumulating(), commit_->in_flight()});
}

Result<std::optional<DocumentRecord>> Store::document(std::string_view key) const try {
  PEAT_TRY(const auto view, this->view());
  PEAT_TRY(auto row, view.document(key));
  if (!row) return std::nullopt;
  DocumentRecord record;
  record.heads = std::move(row->heads);
  record.seq = row->seq;
  record.origin = row->origin;
  PEAT_TRY(const auto stored, view.get(Table::bodies, body_key(row->number, 0)));
  if (stored) record.stored.assign(stored->begin(), stored->end());
  for (std::uint32_t n = 1; n <= row->chunks; ++n) {
    const auto name = body_key(row->number, n);
    PEAT_TRY(const auto chunk, view.get(Table::bodies, name));
    if (!chunk) return corrupt_row(Table::bodies, name, {Code::not_found, "it is missing"});
    record.tail.emplace_back(chunk->begin(), chunk->end());
  }
  return record;
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, "no memory to read '" + std::string(key) + "'");
}

Result<std::optional<automerge::Heads>> Store::heads(std::string_view key) const {
  PEAT_TRY(const auto view, this->view());
  PEAT_TRY(auto row, view.document(key));
  if (!row) return std::nullopt;
  return std::move(row->heads);
}

Result<std::optional<Version>> Store::version(std::string_view key) const {
  PEAT_TRY(const auto view, this->view());
  PEAT_TRY(auto row, view.document(key));
  if (!row) return std::nullopt;
  return Version{std::move(row->heads), row->time, row->seq};
}

Result<std::optional<std::uint64_t>> Store::stored_bytes(std::string_view key) const {
  PEAT_TRY(const auto view, this->view());
  PEAT_TRY(const auto row, view.document(key));
  if (!row) return std::nullopt;
  std::uint64_t bytes = 0;
  for (std::uint32_t n = 0; n <= row->chunks; ++n) {
    PEAT_TRY(const auto body, view.get(Table::bodies, body_key(row->number, n)));
    if (body) bytes += body->size();
  }
  return bytes;
}

Result<std::optional<TombstoneRecord>> Store::tombstone(std::string_view key) const {
  PEAT_TRY(const auto view, this->view());
  PEAT_TRY(auto row, view.tombstone(key));
  if (!row) return std::nullopt;
  return std::move(row->record);
}

Result<DocumentStore::TombstonePage> Store::tombstones(std::string_view from,
                                                       std::size_t limit) const {
  PEAT_TRY(const auto view, this->view());
  TombstonePage page;
  page.next = from;
  while (page.tombstones.size() < limit) {
    PEAT_TRY(const auto entry, view.next(Table::tombstones, page.next, false));
    if (!entry) {
      page.next.clear();
      break;
    }
    page.next = entry->key;
    PEAT_TRY(const auto content, view.content(Table::tombstones, *entry));
    PEAT_TRY(auto row, named(decode_tombstone_row(content), Table::tombstones, page.next));
    page.tombstones.push_back(std::move(row.record));
  }
  return page;
}

Result<std::vector<std::string>> Store::keys(std::string_view prefix, std::string_view after,
                                             std::size_t limit) const {
  PEAT_TRY(const auto view, this->view());
  return list_keys(view, prefix, after, limit);
}

std::uint64_t Store::count(std::string_view collection) const {
  const auto it = counts_.find(std::string(collection) + ':');
  return it == counts_.end() ? 0 : it->second;
}

std::vector<std::string> Store::collections() const {
  std::vector<std::string> names;
  for (const auto& [prefix, documents] : counts_) {
    if (!prefix.empty()) names.push_back(prefix.substr(0, prefix.size() - 1));
  }
  return names;
}

Result<std::vector<FeedRow>> Store::feed(Seq after, std::size_t limit) const {
  PEAT_TRY(const auto view, this->view());
  std::vector<FeedRow> rows;
  auto from = feed_key(after);
  while (rows.size() < limit) {
    PEAT_TRY(const auto entry, view.next(Table::feed, from, false));
    if (!entry) break;
    from = entry->key;
    PEAT_TRY(const auto seq, named(decode_number(as_bytes(from)), Table::feed, from));
    PEAT_TRY(const auto content, view.content(Table::feed, *entry));
    PEAT_TRY(auto row, named(decode_feed(seq, content), Table::feed, from));
    rows.push_back(std::move(row));
  }
  return rows;
}

Result<std::optional<Bytes>> Store::copy_of(Table table, std::string_view key) const {
  PEAT_TRY(const auto view, this->view());
  PEAT_TRY(const auto content, view.get(table, key));
  if (!content) return std::nullopt;
  return Bytes(content->begin(), content->end());
}

Result<std::optional<Bytes>> Store::sync_state(const EndpointId& peer, std::string_view key) const {
  return copy_of(Table::sync_states, sync_state_key(peer, key));
}

Result<std::optional<Bytes>> Store::meta(std::string_view name) const {
  if (name.empty() || name.size() > kPlainKeyBytes) return std::nullopt;
  return copy_of(Table::settings, name);
}

Result<std::optional<Bytes>> Store::index_row(std::string_view name) const {
  if (name.empty() || name.size() > kPlainKeyBytes) return std::nullopt;
  return copy_of(Table::index, name);
}

Result<std::vector<DocumentStore::IndexRow>> Store::index_rows(std::string_view prefix,
                                                               std::string_view from,
                                                               Direction direction,
                                                               std::size_t limit) const {
  PEAT_TRY(const auto view, this->view());
  std::vector<IndexRow> rows;
  const bool up = direction == Direction::up;
  // Up from the prefix itself; down from behind everything that begins with it.
  auto at = std::string(from.empty() || from < prefix ? prefix : from);
  bool inclusive = at == prefix;
  if (!up && from.empty()) at.append(kPlainKeyBytes - std::min(at.size(), kPlainKeyBytes), '\xff');
  while (rows.size() < limit) {
    PEAT_TRY(const auto entry,
             up ? view.next(Table::index, at, inclusive) : view.previous(Table::index, at));
    if (!entry || !entry->key.starts_with(prefix)) break;
    at = entry->key;
    inclusive = false;
    PEAT_TRY(const auto content, view.content(Table::index, *entry));
    rows.push_back({at, Bytes(content.begin(), content.end())});
  }
  return rows;
}

// --- writes -------------------------------------------------------------------------------------

Status Store::writable() const {
  if (closed_) return fail(Code::shut_down, "the store is closed");
  if (const auto& failure = commit_->failure()) return std::unexpected(*failure);
  if (commit_->pending_bytes() < limits_.store_pending_bytes) return {};
  return fail(Code::unavailable,
              std::to_string(commit_->pending_bytes()) +
                  " bytes wait for their commit: the disk is slower than the writes; "
                  "wait for on_durable");
}

Result<Seq> Store::write(WriteBatch batch) try {
  PEAT_TRY_VOID(writable());
  Applier applier(*backend_, &commit_->accumulating(), commit_->in_flight(), last_seq_, limits_);
  PEAT_TRY_VOID(applier.apply(batch.take_ops()));
  add_counts(applier.count_changes);
  last_seq_ = applier.last_seq;
  const auto written = last_seq_;
  commit_->add(std::move(applier.rows), last_seq_);
  deliver(std::move(applier.events));
  return written;
} catch (const std::bad_alloc&) {
  return fail(Code::out_of_memory, "no memory for a batch of writes");
}

void Store::add_counts(const std::map<std::string, std::int64_t, std::less<>>& changes) {
  for (const auto& [prefix, change] : changes) {
    if (change == 0) continue;
    auto& documents = counts_[prefix];
    documents += static_cast<std::uint64_t>(change);
    documents_ += static_cast<std::uint64_t>(change);
    if (documents == 0) counts_.erase(prefix);
    changed_counts_.insert(prefix);
  }
}

void Store::complete(Rows& rows) {
  put_meta_row(rows, kPositionName, encode_number(last_seq_));
  put_meta_row(rows, kDocumentsName, encode_number(documents_));
  for (const auto& prefix : changed_counts_) {
    if (prefix.empty()) continue;  // what is in no collection is the total less the others
    auto key = stored_key(prefix);
    const auto it = counts_.find(prefix);
    if (it == counts_.end()) {
      rows.erase(Table::counts, std::move(key));
      continue;
    }
    CountRow row;
    row.documents = it->second;
    if (is_hashed(key)) row.full_prefix = prefix;
    auto record = make_record(Table::counts, key, encode(row));
    rows.put(Table::counts, std::move(key), std::move(record));
  }
  changed_counts_.clear();
}

void Store::on_durable(std::function<void(Status)> done) { commit_->on_durable(std::move(done)); }

// --- observers ----------------------------------------------------------------------------------

std::uint64_t Store::subscribe(Observer observer) {
  observers_.emplace_back(next_observer_, std::make_shared<Observer>(std::move(observer)));
  return next_observer_++;
}

void Store::unsubscribe(std::uint64_t id) {
  std::erase_if(observers_, [id](const auto& entry) { return entry.first == id; });
}

void Store::deliver(std::vector<ChangeEvent> events) {
  for (auto& event : events) events_.push_back(std::move(event));
  if (delivering_) return;
  delivering_ = true;
  while (!events_.empty()) {
    const auto event = std::move(events_.front());
    events_.pop_front();
    const auto audience = observers_;  // one of them may unsubscribe another
    for (const auto& listener : audience) {
      const bool subscribed = std::ranges::any_of(
          observers_, [&listener](const auto& entry) { return entry.first == listener.first; });
      if (subscribed) (*listener.second)(event);
    }
  }
  delivering_ = false;
}

// --- the file -----------------------------------------------------------------------------------

void Store::copy_to(const std::filesystem::path& file, std::function<void(Status)> done) {
  commit_->between([backend = backend_, file] { return backend->copy_to(file); }, std::move(done));
}

void Store::compact_file(std::function<void(Result<Compaction>)> done) {
  const auto directory = backend_->directory();
  const auto copy = directory / "peat.mdb.compact";
  const auto before = backend_->file_bytes();
  const auto work = [backend = backend_, directory, copy]() -> Status {
    std::error_code ignored;  // of one that a crash left behind
    if (!directory.empty()) std::filesystem::remove(copy, ignored);
    return backend->copy_to(copy);
  };
  commit_->between(work, [backend = backend_, copy, before, done = std::move(done)](Status status) {
    if (status) status = backend->adopt(copy);
    if (!status) return done(std::unexpected(std::move(status).error()));
    done(Compaction{before, backend->file_bytes()});
  });
}

StoreStats Store::stats() const {
  auto stats = commit_->stats();
  stats.map_bytes = backend_->map_bytes();
  stats.file_bytes = backend_->file_bytes();
  if (auto* const sealed = backend_->sealed()) {
    stats.data_key = sealed->ring()->current();
    stats.resealing = resealing_;
    stats.resealed_rows = resealed_rows_;
    stats.reseal_failures = reseal_failures_;
  }
  return stats;
}

void Store::close(std::function<void(Status)> done) {
  closed_ = true;
  commit_->retry_now();
  commit_->between([backend = backend_, run = incarnation_.run] { return backend->close(run); },
                   std::move(done));
}

}  // namespace peat::store
