// One connection under a channel: how one dialect puts messages on streams and takes them off.
// Internal to the channel.
#pragma once

#include <cstdint>
#include <memory>

#include "sync/channel.hpp"
#include "transport/connection.hpp"

namespace peat::sync {

// Numbers a message whose delivery the channel wants to hear of; 0: none.
using Ticket = std::uint64_t;

// Application error codes with which we stop streams and close connections; 0 is orderly.
inline constexpr std::uint64_t kStalledCode = 8;      // as Code::timeout
inline constexpr std::uint64_t kMalformedCode = 300;  // as Code::unknown_type

// What a link tells its channel. After any call the link may have been detached.
class LinkHost {
 public:
  virtual ~LinkHost() = default;
  virtual void on_link_frame(wire::Frame frame) = 0;
  virtual void on_link_native(wire::NativeFrame frame) = 0;
  virtual void on_link_room() = 0;  // has_room or wants_data may have become true
  virtual void on_link_delivered(Ticket ticket) = 0;
  virtual void on_link_restart() = 0;  // acknowledged frames may be lost: begin anew
  virtual void on_link_closed(const transport::CloseInfo& info) = 0;
  virtual ChannelStats& link_stats() = 0;
};

struct LinkContext {
  LinkHost& host;
  Executor& executor;
  const Limits& limits;
  const ChannelOptions& options;
};

class ChannelLink : public transport::ConnectionHandler {
 public:
  // Takes the connection's events from now on.
  virtual void start() = 0;
  // Whether send takes a message now.
  virtual bool has_room() const = 0;
  virtual bool wants_data() const = 0;
  // Encoded for the link's dialect. Requires has_room().
  virtual void send(Bytes message, Ticket ticket) = 0;
  // Writes what waits, then closes the connection; on_link_closed follows.
  virtual void finish() = 0;
  // No event reaches the host any more; the connection is left as it is.
  virtual void detach() = 0;
};

std::unique_ptr<ChannelLink> make_old_link(const LinkContext& context,
                                           std::shared_ptr<transport::Connection> connection);
std::unique_ptr<ChannelLink> make_native_link(const LinkContext& context,
                                              std::shared_ptr<transport::Connection> connection);

}  // namespace peat::sync
