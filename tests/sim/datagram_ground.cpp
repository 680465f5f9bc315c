#include "datagram_ground.hpp"

#include <algorithm>

namespace peat::sim {
namespace {

constexpr std::uint32_t kNetwork = 0x0a000001;  // host n is 10.0.0.(n+1)
constexpr std::uint16_t kPort = 11204;

}  // namespace

// Drives one core: datagrams and timeouts in, datagrams out, once per turn of the loop.
class DatagramGround::Endpoint final : public transport::Endpoint {
 public:
  Endpoint(DatagramGround& ground, HostId host, SimExecutor& executor)
      : ground_(ground), host_(host), executor_(executor), key_(ground.key(host)) {
    net::CoreOptions options;
    options.id = key_.public_key();
    options.sign = [this](ByteView message) {
      const auto signature = key_.sign(message);
      return Bytes(signature.begin(), signature.end());
    };
    options.idle_timeout = std::chrono::seconds(10);
    options.handshake_timeout = std::chrono::seconds(5);
    options.random = &ground.world_.random();
    core_ = net::QuicCore::create(std::move(options)).value();
    core_->set_wake([this] { schedule(); });
  }

  EndpointId id() const override { return core_->id(); }
  std::string local_address() const override { return ground_.address(host_); }
  void dial(const EndpointId& peer, const std::string& address, std::vector<std::string> alpns,
            transport::DialCallback done) override {
    for (HostId host = 0; host < ground_.hosts_.size(); ++host) {
      if (ground_.address(host) != address) continue;
      core_->dial(now(), peer, ground_.socket(host_), ground_.socket(host), alpns, std::move(done));
      schedule();
      return;
    }
    executor_.post([done = std::move(done), address] {
      done(fail(Code::unreachable, "no host at " + address));
    });
  }
  void listen(std::vector<std::string> alpns, transport::AcceptCallback accept) override {
    core_->listen(std::move(alpns), std::move(accept));
  }
  void shutdown(std::uint64_t code, std::string_view reason, std::function<void()> done) override {
    core_->shutdown(code, reason);
    schedule();
    executor_.at(now() + std::chrono::seconds(1), std::move(done));
  }

  void on_datagram(const net::SocketAddress& from, ByteView datagram) {
    core_->on_datagram(now(), ground_.socket(host_), from, 0, datagram);
    schedule();
  }

 private:
  Instant now() const { return executor_.now().mono; }

  void schedule() {
    if (std::exchange(scheduled_, true)) return;
    executor_.post([this] { turn(); });
  }
  void turn() {
    scheduled_ = false;
    if (core_->next_timeout() <= now()) core_->on_timeout(now());
    while (const auto out = core_->poll_transmit(now())) {
      for (std::size_t at = 0; at < out->data.size(); at += out->segment) {
        ground_.send(host_, out->remote,
                     out->data.subspan(at, std::min(out->segment, out->data.size() - at)));
      }
    }
    if (timer_ != 0) executor_.cancel(std::exchange(timer_, 0));
    if (const auto next = core_->next_timeout(); next != kNever) {
      timer_ = executor_.at(next, [this] {
        timer_ = 0;
        turn();
      });
    }
  }

  DatagramGround& ground_;
  HostId host_;
  SimExecutor& executor_;
  crypto::SecretKey key_;
  std::unique_ptr<net::QuicCore> core_;
  bool scheduled_ = false;
  TimerId timer_ = 0;
};

DatagramGround::~DatagramGround() = default;

crypto::SecretKey DatagramGround::key(HostId host) const {
  std::array<std::uint8_t, 32> seed{};
  seed.fill(static_cast<std::uint8_t>(host + 1));
  return crypto::SecretKey::from_seed(seed);
}

EndpointId DatagramGround::next_id() const {
  return key(static_cast<HostId>(hosts_.size())).public_key();
}

net::SocketAddress DatagramGround::socket(HostId host) const {
  return net::SocketAddress::v4(kNetwork + host, kPort);
}

std::string DatagramGround::address(HostId host) const {
  return "10.0.0." + std::to_string(host + 1) + ':' + std::to_string(kPort);
}

HostId DatagramGround::add_host(const EndpointId&, SimExecutor& executor) {
  const auto number = static_cast<HostId>(hosts_.size());
  hosts_.emplace_back();
  restart(number, executor);
  return number;
}

transport::Endpoint& DatagramGround::endpoint(HostId host) { return *hosts_.at(host).endpoint; }

void DatagramGround::crash(HostId host) { hosts_.at(host).endpoint.reset(); }

void DatagramGround::restart(HostId host, SimExecutor& executor) {
  hosts_.at(host).endpoint = std::make_shared<Endpoint>(*this, host, executor);
}

void DatagramGround::send(HostId from, const net::SocketAddress& to, ByteView datagram) {
  HostId target = 0;
  while (target < hosts_.size() && socket(target) != to) ++target;
  const bool cut = cuts_.contains({std::min(from, target), std::max(from, target)});
  if (target == hosts_.size() || cut) return;
  if (world_.chance(options_.loss)) {
    ++lost;
    return;
  }
  const int copies = world_.chance(options_.duplication) ? 2 : 1;
  if (copies == 2) ++doubled;
  for (int i = 0; i < copies; ++i) {
    const auto arrival =
        world_.now().mono + options_.latency + world_.between(Duration{}, options_.jitter);
    auto& last = hosts_[target].last_arrival;
    if (arrival < last) ++overtaken;
    last = std::max(last, arrival);
    world_.at(arrival, [this, from, target, bytes = Bytes(datagram.begin(), datagram.end())] {
      ++delivered;
      if (hosts_[target].endpoint) hosts_[target].endpoint->on_datagram(socket(from), bytes);
    });
  }
}

}  // namespace peat::sim
