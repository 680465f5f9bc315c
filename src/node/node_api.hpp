// What a running node offers to those in front of it: the HTTP broker and peat::Mesh.
//
// Threading: the loop thread, calls and callbacks alike. Writes are visible when the call returns
// and acknowledged (the callback) when they are durable (design rule 4); a refused write calls
// back with its error.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "node/event_log.hpp"
#include "node/explain.hpp"
#include "node/live_query.hpp"
#include "node/settings.hpp"
#include "peat/automerge/types.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "query/source.hpp"
#include "security/enrollment_service.hpp"
#include "security/trust.hpp"
#include "sync/access.hpp"
#include "sync/documents.hpp"
#include "sync/lag.hpp"
#include "sync/write_waits.hpp"

namespace peat::node {

struct NodeInfo {
  std::string node_id;
  EndpointId endpoint_id;
  std::string bind;  // "ip:port" as bound
  std::uint64_t uptime_secs = 0;
  std::uint64_t documents = 0;
  std::uint64_t last_seq = 0;     // newest position of the change feed
  std::uint64_t durable_seq = 0;  // newest position that is on the disk
  store::StoreId store_id{};      // that these positions belong to
  std::uint64_t feed_floor = 0;   // after an older position deletions may be missing from the feed
};

struct PeerFault {
  std::string key;  // of the document; empty: not of one
  std::string reason;
};

struct PeerInfo {
  EndpointId id;
  std::string address;    // configured or last seen
  std::string state;      // unknown, connecting, authenticating, connected, backoff
  std::string dialect;    // of the live connection, or ""
  std::string handshake;  // how membership was proved, or ""
  std::string source;     // "settings", "api" or "inbound"
  bool connected = false;
  bool dialled = false;
  std::optional<std::uint64_t> rtt_ms;
  std::optional<std::uint64_t> lag;  // changes of ours that the peer has not acknowledged
  std::uint64_t documents_sent = 0;
  std::uint64_t documents_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t connects = 0;
  std::uint64_t failures = 0;
  std::uint64_t refused = 0;   // documents of the peer held back by our tombstones
  std::uint64_t poison = 0;    // documents of the peer skipped for an error of theirs
  std::uint64_t withheld = 0;  // times a document was not sent: the peer may not read it
  std::uint64_t denied = 0;    // what the peer sent and may not write, relay or delete
  std::string last_error;
  std::vector<PeerFault> faults;                 // the last sync_faults of `poison` and `denied`
  std::string circuit = "closed";                // closed, open, half-open (sync/circuit.hpp)
  std::string circuit_reason;                    // of its last failure
  std::optional<std::uint64_t> circuit_wait_ms;  // open: until it is tried again
  std::uint64_t retries = 0;  // documents that are sent again after a failure of ours
};

// How far a peer is behind.
struct PeerSync {
  PeerInfo peer;
  sync::PeerLag lag;
};

// What the HTTP server counts.
struct HttpCounters {
  std::uint64_t requests = 0;
  std::uint64_t connections = 0;  // open now
  std::uint64_t refused = 0;      // over http_connections
};

struct ReadyCheck {
  std::string name;
  bool ready = false;
  std::string message;
};

struct CollectionInfo {
  std::string name;
  std::uint64_t documents = 0;
};

// What one peer may do with one collection.
struct PeerAccess {
  EndpointId peer;
  std::string collection;
  bool read = true;
  bool write = true;
  bool relay = true;
  bool erase = true;
};

struct AccessInfo {
  std::vector<std::string> rules;  // as they are written
  sync::Access::Counts denied{};   // by security::Right
  std::vector<PeerAccess> peers;   // connected ones, each collection that is here
};

class NodeApi {
 public:
  virtual ~NodeApi() = default;
  using WriteDone = std::function<void(Result<sync::WriteResult>)>;
  using Done = std::function<void(Status)>;

  virtual NodeInfo info() const = 0;
  virtual std::vector<ReadyCheck> readiness() const = 0;

