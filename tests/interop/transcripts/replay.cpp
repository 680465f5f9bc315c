#include "replay.hpp"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "sim/world.hpp"
#include "store/document_store.hpp"
#include "store/memory_disk.hpp"
#include "sync/channel.hpp"
#include "sync/connector.hpp"
#include "sync/coordinator.hpp"
#include "sync/documents.hpp"

namespace peat::transcripts {
namespace {

using std::chrono::milliseconds;
using transport::StreamId;

constexpr milliseconds kAcknowledgedAfter{1};
constexpr milliseconds kQuiet{2000};  // after the last event

EndpointId somebody_else() {
  EndpointId id;
  id.bytes.fill(0x11);
  return id;
}

// What our stack says goes nowhere, and is acknowledged; what it hears, the transcript says.
class ScriptedConnection final : public transport::Connection,
                                 public std::enable_shared_from_this<ScriptedConnection> {
 public:
  ScriptedConnection(sim::World& world, EndpointId peer, std::uint32_t number,
                     const ConnectionBegan& began)
      : world_(world), peer_(peer), number_(number), began_(began) {}

  EndpointId peer() const override { return peer_; }
  std::string_view alpn() const override { return began_.alpn; }
  bool dialled() const override { return began_.dialled; }
  std::uint64_t stable_id() const override { return number_; }
  std::string remote_address() const override { return "192.0.2.1:11204"; }
  transport::ConnectionStats stats() const override { return {.smoothed_rtt = milliseconds(1)}; }
  void set_handler(transport::ConnectionHandler* handler) override { handler_ = handler; }
  void mark_authenticated() override {}
  Result<StreamId> open_bidirectional() override { return open(0); }
  Result<StreamId> open_unidirectional() override { return open(2); }
  Status write(StreamId stream, ByteView data, bool /*fin*/) override {
    if (closed_ || stopped_.contains(stream)) {
      return fail(Code::connection_lost, fmt::format("stream {} takes nothing", stream));
    }
    unacknowledged_[stream] += data.size();
    world_.after(kAcknowledgedAfter, [self = shared_from_this(), stream, size = data.size()] {
      self->unacknowledged_[stream] -= size;
      if (self->handler_ != nullptr) self->handler_->on_acknowledged(*self, stream);
      if (self->handler_ != nullptr) self->handler_->on_wants_data(*self, stream);
    });
    return {};
  }
  std::uint64_t unsent(StreamId) const override { return 0; }
  std::uint64_t unacknowledged(StreamId stream) const override {
    const auto found = unacknowledged_.find(stream);
    return found == unacknowledged_.end() ? 0 : found->second;
  }
  bool wants_data(StreamId) const override { return !closed_; }
  void consumed(StreamId, std::uint64_t) override {}
  void reset(StreamId, std::uint64_t) override {}
  void stop_sending(StreamId, std::uint64_t) override {}
  void close(std::uint64_t, std::string_view) override {
    world_.after(kAcknowledgedAfter, [self = shared_from_this()] { self->end(); });
  }

  void tell(const StreamOpened& e) {
    if (handler_ != nullptr) handler_->on_stream_opened(*this, e.stream);
  }
  void tell(const DataCame& e, Pieces pieces) {
    const ByteView all = e.bytes;
    const auto step = pieces == Pieces::single_bytes ? 1 : std::max<std::size_t>(all.size(), 1);
    std::size_t at = 0;
    do {
      const auto piece = all.subspan(at, std::min(step, all.size() - at));
      at += piece.size();
      if (handler_ != nullptr) {
        handler_->on_data(*this, e.stream, piece, e.fin && at == all.size());
      }
    } while (at < all.size());
  }
  void tell(const StreamReset& e) {
    if (handler_ != nullptr) handler_->on_reset(*this, e.stream, e.code);
  }
  void tell(const StreamStopped& e) {
    stopped_.insert(e.stream);
    if (handler_ != nullptr) handler_->on_stop_sending(*this, e.stream, e.code);
  }
  void end() {
    if (std::exchange(closed_, true) || handler_ == nullptr) return;
    handler_->on_closed(*this, {transport::CloseInfo::Kind::peer, 0, "as recorded"});
    handler_ = nullptr;
  }

 private:
  Result<StreamId> open(StreamId direction) {
    if (closed_) return fail(Code::connection_lost, "the connection has ended");
    auto& count = direction == 0 ? bidirectional_ : unidirectional_;
    return count++ * 4 + direction + (began_.dialled ? 0 : 1);
  }

  sim::World& world_;
  EndpointId peer_;
  std::uint32_t number_;
  ConnectionBegan began_;
  transport::ConnectionHandler* handler_ = nullptr;
  std::map<StreamId, std::uint64_t> unacknowledged_;
  std::set<StreamId> stopped_;
  StreamId bidirectional_ = 0;
  StreamId unidirectional_ = 0;
  bool closed_ = false;
};

// Hands out the connections of the transcript whose peer was proven when it was recorded.
class ScriptedTransport final : public sync::SyncTransport {
 public:
  explicit ScriptedTransport(Executor& executor) : executor_(executor) {}

