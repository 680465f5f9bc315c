#include "peat_cli/http_client.hpp"

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include <array>
#include <vector>

#include "node/settings.hpp"
#include "peat_cli/json.hpp"

namespace peat::cli {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

// A node that copies its store answers when the copy is made.
constexpr std::chrono::minutes kFirstByte(10);

http::request<http::string_body> to_message(const HttpRequest& request, const std::string& host,
                                            const std::string& token) {
  http::request<http::string_body> message;
  message.version(11);
  message.method_string(request.method);
  message.target(request.target);
  message.set(http::field::host, host);
  message.set(http::field::user_agent, "peat");
  if (!token.empty()) message.set(http::field::authorization, "Bearer " + token);
  if (!request.content_type.empty()) message.set(http::field::content_type, request.content_type);
  for (const auto& [name, value] : request.headers) message.set(name, value);
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

std::optional<Code> code_named(std::string_view name) {
  static constexpr std::array kCodes{
#define PEAT_ERROR(name, number, retry, http, exit_code, text) Code::name,
#include "peat/error_codes.def"
#undef PEAT_ERROR
  };
  for (const auto code : kCodes) {
    if (info(code).name == name) return code;
  }
  return std::nullopt;
}

}  // namespace

struct HttpClient::Impl {
  asio::io_context loop;
  std::string host;
  std::string port;
  std::string authority;
  std::string api;
  std::string token;
  std::string socket;  // path of a Unix socket, instead of host and port
  std::optional<beast::basic_stream<asio::generic::stream_protocol>> stream;
  beast::flat_buffer buffer;

  // Runs one operation to its end. `start` is given a handler for its error code.
  template <class Start>
  error_code run(Start start) {
    error_code result;
    loop.restart();
    start([&result](error_code error, auto&&...) { result = error; });
    loop.run();
    return result;
  }

  Status connect(std::chrono::seconds timeout) {
    if (stream) return {};
    std::vector<asio::generic::stream_protocol::endpoint> places;
    error_code error;
    if (socket.empty()) {
      asio::ip::tcp::resolver resolver(loop);
      for (const auto& entry : resolver.resolve(host, port, error)) {
        places.emplace_back(entry.endpoint());
      }
    } else {
      places.emplace_back(asio::local::stream_protocol::endpoint(socket));
    }
    for (const auto& place : places) {
      stream.emplace(loop);
      stream->expires_after(std::min(timeout, std::chrono::seconds(10)));
      error = run([&](auto done) { stream->async_connect(place, done); });
      if (!error) break;
    }
    if (error) {
      stream.reset();
      return fail(Code::unavailable,
                  fmt::format("no node answers at {}: {}; start peat-mesh-node, or name its "
                              "interface with --api or PEAT_API",
                              api, error.message()));
    }
    buffer.clear();
    return {};
  }

  std::unexpected<Error> broken(error_code error) {
    stream.reset();
    if (error == beast::error::timeout) {
      return fail(Code::timeout, fmt::format("{} did not answer in time", api));
    }
    return fail(Code::unavailable,
                fmt::format("the connection to {} broke off: {}", api, error.message()));
  }

