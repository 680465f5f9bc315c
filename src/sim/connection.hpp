// One end of a simulated connection. Internal to src/sim; users see transport::Connection.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "sim/network.hpp"

namespace peat::sim {

class SimConnection final : public transport::Connection,
                            public std::enable_shared_from_this<SimConnection> {
 public:
  struct Setup {
    std::uint64_t number = 0;  // shared by both ends
    HostId self = 0;
    HostId other = 0;
    EndpointId peer;
    std::string remote_address;
    std::string alpn;
    bool dialled = false;
    TransportOptions options;       // ours: what we grant
    TransportOptions peer_options;  // theirs: what we were granted
  };
  using Delivery = std::function<void(SimConnection&)>;

  SimConnection(Network& network, Setup setup);

  // --- transport::Connection ------------------------------------------------------------------
  EndpointId peer() const override { return setup_.peer; }
  std::string_view alpn() const override { return setup_.alpn; }
  bool dialled() const override { return setup_.dialled; }
  std::uint64_t stable_id() const override { return setup_.number * 2 + (setup_.dialled ? 0 : 1); }
  std::string remote_address() const override { return setup_.remote_address; }
  transport::ConnectionStats stats() const override;
  void set_handler(transport::ConnectionHandler* handler) override;
  void mark_authenticated() override;
  Result<transport::StreamId> open_bidirectional() override { return open(true); }
  Result<transport::StreamId> open_unidirectional() override { return open(false); }
  Status write(transport::StreamId stream, ByteView data, bool fin) override;
  std::uint64_t unsent(transport::StreamId stream) const override;
  std::uint64_t unacknowledged(transport::StreamId stream) const override;
  bool wants_data(transport::StreamId stream) const override;
  void consumed(transport::StreamId stream, std::uint64_t bytes) override;
  void reset(transport::StreamId stream, std::uint64_t code) override;
  void stop_sending(transport::StreamId stream, std::uint64_t code) override;
  void close(std::uint64_t code, std::string_view reason) override;

  // --- for the network --------------------------------------------------------------------------
  HostId self() const { return setup_.self; }
  HostId other() const { return setup_.other; }
  std::uint64_t number() const { return setup_.number; }
  bool open() const { return state_ == State::open; }
  bool gone() const { return state_ == State::gone; }
  void connect_to(const std::shared_ptr<SimConnection>& peer) { peer_ = peer; }
  // The acceptor's: `accept` runs before the first delivery.
  void await_accept(std::function<void()> accept) { accept_ = std::move(accept); }
  void start();   // keep-alive and, at the dialler, the last message of the handshake
  void vanish();  // without a word: the host crashed
  void fail(transport::CloseInfo::Kind kind, std::uint64_t code, std::string reason);
  void resend_held();
  // A stream with data under way towards us, stopped as by an overloaded stack.
  bool stop_some_stream();

 private:
  friend class Network;
  enum class State : std::uint8_t { open, closing, gone };

  struct Out {
    bool exists = false;
    Bytes queue;
    std::size_t taken = 0;
    std::uint64_t written = 0, sent = 0, acked = 0, limit = 0;
    bool fin_written = false, fin_sent = false, fin_acked = false;
    bool announce = false;  // an empty STREAM frame is due
    bool was_reset = false, above = false;
    std::size_t pending() const { return queue.size() - taken; }
    bool done() const { return !exists || was_reset || fin_acked; }
  };
  struct In {
    bool exists = false;
    std::map<std::uint64_t, Bytes> ahead;
    std::uint64_t delivered = 0, consumed = 0, limit = 0;
    std::optional<std::uint64_t> fin_at;
    bool fin_delivered = false, was_reset = false, stopped = false;
    bool done() const { return !exists || fin_delivered || was_reset; }
  };
  struct Stream {
    Out out;
    In in;
  };
  struct Credit {                   // of one kind of stream
    std::uint64_t opened = 0;       // by us
    std::uint64_t allowed = 0;      // to us
    std::uint64_t peer_opened = 0;  // by the peer
    std::uint64_t granted = 0;      // to the peer
    bool blocked = false;
  };

  Result<transport::StreamId> open(bool bidirectional);
  bool ours(transport::StreamId id) const {
    return transport::opened_by_dialler(id) == setup_.dialled;
  }
  Credit& credit(transport::StreamId id) {
    return credit_[transport::is_bidirectional(id) ? 0 : 1];
  }
  Stream& make_stream(transport::StreamId id);
  void send(std::size_t size, Delivery delivery);
  void receive(const Delivery& delivery);
  void later(std::function<void(SimConnection&)> task);
  void schedule_pump(Duration delay = {});
  void pump();
  bool send_segment(transport::StreamId id, Out& out);
  void after_sending(transport::StreamId id);
  void on_segment(transport::StreamId id, std::uint64_t offset, const Bytes& data, bool fin);
  void on_ack(transport::StreamId id, std::uint64_t up_to, std::uint64_t bytes, bool fin);
  void on_stop(transport::StreamId id, std::uint64_t code);
  void on_reset(transport::StreamId id, std::uint64_t code);
  bool ensure_peer_stream(transport::StreamId id);
  void deliver(transport::StreamId id);
  void drop_half(transport::StreamId id, Out& out);
  void free_window(std::uint64_t bytes);
  void grant(std::size_t kind);
  void conclude(transport::StreamId id);
  void keep_alive();
  void try_finish_close();
  void finish(transport::CloseInfo info);

  Network& network_;
  Setup setup_;
  std::weak_ptr<SimConnection> peer_;
  State state_ = State::open;
  transport::ConnectionHandler* handler_ = nullptr;
  std::function<void()> accept_;
  std::map<transport::StreamId, Stream> streams_;
  std::set<transport::StreamId> ready_;
  transport::StreamId last_served_ = ~transport::StreamId{0};
  Credit credit_[2];
  std::uint64_t in_flight_ = 0;
  std::uint64_t sent_ = 0, send_limit_ = 0;           // connection window, outgoing
  std::uint64_t freed_ = 0, announced_ = 0, window_;  // connection window, incoming
  std::uint64_t stream_window_;
  bool proven_ = false;
  bool pump_scheduled_ = false;
  Instant last_heard_;
  Instant earliest_arrival_;
  Instant last_arrival_;
  std::deque<std::pair<std::size_t, Delivery>> held_;
  transport::CloseInfo close_info_;
  Instant close_deadline_ = kNever;
  std::uint64_t bytes_sent_ = 0, bytes_received_ = 0;
};

// The endpoint of a host that is up.
class Host final : public transport::Endpoint {
 public:
  Host(Network& network, HostId number) : network_(network), number_(number) {}

  EndpointId id() const override;
  std::string local_address() const override { return network_.address(number_); }
  void dial(const EndpointId& peer, const std::string& address, std::vector<std::string> alpns,
            transport::DialCallback done) override;
  void listen(std::vector<std::string> alpns, transport::AcceptCallback accept) override;
  void shutdown(std::uint64_t code, std::string_view reason, std::function<void()> done) override;

  std::map<std::uint64_t, std::shared_ptr<SimConnection>>& connections() { return connections_; }

 private:
  friend class Network;
  struct Dial;
  void on_dial_arrived(const std::shared_ptr<Dial>& dial, HostId to);
  void establish(const std::shared_ptr<Dial>& dial, HostId to, const std::string& alpn);
  void fail_dial(const std::shared_ptr<Dial>& dial, Error error, Duration delay);

  Network& network_;
  HostId number_;
  std::vector<std::string> alpns_;
  transport::AcceptCallback accept_;
  bool shut_down_ = false;
  std::map<std::uint64_t, std::shared_ptr<SimConnection>> connections_;  // by stable id
};

}  // namespace peat::sim
