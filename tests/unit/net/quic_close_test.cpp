// How connections begin wrongly, stay alive, move and end: two protocol cores in virtual time.
#include <gtest/gtest.h>

#include "net_testing.hpp"

namespace peat::net {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// ---- begin

TEST(QuicHandshake, AnotherKeyThanTheDialledOneIsRefusedOnBothSides) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  world.dial(a, b, identity(77).id);
  ASSERT_TRUE(world.run_until([&] { return !a.dial_errors.empty(); }));
  EXPECT_EQ(a.dial_errors[0].code, Code::wrong_peer);
  EXPECT_NE(a.dial_errors[0].message.find(b.core->id().to_string()), std::string::npos);
  EXPECT_NE(a.dial_errors[0].message.find(identity(77).id.to_string()), std::string::npos);
  world.run_for(seconds(30));
  EXPECT_TRUE(b.accepted.empty());
  EXPECT_EQ(b.core->stats().connections, 0U);
}

TEST(QuicHandshake, NoProtocolInCommonIsACleanError) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b, {"cap/automerge/1"});
  world.dial(a, b, b.core->id(), {"peat/sync/2", "other/1"});
  ASSERT_TRUE(world.run_until([&] { return !a.dial_errors.empty(); }, seconds(5)));
  EXPECT_EQ(a.dial_errors[0].code, Code::protocol_refused);
  EXPECT_TRUE(b.accepted.empty());
}

TEST(QuicHandshake, TheAcceptorChoosesTheProtocolByItsOwnPreference) {
  const auto chosen = [](std::vector<std::string> offered, std::vector<std::string> accepted) {
    World world;
    auto& a = world.add();
    auto& b = world.add();
    World::listen(b, std::move(accepted));
    world.dial(a, b, b.core->id(), std::move(offered));
    EXPECT_TRUE(world.run_until([&] { return !a.dialled.empty() && !b.accepted.empty(); }));
    EXPECT_EQ(a.dialled[0]->alpn(), b.accepted[0]->alpn());
    return std::string(a.dialled[0]->alpn());
  };
  EXPECT_EQ(chosen({"peat/sync/2", "cap/automerge/1"}, {"peat/sync/2", "cap/automerge/1"}),
            "peat/sync/2");
  EXPECT_EQ(chosen({"cap/automerge/1", "peat/sync/2"}, {"peat/sync/2", "cap/automerge/1"}),
            "peat/sync/2");
  EXPECT_EQ(chosen({"peat/sync/2", "cap/automerge/1"}, {"cap/automerge/1"}), "cap/automerge/1");
}

TEST(QuicHandshake, NobodyThereIsATimeout) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  b.up = false;
  world.dial(a, b, b.core->id());
  const auto start = world.now;
  ASSERT_TRUE(world.run_until([&] { return !a.dial_errors.empty(); }));
  EXPECT_EQ(a.dial_errors[0].code, Code::timeout);
  EXPECT_EQ(world.now - start, seconds(10));
  EXPECT_EQ(a.core->next_timeout(), kNever) << "nothing is left behind";
}

TEST(QuicHandshake, ACancelledDialCallsNobody) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto attempt = world.dial(a, b, b.core->id());
  world.run_for(milliseconds(5));
  a.core->cancel_dial(attempt);
  world.run_for(seconds(30));
  EXPECT_TRUE(a.dialled.empty());
  EXPECT_TRUE(a.dial_errors.empty());
  EXPECT_EQ(a.core->stats().connections + b.core->stats().connections, 0U);
}

// ---- stay

TEST(QuicIdle, KeepAliveHoldsAQuietConnectionForHours) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto connection = world.connect(a, b);
  const auto before = world.delivered;
  world.run_for(std::chrono::hours(2));
  EXPECT_FALSE(a.recorder.closed);
  EXPECT_FALSE(b.recorder.closed);
  // A ping each 10 s from either side, and its acknowledgement: not a storm.
  EXPECT_LT(world.delivered - before, 4U * 720U + 100U);
}

