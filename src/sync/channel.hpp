// Persistent sync channels: one per peer, over every connection it will ever have.
//
// A SyncChannel is the byte layer between a peer's session and its connection. It outlives
// connections: it is `connected`, `reconnecting` (with exponential back-off and jitter, through
// SyncTransport::get_or_connect, which dials and authenticates) or `closed` for good. Over
// `peat/sync/2` it carries wire::NativeFrame on one long-lived stream each way; over
// `cap/automerge/1` it follows the emit and accept rules of spec/storage.md 18: one frame per
// stream until the peer has proved that it reads on (E3), then one persistent stream.
//
// Idleness is never failure. An undecodable batch is counted and reading goes on. Sending on a
// closed channel is Code::channel_closed. The channel holds one bounded batch in flight and then
// says would_block; sessions pull (on_wants_data), only embedders and tests push batches.
//
// Names follow spec/storage.md 16 (sync_channel). Threading and locking contract: everything on
// the loop; there is no lock. Ownership: the manager owns channels; a listener must outlive its
// channel or detach.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.hpp"
#include "base/limits.hpp"
#include "base/random.hpp"
#include "peat/error.hpp"
#include "sync/connector.hpp"
#include "wire/batch.hpp"
#include "wire/frame.hpp"
#include "wire/native.hpp"
#include "wire/tombstone.hpp"

namespace peat::sync {

enum class ChannelState : std::uint8_t { connected, reconnecting, closed };

struct ChannelOptions {
  std::uint32_t reconnect_attempts = 3;
  bool reconnect_forever = true;  // false: closed after reconnect_attempts failures in a row
  Duration reconnect_delay = std::chrono::milliseconds(500);  // first; doubles, jittered
  Duration reconnect_delay_cap = std::chrono::seconds(30);
  Duration read_limit = std::chrono::seconds(30);  // inside a frame; between frames: none
  Duration heartbeat = std::chrono::seconds(5);    // old dialect only
};

struct ChannelStats {
  std::uint64_t batches_sent = 0;
  std::uint64_t batches_received = 0;
  std::uint64_t frames_sent = 0;
  std::uint64_t frames_received = 0;
  std::uint64_t bytes_sent = 0;      // stream bytes, each counted once
  std::uint64_t bytes_received = 0;  // stream bytes, each counted once
  std::uint64_t reconnections = 0;
  std::uint64_t undecodable = 0;     // frames or batches skipped
  std::optional<Instant> last_send;
  std::optional<Instant> last_receive;
};

class SyncChannel;

// What a session hears. Called on the loop, never from inside a call on the channel.
class ChannelListener {
 public:
  virtual ~ChannelListener() = default;
  virtual void on_connected(SyncChannel&) = 0;     // first time and after every reconnect
  virtual void on_disconnected(SyncChannel&) = 0;  // frames in flight may be lost
  virtual void on_frame(SyncChannel&, wire::Frame frame) = 0;         // old dialect
  virtual void on_native(SyncChannel&, wire::NativeFrame frame) = 0;  // native dialect
  virtual void on_wants_data(SyncChannel&) = 0;    // send more now
  virtual void on_closed(SyncChannel&) = 0;        // for good
};

class SyncChannel {
 public:
  virtual ~SyncChannel() = default;

  virtual const EndpointId& peer_id() const = 0;
  virtual ChannelState state() const = 0;
  bool is_connected() const { return state() == ChannelState::connected; }
  virtual Dialect dialect() const = 0;  // of the live connection
  virtual bool dialled() const = 0;
  virtual std::uint64_t connection_id() const = 0;
  virtual void set_listener(ChannelListener* listener) = 0;

  // Code::would_block while the batch before is unsent; Code::channel_closed; while reconnecting
  // the batch is kept and sent after the reconnect.
  virtual Status send(const wire::SyncBatch& batch) = 0;
  // One frame of the old dialect (E1 to E9 decide the stream). Same conditions as send.
  virtual Status send_frame(wire::Frame frame) = 0;
  virtual Status send_native(const wire::NativeFrame& frame) = 0;
  // Less than a packet is unsent: now is the moment to generate the next message.
  virtual bool wants_data() const = 0;

  virtual ChannelStats stats() const = 0;
  virtual void close() = 0;
};

struct ChannelManagerStats {
  std::size_t total_channels = 0;
  std::size_t connected_channels = 0;
  ChannelStats sum;
};

// Per-peer results of a broadcast.
using BroadcastResult = std::map<EndpointId, Status>;

// Owns the channels. The accept side too: a peer that dials us gets its channel here.
class SyncChannelManager {
 public:
  static std::unique_ptr<SyncChannelManager> create(SyncTransport& transport, Executor& executor,
                                                    Random& random, const Limits& limits,
                                                    ChannelOptions options = {});
  virtual ~SyncChannelManager() = default;

  // Makes the listener of each new channel; set before the first channel.
  using ListenerFactory = std::function<ChannelListener*(SyncChannel&)>;
  virtual void set_listener_factory(ListenerFactory factory) = 0;

  // Never two for one peer, however many ask at once. Code::shut_down after shutdown.
  virtual Result<SyncChannel*> get_channel(const EndpointId& peer) = 0;
  virtual SyncChannel* find_channel(const EndpointId& peer) = 0;
  virtual void remove_channel(const EndpointId& peer) = 0;
  virtual std::size_t channel_count() const = 0;
  virtual std::vector<EndpointId> connected_peers() const = 0;

  virtual Status send_to_peer(const EndpointId& peer, const wire::SyncBatch& batch) = 0;
  // Every connected peer; a failure does not stop the rest.
  virtual BroadcastResult broadcast(const wire::SyncBatch& batch) = 0;
  virtual Status send_delta_sync(const EndpointId& peer, std::string_view key,
                                 ByteView message) = 0;
  virtual Status send_state_snapshot(const EndpointId& peer, std::string_view key,
                                     ByteView document) = 0;
  virtual Status send_tombstone(const EndpointId& peer, const wire::Tombstone& tombstone) = 0;
  virtual Status send_tombstone_batch(const EndpointId& peer,
                                      std::span<const wire::Tombstone> tombstones) = 0;
  virtual BroadcastResult broadcast_delta_sync(std::string_view key, ByteView message) = 0;
  virtual BroadcastResult broadcast_state_snapshot(std::string_view key, ByteView document) = 0;
  virtual BroadcastResult broadcast_tombstone(const wire::Tombstone& tombstone) = 0;

  virtual ChannelManagerStats stats() const = 0;
  // Channels close in order of their peers; frames queued are flushed first; `done` follows.
  virtual void shutdown(std::function<void()> done) = 0;
};

}  // namespace peat::sync
