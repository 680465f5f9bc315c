// Our endpoint with iroh 0.97 and the newest iroh, each dialling the other.
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <sodium.h>

#include <charconv>
#include <cstdlib>
#include <iostream>
#include <map>

#include "iroh_process.hpp"
#include "net/quic_endpoint.hpp"

namespace peat::net::interop {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using transport::CloseInfo;
using transport::Connection;
using transport::StreamId;

constexpr const char* kNew = "peat/sync/2";
constexpr const char* kOld = "cap/automerge/1";
const std::string kIrohSeed(64, '7');

Bytes pattern(std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 31 % 251);
  return out;
}

EndpointOptions our_options() {
  std::array<std::uint8_t, 32> seed{};
  seed.fill(5);
  std::array<std::uint8_t, 64> secret{};
  EndpointOptions options;
  crypto_sign_seed_keypair(options.id.bytes.data(), secret.data(), seed.data());
  options.sign = [secret](ByteView message) {
    Bytes signature(64);
    crypto_sign_detached(signature.data(), nullptr, message.data(), message.size(), secret.data());
    return signature;
  };
  options.bind = "127.0.0.1:0";
  return options;
}

// Obeys the commands that src/main.rs obeys, and records what comes back.
class Handler : public transport::ConnectionHandler {
 public:
  bool serves = false;
  std::map<StreamId, Bytes> received;
  std::map<StreamId, bool> finished;
  std::map<StreamId, std::uint64_t> resets, stops;
  std::optional<CloseInfo> closed;

  void on_data(Connection& c, StreamId s, ByteView data, bool fin) override {
    c.consumed(s, data.size());
    auto& got = received[s];
    got.insert(got.end(), data.begin(), data.end());
    if (serves && transport::is_bidirectional(s)) {
      obey(c, s, fin);
    } else if (serves && fin) {  // comes back on a stream of our own
      const auto back = c.open_unidirectional();
      ASSERT_TRUE(back);
      EXPECT_TRUE(c.write(*back, got, true));
    }
    if (fin) finished[s] = true;
  }
  void on_reset(Connection&, StreamId s, std::uint64_t code) override { resets[s] = code; }
  void on_stop_sending(Connection&, StreamId s, std::uint64_t code) override { stops[s] = code; }
  void on_closed(Connection&, const CloseInfo& info) override { closed = info; }

 private:
  void obey(Connection& c, StreamId s, bool fin) {
    auto& got = received[s];
    if (!commands_.contains(s)) {
      const auto end = std::find(got.begin(), got.end(), '\n');
      if (end == got.end()) return;
      commands_[s] = std::string(got.begin(), end);
      got.erase(got.begin(), end + 1);
    }
    const auto& command = commands_[s];
    const auto space = command.find(' ');
    std::uint64_t number = 0;
    if (space != std::string::npos) {
      std::from_chars(command.data() + space + 1, command.data() + command.size(), number);
    }
    const auto word = command.substr(0, space);
    if (word == "echo") {
      EXPECT_TRUE(c.write(s, got, fin));
      got.clear();
    } else if (word == "close") {
      c.close(number, "peer says bye");
    } else if (word == "reset") {
      c.reset(s, number);
    } else if (word == "stop") {
      c.stop_sending(s, number);
    }
  }

  std::map<StreamId, std::string> commands_;
};

class IrohTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!IrohProcess::is_built(GetParam())) {
      const char* required = std::getenv("PEAT_REQUIRE_PEERS");
      if (required != nullptr && std::string_view(required) == "1") {
        FAIL() << GetParam() << " is not built: run scripts/build-peers";
      }
      std::cerr << "\n!!!! SKIPPED: " << GetParam() << " is not built; run scripts/build-peers\n\n";
      GTEST_SKIP() << GetParam() << " is not built: run scripts/build-peers";
    }
    auto endpoint = QuicEndpoint::create(loop_, our_options());
    ASSERT_TRUE(endpoint) << endpoint.error().message;
    endpoint_ = std::move(*endpoint);
  }

  template <class Done>
  bool run_until(Done done) {
    loop_.restart();
    const auto end = std::chrono::steady_clock::now() + seconds(30);
    while (!done() && std::chrono::steady_clock::now() < end) loop_.run_one_for(milliseconds(20));
    return done();
  }
  std::string wait_line(const std::string& word) {
    EXPECT_TRUE(run_until([&] { return iroh_->line(word).has_value(); }))
        << "no line \"" << word << "\" in:\n"
        << iroh_->text();
    return iroh_->line(word).value_or("");
  }

  // iroh listens.
  void serve(const std::string& alpns) {
    iroh_ = IrohProcess::start(GetParam(), {"serve", kIrohSeed, alpns});
    ASSERT_TRUE(iroh_);
    const auto ready = wait_line("ready");
    ASSERT_GT(ready.size(), 65U) << ready;
    iroh_id_ = EndpointId::parse(ready.substr(0, 64)).value();
    iroh_address_ = ready.substr(65);
  }
  Result<std::shared_ptr<Connection>> dial(const EndpointId& id, std::vector<std::string> alpns) {
    std::optional<Result<std::shared_ptr<Connection>>> out;
    endpoint_->dial(id, iroh_address_, std::move(alpns), [&](auto result) {
      if (result) {
        (*result)->set_handler(&handler_);
        (*result)->mark_authenticated();
      }
      out = std::move(result);
    });
    if (!run_until([&] { return out.has_value(); })) return fail(Code::internal, "no callback");
    return std::move(*out);
  }
  // The usual: iroh serves the old protocol, we dial.
  void connect() {
    ASSERT_NO_FATAL_FAILURE(serve(kOld));
    auto result = dial(iroh_id_, {kOld});
    ASSERT_TRUE(result) << result.error().message;
    connection_ = std::move(*result);
  }
  StreamId command(std::string_view text, bool fin = false) {
    const auto stream = connection_->open_bidirectional().value();
    EXPECT_TRUE(connection_->write(stream, as_bytes(text), fin));
    return stream;
  }

  // We listen on both protocols; iroh dials.
  void listen() {
    handler_.serves = true;
    endpoint_->listen({kNew, kOld}, [this](auto connection) {
      connection->set_handler(&handler_);
      connection->mark_authenticated();
      connection_ = std::move(connection);
    });
  }
  void start_dialler(const EndpointId& id, const std::string& alpn, const std::string& test,
                     std::size_t n) {
    iroh_ =
        IrohProcess::start(GetParam(), {"dial", kIrohSeed, id.to_string(),
                                        endpoint_->local_address(), alpn, test, std::to_string(n)});
    ASSERT_TRUE(iroh_);
  }
  void expect_dialler_succeeds(const std::string& test, std::size_t n) {
    listen();
    start_dialler(endpoint_->id(), kOld, test, n);
    ASSERT_TRUE(run_until([&] {
      return iroh_->line("ok") || iroh_->line("failed:") || iroh_->line("connect");
    })) << iroh_->text();
    EXPECT_TRUE(iroh_->line("ok")) << iroh_->text();
  }

  boost::asio::io_context loop_;
  std::unique_ptr<QuicEndpoint> endpoint_;
  std::unique_ptr<IrohProcess> iroh_;
  EndpointId iroh_id_;
  std::string iroh_address_;
  Handler handler_;
  std::shared_ptr<Connection> connection_;
};

INSTANTIATE_TEST_SUITE_P(Generations, IrohTest, ::testing::Values("iroh97", "iroh1"),
                         [](const auto& generation) { return std::string(generation.param); });

// ---- we dial

