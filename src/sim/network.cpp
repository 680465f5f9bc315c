#include "sim/network.hpp"

#include <algorithm>
#include <utility>

#include "sim/connection.hpp"

namespace peat::sim {

using transport::CloseInfo;

std::string_view to_string(Fault fault) {
  switch (fault) {
    case Fault::link_cut:
      return "link cut";
    case Fault::link_healed:
      return "link healed";
    case Fault::connection_reset:
      return "connection reset";
    case Fault::stream_reset:
      return "stream reset";
    case Fault::dial_refused:
      return "dial refused";
    case Fault::dial_timed_out:
      return "dial timed out";
    case Fault::packet_lost:
      return "packet lost";
    case Fault::packet_overtaken:
      return "packet overtaken";
    case Fault::packet_delayed_by_cut:
      return "packet delayed by a cut";
    case Fault::idle_timeout:
      return "idle timeout";
    case Fault::stream_credit_used_up:
      return "stream credit used up";
    case Fault::host_crashed:
      return "host crashed";
    case Fault::host_restarted:
      return "host restarted";
    case Fault::simultaneous_dial:
      return "simultaneous dial";
  }
  return "?";
}

Network::Network(World& world, TransportOptions transport, LinkOptions link)
    : world_(world), transport_(transport), default_link_(link) {}

Network::~Network() {
  for (HostId host = 0; host < slots_.size(); ++host) {
    if (slots_[host].host) crash(host);
  }
}

HostId Network::add_host(const EndpointId& id, SimExecutor& executor) {
  const auto number = static_cast<HostId>(slots_.size());
  slots_.push_back({id, &executor, transport_, std::make_unique<Host>(*this, number)});
  by_address_.emplace(address(number), number);
  return number;
}

transport::Endpoint& Network::endpoint(HostId host) { return *slots_.at(host).host; }
TransportOptions& Network::options(HostId host) { return slots_.at(host).options; }
bool Network::is_up(HostId host) const { return slots_.at(host).host != nullptr; }

std::string Network::address(HostId host) const {
  return "10.0." + std::to_string(host / 250) + '.' + std::to_string(1 + host % 250) + ":11204";
}

const LinkOptions& Network::link(HostId a, HostId b) const {
  const auto found = links_.find(pair_of(a, b));
  return found == links_.end() ? default_link_ : found->second;
}

void Network::set_link(HostId a, HostId b, LinkOptions options) {
  links_.insert_or_assign(pair_of(a, b), options);
}

bool Network::is_cut(HostId a, HostId b) const { return cuts_.contains(pair_of(a, b)); }

void Network::cut(HostId a, HostId b) {
  if (cuts_.insert(pair_of(a, b)).second) count(Fault::link_cut);
}

void Network::heal(HostId a, HostId b) {
  if (cuts_.erase(pair_of(a, b)) == 0) return;
  count(Fault::link_healed);
  for (const auto& connection : live(a, b)) connection->resend_held();
}

void Network::heal_all() {
  const auto cuts = cuts_;
  for (const auto& [a, b] : cuts) heal(a, b);
}

void Network::crash(HostId host) {
  auto& slot = slots_.at(host);
  if (!slot.host) return;
  count(Fault::host_crashed);
  for (const auto& [id, connection] : slot.host->connections()) connection->vanish();
  slot.host.reset();
  slot.executor = nullptr;
  std::erase_if(dials_under_way_, [host](const auto& dial) { return dial.first.first == host; });
}

void Network::restart(HostId host, SimExecutor& executor) {
  auto& slot = slots_.at(host);
  slot.executor = &executor;
  slot.host = std::make_unique<Host>(*this, host);
  count(Fault::host_restarted);
  for (HostId other = 0; other < slots_.size(); ++other) {
    if (other == host) continue;
    for (const auto& connection : live(other, host)) connection->resend_held();
  }
}

bool Network::reset_connection(HostId a, HostId b) {
  bool any = false;
  for (const auto& connection : live(a, b)) {
    any = true;
    connection->fail(CloseInfo::Kind::reset, 0, "reset by the network");
  }
  if (any) count(Fault::connection_reset);
  return any;
}

bool Network::reset_random_connection() {
  const auto all = live();
  if (all.empty()) return false;
  const auto& chosen = all[world_.below(all.size())];
  return reset_connection(chosen->self(), chosen->other());
}

bool Network::reset_random_stream() {
  const auto all = live();
  for (std::size_t tries = 0; tries < 10 && !all.empty(); ++tries) {
    if (!all[world_.below(all.size())]->stop_some_stream()) continue;
    count(Fault::stream_reset);
    return true;
  }
  return false;
}

std::size_t Network::connections(HostId a, HostId b) const { return live(a, b).size() / 2; }

std::vector<std::shared_ptr<SimConnection>> Network::live(HostId a, HostId b) const {
  std::vector<std::shared_ptr<SimConnection>> out;
  for (const auto& [self, other] : {std::pair{a, b}, std::pair{b, a}}) {
    if (!slots_.at(self).host) continue;
    for (const auto& [id, connection] : slots_[self].host->connections()) {
      if (connection->other() == other && !connection->gone()) out.push_back(connection);
    }
  }
  return out;
}

std::vector<std::shared_ptr<SimConnection>> Network::live() const {
  std::vector<std::shared_ptr<SimConnection>> out;
  for (const auto& slot : slots_) {
    if (!slot.host) continue;
    for (const auto& [id, connection] : slot.host->connections()) {
      if (!connection->gone()) out.push_back(connection);
    }
  }
  return out;
}

void Network::count(Fault fault) { ++happened_[fault]; }

Instant Network::arrival(HostId from, HostId to, std::size_t size) {
  const auto& options = link(from, to);
  const auto now = world_.now().mono;
  auto departure = now;
  if (options.bytes_per_second > 0) {
    auto& route = routes_[{from, to}];
    const auto time = Duration(static_cast<std::int64_t>(
        static_cast<std::uint64_t>(size) * 1'000'000'000ULL / options.bytes_per_second));
    route.free = std::max(route.free, now) + time;
    departure = route.free;
  }
  auto latency = options.latency + world_.between(Duration{}, options.jitter);
  if (options.loss > 0 && world_.chance(options.loss)) {
    count(Fault::packet_lost);
    latency += 3 * options.latency + std::chrono::milliseconds(25);
  }
  return departure + latency;
}

Duration Network::backlog(HostId from, HostId to) const {
  const auto found = routes_.find({from, to});
  if (found == routes_.end()) return {};
  return std::max(Duration{}, found->second.free - world_.now().mono);
}

// A closed connection answers late packets with its close; one that a crash took, with a
// stateless reset.
void Network::answer_for_gone(SimConnection& sender, const SimConnection* receiver) {
  auto info = CloseInfo{CloseInfo::Kind::reset, 0, "stateless reset"};
  if (receiver != nullptr && receiver->close_info_.kind == CloseInfo::Kind::local) {
    info = receiver->close_info_;
    info.kind = CloseInfo::Kind::peer;
  }
  const auto a = sender.other();
  const auto b = sender.self();
  world_.at(arrival(a, b, 40), [this, a, b, info, weak = sender.weak_from_this()] {
    const auto connection = weak.lock();
    if (connection && !is_cut(a, b)) connection->fail(info.kind, info.code, info.reason);
  });
}

void Network::forget(SimConnection& connection) {
  auto& slot = slots_.at(connection.self());
  if (!slot.host) return;
  const auto found = slot.host->connections().find(connection.stable_id());
  if (found == slot.host->connections().end()) return;
  graveyard_.push_back(std::move(found->second));
  slot.host->connections().erase(found);
  if (graveyard_.size() > kRemembered) graveyard_.pop_front();
}

// --- Host ------------------------------------------------------------------------------------

struct Host::Dial {
  EndpointId peer;
  std::string address;
  std::vector<std::string> alpns;
  transport::DialCallback done;
  bool finished = false;
};

EndpointId Host::id() const { return network_.slots_.at(number_).id; }

void Host::dial(const EndpointId& peer, const std::string& address, std::vector<std::string> alpns,
                transport::DialCallback done) {
  const auto dial = std::make_shared<Dial>(Dial{peer, address, std::move(alpns), std::move(done)});
  const auto found = network_.by_address_.find(address);
  if (shut_down_ || found == network_.by_address_.end()) {
    fail_dial(dial, {Code::unreachable, "no host at " + address}, Duration{});
    return;
  }
  const auto to = found->second;
  ++network_.dials_under_way_[{number_, to}];
  if (network_.dials_under_way_[{to, number_}] > 0) network_.count(Fault::simultaneous_dial);
  auto& executor = *network_.slots_[number_].executor;
  executor.at(executor.now().mono + network_.slots_[number_].options.dial_timeout,
              [this, dial, to] {
                if (dial->finished) return;
                network_.count(Fault::dial_timed_out);
                --network_.dials_under_way_[{number_, to}];
                fail_dial(dial, {Code::timeout, "no answer from " + dial->address}, Duration{});
              });
  executor.at(network_.arrival(number_, to, 1200), [this, dial, to] {
    if (!dial->finished && network_.reachable(number_, to)) on_dial_arrived(dial, to);
  });
}

void Host::on_dial_arrived(const std::shared_ptr<Dial>& dial, HostId to) {
  auto& slot = network_.slots_[to];
  const auto refuse = [&](Code code, std::string why) {
    network_.count(Fault::dial_refused);
    --network_.dials_under_way_[{number_, to}];
    fail_dial(dial, {code, std::move(why)}, network_.link(number_, to).latency);
  };
  if (slot.id != dial->peer) {
    refuse(Code::wrong_peer, "another endpoint id answers at " + dial->address);
    return;
  }
  std::string alpn;
  for (const auto& offer : slot.host->alpns_) {
    if (std::ranges::find(dial->alpns, offer) == dial->alpns.end()) continue;
    alpn = offer;
    break;
  }
  const bool too_many = slot.options.refuses_several_protocols && dial->alpns.size() > 1;
  if (alpn.empty() || too_many || !slot.host->accept_ || slot.host->shut_down_) {
    refuse(Code::protocol_refused, "no protocol in common with " + dial->address);
    return;
  }
  if (slot.options.refuse_dials > 0 && network_.world_.chance(slot.options.refuse_dials)) {
    refuse(Code::connection_refused, dial->address + " refuses the connection");
    return;
  }
  auto& executor = *network_.slots_[number_].executor;
  executor.at(network_.arrival(to, number_, 1200), [this, dial, to, alpn] {
    if (!dial->finished && network_.reachable(number_, to)) establish(dial, to, alpn);
  });
}

void Host::establish(const std::shared_ptr<Dial>& dial, HostId to, const std::string& alpn) {
  auto& mine = network_.slots_[number_];
  auto& theirs = network_.slots_[to];
  const auto number = network_.next_connection_++;
  const auto ours = std::make_shared<SimConnection>(
      network_, SimConnection::Setup{number, number_, to, theirs.id, network_.address(to), alpn,
                                     true, mine.options, theirs.options});
  const auto other = std::make_shared<SimConnection>(
      network_, SimConnection::Setup{number, to, number_, mine.id, network_.address(number_), alpn,
                                     false, theirs.options, mine.options});
  ours->connect_to(other);
  other->connect_to(ours);
  other->await_accept([host = theirs.host.get(), weak = std::weak_ptr(other)] {
    const auto connection = weak.lock();
    if (connection && host->accept_) host->accept_(connection);
  });
  connections_.emplace(ours->stable_id(), ours);
  theirs.host->connections_.emplace(other->stable_id(), other);
  ours->start();
  other->start();
  dial->finished = true;
  --network_.dials_under_way_[{number_, to}];
  dial->done(std::shared_ptr<transport::Connection>(ours));
}

void Host::fail_dial(const std::shared_ptr<Dial>& dial, Error error, Duration delay) {
  dial->finished = true;
  auto& executor = *network_.slots_[number_].executor;
  executor.at(executor.now().mono + delay,
              [dial, error = std::move(error)] { dial->done(std::unexpected(error)); });
}

void Host::listen(std::vector<std::string> alpns, transport::AcceptCallback accept) {
  alpns_ = std::move(alpns);
  accept_ = std::move(accept);
}

void Host::shutdown(std::uint64_t code, std::string_view reason, std::function<void()> done) {
  shut_down_ = true;
  accept_ = nullptr;
  const auto connections = connections_;
  for (const auto& [id, connection] : connections) connection->close(code, reason);
  constexpr auto kLastPacketOut = std::chrono::milliseconds(250);
  auto& executor = *network_.slots_[number_].executor;
  executor.at(executor.now().mono + kLastPacketOut, std::move(done));
}

}  // namespace peat::sim
