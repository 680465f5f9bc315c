#include "broker/server.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <list>
#include <optional>
#include <type_traits>
#include <unistd.h>

namespace peat::broker {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using Local = asio::local::stream_protocol;
using Generic = asio::generic::stream_protocol;
using Stream = beast::basic_stream<Generic>;
using boost::system::error_code;

constexpr std::size_t kReadChunk = 16U << 10;
constexpr auto kCutGrace = std::chrono::seconds(1);

// Waits in a coroutine for something that happens elsewhere on the loop. GCC 12 miscompiles
// non-trivial temporaries in co_await expressions: tokens and buffers are named variables here.
class Signal {
 public:
  explicit Signal(const asio::any_io_executor& executor)
      : timer_(executor, asio::steady_timer::time_point::max()) {}

  void set() {
    raised_ = true;
    timer_.cancel();
  }
  asio::awaitable<void> wait() {
    if (!raised_) {
      error_code ignored;
      auto token = asio::redirect_error(asio::use_awaitable, ignored);
      co_await timer_.async_wait(token);
    }
    raised_ = false;
  }

 private:
  asio::steady_timer timer_;
  bool raised_ = false;
};

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

Request to_request(http::request<http::string_body>&& message) {
  Request request;
  request.method = std::string(view(message.method_string()));
  request.target = std::string(view(message.target()));
  const auto optional_field = [&message](http::field field) -> std::optional<std::string> {
    const auto found = message.find(field);
    if (found == message.end()) return std::nullopt;
    return std::string(view(found->value()));
  };
  request.host = optional_field(http::field::host).value_or("");
  request.origin = optional_field(http::field::origin);
  request.authorization = optional_field(http::field::authorization);
  request.content_type = optional_field(http::field::content_type).value_or("");
  request.if_match = optional_field(http::field::if_match);
  request.if_none_match = optional_field(http::field::if_none_match);
  request.body = std::move(message.body());
  return request;
}

template <class Body>
void fill_header(http::response<Body>& message, const Response& response, unsigned version,
                 bool keep_alive) {
  message.version(version);
  message.result(static_cast<unsigned>(response.status));
  message.set(http::field::content_type, response.content_type);
  message.set(http::field::cache_control, "no-store");
  message.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : response.headers) message.set(name, value);
  message.keep_alive(keep_alive);
}

}  // namespace

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(asio::io_context& io, Router& routes, const Limits& bounds)
      : loop(io), router(routes), limits(bounds), acceptor(io), local_acceptor(io), cut_timer(io) {}

  struct Session {
    Session(Generic::socket&& socket, bool over_local)
        : stream(std::move(socket)),
          signal(std::make_shared<Signal>(stream.get_executor())),
          local(over_local) {}
    Stream stream;
    std::shared_ptr<Signal> signal;
    beast::flat_buffer buffer;
    std::uint64_t body_reserved = 0;
    bool idle = true;        // between requests
    bool streaming = false;  // an answer that may never end
    bool client_left = false;
    const bool local;  // over the Unix socket
  };
  using SessionPtr = std::shared_ptr<Session>;

  asio::io_context& loop;
  Router& router;
  const Limits limits;
  tcp::acceptor acceptor;
  Local::acceptor local_acceptor;
  std::string local_path;  // of the Unix socket, to be removed
  asio::steady_timer cut_timer;
  std::list<SessionPtr> sessions;
  std::uint64_t bodies_bytes = 0;
  std::uint64_t requests = 0;
  std::uint64_t refused = 0;
  bool stopping = false;
  std::function<void()> stopped;

  template <class Acceptor>
  asio::awaitable<void> accept_loop(Acceptor& from);
  void take(Generic::socket socket, bool local);
  asio::awaitable<void> serve(SessionPtr session);
  asio::awaitable<bool> wait_for_bytes(SessionPtr session, bool first);
  std::optional<Response> header_problem(error_code error) const;
  asio::awaitable<bool> serve_one(SessionPtr session, bool first);
  asio::awaitable<std::optional<Response>> ask_router(SessionPtr session, Request request);
  asio::awaitable<std::optional<Error>> read_body(SessionPtr session,
                                                  http::request_parser<http::string_body>& parser);
  asio::awaitable<bool> answer(SessionPtr session, Response response, unsigned version,
                               bool keep_alive, bool head);
  asio::awaitable<bool> answer_stream(SessionPtr session, Response response, unsigned version,
                                      bool keep_alive);
  void turn_away(Generic::socket socket);
  void watch_for_departure(const SessionPtr& session);
  void give_back_body(Session& session);
  void end_session(const SessionPtr& session);
  void cut_sessions();
  void finish_stop();
  std::chrono::seconds header_limit() const {
    return std::chrono::seconds(limits.http_header_seconds);
  }
  std::chrono::seconds idle_limit() const { return std::chrono::seconds(limits.http_idle_seconds); }
};

