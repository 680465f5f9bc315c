// Who gets a connection, which one stays, and what is remembered about a peer.
#include "sync/connector.hpp"

#include <gtest/gtest.h>

#include <set>

#include "base/reader.hpp"
#include "mesh_fixture.hpp"
#include "security/handshake.hpp"

namespace peat::sync {
namespace {

using namespace test;
using transport::CloseInfo;
using transport::Connection;
using transport::ConnectionHandler;
using transport::StreamId;

// What sync would do with a connection: take its events.
struct Client final : ConnectionHandler {
  std::map<StreamId, std::string> data;
  std::vector<CloseInfo> closed;
  std::vector<AuthenticatedConnection> connections;

  void attach(const AuthenticatedConnection& connection) {
    connections.push_back(connection);
    connection.connection->set_handler(this);
  }
  void on_data(Connection& c, StreamId id, ByteView bytes, bool) override {
    data[id] += as_text(bytes);
    c.consumed(id, bytes.size());
  }
  void on_closed(Connection&, const CloseInfo& info) override { closed.push_back(info); }
};

struct Node {
  Node(Mesh& m, ConnectorOptions options = {.formation = formation()})
      : mesh(m),
        host(m.add_host()),
        connector(Connector::create(m.network.endpoint(host), *m.executors[host], m.world.random(),
                                    m.limits, noting(std::move(options)))) {
    connector->on_connected([this](AuthenticatedConnection c) { client.attach(c); });
    connector->start();
  }
  ConnectorOptions noting(ConnectorOptions options) {
    options.on_refused = [this](const RefusedPeer& peer) { refused.push_back(peer); };
    return options;
  }
  void knows(const Node& other, PeerAuth auth = PeerAuth::formation) {
    ASSERT_TRUE(connector->add_peer({mesh.id(other.host), mesh.network.address(other.host), auth}));
  }
  void connect(sim::HostId peer) {
    connector->get_or_connect(mesh.id(peer), [this](auto result) {
      results.push_back(result ? std::nullopt : std::optional(result.error()));
    });
  }
  PeerStatus status(sim::HostId peer) const {
    for (auto& s : connector->peers()) {
      if (s.id == mesh.id(peer)) return s;
    }
    return {};
  }

