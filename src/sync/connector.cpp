#include "sync/connector.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "base/network.hpp"
#include "security/attempt_limiter.hpp"
#include "sync/connector_link.hpp"

namespace peat::sync {
namespace {

using security::HandshakeAccepted;
using security::Variant;
using transport::CloseInfo;
using transport::Connection;

// Of two connections dialled by different sides within this time, both know; later, only the
// dialler of the newer does.
constexpr Duration kSimultaneous = std::chrono::seconds(10);
// No attempt outlives this, whatever the transport does with a dial: dials and handshakes of all
// variants have shorter limits of their own.
constexpr Duration kAttemptLimit = std::chrono::seconds(90);

constexpr std::uint64_t kNotAdmitted = 2;
constexpr std::uint64_t kLowerWins = 100;
constexpr std::uint64_t kYield = 101;
constexpr std::uint64_t kClosingOutgoing = 102;
constexpr std::uint64_t kRejectIncoming = 103;

struct Attempt {
  std::vector<SyncTransport::Callback> waiting;
  std::vector<Variant> untried;  // in reverse
  bool offers_pair = false;
  std::uint64_t number = 0;
  std::shared_ptr<PeerLink> link;  // while the handshake runs
  std::optional<Error> told;       // by the acceptor of an earlier variant: says more than silence
  TimerId deadline = 0;
};

struct Peer {
  PeerAddress address;
  bool configured = false;
  // Learnt.
  bool takes_old_alone = false;
  std::optional<Variant> variant;
  std::string last_seen;  // address
  // Now.
  std::optional<Attempt> attempt;
  std::shared_ptr<PeerLink> live;
  AuthenticatedConnection connection;  // of `live`
  Instant live_since;
  std::string handshake;  // of `live`
  // History.
  std::uint64_t connects = 0;
  std::uint64_t failures = 0;
  std::string last_error;
};

class ConnectorImpl final : public Connector, private LinkOwner {
  // Wraps a callback so that it does nothing once this object is gone.
  template <class F>
  auto guarded(F function) {
    return [alive = std::weak_ptr(alive_), function = std::move(function)](auto&&... args) {
      if (!alive.expired()) function(std::forward<decltype(args)>(args)...);
    };
  }

 public:
  ConnectorImpl(transport::Endpoint& endpoint, Executor& executor, Random& random,
                const Limits& limits, ConnectorOptions options)
      : endpoint_(endpoint),
        executor_(executor),
        random_(random),
        limits_(limits),
        options_(std::move(options)),
        bound_(options_.bound_before),
        failed_proofs_(limits.formation_failures_per_minute) {
    options_.native = options_.native && options_.formation;
  }

  ~ConnectorImpl() override {
    for (const auto& [id, link] : links_) link->abandon();
    for (auto& [id, peer] : peers_) {
      if (peer.attempt) executor_.cancel(peer.attempt->deadline);
    }
  }

  void start() override {
    std::vector<std::string> alpns;
    if (options_.native) alpns.emplace_back(kAlpnNative);
    alpns.emplace_back(kAlpnOld);
    for (const auto& [alpn, accept] : options_.protocols) alpns.push_back(alpn);
    endpoint_.listen(std::move(alpns), guarded([this](std::shared_ptr<Connection> connection) {
                       accept(std::move(connection));
                     }));
  }

  Status add_peer(PeerAddress address) override;
  bool remove_peer(const EndpointId& id) override;
  std::vector<PeerStatus> peers() const override;
  std::size_t unproven() const override {
    return static_cast<std::size_t>(
        std::ranges::count_if(links_, [](const auto& l) { return !l.second->proven(); }));
  }
  void expel(const EndpointId& id, const Error& why) override;
  void restart(const EndpointId& id, std::string_view reason) override;
  void shutdown() override;

  std::optional<AuthenticatedConnection> get_connection(const EndpointId& id) const override {
    const auto found = peers_.find(id);
    if (found == peers_.end() || !found->second.live) return std::nullopt;
    return found->second.connection;
  }
  std::vector<EndpointId> connected_peers() const override {
    std::vector<EndpointId> out;
    for (const auto& [id, peer] : peers_) {
      if (peer.live) out.push_back(id);
    }
    return out;
  }
  bool is_configured(const EndpointId& id) const override {
    const auto found = peers_.find(id);
    return found != peers_.end() && found->second.configured;
  }
  void get_or_connect(const EndpointId& id, Callback done) override;
  void give_up(const EndpointId& id) override;
  void on_connected(std::function<void(AuthenticatedConnection)> handler) override {
    connected_ = std::move(handler);
  }

