// What the tests of this folder share: keys, a recording handler, and networks in virtual time.
#pragma once

#include <gtest/gtest.h>
#include <sodium.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/quic_core.hpp"

namespace peat::net::testing {

using transport::CloseInfo;
using transport::Connection;
using transport::StreamId;

struct Identity {
  EndpointId id;
  Signer sign;
};

inline Identity identity(std::uint8_t seed) {
  std::array<std::uint8_t, 32> seed_bytes{};
  seed_bytes.fill(seed);
  std::array<std::uint8_t, 64> secret{};
  Identity out;
  crypto_sign_seed_keypair(out.id.bytes.data(), secret.data(), seed_bytes.data());
  out.sign = [secret](ByteView message) {
    Bytes signature(64);
    crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret.data());
    return signature;
  };
  return out;
}

inline Bytes pattern(std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 31 % 251);
  return out;
}

// Writes down everything; consumes at once unless told otherwise.
class Recorder : public transport::ConnectionHandler {
 public:
  void on_stream_opened(Connection&, StreamId s) override { opened.push_back(s); }
  void on_data(Connection& c, StreamId s, ByteView data, bool fin) override {
    auto& got = received[s];
    got.insert(got.end(), data.begin(), data.end());
    if (fin) finished.push_back(s);
    if (consume) c.consumed(s, data.size());
    if (echo) {
      EXPECT_TRUE(c.write(s, data, fin));
    }
  }
  void on_wants_data(Connection&, StreamId s) override { wants.push_back(s); }
  void on_acknowledged(Connection&, StreamId s) override { acknowledged.push_back(s); }
  void on_reset(Connection&, StreamId s, std::uint64_t code) override { resets[s] = code; }
  void on_stop_sending(Connection&, StreamId s, std::uint64_t code) override { stops[s] = code; }
  void on_streams_available(Connection&) override { ++streams_available; }
  void on_closed(Connection&, const CloseInfo& info) override { closed = info; }

  bool ended(StreamId s) const {
    return std::find(finished.begin(), finished.end(), s) != finished.end();
  }
  std::size_t total() const {
    std::size_t sum = 0;
    for (const auto& [id, bytes] : received) sum += bytes.size();
    return sum;
  }

  bool consume = true;
  bool echo = false;
  std::vector<StreamId> opened, finished, acknowledged, wants;
  std::map<StreamId, Bytes> received;
  std::map<StreamId, std::uint64_t> resets, stops;
  int streams_available = 0;
  std::optional<CloseInfo> closed;
};

// Cores that exchange datagrams over simulated links in virtual time.
class World {
 public:
  struct Link {
    double loss = 0;
    double duplication = 0;
    Duration delay = std::chrono::milliseconds(10);
    Duration jitter{};  // above zero: datagrams overtake each other
  };
  struct Node {
    SocketAddress address;
    std::unique_ptr<QuicCore> core;
    std::vector<std::shared_ptr<Connection>> accepted;
    std::vector<std::shared_ptr<Connection>> dialled;
    std::vector<Error> dial_errors;
    Recorder recorder;  // of every connection of this node
    bool up = true;
  };

  explicit World(std::uint64_t seed = 1) : random_(seed) {}

  // Node i has the key of seed i+1, and 10.0.0.i+1:1 unless told otherwise.
  Node& add(CoreOptions options = {}, std::optional<SocketAddress> address = {},
            std::optional<std::uint8_t> key_seed = {}) {
    const auto n = static_cast<std::uint8_t>(nodes_.size() + 1);
    auto node = std::make_unique<Node>();
    node->address = address.value_or(SocketAddress::v4(0x0a000000U + n, 1));
    nodes_.push_back(std::move(node));
    start(*nodes_.back(), std::move(options), key_seed.value_or(n));
    return *nodes_.back();
  }

  // Also restarts: the old core is forgotten with all its connections.
  void start(Node& node, CoreOptions options, std::uint8_t key_seed) {
    const auto who = identity(key_seed);
    options.id = who.id;
    options.sign = who.sign;
    options.random = &random_;
    auto core = QuicCore::create(std::move(options));
    ASSERT_TRUE(core) << core.error().message;
    node.core = std::move(*core);
  }

  static void listen(Node& node, std::vector<std::string> alpns = {"test/1"},
                     bool authenticate = true) {
    node.core->listen(std::move(alpns), [&node, authenticate](auto connection) {
      connection->set_handler(&node.recorder);
      if (authenticate) connection->mark_authenticated();
      node.accepted.push_back(std::move(connection));
    });
  }

