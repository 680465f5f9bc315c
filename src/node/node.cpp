#include "node/node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <malloc.h>
#include <set>

#include "base/network.hpp"
#include "net/quic_endpoint.hpp"
#include "node/document_index.hpp"
#include "node/identity.hpp"
#include "node/log_limiter.hpp"
#include "node/membership.hpp"
#include "node/metrics.hpp"
#include "node/operations.hpp"
#include "node/peer_book.hpp"
#include "node/query_source.hpp"
#include "node/store_keys.hpp"
#include "store/document_store.hpp"
#include "sync/channel.hpp"
#include "sync/connector.hpp"
#include "sync/coordinator.hpp"
#include "sync/documents.hpp"
#include "sync/upkeep.hpp"

namespace peat::node {

namespace {

constexpr std::uint64_t kCloseShutdown = 0;
constexpr std::string_view kBoundPeersMeta = "security.bound_peers";
constexpr std::size_t kSubjectBytes = 160;  // of a line that is said rarely
// After this long without a change, memory that a burst of changes left behind is given back.
constexpr Duration kTrimAfter = std::chrono::seconds(2);

class NodeImpl final : public Node {
 public:
  NodeImpl(AsioExecutor& executor, Settings settings, Log log, const Limits& limits)
      : executor_(executor),
        settings_(std::move(settings)),
        log_(std::move(log)),
        limits_(limits),
        book_(limits),
        started_(executor.now().mono) {}

  Status open();
  ~NodeImpl() override;

  NodeInfo info() const override;
  std::vector<ReadyCheck> readiness() const override;
  Result<std::optional<sync::DocumentView>> get(std::string_view key) override {
    return documents_->get(key);
  }
  Result<std::optional<automerge::Heads>> heads(std::string_view key) override {
    return store_->heads(key);
  }
  Result<std::optional<sync::ConflictsView>> conflicts(std::string_view key) override {
    return documents_->conflicts(key);
  }
  Result<std::vector<automerge::ChangeInfo>> history(std::string_view key) override {
    return documents_->history(key);
  }
  void put(std::string_view key, std::string_view json, const sync::Precondition& precondition,
           WriteDone done) override;
  void patch(std::string_view key, std::string_view merge_patch,
             const sync::Precondition& precondition, WriteDone done) override;
  void settle(std::string_view key, std::string_view settlements,
              const sync::Precondition& precondition, WriteDone done) override;
  void erase(std::string_view key, const sync::Precondition& precondition, WriteDone done) override;
  void await_holders(std::string_view key, const std::optional<sync::WaitFor>& wanted,
                     Duration deadline, sync::WriteWaits::Done done) override;
  Result<std::vector<std::string>> keys(std::string_view prefix, std::string_view after,
                                        std::size_t limit) override {
    return store_->keys(prefix, after, limit);
  }
  std::uint64_t count(std::string_view collection) const override {
    return store_->count(collection);
  }
  query::Source& queries() override { return *queries_; }
  LiveQueries& live() override { return live_; }
  std::vector<CollectionInfo> collections() const override;
  std::vector<PeerInfo> peers() const override;
  void survey_lag(std::function<void(Result<std::vector<PeerSync>>)> done) override {
    operations_->survey_lag(std::move(done));
  }
  Explanation explain_document(std::string_view key, const EndpointId& peer) override {
    return operations_->explain_document(key, peer);
  }
  Explanation explain_peer(const EndpointId& peer) override {
    return operations_->explain_peer(peer);
  }
  std::vector<sync::Quarantined> quarantined() const override { return documents_->quarantined(); }
  Result<std::vector<EndpointId>> retry_quarantined(std::string_view key) override {
    return operations_->retry_quarantined(key);
  }
  Status drop_quarantined(std::string_view key) override {
    return documents_->drop_quarantined(key);
  }
  void backup(std::function<void(Result<std::filesystem::path>)> done) override {
    operations_->backup(std::move(done));
  }
  void compact_store(std::function<void(Result<store::DocumentStore::Compaction>)> done) override {
    store_->compact_file(std::move(done));
  }
  void add_peer(const PeerSetting& peer, Done done) override;
  void remove_peer(const EndpointId& peer, Done done) override;
  std::vector<security::PendingDevice> pending() const override {
    return membership_ ? membership_->pending() : std::vector<security::PendingDevice>();
  }
  Status decide_pending(const EndpointId& device, bool approved) override {
    return membership_ ? membership_->decide_pending(device, approved)
                       : NodeApi::decide_pending(device, approved);
  }
  store::StoreStats store() const override { return store_->stats(); }
  void reseal(Done done) override;
  AccessInfo access() const override;
  std::vector<security::Member> members() const override {
    return membership_ ? membership_->members() : std::vector<security::Member>();
  }
  EventLog& events() override { return *events_; }
  std::string metrics(const HttpCounters& http) const override;
  void reload(const Settings& settings) override;
  void shutdown(Done done) override;

