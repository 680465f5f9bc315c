// The receiving half of the old dialect: frames out of every stream of one connection
// (spec/storage.md 18.3). Internal to the channel.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "sync/channel_link.hpp"
#include "wire/frame.hpp"

namespace peat::sync {

class InboundStreams {
 public:
  // `connection` outlives this object.
  InboundStreams(const LinkContext& context, transport::Connection& connection);
  ~InboundStreams();
  InboundStreams(const InboundStreams&) = delete;
  InboundStreams& operator=(const InboundStreams&) = delete;

  // Whether `stream` may carry batches without key: the reverse half of one that we opened.
  void on_data(transport::StreamId stream, ByteView data, bool fin, bool ours);
  void on_reset(transport::StreamId stream);
  // The peer will not read our half of a stream that it opened.
  void on_stop_sending(transport::StreamId stream) { answerable_.erase(stream); }

 private:
  struct Half {
    Half(const Limits& limits, wire::KeylessBatches keyless) : reader(limits, keyless) {}
    wire::FrameReader reader;
    Bytes waiting;  // not parsed yet: too many others are at it
    bool fin = false;
    bool dead = false;        // stopped by us: what still comes is thrown away
    std::uint64_t order = 0;  // when its present frame began
    Instant progress;
    std::uint64_t skipped = 0;  // as told to the statistics
    std::size_t buffered = 0;   // as counted in buffered_
  };

  void on_unidirectional(transport::StreamId stream, ByteView data, bool fin);
  // Parses from `input`; false if this object was cut off meanwhile.
  bool parse(transport::StreamId stream, Half& half, ByteView& input);
  bool may_parse(const Half& half) const;
  void account(Half& half, bool was_inside);
  bool end(transport::StreamId stream, Half& half);
  void stop(transport::StreamId stream, Half& half, std::uint64_t code);
  void answer_fin(transport::StreamId stream);
  void run_waiting();
  void arm_timer();
  void on_timer();

  LinkContext context_;
  transport::Connection& connection_;
  std::map<transport::StreamId, Half> halves_;
  std::map<transport::StreamId, Bytes> beats_;
  std::set<transport::StreamId> answerable_;  // opened by the peer, our half still open
  std::size_t inside_ = 0;                    // halves in the middle of a frame
  std::size_t buffered_ = 0;                  // bytes of unfinished frames
  std::uint64_t next_order_ = 1;
  TimerId timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace peat::sync
