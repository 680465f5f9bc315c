// The door that is open to strangers: requests of one message each.
#include "node/request_server.hpp"

#include <gtest/gtest.h>

#include "../sync/mesh_fixture.hpp"
#include "base/reader.hpp"
#include "node/introduction.hpp"

namespace peat::node {
namespace {

using namespace sync::test;
using transport::CloseInfo;
using transport::Connection;
using transport::StreamId;

constexpr std::string_view kAlpn = "test/1";

// One stranger's connection.
struct Stranger final : transport::ConnectionHandler {
  std::shared_ptr<Connection> connection;
  std::string answer;
  bool fin = false;
  std::optional<CloseInfo> closed;

  void send(ByteView bytes, bool end) {
    // Whoever was turned away has no stream any more.
    const auto stream = connection->open_bidirectional();
    if (stream) (void)connection->write(*stream, bytes, end);
  }
  void request(std::string_view text) {
    Bytes out;
    Writer writer(out);
    writer.u32le(static_cast<std::uint32_t>(text.size()));
    writer.text(text);
    send(out, true);
  }
  void on_data(Connection& c, StreamId id, ByteView bytes, bool end) override {
    answer += as_text(bytes);
    fin = end;
    c.consumed(id, bytes.size());
  }
  void on_closed(Connection&, const CloseInfo& info) override { closed = info; }
};

class Requests : public testing::Test {
 protected:
  Requests() {
    host_ = mesh_.add_host();
    start({});
  }
  void start(const Limits& limits) {
    server_ = std::make_unique<RequestServer>(
        *mesh_.executors[host_], limits,
        [this](const EndpointId& id) -> Status {
          if (not_admitted_ == id) return fail(Code::permission_denied, "not this one");
          return {};
        },
        [this](RequestServer::Request request, const RequestServer::Respond& respond) {
          asked_.push_back(request);
          if (answers_) {
            respond(crypto::SecretBytes(as_bytes(request.bytes ? "yes" : "too long")));
          } else {
            waiting_.push_back(respond);
          }
        });
    mesh_.network.endpoint(host_).listen(
        {std::string(kAlpn)}, [this](auto connection) { server_->accept(std::move(connection)); });
  }
  Stranger& dial(sim::HostId from) {
    auto& stranger = *strangers_.emplace_back(std::make_unique<Stranger>());
    mesh_.network.endpoint(from).dial(mesh_.id(host_), mesh_.network.address(host_),
                                      {std::string(kAlpn)}, [&stranger](auto result) {
                                        ASSERT_TRUE(result);
                                        stranger.connection = *result;
                                        (*result)->set_handler(&stranger);
                                      });
    mesh_.world.run_for(milliseconds(100));
    return stranger;
  }

  Mesh mesh_;
  sim::HostId host_ = 0;
  std::vector<std::unique_ptr<Stranger>> strangers_;
  std::unique_ptr<RequestServer> server_;
  std::vector<RequestServer::Request> asked_;
  std::vector<RequestServer::Respond> waiting_;
  std::optional<EndpointId> not_admitted_;
  bool answers_ = true;
};

TEST_F(Requests, ARequestGetsItsAnswerAndItsSenderIsKnownByItsKey) {
  const auto from = mesh_.add_host();
  auto& stranger = dial(from);
  stranger.request("hello");
  mesh_.world.run_for(seconds(1));
  ASSERT_EQ(asked_.size(), 1U);
  EXPECT_EQ(as_text(*asked_[0].bytes), "hello");
  EXPECT_EQ(asked_[0].endpoint, mesh_.id(from));
  EXPECT_EQ(stranger.answer, std::string("\x03\0\0\0yes", 7));
  EXPECT_TRUE(stranger.fin);
}

// D-34: an answer whose connection is closed right behind it gets lost.
TEST_F(Requests, D34TheConnectionStaysUntilTheClientHasTheAnswer) {
  auto& stranger = dial(mesh_.add_host());
  stranger.request("hello");
  mesh_.world.run_for(seconds(1));
  EXPECT_FALSE(stranger.closed);
  EXPECT_EQ(server_->in_flight(), 1U);
  mesh_.world.run_for(seconds(6));
  EXPECT_TRUE(stranger.closed) << "but not for ever";
  EXPECT_EQ(server_->in_flight(), 0U);
}

TEST_F(Requests, WhoIsNotAdmittedIsTurnedAwayUnheard) {
  const auto host = mesh_.add_host();
  not_admitted_ = mesh_.id(host);
  auto& stranger = dial(host);
  stranger.request("hello");
  mesh_.world.run_for(seconds(1));
  EXPECT_TRUE(asked_.empty());
  ASSERT_TRUE(stranger.closed);
  EXPECT_EQ(stranger.closed->reason, "not permitted");
  EXPECT_EQ(server_->refused(), 1U);
}

// D-33: the reference waits for ever, for everybody.
TEST_F(Requests, D33WhoSendsNothingOrHalfARequestIsLetGoAfterTenSeconds) {
  auto& silent = dial(mesh_.add_host());
  auto& slow = dial(mesh_.add_host());
  slow.send(Bytes{9, 0, 0, 0, 'x'}, false);
  auto& broken = dial(mesh_.add_host());
  broken.send(Bytes{9, 0, 0, 0, 'x'}, true);
  mesh_.world.run_for(seconds(1));
  EXPECT_TRUE(broken.closed);
  mesh_.world.run_for(seconds(10));
  EXPECT_TRUE(silent.closed && slow.closed);
  EXPECT_TRUE(asked_.empty());
  EXPECT_EQ(server_->in_flight(), 0U);
}

TEST_F(Requests, D33ARequestThatIsTooLongIsNotRead) {
  auto& stranger = dial(mesh_.add_host());
  stranger.send(Bytes{1, 0, 1, 0, 'x'}, false);
  mesh_.world.run_for(seconds(1));
  ASSERT_EQ(asked_.size(), 1U);
  EXPECT_FALSE(asked_[0].bytes);
  EXPECT_EQ(asked_[0].announced, 65'537U);
  EXPECT_TRUE(stranger.answer.ends_with("too long"));
}

TEST_F(Requests, D33OneAddressHasFiveRequestsAMinuteAndOthersAreServedMeanwhile) {
  const auto from = mesh_.add_host();
  for (int i = 0; i < 8; ++i) dial(from).request("hello");
  auto& other = dial(mesh_.add_host());
  other.request("hello");
  mesh_.world.run_for(seconds(1));
  EXPECT_EQ(asked_.size(), 6U);
  EXPECT_EQ(server_->refused(), 3U);
  EXPECT_FALSE(other.answer.empty());
}

TEST_F(Requests, D33AtMost32AreUnderWay) {
  answers_ = false;
  for (int i = 0; i < 40; ++i) dial(mesh_.add_host()).request("hello");
  EXPECT_EQ(asked_.size(), 32U);
  EXPECT_EQ(server_->refused(), 8U);
}

TEST_F(Requests, AnAnswerThatComesAfterTheClientLeftHarmsNobody) {
  answers_ = false;
  auto& stranger = dial(mesh_.add_host());
  stranger.request("hello");
  mesh_.world.run_for(seconds(1));
  stranger.connection->close(0, "bye");
  mesh_.world.run_for(seconds(1));
  waiting_.at(0)(crypto::SecretBytes(as_bytes("late")));
  server_.reset();
  mesh_.world.run_for(seconds(1));
}

}  // namespace
}  // namespace peat::node