 private:
  Status open_access();
  Status open_store();
  Status open_membership();
  Result<std::set<EndpointId>> load_bound_peers() const;
  void keep_bound_peer(const EndpointId& peer);
  Status open_network();
  Status open_sync(const std::optional<crypto::SecretBytes>& secret);
  Status open_peers();
  // Those of the settings, and where the mesh that was joined is reached.
  Peers configured_peers(const Peers& from_settings) const;
  void warn_of_weaknesses() const;
  void acknowledge(Result<sync::WriteResult> result, WriteDone done);
  void on_change(const store::ChangeEvent& change);
  void on_peer(const EndpointId& peer, bool connected);
  void on_refused(const sync::RefusedPeer& refused);
  void on_fault(const EndpointId& peer, const sync::DocumentFault& fault);
  void on_denied(const sync::Access::Denial& denial);
  void look_at_rights();
  Status may_write(std::string_view key, security::Right right) const {
    return access_->may_write_here(key_->public_key(), key, right);
  }
  // At most one line per subject in ten seconds; whether it was said.
  bool say_rarely(LogLevel level, std::string_view subject, std::string message);
  Status dial(const PeerSetting& peer);
  bool drop(const EndpointId& peer);  // false: nobody knew it
  void save_peers(Done done);
  void reload_peers(const Peers& peers);
  Result<std::vector<Event>> read_feed(std::uint64_t after, std::size_t limit) const;
  void trim_when_quiet();
  void say(LogLevel level, std::string_view message) const {
    if (log_) log_(level, message);
  }