  Mesh& mesh;
  sim::HostId host;
  std::unique_ptr<Connector> connector;
  Client client;
  std::vector<std::optional<Error>> results;  // of connect: nullopt is success
  std::vector<RefusedPeer> refused;
};

// A foreign acceptor at a host of its own.
struct Foreign {
  explicit Foreign(Mesh& m) : mesh(m), host(m.add_host()) {}
  Mesh& mesh;
  sim::HostId host;
  std::vector<std::shared_ptr<Connection>> connections;
};

ConnectorOptions old_only(std::optional<security::FormationKey> key = formation()) {
  return {.formation = std::move(key), .native = false};
}

TEST(Connector, TwoNodesProveMembershipAndChooseTheNativeProtocol) {
  Mesh mesh;
  Node a(mesh), b(mesh);
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(seconds(2));
  ASSERT_EQ(a.results.size(), 1U);
  EXPECT_FALSE(a.results[0]);
  ASSERT_EQ(a.client.connections.size(), 1U);
  ASSERT_EQ(b.client.connections.size(), 1U) << "the accepting side learns of it too (F5)";
  EXPECT_EQ(a.client.connections[0].dialect, Dialect::native);
  EXPECT_TRUE(a.client.connections[0].bound);
  EXPECT_TRUE(b.client.connections[0].authenticated);
  EXPECT_EQ(a.status(b.host).state, "connected");
  EXPECT_EQ(a.status(b.host).dialect, "peat/sync/2");
  EXPECT_EQ(a.status(b.host).handshake, "A'");
  EXPECT_TRUE(a.status(b.host).dialled);
  EXPECT_EQ(b.status(a.host).state, "connected");
  EXPECT_FALSE(b.status(a.host).configured);
}

TEST(Connector, SyncNeverSeesAByteOfTheHandshake) {
  Mesh mesh(5, {}, {milliseconds(20), milliseconds(18), 0, 0});
  Node a(mesh), b(mesh);
  a.knows(b);
  // The acceptor is proven first and speaks at once; its words may overtake the verdict.
  b.connector->on_connected([&](AuthenticatedConnection c) {
    b.client.attach(c);
    const auto stream = *c.connection->open_bidirectional();
    ASSERT_TRUE(c.connection->write(stream, as_bytes("early"), true));
  });
  a.connect(b.host);
  mesh.world.run_for(seconds(2));
  ASSERT_EQ(a.client.data.size(), 1U);
  EXPECT_EQ(a.client.data.begin()->second, "early");
  EXPECT_TRUE(b.client.data.empty());
}

TEST(Connector, HoweverManyAskOneAttemptIsMade) {
  Mesh mesh;
  Node a(mesh), b(mesh);
  a.knows(b);
  for (int i = 0; i < 20; ++i) a.connect(b.host);
  mesh.world.run_for(seconds(2));
  EXPECT_EQ(a.results.size(), 20U);
  EXPECT_EQ(b.client.connections.size(), 1U);
  a.connect(b.host);
  mesh.world.run_for(seconds(2));
  EXPECT_EQ(a.results.size(), 21U);
  EXPECT_EQ(b.client.connections.size(), 1U);
}

TEST(Connector, AWrongSecretIsRefusedWithItsReasonAndNothingEnters) {
  Mesh mesh;
  Node a(mesh, {.formation = formation("other")}), b(mesh);
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(minutes(1));
  ASSERT_EQ(a.results.size(), 1U);
  ASSERT_TRUE(a.results[0]);
  EXPECT_EQ(a.results[0]->code, Code::authentication_failed);
  EXPECT_TRUE(a.client.connections.empty());
  EXPECT_TRUE(b.client.connections.empty());
  EXPECT_EQ(b.connector->unproven(), 0U);
  EXPECT_EQ(mesh.network.connections(a.host, b.host), 0U);
  EXPECT_EQ(a.status(b.host).state, "backoff");
}

// D1c: the verdict must not be overtaken by the close.
TEST(Connector, D1cARefusedDiallerOfTheOldProtocolReadsItsVerdict) {
  Mesh mesh(3, {}, {milliseconds(50), milliseconds(40), 0, 0});
  Node a(mesh, old_only(formation("other"))), b(mesh);
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(minutes(1));
  ASSERT_TRUE(a.results.at(0));
  EXPECT_NE(a.results[0]->message.find("refused our formation proof"), std::string::npos)
      << a.results[0]->message;
}

// Membership that takes more than the secret: `out` says who has lost it.
ConnectorOptions admitting(const std::set<EndpointId>& out, Code why = Code::not_trusted) {
  ConnectorOptions options{.formation = formation()};
  options.admit = [&out, why](const EndpointId& id, std::string_view) -> Status {
    if (out.contains(id)) return fail(why, "said so");
    return {};
  };
  return options;
}

TEST(Connector, WhoIsNotAdmittedGetsNoConnectionThoughItHasTheSecret) {
  Mesh mesh;
  std::set<EndpointId> out;
  Node a(mesh), b(mesh, admitting(out));
  out.insert(mesh.id(a.host));
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(minutes(1));
  ASSERT_TRUE(a.results.at(0));
  EXPECT_NE(a.results[0]->message.find("certificate required"), std::string::npos)
      << a.results[0]->message;
  EXPECT_TRUE(a.client.connections.empty());
  EXPECT_TRUE(b.client.connections.empty());
  ASSERT_EQ(b.refused.size(), 1U) << "one connection, not one for each variant";
  EXPECT_EQ(b.refused[0].error.message, "said so");
  // Nor is it dialled from here.
  b.knows(a);
  b.connect(a.host);
  mesh.world.run_for(minutes(1));
  ASSERT_TRUE(b.results.at(0));
  EXPECT_EQ(b.results[0]->code, Code::not_trusted);
  EXPECT_TRUE(a.client.connections.empty());
}

// D-09: in the reference a revoked peer stays connected until somebody restarts.
TEST(Connector, D09WhoIsExpelledLosesItsConnectionAtOnceAndComesBackWhenAdmitted) {
  Mesh mesh;
  std::set<EndpointId> out;
  Node a(mesh), b(mesh, admitting(out, Code::certificate_revoked));
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(seconds(2));
  ASSERT_EQ(b.client.connections.size(), 1U);
  out.insert(mesh.id(a.host));
  b.connector->expel(mesh.id(a.host), {Code::certificate_revoked, "stolen"});
  mesh.world.run_for(seconds(1));
  ASSERT_EQ(a.client.closed.size(), 1U);
  EXPECT_EQ(a.client.closed[0].code, 2U);
  EXPECT_EQ(a.client.closed[0].reason, "certificate revoked");
  EXPECT_EQ(b.client.closed.size(), 1U);
  ASSERT_FALSE(b.refused.empty());
  EXPECT_EQ(b.refused.back().error.message, "stolen");
  a.connect(b.host);
  mesh.world.run_for(minutes(1));
  EXPECT_EQ(b.client.connections.size(), 1U);
  out.clear();
  a.connect(b.host);
  mesh.world.run_for(minutes(1));
  EXPECT_EQ(b.client.connections.size(), 2U);
}

TEST(Connector, WhoIsRevokedDuringItsProofDoesNotEnter) {
  Mesh mesh;
  std::set<EndpointId> out;
  int asked = 0;
  ConnectorOptions options{.formation = formation()};
  options.admit = [&](const EndpointId&, std::string_view) -> Status {
    if (++asked > 1) return fail(Code::certificate_revoked, "meanwhile");
    return {};
  };
  Node a(mesh), b(mesh, std::move(options));
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(seconds(5));
  EXPECT_EQ(asked, 2);
  EXPECT_TRUE(b.client.connections.empty());
}

TEST(Connector, OtherProtocolsOfTheEndpointGoElsewhereUnproven) {
  Mesh mesh;
  std::vector<std::shared_ptr<Connection>> others;
  ConnectorOptions options{.formation = formation()};
  options.protocols.emplace_back("peat/enroll/1",
                                 [&](std::shared_ptr<Connection> c) { others.push_back(c); });
  Node b(mesh, std::move(options));
  Foreign stranger(mesh);
  mesh.network.endpoint(stranger.host)
      .dial(mesh.id(b.host), mesh.network.address(b.host), {"peat/enroll/1"},
            [&](auto result) { stranger.connections.push_back(*result); });
  mesh.world.run_for(seconds(1));
  ASSERT_EQ(others.size(), 1U);
  EXPECT_EQ(others[0]->alpn(), "peat/enroll/1");
  EXPECT_TRUE(b.client.connections.empty());
  EXPECT_EQ(b.connector->unproven(), 0U);
}

// An acceptor of the old protocol that answers any proof with yes: it has no secret (D-29).
struct RogueAcceptor final : ConnectionHandler {
  explicit RogueAcceptor(Mesh& m, sim::HostId host,
                         std::function<security::Nonce(const EndpointId&)> nonce)
      : mesh(m), make_nonce(std::move(nonce)) {
    m.network.endpoint(host).listen({std::string(kAlpnOld)}, [this](auto c) {
      connections.push_back(c);
      c->set_handler(this);
    });
  }
  void on_data(Connection& c, StreamId id, ByteView bytes, bool) override {
    c.consumed(id, bytes.size());
    if (challenged.insert(c.stable_id()).second) {
      Bytes out;
      Writer writer(out);
      const std::string formation_name = "peat";
      const bool framed = bytes.front() == 1;
      if (framed) writer.u32le(static_cast<std::uint32_t>(34 + formation_name.size()));
      writer.u16le(static_cast<std::uint16_t>(formation_name.size()));
      writer.text(formation_name);
      writer.bytes(make_nonce(c.peer()));
      ASSERT_TRUE(c.write(id, out, false));
    } else {
      ASSERT_TRUE(c.write(id, Bytes{1}, true));
      ++harvested;
    }
  }
  void on_closed(Connection&, const CloseInfo&) override {}

