// The server's limits over real sockets, each exceeded.
#include "broker/server.hpp"

#include <arpa/inet.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <future>
#include <thread>
#include <unistd.h>

#include "fake_node.hpp"

namespace peat::broker {
namespace {

class Client {
 public:
  explicit Client(const std::string& address) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&peer), sizeof peer), 0);
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void write(std::string_view text) { ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
  // What arrives until `text` is in it or the server closes.
  std::string read_until(std::string_view text = "\x01never") {
    std::string all;
    std::array<char, 4096> piece{};
    while (all.find(text) == std::string::npos) {
      const auto n = recv(fd_, piece.data(), piece.size(), 0);
      if (n < 0) return all + "\x01timeout";
      if (n == 0) return all;
      all.append(piece.data(), static_cast<std::size_t>(n));
    }
    return all;
  }

 private:
  int fd_;
};

class ServerTest : public testing::Test {
 protected:
  void start(const Limits& limits) {
    router_ = std::make_unique<Router>(node_, limits);
    server_ = std::make_unique<Server>(loop_, *router_, limits);
    const auto status = server_->start({"127.0.0.1", 0});
    ASSERT_TRUE(status) << status.error().message;
    address_ = server_->local_address();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~ServerTest() override {
    if (!thread_.joinable()) return;
    stop(std::chrono::milliseconds(10));
    work_.reset();
    thread_.join();
  }
  void stop(Duration patience) {
    std::promise<void> stopped;
    boost::asio::post(loop_, [&] { server_->stop(patience, [&] { stopped.set_value(); }); });
    stopped.get_future().get();
  }
  template <class Task>
  auto on_loop(Task task) {
    std::packaged_task<decltype(task())()> packaged(std::move(task));
    auto result = packaged.get_future();
    boost::asio::post(loop_, [&packaged] { packaged(); });
    return result.get();
  }
  std::string head(std::string_view line, std::string_view more = "") const {
    return std::string(line) + " HTTP/1.1\r\nHost: " + address_ + "\r\n" + std::string(more) +
           "\r\n";
  }

  static std::string import_body() { return "{\"k\":\"a\"}\n{\"k\":\"b\"}\n{\"k\":\"c\"}\n"; }
  std::string import_head(std::size_t size) const {
    return head(
        "POST /api/v1/documents/t?key=k",
        "Content-Type: application/x-ndjson\r\nContent-Length: " + std::to_string(size) + "\r\n");
  }

  boost::asio::io_context loop_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      loop_.get_executor()};
  FakeNode node_;
  std::unique_ptr<Router> router_;
  std::unique_ptr<Server> server_;
  std::string address_;
  std::thread thread_;
};

TEST_F(ServerTest, OneConnectionCarriesManyRequests) {
  start({});
  Client client(address_);
  for (int i = 0; i < 3; ++i) {
    client.write(head("GET /api/v1/health"));
    EXPECT_TRUE(client.read_until("}").starts_with("HTTP/1.1 200"));
  }
  client.write(head("GET /api/v1/health") + head("GET /api/v1/node"));  // pipelined
  EXPECT_NE(client.read_until("durable_seq").find("healthy"), std::string::npos);
}

TEST_F(ServerTest, HeadGivesTheHeaderAlone) {
  start({});
  Client client(address_);
  client.write(head("HEAD /api/v1/health") + head("GET /metrics"));
  const auto answer = client.read_until("peat_documents");
  EXPECT_EQ(answer.find("healthy"), std::string::npos);
  EXPECT_NE(answer.find("Content-Length: 37"), std::string::npos) << answer;
}

TEST_F(ServerTest, AHeaderOverTheLimitIs431) {
  Limits limits;
  limits.http_header_bytes = 1024;
  start(limits);
  Client client(address_);
  client.write(head("GET /api/v1/health", "X-Long: " + std::string(2000, 'x') + "\r\n"));
  EXPECT_TRUE(client.read_until("}").starts_with("HTTP/1.1 431"));
}

TEST_F(ServerTest, ABodyOverTheLimitIs413WhetherAnnouncedOrNot) {
  Limits limits;
  limits.http_body_bytes = 100;
  start(limits);
  {
    Client client(address_);
    client.write(head("PUT /api/v1/documents/t/x",
                      "Content-Type: application/json\r\nContent-Length: 101\r\n"));
    EXPECT_TRUE(client.read_until("}").starts_with("HTTP/1.1 413"));
  }
  Client client(address_);
  client.write(head("PUT /api/v1/documents/t/x",
                    "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n") +
               "80\r\n" + std::string(128, ' ') + "\r\n");
  EXPECT_TRUE(client.read_until("}").starts_with("HTTP/1.1 413"));
}