template <class Acceptor>
asio::awaitable<void> Server::State::accept_loop(Acceptor& from) {
  const auto self = shared_from_this();
  constexpr bool kLocal = std::is_same_v<Acceptor, Local::acceptor>;
  while (from.is_open()) {
    error_code error;
    auto token = asio::redirect_error(asio::use_awaitable, error);
    typename Acceptor::protocol_type::socket socket = co_await from.async_accept(token);
    if (error == asio::error::operation_aborted || !from.is_open()) co_return;
    if (error) {
      // Out of descriptors, most likely: without a pause this loop would spin.
      asio::steady_timer pause(loop, std::chrono::milliseconds(100));
      error_code ignored;
      auto pause_token = asio::redirect_error(asio::use_awaitable, ignored);
      co_await pause.async_wait(pause_token);
      continue;
    }
    if constexpr (!kLocal) {
      error_code ignored;
      socket.set_option(tcp::no_delay(true), ignored);
      socket.set_option(asio::socket_base::keep_alive(true), ignored);
    }
    take(Generic::socket(std::move(socket)), kLocal);
  }
}

void Server::State::take(Generic::socket socket, bool local) {
  if (sessions.size() >= limits.http_connections) return turn_away(std::move(socket));
  error_code ignored;
  socket.non_blocking(true, ignored);  // for the look in watch_for_departure
  auto session = std::make_shared<Session>(std::move(socket), local);
  sessions.push_back(session);
  // However the coroutine ends, by an exception too, its session ends with it.
  asio::co_spawn(loop, serve(session),
                 [self = shared_from_this(), session](const std::exception_ptr&) {
                   self->end_session(session);
                 });
}

// One write that either fits the socket's buffer or does not matter.
void Server::State::turn_away(Generic::socket socket) {
  ++refused;
  const auto response =
      problem(Code::too_many_connections,
              fmt::format("{} clients are connected already; close some", limits.http_connections));
  const auto text = fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: {}\r\nContent-Length: {}\r\n"
      "Retry-After: 1\r\nConnection: close\r\n\r\n{}",
      response.content_type, response.body.size(), response.body);
  error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(text), ignored);
  socket.shutdown(Generic::socket::shutdown_send, ignored);
}

asio::awaitable<void> Server::State::serve(SessionPtr session) {
  const auto self = shared_from_this();
  bool first = true;
  while (!stopping) {
    session->idle = true;
    const bool go_on = co_await serve_one(session, first);
    give_back_body(*session);
    first = false;
    if (!go_on) break;
  }
  error_code ignored;
  session->stream.socket().shutdown(Generic::socket::shutdown_send, ignored);
}

void Server::State::give_back_body(Session& session) {
  bodies_bytes -= session.body_reserved;
  session.body_reserved = 0;
}

void Server::State::end_session(const SessionPtr& session) {
  give_back_body(*session);
  session->stream.close();
  sessions.remove(session);
  if (sessions.empty()) finish_stop();
}