  Mesh& mesh;
  std::function<security::Nonce(const EndpointId&)> make_nonce;
  std::vector<std::shared_ptr<Connection>> connections;
  std::set<std::uint64_t> challenged;
  int harvested = 0;
};

// D-29: the reference hands its documents to whoever says yes.
TEST(Connector, D29ARogueAcceptorIsFoundOutWhereBindingIsRequired) {
  for (const auto binding : {Binding::off, Binding::prefer, Binding::require}) {
    Mesh mesh;
    ConnectorOptions options{.formation = formation(), .binding = binding};
    Node a(mesh, std::move(options));
    Foreign host(mesh);
    RogueAcceptor rogue(mesh, host.host, [](const EndpointId&) { return security::Nonce{}; });
    mesh.network.options(host.host).refuses_several_protocols = true;
    ASSERT_TRUE(a.connector->add_peer(
        {mesh.id(host.host), mesh.network.address(host.host), PeerAuth::formation}));
    a.connect(host.host);
    mesh.world.run_for(minutes(1));
    EXPECT_EQ(a.client.connections.empty(), binding == Binding::require);
    EXPECT_EQ(rogue.harvested > 0, binding != Binding::require);
  }
}

TEST(Connector, D29WhoHasProvedItselfOnceMustDoSoAlways) {
  Mesh mesh;
  std::set<EndpointId> told;
  ConnectorOptions options{.formation = formation()};
  options.on_bound = [&](const EndpointId& id) { told.insert(id); };
  Node a(mesh, std::move(options));
  Foreign host(mesh);
  const auto key = *formation("river stone", "peat");
  bool honest = true;
  RogueAcceptor acceptor(mesh, host.host, [&](const EndpointId& dialler) {
    return honest ? key.make_bound_nonce(mesh.world.random(), mesh.id(host.host), dialler)
                  : security::Nonce{};
  });
  mesh.network.options(host.host).refuses_several_protocols = true;
  ASSERT_TRUE(a.connector->add_peer(
      {mesh.id(host.host), mesh.network.address(host.host), PeerAuth::formation}));
  a.connect(host.host);
  mesh.world.run_for(seconds(5));
  ASSERT_EQ(a.client.connections.size(), 1U);
  EXPECT_TRUE(a.client.connections[0].bound);
  EXPECT_TRUE(told.contains(mesh.id(host.host)));
  // Somebody has the acceptor's key, but not the secret; or stands between.
  honest = false;
  mesh.network.reset_connection(a.host, host.host);
  mesh.world.run_for(seconds(1));
  a.connect(host.host);
  mesh.world.run_for(minutes(1));
  EXPECT_EQ(a.client.connections.size(), 1U);
  // And after a restart.
  ConnectorOptions again{.formation = formation(), .bound_before = told};
  Node b(mesh, std::move(again));
  ASSERT_TRUE(b.connector->add_peer(
      {mesh.id(host.host), mesh.network.address(host.host), PeerAuth::formation}));
  b.connect(host.host);
  mesh.world.run_for(minutes(1));
  EXPECT_TRUE(b.client.connections.empty());
}

TEST(Connector, D31TwoSecretsAreTakenWhileOneIsChanged) {
  Mesh mesh;
  const auto with = [](std::string_view first, std::string_view second) {
    return ConnectorOptions{.formation = formation(first), .other_formation = formation(second)};
  };
  Node old_only_node(mesh), preparing(mesh, with("river stone", "new")),
      exchanged(mesh, with("new", "river stone")), new_only(mesh, {.formation = formation("new")});
  const auto meet = [&](Node& one, Node& two) {
    one.knows(two);
    one.connect(two.host);
    mesh.world.run_for(minutes(1));
    return one.status(two.host).state == "connected";
  };
  EXPECT_TRUE(meet(old_only_node, preparing));
  EXPECT_TRUE(meet(preparing, exchanged));
  EXPECT_TRUE(meet(new_only, exchanged));
  EXPECT_FALSE(meet(old_only_node, new_only));
}

// D-32: the reference lets a stranger try for ever.
TEST(Connector, D32AnAddressThatFailsTooOftenIsTurnedAway) {
  Mesh mesh;
  mesh.limits.formation_failures_per_minute = 4;
  Node a(mesh, {.formation = formation("other"), .binding = Binding::off, .native = false}),
      b(mesh);
  a.knows(b);
  // The reason also tells an honest node's operator what happens.
  std::size_t turned_away = 0;
  for (int i = 0; i < 10; ++i) {
    a.connect(b.host);
    mesh.world.run_for(milliseconds(1500));
    turned_away += a.results.back()->message.find("too many failed proofs") != std::string::npos;
  }
  EXPECT_GT(turned_away, 3U);
  EXPECT_LE(b.refused.size(), 6U);
}

TEST(Connector, APeerWithSeveralAddressesIsReachedAtTheOneThatAnswers) {
  Mesh mesh;
  Node a(mesh), b(mesh);
  ASSERT_TRUE(a.connector->add_peer({mesh.id(b.host),
                                     "10.9.9.9:1",
                                     PeerAuth::formation,
                                     {"10.9.9.8:1", mesh.network.address(b.host)}}));
  for (int i = 0; i < 3; ++i) {
    a.connect(b.host);
    mesh.world.run_for(minutes(2));
  }
  EXPECT_EQ(a.status(b.host).state, "connected");
}

TEST(Connector, AnotherFormationIsNotOurs) {
  Mesh mesh;
  Node a(mesh, {.formation = formation("river stone", "sea")}), b(mesh);
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(minutes(1));
  ASSERT_TRUE(a.results.at(0));
  EXPECT_EQ(a.results[0]->code, Code::authentication_failed);
}

TEST(Connector, OldPeersAreMetOnTheOldProtocol) {
  Mesh mesh;
  Node a(mesh), b(mesh, old_only());
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(seconds(2));
  EXPECT_EQ(a.status(b.host).dialect, "cap/automerge/1");
  EXPECT_EQ(a.status(b.host).handshake, "A'");
}

TEST(Connector, APeerThatRefusesThePairIsRedialledWithTheOldProtocolAlone) {
  Mesh mesh;
  Node a(mesh), b(mesh, old_only());
  a.knows(b);
  mesh.network.options(b.host).refuses_several_protocols = true;
  a.connect(b.host);
  mesh.world.run_for(seconds(2));
  EXPECT_EQ(a.status(b.host).dialect, "cap/automerge/1");
  EXPECT_EQ(mesh.network.faults_happened().at(sim::Fault::dial_refused), 1U);

  mesh.network.reset_connection(a.host, b.host);
  mesh.world.run_for(seconds(1));
  a.connect(b.host);
  mesh.world.run_for(seconds(2));
  EXPECT_EQ(a.status(b.host).state, "connected");
  EXPECT_EQ(mesh.network.faults_happened().at(sim::Fault::dial_refused), 1U) << "remembered";
}

// Answers the handshake as existing acceptors of variant A and B do, byte by byte.
struct OldAcceptor final : ConnectionHandler {
  OldAcceptor(Foreign& f, security::Variant v) : foreign(f), variant(v) {
    foreign.mesh.network.endpoint(foreign.host)
        .listen({std::string(kAlpnOld)}, [this](std::shared_ptr<Connection> c) {
          ++connections;
          input.clear();
          greeted = false;
          c->set_handler(this);
          foreign.connections.push_back(std::move(c));
        });
  }
  void on_stream_opened(Connection& c, StreamId id) override {
    if (variant == security::Variant::a) challenge(c, id, {38, 0, 0, 0});
  }
  void on_data(Connection& c, StreamId id, ByteView bytes, bool) override {
    c.consumed(id, bytes.size());
    input.insert(input.end(), bytes.begin(), bytes.end());
    Reader reader(input);
    if (variant == security::Variant::a) {
      const auto length = reader.u32le("length");
      if (length && *length > 256) return c.close(1, "formation auth failed");
      if (length && reader.remaining() >= 32) verify(c, id, reader.rest());
    } else if (!greeted) {
      const auto length = reader.u16le("length");
      if (length && reader.remaining() >= *length) challenge(c, id, {});
    } else if (input.size() >= 32) {
      verify(c, id, input);
    }
  }
  void on_closed(Connection&, const CloseInfo&) override {}
  void challenge(Connection& c, StreamId id, Bytes out) {
    greeted = true;
    input.clear();
    nonce =
        key->make_bound_nonce(foreign.mesh.world.random(), foreign.mesh.id(foreign.host), c.peer());
    Writer writer(out);
    writer.u16le(4);
    writer.text("peat");
    writer.bytes(nonce);
    ASSERT_TRUE(c.write(id, out, false));
  }
  void verify(Connection& c, StreamId id, ByteView response) {
    const bool ok = key->verify(nonce, response.first(32));
    ASSERT_TRUE(c.write(id, Bytes{static_cast<std::uint8_t>(ok ? 1 : 0)}, true));
    input.clear();
  }

