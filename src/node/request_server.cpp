#include "node/request_server.hpp"

#include "base/network.hpp"
#include "base/reader.hpp"

namespace peat::node {

namespace {

constexpr Duration kRequestTime = std::chrono::seconds(10);
constexpr Duration kLinger = std::chrono::seconds(5);
constexpr std::uint64_t kCloseBusy = 1;
constexpr std::uint64_t kCloseNotAdmitted = 2;

using transport::CloseInfo;
using transport::Connection;
using transport::StreamId;

// Takes the events of a connection whose session is gone.
class DeafHandler final : public transport::ConnectionHandler {
 public:
  void on_data(Connection& connection, StreamId stream, ByteView data, bool) override {
    connection.consumed(stream, data.size());
  }
  void on_closed(Connection&, const CloseInfo&) override {}
};
DeafHandler deaf_handler;

}  // namespace

class RequestServer::Session final : public transport::ConnectionHandler,
                                     public std::enable_shared_from_this<Session> {
 public:
  Session(RequestServer& server, std::shared_ptr<Connection> connection)
      : server_(&server), connection_(std::move(connection)) {
    connection_->set_handler(this);
  }
  ~Session() override { stop_timer(); }

  void begin() { arm(kRequestTime, "no request in time"); }

  // The server is gone: the connection goes on until its endpoint ends it.
  void abandon() {
    stop_timer();
    server_ = nullptr;
    connection_->set_handler(&deaf_handler);
    connection_->close(0, "shutdown");
  }

  void on_data(Connection& connection, StreamId stream, ByteView data, bool fin) override {
    connection.consumed(stream, data.size());
    const bool ours = transport::is_bidirectional(stream) && (!stream_ || *stream_ == stream);
    if (!ours || asked_ || server_ == nullptr) return;
    stream_ = stream;
    const auto limit = server_->limits_.enrollment_message_bytes;
    const auto room = limit + sizeof(std::uint32_t) - input_.size();
    const auto part = data.first(std::min<std::size_t>(data.size(), room));
    input_.insert(input_.end(), part.begin(), part.end());
    Reader reader(input_);
    const auto length = reader.u32le("request length");
    if (!length) return fin ? give_up("the request breaks off") : void();
    if (*length > limit) return ask(std::nullopt, *length);
    const auto request = reader.take(*length, "request");
    if (!request) return fin ? give_up("the request breaks off") : void();
    ask(Bytes(request->begin(), request->end()), *length);
  }

  void on_closed(Connection&, const CloseInfo&) override {
    const auto keep = shared_from_this();
    stop_timer();
    if (server_ != nullptr) server_->sessions_.erase(connection_->stable_id());
    server_ = nullptr;
  }

 private:
  void ask(std::optional<Bytes> bytes, std::uint64_t announced) {
    asked_ = true;
    input_.clear();
    server_->decide_(
        {std::move(bytes), announced, connection_->peer(), connection_->remote_address()},
        [weak = weak_from_this()](crypto::SecretBytes answer) {
          if (const auto self = weak.lock()) self->respond(answer);
        });
  }

  void respond(const crypto::SecretBytes& answer) {
    if (server_ == nullptr) return;
    Bytes head;
    Writer(head).u32le(static_cast<std::uint32_t>(answer.size()));
    // A connection that has ended says so by itself.
    (void)connection_->write(*stream_, head, false);
    (void)connection_->write(*stream_, answer.view(), true);
    arm(kLinger, "done");
  }

  void give_up(std::string_view reason) {
    stop_timer();
    connection_->close(kCloseBusy, reason);
  }

  void arm(Duration time, std::string_view reason) {
    stop_timer();
    timer_ = server_->executor_.at(
        server_->executor_.now().mono + time, [weak = weak_from_this(), reason] {
          const auto self = weak.lock();
          if (!self || self->server_ == nullptr) return;
          self->timer_ = 0;
          self->connection_->close(self->asked_ ? 0 : kCloseBusy, reason);
        });
  }
  void stop_timer() {
    if (timer_ != 0 && server_ != nullptr) server_->executor_.cancel(timer_);
    timer_ = 0;
  }

  RequestServer* server_;
  std::shared_ptr<Connection> connection_;
  std::optional<StreamId> stream_;
  Bytes input_;
  bool asked_ = false;
  TimerId timer_ = 0;
};

RequestServer::RequestServer(Executor& executor, const Limits& limits, Admit admit, Decide decide)
    : executor_(executor),
      limits_(limits),
      admit_(std::move(admit)),
      decide_(std::move(decide)),
      limiter_(limits.enrollment_per_minute) {}

RequestServer::~RequestServer() {
  for (const auto& [id, session] : sessions_) session->abandon();
}

void RequestServer::accept(std::shared_ptr<Connection> connection) {
  const auto id = connection->stable_id();
  const bool busy = sessions_.size() >= limits_.enrollment_in_flight ||
                    !limiter_.admit(network_of(connection->remote_address()), executor_.now().mono);
  const auto session = std::make_shared<Session>(*this, connection);
  sessions_.emplace(id, session);
  if (busy) {
    ++refused_;
    connection->close(kCloseBusy, "too many requests; try again later");
    return;
  }
  if (!admit_(connection->peer())) {
    ++refused_;
    connection->close(kCloseNotAdmitted, "not permitted");
    return;
  }
  session->begin();
}

}  // namespace peat::node
