// Endpoints on real sockets of the loopback interface.
#include "net/quic_endpoint.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>

#include "net_testing.hpp"

namespace peat::net {
namespace {

using namespace testing;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A loop with endpoints; each wait gives up after 20 s, which no passing run comes near.
class QuicEndpointTest : public ::testing::Test {
 protected:
  std::unique_ptr<QuicEndpoint> open(std::uint8_t seed, EndpointOptions options = {}) {
    const auto who = identity(seed);
    options.id = who.id;
    options.sign = who.sign;
    if (options.bind == "0.0.0.0:0") options.bind = "127.0.0.1:0";
    auto endpoint = QuicEndpoint::create(loop_, std::move(options));
    EXPECT_TRUE(endpoint) << endpoint.error().message;
    return std::move(*endpoint);
  }

  template <class Done>
  bool run_until(Done done) {
    loop_.restart();
    const auto end = std::chrono::steady_clock::now() + seconds(20);
    while (!done() && std::chrono::steady_clock::now() < end) loop_.run_one_for(milliseconds(200));
    return done();
  }

  void listen(QuicEndpoint& endpoint, std::vector<std::string> alpns = {"test/1"}) {
    endpoint.listen(std::move(alpns), [this](auto connection) {
      connection->set_handler(&server_);
      connection->mark_authenticated();
      accepted_.push_back(std::move(connection));
    });
  }

  Result<std::shared_ptr<Connection>> dial(QuicEndpoint& from, const EndpointId& to,
                                           const std::string& address,
                                           std::vector<std::string> alpns = {"test/1"}) {
    std::optional<Result<std::shared_ptr<Connection>>> out;
    from.dial(to, address, std::move(alpns), [&](auto result) {
      if (result) {
        (*result)->set_handler(&client_);
        (*result)->mark_authenticated();
      }
      out = std::move(result);
    });
    EXPECT_FALSE(out) << "dial() called back before it returned";
    if (!run_until([&] { return out.has_value(); })) return fail(Code::internal, "no callback");
    return std::move(*out);
  }

  void expect_echo(Connection& connection, std::size_t size) {
    server_.echo = true;
    const auto data = pattern(size);
    const auto stream = connection.open_bidirectional().value();
    ASSERT_TRUE(connection.write(stream, data, true));
    ASSERT_TRUE(run_until([&] { return client_.ended(stream); }));
    EXPECT_EQ(client_.received[stream], data);
  }

