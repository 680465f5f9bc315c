// A node of a peat mesh inside your program.
//
//   auto mesh = peat::Mesh::open({.node_id = "robot-3", .data_dir = "/var/lib/robot",
//                                 .formation_secret_file = "/etc/robot/secret"});
//   if (!mesh) return report(mesh.error().message);
//   mesh->connect(depot_id, "depot.local:11204");
//   mesh->put("tracks", "robot-3", R"({"x": 12.5, "y": 3})");
//   auto watch = mesh->watch({.collection = "orders"}, [](const peat::Change& change) { … });
//   mesh->close();
//
// Documents are JSON objects, named by a collection (no ':' and no '/') and an id. Everything is
// read and written locally; changes travel to the peers whenever there is a link, and edits of
// different fields of one document, made apart, are merged.
//
// Durability. A write returns when it is on the disk; a reader and the peers may see it a little
// earlier.
//
// Threading. Every member may be called from any thread; calls block until the node's own thread
// has done them (microseconds for reads, one disk flush for writes, shared by writers that wait
// at the same time). Callbacks of watch() run on that thread: keep them short, and call no member
// of the Mesh from them (Code::invalid_argument tells you so).
//
// Errors are values (peat/error.hpp). Cost: two threads, one UDP socket, about 13 MiB with the
// process around it. Limits: src/base/limits.def.
//
// The data directory belongs to one Mesh or daemon at a time (Code::store_in_use).
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "peat/error.hpp"
#include "peat/export.hpp"
#include "peat/ids.hpp"
#include "peat/query.hpp"

