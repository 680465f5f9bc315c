#include "node/enrollment_dial.hpp"

#include <memory>
#include <utility>

namespace peat::node {

namespace {

using transport::CloseInfo;
using transport::Connection;
using transport::StreamId;

// Lives as long as a callback of its dial, its connection or its timer may come.
class Enrolment final : public transport::ConnectionHandler,
                        public std::enable_shared_from_this<Enrolment> {
 public:
  Enrolment(transport::Endpoint& endpoint, Executor& executor, const crypto::SecretKey& key,
            security::EnrollmentTask task, std::vector<std::string> addresses,
            std::function<void(EnrollmentResult)> done)
      : endpoint_(endpoint),
        executor_(executor),
        key_(key),
        task_(std::move(task)),
        addresses_(std::move(addresses)),
        done_(std::move(done)) {}

  void dial_next() {
    if (next_ == addresses_.size()) {
      finish(std::unexpected(last_error_), "");
      return;
    }
    endpoint_.dial(
        task_.server, addresses_[next_], {std::string(security::kAlpnEnroll)},
        [self = shared_from_this()](auto result) { self->on_dialled(std::move(result)); });
  }

 private:
  void on_dialled(Result<std::shared_ptr<Connection>> result) {
    if (!result) {
      last_error_ = std::move(result).error();
      if (last_error_.code == Code::protocol_refused) {
        last_error_.message =
            "this node enrols nobody: it is not the mesh's authority, or the "
            "mesh's policy is strict";
      }
      ++next_;
      dial_next();
      return;
    }
    connection_ = std::move(*result);
    keep_ = shared_from_this();
    connection_->set_handler(this);
    auto client = security::EnrollmentClient::begin(key_, task_, executor_.now());
    if (!client) {
      finish(std::unexpected(std::move(client).error()), addresses_[next_]);
      return;
    }
    client_.emplace(std::move(*client));
    const auto stream = connection_->open_bidirectional();
    if (!stream) {
      finish(std::unexpected(stream.error()), addresses_[next_]);
      return;
    }
    stream_ = *stream;
    (void)connection_->write(*stream, client_->to_send(), true);
    timer_ = executor_.at(client_->deadline(), [self = shared_from_this()] {
      self->timer_ = 0;
      if (self->client_) self->client_->on_timeout(self->executor_.now());
      self->look();
    });
  }

  void on_data(Connection& connection, StreamId stream, ByteView data, bool fin) override {
    connection.consumed(stream, data.size());
    if (!client_ || stream != stream_) return;
    client_->on_stream_bytes(executor_.now(), data, fin);
    look();
  }
  void on_reset(Connection&, StreamId stream, std::uint64_t) override {
    if (!client_ || stream != stream_) return;
    client_->on_closed(executor_.now());
    look();
  }
  void on_closed(Connection&, const CloseInfo& info) override {
    const auto keep = std::exchange(keep_, nullptr);
    connection_.reset();
    if (!client_ || client_->outcome()) return;
    client_->on_closed(executor_.now());
    auto outcome = std::move(*client_->outcome());
    if (!outcome && !info.reason.empty()) outcome.error().message += " (" + info.reason + ")";
    finish(std::move(outcome), addresses_[next_]);
  }

  void look() {
    if (client_ && client_->outcome()) finish(std::move(*client_->outcome()), addresses_[next_]);
  }

  void finish(Result<security::Enrolled> outcome, std::string address) {
    if (!done_) return;
    if (timer_ != 0) executor_.cancel(std::exchange(timer_, 0));
    if (connection_) connection_->close(0, "done");
    executor_.post([done = std::exchange(done_, nullptr),
                    result = std::make_shared<EnrollmentResult>(EnrollmentResult{
                        std::move(outcome), std::move(address)})] { done(std::move(*result)); });
  }

  transport::Endpoint& endpoint_;
  Executor& executor_;
  const crypto::SecretKey& key_;
  security::EnrollmentTask task_;
  std::vector<std::string> addresses_;
  std::function<void(EnrollmentResult)> done_;
  std::size_t next_ = 0;
  Error last_error_{Code::unreachable, "no address of the authority is known"};
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<Enrolment> keep_;
  std::optional<security::EnrollmentClient> client_;
  StreamId stream_ = 0;
  TimerId timer_ = 0;
};

}  // namespace

void enroll(transport::Endpoint& endpoint, Executor& executor, const crypto::SecretKey& key,
            security::EnrollmentTask task, std::vector<std::string> addresses,
            std::function<void(EnrollmentResult)> done) {
  std::make_shared<Enrolment>(endpoint, executor, key, std::move(task), std::move(addresses),
                              std::move(done))
      ->dial_next();
}

}  // namespace peat::node