TEST_F(ServerTest, AllBodiesTogetherHaveALimitAndGiveItBack) {
  Limits limits;
  limits.http_bodies_bytes = 1000;
  start(limits);
  const auto put = [this](std::size_t size) {
    return head("PUT /api/v1/documents/t/x", "Content-Type: application/json\r\nContent-Length: " +
                                                 std::to_string(size) + "\r\n");
  };
  Client first(address_);
  first.write(put(900) + "{\"a\":\"" + std::string(700, 'x'));  // unfinished
  while (on_loop([this] { return server_->counters().requests; }) < 1) std::this_thread::yield();
  std::string answer;
  do {  // until the first body has been read by the server
    Client second(address_);
    second.write(put(600) + "{\"a\":\"" + std::string(592, 'x') + "\"}");
    answer = second.read_until("}");
  } while (answer.starts_with("HTTP/1.1 20"));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  first.write(std::string(192, 'x') + "\"}");
  EXPECT_TRUE(first.read_until("}").starts_with("HTTP/1.1 20"));
  Client third(address_);
  third.write(put(600) + "{\"a\":\"" + std::string(592, 'x') + "\"}");
  EXPECT_TRUE(third.read_until("}").starts_with("HTTP/1.1 20"));
}

TEST_F(ServerTest, F24AStalledClientIsLetGo) {
  Limits limits;
  limits.http_header_seconds = 1;
  limits.http_idle_seconds = 1;
  start(limits);
  Client silent(address_);
  Client half_header(address_);
  half_header.write("GET /api/v1/hea");
  Client half_body(address_);
  half_body.write(head("PUT /api/v1/documents/t/x",
                       "Content-Type: application/json\r\nContent-Length: 10\r\n") +
                  "{");
  Client kept(address_);
  kept.write(head("GET /api/v1/health"));
  EXPECT_TRUE(kept.read_until("}").starts_with("HTTP/1.1 200"));
  EXPECT_EQ(silent.read_until(), "");
  EXPECT_EQ(half_header.read_until(), "");
  EXPECT_EQ(half_body.read_until().find("timeout"), std::string::npos);
  EXPECT_EQ(kept.read_until(), "");
  while (on_loop([this] { return server_->counters().connections; }) > 0) {
    std::this_thread::yield();
  }
}

TEST_F(ServerTest, OneConnectionOverTheLimitIsTold503) {
  Limits limits;
  limits.http_connections = 2;
  start(limits);
  Client one(address_);
  Client two(address_);
  one.write(head("GET /api/v1/health"));
  two.write(head("GET /api/v1/health"));
  one.read_until("}");
  two.read_until("}");
  Client three(address_);
  EXPECT_TRUE(three.read_until().starts_with("HTTP/1.1 503"));
  EXPECT_EQ(on_loop([this] { return server_->counters().refused; }), 1U);
}

TEST_F(ServerTest, NonsenseIs400) {
  start({});
  Client client(address_);
  client.write("NONSENSE\r\n\r\n");
  EXPECT_TRUE(client.read_until("}").starts_with("HTTP/1.1 400"));
}

TEST_F(ServerTest, AClientThatExpectsToBeAskedIsAsked) {
  start({});
  Client client(address_);
  client.write(head("PUT /api/v1/documents/t/x",
                    "Content-Type: application/json\r\nContent-Length: 2\r\n"
                    "Expect: 100-continue\r\n"));
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.write("{}");
  EXPECT_TRUE(client.read_until("}").starts_with("HTTP/1.1 201"));
}