  std::optional<sync::AuthenticatedConnection> get_connection(const EndpointId&) const override {
    return std::nullopt;
  }
  std::vector<EndpointId> connected_peers() const override { return {}; }
  bool is_configured(const EndpointId&) const override { return true; }
  void get_or_connect(const EndpointId&, Callback done) override {
    executor_.post([done = std::move(done)] {
      done(fail(Code::unreachable, "connections come from the transcript"));
    });
  }
  void give_up(const EndpointId&) override {}
  void on_connected(std::function<void(sync::AuthenticatedConnection)> handler) override {
    handler_ = std::move(handler);
  }
  void hand_out(std::shared_ptr<transport::Connection> connection) {
    handler_({std::move(connection), sync::Dialect::old, true, false});
  }

 private:
  Executor& executor_;
  std::function<void(sync::AuthenticatedConnection)> handler_;
};

struct Link {
  std::shared_ptr<ScriptedConnection> connection;
  std::set<StreamId> before_proof;  // the handshake's, which sync never sees
  bool proven = false;
};

class Player {
 public:
  Player(const Transcript& transcript, Pieces pieces)
      : transcript_(transcript), pieces_(pieces), world_(1), executor_(world_) {}
  ~Player() {
    coordinator_.reset();
    channels_.reset();
    executor_.stop();
    documents_.reset();
    store_.reset();
  }
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  Status open();
  Status play();
  std::vector<std::string> differences();

 private:
  Status happen(const Event& event);
  Status on_stream(const Event& event);
  Status on_local(const LocalChanges& local);
  Status on_local(const LocalDeletion& local);
  void compare(const std::string& key, const Expected& expected);
  void compare_counters();
  void differ(std::string what) { differences_.push_back(std::move(what)); }

