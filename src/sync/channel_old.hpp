// A link of the old dialect: the emit rules of spec/storage.md 18.2. Internal to the channel.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "sync/channel_inbound.hpp"
#include "sync/channel_link.hpp"

namespace peat::sync {

// Whether the peer reads more than one frame from a stream:
//
//   unknown ── first frame, no FIN ──► probing ── acknowledged, then max(500 ms, 3 RTT) ──► reads
//   on
//                                         │                                                    │
//                                         └── STOP_SENDING, FIN or RESET of the reverse half ──┴─►
//                                         one frame
class OldLink final : public ChannelLink {
 public:
  OldLink(const LinkContext& context, std::shared_ptr<transport::Connection> connection);
  ~OldLink() override;

  void start() override;
  bool has_room() const override;
  bool wants_data() const override;
  void send(Bytes message, Ticket ticket) override;
  void finish() override;
  void detach() override;

  void on_data(transport::Connection&, transport::StreamId stream, ByteView data,
               bool fin) override;
  void on_wants_data(transport::Connection&, transport::StreamId stream) override;
  void on_acknowledged(transport::Connection&, transport::StreamId stream) override;
  void on_reset(transport::Connection&, transport::StreamId stream, std::uint64_t code) override;
  void on_stop_sending(transport::Connection&, transport::StreamId stream,
                       std::uint64_t code) override;
  void on_streams_available(transport::Connection&) override;
  void on_closed(transport::Connection&, const transport::CloseInfo& info) override;

 private:
  enum class Verdict : std::uint8_t { unknown, probing, reads_on, one_frame };
  struct Message {
    Bytes bytes;
    Ticket ticket = 0;
    std::uint32_t tries = 0;
  };
  struct Sent {
    Message message;
    std::uint64_t end = 0;  // offset in the stream
  };
  struct OutStream {
    std::deque<Sent> unproven;  // not acknowledged yet
    std::uint64_t written = 0;
    bool fin = false;
  };

  bool ours(transport::StreamId stream) const {
    return transport::opened_by_dialler(stream) == connection_->dialled();
  }
  // The stream written to last still has more than a packet to send.
  bool backed_up() const;
  // Sends what waits, as far as streams and windows allow.
  void flush();
  bool try_send(Message& message);
  bool write(transport::StreamId stream, Message& message, bool fin);
  void release(transport::StreamId stream);
  void deliver_all(transport::StreamId stream);
  // Takes back what `stream` did not prove, to go out again.
  void take_back(transport::StreamId stream);
  void on_one_frame(transport::StreamId stream);
  void on_probe_acknowledged();
  void on_persistent_lost(transport::StreamId stream);
  void beat();
  void arm_beat();
  bool spoken_to() const { return !detached_ && !closed_; }

  LinkContext context_;
  std::shared_ptr<transport::Connection> connection_;
  InboundStreams inbound_;
  Verdict verdict_ = Verdict::unknown;
  std::optional<transport::StreamId> kept_open_;  // the probe's, then the persistent stream
  std::optional<transport::StreamId> latest_;     // written to last
  std::map<transport::StreamId, OutStream> out_;
  std::uint64_t unproven_bytes_ = 0;
  std::optional<Message> waiting_;
  std::deque<Message> again_;
  TimerId probe_timer_ = 0;
  TimerId beat_timer_ = 0;
  std::uint32_t beats_skipped_ = 0;
  bool detached_ = false;
  bool closed_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace peat::sync
