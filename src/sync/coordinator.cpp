#include "sync/coordinator.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace peat::sync {
namespace {

// A tombstone waits for peers that were here so long ago, no longer.
constexpr std::chrono::hours kPeerCounts(24 * 30);
// How exactly it is kept when that was.
constexpr std::chrono::hours kSeenEvery(1);

// A session, and the notice when its channel is gone for good.
class OwnedSession final : public ChannelListener {
 public:
  OwnedSession(SyncChannel& channel, SessionContext context, std::function<void()> closed,
               std::function<void(bool)> on_peer)
      : channel_(channel),
        session_(channel, std::move(context)),
        closed_(std::move(closed)),
        on_peer_(std::move(on_peer)) {}
  ~OwnedSession() override {
    if (open_) channel_.set_listener(nullptr);
  }
  OwnedSession(const OwnedSession&) = delete;
  OwnedSession& operator=(const OwnedSession&) = delete;

  PeerSession& session() { return session_; }
  const PeerSession& session() const { return session_; }

  void on_connected(SyncChannel& channel) override {
    session_.on_connected(channel);
    on_peer_(true);
  }
  void on_disconnected(SyncChannel& channel) override {
    session_.on_disconnected(channel);
    on_peer_(false);
  }
  void on_frame(SyncChannel& channel, wire::Frame frame) override {
    session_.on_frame(channel, std::move(frame));
  }
  void on_native(SyncChannel& channel, wire::NativeFrame frame) override {
    session_.on_native(channel, std::move(frame));
  }
  void on_wants_data(SyncChannel& channel) override { session_.on_wants_data(channel); }
  void on_closed(SyncChannel& channel) override {
    session_.on_closed(channel);
    open_ = false;
    on_peer_(false);
    closed_();
  }

 private:
  SyncChannel& channel_;
  PeerSession session_;
  std::function<void()> closed_;
  std::function<void(bool)> on_peer_;
  bool open_ = true;
};

class CoordinatorImpl final : public Coordinator {
 public:
  CoordinatorImpl(Documents& documents, SyncChannelManager& channels, Executor& executor,
                  Options options, FeedLines lines)
      : documents_(documents),
        channels_(channels),
        executor_(executor),
        options_(std::move(options)),
        lines_(std::move(lines)),
        waits_(executor, options_.limits, may_hold(options_.access)) {
    observer_ = documents_.store().subscribe([this](const auto& event) { on_change(event); });
    channels_.set_listener_factory([this](SyncChannel& channel) { return listener(channel); });
  }

  ~CoordinatorImpl() override {
    channels_.set_listener_factory({});
    documents_.store().unsubscribe(observer_);
  }

  std::vector<SessionStatus> status() const override {
    std::vector<SessionStatus> out;
    for (const auto& [peer, owned] : sessions_) out.push_back(owned->session().status());
    return out;
  }

  std::optional<SessionStatus> status(const EndpointId& peer) const override {
    const auto found = sessions_.find(peer);
    if (found == sessions_.end()) return std::nullopt;
    return found->second->session().status();
  }

  store::Seq holds_up_to(const EndpointId& peer) const override {
    store::Seq kept = 0;
    if (const auto ack = load_ack(documents_.store(), peer); ack && *ack) {
      kept = lines_.resume_point((*ack)->held);
    }
    const auto session = status(peer);
    if (!session) return kept;
    const auto now = session->dialect == Dialect::native ? session->acked : session->sent;
    return std::min(std::max(kept, now), documents_.store().last_seq());
  }

  std::optional<DocumentOnItsWay> locate(const EndpointId& peer,
                                         std::string_view key) const override {
    const auto found = sessions_.find(peer);
    if (found == sessions_.end()) return std::nullopt;
    const auto& session = found->second->session();
    return DocumentOnItsWay{session.locate(key), session.declined(key), session.attempts(key)};
  }

  std::vector<EndpointId> request(std::string_view key, const automerge::Heads& have,
                                  const std::optional<EndpointId>& peer) override {
    std::vector<EndpointId> asked;
    for (auto& [id, owned] : sessions_) {
      if (peer && *peer != id) continue;
      if (owned->session().request(key, have)) asked.push_back(id);
    }
    return asked;
  }

  void relate() override {
    for (auto& [peer, owned] : sessions_) owned->session().set_relation(relation_of(peer));
  }

  void note_acknowledgements(std::chrono::milliseconds clock) override {
    clock_ = clock;
    const auto now = executor_.now().mono;
    for (auto& [peer, owned] : sessions_) {
      owned->session().note_time(now);
      note_acknowledgement(peer, owned->session().status());
    }
    counting_.clear();
    auto& store = documents_.store();
    const auto peers = noted_peers(store);
    everybody_counts_ = !peers;
    if (!peers) return;
    for (const auto& peer : *peers) {
      const auto ack = load_ack(store, peer);
      if (ack && *ack && clock - (*ack)->last_seen > kPeerCounts) continue;
      counting_.push_back({peer, ack && *ack ? lines_.resume_point((*ack)->held) : 0});
    }
  }

  bool acknowledged(const store::TombstoneRecord& tombstone) const override {
    if (everybody_counts_) return false;
    return std::ranges::all_of(counting_, [&](const auto& peer) {
      if (tombstone.origin == peer.first) return true;
      return peer.second >= tombstone.seq &&
             may_travel(tombstone.tombstone.direction, relation_of(peer.first));
    });
  }

