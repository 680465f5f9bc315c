// Persistent sync channels: one per peer, over every connection it will ever have.
//
// A SyncChannel is the byte layer between a peer's session and its connection. It outlives
// connections: it is `connected`, `reconnecting` (with exponential back-off and jitter, through
// SyncTransport::get_or_connect, which dials and authenticates; also before its first connection)
// or `closed` for good. Idleness is never failure.
//
// Over `peat/sync/2` it carries wire::NativeFrame both ways on one bidirectional stream, which the
// dialler opens with a zero-length STREAM frame so that either side may speak first. A frame that
// breaks its grammar, or stops for read_limit in its middle, ends the connection (code 300 or 8);
// so does the stream's end.
//
// Over `cap/automerge/1` it follows spec/storage.md 18. Sending (E1 to E9): one frame per stream
// until the peer has proved that it reads on. The first frame's stream is kept open: if the peer
// stops it or ends the other half, it reads one frame per stream, and that is remembered for the
// connection; if neither happens within max(500 ms, 3 RTT) after the frame was acknowledged, the
// stream is used for everything that follows. Frames are kept until acknowledged and go out again
// on another stream if theirs is stopped. A peer that stops a stream it had been reading may have
// thrown away what it acknowledged: the session is told to begin anew (on_disconnected,
// on_connected). Heartbeats go out every 5 s, are skipped without credit, and end after 50 skips
// in a row. Receiving (A1 to A9): frames until FIN on every half of every stream; a stream that
// stops for read_limit inside a frame, or breaks a limit, is stopped (code 8, 300) and counted.
//
// Back-pressure: one message waits for room, then sends are would_block, and on_wants_data says
// when to come back; sessions pull, only embedders and tests push batches. Batches are kept until
// acknowledged, over reconnects too (sync_kept_bytes), so each arrives at least once; frames of a
// session live as long as the connection, for the session begins anew on the next.
//
// Names follow spec/storage.md 16 (sync_channel). Threading and locking contract: everything on
// the loop; there is no lock. A std::stop_token may be triggered from any thread: the channel or
// manager closes in the loop's next turn, in the middle of a read or a reconnect too. Ownership:
// the manager owns channels, and a pointer is good until its on_closed has returned; a listener
// must outlive its channel or detach (set_listener(nullptr)). A closed channel's peer may dial
// again, and then gets a new channel.
//
// Only a peer with a configured address is redialled. The channel of any other ends with its
// connection, batches that it kept included: it would dial the port that a client happened to have.
//
// Limits (base/limits.def): sync_peers (channels; one more is limit_exceeded, or its connection is
// closed), sync_streams_per_peer, sync_parse_bytes, sync_kept_bytes, sync_unproven_bytes. Errors:
// would_block, channel_closed, limit_exceeded, shut_down, and those of encoding.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string_view>
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
  std::uint64_t batches_sent = 0;  // batches and frames count once however often they go out
  std::uint64_t batches_received = 0;
  std::uint64_t frames_sent = 0;  // batches included
  std::uint64_t frames_received = 0;
  std::uint64_t frames_resent = 0;   // because their stream was stopped or the connection lost
  std::uint64_t bytes_sent = 0;      // every stream byte written, heartbeats and repeats included
  std::uint64_t bytes_received = 0;  // every stream byte delivered
  std::uint64_t heartbeats_sent = 0;
  std::uint64_t heartbeats_received = 0;
  std::uint64_t streams_opened = 0;   // by us, for frames
  std::uint64_t streams_stopped = 0;  // by us: stalled, malformed or of no use
  std::uint64_t reconnections = 0;    // connections after the first
  std::uint64_t undecodable = 0;      // frames or batches skipped
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
  virtual void on_wants_data(SyncChannel&) = 0;                       // send more now
  virtual void on_closed(SyncChannel&) = 0;                           // for good
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
  // One frame of the old dialect (E1 to E9 decide the stream). Same conditions as send; while
  // reconnecting Code::would_block.
  virtual Status send_frame(wire::Frame frame) = 0;
  // One frame of the native dialect. Same conditions as send, and Code::unsupported on the other
  // dialect (as send_frame is on this one).
  virtual Status send_native(const wire::NativeFrame& frame) = 0;
  // Less than a packet is unsent: now is the moment to generate the next message.
  virtual bool wants_data() const = 0;

  virtual ChannelStats stats() const = 0;
  // A listener that could not use a frame says so here.
  virtual void count_undecodable() {}
  // Closed when this returns: what was taken for sending still goes out, nothing comes in, no
  // reconnect is tried; on_closed follows.
  virtual void close() = 0;
};

struct ChannelManagerStats {
  std::size_t total_channels = 0;
  std::size_t connected_channels = 0;
  ChannelStats sum;                    // of all channels there ever were
  std::uint64_t refused_channels = 0;  // over sync_peers
};

// Per-peer results of a broadcast.
using BroadcastResult = std::map<EndpointId, Status>;

// Owns the channels. The accept side too: a peer that dials us gets its channel here.
class SyncChannelManager {
 public:
  static std::unique_ptr<SyncChannelManager> create(SyncTransport& transport, Executor& executor,
                                                    Random& random, const Limits& limits,
                                                    ChannelOptions options = {},
                                                    std::stop_token stop = {});
  virtual ~SyncChannelManager() = default;

  // Makes the listener of each new channel; set before the first channel.
  using ListenerFactory = std::function<ChannelListener*(SyncChannel&)>;
  virtual void set_listener_factory(ListenerFactory factory) = 0;

  // Never two for one peer, however many ask at once; a closed one is replaced. A new one connects
  // by itself. `stop` closes a new one when it is triggered. Code::shut_down after shutdown;
  // Code::limit_exceeded over sync_peers.
  virtual Result<SyncChannel*> get_channel(const EndpointId& peer, std::stop_token stop = {}) = 0;
  virtual SyncChannel* find_channel(const EndpointId& peer) = 0;
  virtual void remove_channel(const EndpointId& peer) = 0;  // closes it
  virtual std::size_t channel_count() const = 0;
  virtual std::vector<EndpointId> connected_peers() const = 0;

  // Makes the channel if need be; the batch then waits for the connection.
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
  // Channels close in order of their peers; frames queued are flushed first; `done` follows when
  // the last connection has closed, at most one second later.
  virtual void shutdown(std::function<void()> done) = 0;
};

}  // namespace peat::sync
