// A blocking HTTP/1.1 client for one server, with one kept connection.
//
// Threading: one thread. Errors: unavailable (no node answers there), timeout, malformed. An HTTP
// status of 400 and more is no error here: see checked().
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "peat/error.hpp"

namespace peat::cli {

struct HttpRequest {
  std::string method = "GET";
  std::string target = {};
  std::string content_type = {};
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

struct HttpResponse {
  int status = 0;
  std::string etag;
  std::string body;
};

class HttpClient {
 public:
  // "http://127.0.0.1:8081", "127.0.0.1:8081", or "unix:/var/lib/peat/api.sock".
  static Result<HttpClient> create(std::string_view api);
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;
  ~HttpClient();

  const std::string& api() const;
  // Sent with every request from now on.
  void set_token(std::string token);
  // The whole exchange must end within `timeout`.
  Result<HttpResponse> send(const HttpRequest& request,
                            std::chrono::seconds timeout = std::chrono::seconds(300));
  // Hands the body to `on_bytes` piece by piece, however long it is, until that fails or it ends. A
  // status of 400 and more is returned with its body.
  Result<HttpResponse> download(const std::string& target,
                                const std::function<Status(std::string_view bytes)>& on_bytes);
  // Hands each line of an endless answer to `on_line` until that returns false or the server ends
  // it. A status of 400 and more is returned with its body, no line.
  Result<HttpResponse> follow(const std::string& target,
                              const std::function<bool(std::string_view line)>& on_line);

 private:
  struct Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The answer, or the error that its problem details name (code, detail).
Result<HttpResponse> checked(Result<HttpResponse> response);

}  // namespace peat::cli
