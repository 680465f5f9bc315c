// A peer's session: what is said to one peer about documents, over one channel.
//
// A session is a state machine that hears its channel (ChannelListener) and the store (on_change)
// and speaks when the channel wants data. It does no I/O, asks no clock for a decision and keeps
// no queue of messages: it holds a cursor in the store's change feed plus bounded sets of keys,
// and makes each message when it can leave (design rule 3). A set that is full falls back to the
// cursor; nothing is dropped by it.
//
// Both sides push, whoever dialled (F5). A change is never sent back to where it came from; a
// converged pair is silent. An error of one document is counted against that document, skipped, and
// what will pass is tried again (retries.hpp); the session goes on (F4). A peer whose messages
// break the protocol again and again is not spoken to for a while (circuit.hpp).
//
// On `cap/automerge/1` (session_old.hpp): tombstones first, then a sync message or a snapshot for
// every document, on every connect; Automerge's shared heads are kept in the store per peer and
// document. On `peat/sync/2` (session_native.hpp): hello, then the feed from where the peer
// durably is.
//
// Threading: the loop. Cost: memory is bounded by the limits `sync_*` (base/limits.def) and does
// not grow with the corpus. Lifetime: the session must outlive its channel or be detached.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.hpp"
#include "base/limits.hpp"
#include "peat/ids.hpp"
#include "store/document_store.hpp"
#include "sync/channel.hpp"
#include "sync/circuit.hpp"
#include "sync/documents.hpp"
#include "sync/relation.hpp"
#include "sync/retries.hpp"
#include "sync/session_feed.hpp"

namespace peat::sync {

// Something about one document that could not be done, and why.
struct DocumentFault {
  std::string key;  // empty: not of one document
  Error error;
};

struct SessionContext {
  Documents& documents;
  const FeedLines& lines;  // of documents.store()
  Executor& executor;      // its clock for time stamps that inform, its loop for another turn
  std::string node_id;
  Limits limits;
  std::function<void(const DocumentFault&)> on_fault;  // may be empty
  Relation relation = Relation::unknown;               // of the peer
  // The peer durably holds our feed up to a position, but for the documents named (with what it
  // has of them). May be empty.
  std::function<void(store::Seq acked, const std::vector<wire::DocumentHeads>& declined)> on_ack;
  Access* access = nullptr;  // what the peer may be sent; nullptr: everything
};

// Where a document stands on its way to a peer.
struct KeyPlace {
  QosClass qos = QosClass::normal;   // of its collection
  std::optional<std::size_t> ahead;  // queued as urgent: how many of its class stand before it
  bool asked = false;                // the peer asked for it, the answer waits
  bool known = false;                // the peer has told or been told the present state
};

struct SessionStatus {
  EndpointId peer;
  bool connected = false;
  Dialect dialect = Dialect::native;
  store::Seq sent = 0;      // our feed is sent up to here
  store::Seq acked = 0;     // and is on the peer's disk up to here (old dialect: arrived there)
  store::Seq last_seq = 0;  // end of our feed; last_seq - acked is the lag
  store::Seq received = 0;  // the peer's feed is here up to there, durably (native dialect)
  std::uint64_t documents_sent = 0;
  std::uint64_t documents_received = 0;  // that brought something new
  std::uint64_t tombstones_sent = 0;
  std::uint64_t tombstones_received = 0;  // that were new
  std::uint64_t refused = 0;              // held back by our tombstones
  std::uint64_t poison = 0;               // documents skipped for an error of theirs
  std::uint64_t violations = 0;           // messages that broke the protocol, skipped
  std::uint64_t withheld = 0;             // times a document was not sent for want of a right
  std::uint64_t denied = 0;               // documents and deletions not taken for want of one
  std::vector<DocumentFault> faults;      // the last sync_faults of `poison` and `denied`
  CircuitBreaker::State circuit = CircuitBreaker::State::closed;
  std::string circuit_reason;            // of the last failure
  std::uint64_t circuit_opened = 0;      // how often
  std::optional<Duration> circuit_wait;  // until it is tried again
  std::size_t retries = 0;               // documents that are sent again later
};

class DialectSession;
struct SessionCounters;

class PeerSession final : public ChannelListener {
 public:
  PeerSession(SyncChannel& channel, SessionContext context);
  ~PeerSession() override;
  PeerSession(const PeerSession&) = delete;
  PeerSession& operator=(const PeerSession&) = delete;

  // The store changed. Notes it and sends nothing: call pump afterwards.
  void on_change(const store::ChangeEvent& event);
  // Sends while the channel wants data and there is something to say.
  void pump();
  SessionStatus status() const;
  void set_relation(Relation relation) { context_.relation = relation; }
  // Asks the peer for a document; `have`: what is here of it. False: there is no connection.
  bool request(std::string_view key, const automerge::Heads& have);
  // nullopt: there is no connection.
  std::optional<KeyPlace> locate(std::string_view key) const;
  // What the peer did not take when it acknowledged what stands around it.
  bool declined(std::string_view key) const;
  // When it will be sent again after a failure of ours, how often it was; nullopt: it is not due.
  std::optional<std::uint32_t> attempts(std::string_view key) const {
    return retries_.attempts(key);
  }
  // Regularly: an old peer acknowledges nothing, but what was given to a connection that still
  // lives ten minutes later has arrived.
  void note_time(Instant now);

  void on_connected(SyncChannel&) override;
  void on_disconnected(SyncChannel&) override;
  void on_frame(SyncChannel&, wire::Frame frame) override;
  void on_native(SyncChannel&, wire::NativeFrame frame) override;
  void on_wants_data(SyncChannel&) override;
  void on_closed(SyncChannel&) override;

 private:
  SyncChannel* channel_;  // nullptr once closed
  const EndpointId peer_;
  SessionContext context_;
  std::unique_ptr<SessionCounters> counters_;
  std::unique_ptr<DialectSession> dialect_;  // of the live connection
  Dialect last_dialect_ = Dialect::native;
  void note_fault(const DocumentFault& fault);
  void note_answer(std::uint64_t nonsense_before);
  void wake_at(std::optional<Instant> when);
  void on_wake();

  CircuitBreaker circuit_;
  DocumentRetries retries_;
  TimerId wake_ = 0;
  Instant wake_at_{};
  bool turn_posted_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace peat::sync
