#include "sync/connector_link.hpp"

#include <utility>

#include "sync/connector.hpp"

namespace peat::sync {
namespace {

using security::HandshakeAccepted;
using security::HandshakeFailed;
using transport::CloseInfo;
using transport::Connection;
using transport::StreamId;

// Takes the events of a connection whose link is gone.
class DeafHandler final : public transport::ConnectionHandler {
 public:
  void on_data(Connection& connection, StreamId stream, ByteView data, bool) override {
    connection.consumed(stream, data.size());
  }
  void on_closed(Connection&, const CloseInfo&) override {}
};
DeafHandler deaf_handler;

std::unexpected<Error> ended() {
  return fail(Code::connection_lost, "the connection to this peer has ended");
}

// Of two connections one has to go (connector.hpp); that is nobody's failure.
bool is_withdrawal(const CloseInfo& info) {
  return info.kind == CloseInfo::Kind::peer &&
         ((info.code >= 100 && info.code <= 103) ||
          (info.code == 0 && info.reason == "no longer needed"));
}

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

}  // namespace

PeerLink::PeerLink(LinkOwner& owner, Executor& executor, const Limits& limits,
                   std::shared_ptr<Connection> inner)
    : owner_(&owner), executor_(executor), limits_(limits), inner_(std::move(inner)) {
  inner_->set_handler(this);
}

PeerLink::~PeerLink() {
  if (state_ != State::gone) inner_->set_handler(&deaf_handler);
}

void PeerLink::prove_as_acceptor(security::FormationAcceptor machine) {
  machine_.emplace<security::FormationAcceptor>(std::move(machine));
  drive();
}

void PeerLink::prove_as_dialler(security::FormationDialler machine) {
  machine_.emplace<security::FormationDialler>(std::move(machine));
  drive();
}

void PeerLink::take_as_proven() { pass({std::nullopt, false, {}}); }

void PeerLink::give_way(std::uint64_t code, std::string_view reason) {
  client_ = nullptr;
  close(code, reason);
}

void PeerLink::abandon() {
  if (timer_ != 0) executor_.cancel(std::exchange(timer_, 0));
  owner_ = nullptr;
  client_ = nullptr;
  if (state_ != State::gone) inner_->set_handler(&deaf_handler);
  state_ = State::gone;
}

// --- the proof ---------------------------------------------------------------------------------

void PeerLink::drive() {
  const auto keep = shared_from_this();
  std::visit(
      [this](auto& machine) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(machine)>, std::monostate>) {
          while (state_ == State::proving) {
            auto output = machine.poll_output();
            if (!output || !handle(*output)) break;
          }
        }
      },
      machine_);
  arm_timer();
}

// False: the proof is over.
bool PeerLink::handle(security::HandshakeOutput& output) {
  return std::visit(Overloaded{
                        [this](security::HandshakeOpen& open) {
                          open_handshake_stream(open.first);
                          return state_ == State::proving;
                        },
                        [this](security::HandshakeWrite& write) {
                          // A connection that is ending says so by itself.
                          if (handshake_stream_)
                            (void)inner_->write(*handshake_stream_, write.bytes, write.fin);
                          return true;
                        },
                        [this](HandshakeAccepted& accepted) {
                          pass(accepted);
                          return false;
                        },
                        [this](HandshakeFailed& failed) {
                          refuse({std::move(failed.error), failed.refused}, failed.close_code,
                                 failed.close_reason);
                          return false;
                        },
                    },
                    output);
}

void PeerLink::open_handshake_stream(const Bytes& first) {
  const auto stream = inner_->open_bidirectional();
  if (!stream) {
    refuse({stream.error(), false}, 0, "no stream");
    return;
  }
  handshake_stream_ = *stream;
  (void)inner_->write(*stream, first, false);
}

void PeerLink::pass(const HandshakeAccepted& accepted) {
  const auto keep = shared_from_this();
  state_ = State::proven;
  const auto stream = handshake_stream_;
  if (accepted.variant) {
    if (stream) inner_->consumed(*stream, std::exchange(handshake_bytes_, 0));
  } else if (stream) {
    // An unauthenticated peer's first stream is an ordinary one.
    handshake_stream_.reset();
    held_.push_front(Data{*stream, accepted.unread, handshake_fin_});
    held_.push_front(Opened{*stream});
  }
  inner_->mark_authenticated();
  owner_->on_proven(*this, accepted);
}

