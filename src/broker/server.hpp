// The HTTP/1.1 server in front of a Router.
//
// One coroutine per connection, all on the loop. A client that stalls is let go: the header has
// http_header_seconds, everything else http_idle_seconds without progress (fault F24). At most
// http_connections are served; one more is told 503. All request bodies together take at most
// http_bodies_bytes of memory, one at most http_body_bytes.
//
// Over the Unix socket the file's permissions decide: requests need no token, and no Host or Origin
// of ours, because no web page gets there.
//
// Threading: the loop. Errors: start() gives Code::io_error or bad_setting with the address.
#pragma once

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <string>

#include "base/limits.hpp"
#include "base/time.hpp"
#include "broker/router.hpp"
#include "node/settings.hpp"
#include "peat/error.hpp"

namespace peat::broker {

class Server {
 public:
  Server(boost::asio::io_context& loop, Router& router, const Limits& limits);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens; `address` is numeric. Port 0 chooses one.
  Status start(const node::HostPort& address);
  // Listens on a Unix socket of this path, which its owner alone may use, as well. A socket that is
  // there already is replaced: the caller knows that no other node uses it.
  Status start_local(const std::string& path);
  std::string local_address() const;  // "127.0.0.1:8081"
  node::HttpCounters counters() const;

  // Accepts no more, closes idle connections and endless streams, lets requests under way finish
  // for at most `patience`, then cuts them; `done` when no connection is left.
  void stop(Duration patience, std::function<void()> done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace peat::broker
