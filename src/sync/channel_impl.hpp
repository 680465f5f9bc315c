// One peer's channel: what stays the same while its connections come and go. Internal.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>

#include "sync/channel.hpp"
#include "sync/channel_link.hpp"

namespace peat::sync {

class ChannelImpl final : public SyncChannel,
                          public LinkHost,
                          public std::enable_shared_from_this<ChannelImpl> {
 public:
  struct Context {
    SyncTransport& transport;
    Executor& executor;
    Random& random;
    const Limits& limits;
    const ChannelOptions& options;
  };
  // Made by make_shared, then start() or adopt().
  ChannelImpl(const Context& context, const EndpointId& peer);
  ~ChannelImpl() override;

  void start();  // takes the live connection or asks for one
  void adopt(AuthenticatedConnection connection);
  void obey(std::stop_token stop);
  // Called when the connection of a peer that nobody configured is gone: it is not redialled.
  void on_orphaned(std::function<void()> orphaned) { orphaned_ = std::move(orphaned); }
  // Called in the loop once after close() when the connection has gone too.
  void on_drained(std::function<void()> drained);

  const EndpointId& peer_id() const override { return peer_; }
  ChannelState state() const override { return state_; }
  Dialect dialect() const override { return connection_.dialect; }
  bool dialled() const override {
    return connection_.connection && connection_.connection->dialled();
  }
  std::uint64_t connection_id() const override {
    return connection_.connection ? connection_.connection->stable_id() : 0;
  }
  void set_listener(ChannelListener* listener) override { listener_ = listener; }
  Status send(const wire::SyncBatch& batch) override;
  Status send_frame(wire::Frame frame) override;
  Status send_native(const wire::NativeFrame& frame) override;
  bool wants_data() const override;
  ChannelStats stats() const override { return stats_; }
  void count_undecodable() override { ++stats_.undecodable; }
  void close() override;

  void on_link_frame(wire::Frame frame) override;
  void on_link_native(wire::NativeFrame frame) override;
  void on_link_room() override;
  void on_link_delivered(Ticket ticket) override;
  void on_link_restart() override;
  void on_link_closed(const transport::CloseInfo& info) override;
  ChannelStats& link_stats() override { return stats_; }

 private:
  struct Kept {
    Ticket ticket = 0;
    Bytes frame;         // of the old dialect
    bool given = false;  // to the present link
    bool counted = false;
  };

  bool has_live_link() const { return state_ == ChannelState::connected && link_ != nullptr; }
  Status ready_to_send(Dialect dialect) const;
  void give_kept();
  void give(Kept& kept);
  void retire_link();
  void lose_connection();
  void schedule_attempt();
  void attempt();
  void on_attempt(Result<AuthenticatedConnection> result);
  void close_for_good();
  void signal();
  void later(std::function<void(ChannelImpl&)> task);

  Context context_;
  EndpointId peer_;
  ChannelState state_ = ChannelState::reconnecting;
  ChannelListener* listener_ = nullptr;
  AuthenticatedConnection connection_;
  std::unique_ptr<ChannelLink> link_;
  ChannelStats stats_;
  std::deque<Kept> kept_;
  std::uint64_t kept_bytes_ = 0;
  Ticket next_ticket_ = 1;
  bool ever_connected_ = false;
  bool asking_ = false;         // a get_or_connect is under way
  bool awaiting_room_ = false;  // on_wants_data is owed
  std::uint32_t failures_ = 0;  // in a row
  std::uint32_t backoff_ = 0;   // exponent of the next delay
  Instant connected_since_;
  TimerId timer_ = 0;
  std::function<void()> drained_;
  std::function<void()> orphaned_;
  std::optional<std::stop_callback<std::function<void()>>> stop_;
};

}  // namespace peat::sync
