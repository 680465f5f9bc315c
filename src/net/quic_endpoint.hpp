// A QUIC endpoint on one UDP socket: transport::Endpoint for a running node.
//
// Joins the protocol core (QuicCore) with a socket (UdpSocket), a timer and name resolution, on
// an Asio event loop. Asio serves for readiness only.
//
// Use:
//   auto endpoint = QuicEndpoint::create(loop, {.id = id, .sign = …, .bind = "0.0.0.0:11204"});
//   (*endpoint)->listen({"peat/sync/2", "cap/automerge/1"}, [](auto connection) { … });
//   (*endpoint)->dial(peer, "host:11204", {"peat/sync/2", "cap/automerge/1"}, [](auto result) {…});
//
// Callbacks must give the connection its handler before they return (set_handler): events that
// find none are lost. What a connection does: net/quic_connection.hpp.
//
// Dialling. `address` is "host:port" or "[v6]:port"; a numeric address never touches DNS. A name
// is resolved beside the loop; up to kAddressesTried of its addresses that the socket can reach
// are tried, each kDialStagger after the one before, and the first that completes wins.
// Errors: wrong_peer (another id answered), protocol_refused (no ALPN in common),
// connection_refused (the peer said no), timeout, unreachable (no route, no such host),
// invalid_argument, shut_down.
//
// Accepting. `listen` takes the protocols in order of preference; ours decides. Peers' ids are
// proven, not authorised: an accepted connection is held to the limits of strangers until
// mark_authenticated().
//
// Threading: all calls and callbacks on the loop's thread. Cost: one descriptor, about 600 KiB of
// buffers. The endpoint must not outlive the loop. Destroying it without shutdown() drops its
// connections without a word.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/options.hpp"
#include "transport/connection.hpp"

namespace boost::asio {
class io_context;
}

namespace peat::net {

class QuicEndpoint final : public transport::Endpoint {
 public:
  static constexpr std::size_t kAddressesTried = 4;
  static constexpr Duration kDialStagger = std::chrono::milliseconds(250);

  // Binds the socket. Errors: invalid_argument (an option), io_error (the socket).
  static Result<std::unique_ptr<QuicEndpoint>> create(boost::asio::io_context& loop,
                                                      EndpointOptions options);
  ~QuicEndpoint() override;

  EndpointId id() const override;
  std::string local_address() const override;
  void dial(const EndpointId& peer, const std::string& address, std::vector<std::string> alpns,
            transport::DialCallback done) override;
  void listen(std::vector<std::string> alpns, transport::AcceptCallback accept) override;
  void shutdown(std::uint64_t code, std::string_view reason, std::function<void()> done) override;

  EndpointStats stats() const;
  int native_handle() const;  // the socket, for tests and diagnosis

 private:
  class Impl;
  explicit QuicEndpoint(std::shared_ptr<Impl> impl);

  std::shared_ptr<Impl> impl_;
};

}  // namespace peat::net
