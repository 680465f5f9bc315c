// The formation handshake: who may sync.
//
// It runs on the first bidirectional stream of a connection, before anything else may be sent or
// accepted. Three variants are in the field, on one ALPN; an acceptor recognises each by its first
// byte, a dialler tries them in the order of Variant, each on a new connection (which one worked
// is the caller's to remember per peer).
//
//            dialler                                    acceptor
//   A'  0x01                                   ->
//   B   u16le length, formation id             ->
//   A   nothing: a zero-length STREAM frame    ->
//                                              <-  A, A'  u32le length, challenge
//                                              <-  B      challenge
//   A, A'  u32le 32, response                  ->
//   B      response                            ->
//                                              <-  0x01 accepted | 0x00 rejected, then FIN
//   challenge := u16le length, formation id, nonce[32]
//   response  := HMAC-SHA256(proof key, nonce, formation id)
//
// Both ends are state machines without I/O. After each call, take poll_output() until it is empty
// and arm a timer for next_timeout(). The last output is HandshakeAccepted or HandshakeFailed;
// then the machine takes no more input. If the connection ends before, drop the machine.
//
// What the acceptor does with a dialler, in one table:
//   no stream within 2 s                       unauthenticated, where allowed
//   no stream at all                           failed after 30 s
//   a stream, silent for 250 ms                variant A
//   first byte 0x01                            variant A'
//   first byte: low byte of our id's length    variant B
//   first byte 0x00                            an unauthenticated peer's frame: its bytes are
//                                              handed back where that is allowed, else failed
//   anything else                              failed
//
// Limits: formation_challenge_bytes, formation_response_bytes; one total deadline of 30 s however
// slowly bytes come; at most 2 KiB are buffered. Threading: one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/limits.hpp"
#include "base/random.hpp"
#include "base/time.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "peat/ids.hpp"
#include "security/formation.hpp"

namespace peat::security {

enum class Variant : std::uint8_t { a_prime, b, a };
std::string_view to_string(Variant variant);

inline constexpr Duration kHandshakeDeadline = std::chrono::seconds(30);
inline constexpr Duration kNoStreamWait = std::chrono::seconds(2);
inline constexpr Duration kSilentStreamWait = std::chrono::milliseconds(250);
inline constexpr Duration kChallengeWait = std::chrono::seconds(2);
inline constexpr Duration kRejectLinger = std::chrono::seconds(1);

// Dialler: open a bidirectional stream and write `first`, even when it is empty (a zero-length
// STREAM frame makes the stream visible).
struct HandshakeOpen {
  Bytes first;
};
// Write to the handshake's stream.
struct HandshakeWrite {
  Bytes bytes;
  bool fin = false;
};
struct HandshakeAccepted {
  std::optional<Variant> variant;  // nullopt: unauthenticated
  // The nonce named both ends of this connection: for a dialler, proof that the acceptor is a
  // member. An acceptor always sends a bound nonce.
  bool bound = false;
  Bytes unread;  // acceptor, unauthenticated: what the peer has sent on its stream so far
};
// Close the connection with this code and reason.
struct HandshakeFailed {
  std::uint64_t close_code = 1;
  std::string close_reason;
  Error error;
  // False: no challenge was sent (acceptor) or received (dialler: another variant may do better).
  bool challenged = false;
  // Dialler: the acceptor's verdict was no; another variant will not do better.
  bool refused = false;
};
using HandshakeOutput =
    std::variant<HandshakeOpen, HandshakeWrite, HandshakeAccepted, HandshakeFailed>;

// The ends of a connection, as TLS has proved them. The keys must outlive the machine.
//
// While a secret is changed a node holds two, under one formation id (D-31): it challenges with
// `key` and takes proofs made with either. A dialler finds out by the bound nonce which of the two
// the acceptor challenged with; to an unbound one it answers with `key`.
struct HandshakeEnds {
  const FormationKey& key;
  EndpointId local;
  EndpointId peer;
  const FormationKey* other = nullptr;
};

struct AcceptorOptions {
  bool allow_unauthenticated = false;
  Limits limits;
};

class FormationAcceptor {
 public:
  // The connection was accepted `now`.
  FormationAcceptor(Instant now, HandshakeEnds ends, Random& random, AcceptorOptions options);

  void on_stream_opened(Instant now);  // the dialler's first bidirectional stream
  // Bytes of that stream; a reset counts as fin. When the output is an unauthenticated peer with
  // unread bytes, the fin of that call is the caller's to remember.
  void on_stream_bytes(Instant now, ByteView bytes, bool fin);
  void on_acknowledged();  // all that was written has arrived
  void on_timeout(Instant now);

  std::optional<HandshakeOutput> poll_output();
  Instant next_timeout() const;  // kNever when done
  bool done() const { return state_ == State::done; }

 private:
  enum class State : std::uint8_t { no_stream, silent, hello, response, rejecting, done };

  ByteView classify(ByteView bytes);  // returns what is left of them
  void read_hello();
  void read_response(Instant now);
  void challenge(Variant variant);
  void accept(HandshakeAccepted accepted);
  void fail(Code code, std::string message);
  void fail_rejected();

  HandshakeEnds ends_;
  Random& random_;
  AcceptorOptions options_;
  State state_ = State::no_stream;
  std::optional<Variant> variant_;
  Instant deadline_;
  Instant state_until_;  // when the present state gives up waiting
  Nonce nonce_{};
  Bytes input_;
  std::deque<HandshakeOutput> outputs_;
};

// What to do about a dialler of variant A that opens no stream.
inline constexpr std::string_view kSilentDiallerRemedy =
    "Rust peers of peat-mesh 0.5.2 to 0.8.0 never put theirs on the wire, and nobody can serve "
    "them: dial such a peer from here";

struct DiallerOptions {
  bool require_bound = false;  // refuse an acceptor whose nonce is not bound (peat/sync/2: always)
  Duration rtt{};              // of the connection: the challenge is awaited max(2 s, 4 RTT)
  Limits limits;
};

class FormationDialler {
 public:
  // The connection is up `now`; the first output opens the stream.
  FormationDialler(Instant now, HandshakeEnds ends, Variant variant, DiallerOptions options);

  void on_stream_bytes(Instant now, ByteView bytes, bool fin);  // a reset counts as fin
  void on_timeout(Instant now);

  std::optional<HandshakeOutput> poll_output();
  Instant next_timeout() const;  // kNever when done
  bool done() const { return state_ == State::done; }
  bool challenged() const { return challenged_; }

 private:
  enum class State : std::uint8_t { challenge, verdict, done };

  void read_challenge();
  void on_challenge(ByteView challenge);
  void read_verdict();
  void fail(Code code, std::string message);

  HandshakeEnds ends_;
  Variant variant_;
  DiallerOptions options_;
  State state_ = State::challenge;
  Instant deadline_;
  Instant challenge_until_;
  bool challenged_ = false;
  bool bound_ = false;
  Bytes input_;
  std::deque<HandshakeOutput> outputs_;
};

}  // namespace peat::security