namespace peat {

// A peer to keep connected.
struct MeshPeer {
  EndpointId id;
  std::string address = {};   // "host:port" or "[v6]:port"
  bool authenticated = true;  // false: a peer that proves nothing
};

struct MeshConfig {
  std::string node_id = {};             // default: the host's name
  std::filesystem::path data_dir = {};  // required; made with mode 0700
  std::string bind = "0.0.0.0:11204";   // port 0 chooses one
  std::vector<MeshPeer> peers = {};
  // The formation's secret in base64 (`peat secret new` makes one), or a file that holds it and
  // that only its owner can read. Give one of the two.
  std::string formation_secret = {};
  std::filesystem::path formation_secret_file = {};
  std::string formation_id = "peat";
  bool allow_weak_secret = false;
  bool allow_unauthenticated_peers = false;
  // Derives the endpoint key from the secret and node_id as older peers do.
  bool legacy_identity = false;
  bool native_protocol = true;  // false: speak cap/automerge/1 alone
  // One line of log text; called on the node's thread. 0 trace … 4 error.
  std::function<void(int level, std::string_view message)> log = {};
};

// A document as it is now. `heads` names the version: hashes in hex, ascending.
struct MeshDocument {
  std::string json;
  std::vector<std::string> heads;
};

// A place where edits made apart left several values; the document shows the winner.
struct MeshConflict {
  struct Value {
    std::string json;       // of one that lost; empty for the winner
    std::string actor;      // who set it: the writing node's present name for itself, in hex
    std::int64_t time = 0;  // when, in seconds since the epoch by the writer's clock
  };
  std::string path;  // as JSON: ["items",0,"name"]
  Value winner;
  std::vector<Value> others;
};

struct MeshWrite {
  bool created = false;
  bool changed = false;  // false: equal content, nothing was written
  std::vector<std::string> heads;
};

// Makes a write conditional; at most one of them. Code::precondition_failed.
struct WriteCondition {
  std::optional<std::vector<std::string>> if_heads = {};  // the document has exactly these heads
  bool if_absent = false;
};

struct ListOptions {
  std::string prefix = {};  // of ids
  std::string after = {};   // ids greater than this one, bytewise
  std::size_t limit = 1000;
};

struct MeshEntry {
  std::string id;
  std::string json;
};

struct MeshPage {
  std::vector<MeshEntry> documents;
  std::uint64_t total = 0;  // documents in the collection
  bool more = false;        // go on with after = documents.back().id
};

// One page of a query (peat/query.hpp).
struct QueryPage {
  std::vector<MeshEntry> documents;
  // Goes on behind the last row, whatever comes and goes before it, also after a restart; "": there
  // is nothing more. Good for this query on this node.
  std::string next;
  std::uint64_t examined = 0;  // documents read to find these
  std::string index;           // path of the index that was used, or ""
};

// What happened to a document.
struct Change {
  enum class Kind : std::uint8_t {
    insert,  // written here, new
    update,  // written here
    merge,   // came from a peer
    erase,
    gap,  // earlier changes cannot be told singly: the newest state of each document follows
  };
  Kind kind = Kind::update;
  std::uint64_t seq = 0;  // position; WatchOptions::after resumes there, also after a restart
  std::string collection;
  std::string id;
  std::optional<EndpointId> origin;  // nullopt: this node
};

struct WatchOptions {
  std::string collection = {};              // "": all
  std::string prefix = {};                  // of ids
  std::optional<std::uint64_t> after = {};  // nullopt: from now on
};

// One line of a live query: first an `enter` for every document that matches, then `complete`, then
// what becomes of the answer.
struct QueryChange {
  enum class Kind : std::uint8_t {
    reset,     // what came before on this or an earlier watch() is void; the answer follows anew
    enter,     // matches now; after a resume perhaps not for the first time
    update,    // changed, and matches still
    leave,     // matches no more, or is gone; after a resume perhaps never did
    complete,  // the whole answer has been told
    ended,     // for `reason`; nothing follows
  };
  Kind kind = Kind::enter;
  std::string id;
  std::string json;    // of enter and update
  std::string resume;  // from `complete` on: give it to watch() to be told what changed since
  std::string reason;
};

struct MeshPeerStatus {
  EndpointId id;
  std::string address;
  bool connected = false;
  std::string state;                 // unknown, connecting, authenticating, connected, backoff
  std::string protocol;              // "peat/sync/2", "cap/automerge/1" or ""
  std::optional<std::uint64_t> lag;  // changes of ours the peer has not acknowledged
  std::string last_error;
};

// What a peer has not acknowledged of what is here.
struct MeshLag {
  struct Part {
    std::string collection;                  // "": all of them
    std::uint64_t documents = 0;             // deletions among them
    std::uint64_t bytes = 0;                 // as stored: what travels is at most about that
    std::optional<std::uint64_t> oldest_ms;  // since the oldest was changed, by its writer's clock
  };
  EndpointId peer;
  bool connected = false;
  Part total;
  std::vector<Part> collections;  // those with something behind
};

// Why a document is, or is not, on a peer: a sentence, and everything that decides it in order.
struct MeshExplanation {
  struct Finding {
    std::string
        about;  // here, policy, tombstone, peer, path, circuit, position, queue, answer, error
    bool blocks = false;
    std::string text;
  };
  std::string verdict;
  std::vector<Finding> findings;
};

// A document that is set aside.
struct MeshQuarantined {
  std::string collection;
  std::string id;
  std::string kind;  // unreadable, refused (what a peer sent), corrupt (the record in the store)
  std::string reason;
  std::optional<EndpointId> peer;
};

struct MeshStatus {
  std::string node_id;
  EndpointId endpoint_id;  // give it, with the address, to those who should connect
  std::string bind;        // "ip:port" as bound
  std::uint64_t documents = 0;
  std::vector<MeshPeerStatus> peers;
};

// Ends its watch() when it goes. After that no callback runs or will run.
class PEAT_API Subscription {
 public:
  Subscription() = default;
  Subscription(Subscription&&) noexcept;
  Subscription& operator=(Subscription&&) noexcept;
  ~Subscription();
  void cancel();