void PeerLink::refuse(LinkFailure failure, std::uint64_t code, std::string_view reason) {
  const auto keep = shared_from_this();
  state_ = State::closing;
  held_.clear();
  inner_->close(code, reason);
  owner_->on_unproven(*this, std::move(failure));
}

void PeerLink::arm_timer() {
  if (timer_ != 0) executor_.cancel(std::exchange(timer_, 0));
  if (state_ != State::proving) return;
  const auto when = std::visit(
      [](const auto& machine) {
        if constexpr (std::is_same_v<std::decay_t<decltype(machine)>, std::monostate>) {
          return kNever;
        } else {
          return machine.next_timeout();
        }
      },
      machine_);
  if (when == kNever) return;
  timer_ = executor_.at(when, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->tick();
  });
}

void PeerLink::tick() {
  timer_ = 0;
  if (state_ != State::proving) return;
  std::visit(
      [this](auto& machine) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(machine)>, std::monostate>) {
          machine.on_timeout(executor_.now().mono);
        }
      },
      machine_);
  drive();
}

void PeerLink::feed(ByteView data, bool fin) {
  handshake_bytes_ += data.size();
  handshake_fin_ = handshake_fin_ || fin;
  const auto now = executor_.now().mono;
  if (auto* acceptor = std::get_if<security::FormationAcceptor>(&machine_)) {
    acceptor->on_stream_bytes(now, data, fin);
  } else if (auto* dialler = std::get_if<security::FormationDialler>(&machine_)) {
    dialler->on_stream_bytes(now, data, fin);
  }
  drive();
}

// --- events from the transport -----------------------------------------------------------------

void PeerLink::on_stream_opened(Connection&, StreamId stream) {
  if (!live()) return;
  auto* acceptor = std::get_if<security::FormationAcceptor>(&machine_);
  const bool first = acceptor != nullptr && !acceptor->done() && !handshake_stream_ &&
                     transport::is_bidirectional(stream) && transport::opened_by_dialler(stream);
  if (first) {
    handshake_stream_ = stream;
    acceptor->on_stream_opened(executor_.now().mono);
    drive();
    return;
  }
  if (direct()) {
    client_->on_stream_opened(*this, stream);
  } else {
    hold(Opened{stream});
  }
}

void PeerLink::on_data(Connection&, StreamId stream, ByteView data, bool fin) {
  const auto keep = shared_from_this();
  if (is_handshake(stream) && state_ == State::proving) {
    feed(data, fin);
  } else if (!live() || is_handshake(stream)) {
    inner_->consumed(stream, data.size());
  } else if (direct()) {
    client_->on_data(*this, stream, data, fin);
  } else {
    hold(Data{stream, Bytes(data.begin(), data.end()), fin});
  }
}

void PeerLink::on_wants_data(Connection&, StreamId stream) {
  if (direct() && !is_handshake(stream)) client_->on_wants_data(*this, stream);
}

void PeerLink::on_acknowledged(Connection&, StreamId stream) {
  const auto keep = shared_from_this();
  if (is_handshake(stream) && state_ == State::proving) {
    auto* acceptor = std::get_if<security::FormationAcceptor>(&machine_);
    if (acceptor != nullptr && inner_->unacknowledged(stream) == 0) acceptor->on_acknowledged();
    drive();
  } else if (direct() && !is_handshake(stream)) {
    client_->on_acknowledged(*this, stream);
  }
}

void PeerLink::on_reset(Connection&, StreamId stream, std::uint64_t code) {
  if (!live()) return;
  const auto keep = shared_from_this();
  if (is_handshake(stream)) {
    if (state_ == State::proving) feed({}, true);
  } else if (direct()) {
    client_->on_reset(*this, stream, code);
  } else {
    hold(Reset{stream, code});
  }
}

