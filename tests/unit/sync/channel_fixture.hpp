// Whole nodes of the byte layer, and peers of other populations, in a simulated world.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "mesh_fixture.hpp"
#include "security/handshake.hpp"
#include "sync/channel.hpp"
#include "wire/batch.hpp"
#include "wire/frame.hpp"
#include "wire/native.hpp"

namespace peat::sync::test {

inline wire::Frame delta(std::string key, std::size_t bytes = 20) {
  return {std::move(key), wire::FrameType::delta, Bytes(bytes, 7)};
}

inline wire::SyncBatch batch(std::string key, std::size_t bytes = 20) {
  wire::SyncBatch out;
  out.entries.push_back({std::move(key), wire::EntryType::delta, Bytes(bytes, 7)});
  return out;
}

// A session that writes down what it hears; sends from `to_send` when the channel wants data.
struct Listener final : ChannelListener {
  explicit Listener(EndpointId p) : peer(p) {}

  void on_connected(SyncChannel& c) override {
    ++connected;
    if (greeting && c.dialect() == Dialect::native) {
      EXPECT_TRUE(c.send_native(*greeting));
    }
  }
  void on_disconnected(SyncChannel&) override { ++disconnected; }
  void on_frame(SyncChannel& c, wire::Frame frame) override {
    keys.push_back(frame.key);
    if (frame.type == wire::FrameType::batch) {
      const auto decoded = wire::decode_batch(frame.payload);
      if (!decoded) {
        c.count_undecodable();
        return;
      }
      for (const auto& entry : decoded->entries) entries.push_back(entry.key);
    }
  }
  void on_native(SyncChannel& c, wire::NativeFrame frame) override {
    if (auto* legacy = std::get_if<wire::LegacyFrame>(&frame)) on_frame(c, legacy->frame);
    if (const auto* ping = std::get_if<wire::Ping>(&frame)) pings.push_back(ping->token);
  }
  void on_wants_data(SyncChannel& c) override {
    ++wants;
    while (!to_send.empty() && c.wants_data()) {
      if (!c.send_frame(to_send.back())) break;
      to_send.pop_back();
    }
  }
  void on_closed(SyncChannel&) override { ++closed; }

  bool has(const std::string& key) const {
    return std::ranges::count(keys, key) + std::ranges::count(entries, key) > 0;
  }

  EndpointId peer;
  std::optional<wire::NativeFrame> greeting;
  std::vector<wire::Frame> to_send;  // from the back
  std::vector<std::string> keys;     // of frames
  std::vector<std::string> entries;  // of batches
  std::vector<std::uint64_t> pings;
  int connected = 0, disconnected = 0, wants = 0, closed = 0;
};

struct Node {
  explicit Node(Mesh& m, ConnectorOptions connector_options = {.formation = formation()},
                ChannelOptions channel_options = {})
      : mesh(m), host(m.add_host()) {
    start(*m.executors[host], std::move(connector_options), channel_options);
  }
  void start(sim::SimExecutor& executor,
             ConnectorOptions connector_options = {.formation = formation()},
             ChannelOptions channel_options = {}) {
    connector = Connector::create(mesh.network.endpoint(host), executor, mesh.world.random(),
                                  mesh.limits, std::move(connector_options));
    manager = SyncChannelManager::create(*connector, executor, mesh.world.random(), mesh.limits,
                                         channel_options, stop.get_token());
    manager->set_listener_factory([this](SyncChannel& channel) -> ChannelListener* {
      auto& listener = listeners[channel.peer_id()];
      if (!listener) listener = std::make_unique<Listener>(channel.peer_id());
      return listener.get();
    });
    connector->start();
  }
  // Power fails; comes back with restart().
  void crash() {
    mesh.network.crash(host);
    mesh.executors[host]->stop();
    manager.reset();
    connector.reset();
  }
  void restart() {
    mesh.executors[host] = std::make_unique<sim::SimExecutor>(mesh.world);
    mesh.network.restart(host, *mesh.executors[host]);
    start(*mesh.executors[host]);
  }
  EndpointId id() const { return mesh.id(host); }
  void knows(sim::HostId other, PeerAuth auth = PeerAuth::formation) {
    ASSERT_TRUE(connector->add_peer({mesh.id(other), mesh.network.address(other), auth}));
  }
  SyncChannel& to(sim::HostId other) { return **manager->get_channel(mesh.id(other)); }
  Listener& heard(sim::HostId other) { return *listeners.at(mesh.id(other)); }