  std::uint64_t dial(Node& from, const Node& to, const EndpointId& expected,
                     std::vector<std::string> alpns = {"test/1"}, bool authenticate = true) {
    return from.core->dial(now, expected, from.address, to.address, alpns,
                           [&from, authenticate](auto result) {
                             if (!result) {
                               from.dial_errors.push_back(result.error());
                               return;
                             }
                             (*result)->set_handler(&from.recorder);
                             if (authenticate) (*result)->mark_authenticated();
                             from.dialled.push_back(std::move(*result));
                           });
  }

  // Dials and waits for both ends.
  std::shared_ptr<Connection> connect(Node& from, Node& to) {
    const auto before = from.dialled.size();
    const auto accepted = to.accepted.size();
    dial(from, to, to.core->id());
    EXPECT_TRUE(
        run_until([&] { return from.dialled.size() > before && to.accepted.size() > accepted; }));
    return from.dialled.empty() ? nullptr : from.dialled.back();
  }

  // Runs until `done`, or for `limit` of virtual time. True if done.
  template <class Done>
  bool run_until(Done done, Duration limit = std::chrono::seconds(60)) {
    const auto end = now + limit;
    for (;;) {
      transmit();
      if (done()) return true;
      Instant next = in_flight_.empty() ? kNever : in_flight_.begin()->first;
      for (const auto& node : nodes_) {
        if (node->core) next = std::min(next, node->core->next_timeout());
      }
      if (next > end) {
        now = end;
        return false;
      }
      now = std::max(now, next);
      deliver();
      for (const auto& node : nodes_) {
        if (node->core && node->core->next_timeout() <= now) node->core->on_timeout(now);
      }
    }
  }
  void run_for(Duration time) {
    run_until([] { return false; }, time);
  }

  Link link;
  Instant now{std::chrono::seconds(1)};
  std::uint64_t lost = 0, duplicated = 0, overtaken = 0, delivered = 0;
  // A NAT: what comes from `inside` seems to come from `outside`; only that leads back.
  std::optional<SocketAddress> nat_inside, nat_outside;
  // Sees every datagram that is sent; false drops it.
  std::function<bool(const SocketAddress& from, const SocketAddress& to, ByteView)> filter;

 private:
  struct Flight {
    SocketAddress from, to;
    Bytes bytes;
    std::uint64_t number;
  };

  double chance() { return static_cast<double>(random_.next_u64() >> 11) * 0x1p-53; }

  void transmit() {
    for (const auto& node : nodes_) {
      while (node->core) {
        const auto out = node->core->poll_transmit(now);
        if (!out) break;
        for (std::size_t at = 0; at < out->data.size(); at += out->segment) {
          send(out->local, out->remote,
               out->data.subspan(at, std::min(out->segment, out->data.size() - at)));
        }
      }
    }
  }

  void send(SocketAddress from, SocketAddress to, ByteView bytes) {
    if (nat_inside) {
      if (to == *nat_inside) return;
      if (to == *nat_outside) to = *nat_inside;
      if (from == *nat_inside) from = *nat_outside;
    }
    if (filter && !filter(from, to, bytes)) return;
    if (chance() < link.loss) {
      ++lost;
      return;
    }
    int copies = 1;
    if (chance() < link.duplication) {
      ++duplicated;
      ++copies;
    }
    for (; copies > 0; --copies) {
      const auto extra =
          Duration(static_cast<std::int64_t>(chance() * static_cast<double>(link.jitter.count())));
      in_flight_.emplace(now + link.delay + extra,
                         Flight{from, to, Bytes(bytes.begin(), bytes.end()), ++number_});
    }
  }

  void deliver() {
    while (!in_flight_.empty() && in_flight_.begin()->first <= now) {
      const Flight flight = std::move(in_flight_.begin()->second);
      in_flight_.erase(in_flight_.begin());
      if (flight.number < last_number_) ++overtaken;
      last_number_ = flight.number;
      for (const auto& node : nodes_) {
        if (!node->core || !node->up || !(node->address == flight.to)) continue;
        ++delivered;
        node->core->on_datagram(now, flight.to, flight.from, 0, flight.bytes);
        break;
      }
    }
  }

  SeededRandom random_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::multimap<Instant, Flight> in_flight_;
  std::uint64_t number_ = 0;
  std::uint64_t last_number_ = 0;
};

}  // namespace peat::net::testing
