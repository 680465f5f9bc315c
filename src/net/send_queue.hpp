// What one stream still has to send, or has sent and may have to send again.
//
// Data is copied once, into chunks that never move: ngtcp2 keeps pointers into them until the
// peer acknowledged the bytes (for retransmission). Positions are stream offsets:
//
//   acknowledged() <= next() <= end()
//        |  in flight  |  unsent  |
//
// Cost: one copy per byte; small writes share a chunk. Threading: one thread.
#pragma once

#include <ngtcp2/ngtcp2.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <span>

#include "peat/bytes.hpp"

namespace peat::net {

class SendQueue {
 public:
  // Appends a copy of `data`. Throws std::bad_alloc and is then unchanged.
  void push(ByteView data);

  std::uint64_t acknowledged() const { return begin_; }
  std::uint64_t next() const { return next_; }
  std::uint64_t end() const { return end_; }
  std::uint64_t unsent() const { return end_ - next_; }
  std::uint64_t unacknowledged() const { return end_ - begin_; }
  // Memory held, counting what chunks have spare.
  std::uint64_t capacity() const { return capacity_; }

  // Fills `out` with the first unsent pieces; returns how many.
  std::size_t gather(std::span<ngtcp2_vec> out) const;
  // The first `bytes` unsent bytes are now in flight.
  void sent(std::uint64_t bytes) { next_ += bytes; }
  // Everything below stream offset `offset` arrived; its chunks are freed.
  void acknowledge(std::uint64_t offset);
  // Nothing more will be sent or pushed (a reset): what is unsent is forgotten. Bytes in flight
  // stay, since ngtcp2 may still point to them.
  void abandon_unsent() { end_ = next_; }

 private:
  struct Chunk {
    std::uint64_t offset;  // of its first byte
    std::uint32_t capacity;
    std::uint32_t size;
    std::unique_ptr<std::uint8_t[]> bytes;
  };
  static constexpr std::size_t kSmallestChunk = 512;
  static constexpr std::size_t kLargestChunk = 64 << 10;

  std::deque<Chunk> chunks_;
  std::uint64_t begin_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t capacity_ = 0;
};

}  // namespace peat::net