  void await_holders(Write write, const WaitFor& wanted, Duration deadline,
                     WriteWaits::Done done) override {
    std::map<EndpointId, store::Seq> acked;
    for (const auto& [peer, owned] : sessions_) {
      const auto status = owned->session().status();
      if (status.dialect == Dialect::native) acked[peer] = status.acked;
    }
    waits_.add(std::move(write), wanted, deadline, acked, std::move(done));
  }

  std::size_t quorum_peers() const override {
    std::set<EndpointId> known;
    if (const auto noted = noted_peers(documents_.store()))
      known.insert(noted->begin(), noted->end());
    for (const auto& [peer, owned] : sessions_) known.insert(peer);
    return (known.size() + 1) / 2;
  }

  void forget(const EndpointId& peer) override {
    if (sessions_.contains(peer)) {
      leaving_.insert(peer);
    } else {
      erase_rows(peer);
    }
  }

 private:
  static WriteWaits::MayHold may_hold(const Access* access) {
    if (access == nullptr) return {};
    return [access](const auto& peer, auto key) { return access->reads(peer, key); };
  }
  Relation relation_of(const EndpointId& peer) const {
    return options_.relation_of ? options_.relation_of(peer) : Relation::unknown;
  }

  // What cannot be written is written with the next one: a peer only counts for longer.
  void note_acknowledgement(const EndpointId& peer, const SessionStatus& status) {
    auto& store = documents_.store();
    if (clock_ == std::chrono::milliseconds{}) return;  // nothing has been timed yet
    if (!status.connected && status.acked == 0) return;
    const auto known = load_ack(store, peer);
    if (!known) return;
    auto ack = known->value_or(PeerAck{});
    const auto acked = std::max(lines_.resume_point(ack.held), status.acked);
    const PeerAck next{{store.incarnation().store_id, acked},
                       status.connected || !*known ? clock_ : ack.last_seen};
    const bool stale = next.last_seen - ack.last_seen >= kSeenEvery;
    if (next.held == ack.held && !stale && *known) return;
    if (!note_peer(store, peer, options_.limits.sync_peers)) return;
    static_cast<void>(save_ack(store, peer, next));
  }

  void end(const EndpointId& peer) {
    const auto found = sessions_.find(peer);
    if (found != sessions_.end() && !leaving_.contains(peer)) {
      note_acknowledgement(peer, found->second->session().status());
    }
    sessions_.erase(peer);
    numbers_.erase(peer);
    if (leaving_.erase(peer) > 0) erase_rows(peer);
  }
  // What stays behind if it fails is still bounded (session_feed.hpp), and good.
  void erase_rows(const EndpointId& peer) {
    static_cast<void>(forget_peer(documents_.store(), peer));
  }

  ChannelListener* listener(SyncChannel& channel) {
    const auto peer = channel.peer_id();
    end(peer);  // the one before may not have heard yet that its channel is closed
    const auto number = ++next_number_;
    SessionContext context{documents_,      lines_, executor_,         options_.node_id,
                           options_.limits, {},     relation_of(peer), {},
                           options_.access};
    context.on_ack = [this, peer](store::Seq acked, const auto& declined) {
      waits_.on_ack(peer, acked, declined);
    };
    if (options_.on_fault) {
      context.on_fault = [this, peer](const DocumentFault& fault) {
        options_.on_fault(peer, fault);
      };
    }
    auto owned = std::make_unique<OwnedSession>(
        channel, std::move(context), [this, peer, number] { release(peer, number); },
        [this, peer](bool connected) {
          if (options_.on_peer) {
            options_.on_peer(peer, connected);
          }
        });
    auto* listener = owned.get();
    numbers_[peer] = number;
    sessions_[peer] = std::move(owned);
    return listener;
  }

  // The session is in the middle of hearing of it: later.
  void release(const EndpointId& peer, std::uint64_t number) {
    executor_.post([this, alive = std::weak_ptr(alive_), peer, number] {
      if (alive.expired()) return;
      const auto found = numbers_.find(peer);
      if (found != numbers_.end() && found->second == number) end(peer);
    });
  }

  void on_change(const store::ChangeEvent& event) {
    for (auto& [peer, owned] : sessions_) owned->session().on_change(event);
    if (pump_posted_) return;
    pump_posted_ = true;
    executor_.post([this, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) pump();
    });
  }

  void pump() {
    pump_posted_ = false;
    for (auto& [peer, owned] : sessions_) owned->session().pump();
  }

  Documents& documents_;
  SyncChannelManager& channels_;
  Executor& executor_;
  Options options_;
  FeedLines lines_;
  WriteWaits waits_;
  std::uint64_t observer_ = 0;
  std::map<EndpointId, std::unique_ptr<OwnedSession>> sessions_;
  std::map<EndpointId, std::uint64_t> numbers_;  // tells a peer's new session from its old one
  std::set<EndpointId> leaving_;                 // to be forgotten
  std::uint64_t next_number_ = 0;
  std::chrono::milliseconds clock_{};                        // as it was told last
  std::vector<std::pair<EndpointId, store::Seq>> counting_;  // what each has acknowledged
  bool everybody_counts_ = true;                             // nobody has looked yet
  bool pump_posted_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

Result<std::unique_ptr<Coordinator>> Coordinator::create(Documents& documents,
                                                         SyncChannelManager& channels,
                                                         Executor& executor, Options options) {
  PEAT_TRY(auto lines, FeedLines::open(documents.store()));
  return std::make_unique<CoordinatorImpl>(documents, channels, executor, std::move(options),
                                           std::move(lines));
}

}  // namespace peat::sync
