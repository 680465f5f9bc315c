// The document store over any backend.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/limits.hpp"
#include "store/backend.hpp"
#include "store/document_store.hpp"
#include "store/group_commit.hpp"
#include "store/sealed_backend.hpp"
#include "store/view.hpp"

namespace peat::store {

class Store final : public DocumentStore {
 public:
  // Checks the format, begins a new run and commits it, on the calling thread.
  static Result<std::unique_ptr<DocumentStore>> open(std::shared_ptr<Backend> backend,
                                                     Executor& executor, Random& random,
                                                     const Limits& limits);
  ~Store() override;

  Status reseal(Random& random) override;

  Result<std::optional<DocumentRecord>> document(std::string_view key) const override;
  Result<std::optional<automerge::Heads>> heads(std::string_view key) const override;
  Result<std::optional<Version>> version(std::string_view key) const override;
  Result<std::optional<std::uint64_t>> stored_bytes(std::string_view key) const override;
  Result<std::optional<TombstoneRecord>> tombstone(std::string_view key) const override;
  Result<TombstonePage> tombstones(std::string_view from, std::size_t limit) const override;
  Result<std::vector<std::string>> keys(std::string_view prefix, std::string_view after,
                                        std::size_t limit) const override;
  std::uint64_t count(std::string_view collection) const override;
  std::uint64_t count() const override { return documents_; }
  std::vector<std::string> collections() const override;
  Result<std::vector<FeedRow>> feed(Seq after, std::size_t limit) const override;
  Seq last_seq() const override { return last_seq_; }
  Result<std::optional<Bytes>> sync_state(const EndpointId& peer,
                                          std::string_view key) const override;
  Result<std::optional<Bytes>> meta(std::string_view name) const override;
  Result<std::optional<Bytes>> index_row(std::string_view name) const override;
  Result<std::vector<IndexRow>> index_rows(std::string_view prefix, std::string_view from,
                                           Direction direction, std::size_t limit) const override;

  Result<Seq> write(WriteBatch batch) override;
  Seq durable_seq() const override { return commit_->durable_seq(); }
  void on_durable(std::function<void(Status)> done) override;

  std::uint64_t subscribe(Observer observer) override;
  void unsubscribe(std::uint64_t id) override;

  void copy_to(const std::filesystem::path& file, std::function<void(Status)> done) override;
  void compact_file(std::function<void(Result<Compaction>)> done) override;

  const Incarnation& incarnation() const override { return incarnation_; }
  StoreStats stats() const override;
  void close(std::function<void(Status)> done) override;

 private:
  using Counts = std::map<std::string, std::uint64_t, std::less<>>;

  Store(std::shared_ptr<Backend> backend, Executor& executor, const Limits& limits);

  Status check_format(const View& view);
  Status load(const View& view, IncarnationRow& last);
  Status load_counts(const View& view);
  Status begin_run(IncarnationRow last, Random& random);
  Result<View> view() const;
  Result<std::optional<Bytes>> copy_of(Table table, std::string_view key) const;
  Status writable() const;
  void complete(Rows& rows);
  // --- sealing anew (store_reseal.cpp)
  void reseal_step();
  Status reseal_slice();
  void reseal_later();
  void put_ring(Rows rows, const SealingRing& ring);

  void add_counts(const std::map<std::string, std::int64_t, std::less<>>& changes);
  void deliver(std::vector<ChangeEvent> events);

  std::shared_ptr<Backend> backend_;
  Executor& executor_;
  Limits limits_;
  std::shared_ptr<GroupCommit> commit_;
  Incarnation incarnation_;
  bool fresh_ = false;  // nothing has ever been committed here
  FormatRow format_;
  bool resealing_ = false;
  TimerId reseal_timer_ = 0;
  std::uint64_t resealed_rows_ = 0;
  std::uint64_t reseal_failures_ = 0;
  bool closed_ = false;

  Seq last_seq_ = 0;
  Counts counts_;  // by collection prefix; only collections that hold documents
  std::uint64_t documents_ = 0;
  std::set<std::string, std::less<>> changed_counts_;  // since the last commit began

  std::vector<std::pair<std::uint64_t, std::shared_ptr<Observer>>> observers_;
  std::uint64_t next_observer_ = 1;
  std::deque<ChangeEvent> events_;
  bool delivering_ = false;
};

}  // namespace peat::store
