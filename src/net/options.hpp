// How a QUIC endpoint is set up, and what it counts.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/limits.hpp"
#include "base/random.hpp"
#include "base/time.hpp"
#include "peat/bytes.hpp"
#include "peat/ids.hpp"

namespace peat::net {

// Signs with the Ed25519 key whose public half is the endpoint's id: 64 bytes, or empty if it
// cannot. The key itself stays with whoever holds it (locked memory, a hardware token); neither
// this module nor GnuTLS ever sees it. Called on the loop thread once per handshake and once
// when the endpoint starts; about 25 us with libsodium.
using Signer = std::function<Bytes(ByteView message)>;

// Receives the qlog (draft-02, JSON text sequence) of one connection, piece by piece, `last` true
// at its end.
using QlogSink = std::function<void(ByteView piece, bool last)>;
// Opens the sink of a connection; `name` is a file name ("<original dcid>_client.sqlog"). An
// empty function means this connection is not logged.
using QlogFactory = std::function<QlogSink(const std::string& name)>;

// What the protocol core needs; no I/O in it.
struct CoreOptions {
  EndpointId id;
  Signer sign;
  // A connection on which nothing is heard for this long ends (the smaller of both sides' values
  // counts). Keep-alive packets go out at a third of it, so only a dead peer or link runs into
  // it. 1 s to 10 min.
  Duration idle_timeout = std::chrono::seconds(30);
  // A dial without a completed handshake after this long fails with Code::timeout; an accepted
  // one is forgotten.
  Duration handshake_timeout = std::chrono::seconds(10);
  // close() waits this long at most for queued stream data to be acknowledged.
  Duration close_flush_timeout = std::chrono::seconds(1);
  // The rows net_* of the limit table.
  Limits limits;
  QlogFactory qlog;
  // Borrowed; must outlive the core. SystemRandom in production.
  Random* random = nullptr;
};

struct EndpointOptions {
  EndpointId id;
  Signer sign;
  // "ip:port"; port 0 chooses one. "[::]:port" serves IPv6 and IPv4 (dual stack).
  std::string bind = "0.0.0.0:0";
  Duration idle_timeout = std::chrono::seconds(30);
  Duration handshake_timeout = std::chrono::seconds(10);
  // UDP segmentation offload (one system call for up to 64 packets). Switched off by itself on a
  // path that refuses it (some container and virtual links); false never tries it.
  bool gso = true;
  // Receive offload; harmless where the kernel lacks it.
  bool gro = true;
  // Socket buffers each way, in bytes. The kernel may grant less (net.core.rmem_max).
  std::uint32_t socket_buffer_bytes = 4U << 20;
  // Where each connection's qlog file goes; empty: none. The directory must exist.
  std::string qlog_dir;
  Limits limits;
};

// Counters since the start of an endpoint.
struct EndpointStats {
  std::uint64_t datagrams_received = 0;
  std::uint64_t datagrams_sent = 0;
  std::uint64_t bytes_received = 0;  // UDP payload
  std::uint64_t bytes_sent = 0;
  std::uint64_t connections = 0;                  // live now, handshakes included
  std::uint64_t unauthenticated_connections = 0;  // accepted, not yet marked
  std::uint64_t lingering_connections = 0;        // closed, their ids still known
  std::uint64_t refused_connections = 0;          // net_unauthenticated_connections
  std::uint64_t refused_for_address = 0;          // net_unauthenticated_per_address
  std::uint64_t retries_sent = 0;
  std::uint64_t version_negotiations_sent = 0;
  std::uint64_t stateless_resets_sent = 0;
  std::uint64_t replies_suppressed = 0;  // net_stateless_replies_per_second
  std::uint64_t dropped_datagrams = 0;   // undecodable, or for no connection of ours
  std::uint64_t window_bytes = 0;        // granted to all peers together
  // Of the socket; zero in a core without one.
  std::uint64_t send_calls = 0;
  std::uint64_t receive_calls = 0;
  std::uint64_t send_errors = 0;  // datagrams that the kernel refused; QUIC repeats their content
  bool gso_active = false;
};

}  // namespace peat::net