  const Transcript& transcript_;
  Pieces pieces_;
  sim::World world_;
  sim::SimExecutor executor_;
  ScriptedTransport transport_{executor_};
  Limits limits_;
  std::unique_ptr<store::DocumentStore> store_;
  std::unique_ptr<sync::Documents> documents_;
  std::unique_ptr<sync::SyncChannelManager> channels_;
  std::unique_ptr<sync::Coordinator> coordinator_;
  std::map<std::uint32_t, Link> links_;
  std::vector<std::string> differences_;
};

Status Player::open() {
  PEAT_TRY(store_, store::DocumentStore::open(std::make_shared<store::MemoryDisk>(), executor_,
                                              world_.random(), limits_));
  sync::Documents::Options options;
  options.node_id = "replay";
  options.limits = limits_;
  // The recorded deletions are tombstones; by default these collections are only marked as deleted
  // and refuse to be buried.
  for (const auto* name : {"contact_reports", "commands"}) {
    auto rule = options.collections.rule(name);
    rule.deletion = sync::DeletionPolicy::tombstone;
    options.collections.set(name, rule);
  }
  PEAT_TRY(documents_, sync::Documents::open(*store_, executor_, std::move(options)));
  channels_ = sync::SyncChannelManager::create(transport_, executor_, world_.random(), limits_);
  sync::Coordinator::Options coordinator;
  coordinator.node_id = "replay";
  coordinator.limits = limits_;
  PEAT_TRY(coordinator_,
           sync::Coordinator::create(*documents_, *channels_, executor_, std::move(coordinator)));
  return {};
}

Status Player::play() {
  milliseconds now{};
  for (const auto& event : transcript_.events) {
    world_.run_for(event.at - now);
    now = event.at;
    PEAT_TRY_VOID(happen(event));
  }
  world_.run_for(kQuiet);
  return {};
}

Status Player::happen(const Event& event) {
  if (const auto* local = std::get_if<LocalChanges>(&event.what)) return on_local(*local);
  if (const auto* local = std::get_if<LocalDeletion>(&event.what)) return on_local(*local);
  auto& link = links_[event.connection];
  if (const auto* began = std::get_if<ConnectionBegan>(&event.what)) {
    link.connection =
        std::make_shared<ScriptedConnection>(world_, transcript_.peer, event.connection, *began);
    return {};
  }
  if (!link.connection) return fail(Code::malformed, "an event of a connection that never began");
  return on_stream(event);
}

Status Player::on_stream(const Event& event) {
  auto& link = links_[event.connection];
  auto& connection = *link.connection;
  if (std::holds_alternative<PeerProven>(event.what)) {
    link.proven = true;
    transport_.hand_out(link.connection);
    return {};
  }
  if (std::holds_alternative<ConnectionEnded>(event.what)) {
    connection.end();
    return {};
  }
  std::visit(
      [&](const auto& e) {
        if constexpr (requires { e.stream; }) {
          if (!link.proven) link.before_proof.insert(e.stream);
          if (link.before_proof.contains(e.stream)) return;
          if constexpr (std::is_same_v<std::remove_cvref_t<decltype(e)>, DataCame>) {
            connection.tell(e, pieces_);
          } else {
            connection.tell(e);
          }
        }
      },
      event.what);
  return {};
}

// Our own writes have random names: here they arrive as they were, from another node.
Status Player::on_local(const LocalChanges& local) {
  PEAT_TRY(const auto epoch, documents_->epoch(local.key));
  PEAT_TRY([[maybe_unused]] const auto applied,
           documents_->apply_changes(local.key, epoch, local.changes, somebody_else()));
  return {};
}

Status Player::on_local(const LocalDeletion& local) {
  PEAT_TRY(const auto tombstone, wire::decode_tombstone(local.tombstone, limits_));
  PEAT_TRY([[maybe_unused]] const auto applied,
           documents_->apply_tombstone(tombstone, somebody_else()));
  return {};
}

void Player::compare(const std::string& key, const Expected& expected) {
  const auto view = documents_->get(key);
  if (!view) return differ(fmt::format("{}: {}", key, view.error().message));
  if (!*view) return differ(fmt::format("{}: is not here", key));
  boost::system::error_code error;
  const auto ours = boost::json::parse((*view)->json);
  const auto theirs = boost::json::parse(expected.json, error);
  if (error || ours != theirs) {
    differ(fmt::format("{}: is {}, not {}", key, (*view)->json, expected.json));
  }
  std::set<std::string> heads;
  for (const auto& head : (*view)->heads) heads.insert(head.to_string());
  if (heads != expected.heads) {
    differ(fmt::format("{}: heads are {}, not {}", key, fmt::join(heads, ","),
                       fmt::join(expected.heads, ",")));
  }
}

void Player::compare_counters() {
  if (store_->count() != transcript_.documents.size()) {
    differ(fmt::format("{} documents are here, not {}", store_->count(),
                       transcript_.documents.size()));
  }
  const auto sum = channels_->stats().sum;
  if (sum.undecodable > 0) differ(fmt::format("{} frames were not understood", sum.undecodable));
  if (sum.frames_received != transcript_.frames) {
    differ(fmt::format("{} frames came, not {}", sum.frames_received, transcript_.frames));
  }
  if (sum.heartbeats_received != transcript_.heartbeats) {
    differ(
        fmt::format("{} heartbeats came, not {}", sum.heartbeats_received, transcript_.heartbeats));
  }
  const auto session = coordinator_->status(transcript_.peer);
  if (!session) return differ("there was no session");
  if (session->poison > 0) differ(fmt::format("{} documents were refused", session->poison));
  if (session->violations > 0) differ(fmt::format("{} bad messages", session->violations));
}

std::vector<std::string> Player::differences() {
  for (const auto& [key, expected] : transcript_.documents) compare(key, expected);
  for (const auto& key : transcript_.deleted) {
    const auto view = documents_->get(key);
    const auto tombstone = store_->tombstone(key);
    if (!view || *view) differ(key + ": is not deleted");
    if (!tombstone || !*tombstone) differ(key + ": has no tombstone");
  }
  compare_counters();
  return std::move(differences_);
}

}  // namespace

std::vector<std::string> replay(const Transcript& transcript, Pieces pieces) {
  Player player(transcript, pieces);
  if (const auto opened = player.open(); !opened) return {opened.error().message};
  if (const auto played = player.play(); !played) return {played.error().message};
  return player.differences();
}

}  // namespace peat::transcripts