TEST(QuicIdle, KeepAliveFollowsTheSmallerTimeoutOfBothSides) {
  World world;
  CoreOptions hasty;
  hasty.idle_timeout = seconds(3);
  auto& a = world.add();
  auto& b = world.add(hasty);
  World::listen(b);
  world.connect(a, b);
  world.run_for(minutes(10));
  EXPECT_FALSE(a.recorder.closed);
  EXPECT_FALSE(b.recorder.closed);
}

TEST(QuicIdle, ACutLinkEndsBothSidesAfterTheIdleTimeout) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  world.connect(a, b);
  world.run_for(seconds(5));
  const auto cut = world.now;
  world.link.loss = 1;
  ASSERT_TRUE(world.run_until([&] { return a.recorder.closed && b.recorder.closed; }));
  EXPECT_EQ(a.recorder.closed->kind, CloseInfo::Kind::idle_timeout);
  EXPECT_EQ(b.recorder.closed->kind, CloseInfo::Kind::idle_timeout);
  EXPECT_LE(world.now - cut, seconds(41)) << "30 s after the last packet and its probes";
  EXPECT_EQ(a.core->next_timeout(), kNever);
}

TEST(QuicIdle, TimeThatGoesBackwardsCountsAsStandingStill) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  b.recorder.echo = true;
  const auto connection = world.connect(a, b);
  world.run_for(seconds(5));
  EXPECT_FALSE(a.core->poll_transmit(world.now - seconds(3)));
  a.core->on_timeout(world.now - seconds(2));
  const auto stream = connection->open_bidirectional().value();
  ASSERT_TRUE(connection->write(stream, as_bytes("still here"), true));
  ASSERT_TRUE(world.run_until([&] { return a.recorder.ended(stream); }));
}

TEST(QuicPath, FollowsAPeerWhoseAddressChanges) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  b.recorder.echo = true;
  const auto connection = world.connect(a, b);
  world.run_for(seconds(1));
  // A NAT in front of a forgets its mapping and invents another one.
  const auto outside = SocketAddress::v4(0xc6336401U, 4242);
  world.nat_inside = a.address;
  world.nat_outside = outside;
  for (int i = 0; i < 3; ++i) {
    const auto stream = connection->open_bidirectional().value();
    ASSERT_TRUE(connection->write(stream, pattern(100'000), true));
    ASSERT_TRUE(world.run_until([&] { return a.recorder.ended(stream); }));
  }
  EXPECT_EQ(b.accepted[0]->remote_address(), outside.to_string());
  EXPECT_FALSE(b.recorder.closed);
}

TEST(QuicPath, ManyConnectionsBetweenTwoAddressesAreToldApartByTheirIds) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  b.recorder.echo = true;
  std::vector<std::shared_ptr<Connection>> connections;
  for (int i = 0; i < 20; ++i) connections.push_back(world.connect(a, b));
  // Stream numbers repeat on each connection; so each has its own recorder.
  std::vector<Recorder> recorders(connections.size());
  for (std::size_t i = 0; i < connections.size(); ++i) {
    connections[i]->set_handler(&recorders[i]);
    const auto stream = connections[i]->open_bidirectional().value();
    ASSERT_TRUE(connections[i]->write(stream, as_bytes("to number " + std::to_string(i)), true));
  }
  ASSERT_TRUE(world.run_until([&] {
    return std::all_of(recorders.begin(), recorders.end(),
                       [](const Recorder& r) { return r.finished.size() == 1; });
  }));
  for (std::size_t i = 0; i < recorders.size(); ++i) {
    EXPECT_EQ(as_text(recorders[i].received.begin()->second), "to number " + std::to_string(i));
  }
}

// ---- end

TEST(QuicClose, CodeAndReasonReachThePeer) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto connection = world.connect(a, b);
  connection->close(2, "certificate required");
  EXPECT_FALSE(a.recorder.closed) << "never from inside a call";
  ASSERT_TRUE(world.run_until([&] { return a.recorder.closed && b.recorder.closed; }, seconds(1)));
  EXPECT_EQ(a.recorder.closed->kind, CloseInfo::Kind::local);
  EXPECT_EQ(b.recorder.closed->kind, CloseInfo::Kind::peer);
  EXPECT_EQ(b.recorder.closed->code, 2U);
  EXPECT_EQ(b.recorder.closed->reason, "certificate required");
  // The object stays harmless for those who still hold it.
  EXPECT_EQ(connection->open_bidirectional().error().code, Code::connection_lost);
  EXPECT_EQ(connection->write(0, as_bytes("x"), false).error().code, Code::connection_lost);
  connection->consumed(0, 5);
  connection->reset(0, 1);
  connection->stop_sending(0, 1);
  connection->mark_authenticated();
  connection->close(1, "again");
  EXPECT_EQ(connection->unsent(0), 0U);
}

