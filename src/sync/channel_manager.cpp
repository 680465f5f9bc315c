#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "sync/channel_impl.hpp"

namespace peat::sync {
namespace {

constexpr Duration kShutdownLimit = std::chrono::seconds(1);

void add(ChannelStats& sum, const ChannelStats& part) {
  sum.batches_sent += part.batches_sent;
  sum.batches_received += part.batches_received;
  sum.frames_sent += part.frames_sent;
  sum.frames_received += part.frames_received;
  sum.frames_resent += part.frames_resent;
  sum.bytes_sent += part.bytes_sent;
  sum.bytes_received += part.bytes_received;
  sum.heartbeats_sent += part.heartbeats_sent;
  sum.heartbeats_received += part.heartbeats_received;
  sum.streams_opened += part.streams_opened;
  sum.streams_stopped += part.streams_stopped;
  sum.reconnections += part.reconnections;
  sum.undecodable += part.undecodable;
  sum.last_send = std::max(sum.last_send, part.last_send);
  sum.last_receive = std::max(sum.last_receive, part.last_receive);
}

class ManagerImpl final : public SyncChannelManager {
 public:
  ManagerImpl(SyncTransport& transport, Executor& executor, Random& random, const Limits& limits,
              ChannelOptions options)
      : transport_(transport),
        executor_(executor),
        random_(random),
        limits_(limits),
        options_(options) {
    transport_.on_connected(
        [this, alive = std::weak_ptr(alive_)](const AuthenticatedConnection& connection) {
          if (!alive.expired()) on_connected(connection);
        });
  }
  ~ManagerImpl() override { transport_.on_connected({}); }

  void obey(std::stop_token stop) {
    if (!stop.stop_possible()) return;
    stop_.emplace(std::move(stop), [this, &executor = executor_, alive = std::weak_ptr(alive_)] {
      executor.post([this, alive] {
        if (!alive.expired()) shutdown([] {});
      });
    });
  }

  void set_listener_factory(ListenerFactory factory) override { factory_ = std::move(factory); }

  Result<SyncChannel*> get_channel(const EndpointId& peer, std::stop_token stop) override {
    if (shut_down_) return fail(Code::shut_down, "this node is shutting down");
    if (auto* present = find_channel(peer)) {
      if (present->state() != ChannelState::closed) return present;
      remove_channel(peer);
    }
    if (!has_room()) {
      return fail(Code::limit_exceeded, "sync_peers (" + std::to_string(limits_.sync_peers) +
                                            ") channels are there already: remove a peer first");
    }
    auto& channel = make_channel(peer);
    channel.obey(std::move(stop));
    channel.start();
    return &channel;
  }

  SyncChannel* find_channel(const EndpointId& peer) override {
    const auto found = channels_.find(peer);
    return found == channels_.end() ? nullptr : found->second.get();
  }

  void remove_channel(const EndpointId& peer) override {
    const auto found = channels_.find(peer);
    if (found == channels_.end()) return;
    auto channel = std::move(found->second);
    channels_.erase(found);
    add(gone_, channel->stats());
    gone_.last_send.reset();
    gone_.last_receive.reset();
    channel->close();
    // It stays until its connection has ended: the call may come from inside it.
    auto* const key = channel.get();
    leaving_.emplace(key, std::move(channel));
    key->on_drained([this, key, alive = std::weak_ptr(alive_)] {
      executor_.post([this, key, alive] {
        if (!alive.expired()) leaving_.erase(key);
      });
    });
  }

  std::size_t channel_count() const override { return channels_.size(); }

  std::vector<EndpointId> connected_peers() const override {
    std::vector<EndpointId> out;
    for (const auto& [peer, channel] : channels_) {
      if (channel->is_connected()) out.push_back(peer);
    }
    return out;
  }

  Status send_to_peer(const EndpointId& peer, const wire::SyncBatch& batch) override {
    PEAT_TRY(auto* const channel, get_channel(peer, {}));
    return channel->send(batch);
  }

  BroadcastResult broadcast(const wire::SyncBatch& batch) override {
    BroadcastResult results;
    for (const auto& [peer, channel] : channels_) {
      if (channel->is_connected()) results.emplace(peer, channel->send(batch));
    }
    return results;
  }

  Status send_delta_sync(const EndpointId& peer, std::string_view key, ByteView message) override {
    return send_to_peer(peer, one(key, wire::EntryType::delta, message));
  }
  Status send_state_snapshot(const EndpointId& peer, std::string_view key,
                             ByteView document) override {
    return send_to_peer(peer, one(key, wire::EntryType::snapshot, document));
  }
  Status send_tombstone(const EndpointId& peer, const wire::Tombstone& tombstone) override {
    return send_tombstone_batch(peer, {&tombstone, 1});
  }
  Status send_tombstone_batch(const EndpointId& peer,
                              std::span<const wire::Tombstone> tombstones) override {
    PEAT_TRY(const auto batch, buried(tombstones));
    return send_to_peer(peer, batch);
  }
  BroadcastResult broadcast_delta_sync(std::string_view key, ByteView message) override {
    return broadcast(one(key, wire::EntryType::delta, message));
  }
  BroadcastResult broadcast_state_snapshot(std::string_view key, ByteView document) override {
    return broadcast(one(key, wire::EntryType::snapshot, document));
  }
  BroadcastResult broadcast_tombstone(const wire::Tombstone& tombstone) override {
    const auto batch = buried({&tombstone, 1});
    if (batch) return broadcast(*batch);
    BroadcastResult results;
    for (const auto& peer : connected_peers()) {
      results.emplace(peer, std::unexpected(batch.error()));
    }
    return results;
  }

