#include "net/quic_endpoint.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "net/address.hpp"
#include "net/quic_core.hpp"
#include "net/udp_socket.hpp"

namespace peat::net {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

// How much one turn of the loop takes and gives before others have theirs.
constexpr int kReceiveBatchesPerTurn = 8;
constexpr int kTransmitsPerTurn = 32;

Instant clock_now() { return Instant(std::chrono::steady_clock::now().time_since_epoch()); }

QlogFactory qlog_files(std::string directory) {
  if (directory.empty()) return {};
  return [directory = std::move(directory)](const std::string& name) -> QlogSink {
    const auto path = (std::filesystem::path(directory) / name).string();
    const std::shared_ptr<std::FILE> file(std::fopen(path.c_str(), "we"), [](std::FILE* f) {
      if (f != nullptr) std::fclose(f);
    });
    if (!file) return {};
    return [file](ByteView piece, bool last) {
      std::fwrite(piece.data(), 1, piece.size(), file.get());
      if (last) std::fflush(file.get());
    };
  };
}

Status check(const EndpointOptions& options) {
  std::error_code error;
  if (!options.qlog_dir.empty() && !std::filesystem::is_directory(options.qlog_dir, error)) {
    return fail(Code::invalid_argument,
                fmt::format("qlog directory \"{}\" does not exist; create it", options.qlog_dir));
  }
  return {};
}

}  // namespace

class QuicEndpoint::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& loop, const EndpointId& id)
      : loop_(loop), id_(id), timer_(loop), descriptor_(loop), resolver_(loop) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Status open(EndpointOptions options);
  void stop();

  const EndpointId& id() const { return id_; }
  std::string local_address() const { return socket_->local().to_string(); }
  int fd() const { return socket_->fd(); }
  void dial(const EndpointId& peer, const std::string& address, std::vector<std::string> alpns,
            transport::DialCallback done);
  void listen(std::vector<std::string> alpns, transport::AcceptCallback accept) {
    core_->listen(std::move(alpns), std::move(accept));
  }
  void shutdown(std::uint64_t code, std::string_view reason, std::function<void()> done);
  EndpointStats stats() const;

 private:
  // A dial to several addresses of one name: the first completed handshake wins.
  struct Race {
    EndpointId peer;
    std::vector<std::string> alpns;
    std::vector<SocketAddress> waiting;
    std::vector<std::uint64_t> attempts;
    std::size_t running = 0;
    std::optional<Error> first_error;
    transport::DialCallback done;
    std::unique_ptr<asio::steady_timer> stagger;
  };

  void wait_readable();
  void on_readable();
  void wait_writable();
  void schedule_flush();
  void flush();
  void arm_timer();
  void maybe_finish_shutdown();
  void resolve(const HostAndPort& target, std::shared_ptr<Race> race);
  void start_next(const std::shared_ptr<Race>& race);
  void finished(const std::shared_ptr<Race>& race,
                Result<std::shared_ptr<transport::Connection>> result);
  void fail_later(transport::DialCallback done, Error error);

  asio::io_context& loop_;
  EndpointId id_;
  SystemRandom random_;
  std::unique_ptr<UdpSocket> socket_;
  std::unique_ptr<QuicCore> core_;
  asio::steady_timer timer_;
  Instant timer_at_ = kNever;
  asio::posix::stream_descriptor descriptor_;
  asio::ip::udp::resolver resolver_;
  std::optional<Transmit> unsent_;  // the socket was full
  bool waiting_writable_ = false;
  bool flush_scheduled_ = false;
  bool stopped_ = false;
  bool shutting_down_ = false;
  std::function<void()> shutdown_done_;
};

Status QuicEndpoint::Impl::open(EndpointOptions options) {
  PEAT_TRY_VOID(check(options));
  PEAT_TRY(const auto bind, SocketAddress::parse(options.bind));
  PEAT_TRY(socket_, UdpSocket::open({bind, options.gso, options.gro, options.socket_buffer_bytes}));
  CoreOptions core;
  core.id = options.id;
  core.sign = std::move(options.sign);
  core.idle_timeout = options.idle_timeout;
  core.handshake_timeout = options.handshake_timeout;
  core.limits = options.limits;
  core.qlog = qlog_files(std::move(options.qlog_dir));
  core.random = &random_;
  PEAT_TRY(core_, QuicCore::create(std::move(core)));
  core_->set_wake([this] { schedule_flush(); });
  error_code error;
  if (descriptor_.assign(socket_->fd(), error))
    return fail(Code::io_error, fmt::format("event loop: {}", error.message()));
  wait_readable();
  return {};
}