 private:
  // --- dialling ---------------------------------------------------------------------------------
  void begin_attempt(const EndpointId& id, Peer& peer, Callback done);
  void dial(const EndpointId& id, Peer& peer);
  void on_dialled(const EndpointId& id, std::uint64_t attempt,
                  Result<std::shared_ptr<Connection>> result);
  void prove(Peer& peer, const std::shared_ptr<PeerLink>& link);
  void fail_attempt(Peer& peer, Error error, bool answered = false);
  // Ends the attempt of a peer that has become connected otherwise.
  void drop_attempt(Peer& peer);
  // Takes the attempt away and closes its connection; the callbacks are the caller's to answer.
  std::vector<Callback> end_attempt(Peer& peer, std::uint64_t code, std::string_view reason);
  void answer(std::vector<Callback> waiting, Result<AuthenticatedConnection> result);

  // --- accepting
  // ----------------------------------------------------------------------------------
  void accept(std::shared_ptr<Connection> connection);

  // --- LinkOwner
  // ----------------------------------------------------------------------------------
  void on_proven(PeerLink& link, const HandshakeAccepted& accepted) override;
  void on_unproven(PeerLink& link, LinkFailure failure) override;
  void on_gone(PeerLink& link, const CloseInfo& info) override;

  std::shared_ptr<PeerLink> make_link(std::shared_ptr<Connection> connection);
  // Whether `link` becomes the live connection; the loser is closed.
  bool wins(Peer& peer, PeerLink& link);
  void enter(const EndpointId& id, Peer& peer, PeerLink& link, const HandshakeAccepted& accepted);
  Peer* entry(const EndpointId& id);  // makes one; null: the table is full
  bool is_exempt(const Peer& peer) const {
    return peer.address.auth == PeerAuth::none || !options_.formation;
  }
  security::HandshakeEnds ends(const EndpointId& peer) const {
    return {*options_.formation, endpoint_.id(), peer,
            options_.other_formation ? &*options_.other_formation : nullptr};
  }
  bool must_be_bound(const EndpointId& peer) const {
    return options_.binding == Binding::require ||
           (options_.binding == Binding::prefer && bound_.contains(peer));
  }
  void note_bound(const EndpointId& peer);
  Status admit(const EndpointId& id, std::string_view alpn) const {
    return options_.admit ? options_.admit(id, alpn) : Status();
  }
  void report(RefusedPeer refused);
  static std::string_view state_of(const Peer& peer);

