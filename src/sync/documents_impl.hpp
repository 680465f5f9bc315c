// The one implementation of Documents, shared by its source files.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sync/documents.hpp"
#include "sync/documents_cache.hpp"

namespace peat::sync {

// What the guard allows a peer's message to do (documents.hpp).
enum class Guard : std::uint8_t {
  open,         // no tombstone of ours is newer than what the peer knows
  descendants,  // only what stands on the document that is here
  survivors,    // update wins: only what survives the tombstone
  reborn,       // only what began after the deletion, by its stamps
  closed,       // refused unread
};

Status require_key(std::string_view key);
// The greatest commit time among the heads.
std::int64_t newest_time(const automerge::Document& document);
bool is_softly_deleted(const automerge::Document& document);

class DocumentsImpl final : public Documents {
 public:
  DocumentsImpl(store::DocumentStore& store, Executor& executor, Options options);

  Status load_clocks();
  Status load_quarantine();

  store::DocumentStore& store() override { return store_; }
  const Collections& collections() const override { return options_.collections; }
  void set_collections(Collections collections) override {
    options_.collections = std::move(collections);
  }

  Result<std::optional<DocumentView>> get(std::string_view key) override;
  Result<std::optional<ConflictsView>> conflicts(std::string_view key) override;
  Result<WriteResult> settle(std::string_view key, std::string_view settlements,
                             const Precondition& precondition) override;
  Result<std::optional<DocumentView>> glance(std::string_view key) override;
  Result<WriteResult> put(std::string_view key, std::string_view json,
                          const Precondition& precondition) override;
  Result<WriteResult> patch(std::string_view key, std::string_view merge_patch,
                            const Precondition& precondition) override;
  Result<WriteResult> erase(std::string_view key, std::optional<std::string> reason,
                            const Precondition& precondition) override;
  Result<std::vector<automerge::ChangeInfo>> history(std::string_view key) override;

  Result<bool> expire(std::string_view key, bool if_deleted) override;
  Status collect(const std::vector<store::TombstoneRecord>& tombstones) override;
  std::uint64_t horizon() const override { return horizon_; }
  store::Seq feed_floor() const override { return feed_floor_; }
  void note_horizon(std::uint64_t lamport) override;

  Result<automerge::Document*> open_document(std::string_view key) override;
  Result<Epoch> epoch(std::string_view key) override;
  Result<bool> admits(std::string_view key, const Epoch& theirs) const override;
  Result<std::optional<Outgoing>> outgoing(std::string_view key,
                                           const automerge::Heads& have) override;
  Result<std::optional<Outgoing>> outgoing_newest(std::string_view key) override;
  Result<std::optional<Bytes>> snapshot(std::string_view key) override;
  Result<std::optional<Bytes>> sync_message(std::string_view key,
                                            automerge::SyncState& state) override;

  Result<RemoteResult> apply_changes(std::string_view key, const Epoch& epoch, ByteView changes,
                                     const EndpointId& from) override;
  Result<RemoteResult> apply_snapshot(std::string_view key, ByteView saved,
                                      const EndpointId& from) override;
  Result<RemoteResult> apply_sync_message(std::string_view key, automerge::SyncState& state,
                                          ByteView message, const EndpointId& from) override;
  Result<bool> apply_tombstone(const wire::Tombstone& tombstone, const EndpointId& from) override;

  std::vector<Quarantined> quarantined() const override { return quarantine_.list(); }
  std::vector<Quarantined> quarantined(std::string_view key) const override {
    return quarantine_.of(key);
  }
  Result<automerge::Heads> retry_quarantined(std::string_view key) override;
  Status drop_quarantined(std::string_view key) override;
  void keep_quarantine() override;
  std::size_t cached_bytes() const override { return cache_.bytes(); }
  std::uint64_t lamport() const override { return lamport_; }