TEST_F(ServerTest, AFollowerThatLeavesIsNoticedWithoutAnEvent) {
  start({});
  {
    Client client(address_);
    client.write(head("GET /api/v1/events"));
    EXPECT_TRUE(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
  }
  while (on_loop([this] { return server_->counters().connections; }) > 0) {
    std::this_thread::yield();
  }
}

TEST_F(ServerTest, AnEventIsSentTheMomentItHappens) {
  start({});
  Client client(address_);
  client.write(head("GET /api/v1/events"));
  client.read_until("\r\n\r\n");
  on_loop([this] {
    node::Event event;
    event.seq = 7;
    event.key = "t:x";
    event.action = "update";
    node_.events().publish(event);
  });
  EXPECT_NE(client.read_until("}").find(R"("seq":7,"type":"SyncEvent","collection":"t")"),
            std::string::npos);
}

TEST_F(ServerTest, AStopLetsARequestFinishAndEndsStreamsAndIdlers) {
  node_.hold_commits = true;
  start({});
  Client idle(address_);
  Client follower(address_);
  follower.write(head("GET /api/v1/events"));
  follower.read_until("\r\n\r\n");
  Client writer(address_);
  writer.write(
      head("PUT /api/v1/documents/t/x", "Content-Type: application/json\r\nContent-Length: 2\r\n") +
      "{}");
  while (on_loop([this] { return node_.commits.size(); }) == 0) std::this_thread::yield();
  std::promise<void> stopped;
  on_loop([&] { server_->stop(std::chrono::seconds(20), [&] { stopped.set_value(); }); });
  EXPECT_EQ(idle.read_until(), "");
  EXPECT_EQ(follower.read_until(), "0\r\n\r\n");
  on_loop([this] { node_.run_commits(); });
  EXPECT_TRUE(writer.read_until().starts_with("HTTP/1.1 201"));
  stopped.get_future().get();
}

TEST_F(ServerTest, AStopCutsWhatDoesNotFinish) {
  node_.hold_commits = true;
  start({});
  Client writer(address_);
  writer.write(
      head("PUT /api/v1/documents/t/x", "Content-Type: application/json\r\nContent-Length: 2\r\n") +
      "{}");
  while (on_loop([this] { return node_.commits.size(); }) == 0) std::this_thread::yield();
  stop(std::chrono::milliseconds(10));
  EXPECT_EQ(writer.read_until(), "");
}

TEST_F(ServerTest, ADeepDocumentIsListedAndNeitherItNorAnExceptionHoldsUpAStop) {
  start({});
  std::string deep = R"({"_id":1})";
  for (int i = 0; i < 40; ++i) deep = R"({"n":)" + deep + "}";
  Client client(address_);
  client.write(
      head("PUT /api/v1/documents/t/x", "Content-Type: application/json\r\nContent-Length: " +
                                            std::to_string(deep.size()) + "\r\n") +
      deep);
  EXPECT_TRUE(client.read_until("}").starts_with("HTTP/1.1 201"));
  client.write(head("GET /api/v1/documents/t"));
  EXPECT_NE(client.read_until("0\r\n\r\n").find(R"({"_id":"x",)" + deep.substr(1)),
            std::string::npos);

  on_loop([this] { node_.keys_throw = true; });
  Client unlucky(address_);
  unlucky.write(head("GET /api/v1/documents/t"));
  const auto answer = unlucky.read_until();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200"));
  EXPECT_FALSE(answer.ends_with("0\r\n\r\n"));
  while (on_loop([this] { return server_->counters().connections; }) > 1) {
    std::this_thread::yield();
  }
  stop(std::chrono::hours(1));
}

TEST_F(ServerTest, ASearchThatFindsNothingLeavesOthersTheirTurn) {
  node_.hidden_without_end = true;
  start({});
  Client searching(address_);
  searching.write(head("GET /api/v1/documents/t"));
  searching.read_until("documents");
  Client other(address_);
  other.write(head("GET /api/v1/health"));
  EXPECT_TRUE(other.read_until("}").starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, AStopLetsAnImportFinish) {
  node_.hold_commits = true;
  start({});
  const auto body = import_body();
  Client client(address_);
  client.write(import_head(body.size()) + body);
  while (on_loop([this] { return node_.commits.size(); }) < 3) std::this_thread::yield();
  std::promise<void> stopped;
  on_loop([&] { server_->stop(std::chrono::hours(1), [&] { stopped.set_value(); }); });
  on_loop([] {});  // the import has been woken and found nothing to say
  on_loop([this] { node_.run_commits(); });
  const auto answer = client.read_until();
  EXPECT_NE(answer.find(R"({"line":3,"id":"c","status":201)"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("0\r\n\r\n")) << answer;
  stopped.get_future().get();
}

TEST_F(ServerTest, AnImportThatAStopCutsShowsThatItIsCut) {
  node_.hold_commits = true;
  start({});
  const auto body = import_body();
  Client client(address_);
  client.write(import_head(body.size()) + body);
  while (on_loop([this] { return node_.commits.size(); }) < 3) std::this_thread::yield();
  stop(std::chrono::milliseconds(10));
  const auto answer = client.read_until();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200"));
  EXPECT_FALSE(answer.ends_with("0\r\n\r\n")) << answer;
}

TEST_F(ServerTest, AnAddressInUseIsNamed) {
  start({});
  Server second(loop_, *router_, {});
  const auto status = second.start(*node::HostPort::parse(address_));
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message.find(address_), std::string::npos);
}

}  // namespace
}  // namespace peat::broker