TEST(QuicClose, AVeryLongReasonIsCut) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  world.connect(a, b)->close(2, std::string(5000, 'r'));
  ASSERT_TRUE(world.run_until([&] { return b.recorder.closed.has_value(); }, seconds(1)));
  EXPECT_EQ(b.recorder.closed->reason, std::string(QuicConnection::kLongestReason, 'r'));
}

TEST(QuicClose, WhatWasWrittenBeforeArrivesBeforeIt) {
  World world(3);
  world.link.loss = 0.05;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto connection = world.connect(a, b);
  const auto stream = connection->open_unidirectional().value();
  const auto data = pattern(30'000);
  ASSERT_TRUE(connection->write(stream, data, true));
  connection->close(0, "done");
  ASSERT_TRUE(world.run_until([&] { return a.recorder.closed.has_value(); }));
  EXPECT_EQ(b.recorder.received[stream], data);
}

TEST(QuicClose, DoesNotWaitLongForAPeerWhoDoesNotRead) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  b.recorder.consume = false;
  const auto connection = world.connect(a, b);
  const auto stream = connection->open_unidirectional().value();
  ASSERT_TRUE(connection->write(stream, pattern(20'000'000), true));
  world.run_for(seconds(2));
  const auto start = world.now;
  connection->close(3, "enough");
  ASSERT_TRUE(world.run_until([&] { return b.recorder.closed.has_value(); }));
  EXPECT_LE(world.now - start, milliseconds(1100));
  EXPECT_EQ(b.recorder.closed->code, 3U);
}

// Late packets of a closed connection must not look like the beginning of a new one.
TEST(QuicClose, TheIdsOfAClosedConnectionStayKnownForThreeProbeTimeouts) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  std::vector<Bytes> sent;
  world.filter = [&](const SocketAddress& from, const SocketAddress&, ByteView bytes) {
    if (from == a.address) sent.emplace_back(bytes.begin(), bytes.end());
    return true;
  };
  world.connect(a, b)->close(0, "bye");
  ASSERT_TRUE(world.run_until([&] { return b.recorder.closed.has_value(); }));
  // Everything that a ever sent comes once more, its first packet included.
  for (const auto& packet : sent) b.core->on_datagram(world.now, b.address, a.address, 0, packet);
  EXPECT_EQ(b.core->stats().connections, 0U);
  EXPECT_EQ(b.core->stats().stateless_resets_sent, 0U);
  EXPECT_EQ(b.accepted.size(), 1U);
  EXPECT_NE(b.core->next_timeout(), kNever);
  world.run_for(seconds(10));
  EXPECT_EQ(b.core->next_timeout(), kNever) << "afterwards nothing is kept";
}

TEST(QuicClose, ThePeerThatMissedTheFarewellHearsItAgain) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto connection = world.connect(a, b);
  world.run_for(seconds(1));
  world.link.loss = 1;
  b.accepted[0]->close(4, "lost words");
  world.run_for(milliseconds(50));
  world.link.loss = 0;
  const auto stream = connection->open_bidirectional().value();
  ASSERT_TRUE(connection->write(stream, as_bytes("hello?"), false));
  ASSERT_TRUE(world.run_until([&] { return a.recorder.closed.has_value(); }, seconds(1)));
  EXPECT_EQ(a.recorder.closed->code, 4U);
}