 private:
  using Edit = std::function<Result<std::optional<automerge::ChangeHash>>(
      automerge::Document&, const automerge::CommitOptions&)>;
  using Merge = std::function<Status(automerge::Document&)>;
  // How a document is written: what is new, all of it, or all of it over a damaged record.
  enum class Save : std::uint8_t { changes, whole, repair };
  Result<OpenDocument> load(const store::DocumentRecord& record) const;
  // As the store has it; one that is damaged is noted.
  Result<std::optional<OpenDocument>> load(std::string_view key);
  // nullptr: neither stored nor held for its waiting changes. One without heads is not stored.
  Result<OpenDocument*> open_cached(std::string_view key);
  // Calls `use` with the document, without letting a bulk read displace cached ones.
  Result<std::optional<Outgoing>> with_document(
      std::string_view key, const std::function<Status(automerge::Document&, Outgoing&)>& use);
  automerge::Document empty_document() const;
  Result<DocumentView> view_of(std::string_view key, automerge::Document& document);

  Result<WriteResult> edit(std::string_view key, const Precondition& precondition,
                           const Edit& change);
  Status check(std::string_view key, const Precondition& precondition) const;
  Result<std::int64_t> commit_time(std::string_view key) const;
  std::uint64_t deletion_time(std::string_view key);
  // This run's actor of the device.
  automerge::ActorId own_actor() const;
  automerge::ActorId marked(automerge::ActorId actor) const;  // as the device's
  Result<automerge::ActorId> actor_for(std::string_view key) const;
  Result<WriteResult> erase_softly(std::string_view key, const std::optional<std::string>& reason,
                                   const Precondition& precondition);
  Status may_bury(const wire::Tombstone& tombstone, const automerge::Document* document) const;
  Result<automerge::Document*> document_beside(std::string_view key);
  // Whether some node may have collected this tombstone already.
  bool maybe_collected(const wire::Tombstone& tombstone) const;
  bool update_wins(const wire::Tombstone& tombstone) const;
  Error quarantine(std::string_view key, const Error& cause);
  // --- documents_quarantine.cpp
  void set_aside(std::string_view key, QuarantineKind kind, const Error& cause,
                 const std::optional<EndpointId>& peer);
  void quarantine_changed();
  Status bury(std::string key, wire::Tombstone tombstone, automerge::Heads deleted_heads,
              const store::Origin& origin, bool keep_document);
  void note_lamport(store::WriteBatch& batch, std::uint64_t lamport);

  // nullopt: the peer knows no epochs. Takes a newer epoch than ours for the deletion it names.
  Result<Guard> guard(std::string_view key, const std::optional<Epoch>& epoch,
                      const EndpointId& from);
  Result<RemoteResult> merge(std::string_view key, Guard guard, const EndpointId& from,
                             const Merge& apply);
  Result<Guard> judge(std::string_view key, const std::optional<Epoch>& epoch,
                      const std::optional<store::TombstoneRecord>& buried) const;
  // Whether what `document` gained since `before` may stay.
  Result<bool> allowed(std::string_view key, Guard guard, const automerge::Document& document,
                       const automerge::Heads& before) const;
  // Whether the peer may hand over what `document` gained since `before`.
  Status authorised(std::string_view key, const EndpointId& from,
                    const automerge::Document& document, const automerge::Heads& before) const;
  bool survives(const store::TombstoneRecord& buried, const automerge::Document& document) const;
  Result<RemoteResult> apply_chunks(std::string_view key, const std::optional<Epoch>& epoch,
                                    ByteView changes, const EndpointId& from);
  Result<RemoteResult> unchanged(std::string_view key, bool refused) const;

  // --- snapshots (documents_snapshot.cpp)
  // Makes of a document that was just edited what its collection's mode wants; true if its past
  // is gone.
  Result<bool> begin_anew(std::string_view key, OpenDocument& open, const automerge::Heads& before,
                          const automerge::CommitOptions& options);
  automerge::ActorId fresh_actor();
  // Drops what a snapshot outdates; true if there was any.
  Result<bool> drop_outdated(std::string_view key, OpenDocument& open) const;

  // Writes what `open` has beyond `before` (empty: the store has no such document), or all of it.
  Result<store::Seq> save(std::string_view key, OpenDocument& open, const automerge::Heads& before,
                          const store::Origin& origin, Save how = Save::changes);

  store::DocumentStore& store_;
  Executor& executor_;
  Options options_;
  DocumentCache cache_;
  std::uint64_t lamport_ = 0;
  std::uint64_t horizon_ = 0;
  store::Seq feed_floor_ = 0;
  std::uint64_t fresh_actors_ = 0;  // made in this run
  Quarantine quarantine_;
  bool keep_posted_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for timers that outlive us
};

}  // namespace peat::sync
