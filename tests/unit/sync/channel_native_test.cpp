// The native dialect byte by byte.
#include <gtest/gtest.h>

#include "channel_fixture.hpp"

namespace peat::sync {
namespace {

using namespace test;

TEST(NativeChannel, EitherSideMaySpeakFirst) {
  Two mesh;
  mesh.a.manager->set_listener_factory({});
  Listener acceptor(mesh.a.id());
  acceptor.greeting = wire::Ping{7};
  Listener dialler(mesh.b.id());
  mesh.b.manager->set_listener_factory([&](SyncChannel&) { return &acceptor; });
  mesh.a.manager->set_listener_factory([&](SyncChannel&) { return &dialler; });
  mesh.connect();
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(dialler.pings, std::vector<std::uint64_t>{7});
}

TEST(NativeChannel, TheFirstFrameIsTheSessionsEvenIfBatchesWereWaiting) {
  Two mesh;
  auto& channel = mesh.a.to(mesh.b.host);
  mesh.a.heard(mesh.b.host).greeting = wire::Ping{1};
  ASSERT_TRUE(channel.send(batch("waiting")));
  std::vector<std::string> order;
  struct Order final : ChannelListener {
    explicit Order(std::vector<std::string>& o) : order(o) {}
    void on_connected(SyncChannel&) override {}
    void on_disconnected(SyncChannel&) override {}
    void on_frame(SyncChannel&, wire::Frame) override {}
    void on_native(SyncChannel&, wire::NativeFrame frame) override {
      order.push_back(std::holds_alternative<wire::Ping>(frame) ? "session" : "batch");
    }
    void on_wants_data(SyncChannel&) override {}
    void on_closed(SyncChannel&) override {}
    std::vector<std::string>& order;
  } listener(order);
  mesh.b.manager->set_listener_factory([&](SyncChannel&) { return &listener; });
  mesh.world.run_for(seconds(2));
  EXPECT_EQ(order, (std::vector<std::string>{"session", "batch"}));
}

// Speaks peat/sync/2 byte by byte.
struct RawNative final : transport::ConnectionHandler {
  explicit RawNative(Mesh& m) : mesh(m), host(m.add_host()), key(formation()) {
    mesh.network.endpoint(host).listen({std::string(kAlpnNative)}, [this](auto c) {
      connection = c;
      c->set_handler(this);
      acceptor.emplace(mesh.world.now().mono,
                       security::HandshakeEnds{*key, mesh.id(host), c->peer()}, mesh.world.random(),
                       security::AcceptorOptions{});
    });
  }
  void on_data(transport::Connection& c, transport::StreamId stream, ByteView data,
               bool fin) override {
    c.consumed(stream, data.size());
    if (stream != 0) return;
    acceptor->on_stream_bytes(mesh.world.now().mono, data, fin);
    while (auto output = acceptor->poll_output()) {
      if (auto* write = std::get_if<security::HandshakeWrite>(&*output)) {
        ASSERT_TRUE(c.write(stream, write->bytes, write->fin));
      }
    }
    if (acceptor->done()) c.mark_authenticated();
  }
  void on_stop_sending(transport::Connection&, transport::StreamId stream,
                       std::uint64_t code) override {
    stopped[stream] = code;
  }
  void on_closed(transport::Connection&, const transport::CloseInfo& info) override {
    closes.push_back(info);
  }
  Mesh& mesh;
  sim::HostId host;
  std::optional<security::FormationKey> key;
  std::optional<security::FormationAcceptor> acceptor;
  std::shared_ptr<transport::Connection> connection;
  std::map<transport::StreamId, std::uint64_t> stopped;
  std::vector<transport::CloseInfo> closes;
};

struct WithRawNative : Mesh {
  WithRawNative() : node(*this), peer(*this) {
    node.knows(peer.host);
    node.to(peer.host);
    world.run_for(seconds(1));
  }
  void send(const Bytes& bytes) {
    ASSERT_TRUE(peer.connection->write(kStream, bytes, false));
    world.run_for(seconds(1));
  }
  static constexpr transport::StreamId kStream = 4;  // after the handshake's
  Node node;
  RawNative peer;
};

TEST(NativeChannel, UnknownFramesAreSkippedAndCounted) {
  WithRawNative mesh;
  ASSERT_TRUE(mesh.node.to(mesh.peer.host).is_connected());
  Bytes bytes{3, 200, 1, 2, 3};
  ASSERT_TRUE(wire::encode(wire::Ping{5}, bytes));
  mesh.send(bytes);
  EXPECT_EQ(mesh.node.heard(mesh.peer.host).pings, std::vector<std::uint64_t>{5});
  EXPECT_EQ(mesh.node.to(mesh.peer.host).stats().undecodable, 1U);
}

TEST(NativeChannel, ABrokenFrameEndsTheConnectionAndTheChannelReconnects) {
  WithRawNative mesh;
  mesh.send(Bytes(20, 0xff));
  ASSERT_EQ(mesh.peer.closes.size(), 1U);
  EXPECT_EQ(mesh.peer.closes[0].code, 300U);
  mesh.world.run_for(seconds(3));
  EXPECT_TRUE(mesh.node.to(mesh.peer.host).is_connected());
  EXPECT_EQ(mesh.node.to(mesh.peer.host).stats().reconnections, 1U);
}

TEST(NativeChannel, AFrameThatStopsInItsMiddleEndsTheConnectionAfterTheReadLimit) {
  WithRawNative mesh;
  mesh.send({50, 7, 1, 2, 3});
  mesh.world.run_for(seconds(28));
  EXPECT_TRUE(mesh.peer.closes.empty());
  mesh.world.run_for(seconds(3));
  ASSERT_EQ(mesh.peer.closes.size(), 1U);
  EXPECT_EQ(mesh.peer.closes[0].code, 8U);
}

TEST(NativeChannel, OtherStreamsAreOfNoUse) {
  WithRawNative mesh;
  const auto stream = *mesh.peer.connection->open_bidirectional();
  ASSERT_TRUE(mesh.peer.connection->write(stream, Bytes(100, 1), false));
  mesh.world.run_for(seconds(1));
  EXPECT_TRUE(mesh.peer.stopped.contains(stream));
  EXPECT_TRUE(mesh.node.to(mesh.peer.host).is_connected());
}

}  // namespace
}  // namespace peat::sync
