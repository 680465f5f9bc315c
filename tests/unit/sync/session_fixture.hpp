// Nodes with documents, sessions and coordinators, coupled by channels without a network.
//
// A FakeChannel encodes each message and decodes it on the other side, in virtual time, and counts
// what went through. It holds two messages in flight and then wants no data.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "replica.hpp"
#include "sync/coordinator.hpp"

namespace peat::sync {

class FakeChannel final : public SyncChannel {
 public:
  FakeChannel(sim::World& world, EndpointId peer, Dialect dialect, bool dialled)
      : world_(world), peer_(peer), dialect_(dialect), dialled_(dialled) {}

  const EndpointId& peer_id() const override { return peer_; }
  ChannelState state() const override { return state_; }
  Dialect dialect() const override { return dialect_; }
  bool dialled() const override { return dialled_; }
  std::uint64_t connection_id() const override { return generation_; }
  void set_listener(ChannelListener* listener) override { listener_ = listener; }

  Status send(const wire::SyncBatch& batch) override {
    for (const auto& entry : batch.entries) count(entry.type);
    Bytes out;
    PEAT_TRY_VOID(wire::encode_batch_frame(batch, out));
    return transmit(std::move(out));
  }
  Status send_frame(wire::Frame frame) override {
    Bytes out;
    PEAT_TRY_VOID(wire::encode_frame(frame.key, frame.type, frame.payload, out));
    if (frame.type == wire::FrameType::delta) ++deltas;
    if (frame.type == wire::FrameType::snapshot) ++snapshots;
    if (frame.type == wire::FrameType::tombstone) ++tombstones;
    return transmit(std::move(out));
  }
  Status send_native(const wire::NativeFrame& frame) override {
    Bytes out;
    PEAT_TRY_VOID(wire::encode(frame, out));
    if (const auto* changes = std::get_if<wire::DocChanges>(&frame)) {
      documents += changes->documents.size();
    }
    if (const auto* heads = std::get_if<wire::DocHeads>(&frame)) {
      offers += heads->documents.size();
    }
    if (const auto* need = std::get_if<wire::Need>(&frame)) needs += need->documents.size();
    return transmit(std::move(out));
  }
  bool wants_data() const override {
    return state_ == ChannelState::connected && in_flight_ < 2 && !stalled;
  }
  ChannelStats stats() const override { return {}; }
  void close() override {
    if (state_ == ChannelState::closed) return;
    if (state_ == ChannelState::connected) disconnect();
    state_ = ChannelState::closed;
    if (listener_ != nullptr) listener_->on_closed(*this);
  }

  // --- the test's side
  void couple(FakeChannel& other) { other_ = &other; }
  void connect() {
    ++generation_;
    in_flight_ = 0;
    state_ = ChannelState::connected;
    world_.after({}, [this, generation = generation_] {
      if (generation == generation_ && listener_ != nullptr) listener_->on_connected(*this);
    });
  }
  void disconnect() {
    ++generation_;
    state_ = ChannelState::reconnecting;
    if (listener_ != nullptr) listener_->on_disconnected(*this);
  }
  void set_dialect(Dialect dialect) { dialect_ = dialect; }
  void resume() {
    stalled = false;
    if (listener_ != nullptr) listener_->on_wants_data(*this);
  }
  // A message that no session of ours would write.
  void inject_native(const wire::NativeFrame& frame) {
    Bytes out;
    ASSERT_TRUE(wire::encode(frame, out));
    other_->receive(out);
  }
  void inject(const wire::Frame& frame) {
    Bytes out;
    ASSERT_TRUE(wire::encode_frame(frame.key, frame.type, frame.payload, out));
    other_->receive(out);
  }

  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
  std::uint64_t documents = 0;  // in doc_changes
  std::uint64_t offers = 0;
  std::uint64_t needs = 0;
  std::uint64_t deltas = 0;
  std::uint64_t snapshots = 0;
  std::uint64_t tombstones = 0;
  bool stalled = false;   // wants no data
  bool losing = false;    // messages vanish, as before a connection is noticed to be dead
  bool doubling = false;  // messages arrive twice
  Duration latency = std::chrono::milliseconds(5);
  std::uint64_t bytes_per_second = 0;  // 0: as fast as can be

 private:
  void count(wire::EntryType type) {
    if (type == wire::EntryType::delta) ++deltas;
    if (type == wire::EntryType::snapshot) ++snapshots;
    if (type == wire::EntryType::tombstone) ++tombstones;
  }