  ChannelManagerStats stats() const override {
    ChannelManagerStats out{channels_.size(), connected_peers().size(), gone_, refused_};
    for (const auto& [peer, channel] : channels_) add(out.sum, channel->stats());
    return out;
  }

  void shutdown(std::function<void()> done) override;

 private:
  // Counts if there is none.
  bool has_room() {
    if (channels_.size() < limits_.sync_peers) return true;
    ++refused_;
    return false;
  }

  ChannelImpl& make_channel(const EndpointId& peer) {
    const ChannelImpl::Context context{transport_, executor_, random_, limits_, options_};
    auto& channel =
        *channels_.emplace(peer, std::make_shared<ChannelImpl>(context, peer)).first->second;
    channel.on_orphaned([this, peer, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) remove_channel(peer);
    });
    if (factory_) channel.set_listener(factory_(channel));
    return channel;
  }

  // Dialled and accepted connections alike.
  void on_connected(const AuthenticatedConnection& connection) {
    if (shut_down_) {
      connection.connection->close(0, "shutdown");
      return;
    }
    const auto peer = connection.connection->peer();
    const auto found = channels_.find(peer);
    if (found != channels_.end() && found->second->state() == ChannelState::closed) {
      remove_channel(peer);
    }
    const auto present = channels_.find(peer);
    if (present == channels_.end() && !has_room()) {
      connection.connection->close(0, "too many peers");
      return;
    }
    const auto channel =
        present == channels_.end() ? make_channel(peer).shared_from_this() : present->second;
    channel->adopt(connection);
  }

  wire::SyncBatch empty_batch() const {
    wire::SyncBatch batch;
    batch.created_at_ms = static_cast<std::uint64_t>(executor_.now().wall.ms);
    return batch;
  }
  wire::SyncBatch one(std::string_view key, wire::EntryType type, ByteView payload) const {
    auto batch = empty_batch();
    batch.entries.push_back({std::string(key), type, Bytes(payload.begin(), payload.end())});
    return batch;
  }
  Result<wire::SyncBatch> buried(std::span<const wire::Tombstone> tombstones) const {
    auto batch = empty_batch();
    for (const auto& tombstone : tombstones) {
      wire::SyncEntry entry{
          std::string(wire::kTombstoneKeyPrefix) + tombstone.key(), wire::EntryType::tombstone, {}};
      PEAT_TRY_VOID(wire::encode(tombstone, entry.payload, limits_));
      batch.entries.push_back(std::move(entry));
    }
    return batch;
  }

  SyncTransport& transport_;
  Executor& executor_;
  Random& random_;
  Limits limits_;
  ChannelOptions options_;
  ListenerFactory factory_;
  std::map<EndpointId, std::shared_ptr<ChannelImpl>> channels_;
  std::map<const ChannelImpl*, std::shared_ptr<ChannelImpl>> leaving_;  // removed, closing
  ChannelStats gone_;                                                   // of removed channels
  std::uint64_t refused_ = 0;
  bool shut_down_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::optional<std::stop_callback<std::function<void()>>> stop_;
};

void ManagerImpl::shutdown(std::function<void()> done) {
  shut_down_ = true;
  struct Progress {
    std::size_t open = 1;  // the loop below is one
    std::function<void()> done;
    void one_less() {
      if (--open == 0 && done) std::exchange(done, nullptr)();
    }
  };
  auto progress = std::make_shared<Progress>();
  progress->done = std::move(done);
  for (const auto& [peer, channel] : channels_) {
    ++progress->open;
    channel->close();
    channel->on_drained([progress] { progress->one_less(); });
  }
  executor_.post([progress] { progress->one_less(); });
  executor_.at(executor_.now().mono + kShutdownLimit, [progress] {
    if (progress->done) std::exchange(progress->done, nullptr)();
  });
}

}  // namespace

std::unique_ptr<SyncChannelManager> SyncChannelManager::create(SyncTransport& transport,
                                                               Executor& executor, Random& random,
                                                               const Limits& limits,
                                                               ChannelOptions options,
                                                               std::stop_token stop) {
  auto manager = std::make_unique<ManagerImpl>(transport, executor, random, limits, options);
  manager->obey(std::move(stop));
  return manager;
}

}  // namespace peat::sync