  Foreign& foreign;
  security::Variant variant;
  std::optional<security::FormationKey> key = formation();
  security::Nonce nonce{};
  Bytes input;
  bool greeted = false;
  int connections = 0;
};

TEST(Connector, TheVariantsAreTriedInOrderAndTheOneThatWorkedIsRemembered) {
  for (const auto& [variant, name, dials] :
       {std::tuple{security::Variant::b, "B", 2}, std::tuple{security::Variant::a, "A", 3}}) {
    Mesh mesh;
    Node a(mesh);
    Foreign foreign(mesh);
    OldAcceptor acceptor(foreign, variant);
    ASSERT_TRUE(a.connector->add_peer(
        {mesh.id(foreign.host), mesh.network.address(foreign.host), PeerAuth::formation}));
    a.connect(foreign.host);
    mesh.world.run_for(seconds(20));
    EXPECT_EQ(a.status(foreign.host).state, "connected") << name;
    EXPECT_EQ(a.status(foreign.host).handshake, name);
    EXPECT_EQ(acceptor.connections, dials);

    mesh.network.reset_connection(a.host, foreign.host);
    mesh.world.run_for(seconds(1));
    a.connect(foreign.host);
    mesh.world.run_for(seconds(20));
    EXPECT_EQ(a.status(foreign.host).state, "connected") << name;
    EXPECT_EQ(acceptor.connections, dials + 1) << name << " is tried first now";
  }
}

TEST(Connector, APeerWithoutAuthenticationNeverGetsAPreamble) {
  Mesh mesh;
  Node a(mesh);
  Foreign foreign(mesh);
  Client peer;
  mesh.network.endpoint(foreign.host)
      .listen({std::string(kAlpnOld), std::string(kAlpnNative)},
              [&](std::shared_ptr<Connection> c) { peer.attach({c}); });
  ASSERT_TRUE(a.connector->add_peer(
      {mesh.id(foreign.host), mesh.network.address(foreign.host), PeerAuth::none}));
  a.connect(foreign.host);
  mesh.world.run_for(seconds(40));
  EXPECT_EQ(a.status(foreign.host).state, "connected");
  EXPECT_EQ(a.status(foreign.host).handshake, "none");
  EXPECT_EQ(a.status(foreign.host).dialect, "cap/automerge/1") << "never the native protocol";
  EXPECT_FALSE(a.client.connections.at(0).authenticated);
  EXPECT_TRUE(peer.data.empty());
}

struct Stranger {  // dials without any proof
  Stranger(Mesh& mesh, const Node& target) {
    host = mesh.add_host();
    mesh.network.endpoint(host).dial(mesh.id(target.host), mesh.network.address(target.host),
                                     {std::string(kAlpnOld)}, [this](auto result) {
                                       connection = *result;
                                       client.attach({connection});
                                     });
    mesh.world.run_for(milliseconds(500));
  }
  sim::HostId host;
  std::shared_ptr<Connection> connection;
  Client client;
};

TEST(Connector, AStrangersDocumentsAreRefused) {
  Mesh mesh;
  Node a(mesh);
  Stranger stranger(mesh, a);
  const auto stream = *stranger.connection->open_bidirectional();
  ASSERT_TRUE(stranger.connection->write(stream, Bytes{0, 5, 'b', 'a'}, false));
  mesh.world.run_for(seconds(2));
  EXPECT_TRUE(a.client.connections.empty());
  ASSERT_EQ(stranger.client.closed.size(), 1U);
  EXPECT_EQ(stranger.client.closed[0].code, 1U);
  EXPECT_EQ(stranger.client.closed[0].reason, "formation auth failed");
}

TEST(Connector, AllowedStrangersAreHeardFromTheirFirstByte) {
  Mesh mesh;
  Node a(mesh, {.formation = formation(), .allow_unauthenticated_peers = true});
  Stranger stranger(mesh, a);
  const auto first = *stranger.connection->open_bidirectional();
  const auto second = *stranger.connection->open_bidirectional();
  ASSERT_TRUE(stranger.connection->write(second, as_bytes("second"), true));
  ASSERT_TRUE(stranger.connection->write(first, Bytes{0, 5, 'b', 'a'}, false));
  ASSERT_TRUE(stranger.connection->write(first, as_bytes("tch"), false));
  mesh.world.run_for(seconds(2));
  ASSERT_EQ(a.client.connections.size(), 1U);
  EXPECT_FALSE(a.client.connections[0].authenticated);
  EXPECT_EQ(a.client.data.at(first), (std::string{"\0\5batch", 7}));
  EXPECT_EQ(a.client.data.at(second), "second");
}

TEST(Connector, ASilentDiallerIsTakenAfterTwoSecondsWhereAllowedElseClosedAtTheDeadline) {
  Mesh mesh;
  Node allowing(mesh, {.formation = formation(), .allow_unauthenticated_peers = true});
  Node strict(mesh);
  Stranger one(mesh, allowing), two(mesh, strict);
  mesh.world.run_for(seconds(2));
  EXPECT_EQ(allowing.client.connections.size(), 1U);
  EXPECT_EQ(strict.connector->unproven(), 1U);
  mesh.world.run_for(seconds(29));
  EXPECT_TRUE(strict.client.connections.empty());
  EXPECT_EQ(strict.connector->unproven(), 0U) << "no leak (F24)";
  ASSERT_EQ(two.client.closed.size(), 1U);
  EXPECT_EQ(two.client.closed[0].code, 1U);
}

TEST(Connector, BytesBeforeTheProofAreBounded) {
  Mesh mesh;
  mesh.limits.net_unauthenticated_window_bytes = 1000;
  Node a(mesh);
  Stranger stranger(mesh, a);
  ASSERT_TRUE(stranger.connection->open_bidirectional());
  const auto second = *stranger.connection->open_bidirectional();
  ASSERT_TRUE(stranger.connection->write(0, Bytes{1}, false));
  ASSERT_TRUE(stranger.connection->write(second, Bytes(2000, 7), false));
  mesh.world.run_for(seconds(2));
  EXPECT_EQ(stranger.client.closed.size(), 1U);
}

// D2c: both dial at once.
TEST(Connector, D2cOfSimultaneousDialsTheLowerIdsStaysOnBothSides) {
  std::set<std::uint64_t> codes;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Mesh mesh(seed, {}, {milliseconds(30), milliseconds(25), 0, 0});
    Node low(mesh), high(mesh);
    low.knows(high);
    high.knows(low);
    low.connect(high.host);
    mesh.world.run_for(milliseconds(static_cast<std::int64_t>(mesh.world.below(250))));
    high.connect(low.host);
    mesh.world.run_for(seconds(5));
    ASSERT_EQ(low.status(high.host).state, "connected") << "seed " << seed;
    ASSERT_EQ(high.status(low.host).state, "connected") << "seed " << seed;
    EXPECT_EQ(mesh.network.connections(low.host, high.host), 1U) << "seed " << seed;
    const auto a = low.connector->get_connection(mesh.id(high.host));
    const auto b = high.connector->get_connection(mesh.id(low.host));
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->connection->stable_id() / 2, b->connection->stable_id() / 2) << "seed " << seed;
    for (const auto* node : {&low, &high}) {
      for (const auto& result : node->results) EXPECT_FALSE(result) << result->message;
    }
    const bool lower_stays = a->connection->dialled();
    if (mesh.network.faults_happened().contains(sim::Fault::simultaneous_dial)) {
      EXPECT_TRUE(lower_stays) << "seed " << seed;
    }
    for (const auto& [code, times] : mesh.network.closes()) codes.insert(code);
  }
  // Spec: 100 to 103; 0 is an attempt that was given up before its handshake.
  EXPECT_TRUE(codes.contains(100) || codes.contains(102));
  EXPECT_TRUE(codes.contains(101) || codes.contains(103));
  for (const auto code : codes) EXPECT_TRUE(code == 0 || (code >= 100 && code <= 103)) << code;
}