// False: the client has nothing more to say.
asio::awaitable<bool> Server::State::wait_for_bytes(SessionPtr session, bool first) {
  if (session->buffer.size() > 0) co_return true;
  // A new connection has to speak within the header's time, a kept one may be idle.
  session->stream.expires_after(first ? header_limit() : idle_limit());
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  const auto space = session->buffer.prepare(kReadChunk);
  const std::size_t n = co_await session->stream.async_read_some(space, token);
  if (error) co_return false;
  session->buffer.commit(n);
  co_return true;
}

// What to tell a client whose header could not be read; nullopt: it has gone.
std::optional<Response> Server::State::header_problem(error_code error) const {
  if (error == http::error::header_limit) {
    auto response = problem(Code::limit_exceeded,
                            fmt::format("the header is over {} bytes", limits.http_header_bytes));
    response.status = 431;
    return response;
  }
  if (error == http::error::body_limit) {
    return problem(Code::limit_exceeded,
                   fmt::format("the body is over {} bytes", limits.http_body_bytes));
  }
  if (error == http::error::end_of_stream || error == asio::error::eof ||
      error == asio::error::operation_aborted || error == asio::error::connection_reset ||
      error == http::error::partial_message ||
      error == beast::error::timeout) {  // which has closed the stream
    return std::nullopt;
  }
  return problem(Code::malformed, "not an HTTP/1.1 request: " + error.message());
}

asio::awaitable<bool> Server::State::serve_one(SessionPtr session, bool first) {
  const bool has_spoken = co_await wait_for_bytes(session, first);
  if (!has_spoken) co_return false;
  session->idle = false;
  ++requests;

  http::request_parser<http::string_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(limits.http_header_bytes));
  parser.body_limit(limits.http_body_bytes);
  session->stream.expires_after(header_limit());
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  co_await http::async_read_header(session->stream, session->buffer, parser, token);
  if (error) {
    auto told = header_problem(error);
    if (told) co_await answer(session, std::move(*told), 11, false, false);
    co_return false;
  }

  const unsigned version = parser.get().version();
  const bool head = parser.get().method() == http::verb::head;
  bool keep_alive = parser.get().keep_alive();
  auto copy = parser.get();
  Request header_only = to_request(std::move(copy));
  header_only.local = session->local;
  auto refusal = router.refuse(header_only);
  if (refusal) {
    // The body is left unread: the connection cannot be used again.
    keep_alive = keep_alive && parser.is_done();
    const bool kept = co_await answer(session, std::move(*refusal), version, keep_alive, head);
    co_return kept;
  }
  if (!parser.is_done()) {
    const auto failure = co_await read_body(session, parser);
    if (failure) {
      co_await answer(session, problem(*failure), version, false, head);
      co_return false;
    }
  }
  auto request = to_request(parser.release());
  request.local = session->local;
  auto response = co_await ask_router(session, std::move(request));
  if (!response) co_return false;
  const bool kept = co_await answer(session, std::move(*response), version, keep_alive, head);
  co_return kept;
}

// nullopt: a stop cut the request off before its answer was there.
asio::awaitable<std::optional<Response>> Server::State::ask_router(SessionPtr session,
                                                                   Request request) {
  auto done = std::make_shared<std::optional<Response>>();
  const auto signal = session->signal;
  auto respond = [done, signal](Response result) {
    *done = std::move(result);
    signal->set();
  };
  router.handle(std::move(request), respond);
  while (!*done && !session->client_left) co_await signal->wait();
  co_return std::move(*done);
}

asio::awaitable<std::optional<Error>> Server::State::read_body(
    SessionPtr session, http::request_parser<http::string_body>& parser) {
  auto& stream = session->stream;
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  if (view(parser.get()[http::field::expect]) == "100-continue") {
    const std::string_view text = "HTTP/1.1 100 Continue\r\n\r\n";
    const auto buffer = asio::buffer(text);
    stream.expires_after(idle_limit());
    co_await asio::async_write(stream, buffer, token);
    if (error) co_return Error{Code::connection_lost, error.message()};
  }
  while (!parser.is_done()) {
    stream.expires_after(idle_limit());
    co_await http::async_read_some(stream, session->buffer, parser, token);
    if (error == http::error::body_limit) {
      co_return Error{Code::limit_exceeded,
                      fmt::format("the body is over {} bytes", limits.http_body_bytes)};
    }
    if (error) co_return Error{Code::malformed, "the body broke off: " + error.message()};
    const auto size = parser.get().body().size();
    bodies_bytes += size - session->body_reserved;
    session->body_reserved = size;
    if (bodies_bytes > limits.http_bodies_bytes) {
      co_return Error{Code::unavailable,
                      fmt::format("request bodies take over {} bytes now; try again",
                                  limits.http_bodies_bytes)};
    }
  }
  co_return std::nullopt;
}

