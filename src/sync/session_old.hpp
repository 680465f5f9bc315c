// One connection of a session in the old dialect. Internal to PeerSession.
//
// On every connect, whoever dialled: all tombstones, then every document in feed order, as a
// snapshot (latest-only collections, and documents that were created again after a deletion,
// because an old peer's tombstone guard stands only on its delta path) or as an Automerge sync
// message. From then on the cursor stands at the end of the feed and moves with it. Messages
// travel in batches of the bounds that every generation of peer takes.
//
// An old peer says nothing of what it has; Automerge's sync states tell it for deltas, and for
// snapshots what was sent or received on this connection. States are kept for sync_states
// documents; one that is forgotten, and one after a reconnect, begins at its shared heads, which
// are written to the store when both sides have the same.
//
// What our own store could not take (a full disk) is asked for again when it can: with a message
// that shows the document as empty, which makes an Automerge peer forget what it has sent.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sync/session_common.hpp"

namespace peat::sync {

class OldSession final : public DialectSession {
 public:
  // `wake` is called from the loop when there is something new to send.
  OldSession(SyncChannel& channel, const SessionContext& context, SessionCounters& counters,
             std::function<void()> wake);
  ~OldSession() override;

  void on_change(const store::ChangeEvent& event) override;
  void on_frame(wire::Frame frame) override;
  bool send_next() override;
  bool wants_turn() const override { return wants_turn_; }
  void note_time(Instant now) override;
  void request(std::string_view key, const automerge::Heads& have) override;
  void resend(std::string_view key) override;
  KeyPlace locate(std::string_view key) const override;

 private:
  using Digest = std::array<std::uint8_t, 32>;
  struct Refused {
    Epoch epoch;  // ours at the time
    Bytes what;
  };

  // --- receiving
  void undecodable();
  void on_entry(wire::EntryType type, std::string_view key, ByteView payload);
  void on_delta(std::string_view key, ByteView message);
  void on_snapshot(std::string_view key, ByteView saved);
  void on_tombstone(const Result<wire::Tombstone>& tombstone);
  void on_document_error(std::string_view key, const Error& error);
  void await_store();
  void on_store_takes_writes();
  // `what` names the state of the document that the peer offered.
  void refuse(std::string_view key, Bytes what);
  bool was_refused(std::string_view key, ByteView what);

  // --- sending
  bool send_one();
  bool is_full(const wire::SyncBatch& batch) const;
  void collect_tombstones();
  bool send_tombstones();
  bool send_batch(wire::SyncBatch batch);
  void fill_urgent(wire::SyncBatch& batch);
  void fill_answers(wire::SyncBatch& batch);
  void fill_begging(wire::SyncBatch& batch);
  void fill_from_feed(wire::SyncBatch& batch);
  bool travels(const wire::Tombstone& tombstone) const;
  void add_document(std::string_view key, wire::SyncBatch& batch);
  void add_snapshot(std::string_view key, wire::SyncBatch& batch);
  void add_tombstone(std::string_view key, wire::SyncBatch& batch);
  void add_message(std::string_view key, wire::SyncBatch& batch);
  void add(std::string_view key, wire::EntryType type, Bytes payload, wire::SyncBatch& batch);

  automerge::SyncState& state_of(std::string_view key);
  void keep_if_settled(std::string_view key, const automerge::SyncState& state,
                       const automerge::Heads& heads);
  void write_settled();

  SyncChannel& channel_;
  const SessionContext& context_;
  SessionCounters& counters_;
  store::DocumentStore& store_;
  const EndpointId peer_;
  std::function<void()> wake_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for callbacks that outlive us

  const store::Seq start_;          // end of our feed when the connection began
  store::Seq tombstones_sent_ = 0;  // first pass, up to start_
  bool tombstones_done_ = false;
  std::vector<wire::Tombstone> buried_;  // collected for the next frame
  std::size_t buried_bytes_ = 0;
  bool wants_turn_ = false;                // the feed goes on behind what one turn may read
  store::Seq cursor_ = 0;                  // second pass and ever after
  bool skip_own_rows_ = true;              // rows that came from the peer on this connection
  std::size_t batch_bytes_ = 0;            // of the batch being filled
  std::optional<wire::SyncBatch> unsent_;  // the channel had no room
  std::optional<wire::Frame> unsent_frame_;
  // Together fewer than states_ holds: what an answer goes by must not be forgotten before it.
  UrgentKeys urgent_;
  Pacer pacer_;
  std::uint32_t batches_ = 0;  // made; in every fourth what is urgent comes last
  KeyQueue wanted_;            // to be answered because we lack something
  KeyQueue replies_;           // to be answered because the peer waits for it (A11)
  KeyQueue retry_;             // not taken by our store
  KeyQueue begging_;           // and to be asked for now
  std::deque<wire::Tombstone> retry_tombstones_;
  bool store_awaited_ = false;
  RecentMap<automerge::SyncState> states_;
  RecentMap<automerge::Heads> known_;  // heads the peer has, of documents that travel whole
  RecentMap<Digest> snapshots_;        // the last one received and stored
  RecentMap<Epoch> told_;              // tombstones the peer has
  RecentMap<Refused> refused_;         // deleted documents the peer sent; not asked for again
  store::WriteBatch settled_;
  bool noted_ = false;  // that something is kept of this peer
  std::uint64_t next_batch_ = 1;
  std::optional<std::pair<store::Seq, Instant>> arriving_;  // given by then
};

}  // namespace peat::sync