  Status transmit(Bytes out) {
    if (state_ != ChannelState::connected) return fail(Code::would_block, "reconnecting");
    if (in_flight_ >= 2) return fail(Code::would_block, "two messages in flight");
    ++frames;
    bytes += out.size();
    ++in_flight_;
    auto delay = latency;
    if (bytes_per_second > 0) {
      const auto now = world_.now().mono;
      free_at_ = std::max(free_at_, now) + Duration(std::chrono::seconds(1)) *
                                               static_cast<std::int64_t>(out.size()) /
                                               static_cast<std::int64_t>(bytes_per_second);
      delay += free_at_ - now;
    }
    world_.after(delay, [this, generation = generation_, out = std::move(out)] {
      if (generation != generation_) return;
      --in_flight_;
      if (!losing && other_ != nullptr) {
        other_->receive(out);
        if (doubling && generation == generation_) other_->receive(out);
      }
      if (generation == generation_ && listener_ != nullptr) listener_->on_wants_data(*this);
    });
    return {};
  }

  void receive(const Bytes& bytes_in) {
    if (listener_ == nullptr || state_ != ChannelState::connected) return;
    ByteView input = bytes_in;
    if (dialect_ == Dialect::native) {
      auto frame = wire::NativeReader().read(input);
      ASSERT_TRUE(frame && *frame) << (frame ? "" : frame.error().message);
      listener_->on_native(*this, std::move(**frame));
    } else {
      auto frame = wire::FrameReader().read(input);
      ASSERT_TRUE(frame && *frame);
      listener_->on_frame(*this, std::move(**frame));
    }
  }

  sim::World& world_;
  EndpointId peer_;
  Dialect dialect_;
  bool dialled_;
  ChannelState state_ = ChannelState::reconnecting;
  ChannelListener* listener_ = nullptr;
  FakeChannel* other_ = nullptr;
  std::uint64_t generation_ = 0;
  int in_flight_ = 0;
  Instant free_at_{};
};

// A peer played by the test: keeps what it hears and sends what it is told to.
struct Recorder final : ChannelListener {
  void on_connected(SyncChannel&) override {}
  void on_disconnected(SyncChannel&) override {}
  void on_frame(SyncChannel&, wire::Frame frame) override { frames.push_back(std::move(frame)); }
  void on_native(SyncChannel&, wire::NativeFrame frame) override {
    native.push_back(std::move(frame));
  }
  void on_wants_data(SyncChannel&) override {}
  void on_closed(SyncChannel&) override {}

  // Every entry of the old dialect, those of batches included.
  std::vector<wire::Frame> entries() const {
    std::vector<wire::Frame> out;
    for (const auto& frame : frames) {
      if (frame.type != wire::FrameType::batch) {
        out.push_back(frame);
        continue;
      }
      const auto batch = wire::decode_batch(frame.payload);
      for (const auto& entry : batch->entries) {
        out.push_back({entry.key, static_cast<wire::FrameType>(entry.type), entry.payload});
      }
    }
    return out;
  }
  template <class Frame>
  std::vector<Frame> all() const {
    std::vector<Frame> out;
    for (const auto& frame : native) {
      if (const auto* match = std::get_if<Frame>(&frame)) out.push_back(*match);
    }
    return out;
  }

  std::vector<wire::Frame> frames;
  std::vector<wire::NativeFrame> native;
};

// Only what a coordinator asks of it.
class FakeManager final : public SyncChannelManager {
 public:
  explicit FakeManager(sim::World& world) : world_(world) {}

  FakeChannel& add(EndpointId peer, Dialect dialect, bool dialled) {
    remove_channel(peer);
    auto& channel = channels_[peer];
    channel = std::make_unique<FakeChannel>(world_, peer, dialect, dialled);
    if (factory_) channel->set_listener(factory_(*channel));
    return *channel;
  }