  boost::asio::io_context loop_;
  Recorder server_, client_;
  std::vector<std::shared_ptr<Connection>> accepted_;
};

std::string with_port_of(const std::string& host, const QuicEndpoint& endpoint) {
  const auto address = endpoint.local_address();
  return host + address.substr(address.rfind(':'));
}

TEST_F(QuicEndpointTest, EchoesBetweenTwoEndpoints) {
  const auto a = open(1);
  const auto b = open(2);
  listen(*b);
  const auto connection = dial(*a, b->id(), b->local_address());
  ASSERT_TRUE(connection) << connection.error().message;
  expect_echo(**connection, 3'000'000);
  EXPECT_EQ((*connection)->remote_address(), b->local_address());
  EXPECT_GT((*connection)->stats().smoothed_rtt.count(), 0);
}

TEST_F(QuicEndpointTest, ANameIsResolvedAndADualStackSocketServesBothFamilies) {
  EndpointOptions options;
  options.bind = "[::]:0";
  const auto b = open(2, options);
  listen(*b);
  {
    const auto a = open(1);
    const auto connection = dial(*a, b->id(), with_port_of("localhost", *b));
    ASSERT_TRUE(connection) << connection.error().message;
    expect_echo(**connection, 10'000);
  }
  options.bind = "[::1]:0";
  const auto c = open(3, options);
  const auto connection = dial(*c, b->id(), with_port_of("[::1]", *b));
  ASSERT_TRUE(connection) << connection.error().message;
  expect_echo(**connection, 10'000);
  // From the dual-stack socket to IPv4.
  const auto d = open(4);
  listen(*d);
  const auto back = dial(*b, d->id(), d->local_address());
  ASSERT_TRUE(back) << back.error().message;
  expect_echo(**back, 10'000);
  EXPECT_EQ((*back)->remote_address(), d->local_address());
}

// A socket bound to every address answers from the one that the packet came to.
TEST_F(QuicEndpointTest, AnswersFromTheAddressThatWasDialled) {
  EndpointOptions options;
  options.bind = "0.0.0.0:0";
  const auto who = identity(2);
  options.id = who.id;
  options.sign = who.sign;
  auto b = std::move(*QuicEndpoint::create(loop_, options));
  listen(*b);
  const auto a = open(1);
  const auto connection = dial(*a, b->id(), with_port_of("127.0.0.3", *b));
  ASSERT_TRUE(connection) << connection.error().message;
  expect_echo(**connection, 10'000);
  EXPECT_EQ((*connection)->remote_address(), with_port_of("127.0.0.3", *b));
}

// F9: some links refuse segmentation offload. A socket that computes no checksums makes the
// kernel do so: it must be switched off and nothing may be lost.
TEST_F(QuicEndpointTest, F9_OffloadIsSwitchedOffWhereTheKernelRefusesIt) {
  const auto a = open(1);
  const auto b = open(2);
  listen(*b);
  const int on = 1;
  ASSERT_EQ(setsockopt(a->native_handle(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
  EXPECT_TRUE(a->stats().gso_active);
  const auto connection = dial(*a, b->id(), b->local_address());
  ASSERT_TRUE(connection) << connection.error().message;
  expect_echo(**connection, 3'000'000);
  EXPECT_FALSE(a->stats().gso_active);
  EXPECT_TRUE(b->stats().gso_active);
  EXPECT_EQ(a->stats().send_errors, 0U);
}

TEST_F(QuicEndpointTest, F9_OffloadIsNotTriedWhenSwitchedOffBySetting) {
  EndpointOptions options;
  options.gso = false;
  const auto a = open(1, options);
  const auto b = open(2);
  listen(*b);
  const auto connection = dial(*a, b->id(), b->local_address());
  ASSERT_TRUE(connection) << connection.error().message;
  expect_echo(**connection, 1'000'000);
  EXPECT_FALSE(a->stats().gso_active);
}

TEST_F(QuicEndpointTest, OffloadSendsManyDatagramsWithOneCall) {
  const auto a = open(1);
  const auto b = open(2);
  listen(*b);
  const auto connection = dial(*a, b->id(), b->local_address());
  ASSERT_TRUE(connection) << connection.error().message;
  expect_echo(**connection, 3'000'000);
  EXPECT_LT(a->stats().send_calls * 3, a->stats().datagrams_sent);
}

TEST_F(QuicEndpointTest, DialErrorsSayWhatIsWrong) {
  const auto a = open(1);
  const auto b = open(2);
  listen(*b);
  const auto code = [&](const EndpointId& id, const std::string& address,
                        std::vector<std::string> alpns = {"test/1"}) {
    const auto result = dial(*a, id, address, std::move(alpns));
    return result ? Code::internal : result.error().code;
  };
  EXPECT_EQ(code(identity(9).id, b->local_address()), Code::wrong_peer);
  EXPECT_EQ(code(b->id(), b->local_address(), {"other/1"}), Code::protocol_refused);
  EXPECT_EQ(code(b->id(), b->local_address(), {}), Code::invalid_argument);
  EXPECT_EQ(code(a->id(), b->local_address()), Code::invalid_argument);
  EXPECT_EQ(code(b->id(), "[::1]:4433"), Code::unreachable);
  EXPECT_EQ(code(b->id(), "no port"), Code::invalid_argument);
  EXPECT_EQ(code(b->id(), "127.0.0.1:0"), Code::invalid_argument);
  EXPECT_EQ(code(b->id(), "name.invalid:1"), Code::unreachable);
}

TEST_F(QuicEndpointTest, ADialThatNobodyAnswersTimesOut) {
  EndpointOptions options;
  options.handshake_timeout = seconds(1);
  const auto a = open(1, options);
  const auto b = open(2);  // does not listen
  const auto result = dial(*a, b->id(), b->local_address());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::timeout);
  EXPECT_NE(result.error().message.find(b->local_address()), std::string::npos);
}

TEST_F(QuicEndpointTest, ShutdownFlushesDataAndTellsThePeerWhy) {
  const auto a = open(1);
  const auto b = open(2);
  listen(*b);
  const auto connection = dial(*a, b->id(), b->local_address());
  ASSERT_TRUE(connection) << connection.error().message;
  const auto stream = (*connection)->open_unidirectional().value();
  const auto data = pattern(500'000);
  ASSERT_TRUE((*connection)->write(stream, data, true));
  bool done = false;
  a->shutdown(5, "going home", [&] { done = true; });
  ASSERT_TRUE(run_until([&] { return done && server_.closed.has_value(); }));
  EXPECT_EQ(server_.received[stream], data);
  EXPECT_EQ(server_.closed->kind, CloseInfo::Kind::peer);
  EXPECT_EQ(server_.closed->code, 5U);
  EXPECT_EQ(server_.closed->reason, "going home");
  ASSERT_TRUE(client_.closed);
  EXPECT_EQ(client_.closed->kind, CloseInfo::Kind::local);
  const auto late = dial(*a, b->id(), b->local_address());
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::shut_down);
}

// The peer of a process that was killed learns from the next packet, not from the idle timeout.
TEST_F(QuicEndpointTest, ARestartedEndpointAnswersOldConnectionsWithAReset) {
  const auto a = open(1);
  auto b = open(2);
  listen(*b);
  const auto address = b->local_address();
  const auto connection = dial(*a, b->id(), address);
  ASSERT_TRUE(connection) << connection.error().message;
  expect_echo(**connection, 1000);
  b.reset();
  loop_.poll();
  EndpointOptions options;
  options.bind = address;
  const auto again = open(2, options);
  listen(*again);
  const auto stream = (*connection)->open_bidirectional().value();
  ASSERT_TRUE((*connection)->write(stream, as_bytes("are you still there?"), false));
  ASSERT_TRUE(run_until([&] { return client_.closed.has_value(); }));
  EXPECT_EQ(client_.closed->kind, CloseInfo::Kind::reset);
  client_.closed.reset();
  const auto redialled = dial(*a, again->id(), address);
  ASSERT_TRUE(redialled) << redialled.error().message;
  expect_echo(**redialled, 1000);
}

TEST_F(QuicEndpointTest, MayBeDestroyedAtAnyMomentEvenFromACallback) {
  auto a = open(1);
  const auto b = open(2);
  listen(*b);
  bool called = false;
  // In the middle of a handshake and of a look-up: nobody is called.
  auto c = open(3);
  c->dial(b->id(), b->local_address(), {"test/1"}, [&](auto) { called = true; });
  c->dial(b->id(), "localhost:1", {"test/1"}, [&](auto) { called = true; });
  loop_.poll_one();
  c.reset();
  std::shared_ptr<Connection> held;
  a->dial(b->id(), b->local_address(), {"test/1"}, [&](auto result) {
    ASSERT_TRUE(result);
    held = std::move(*result);
    held->set_handler(&client_);
    a.reset();
  });
  ASSERT_TRUE(run_until([&] { return held != nullptr; }));
  loop_.run_for(milliseconds(100));
  EXPECT_FALSE(called);
  EXPECT_FALSE(client_.closed);
  EXPECT_FALSE(held->write(0, as_bytes("x"), false)) << "its endpoint is gone";
}

TEST_F(QuicEndpointTest, WritesQlogFilesWhereTheSettingSays) {
  const auto directory =
      std::filesystem::temp_directory_path() / ("peat-qlog-" + std::to_string(::getpid()));
  EndpointOptions options;
  options.qlog_dir = directory.string();
  options.bind = "127.0.0.1:0";
  const auto who = identity(1);
  options.id = who.id;
  options.sign = who.sign;
  const auto missing = QuicEndpoint::create(loop_, options);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::invalid_argument);
  std::filesystem::create_directory(directory);
  {
    const auto a = open(1, options);
    const auto b = open(2);
    listen(*b);
    const auto connection = dial(*a, b->id(), b->local_address());
    ASSERT_TRUE(connection) << connection.error().message;
    expect_echo(**connection, 1000);
    (*connection)->close(0, "");
    ASSERT_TRUE(run_until([&] { return client_.closed.has_value(); }));
  }
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    ++files;
    EXPECT_TRUE(entry.path().string().ends_with("_client.sqlog")) << entry.path();
    std::ifstream in(entry.path());
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    EXPECT_NE(text.find("packet_sent"), std::string::npos);
  }
  EXPECT_EQ(files, 1U);
  std::filesystem::remove_all(directory);
}

TEST_F(QuicEndpointTest, ABoundPortIsRefusedByName) {
  const auto a = open(1);
  EndpointOptions options;
  options.bind = a->local_address();
  const auto who = identity(2);
  options.id = who.id;
  options.sign = who.sign;
  const auto b = QuicEndpoint::create(loop_, options);
  ASSERT_FALSE(b);
  EXPECT_EQ(b.error().code, Code::io_error);
  EXPECT_NE(b.error().message.find(a->local_address()), std::string::npos);
}

TEST_F(QuicEndpointTest, ASignerForAnotherKeyIsRefusedAtTheStart) {
  EndpointOptions options;
  options.bind = "127.0.0.1:0";
  options.id = identity(1).id;
  options.sign = identity(2).sign;
  const auto endpoint = QuicEndpoint::create(loop_, options);
  ASSERT_FALSE(endpoint);
  EXPECT_EQ(endpoint.error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace peat::net