void QuicEndpoint::Impl::stop() {
  stopped_ = true;
  timer_.cancel();
  resolver_.cancel();
  // The socket owns the descriptor; Asio only watched it.
  if (descriptor_.is_open()) descriptor_.release();
}

// ---- the loop

void QuicEndpoint::Impl::wait_readable() {
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this()](error_code error) {
                           if (!error && !self->stopped_) self->on_readable();
                         });
}

void QuicEndpoint::Impl::on_readable() {
  bool more = true;
  for (int i = 0; more && i < kReceiveBatchesPerTurn && !stopped_; ++i) {
    const auto now = clock_now();
    more = socket_->receive([&](const SocketAddress& local, const SocketAddress& remote,
                                std::uint8_t ecn, ByteView datagram) {
      if (core_) core_->on_datagram(now, local, remote, ecn, datagram);
    });
  }
  flush();
  if (!stopped_) wait_readable();
}

void QuicEndpoint::Impl::schedule_flush() {
  if (flush_scheduled_ || stopped_) return;
  flush_scheduled_ = true;
  asio::post(loop_, [self = shared_from_this()] {
    self->flush_scheduled_ = false;
    self->flush();
  });
}

void QuicEndpoint::Impl::wait_writable() {
  if (waiting_writable_) return;
  waiting_writable_ = true;
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                         [self = shared_from_this()](error_code error) {
                           self->waiting_writable_ = false;
                           if (!error) self->flush();
                         });
}

void QuicEndpoint::Impl::flush() {
  for (int sent = 0; !stopped_; ++sent) {
    if (sent == kTransmitsPerTurn) {
      schedule_flush();
      break;
    }
    if (!unsent_) unsent_ = core_->poll_transmit(clock_now());
    if (!unsent_ || stopped_) break;
    if (!socket_->send(*unsent_)) {
      wait_writable();
      break;
    }
    unsent_.reset();
  }
  if (stopped_) return;
  arm_timer();
  maybe_finish_shutdown();
}

// After every read and write: both move the connections' timers.
void QuicEndpoint::Impl::arm_timer() {
  const auto when = core_->next_timeout();
  if (when == timer_at_) return;
  timer_at_ = when;
  if (when == kNever) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(when.time_since_epoch())));
  timer_.async_wait([self = shared_from_this(), when](error_code error) {
    if (error || self->stopped_ || self->timer_at_ != when) return;
    self->timer_at_ = kNever;
    self->core_->on_timeout(clock_now());
    self->flush();
  });
}

// ---- shutdown

void QuicEndpoint::Impl::shutdown(std::uint64_t code, std::string_view reason,
                                  std::function<void()> done) {
  shutting_down_ = true;
  shutdown_done_ = std::move(done);
  resolver_.cancel();
  core_->shutdown(code, reason);
  schedule_flush();
}

void QuicEndpoint::Impl::maybe_finish_shutdown() {
  if (!shutdown_done_ || unsent_ || !core_->idle()) return;
  asio::post(loop_, std::exchange(shutdown_done_, nullptr));
}

// ---- dialling

void QuicEndpoint::Impl::fail_later(transport::DialCallback done, Error error) {
  asio::post(loop_, [self = shared_from_this(), done = std::move(done),
                     error = std::move(error)]() mutable {
    if (!self->stopped_) done(std::unexpected(std::move(error)));
  });
}

void QuicEndpoint::Impl::dial(const EndpointId& peer, const std::string& address,
                              std::vector<std::string> alpns, transport::DialCallback done) {
  const auto target = HostAndPort::parse(address);
  if (!target) return fail_later(std::move(done), target.error());
  if (target->port == 0) {
    return fail_later(std::move(done), {Code::invalid_argument,
                                        fmt::format("\"{}\": port 0 cannot be dialled", address)});
  }
  auto race = std::make_shared<Race>();
  race->peer = peer;
  race->alpns = std::move(alpns);
  race->done = std::move(done);
  race->stagger = std::make_unique<asio::steady_timer>(loop_);
  if (const auto numeric = SocketAddress::parse(address)) {
    race->waiting.push_back(*numeric);
    start_next(race);
  } else {
    resolve(*target, std::move(race));
  }
}