  void set_listener_factory(ListenerFactory factory) override { factory_ = std::move(factory); }
  Result<SyncChannel*> get_channel(const EndpointId&, std::stop_token) override {
    return fail(Code::unreachable, "tests add channels themselves");
  }
  SyncChannel* find_channel(const EndpointId& peer) override {
    const auto found = channels_.find(peer);
    return found == channels_.end() ? nullptr : found->second.get();
  }
  void remove_channel(const EndpointId& peer) override {
    const auto found = channels_.find(peer);
    if (found == channels_.end()) return;
    found->second->close();
    graveyard_.push_back(std::move(found->second));  // events of its may be under way
    channels_.erase(found);
  }
  std::size_t channel_count() const override { return channels_.size(); }
  std::vector<EndpointId> connected_peers() const override { return {}; }
  Status send_to_peer(const EndpointId&, const wire::SyncBatch&) override { return {}; }
  BroadcastResult broadcast(const wire::SyncBatch&) override { return {}; }
  Status send_delta_sync(const EndpointId&, std::string_view, ByteView) override { return {}; }
  Status send_state_snapshot(const EndpointId&, std::string_view, ByteView) override { return {}; }
  Status send_tombstone(const EndpointId&, const wire::Tombstone&) override { return {}; }
  Status send_tombstone_batch(const EndpointId&, std::span<const wire::Tombstone>) override {
    return {};
  }
  BroadcastResult broadcast_delta_sync(std::string_view, ByteView) override { return {}; }
  BroadcastResult broadcast_state_snapshot(std::string_view, ByteView) override { return {}; }
  BroadcastResult broadcast_tombstone(const wire::Tombstone&) override { return {}; }
  ChannelManagerStats stats() const override { return {}; }
  void shutdown(std::function<void()> done) override { done(); }

 private:
  sim::World& world_;
  ListenerFactory factory_;
  std::map<EndpointId, std::unique_ptr<FakeChannel>> channels_;
  std::vector<std::unique_ptr<FakeChannel>> graveyard_;
};

struct Node : Replica {
  Node(sim::World& in_world, std::uint8_t n, std::string node_name, Limits with = {})
      : Replica(in_world, n, std::move(node_name), with), channels(in_world) {
    coordinate();
  }
  ~Node() { coordinator.reset(); }

  void coordinate() {
    Coordinator::Options options;
    options.node_id = name;
    options.limits = limits;
    options.relation_of = [this](const EndpointId& peer) {
      const auto found = relations.find(peer);
      return found == relations.end() ? Relation::unknown : found->second;
    };
    options.access = access;
    options.on_fault = [this](const EndpointId& peer, const DocumentFault& fault) {
      faults.emplace_back(peer, fault.key);
    };
    auto made = Coordinator::create(*documents, channels, *executor, std::move(options));
    ASSERT_TRUE(made) << made.error().message;
    coordinator = std::move(*made);
  }
  // Decides from now on; before the first link.
  void guard(Access* by) {
    access = by;
    coordinator.reset();
    crash();
    start();
    coordinate();
  }
  // Power lost and back; links have to be made anew.
  void crash_and_start() {
    coordinator.reset();
    crash();
    start();
    coordinate();
  }
  SessionStatus status(const Replica& peer) const {
    const auto found = coordinator->status(peer.id);
    return found ? *found : SessionStatus{};
  }

  std::map<EndpointId, Relation> relations;
  FakeManager channels;
  std::unique_ptr<Coordinator> coordinator;
  std::vector<std::pair<EndpointId, std::string>> faults;  // as they were told
};

// A connection of a node with a peer played by the test.
struct PlayedPeer {
  PlayedPeer(sim::World& world, Node& node, std::uint8_t n, Dialect dialect)
      : id(endpoint(n)),
        of_node(node.channels.add(id, dialect, false)),
        channel(world, node.id, dialect, true) {
    channel.set_listener(&heard);
    channel.couple(of_node);
    of_node.couple(channel);
    channel.connect();
    of_node.connect();
  }
  ~PlayedPeer() { of_node.disconnect(); }

  EndpointId id;
  Recorder heard;
  FakeChannel& of_node;
  FakeChannel channel;
};

// A connection of two nodes; `x` dials.
struct Link {
  Link(Node& x, Node& y, Dialect dialect)
      : to_y(x.channels.add(y.id, dialect, true)), to_x(y.channels.add(x.id, dialect, false)) {
    to_y.couple(to_x);
    to_x.couple(to_y);
    restore();
  }
  void cut() {
    to_y.disconnect();
    to_x.disconnect();
  }
  void restore() {
    to_y.connect();
    to_x.connect();
  }
  std::uint64_t frames() const { return to_y.frames + to_x.frames; }
  std::uint64_t bytes() const { return to_y.bytes + to_x.bytes; }

  FakeChannel& to_y;  // x's side: what x sends
  FakeChannel& to_x;
};

}  // namespace peat::sync
