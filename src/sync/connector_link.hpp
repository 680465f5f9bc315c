// A connection on its way from "somebody speaks QUIC" to "a peer". Internal to the connector.
//
// PeerLink stands between the transport's connection and sync. Until the formation handshake has
// passed it takes every event itself: bytes of the first stream feed the handshake, everything
// else is held. Afterwards it passes events and calls through unchanged, except those of the
// handshake's own stream, which nobody above ever sees.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <variant>

#include "base/executor.hpp"
#include "base/limits.hpp"
#include "security/handshake.hpp"
#include "transport/connection.hpp"

namespace peat::sync {

// How a link's proof ended, if it did not pass.
struct LinkFailure {
  Error error;
  bool verdict = false;    // the peer said no: another variant will not help
  bool withdrawn = false;  // the peer ended it for a connection of ours that it preferred
};

class PeerLink;

class LinkOwner {
 public:
  virtual ~LinkOwner() = default;
  virtual void on_proven(PeerLink& link, const security::HandshakeAccepted& accepted) = 0;
  // The link closes by itself; on_gone follows.
  virtual void on_unproven(PeerLink& link, LinkFailure failure) = 0;
  virtual void on_gone(PeerLink& link, const transport::CloseInfo& info) = 0;
};

class PeerLink final : public transport::Connection,
                       public transport::ConnectionHandler,
                       public std::enable_shared_from_this<PeerLink> {
 public:
  PeerLink(LinkOwner& owner, Executor& executor, const Limits& limits,
           std::shared_ptr<transport::Connection> inner);
  ~PeerLink() override;

  // Exactly one of these, once.
  void prove_as_acceptor(security::FormationAcceptor machine);
  void prove_as_dialler(security::FormationDialler machine);
  void take_as_proven();  // exempt: no handshake

  bool proven() const { return state_ == State::proven; }
  bool gone() const { return state_ == State::gone; }
  // Closes without another event to the client: another connection has taken its place.
  void give_way(std::uint64_t code, std::string_view reason);
  // Before the owner goes: no event reaches it any more.
  void abandon();

  // --- transport::Connection: for the client ---------------------------------------------------
  EndpointId peer() const override { return inner_->peer(); }
  std::string_view alpn() const override { return inner_->alpn(); }
  bool dialled() const override { return inner_->dialled(); }
  std::uint64_t stable_id() const override { return inner_->stable_id(); }
  std::string remote_address() const override { return inner_->remote_address(); }
  transport::ConnectionStats stats() const override { return inner_->stats(); }
  void set_handler(transport::ConnectionHandler* handler) override;
  void mark_authenticated() override { inner_->mark_authenticated(); }
  Result<transport::StreamId> open_bidirectional() override;
  Result<transport::StreamId> open_unidirectional() override;
  Status write(transport::StreamId stream, ByteView data, bool fin) override;
  std::uint64_t unsent(transport::StreamId s) const override { return inner_->unsent(s); }
  std::uint64_t unacknowledged(transport::StreamId s) const override {
    return inner_->unacknowledged(s);
  }
  bool wants_data(transport::StreamId stream) const override;
  void consumed(transport::StreamId stream, std::uint64_t bytes) override;
  void reset(transport::StreamId stream, std::uint64_t code) override;
  void stop_sending(transport::StreamId stream, std::uint64_t code) override;
  void close(std::uint64_t code, std::string_view reason) override;

  // --- transport::ConnectionHandler: from the transport ----------------------------------------
  void on_stream_opened(transport::Connection&, transport::StreamId stream) override;
  void on_data(transport::Connection&, transport::StreamId stream, ByteView data,
               bool fin) override;
  void on_wants_data(transport::Connection&, transport::StreamId stream) override;
  void on_acknowledged(transport::Connection&, transport::StreamId stream) override;
  void on_reset(transport::Connection&, transport::StreamId stream, std::uint64_t code) override;
  void on_stop_sending(transport::Connection&, transport::StreamId stream,
                       std::uint64_t code) override;
  void on_streams_available(transport::Connection&) override;
  void on_closed(transport::Connection&, const transport::CloseInfo& info) override;

 private:
  enum class State : std::uint8_t { proving, proven, closing, gone };
  struct Opened {
    transport::StreamId stream;
  };
  struct Data {
    transport::StreamId stream;
    Bytes bytes;
    bool fin;
  };
  struct Reset {
    transport::StreamId stream;
    std::uint64_t code;
  };
  struct Stopped {
    transport::StreamId stream;
    std::uint64_t code;
  };
  using Event = std::variant<Opened, Data, Reset, Stopped>;

  void drive();
  bool handle(security::HandshakeOutput& output);
  void open_handshake_stream(const Bytes& first);
  void feed(ByteView data, bool fin);
  void pass(const security::HandshakeAccepted& accepted);
  void refuse(LinkFailure failure, std::uint64_t code, std::string_view reason);
  void arm_timer();
  void tick();
  bool is_handshake(transport::StreamId stream) const { return handshake_stream_ == stream; }
  bool live() const { return state_ == State::proving || state_ == State::proven; }
  // The client hears events directly: nothing older is waiting.
  bool direct() const { return state_ == State::proven && client_ != nullptr && held_.empty(); }
  void hold(Event event);
  void release();
  void tell(const Event& event);

  LinkOwner* owner_;
  Executor& executor_;
  Limits limits_;
  std::shared_ptr<transport::Connection> inner_;
  State state_ = State::proving;
  transport::ConnectionHandler* client_ = nullptr;
  std::variant<std::monostate, security::FormationAcceptor, security::FormationDialler> machine_;
  std::optional<transport::StreamId> handshake_stream_;
  std::uint64_t handshake_bytes_ = 0;  // received on it, not yet given back to flow control
  bool handshake_fin_ = false;
  std::deque<Event> held_;
  std::uint64_t held_bytes_ = 0;
  TimerId timer_ = 0;
};

}  // namespace peat::sync