// D2b: the end of a replaced connection removed its successor.
TEST(Connector, D2bAReplacedConnectionTakesNothingWithIt) {
  Mesh mesh;
  Node a(mesh), b(mesh);
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(seconds(1));
  // a loses power; b does not notice; a returns and dials anew.
  mesh.network.crash(a.host);
  a.client.connections.clear();
  a.connector.reset();
  sim::SimExecutor second_life(mesh.world);
  mesh.network.restart(a.host, second_life);
  a.connector = Connector::create(mesh.network.endpoint(a.host), second_life, mesh.world.random(),
                                  mesh.limits, {.formation = formation()});
  a.connector->on_connected([&](AuthenticatedConnection c) { a.client.attach(c); });
  a.connector->start();
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(seconds(1));
  ASSERT_EQ(b.client.connections.size(), 2U) << "the new one replaces the old at once";
  const auto current = b.connector->get_connection(mesh.id(a.host));
  ASSERT_TRUE(current);
  EXPECT_EQ(current->connection->stable_id(), b.client.connections[1].connection->stable_id());
  mesh.world.run_for(minutes(2));
  EXPECT_TRUE(b.connector->get_connection(mesh.id(a.host)));
  EXPECT_TRUE(b.client.closed.empty()) << "the old one ended without a word to sync";
}