void PeerLink::on_stop_sending(Connection&, StreamId stream, std::uint64_t code) {
  // Peers of variant B stop the handshake's stream after the verdict.
  if (!live() || is_handshake(stream)) return;
  if (direct()) {
    client_->on_stop_sending(*this, stream, code);
  } else {
    hold(Stopped{stream, code});
  }
}

void PeerLink::on_streams_available(Connection&) {
  if (direct()) client_->on_streams_available(*this);
}

void PeerLink::on_closed(Connection&, const CloseInfo& info) {
  const auto keep = shared_from_this();
  const bool was_proving = state_ == State::proving;
  state_ = State::gone;
  arm_timer();
  auto* client = std::exchange(client_, nullptr);
  if (owner_ != nullptr) {
    if (was_proving) {
      std::string how = "the connection ended during the handshake";
      if (!info.reason.empty()) how += ": " + info.reason;
      if (!inner_->dialled() && inner_->alpn() == kAlpnOld && !handshake_stream_) {
        how += ". " + std::string(security::kSilentDiallerRemedy);
      }
      // Not let in, whatever the handshake: another variant will not do better.
      const bool refused = info.kind == CloseInfo::Kind::peer && info.code == 2;
      owner_->on_unproven(*this,
                          {{refused ? Code::not_trusted : Code::connection_lost, std::move(how)},
                           refused,
                           is_withdrawal(info)});
    }
    owner_->on_gone(*this, info);
  }
  if (client != nullptr) client->on_closed(*this, info);
}

// --- events held for the client ------------------------------------------------------------------

void PeerLink::hold(Event event) {
  if (const auto* data = std::get_if<Data>(&event)) held_bytes_ += data->bytes.size();
  if (state_ == State::proving && held_bytes_ > limits_.net_unauthenticated_window_bytes) {
    refuse({{Code::limit_exceeded,
             "the peer sent more than net_unauthenticated_window_bytes "
             "before proving membership"},
            true},
           1, "formation auth failed");
    return;
  }
  held_.push_back(std::move(event));
}

void PeerLink::set_handler(transport::ConnectionHandler* handler) {
  client_ = handler;
  if (handler == nullptr || held_.empty()) return;
  executor_.post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->release();
  });
}

void PeerLink::release() {
  while (state_ == State::proven && client_ != nullptr && !held_.empty()) {
    const auto event = std::move(held_.front());
    tell(event);
    // Only now: while it was there, newer events queued up behind it.
    if (!held_.empty()) held_.pop_front();
  }
}

void PeerLink::tell(const Event& event) {
  std::visit(Overloaded{
                 [this](const Opened& e) { client_->on_stream_opened(*this, e.stream); },
                 [this](const Data& e) { client_->on_data(*this, e.stream, e.bytes, e.fin); },
                 [this](const Reset& e) { client_->on_reset(*this, e.stream, e.code); },
                 [this](const Stopped& e) { client_->on_stop_sending(*this, e.stream, e.code); },
             },
             event);
}

// --- calls of the client -----------------------------------------------------------------------

Result<StreamId> PeerLink::open_bidirectional() {
  if (state_ != State::proven) return ended();
  return inner_->open_bidirectional();
}

Result<StreamId> PeerLink::open_unidirectional() {
  if (state_ != State::proven) return ended();
  return inner_->open_unidirectional();
}

Status PeerLink::write(StreamId stream, ByteView data, bool fin) {
  if (state_ != State::proven) return ended();
  return inner_->write(stream, data, fin);
}

bool PeerLink::wants_data(StreamId stream) const {
  return state_ == State::proven && inner_->wants_data(stream);
}

void PeerLink::consumed(StreamId stream, std::uint64_t bytes) {
  if (state_ == State::proven) inner_->consumed(stream, bytes);
}

void PeerLink::reset(StreamId stream, std::uint64_t code) {
  if (state_ == State::proven) inner_->reset(stream, code);
}

void PeerLink::stop_sending(StreamId stream, std::uint64_t code) {
  if (state_ == State::proven) inner_->stop_sending(stream, code);
}

void PeerLink::close(std::uint64_t code, std::string_view reason) {
  if (!live()) return;
  state_ = State::closing;
  held_.clear();
  inner_->close(code, reason);
}

}  // namespace peat::sync