TEST_P(IrohTest, EchoesWhatWeSend) {
  ASSERT_NO_FATAL_FAILURE(connect());
  EXPECT_EQ(connection_->peer(), iroh_id_);
  EXPECT_EQ(wait_line("accepted"), endpoint_->id().to_string() + " " + kOld);
  const auto data = pattern(5'000'000);
  const auto stream = command("echo\n");
  ASSERT_TRUE(connection_->write(stream, data, true));
  ASSERT_TRUE(run_until([&] { return handler_.finished[stream]; }));
  EXPECT_EQ(handler_.received[stream], data);
}

TEST_P(IrohTest, ReturnsOurUnidirectionalStreams) {
  ASSERT_NO_FATAL_FAILURE(connect());
  const auto data = pattern(5000);
  const auto stream = connection_->open_unidirectional().value();
  ASSERT_TRUE(connection_->write(stream, data, true));
  ASSERT_TRUE(run_until([&] { return !handler_.finished.empty(); }));
  EXPECT_EQ(handler_.received.begin()->second, data);
}

TEST_P(IrohTest, TakesAThousandStreams) {
  ASSERT_NO_FATAL_FAILURE(connect());
  for (int i = 0; i < 1000; ++i) {
    const auto stream = command("echo\nhello", true);
    ASSERT_TRUE(run_until([&] { return handler_.finished[stream]; })) << i;
  }
}

TEST_P(IrohTest, ClosesWithACodeAndAReasonThatWeSee) {
  ASSERT_NO_FATAL_FAILURE(connect());
  command("close 42\n");
  ASSERT_TRUE(run_until([&] { return handler_.closed.has_value(); }));
  EXPECT_EQ(handler_.closed->kind, CloseInfo::Kind::peer);
  EXPECT_EQ(handler_.closed->code, 42U);
  EXPECT_EQ(handler_.closed->reason, "peer says bye");
}

TEST_P(IrohTest, SeesOurCloseCodeAndReason) {
  ASSERT_NO_FATAL_FAILURE(connect());
  wait_line("accepted");
  connection_->close(7, "certificate required");
  const auto seen = wait_line("closed");
  EXPECT_NE(seen.find("error_code: 7"), std::string::npos) << seen;
  EXPECT_NE(seen.find("certificate required"), std::string::npos) << seen;
}

TEST_P(IrohTest, ResetsAStreamWithACodeThatWeSee) {
  ASSERT_NO_FATAL_FAILURE(connect());
  const auto stream = command("reset 9\n");
  ASSERT_TRUE(run_until([&] { return handler_.resets.contains(stream); }));
  EXPECT_EQ(handler_.resets[stream], 9U);
}

TEST_P(IrohTest, StopsReadingWithACodeThatWeSee) {
  ASSERT_NO_FATAL_FAILURE(connect());
  const auto stream = command("stop 11\n");
  ASSERT_TRUE(run_until([&] { return handler_.stops.contains(stream); }));
  EXPECT_EQ(handler_.stops[stream], 11U);
}

TEST_P(IrohTest, SeesTheCodeWithWhichWeStopReading) {
  ASSERT_NO_FATAL_FAILURE(connect());
  const auto stream = command("await-stop\n");
  ASSERT_TRUE(run_until([&] { return !handler_.received[stream].empty(); }));
  connection_->stop_sending(stream, 13);
  EXPECT_EQ(wait_line("stopped"), "Some(13)");
}

TEST_P(IrohTest, SeesTheCodeOfOurReset) {
  ASSERT_NO_FATAL_FAILURE(connect());
  const auto stream = command("await-reset\n");
  ASSERT_TRUE(run_until([&] { return !handler_.received[stream].empty(); }));
  connection_->reset(stream, 17);
  EXPECT_NE(wait_line("reset").find("17"), std::string::npos);
}

TEST_P(IrohTest, IsNotTakenForSomebodyElse) {
  ASSERT_NO_FATAL_FAILURE(serve(kOld));
  EndpointId other = iroh_id_;
  other.bytes[3] ^= 1;
  const auto result = dial(other, {kOld});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::wrong_peer);
  EXPECT_NE(result.error().message.find(iroh_id_.to_string()), std::string::npos);
}