 private:
  friend class Mesh;
  std::function<void()> cancel_;
};

class PEAT_API Mesh {
 public:
  // Opens the store, binds the socket, starts the node's thread and dials the peers. Errors name
  // the setting and the remedy.
  static Result<Mesh> open(MeshConfig config);
  Mesh(Mesh&&) noexcept;
  Mesh& operator=(Mesh&&) noexcept;
  ~Mesh();  // close(), its error lost

  // nullopt: there is none. Code::document_invalid: it is here, but cannot be read.
  Result<std::optional<MeshDocument>> get(std::string_view collection, std::string_view id);
  // Stores a JSON object. Only what differs from the present document is written, so that a
  // concurrent edit of another field survives.
  Result<MeshWrite> put(std::string_view collection, std::string_view id, std::string_view json,
                        const WriteCondition& condition = {});
  // RFC 7386 merge patch; creates the document if there is none.
  Result<MeshWrite> update(std::string_view collection, std::string_view id,
                           std::string_view merge_patch, const WriteCondition& condition = {});
  // What lost to what get() shows. Empty: nothing, or no such document.
  Result<std::vector<MeshConflict>> conflicts(std::string_view collection, std::string_view id);
  // Settles conflicts, all or none, in one change: [{"path": ["items", 0, "name"], "value": …}, …].
  // A value that is there already, the winner or one that lost, keeps its type.
  // Code::precondition_failed where nothing is in conflict any more.
  Result<MeshWrite> settle(std::string_view collection, std::string_view id,
                           std::string_view settlements, const WriteCondition& condition = {});
  // Everywhere, for good: also on peers that are away now. Code::not_found.
  Status erase(std::string_view collection, std::string_view id,
               const WriteCondition& condition = {});
  Result<MeshPage> list(std::string_view collection, const ListOptions& options = {});

  // The documents that a query asks for; without a limit in it 1,000 a page. Documents that cannot
  // be read are left out. Code::invalid_argument: `page` is no `next` of this query.
  Result<QueryPage> query(const Query& query, std::string_view page = {});

  // Calls back for every change from now on, or after a position.
  Result<Subscription> watch(const WatchOptions& options,
                             std::function<void(const Change& change)> callback);

  // A live query: calls back for the answer and for each change of it. `resume` goes on after a
  // line of an earlier watch() of this query on this node, also after a restart. A callback that is
  // slow gets fewer lines, each document in its newest state. Code::invalid_argument: the query has
  // an order, a limit or an offset; `resume` is none of this query.
  Result<Subscription> watch(const Query& query, std::string_view resume,
                             std::function<void(const QueryChange& change)> callback);

  // Adds a peer that is kept connected from now on, also after a restart. Returns when it is
  // kept, not when it is connected: see status().
  Status connect(const EndpointId& id, std::string_view address);
  Status connect(const MeshPeer& peer);
  Status disconnect(const EndpointId& id);

  Result<MeshStatus> status();
  // How far each peer is behind. Walks what they have not acknowledged: about 2 us a document.
  Result<std::vector<MeshLag>> lag();
  Result<MeshExplanation> explain(std::string_view collection, std::string_view id,
                                  const EndpointId& peer);

  Result<std::vector<MeshQuarantined>> quarantined();
  // Reads it again and asks those who have it to send it; who was asked. Code::not_found.
  Result<std::vector<EndpointId>> retry_quarantined(std::string_view collection,
                                                    std::string_view id);
  // Takes it off the list; a damaged record is given up. Code::not_found.
  Status drop_quarantined(std::string_view collection, std::string_view id);

  // Writes the store into a new file (0600), from which `peat-mesh-node restore` makes another.
  // Writes wait for their commit meanwhile.
  Status backup(const std::filesystem::path& file);
  // Gives the disk back what the store does not need; bytes of the store before and after.
  Result<std::pair<std::uint64_t, std::uint64_t>> compact();

  // Flushes to peers and disk and ends the node's thread. Every later call is Code::shut_down.
  Status close();

 private:
  struct Impl;
  explicit Mesh(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace peat
