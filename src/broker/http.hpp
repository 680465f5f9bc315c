// Requests and responses as the router sees them: values, without sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "peat/error.hpp"

namespace peat::broker {

struct Request {
  std::string method;  // "GET"
  std::string target;  // "/api/v1/peers?x=y", as sent
  std::string host;    // the Host header
  std::optional<std::string> origin;
  std::optional<std::string> authorization = {};
  std::string content_type;
  std::optional<std::string> if_match;
  std::optional<std::string> if_none_match;
  std::string body;
  bool local = false;  // came over the Unix socket: its owner's
};

// A body that is produced while it is sent, so that a long answer costs a bounded piece of
// memory. The server pulls; `waiting` means: nothing now, the waker given to on_ready will run.
class BodySource {
 public:
  enum class State : std::uint8_t { more, waiting, done };
  virtual ~BodySource() = default;
  // Appends the next piece (some 64 KiB at most) to `out`.
  virtual State pull(std::string& out) = 0;
  virtual void on_ready(std::function<void()> wake) = 0;
  // A body that has no end of its own: a stop of the server ends it, and it is complete then.
  // Any other body that a stop cuts short must look cut short to the client.
  virtual bool endless() const { return false; }
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::unique_ptr<BodySource> stream;  // instead of body
};

// Called once, on the loop, now or later.
using Respond = std::function<void(Response)>;

// RFC 9457 problem details with the extra members `error` (the text again, as older clients of
// the mesh expect it) and `code` (a name of error_codes.def).
Response problem(const Error& error);
Response problem(Code code, std::string message);

// Percent-decoding of one path segment or query value; nullopt if malformed.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
std::string percent_encode(std::string_view text);

// The parts of a target. Segments are split before they are decoded, so an id may contain %2F.
struct Target {
  std::vector<std::string> path;  // decoded segments
  std::vector<std::pair<std::string, std::string>> query;

  std::optional<std::string> value(std::string_view name) const;  // the first of that name
};
Result<Target> parse_target(std::string_view target);

}  // namespace peat::broker