TEST_P(IrohTest, ChoosesTheOldProtocolWhenOfferedBoth) {
  ASSERT_NO_FATAL_FAILURE(serve(kOld));
  const auto result = dial(iroh_id_, {kNew, kOld});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ((*result)->alpn(), kOld);
  EXPECT_EQ(wait_line("accepted"), endpoint_->id().to_string() + " " + kOld);
}

TEST_P(IrohTest, RefusesAProtocolItDoesNotKnow) {
  ASSERT_NO_FATAL_FAILURE(serve(kOld));
  const auto result = dial(iroh_id_, {kNew});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::protocol_refused);
}

// ---- iroh dials

TEST_P(IrohTest, DialsUsOnTheOldProtocol) {
  ASSERT_NO_FATAL_FAILURE(expect_dialler_succeeds("echo", 5'000'000));
  EXPECT_EQ(iroh_->line("connected"), endpoint_->id().to_string() + " " + kOld);
  ASSERT_TRUE(connection_);
  EXPECT_EQ(connection_->alpn(), kOld);
  ASSERT_TRUE(run_until([&] { return handler_.closed.has_value(); }));
  EXPECT_EQ(handler_.closed->kind, CloseInfo::Kind::peer);
  EXPECT_EQ(handler_.closed->code, 42U);
  EXPECT_EQ(handler_.closed->reason, "the dialler is done");
}

TEST_P(IrohTest, GetsItsUnidirectionalStreamsBack) { expect_dialler_succeeds("uni", 5000); }

// More than the credit of the beginning, both ways: heartbeats go on for days.
TEST_P(IrohTest, SendsAndGetsFiveHundredUnidirectionalStreams) {
  expect_dialler_succeeds("unis", 500);
}

TEST_P(IrohTest, OpensAThousandStreamsToUs) { expect_dialler_succeeds("many", 1000); }

TEST_P(IrohTest, AsDiallerSeesOurCloseCode) {
  ASSERT_NO_FATAL_FAILURE(expect_dialler_succeeds("close", 3));
  const auto seen = iroh_->line("closed").value_or("");
  EXPECT_NE(seen.find("error_code: 3"), std::string::npos) << seen;
  EXPECT_NE(seen.find("peer says bye"), std::string::npos) << seen;
}

TEST_P(IrohTest, AsDiallerSeesOurReset) {
  ASSERT_NO_FATAL_FAILURE(expect_dialler_succeeds("reset", 21));
  EXPECT_NE(iroh_->line("reset").value_or("").find("21"), std::string::npos) << iroh_->text();
}

TEST_P(IrohTest, AsDiallerSeesOurStop) {
  ASSERT_NO_FATAL_FAILURE(expect_dialler_succeeds("stop", 23));
  EXPECT_EQ(iroh_->line("stopped"), "Some(23)");
}

TEST_P(IrohTest, NoticesThatWeAreSomebodyElse) {
  listen();
  EndpointId other = endpoint_->id();
  other.bytes[0] ^= 1;
  if (crypto_core_ed25519_is_valid_point(other.bytes.data()) != 1) {
    // Any other valid key will do.
    std::array<std::uint8_t, 32> seed{99};
    std::array<std::uint8_t, 64> secret{};
    crypto_sign_seed_keypair(other.bytes.data(), secret.data(), seed.data());
  }
  start_dialler(other, kOld, "echo", 1);
  EXPECT_NE(wait_line("connect").find("failed"), std::string::npos);
  EXPECT_FALSE(connection_);
}

TEST_P(IrohTest, IsRefusedOnAProtocolWeDoNotSpeak) {
  listen();
  start_dialler(endpoint_->id(), "other/1", "echo", 1);
  EXPECT_NE(wait_line("connect").find("failed"), std::string::npos);
  EXPECT_FALSE(connection_);
}

}  // namespace
}  // namespace peat::net::interop