TEST(QuicClose, APeerThatRestartedAnswersWithAResetThatIsBelieved) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto connection = world.connect(a, b);
  world.run_for(seconds(1));
  world.start(b, {}, 2);  // the same key, none of its connections
  World::listen(b);
  const auto stream = connection->open_bidirectional().value();
  ASSERT_TRUE(connection->write(stream, as_bytes("still there?"), false));
  ASSERT_TRUE(world.run_until([&] { return a.recorder.closed.has_value(); }, seconds(2)));
  EXPECT_EQ(a.recorder.closed->kind, CloseInfo::Kind::reset);
}

TEST(QuicClose, AnIdlePeerLearnsOfARestartFromItsNextKeepAlive) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  world.connect(a, b);
  world.run_for(seconds(1));
  world.start(b, {}, 2);
  World::listen(b);
  ASSERT_TRUE(world.run_until([&] { return a.recorder.closed.has_value(); }, seconds(11)));
  EXPECT_EQ(a.recorder.closed->kind, CloseInfo::Kind::reset);
}

TEST(QuicClose, AResetThatAnotherKeySignedIsNotBelieved) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  const auto connection = world.connect(a, b);
  world.run_for(seconds(1));
  world.start(b, {}, 9);
  World::listen(b);
  const auto stream = connection->open_bidirectional().value();
  ASSERT_TRUE(connection->write(stream, as_bytes("still there?"), false));
  world.run_for(seconds(5));
  EXPECT_GT(b.core->stats().stateless_resets_sent, 0U);
  EXPECT_FALSE(a.recorder.closed);
}

TEST(QuicClose, ShutdownClosesEverythingAndTakesNothingNew) {
  World world;
  auto& a = world.add();
  auto& b = world.add();
  auto& c = world.add();
  World::listen(b);
  world.connect(a, b);
  world.connect(c, b);
  b.core->shutdown(1, "restarting");
  EXPECT_FALSE(b.core->idle());
  ASSERT_TRUE(world.run_until([&] { return a.recorder.closed && c.recorder.closed; }, seconds(2)));
  EXPECT_EQ(a.recorder.closed->reason, "restarting");
  EXPECT_TRUE(b.core->idle());
  world.dial(a, b, b.core->id());
  world.dial(b, a, a.core->id());
  ASSERT_TRUE(world.run_until([&] { return !a.dial_errors.empty() && !b.dial_errors.empty(); }));
  EXPECT_EQ(b.dial_errors[0].code, Code::shut_down);
}

// A handler may do anything from within its callbacks.
TEST(QuicClose, HandlersMayCloseWriteAndOpenFromTheirCallbacks) {
  class Busy : public Recorder {
   public:
    void on_data(Connection& c, StreamId s, ByteView data, bool fin) override {
      Recorder::on_data(c, s, data, fin);
      const auto more = c.open_unidirectional();
      ASSERT_TRUE(more);
      EXPECT_TRUE(c.write(*more, as_bytes("from a callback"), true));
      c.stop_sending(s, 1);
      c.reset(s, 2);
      c.close(6, "from a callback");
      c.close(7, "only the first counts");
      c.set_handler(nullptr);
      c.set_handler(this);
    }
  };
  World world;
  auto& a = world.add();
  auto& b = world.add();
  World::listen(b);
  Busy busy;
  const auto connection = world.connect(a, b);
  b.accepted[0]->set_handler(&busy);
  const auto stream = connection->open_bidirectional().value();
  ASSERT_TRUE(connection->write(stream, pattern(50'000), true));
  ASSERT_TRUE(world.run_until([&] { return a.recorder.closed && busy.closed; }));
  EXPECT_EQ(a.recorder.closed->code, 6U);
  EXPECT_EQ(a.recorder.finished.size(), 1U) << "the stream written before the close";
}

}  // namespace
}  // namespace peat::net