void QuicEndpoint::Impl::resolve(const HostAndPort& target, std::shared_ptr<Race> race) {
  resolver_.async_resolve(
      target.host, std::to_string(target.port), asio::ip::udp::resolver::numeric_service,
      [self = shared_from_this(), race = std::move(race), host = target.host](
          error_code error, const asio::ip::udp::resolver::results_type& results) {
        if (self->stopped_) return;
        for (const auto& entry : results) {
          const auto endpoint = entry.endpoint();
          const auto remote = self->socket_->fit(SocketAddress(endpoint.data()));
          if (remote && race->waiting.size() < kAddressesTried) race->waiting.push_back(*remote);
        }
        if (self->shutting_down_) {
          race->done(fail(Code::shut_down, "the endpoint is shutting down"));
          return;
        }
        if (race->waiting.empty()) {
          const auto why =
              error ? error.message() : std::string("it has no address of this endpoint's family");
          race->done(fail(Code::unreachable, fmt::format("host \"{}\": {}", host, why)));
          return;
        }
        self->start_next(race);
      });
}

void QuicEndpoint::Impl::start_next(const std::shared_ptr<Race>& race) {
  if (race->waiting.empty() || !race->done) return;
  const auto remote = race->waiting.front();
  race->waiting.erase(race->waiting.begin());
  ++race->running;
  const auto to = socket_->fit(remote);
  const auto from = to ? socket_->source_for(*to) : to;
  auto self = shared_from_this();
  // Weak: the core keeps it, and we keep the core.
  auto on_result = [weak = weak_from_this(),
                    race](Result<std::shared_ptr<transport::Connection>> result) {
    if (const auto impl = weak.lock()) impl->finished(race, std::move(result));
  };
  if (!from) {
    fail_later(std::move(on_result), from.error());
  } else {
    race->attempts.push_back(
        core_->dial(clock_now(), race->peer, *from, *to, race->alpns, std::move(on_result)));
  }
  if (race->waiting.empty()) return;
  race->stagger->expires_after(kDialStagger);
  race->stagger->async_wait([self, race](error_code error) {
    if (!error && !self->stopped_) self->start_next(race);
  });
}

void QuicEndpoint::Impl::finished(const std::shared_ptr<Race>& race,
                                  Result<std::shared_ptr<transport::Connection>> result) {
  --race->running;
  if (!race->done) {
    if (result) (*result)->close(0, "another address was faster");
    return;
  }
  if (!result) {
    if (!race->first_error) race->first_error = result.error();
    if (!race->waiting.empty()) {
      start_next(race);
      return;
    }
    if (race->running > 0) return;
    std::exchange(race->done, nullptr)(std::unexpected(*race->first_error));
    return;
  }
  race->stagger->cancel();
  race->waiting.clear();
  const auto done = std::exchange(race->done, nullptr);
  for (const auto attempt : race->attempts) core_->cancel_dial(attempt);
  done(std::move(result));
}

EndpointStats QuicEndpoint::Impl::stats() const {
  EndpointStats out = core_->stats();
  out.send_calls = socket_->stats().send_calls;
  out.receive_calls = socket_->stats().receive_calls;
  out.send_errors = socket_->stats().send_errors;
  out.gso_active = socket_->gso();
  return out;
}

// ---- the outside

QuicEndpoint::QuicEndpoint(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

// Asio's cancel functions throw for descriptors that are not open; these are.
// NOLINTNEXTLINE(bugprone-exception-escape)
QuicEndpoint::~QuicEndpoint() { impl_->stop(); }

Result<std::unique_ptr<QuicEndpoint>> QuicEndpoint::create(boost::asio::io_context& loop,
                                                           EndpointOptions options) {
  auto impl = std::make_shared<Impl>(loop, options.id);
  PEAT_TRY_VOID(impl->open(std::move(options)));
  return std::unique_ptr<QuicEndpoint>(new QuicEndpoint(std::move(impl)));
}

EndpointId QuicEndpoint::id() const { return impl_->id(); }
std::string QuicEndpoint::local_address() const { return impl_->local_address(); }
EndpointStats QuicEndpoint::stats() const { return impl_->stats(); }
int QuicEndpoint::native_handle() const { return impl_->fd(); }

void QuicEndpoint::dial(const EndpointId& peer, const std::string& address,
                        std::vector<std::string> alpns, transport::DialCallback done) {
  impl_->dial(peer, address, std::move(alpns), std::move(done));
}

void QuicEndpoint::listen(std::vector<std::string> alpns, transport::AcceptCallback accept) {
  impl_->listen(std::move(alpns), std::move(accept));
}

void QuicEndpoint::shutdown(std::uint64_t code, std::string_view reason,
                            std::function<void()> done) {
  impl_->shutdown(code, reason, std::move(done));
}

}  // namespace peat::net