  Mesh& mesh;
  sim::HostId host;
  std::stop_source stop;
  std::map<EndpointId, std::unique_ptr<Listener>> listeners;
  std::unique_ptr<Connector> connector;
  std::unique_ptr<SyncChannelManager> manager;
};

inline ConnectorOptions old_only() { return {.formation = formation(), .native = false}; }

// Two nodes, the first of which dials the second.
struct Two : Mesh {
  explicit Two(ConnectorOptions options_a = {.formation = formation()},
               ConnectorOptions options_b = {.formation = formation()},
               ChannelOptions channels = {}, std::uint64_t seed = 1)
      : Mesh(seed),
        a(*this, std::move(options_a), channels),
        b(*this, std::move(options_b), channels) {
    a.knows(b.host);
  }
  void connect() {
    a.to(b.host);
    world.run_for(seconds(2));
    ASSERT_TRUE(a.to(b.host).is_connected());
    ASSERT_TRUE(b.to(a.host).is_connected());
  }
  Node a, b;
};

// How the population of a foreign peer reads streams.
enum class Reads : std::uint8_t {
  one_frame,  // peat-mesh up to 0.8.2: one frame, then STOP_SENDING and FIN
  on,         // later: frames until FIN
};

// A peer of another population, without authentication.
struct Foreign final : transport::ConnectionHandler {
  Foreign(Mesh& m, Reads r) : mesh(m), host(m.add_host()), reads(r) {
    mesh.network.options(host).returns_uni_credit = reads == Reads::on;
    mesh.network.endpoint(host).listen({std::string(kAlpnOld)}, [this](auto c) { attach(c); });
  }
  void attach(std::shared_ptr<transport::Connection> c) {
    connection = std::move(c);
    connection->set_handler(this);
    connection->mark_authenticated();
    readers.clear();
    done.clear();
  }
  void dial(const Node& node) {
    mesh.network.endpoint(host).dial(node.id(), mesh.network.address(node.host),
                                     {std::string(kAlpnOld)}, [this](auto c) { attach(*c); });
    mesh.world.run_for(seconds(1));
    ASSERT_TRUE(connection);
  }
  transport::StreamId open(const Bytes& bytes, bool fin) {
    const auto stream = *connection->open_bidirectional();
    EXPECT_TRUE(connection->write(stream, bytes, fin));
    return stream;
  }
  void on_stream_opened(transport::Connection&, transport::StreamId stream) override {
    if (transport::is_bidirectional(stream)) ++streams_opened;
  }
  void on_data(transport::Connection& c, transport::StreamId stream, ByteView data,
               bool fin) override {
    bytes_received += data.size();
    c.consumed(stream, data.size());
    if (done.contains(stream)) return;
    auto& reader = readers.try_emplace(stream).first->second;
    while (!data.empty() && !done.contains(stream)) {
      auto frame = reader.read(data);
      ASSERT_TRUE(frame) << frame.error().message;
      if (!*frame) break;
      keys.push_back((**frame).key);
      if (reads == Reads::on || transport::opened_by_dialler(stream) == c.dialled()) continue;
      done.insert(stream);
      if (!fin) c.stop_sending(stream, 0);
    }
    // What follows the first frame is processed away from the stream, then our half is dropped.
    if (done.contains(stream) || fin) {
      mesh.world.after(milliseconds(20), [this, stream, weak = std::weak_ptr(connection)] {
        if (const auto c2 = weak.lock(); c2 && c2 == connection) (void)c2->write(stream, {}, true);
      });
    }
  }
  void on_stop_sending(transport::Connection&, transport::StreamId stream,
                       std::uint64_t code) override {
    stopped[stream] = code;
  }
  void on_reset(transport::Connection&, transport::StreamId stream, std::uint64_t) override {
    resets.insert(stream);
  }
  void on_closed(transport::Connection&, const transport::CloseInfo& info) override {
    closes.push_back(info);
    connection.reset();
  }
  bool has(const std::string& key) const { return std::ranges::count(keys, key) > 0; }

  Mesh& mesh;
  sim::HostId host;
  Reads reads;
  std::shared_ptr<transport::Connection> connection;
  std::map<transport::StreamId, wire::FrameReader> readers;
  std::set<transport::StreamId> done, resets;
  std::map<transport::StreamId, std::uint64_t> stopped;
  std::vector<std::string> keys;
  std::vector<transport::CloseInfo> closes;
  int streams_opened = 0;
  std::uint64_t bytes_received = 0;
};

inline ConnectorOptions open_to_all() {
  return {.formation = formation(), .allow_unauthenticated_peers = true};
}

inline Bytes encoded(const wire::Frame& frame) {
  Bytes out;
  EXPECT_TRUE(wire::encode_frame(frame.key, frame.type, frame.payload, out));
  return out;
}

// Both dialects, by name.
struct Channel : testing::TestWithParam<bool> {
  bool native() const { return GetParam(); }
  ConnectorOptions options() const {
    return {.formation = formation(), .allow_unauthenticated_peers = false, .native = native()};
  }
  std::unique_ptr<Two> two(ChannelOptions channels = {}, std::uint64_t seed = 1) const {
    return std::make_unique<Two>(options(), options(), channels, seed);
  }
};

inline void send_until_taken(Mesh& mesh, SyncChannel& channel, const wire::SyncBatch& batch) {
  for (int i = 0; i < 1000; ++i) {
    const auto sent = channel.send(batch);
    if (sent) return;
    ASSERT_EQ(sent.error().code, Code::would_block) << sent.error().message;
    mesh.world.run_for(milliseconds(20));
  }
  FAIL() << "never taken";
}

}  // namespace peat::sync::test
