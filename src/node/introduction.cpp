#include "node/introduction.hpp"

#include <memory>
#include <utility>

#include "base/reader.hpp"

namespace peat::node {

namespace {

using transport::CloseInfo;
using transport::Connection;
using transport::StreamId;
using Done = std::function<void(Result<std::vector<security::Certificate>>)>;

constexpr Duration kTime = std::chrono::seconds(10);

// Lives as long as a callback of its dial, its connection or its timer may come.
class Introduction final : public transport::ConnectionHandler,
                           public std::enable_shared_from_this<Introduction> {
 public:
  Introduction(Executor& executor, Bytes request, Done done)
      : executor_(executor), request_(std::move(request)), done_(std::move(done)) {}

  void dial(transport::Endpoint& endpoint, const EndpointId& peer, const std::string& address) {
    endpoint.dial(
        peer, address, {std::string(kAlpnIntroduce)},
        [self = shared_from_this()](auto result) { self->on_dialled(std::move(result)); });
  }

 private:
  void on_dialled(Result<std::shared_ptr<Connection>> result) {
    if (!result) return finish(std::unexpected(std::move(result).error()));
    connection_ = std::move(*result);
    keep_ = shared_from_this();
    connection_->set_handler(this);
    const auto stream = connection_->open_bidirectional();
    if (!stream) return finish(std::unexpected(stream.error()));
    stream_ = *stream;
    Bytes head;
    Writer(head).u32le(static_cast<std::uint32_t>(request_.size()));
    (void)connection_->write(stream_, head, false);
    (void)connection_->write(stream_, request_, true);
    timer_ = executor_.at(executor_.now().mono + kTime, [self = shared_from_this()] {
      self->timer_ = 0;
      self->finish(fail(Code::timeout, "the peer did not show its certificate within 10 s"));
    });
  }

  void on_data(Connection& connection, StreamId stream, ByteView data, bool fin) override {
    connection.consumed(stream, data.size());
    if (stream != stream_ || !done_) return;
    const auto room = sizeof(std::uint32_t) + security::kChainMaxBytes - input_.size();
    const auto part = data.first(std::min(data.size(), room));
    input_.insert(input_.end(), part.begin(), part.end());
    Reader reader(input_);
    if (const auto length = reader.u32le("length")) {
      if (*length > security::kChainMaxBytes) {
        return finish(fail(Code::limit_exceeded, "the peer's chain is too long"));
      }
      if (const auto chain = reader.take(*length, "chain")) {
        return finish(security::decode_chain(*chain));
      }
    }
    if (fin) finish(fail(Code::truncated, "the peer's chain breaks off"));
  }

  void on_closed(Connection&, const CloseInfo& info) override {
    const auto keep = std::exchange(keep_, nullptr);
    connection_.reset();
    finish(fail(Code::connection_lost, info.reason.empty()
                                           ? std::string("the connection ended")
                                           : "the peer ended the connection: " + info.reason));
  }

  void finish(Result<std::vector<security::Certificate>> result) {
    if (!done_) return;
    if (timer_ != 0) executor_.cancel(std::exchange(timer_, 0));
    if (connection_) connection_->close(0, "done");
    executor_.post(
        [done = std::exchange(done_, nullptr), result = std::move(result)] { done(result); });
  }

  Executor& executor_;
  Bytes request_;
  Done done_;
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<Introduction> keep_;
  StreamId stream_ = 0;
  Bytes input_;
  TimerId timer_ = 0;
};

}  // namespace

void introduce(transport::Endpoint& endpoint, Executor& executor, const EndpointId& peer,
               const std::string& address, const std::vector<security::Certificate>& own,
               Done done) {
  auto request = security::encode_chain(own);
  if (!request) {
    executor.post(
        [done = std::move(done), error = request.error()] { done(std::unexpected(error)); });
    return;
  }
  std::make_shared<Introduction>(executor, std::move(*request), std::move(done))
      ->dial(endpoint, peer, address);
}

}  // namespace peat::node