asio::awaitable<bool> Server::State::answer(SessionPtr session, Response response, unsigned version,
                                            bool keep_alive, bool head) {
  if (stopping) keep_alive = false;
  if (response.stream && !head) {
    const bool kept = co_await answer_stream(session, std::move(response), version, keep_alive);
    co_return kept;
  }
  http::response<http::string_body> message;
  fill_header(message, response, version, keep_alive);
  const bool empty = response.status == 304 || response.stream != nullptr;
  message.body() = std::move(response.body);
  if (!empty) message.prepare_payload();
  if (head || empty) message.body().clear();
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  session->stream.expires_after(idle_limit());
  http::response_serializer<http::string_body> serializer(message);
  if (head || empty) {
    co_await http::async_write_header(session->stream, serializer, token);
  } else {
    co_await http::async_write(session->stream, serializer, token);
  }
  co_return !error && keep_alive;
}

// Notices that the client of an endless answer has gone, though nothing is being written.
void Server::State::watch_for_departure(const SessionPtr& session) {
  auto& socket = session->stream.socket();
  socket.async_wait(
      Generic::socket::wait_read, [session = std::weak_ptr<Session>(session)](error_code error) {
        const auto alive = session.lock();
        if (!alive) return;
        char byte = 0;
        error_code peeked;
        const auto n = error ? std::size_t{0}
                             : alive->stream.socket().receive(
                                   asio::buffer(&byte, 1), Generic::socket::message_peek, peeked);
        // Bytes, or bytes taken already, mean a next request: that client is there.
        if (n > 0 || peeked == asio::error::would_block) return;
        alive->client_left = true;
        alive->signal->set();
      });
}

asio::awaitable<bool> Server::State::answer_stream(SessionPtr session, Response response,
                                                   unsigned version, bool keep_alive) {
  const bool chunked = version >= 11;
  keep_alive = keep_alive && chunked;
  auto& stream = session->stream;
  error_code error;
  auto token = asio::redirect_error(asio::use_awaitable, error);
  http::response<http::empty_body> message;
  fill_header(message, response, version, keep_alive);
  if (chunked) message.chunked(true);
  http::response_serializer<http::empty_body> serializer(message);
  stream.expires_after(idle_limit());
  co_await http::async_write_header(stream, serializer, token);
  if (error) co_return false;

  session->streaming = true;
  const auto signal = session->signal;
  response.stream->on_ready([signal] { signal->set(); });
  watch_for_departure(session);
  auto state = BodySource::State::more;
  std::string piece;
  while (state != BodySource::State::done) {
    piece.clear();
    state = response.stream->pull(piece);
    if (!piece.empty()) {
      stream.expires_after(idle_limit());
      if (chunked) {
        const auto chunk = http::make_chunk(asio::buffer(piece));
        co_await asio::async_write(stream, chunk, token);
      } else {
        const auto buffer = asio::buffer(piece);
        co_await asio::async_write(stream, buffer, token);
      }
    }
    if (error || session->client_left) break;
    if (stopping && response.stream->endless()) break;
    if (state == BodySource::State::waiting) {
      stream.expires_never();
      co_await signal->wait();
      if (session->client_left) break;
    } else if (piece.empty()) {
      // A search that has found nothing yet: others have their turn in between.
      auto turn = asio::use_awaitable;
      co_await asio::post(loop, turn);
    }
  }
  session->streaming = false;
  if (error || session->client_left) co_return false;
  if (chunked) {
    const auto last = http::make_chunk_last();
    stream.expires_after(idle_limit());
    co_await asio::async_write(stream, last, token);
  }
  // The readiness wait of watch_for_departure is still pending; a kept connection ends it with
  // the next request.
  co_return !error && keep_alive && !stopping;
}