TEST(Connector, APeerThatLostTheLowerIdsConnectionGetsInAgainAfterTenSeconds) {
  Mesh mesh;
  Node low(mesh), high(mesh);
  low.knows(high);
  low.connect(high.host);
  mesh.world.run_for(seconds(1));
  mesh.network.crash(high.host);
  high.connector.reset();
  sim::SimExecutor second_life(mesh.world);
  mesh.network.restart(high.host, second_life);
  // Keep the old one from noticing: it would be reset at its next packet.
  mesh.world.run_for(seconds(12));
  high.connector = Connector::create(mesh.network.endpoint(high.host), second_life,
                                     mesh.world.random(), mesh.limits, {.formation = formation()});
  high.connector->start();
  high.knows(low);
  high.connect(low.host);
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(high.status(low.host).state, "connected");
  EXPECT_EQ(low.status(high.host).state, "connected");
}

TEST(Connector, AnUnknownPeerIsUnreachableAndADeadOneTimesOut) {
  Mesh mesh;
  Node a(mesh), b(mesh);
  a.connect(b.host);
  mesh.world.run_for(seconds(1));
  ASSERT_TRUE(a.results.at(0));
  EXPECT_EQ(a.results[0]->code, Code::unreachable);
  a.knows(b);
  mesh.network.cut(a.host, b.host);
  a.connect(b.host);
  mesh.world.run_for(seconds(15));
  ASSERT_TRUE(a.results.at(1));
  EXPECT_EQ(a.results[1]->code, Code::timeout);
  EXPECT_EQ(a.status(b.host).failures, 1U);
}