  // True if a kept connection had been closed by the server meanwhile: worth one more try.
  static bool was_closed(error_code error) {
    return error == http::error::end_of_stream || error == asio::error::broken_pipe ||
           error == asio::error::connection_reset;
  }
};

HttpClient::HttpClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;
HttpClient::~HttpClient() = default;

Result<HttpClient> HttpClient::create(std::string_view api) {
  auto text = api;
  if (text.starts_with("unix:")) {
    constexpr std::size_t kMostBytes = 107;  // sockaddr_un
    text.remove_prefix(5);
    if (text.empty() || text.size() > kMostBytes) {
      return fail(Code::invalid_argument,
                  fmt::format("--api '{}' is not unix:PATH with a path of 1 to 107 bytes", api));
    }
    auto impl = std::make_unique<Impl>();
    impl->socket = text;
    impl->authority = "localhost";
    impl->api = api;
    return HttpClient(std::move(impl));
  }
  if (text.starts_with("http://")) text.remove_prefix(7);
  while (text.ends_with('/')) text.remove_suffix(1);
  auto address = node::HostPort::parse(text);
  if (!address) {
    return fail(Code::invalid_argument,
                fmt::format("--api '{}' is neither http://HOST:PORT nor unix:PATH", api));
  }
  auto impl = std::make_unique<Impl>();
  impl->host = address->host;
  impl->port = std::to_string(address->port);
  impl->authority = address->to_string();
  impl->api = "http://" + impl->authority;
  return HttpClient(std::move(impl));
}

const std::string& HttpClient::api() const { return impl_->api; }

void HttpClient::set_token(std::string token) { impl_->token = std::move(token); }

Result<HttpResponse> HttpClient::send(const HttpRequest& request, std::chrono::seconds timeout) {
  auto& impl = *impl_;
  const auto message = to_message(request, impl.authority, impl.token);
  for (int attempt = 0;; ++attempt) {
    const bool kept = impl.stream.has_value();
    PEAT_TRY_VOID(impl.connect(timeout));
    impl.stream->expires_after(timeout);
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    auto error = impl.run([&](auto done) { http::async_write(*impl.stream, message, done); });
    if (!error) {
      error =
          impl.run([&](auto done) { http::async_read(*impl.stream, impl.buffer, parser, done); });
    }
    if (error && kept && attempt == 0 && Impl::was_closed(error)) {
      impl.stream.reset();
      continue;
    }
    if (error) return impl.broken(error);
    auto answer = parser.release();
    if (!answer.keep_alive()) impl.stream.reset();
    return HttpResponse{static_cast<int>(answer.result_int()),
                        std::string(answer[http::field::etag]), std::move(answer.body())};
  }
}

Result<HttpResponse> HttpClient::download(
    const std::string& target, const std::function<Status(std::string_view bytes)>& on_bytes) {
  auto& impl = *impl_;
  impl.stream.reset();
  PEAT_TRY_VOID(impl.connect(std::chrono::seconds(10)));
  const auto message = to_message({.target = target}, impl.authority, impl.token);
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  impl.stream->expires_after(kFirstByte);
  auto error = impl.run([&](auto done) { http::async_write(*impl.stream, message, done); });
  if (!error) {
    error = impl.run(
        [&](auto done) { http::async_read_header(*impl.stream, impl.buffer, parser, done); });
  }
  if (error) return impl.broken(error);
  HttpResponse response;
  response.status = static_cast<int>(parser.get().result_int());
  impl.stream->expires_never();
  while (!parser.is_done()) {
    error = impl.run(
        [&](auto done) { http::async_read_some(*impl.stream, impl.buffer, parser, done); });
    if (error && error != http::error::end_of_stream) return impl.broken(error);
    auto& body = parser.get().body();
    if (response.status >= 400) continue;
    const auto taken = on_bytes(body);
    body.clear();
    if (!taken) {
      impl.stream.reset();
      return std::unexpected(taken.error());
    }
  }
  response.body = parser.get().body();
  impl.stream.reset();
  return response;
}

Result<HttpResponse> HttpClient::follow(const std::string& target,
                                        const std::function<bool(std::string_view line)>& on_line) {
  std::string pending;
  bool ended = false;  // by the reader
  auto response = download(target, [&](std::string_view bytes) -> Status {
    pending += bytes;
    std::size_t begin = 0;
    for (auto end = pending.find('\n'); end != std::string::npos; end = pending.find('\n', begin)) {
      const auto line = std::string_view(pending).substr(begin, end - begin);
      begin = end + 1;
      ended = !line.empty() && !on_line(line);
      if (ended) return fail(Code::cancelled, "the reader has seen enough");
    }
    pending.erase(0, begin);
    return {};
  });
  if (ended) return HttpResponse{.status = 200, .etag = {}, .body = {}};
  return response;
}

Result<HttpResponse> checked(Result<HttpResponse> response) {
  if (!response || response->status < 400) return response;
  Error error{response->status >= 500 ? Code::unavailable : Code::invalid_argument,
              fmt::format("the server answered {}", response->status)};
  if (const auto body = parse_json_object(response->body)) {
    if (const auto* text = body->if_contains("error"); text != nullptr && text->is_string()) {
      error.message = std::string_view(text->get_string());
    }
    if (const auto* name = body->if_contains("code"); name != nullptr && name->is_string()) {
      if (const auto code = code_named(std::string_view(name->get_string()))) error.code = *code;
    }
  }
  return std::unexpected(std::move(error));
}

}  // namespace peat::cli
