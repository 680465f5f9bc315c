// A link of the native dialect: one stream, both ways.
#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "sync/channel_link.hpp"
#include "wire/native.hpp"

namespace peat::sync {
namespace {

using transport::Connection;
using transport::StreamId;

class NativeLink final : public ChannelLink {
 public:
  NativeLink(const LinkContext& context, std::shared_ptr<Connection> connection)
      : context_(context), connection_(std::move(connection)), reader_(context.limits) {}
  ~NativeLink() override { detach(); }

  void start() override {
    connection_->set_handler(this);
    if (!connection_->dialled()) return;
    const auto stream = connection_->open_bidirectional();
    if (!stream || !connection_->write(*stream, {}, false)) {
      connection_->close(kMalformedCode, "no stream for peat/sync/2");
      return;
    }
    stream_ = *stream;
    ++context_.host.link_stats().streams_opened;
  }
  bool has_room() const override { return !closed_ && !waiting_; }
  bool wants_data() const override {
    return has_room() && stream_ && connection_->wants_data(*stream_);
  }
  void send(Bytes message, Ticket ticket) override {
    waiting_ = {std::move(message), ticket};
    flush();
  }
  void finish() override {
    if (stream_ && waiting_) write();
    connection_->close(0, "disconnecting");
  }
  void detach() override {
    if (std::exchange(detached_, true)) return;
    if (!closed_) connection_->set_handler(nullptr);
    if (timer_ != 0) context_.executor.cancel(std::exchange(timer_, 0));
  }

  void on_stream_opened(Connection&, StreamId stream) override { adopt(stream); }
  void on_data(Connection&, StreamId stream, ByteView data, bool fin) override;
  void on_wants_data(Connection&, StreamId) override { on_progress(); }
  void on_acknowledged(Connection&, StreamId) override { on_progress(); }
  void on_reset(Connection&, StreamId stream, std::uint64_t) override { on_half_lost(stream); }
  void on_stop_sending(Connection&, StreamId stream, std::uint64_t) override {
    on_half_lost(stream);
  }
  void on_closed(Connection&, const transport::CloseInfo& info) override {
    closed_ = true;
    detach();
    context_.host.on_link_closed(info);
  }

 private:
  struct Message {
    Bytes bytes;
    Ticket ticket = 0;
  };

  void adopt(StreamId stream) {
    const bool first = !stream_ && transport::is_bidirectional(stream) &&
                       transport::opened_by_dialler(stream) && !connection_->dialled();
    if (first) {
      stream_ = stream;
      flush();
      context_.host.on_link_room();
    } else if (stream_ != stream) {
      ++context_.host.link_stats().streams_stopped;
      connection_->stop_sending(stream, kMalformedCode);
      if (transport::is_bidirectional(stream)) connection_->reset(stream, kMalformedCode);
    }
  }
  void write();
  void flush() {
    if (stream_ && waiting_ && connection_->wants_data(*stream_)) write();
  }
  void on_progress();
  void on_half_lost(StreamId stream) {
    if (stream_ == stream) connection_->close(0, "the sync stream ended");
  }
  void give_up(std::uint64_t code, const Error& error) {
    ++context_.host.link_stats().undecodable;
    constexpr std::size_t kReasonBytes = 200;
    connection_->close(code, error.message.substr(0, kReasonBytes));
  }
  void watch();

  LinkContext context_;
  std::shared_ptr<Connection> connection_;
  wire::NativeReader reader_;
  std::uint64_t skipped_ = 0;
  std::optional<StreamId> stream_;
  std::optional<Message> waiting_;
  std::uint64_t written_ = 0;
  std::deque<std::pair<std::uint64_t, Ticket>> unproven_;  // end in the stream
  Instant progress_;
  TimerId timer_ = 0;
  bool detached_ = false;
  bool closed_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

void NativeLink::write() {
  const auto message = std::move(*waiting_);
  waiting_.reset();
  if (!connection_->write(*stream_, message.bytes, false)) return;  // on_closed follows
  written_ += message.bytes.size();
  if (message.ticket != 0) unproven_.emplace_back(written_, message.ticket);
  auto& stats = context_.host.link_stats();
  stats.bytes_sent += message.bytes.size();
  stats.last_send = context_.executor.now().mono;
}

void NativeLink::on_progress() {
  if (!stream_) return;
  const auto proven = written_ - std::min(written_, connection_->unacknowledged(*stream_));
  while (!unproven_.empty() && unproven_.front().first <= proven) {
    const auto ticket = unproven_.front().second;
    unproven_.pop_front();
    context_.host.on_link_delivered(ticket);
  }
  flush();
  context_.host.on_link_room();
}

void NativeLink::on_data(Connection&, StreamId stream, ByteView data, bool fin) {
  adopt(stream);
  connection_->consumed(stream, data.size());
  if (stream_ != stream) return;
  auto& stats = context_.host.link_stats();
  progress_ = context_.executor.now().mono;
  stats.bytes_received += data.size();
  stats.last_receive = progress_;
  const auto alive = std::weak_ptr(alive_);
  while (!data.empty()) {
    auto frame = reader_.read(data);
    stats.undecodable += reader_.skipped() - std::exchange(skipped_, reader_.skipped());
    if (!frame) {
      give_up(kMalformedCode, frame.error());
      return;
    }
    if (!*frame) continue;
    context_.host.on_link_native(std::move(**frame));
    if (alive.expired() || detached_ || closed_) return;
  }
  if (fin) on_half_lost(stream);
  watch();
}

void NativeLink::watch() {
  if (timer_ != 0 || reader_.at_boundary()) return;
  timer_ = context_.executor.at(
      progress_ + context_.options.read_limit, [this, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        timer_ = 0;
        const bool stalled =
            context_.executor.now().mono - progress_ >= context_.options.read_limit;
        if (stalled && !reader_.at_boundary()) {
          give_up(kStalledCode, {Code::timeout, "a frame stopped in its middle"});
        } else {
          watch();
        }
      });
}

}  // namespace

std::unique_ptr<ChannelLink> make_native_link(const LinkContext& context,
                                              std::shared_ptr<Connection> connection) {
  return std::make_unique<NativeLink>(context, std::move(connection));
}

}  // namespace peat::sync