void Server::State::cut_sessions() {
  for (const auto& session : sessions) {
    session->client_left = true;
    session->stream.close();
    session->signal->set();
  }
  // Each ends in its next turn. A stop must not wait for one that does not.
  cut_timer.expires_after(kCutGrace);
  cut_timer.async_wait([weak = weak_from_this()](error_code error) {
    const auto alive = weak.lock();
    if (!error && alive) alive->finish_stop();
  });
}

void Server::State::finish_stop() {
  if (!stopped) return;
  cut_timer.cancel();
  auto done = std::move(stopped);
  stopped = nullptr;
  done();
}

Server::Server(asio::io_context& loop, Router& router, const Limits& limits)
    : state_(std::make_shared<State>(loop, router, limits)) {}

Server::~Server() = default;

Status Server::start(const node::HostPort& address) {
  auto& acceptor = state_->acceptor;
  error_code error;
  const auto ip = asio::ip::make_address(address.host, error);
  if (error) {
    return fail(Code::bad_setting, fmt::format("api: '{}' is no numeric address", address.host));
  }
  const tcp::endpoint endpoint(ip, address.port);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return fail(Code::io_error,
                fmt::format("api: cannot listen on {}: {}; another node there? --api chooses "
                            "another port",
                            address.to_string(), error.message()));
  }
  state_->router.set_local_address(local_address());
  state_->router.set_counters([this] { return counters(); });
  asio::co_spawn(state_->loop, state_->accept_loop(acceptor), asio::detached);
  return {};
}

Status Server::start_local(const std::string& path) {
  constexpr mode_t kOwnerAlone = 0177;
  auto& acceptor = state_->local_acceptor;
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail(Code::bad_setting,
                fmt::format("api_socket {}: a socket's path has at most {} bytes", path,
                            sizeof(sockaddr_un::sun_path) - 1));
  }
  struct stat there{};
  // What a node that was killed has left; nothing else is removed.
  if (::lstat(path.c_str(), &there) == 0 && S_ISSOCK(there.st_mode)) ::unlink(path.c_str());
  error_code error;
  const auto before = ::umask(kOwnerAlone);
  acceptor.open(Local(), error);
  if (!error) acceptor.bind(Local::endpoint(path), error);
  ::umask(before);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return fail(Code::io_error,
                fmt::format("api_socket: cannot listen on {}: {}", path, error.message()));
  }
  state_->local_path = path;
  asio::co_spawn(state_->loop, state_->accept_loop(acceptor), asio::detached);
  return {};
}

std::string Server::local_address() const {
  error_code error;
  const auto endpoint = state_->acceptor.local_endpoint(error);
  return node::HostPort{endpoint.address().to_string(), endpoint.port()}.to_string();
}

node::HttpCounters Server::counters() const {
  return {state_->requests, state_->sessions.size(), state_->refused};
}

void Server::stop(Duration patience, std::function<void()> done) {
  auto& state = *state_;
  state.stopping = true;
  state.stopped = std::move(done);
  error_code ignored;
  state.acceptor.close(ignored);
  state.local_acceptor.close(ignored);
  if (!state.local_path.empty()) ::unlink(state.local_path.c_str());
  for (const auto& session : state.sessions) {
    if (session->idle) session->stream.cancel();
    if (session->streaming) session->signal->set();
  }
  state.cut_timer.expires_after(std::chrono::duration_cast<std::chrono::milliseconds>(patience));
  state.cut_timer.async_wait([weak = std::weak_ptr<State>(state_)](error_code error) {
    const auto alive = weak.lock();
    if (error || !alive) return;
    alive->cut_sessions();
  });
  asio::post(state.loop, [self = state_] {
    if (self->sessions.empty()) self->finish_stop();
  });
}

}  // namespace peat::broker