TEST(Connector, APeerThatOnlyDialledUsCanBeDialledBackWhereItWasSeen) {
  Mesh mesh;
  Node a(mesh), b(mesh);
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(seconds(1));
  mesh.network.reset_connection(a.host, b.host);
  mesh.world.run_for(seconds(1));
  b.connect(a.host);
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(b.status(a.host).state, "connected");
  EXPECT_TRUE(b.status(a.host).dialled);
}

TEST(Connector, ARemovedPeerIsDisconnectedAndForgotten) {
  Mesh mesh;
  Node a(mesh), b(mesh);
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(seconds(1));
  EXPECT_TRUE(a.connector->remove_peer(mesh.id(b.host)));
  EXPECT_FALSE(a.connector->remove_peer(mesh.id(b.host)));
  mesh.world.run_for(seconds(1));
  EXPECT_TRUE(a.connector->peers().empty());
  ASSERT_EQ(b.client.closed.size(), 1U);
  EXPECT_EQ(b.client.closed[0].reason, "disconnect requested");
}

// --- who is refused leaves a trace --------------------------------------------------------------

TEST(Connector, AWrongSecretIsReportedOnBothSidesAndSaysSoFirst) {
  Mesh mesh;
  Node a(mesh, {.formation = formation("other")}), b(mesh);
  a.knows(b);
  a.connect(b.host);
  mesh.world.run_for(minutes(1));
  ASSERT_EQ(a.refused.size(), 1U);
  EXPECT_EQ(a.refused[0].id, mesh.id(b.host));
  EXPECT_EQ(a.refused[0].address, mesh.network.address(b.host));
  EXPECT_TRUE(a.refused[0].dialled && a.refused[0].configured && a.refused[0].answered);
  EXPECT_TRUE(a.refused[0].error.message.starts_with(
      "the formation secret or id differs, or somebody sits between"))
      << a.refused[0].error.message;
  ASSERT_EQ(b.refused.size(), 1U) << "though it has no row in the table";
  EXPECT_TRUE(b.connector->peers().empty());
  EXPECT_EQ(b.refused[0].id, mesh.id(a.host));
  EXPECT_FALSE(b.refused[0].address.empty());
  EXPECT_FALSE(b.refused[0].dialled || b.refused[0].configured);
}