  transport::Endpoint& endpoint_;
  Executor& executor_;
  Random& random_;
  Limits limits_;
  ConnectorOptions options_;
  std::function<void(AuthenticatedConnection)> connected_;
  std::set<EndpointId> bound_;
  security::AttemptLimiter failed_proofs_;  // by network
  std::map<EndpointId, Peer> peers_;
  std::map<std::uint64_t, std::shared_ptr<PeerLink>> links_;  // by stable id
  std::uint64_t next_attempt_ = 1;
  bool shut_down_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

Status ConnectorImpl::add_peer(PeerAddress address) {
  if (address.id == endpoint_.id()) {
    return fail(Code::invalid_argument,
                "peer " + address.id.short_form() + " is this node itself: give another node's id");
  }
  auto& peer = peers_[address.id];
  peer.address = std::move(address);
  peer.configured = true;
  return {};
}

bool ConnectorImpl::remove_peer(const EndpointId& id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return false;
  auto& peer = found->second;
  if (peer.attempt) {
    fail_attempt(peer, {Code::cancelled, "peer " + id.short_form() + " was removed"});
  }
  const auto live = std::move(peer.live);
  peers_.erase(found);
  if (live) live->close(0, "disconnect requested");
  return true;
}

// What a peer is told of why it is out: its operator is to find the cause, strangers are to learn
// nothing else.
std::string_view refusal_of(const Error& why) {
  switch (why.code) {
    case Code::certificate_revoked:
      return "certificate revoked";
    case Code::certificate_expired:
      return "certificate expired";
    case Code::permission_denied:
      return "not permitted";
    default:
      return "certificate required";
  }
}

void ConnectorImpl::expel(const EndpointId& id, const Error& why) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  auto& peer = found->second;
  if (peer.attempt) fail_attempt(peer, why);
  if (!peer.live) return;
  const auto live = peer.live;
  report({id, live->remote_address(), live->dialled(), peer.configured, true, why});
  live->close(kNotAdmitted, refusal_of(why));
}

void ConnectorImpl::restart(const EndpointId& id, std::string_view reason) {
  const auto found = peers_.find(id);
  if (found == peers_.end() || !found->second.live) return;
  const auto live = found->second.live;
  live->close(0, reason);
}

std::string_view ConnectorImpl::state_of(const Peer& peer) {
  if (peer.live) return "connected";
  if (peer.attempt) return peer.attempt->link ? "authenticating" : "connecting";
  return peer.last_error.empty() || !peer.configured ? "unknown" : "backoff";
}

std::vector<PeerStatus> ConnectorImpl::peers() const {
  std::vector<PeerStatus> out;
  for (const auto& [id, peer] : peers_) {
    PeerStatus status;
    status.id = id;
    status.address = peer.address.address.empty() ? peer.last_seen : peer.address.address;
    status.state = state_of(peer);
    status.configured = peer.configured;
    status.connects = peer.connects;
    status.failures = peer.failures;
    status.last_error = peer.last_error;
    if (peer.live) {
      status.dialect = peer.live->alpn();
      status.handshake = peer.handshake;
      status.dialled = peer.live->dialled();
      status.stats = peer.live->stats();
    }
    out.push_back(std::move(status));
  }
  return out;
}

void ConnectorImpl::shutdown() {
  shut_down_ = true;
  for (auto& [id, peer] : peers_) {
    if (peer.attempt) fail_attempt(peer, {Code::shut_down, "this node is shutting down"});
  }
}

// --- dialling ----------------------------------------------------------------------------------

void ConnectorImpl::answer(std::vector<Callback> waiting, Result<AuthenticatedConnection> result) {
  if (waiting.empty()) return;
  executor_.post(guarded([waiting = std::move(waiting), result = std::move(result)] {
    for (const auto& done : waiting) done(result);
  }));
}

void ConnectorImpl::get_or_connect(const EndpointId& id, Callback done) {
  const auto found = peers_.find(id);
  if (shut_down_) {
    answer({std::move(done)}, fail(Code::shut_down, "this node is shutting down"));
  } else if (found != peers_.end() && found->second.live) {
    answer({std::move(done)}, found->second.connection);
  } else if (found != peers_.end() && found->second.attempt) {
    found->second.attempt->waiting.push_back(std::move(done));
  } else if (!options_.formation && !options_.allow_unauthenticated_peers &&
             (found == peers_.end() || found->second.address.auth == PeerAuth::formation)) {
    answer({std::move(done)},
           fail(Code::missing_setting, "peer " + id.short_form() +
                                           " cannot be authenticated: set a formation secret, or "
                                           "declare the peer with auth=none"));
  } else if (found == peers_.end() ||
             (found->second.address.address.empty() && found->second.last_seen.empty())) {
    answer({std::move(done)},
           fail(Code::unreachable, "no address is known for peer " + id.short_form() +
                                       ": configure one, or wait until it dials"));
  } else if (const auto admitted = is_exempt(found->second) ? Status() : admit(id, ""); !admitted) {
    auto& peer = found->second;
    const auto& address = peer.address.address.empty() ? peer.last_seen : peer.address.address;
    peer.last_error = admitted.error().message;
    report({id, address, true, peer.configured, false, admitted.error()});
    answer({std::move(done)}, std::unexpected(admitted.error()));
  } else {
    begin_attempt(id, found->second, std::move(done));
  }
}

void ConnectorImpl::begin_attempt(const EndpointId& id, Peer& peer, Callback done) {
  auto& attempt = peer.attempt.emplace();
  attempt.number = next_attempt_++;
  attempt.waiting.push_back(std::move(done));
  constexpr std::array kOrder{Variant::a, Variant::b, Variant::a_prime};  // last is first
  attempt.untried.assign(kOrder.begin(), kOrder.end());
  if (peer.variant) {
    std::erase(attempt.untried, *peer.variant);
    attempt.untried.push_back(*peer.variant);
  }
  attempt.offers_pair =
      options_.native && !peer.takes_old_alone && peer.address.auth == PeerAuth::formation;
  attempt.deadline = executor_.at(
      executor_.now().mono + kAttemptLimit, guarded([this, id] {
        const auto found = peers_.find(id);
        if (found == peers_.end() || !found->second.attempt) return;
        fail_attempt(found->second,
                     {Code::timeout, "no connection to peer " + id.short_form() + " within 90 s"});
      }));
  dial(id, peer);
}

void ConnectorImpl::dial(const EndpointId& id, Peer& peer) {
  auto& attempt = *peer.attempt;
  std::vector<std::string> alpns;
  if (attempt.offers_pair) alpns.emplace_back(kAlpnNative);
  alpns.emplace_back(kAlpnOld);
  const auto& address = peer.address.address.empty() ? peer.last_seen : peer.address.address;
  endpoint_.dial(
      id, address, std::move(alpns),
      guarded([this, id, number = attempt.number](Result<std::shared_ptr<Connection>> result) {
        on_dialled(id, number, std::move(result));
      }));
}

void ConnectorImpl::on_dialled(const EndpointId& id, std::uint64_t number,
                               Result<std::shared_ptr<Connection>> result) {
  const auto found = peers_.find(id);
  const bool current =
      found != peers_.end() && found->second.attempt && found->second.attempt->number == number;
  if (!current) {
    if (result) (*result)->close(0, "no longer needed");
    return;
  }
  auto& peer = found->second;
  if (result) {
    peer.attempt->link = make_link(std::move(*result));
    prove(peer, peer.attempt->link);
    return;
  }
  if (result.error().code == Code::protocol_refused && peer.attempt->offers_pair) {
    peer.takes_old_alone = true;
    peer.attempt->offers_pair = false;
    dial(id, peer);
    return;
  }
  const auto code = result.error().code;
  const bool silence = code == Code::timeout || code == Code::unreachable;
  fail_attempt(peer, std::move(result.error()), !silence);
}

void ConnectorImpl::prove(Peer& peer, const std::shared_ptr<PeerLink>& link) {
  if (peer.address.auth == PeerAuth::none || !options_.formation) {
    link->take_as_proven();
    return;
  }
  const bool native = link->alpn() == kAlpnNative;
  auto variant = Variant::a_prime;
  if (!native) {
    variant = peer.attempt->untried.back();
    peer.attempt->untried.pop_back();
  }
  const security::DiallerOptions options{.require_bound = native || must_be_bound(link->peer()),
                                         .rtt = link->stats().smoothed_rtt,
                                         .limits = limits_};
  link->prove_as_dialler(
      security::FormationDialler(executor_.now().mono, ends(link->peer()), variant, options));
}

std::vector<SyncTransport::Callback> ConnectorImpl::end_attempt(Peer& peer, std::uint64_t code,
                                                                std::string_view reason) {
  auto attempt = std::move(*peer.attempt);
  peer.attempt.reset();
  executor_.cancel(attempt.deadline);
  if (attempt.link && attempt.link != peer.live) attempt.link->give_way(code, reason);
  return std::move(attempt.waiting);
}

void ConnectorImpl::report(RefusedPeer refused) {
  if (!options_.on_refused) return;
  executor_.post(guarded([this, refused = std::move(refused)] { options_.on_refused(refused); }));
}

void ConnectorImpl::fail_attempt(Peer& peer, Error error, bool answered) {
  auto waiting = end_attempt(peer, 0, "no longer needed");
  // What was learnt may be out of date: begin anew next time.
  peer.takes_old_alone = false;
  peer.variant.reset();
  ++peer.failures;
  peer.last_error = error.message;
  if (error.code != Code::cancelled && error.code != Code::shut_down) {
    const auto& address = peer.address.address.empty() ? peer.last_seen : peer.address.address;
    report({peer.address.id, address, true, peer.configured, answered, error});
    auto& others = peer.address.others;
    if (!answered && !others.empty()) {
      others.push_back(std::exchange(peer.address.address, others.front()));
      others.erase(others.begin());
    }
  }
  answer(std::move(waiting), std::unexpected(std::move(error)));
}

void ConnectorImpl::drop_attempt(Peer& peer) {
  answer(end_attempt(peer, kYield, "conflict_connect_yield"), peer.connection);
}

void ConnectorImpl::give_up(const EndpointId& id) {
  const auto found = peers_.find(id);
  if (found == peers_.end() || !found->second.attempt) return;
  answer(end_attempt(found->second, 0, "no longer needed"),
         fail(Code::cancelled, "the connection to peer " + id.short_form() + " was given up"));
}

// --- accepting ---------------------------------------------------------------------------------

void ConnectorImpl::accept(std::shared_ptr<Connection> connection) {
  const auto id = connection->peer();
  for (const auto& [alpn, accept_other] : options_.protocols) {
    if (connection->alpn() == alpn && !shut_down_) return accept_other(std::move(connection));
  }
  const bool native = connection->alpn() == kAlpnNative;
  const auto known = peers_.find(id);
  const bool exempt =
      !native && (options_.allow_unauthenticated_peers ||
                  (known != peers_.end() && known->second.address.auth == PeerAuth::none));
  const auto link = make_link(std::move(connection));
  if (shut_down_) {
    link->close(0, "shutdown");
  } else if (!options_.formation && !exempt) {
    report({id,
            link->remote_address(),
            false,
            known != peers_.end() && known->second.configured,
            true,
            {Code::missing_setting,
             "no formation secret is set here and the peer is not declared with auth=none"}});
    link->close(1, "formation auth failed");
  } else if (known == peers_.end() &&
             failed_proofs_.exhausted(network_of(link->remote_address()), executor_.now().mono)) {
    link->close(1, "too many failed proofs from this address; try again later");
  } else if (const auto admitted = exempt ? Status() : admit(id, link->alpn()); !admitted) {
    report({id, link->remote_address(), false, known != peers_.end() && known->second.configured,
            true, admitted.error()});
    link->close(kNotAdmitted, refusal_of(admitted.error()));
  } else if (!options_.formation) {
    link->take_as_proven();
  } else {
    link->prove_as_acceptor(
        security::FormationAcceptor(executor_.now().mono, ends(id), random_, {exempt, limits_}));
  }
}

std::shared_ptr<PeerLink> ConnectorImpl::make_link(std::shared_ptr<Connection> connection) {
  auto link = std::make_shared<PeerLink>(static_cast<LinkOwner&>(*this), executor_, limits_,
                                         std::move(connection));
  links_.emplace(link->stable_id(), link);
  return link;
}

Peer* ConnectorImpl::entry(const EndpointId& id) {
  const auto found = peers_.find(id);
  if (found != peers_.end()) return &found->second;
  if (peers_.size() >= limits_.sync_peers) {
    const auto spare = std::ranges::find_if(peers_, [](const auto& entry) {
      return !entry.second.configured && !entry.second.live && !entry.second.attempt;
    });
    if (spare == peers_.end()) return nullptr;
    peers_.erase(spare);
  }
  auto& peer = peers_[id];
  peer.address.id = id;
  return &peer;
}

// --- links -------------------------------------------------------------------------------------

void ConnectorImpl::on_proven(PeerLink& link, const HandshakeAccepted& accepted) {
  const auto id = link.peer();
  // It may have been revoked while it proved itself.
  if (const auto admitted = accepted.variant ? admit(id, link.alpn()) : Status();
      !admitted && !shut_down_) {
    report({id, link.remote_address(), link.dialled(), false, true, admitted.error()});
    link.give_way(kNotAdmitted, refusal_of(admitted.error()));
    const auto at = peers_.find(id);
    if (at != peers_.end() && at->second.attempt && at->second.attempt->link.get() == &link) {
      fail_attempt(at->second, admitted.error(), true);
    }
    return;
  }
  auto* peer = shut_down_ ? nullptr : entry(id);
  if (peer == nullptr) {
    if (!shut_down_) {
      report({id,
              link.remote_address(),
              link.dialled(),
              false,
              true,
              {Code::limit_exceeded, "sync_peers (" + std::to_string(limits_.sync_peers) +
                                         ") peers are configured or connected"}});
    }
    link.give_way(0, shut_down_ ? "shutdown" : "too many peers");
    return;
  }
  if (wins(*peer, link)) {
    enter(id, *peer, link, accepted);
  } else if (peer->attempt && peer->attempt->link.get() == &link) {
    drop_attempt(*peer);
  }
}

bool ConnectorImpl::wins(Peer& peer, PeerLink& link) {
  if (!peer.live) return true;
  const auto old = peer.live;
  if (old->dialled() == link.dialled()) {
    old->give_way(0, "stale_path_replaced");
    return true;
  }
  const bool dialled_by_lower = (endpoint_.id() < link.peer()) == link.dialled();
  if (dialled_by_lower) {
    if (link.dialled()) {
      old->give_way(kLowerWins, "conflict_connect_lower_wins");
    } else {
      old->give_way(kClosingOutgoing, "conflict_accept_closing_outgoing");
    }
    return true;
  }
  if (!link.dialled() && executor_.now().mono - peer.live_since > kSimultaneous) {
    old->give_way(0, "stale_path_replaced");
    return true;
  }
  if (link.dialled()) {
    link.give_way(kYield, "conflict_connect_yield");
  } else {
    link.give_way(kRejectIncoming, "conflict_accept_reject_incoming");
  }
  return false;
}

void ConnectorImpl::enter(const EndpointId& id, Peer& peer, PeerLink& link,
                          const HandshakeAccepted& accepted) {
  const bool native = link.alpn() == kAlpnNative;
  peer.live = link.shared_from_this();
  peer.live_since = executor_.now().mono;
  peer.last_seen = link.remote_address();
  peer.last_error.clear();
  peer.handshake = accepted.variant ? std::string(security::to_string(*accepted.variant)) : "none";
  if (link.dialled() && !native) peer.variant = accepted.variant;
  if (link.dialled() && accepted.bound) note_bound(id);
  ++peer.connects;
  peer.connection = {peer.live, native ? Dialect::native : Dialect::old,
                     accepted.variant.has_value(), accepted.bound};
  const bool own_attempt = peer.attempt && peer.attempt->link.get() == &link;
  // The lower id's own dial would win when it completes: it goes on, for nobody in particular.
  const bool may_still_win = peer.attempt && endpoint_.id() < id;
  std::vector<Callback> waiting;
  if (own_attempt || (peer.attempt && !may_still_win)) {
    waiting = std::exchange(peer.attempt->waiting, {});
    drop_attempt(peer);
  } else if (peer.attempt) {
    waiting = std::exchange(peer.attempt->waiting, {});
  }
  const auto connection = peer.connection;
  if (connected_) connected_(connection);
  answer(std::move(waiting), connection);
}

// At most as many as there are rows in the table of peers.
void ConnectorImpl::note_bound(const EndpointId& peer) {
  if (bound_.size() >= limits_.sync_peers || !bound_.insert(peer).second) return;
  if (options_.on_bound) {
    executor_.post(guarded([this, peer] { options_.on_bound(peer); }));
  }
}

void ConnectorImpl::on_unproven(PeerLink& link, LinkFailure failure) {
  const auto found = peers_.find(link.peer());
  const bool known = found != peers_.end();
  if (known && found->second.attempt && found->second.attempt->link.get() == &link) {
    auto& peer = found->second;
    peer.attempt->link.reset();
    const bool native = link.alpn() == kAlpnNative;
    if (failure.error.code == Code::authentication_failed) peer.attempt->told = failure.error;
    if (!failure.verdict && !native && !peer.attempt->untried.empty()) {
      peer.attempt->offers_pair = false;
      dial(found->first, peer);
    } else {
      fail_attempt(peer, peer.attempt->told.value_or(std::move(failure.error)), true);
    }
  } else if (!link.dialled() && !failure.withdrawn) {
    if (failure.error.code == Code::authentication_failed) {
      (void)failed_proofs_.admit(network_of(link.remote_address()), executor_.now().mono);
    }
    if (known) {
      ++found->second.failures;
      found->second.last_error = failure.error.message;
    }
    report({link.peer(), link.remote_address(), false, known && found->second.configured, true,
            std::move(failure.error)});
  }
}

void ConnectorImpl::on_gone(PeerLink& link, const CloseInfo& info) {
  links_.erase(link.stable_id());
  const auto found = peers_.find(link.peer());
  if (found == peers_.end() || found->second.live.get() != &link) return;
  auto& peer = found->second;
  peer.live.reset();
  peer.connection = {};
  peer.last_error = info.reason.empty() ? "the connection ended" : info.reason;
}

}  // namespace

std::unique_ptr<Connector> Connector::create(transport::Endpoint& endpoint, Executor& executor,
                                             Random& random, const Limits& limits,
                                             ConnectorOptions options) {
  return std::make_unique<ConnectorImpl>(endpoint, executor, random, limits, std::move(options));
}

}  // namespace peat::sync