  AsioExecutor& executor_;
  Settings settings_;
  const Log log_;
  const Limits limits_;
  SystemRandom random_;
  PeerBook book_;
  const Instant started_;
  std::optional<crypto::SecretKey> key_;
  std::unique_ptr<store::DocumentStore> store_;
  std::optional<sync::Access> access_;
  std::unique_ptr<sync::Documents> documents_;
  std::unique_ptr<DocumentIndex> index_;
  std::unique_ptr<QuerySource> queries_;
  LiveQueries live_{*this, limits_};
  std::unique_ptr<EventLog> events_;
  std::unique_ptr<Membership> membership_;
  std::unique_ptr<net::QuicEndpoint> endpoint_;
  std::unique_ptr<sync::Connector> connector_;
  std::unique_ptr<sync::SyncChannelManager> channels_;
  std::unique_ptr<sync::Coordinator> coordinator_;
  std::unique_ptr<sync::Upkeep> upkeep_;
  std::unique_ptr<Operations> operations_;
  std::set<EndpointId> connected_;
  std::map<EndpointId, sync::Access::Fingerprint> rights_;  // of those, when they connected
  std::set<EndpointId> bound_peers_;
  LogLimiter limiter_;
  std::uint64_t handshakes_failed_ = 0;
  std::string store_error_;        // of the last commit, if it failed
  std::string_view local_action_;  // what the local write under way is called
  std::uint64_t observer_ = 0;
  Instant last_change_{};
  TimerId trim_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

Status NodeImpl::open() {
  PEAT_TRY(const auto secret, load_formation_secret(settings_));
  PEAT_TRY(auto key, choose_identity(settings_, secret, random_));
  key_.emplace(std::move(key));
  PEAT_TRY_VOID(open_access());
  PEAT_TRY_VOID(open_store());
  PEAT_TRY_VOID(open_membership());
  PEAT_TRY_VOID(open_network());
  PEAT_TRY_VOID(open_sync(secret));
  settings_.formation_secret = {};
  warn_of_weaknesses();
  return open_peers();
}

Status NodeImpl::open_access() {
  PEAT_TRY(auto rules, security::AccessRules::create(settings_.access));
  sync::Access::Options options;
  options.standing = [this](const EndpointId& peer) {
    return membership_ ? membership_->standing(peer) : security::Standing{.id = peer};
  };
  options.author = [this](std::span<const std::uint8_t> prefix) {
    return membership_ ? membership_->author(prefix) : std::nullopt;
  };
  options.on_denied = [this](const auto& denial) { on_denied(denial); };
  options.limits = limits_;
  access_.emplace(std::move(rules), std::move(options));
  return {};
}

Status NodeImpl::open_store() {
  PEAT_TRY(const auto keys, load_store_keys(settings_));
  auto opened = store::DocumentStore::open(settings_.data_dir, executor_, random_, limits_, keys);
  if (!opened) {
    return std::unexpected(explain_store_error(settings_, std::move(opened).error()));
  }
  store_ = std::move(*opened);
  sync::Documents::Options options;
  options.node_id = settings_.node_id;
  options.limits = limits_;
  options.collections = collections_of(settings_);
  options.device = key_->public_key();
  options.access = &*access_;
  options.on_quarantine = [this](std::string_view key, std::string_view reason) {
    say_rarely(LogLevel::warn, fmt::format("quarantine {}", key),
               fmt::format("document set aside key={} reason=\"{}\"", key, reason));
  };
  PEAT_TRY(documents_, sync::Documents::open(*store_, executor_, std::move(options)));
  PEAT_TRY(index_, DocumentIndex::open(*documents_, executor_));
  PEAT_TRY(const auto indexes, indexes_of(settings_, limits_));
  PEAT_TRY_VOID(index_->set(indexes));
  queries_ = std::make_unique<QuerySource>(*documents_, *index_, *key_);
  events_ = std::make_unique<EventLog>(
      limits_.events_kept, store_->last_seq(),
      [this](std::uint64_t after, std::size_t limit) { return read_feed(after, limit); });
  observer_ = store_->subscribe([this](const auto& change) { on_change(change); });
  return {};
}

// record := u8 1, count x id[32]
Result<std::set<EndpointId>> NodeImpl::load_bound_peers() const {
  std::set<EndpointId> out;
  PEAT_TRY(const auto record, store_->meta(kBoundPeersMeta));
  if (!record || record->empty()) return out;
  constexpr std::size_t kIdBytes = sizeof(EndpointId::bytes);
  for (std::size_t at = 1; at + kIdBytes <= record->size(); at += kIdBytes) {
    EndpointId id;
    std::copy_n(record->begin() + static_cast<std::ptrdiff_t>(at), kIdBytes, id.bytes.begin());
    out.insert(id);
  }
  return out;
}

// Who has proved itself once is not believed without proof again, after a restart neither.
void NodeImpl::keep_bound_peer(const EndpointId& peer) {
  if (!bound_peers_.insert(peer).second) return;
  Bytes record{1};
  for (const auto& id : bound_peers_) {
    record.insert(record.end(), id.bytes.begin(), id.bytes.end());
  }
  store::WriteBatch batch;
  batch.put_meta(std::string(kBoundPeersMeta), std::move(record));
  if (const auto written = store_->write(std::move(batch)); !written) {
    say(LogLevel::error, fmt::format("a bound peer is not kept: {}", written.error().message));
  }
}

Status NodeImpl::open_membership() {
  Membership::Deps deps{executor_,
                        random_,
                        *store_,
                        *documents_,
                        *key_,
                        limits_,
                        [this](LogLevel level, const std::string& subject, std::string message) {
                          say_rarely(level, subject, std::move(message));
                        },
                        [this](const EndpointId& peer, std::string_view alpn) {
                          return access_->may_use(peer, alpn);
                        },
                        [this] { look_at_rights(); },
                        settings_.enrollment_approval};
  PEAT_TRY(membership_, Membership::open(std::move(deps), MeshFiles{settings_.data_dir}));
  return {};
}

Status NodeImpl::open_network() {
  net::EndpointOptions options;
  options.id = key_->public_key();
  options.sign = [this](ByteView message) {
    const auto signature = key_->sign(message);
    return Bytes(signature.begin(), signature.end());
  };
  options.bind = settings_.bind.to_string();
  options.gso = settings_.gso;
  options.limits = limits_;
  if (!settings_.qlog_dir.empty()) {
    std::error_code error;
    std::filesystem::create_directories(settings_.qlog_dir, error);
    if (error) {
      return fail(Code::io_error,
                  fmt::format("qlog_dir {}: {}", settings_.qlog_dir.string(), error.message()));
    }
    options.qlog_dir = settings_.qlog_dir.string();
  }
  auto endpoint = net::QuicEndpoint::create(executor_.loop(), std::move(options));
  if (!endpoint) {
    return fail(endpoint.error().code,
                fmt::format("bind {}: {}", settings_.bind.to_string(), endpoint.error().message));
  }
  endpoint_ = std::move(*endpoint);
  return {};
}

Status NodeImpl::open_sync(const std::optional<crypto::SecretBytes>& secret) {
  sync::ConnectorOptions options;
  if (secret) {
    PEAT_TRY(auto formation,
             security::FormationKey::derive(secret->view(), settings_.formation_id, limits_));
    options.formation.emplace(std::move(formation));
    PEAT_TRY(const auto other, load_other_secret(settings_));
    if (other) {
      PEAT_TRY(auto accepted,
               security::FormationKey::derive(other->view(), settings_.formation_id, limits_));
      options.other_formation.emplace(std::move(accepted));
    }
  }
  options.binding = static_cast<sync::Binding>(settings_.formation_binding);
  PEAT_TRY(bound_peers_, load_bound_peers());
  options.bound_before = bound_peers_;
  options.on_bound = [this](const EndpointId& peer) { keep_bound_peer(peer); };
  options.allow_unauthenticated_peers = settings_.allow_unauthenticated_peers;
  options.native = settings_.native_protocol;
  options.on_refused = [this](const auto& refused) { on_refused(refused); };
  options.admit = [this](const EndpointId& id, std::string_view alpn) -> Status {
    if (membership_) PEAT_TRY_VOID(membership_->admit(id));
    return alpn.empty() ? Status() : access_->may_use(id, alpn);
  };
  if (membership_) options.protocols = membership_->protocols();
  connector_ = sync::Connector::create(*endpoint_, executor_, random_, limits_, std::move(options));
  channels_ = sync::SyncChannelManager::create(*connector_, executor_, random_, limits_,
                                               channel_options(settings_));
  sync::Coordinator::Options coordinator;
  coordinator.node_id = settings_.node_id;
  coordinator.limits = limits_;
  coordinator.on_peer = [this](const EndpointId& peer, bool connected) {
    on_peer(peer, connected);
  };
  coordinator.on_fault = [this](const auto& peer, const auto& fault) { on_fault(peer, fault); };
  coordinator.access = &*access_;
  coordinator.relation_of = [this](const auto& peer) { return book_.relation(peer); };
  PEAT_TRY(coordinator_,
           sync::Coordinator::create(*documents_, *channels_, executor_, std::move(coordinator)));
  sync::Upkeep::Options upkeep;
  upkeep.before_collection = [this](std::chrono::milliseconds clock) {
    coordinator_->note_acknowledgements(clock);
  };
  upkeep.acknowledged = [this](const store::TombstoneRecord& tombstone) {
    return coordinator_->acknowledged(tombstone);
  };
  PEAT_TRY(upkeep_, sync::Upkeep::open(*documents_, executor_, std::move(upkeep)));
  operations_ = std::make_unique<Operations>(
      Operations::Deps{executor_, *store_, *documents_, *coordinator_, book_, *access_,
                       settings_.data_dir, [this] { return peers(); }});
  connector_->start();
  if (membership_) membership_->start(*connector_, *endpoint_);
  return {};
}

Peers NodeImpl::configured_peers(const Peers& from_settings) const {
  auto peers = from_settings;
  if (!membership_) return peers;
  for (const auto& peer : membership_->peers()) {
    const bool known = peer.id == key_->public_key() ||
                       std::ranges::find(peers, peer.id, &PeerSetting::id) != peers.end();
    if (!known) peers.push_back(peer);
  }
  return peers;
}

Status NodeImpl::open_peers() {
  PEAT_TRY(const auto record, store_->meta(kPeersMeta));
  if (record) PEAT_TRY_VOID(book_.decode(*record));
  book_.set_from_settings(configured_peers(settings_.peers));
  for (const auto& peer : book_.all()) {
    if (auto status = dial(peer); !status) {
      return fail(Code::bad_setting,
                  fmt::format("peers: {}: {}", peer.to_string(), status.error().message));
    }
  }
  return {};
}

NodeImpl::~NodeImpl() {
  *alive_ = false;
  if (trim_timer_ != 0) executor_.cancel(trim_timer_);
  if (store_ && observer_ != 0) store_->unsubscribe(observer_);
  if (membership_) membership_->stop();
  operations_.reset();
  upkeep_.reset();
  coordinator_.reset();
  channels_.reset();
  connector_.reset();
  endpoint_.reset();
  queries_.reset();
  index_.reset();
  documents_.reset();
}

void NodeImpl::warn_of_weaknesses() const {
  const auto warn = [this](std::string_view message) { say(LogLevel::warn, message); };
  if (settings_.allow_weak_secret) warn("weak formation secrets are accepted (allow_weak_secret)");
  if (settings_.formation_binding == Binding::off) {
    warn("peers of the old protocol prove nothing when they are dialled (formation_binding=off)");
  }
  if (settings_.allow_unauthenticated_peers) {
    warn("any peer may synchronise without proof (allow_unauthenticated_peers)");
  }
  if (settings_.legacy_identity) {
    warn("whoever knows the formation secret knows this node's key (legacy_identity)");
  }
  for (const auto& peer : settings_.peers) {
    if (!peer.authenticated) {
      warn(fmt::format("a peer needs no proof (auth=none) peer={}", peer.id.short_form()));
    }
  }
}

NodeInfo NodeImpl::info() const {
  NodeInfo info;
  info.node_id = settings_.node_id;
  info.endpoint_id = endpoint_->id();
  info.bind = endpoint_->local_address();
  const auto uptime = executor_.now().mono - started_;
  info.uptime_secs =
      static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(uptime).count());
  info.documents = store_->count();
  info.last_seq = store_->last_seq();
  info.durable_seq = store_->durable_seq();
  info.store_id = store_->incarnation().store_id;
  info.feed_floor = documents_->feed_floor();
  return info;
}

std::vector<ReadyCheck> NodeImpl::readiness() const {
  return {{"store", store_error_.empty(), store_error_}};
}

void NodeImpl::put(std::string_view key, std::string_view json,
                   const sync::Precondition& precondition, WriteDone done) {
  if (auto may = may_write(key, security::Right::write); !may) {
    return done(std::unexpected(std::move(may).error()));
  }
  const auto before = store_->heads(key);
  local_action_ = before && *before ? "update" : "insert";
  acknowledge(documents_->put(key, json, precondition), std::move(done));
}

void NodeImpl::patch(std::string_view key, std::string_view merge_patch,
                     const sync::Precondition& precondition, WriteDone done) {
  if (auto may = may_write(key, security::Right::write); !may) {
    return done(std::unexpected(std::move(may).error()));
  }
  const auto before = store_->heads(key);
  local_action_ = before && *before ? "update" : "insert";
  acknowledge(documents_->patch(key, merge_patch, precondition), std::move(done));
}

void NodeImpl::settle(std::string_view key, std::string_view settlements,
                      const sync::Precondition& precondition, WriteDone done) {
  if (auto may = may_write(key, security::Right::write); !may) {
    return done(std::unexpected(std::move(may).error()));
  }
  local_action_ = "update";
  acknowledge(documents_->settle(key, settlements, precondition), std::move(done));
}

void NodeImpl::erase(std::string_view key, const sync::Precondition& precondition, WriteDone done) {
  if (auto may = may_write(key, security::Right::erase); !may) {
    return done(std::unexpected(std::move(may).error()));
  }
  acknowledge(documents_->erase(key, std::nullopt, precondition), std::move(done));
}

void NodeImpl::await_holders(std::string_view key, const std::optional<sync::WaitFor>& wanted,
                             Duration deadline, sync::WriteWaits::Done done) {
  sync::Write write{std::string(key), {}, store_->last_seq()};
  if (const auto record = store_->document(key); record && *record) {
    write.heads = (*record)->heads;
    write.seq = (*record)->seq;
  } else if (const auto buried = store_->tombstone(key); buried && *buried) {
    write.seq = (*buried)->seq;
  }
  const auto enough = wanted.value_or(sync::WaitFor{coordinator_->quorum_peers(), {}});
  coordinator_->await_holders(std::move(write), enough, deadline, std::move(done));
}

void NodeImpl::acknowledge(Result<sync::WriteResult> result, WriteDone done) {
  if (!result) return done(std::move(result));
  store_->on_durable(
      [this, alive = alive_, result = std::move(result), done = std::move(done)](Status status) {
        if (!*alive) return;
        store_error_ = status ? std::string() : status.error().message;
        if (status) return done(result);
        say(LogLevel::error, fmt::format("a commit failed: {}", store_error_));
        done(std::unexpected(std::move(status).error()));
      });
}

std::vector<CollectionInfo> NodeImpl::collections() const {
  std::vector<CollectionInfo> list;
  for (auto& name : store_->collections()) {
    const auto documents = store_->count(name);
    if (documents > 0) list.push_back({std::move(name), documents});
  }
  return list;
}

std::vector<PeerInfo> NodeImpl::peers() const {
  std::vector<PeerInfo> list;
  for (auto& status : connector_->peers()) {
    PeerInfo peer;
    peer.id = status.id;
    peer.address = std::move(status.address);
    peer.state = std::move(status.state);
    peer.dialect = std::move(status.dialect);
    peer.handshake = std::move(status.handshake);
    peer.source = book_.in_settings(peer.id) ? "settings"
                  : book_.added(peer.id)     ? "api"
                                             : "inbound";
    peer.connected = connected_.contains(peer.id);
    peer.dialled = status.dialled;
    peer.connects = status.connects;
    peer.failures = status.failures;
    peer.last_error = std::move(status.last_error);
    if (status.stats) {
      const auto rtt =
          std::chrono::duration_cast<std::chrono::milliseconds>(status.stats->smoothed_rtt);
      peer.rtt_ms = static_cast<std::uint64_t>(rtt.count());
      peer.bytes_sent = status.stats->bytes_sent;
      peer.bytes_received = status.stats->bytes_received;
    }
    if (const auto session = coordinator_->status(peer.id)) {
      const auto known = session->dialect == sync::Dialect::native ? session->acked : session->sent;
      peer.lag = session->last_seq - std::min(known, session->last_seq);
      peer.documents_sent = session->documents_sent;
      peer.documents_received = session->documents_received;
      peer.refused = session->refused;
      peer.poison = session->poison;
      peer.withheld = session->withheld;
      peer.denied = session->denied;
      for (auto& fault : session->faults) {
        peer.faults.push_back({fault.key, fault.error.message});
      }
      peer.circuit = name(session->circuit);
      peer.circuit_reason = session->circuit_reason;
      if (session->circuit_wait) {
        peer.circuit_wait_ms = static_cast<std::uint64_t>(
            std::chrono::duration_cast<std::chrono::milliseconds>(*session->circuit_wait).count());
      }
      peer.retries = session->retries;
    }
    list.push_back(std::move(peer));
  }
  return list;
}

Status NodeImpl::dial(const PeerSetting& peer) {
  sync::PeerAddress address{peer.id,
                            peer.address.to_string(),
                            peer.authenticated ? sync::PeerAuth::formation : sync::PeerAuth::none,
                            {}};
  // A mesh that was joined by a link is reached at up to four addresses.
  for (const auto& known : membership_ ? membership_->peers() : Peers()) {
    if (known.id == peer.id && known.address != peer.address) {
      address.others.push_back(known.address.to_string());
    }
  }
  PEAT_TRY_VOID(connector_->add_peer(std::move(address)));
  PEAT_TRY([[maybe_unused]] auto* channel, channels_->get_channel(peer.id));
  return {};
}

bool NodeImpl::drop(const EndpointId& peer) {
  const bool has_channel = channels_->find_channel(peer) != nullptr;
  channels_->remove_channel(peer);
  const bool known = connector_->remove_peer(peer);
  coordinator_->forget(peer);
  return known || has_channel;
}

void NodeImpl::add_peer(const PeerSetting& peer, Done done) {
  if (auto status = book_.add(peer); !status) return done(std::move(status));
  if (auto status = dial(peer); !status) {
    book_.remove(peer.id);
    return done(std::move(status));
  }
  say(LogLevel::info,
      fmt::format("peer added peer={} address={}", peer.id.short_form(), peer.address.to_string()));
  save_peers(std::move(done));
}

void NodeImpl::remove_peer(const EndpointId& peer, Done done) {
  const bool in_book = book_.remove(peer);
  if (!drop(peer) && !in_book) {
    return done(fail(Code::not_found, "peer not found: " + peer.to_string()));
  }
  say(LogLevel::info, fmt::format("peer removed peer={}", peer.short_form()));
  save_peers(std::move(done));
}

void NodeImpl::reseal(Done done) {
  if (auto begun = store_->reseal(random_); !begun) return done(std::move(begun));
  say(LogLevel::info, fmt::format("the store is sealed anew key={}", store_->stats().data_key + 1));
  store_->on_durable(std::move(done));
}

void NodeImpl::save_peers(Done done) {
  store::WriteBatch batch;
  batch.put_meta(std::string(kPeersMeta), book_.encode());
  if (auto written = store_->write(std::move(batch)); !written) {
    return done(std::unexpected(std::move(written).error()));
  }
  store_->on_durable(std::move(done));
}

void NodeImpl::reload(const Settings& settings) {
  documents_->set_collections(collections_of(settings));
  if (auto rules = security::AccessRules::create(settings.access)) {
    access_->set_rules(std::move(*rules));
    look_at_rights();
  }
  auto indexes = indexes_of(settings, limits_);
  const auto set = indexes ? index_->set(*indexes) : Status(std::unexpected(indexes.error()));
  if (!set) say(LogLevel::error, fmt::format("reload: {}", set.error().message));
  reload_peers(settings.peers);
  coordinator_->relate();
}

void NodeImpl::reload_peers(const Peers& peers) {
  const auto difference = book_.set_from_settings(configured_peers(peers));
  for (const auto& id : difference.removed) drop(id);
  for (const auto& peer : difference.added) {
    if (auto status = dial(peer); !status) {
      say(LogLevel::error, fmt::format("reload: {}: {}", peer.to_string(), status.error().message));
    }
  }
  say(LogLevel::info, fmt::format("peers reloaded added={} removed={}", difference.added.size(),
                                  difference.removed.size()));
}

void NodeImpl::on_change(const store::ChangeEvent& change) {
  Event event;
  event.seq = change.seq;
  event.key = change.key;
  event.peer = change.origin;
  if (change.action == store::ChangeEvent::Action::erase) {
    event.action = "delete";
  } else if (change.origin) {
    event.action = "merge";
  } else {
    event.action = local_action_.empty() ? "update" : local_action_;
  }
  events_->publish(std::move(event));
  index_->on_change();
  if (membership_) membership_->on_change(change);
  last_change_ = executor_.now().mono;
  if (trim_timer_ == 0) trim_when_quiet();
}

void NodeImpl::on_peer(const EndpointId& peer, bool connected) {
  if (connected ? !connected_.insert(peer).second : connected_.erase(peer) == 0) return;
  if (connected) {
    rights_[peer] = access_->fingerprint(peer);
  } else {
    rights_.erase(peer);
  }
  Event event;
  event.peer = peer;
  if (connected) {
    event.kind = Event::Kind::peer_connected;
    std::string dialect;
    if (const auto* channel = channels_->find_channel(peer)) {
      dialect = channel->dialect() == sync::Dialect::native ? sync::kAlpnNative : sync::kAlpnOld;
    }
    say(LogLevel::info, fmt::format("peer connected peer={} endpoint_id={} protocol={}",
                                    peer.short_form(), peer.to_string(), dialect));
  } else {
    event.kind = Event::Kind::peer_disconnected;
    for (const auto& status : connector_->peers()) {
      if (status.id == peer) event.reason = status.last_error;
    }
    say(LogLevel::info,
        fmt::format("peer disconnected peer={} reason=\"{}\"", peer.short_form(), event.reason));
  }
  events_->publish(std::move(event));
}

bool NodeImpl::say_rarely(LogLevel level, std::string_view subject, std::string message) {
  const auto left_out = limiter_.admit(subject.substr(0, kSubjectBytes), executor_.now().mono);
  if (!left_out) return false;
  // Keys and reasons are a stranger's bytes: one line, and no commands to a terminal.
  std::ranges::replace_if(message, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  if (*left_out > 0) message += fmt::format(" left_out={}", *left_out);
  say(level, message);
  return true;
}

// Every denial is counted; the log and the followers of events get one of a kind in ten seconds.
void NodeImpl::on_denied(const sync::Access::Denial& denial) {
  const auto right = security::to_string(denial.right);
  const auto collection = denial.key.substr(0, denial.key.find(':'));
  const bool said = say_rarely(
      LogLevel::warn, fmt::format("denied {} {} {}", denial.peer.short_form(), right, collection),
      fmt::format("access denied peer={} right={} key={} reason=\"{}\"", denial.peer.short_form(),
                  right, denial.key, denial.why));
  if (!said || !events_) return;
  Event event;
  event.kind = Event::Kind::denied;
  event.peer = denial.peer;
  event.action = right;
  event.key = denial.key;
  event.reason = denial.why;
  events_->publish(std::move(event));
}

// Under other rights than when it connected a peer's session begins anew.
void NodeImpl::look_at_rights() {
  if (!connector_) return;
  for (const auto& [peer, before] : rights_) {
    if (access_->fingerprint(peer) != before) connector_->restart(peer, "access rights changed");
  }
}

AccessInfo NodeImpl::access() const {
  AccessInfo info;
  for (const auto& rule : access_->rules().rules()) info.rules.push_back(rule.text);
  info.denied = access_->denied();
  for (const auto& peer : connected_) {
    for (const auto& collection : collections()) {
      const auto may = [&](security::Right right) {
        return access_->allows(peer, right, collection.name);
      };
      info.peers.push_back({peer, collection.name, may(security::Right::read),
                            may(security::Right::write), may(security::Right::relay),
                            may(security::Right::erase)});
    }
  }
  return info;
}

void NodeImpl::on_refused(const sync::RefusedPeer& refused) {
  if (refused.answered) ++handshakes_failed_;
  if (membership_) membership_->on_refused(refused);
  // Anybody can have many ids: strangers of one host are one subject.
  const auto subject = refused.configured ? refused.id.to_string() : network_of(refused.address);
  say_rarely(refused.answered ? LogLevel::warn : LogLevel::info, subject,
             fmt::format("{} peer={} endpoint_id={} address={} reason=\"{}\"",
                         !refused.answered ? "peer unreachable"
                         : refused.dialled ? "dial failed"
                                           : "peer refused",
                         refused.id.short_form(), refused.id.to_string(), refused.address,
                         refused.error.message));
}

void NodeImpl::on_fault(const EndpointId& peer, const sync::DocumentFault& fault) {
  say_rarely(LogLevel::warn, fmt::format("fault {} {}", peer.to_string(), fault.key),
             fmt::format("document skipped peer={} key={} reason=\"{}\"", peer.short_form(),
                         fault.key, fault.error.message));
}

Result<std::vector<Event>> NodeImpl::read_feed(std::uint64_t after, std::size_t limit) const {
  PEAT_TRY(auto rows, store_->feed(after, limit));
  std::vector<Event> events;
  for (auto& row : rows) {
    Event event;
    event.seq = row.seq;
    event.key = std::move(row.key);
    event.peer = row.origin;
    event.action = row.kind == store::FeedKind::tombstone ? "delete"
                   : row.origin                           ? "merge"
                                                          : "update";
    events.push_back(std::move(event));
  }
  return events;
}

void NodeImpl::trim_when_quiet() {
  trim_timer_ = executor_.at(last_change_ + kTrimAfter, [this] {
    trim_timer_ = 0;
    if (executor_.now().mono - last_change_ < kTrimAfter) return trim_when_quiet();
    malloc_trim(0);
  });
}

std::string NodeImpl::metrics(const HttpCounters& http) const {
  MetricSource source;
  source.info = info();
  source.resident_bytes = resident_bytes();
  for (const auto& entry : documents_->quarantined()) {
    ++(entry.kind == sync::QuarantineKind::refused ? source.refused : source.quarantined);
  }
  source.cache_bytes = documents_->cached_bytes();
  source.events = events_->published();
  source.handshakes_failed = handshakes_failed_;
  source.denied = access_->denied();
  source.store = store_->stats();
  source.upkeep = upkeep_->stats();
  source.net = endpoint_->stats();
  source.channels = channels_->stats();
  source.http = http;
  source.peers = peers();
  return exposition(source);
}

void NodeImpl::shutdown(Done done) {
  if (trim_timer_ != 0) executor_.cancel(trim_timer_);
  trim_timer_ = 0;
  coordinator_->note_acknowledgements(upkeep_->clock());
  upkeep_->save();
  documents_->keep_quarantine();
  channels_->shutdown([this, done = std::move(done)]() mutable {
    connector_->shutdown();
    endpoint_->shutdown(kCloseShutdown, "shutdown", [this, done = std::move(done)]() mutable {
      store_->close(std::move(done));
    });
  });
}

}  // namespace

sync::ChannelOptions channel_options(const Settings& settings) {
  sync::ChannelOptions options;
  options.reconnect_attempts = settings.reconnect_attempts;
  options.reconnect_forever = settings.reconnect_forever;
  options.reconnect_delay = settings.reconnect_delay;
  options.reconnect_delay_cap = settings.reconnect_delay_cap;
  options.read_limit = settings.read_limit;
  return options;
}

Result<std::unique_ptr<Node>> Node::open(AsioExecutor& executor, Settings settings, Log log,
                                         const Limits& limits) {
  auto node = std::make_unique<NodeImpl>(executor, std::move(settings), std::move(log), limits);
  PEAT_TRY_VOID(node->open());
  return node;
}

}  // namespace peat::node