  // --- documents: keys are "collection:id" (sync::document_key) -------------------------------
  virtual Result<std::optional<sync::DocumentView>> get(std::string_view key) = 0;
  virtual Result<std::optional<automerge::Heads>> heads(std::string_view key) = 0;
  virtual Result<std::optional<sync::ConflictsView>> conflicts(std::string_view key) = 0;
  virtual Result<std::vector<automerge::ChangeInfo>> history(std::string_view key) = 0;
  virtual void put(std::string_view key, std::string_view json,
                   const sync::Precondition& precondition, WriteDone done) = 0;
  virtual void patch(std::string_view key, std::string_view merge_patch,
                     const sync::Precondition& precondition, WriteDone done) = 0;
  // As sync::Documents: settles conflicts in one change.
  virtual void settle(std::string_view key, std::string_view settlements,
                      const sync::Precondition& precondition, WriteDone done) = 0;
  virtual void erase(std::string_view key, const sync::Precondition& precondition,
                     WriteDone done) = 0;
  // Calls back when as many peers hold the document, as it is now, on their disks; or with those
  // that do when the deadline comes. nullopt: as many as make a majority with this node. Called in
  // the same turn as the write, it misses no answer.
  virtual void await_holders(std::string_view key, const std::optional<sync::WaitFor>& wanted,
                             Duration deadline, sync::WriteWaits::Done done) = 0;
  // Keys with this prefix after `after`, in bytewise order; documents are not read.
  virtual Result<std::vector<std::string>> keys(std::string_view prefix, std::string_view after,
                                                std::size_t limit) = 0;
  // Where queries look (query/run.hpp).
  virtual query::Source& queries() = 0;
  virtual LiveQueries& live() = 0;
  virtual std::uint64_t count(std::string_view collection) const = 0;
  virtual std::vector<CollectionInfo> collections() const = 0;

  // Why a document is, or is not, on a peer, and how the peer stands (explain.hpp).
  virtual Explanation explain_document(std::string_view key, const EndpointId& peer) = 0;
  virtual Explanation explain_peer(const EndpointId& peer) = 0;

  // --- what is set aside ------------------------------------------------------------------------
  virtual std::vector<sync::Quarantined> quarantined() const = 0;
  // Reads it again and asks the peer that it came from, or all, to send it. The value: who was
  // asked. Code::not_found: it is not quarantined.
  virtual Result<std::vector<EndpointId>> retry_quarantined(std::string_view key) = 0;
  virtual Status drop_quarantined(std::string_view key) = 0;

  // --- the store --------------------------------------------------------------------------------
  // A copy of the store as a new file, for `restore` (backup.hpp); whoever gets its name removes
  // it.
  virtual void backup(std::function<void(Result<std::filesystem::path>)> done) = 0;
  virtual void compact_store(
      std::function<void(Result<store::DocumentStore::Compaction>)> done) = 0;

  // --- peers ------------------------------------------------------------------------------------
  virtual std::vector<PeerInfo> peers() const = 0;
  // Walks what peers have not acknowledged, in slices; an answer may take as many turns as there
  // are thousands of documents.
  virtual void survey_lag(std::function<void(Result<std::vector<PeerSync>>)> done) = 0;
  // Kept and redialled after a restart; `done` when that is durable (not when it is connected).
  virtual void add_peer(const PeerSetting& peer, Done done) = 0;
  // Closes its connection and forgets it. Code::not_found.
  virtual void remove_peer(const EndpointId& peer, Done done) = 0;

  // --- members of the mesh, by certificate; empty without certificates -------------------------
  virtual std::vector<security::Member> members() const { return {}; }

  // --- devices that wait for approval; on the authority ------------------------------------------
  virtual std::vector<security::PendingDevice> pending() const { return {}; }
  virtual Status decide_pending(const EndpointId& device, bool /*approved*/) {
    return fail(Code::not_found, "no device " + device.short_form() + " waits for approval");
  }

  // --- the store: encryption --------------------------------------------------------------------
  virtual store::StoreStats store() const { return {}; }
  // Begins to seal every row of an encrypted store anew; `done` when that is durable, store() tells
  // how it goes on. Errors: unsupported, unavailable (DocumentStore::reseal).
  virtual void reseal(Done done) { done({}); }

  // --- who may do what --------------------------------------------------------------------------
  virtual AccessInfo access() const { return {}; }

  // --- events -----------------------------------------------------------------------------------
  virtual EventLog& events() = 0;

  // Prometheus exposition text.
  virtual std::string metrics(const HttpCounters& http) const = 0;
};

}  // namespace peat::node
