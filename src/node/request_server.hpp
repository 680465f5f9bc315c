// Connections of strangers, each with one request and one answer: `peat/enroll/1` on the authority
// and `peat/cert/1` on every member.
//
// On one bidirectional stream of the client's: u32le length, request, FIN; back comes u32le length,
// answer, FIN. A connection has 10 s to bring its request; then the answer is sent and the
// connection is kept until the client closes it, 5 s at most, because an answer that is cut off by
// its own close is lost (D-34). At most enrollment_in_flight connections at once, and
// enrollment_per_minute from one network (D-33); whoever is beyond, or is not admitted, is
// closed at once. What a request means is not decided here.
//
// Threading: the loop. Limits (base/limits.def): enrollment_*.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/executor.hpp"
#include "base/limits.hpp"
#include "crypto/keys.hpp"
#include "security/attempt_limiter.hpp"
#include "transport/connection.hpp"

namespace peat::node {

class RequestServer {
 public:
  // Called at most once per request, now or later, on the loop; the bytes are the answer.
  using Respond = std::function<void(crypto::SecretBytes)>;
  // `request` is what came, or nullopt for one of `announced` bytes that is too long to be read.
  struct Request {
    std::optional<Bytes> bytes;
    std::uint64_t announced = 0;
    EndpointId endpoint;
    std::string address;
  };
  using Admit = std::function<Status(const EndpointId&)>;
  using Decide = std::function<void(Request, Respond)>;

  RequestServer(Executor& executor, const Limits& limits, Admit admit, Decide decide);
  ~RequestServer();
  RequestServer(const RequestServer&) = delete;
  RequestServer& operator=(const RequestServer&) = delete;

  void accept(std::shared_ptr<transport::Connection> connection);
  std::size_t in_flight() const { return sessions_.size(); }
  std::uint64_t refused() const { return refused_; }

 private:
  class Session;

  Executor& executor_;
  const Limits limits_;
  Admit admit_;
  Decide decide_;
  security::AttemptLimiter limiter_;
  std::uint64_t refused_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Session>> sessions_;
};

}  // namespace peat::node