TEST(Connector, ADialThatNobodyTakesIsReportedAsUnanswered) {
  Mesh mesh;
  Node a(mesh), b(mesh);
  a.knows(b);
  mesh.network.cut(a.host, b.host);
  a.connect(b.host);
  mesh.world.run_for(minutes(2));
  ASSERT_EQ(a.refused.size(), 1U);
  EXPECT_TRUE(a.refused[0].dialled);
  EXPECT_FALSE(a.refused[0].answered);
}

// Its dialler waits for a challenge that nobody can send, and gives up before our deadline or not.
TEST(Connector, TheOperatorIsToldWhatToDoAboutADiallerThatOpensNoStream) {
  for (const bool patient : {true, false}) {
    Mesh mesh;
    Node a(mesh);
    Stranger stranger(mesh, a);
    if (!patient) stranger.connection->close(0, "");
    mesh.world.run_for(minutes(1));
    ASSERT_EQ(a.refused.size(), 1U) << patient;
    EXPECT_NE(a.refused[0].error.message.find(security::kSilentDiallerRemedy), std::string::npos)
        << a.refused[0].error.message;
  }
}

TEST(Connector, AStrangerIsReportedWhereNoSecretIsSet) {
  Mesh mesh;
  Node a(mesh, {});
  Stranger stranger(mesh, a);
  mesh.world.run_for(seconds(1));
  ASSERT_EQ(a.refused.size(), 1U);
  EXPECT_EQ(a.refused[0].error.code, Code::missing_setting);
}

TEST(Connector, ACancelledAttemptAndAReplacedConnectionAreNobodysFailure) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Mesh mesh(seed, {}, {milliseconds(30), milliseconds(20), 0, 0});
    Node a(mesh), b(mesh);
    a.knows(b);
    b.knows(a);
    a.connect(b.host);
    mesh.world.run_for(milliseconds(static_cast<std::int64_t>(mesh.world.below(200))));
    b.connect(a.host);
    mesh.world.run_for(seconds(2));
    EXPECT_TRUE(a.refused.empty() && b.refused.empty()) << "seed " << seed;
    a.connector->remove_peer(mesh.id(b.host));
    a.knows(b);
    a.connect(b.host);
    a.connector->give_up(mesh.id(b.host));
    mesh.world.run_for(seconds(2));
    EXPECT_TRUE(a.refused.empty()) << "seed " << seed;
  }
}

TEST(Connector, TheTableOfPeersIsBounded) {
  Mesh mesh;
  mesh.limits.sync_peers = 2;
  Node a(mesh), b(mesh), c(mesh), d(mesh);
  for (auto* peer : {&b, &c, &d}) {
    peer->knows(a);
    peer->connect(a.host);
    mesh.world.run_for(seconds(1));
  }
  EXPECT_EQ(a.connector->peers().size(), 2U);
  EXPECT_EQ(a.connector->connected_peers().size(), 2U);
  ASSERT_EQ(a.refused.size(), 1U);
  EXPECT_EQ(a.refused[0].error.code, Code::limit_exceeded);
  mesh.network.reset_connection(a.host, b.host);
  mesh.world.run_for(seconds(1));
  d.connect(a.host);
  mesh.world.run_for(seconds(1));
  EXPECT_EQ(d.status(a.host).state, "connected") << "one that is gone makes room";
}

TEST(Connector, AfterShutdownNobodyGetsInAndWaitersAreTold) {
  Mesh mesh;
  Node a(mesh), b(mesh);
  a.knows(b);
  b.knows(a);
  a.connect(b.host);
  a.connector->shutdown();
  a.connect(b.host);
  mesh.world.run_for(seconds(1));
  ASSERT_EQ(a.results.size(), 2U);
  for (const auto& result : a.results) EXPECT_EQ(result.value().code, Code::shut_down);
  b.connect(a.host);
  mesh.world.run_for(minutes(2));
  EXPECT_TRUE(a.client.connections.empty());
  EXPECT_EQ(mesh.network.connections(a.host, b.host), 0U);
}

TEST(Connector, ItsOwnIdIsNoPeer) {
  Mesh mesh;
  Node a(mesh);
  EXPECT_EQ(a.connector->add_peer({mesh.id(a.host), "x:1", PeerAuth::formation}).error().code,
            Code::invalid_argument);
}

}  // namespace
}  // namespace peat::sync
