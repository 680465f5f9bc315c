// Frames of the old dialect (ALPN cap/automerge/1): what every message travels in.
//
// Exactly what existing peers speak; no byte is ever added here. A stream holds frames back to
// back, in both directions. A frame has no version and no checksum; its length is known, so an
// unknown type costs its bytes and nothing else.
//
// Threading: one reader per stream half, one thread. Cost: each payload byte is copied once.
// Limits (base/limits.def): wire_key_bytes, wire_payload_bytes, wire_negentropy_bytes; a length
// beyond its limit ends the stream before anything is allocated, and a payload's memory grows
// with the bytes that arrived, not with the length that was announced. Errors: limit_exceeded.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/limits.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"

namespace peat::wire {

enum class FrameType : std::uint8_t {
  delta = 0x00,                // one Automerge sync message; key is the document's
  snapshot = 0x01,             // a complete saved document; key is the document's
  tombstone = 0x04,            // wire/tombstone.hpp; the key is ignored
  tombstone_batch = 0x05,      // wire/tombstone.hpp; the key is ignored
  batch = 0x07,                // wire/batch.hpp; the key is ignored
  negentropy_init = 0x08,      // the key is ignored
  negentropy_response = 0x09,  // the key is ignored
};

// The keys that messages without a document carry.
inline constexpr std::string_view kBatchKey = "batch";
inline constexpr std::string_view kTombstoneBatchKey = "tombstones:batch";
// A single tombstone's frame is keyed "tombstones:<collection>:<id>".
inline constexpr std::string_view kTombstoneKeyPrefix = "tombstones:";

struct Frame {
  std::string key;
  FrameType type = FrameType::delta;
  Bytes payload;
  friend bool operator==(const Frame&, const Frame&) = default;
};

inline constexpr std::size_t kFrameOverhead = 7;  // beside key and payload

// Appends a frame to `out`. Code::limit_exceeded (and `out` unchanged) if key or payload exceed
// their limits: nothing is ever truncated.
Status encode_frame(std::string_view key, FrameType type, ByteView payload, Bytes& out,
                    const Limits& limits = {});

// Whether a stream half may carry batches without key: only the reverse half of a stream that we
// opened, where an old peer's channel writes `07 u32be length batch`.
enum class KeylessBatches : std::uint8_t { refuse, accept };

class FrameReader {
 public:
  explicit FrameReader(const Limits& limits = {}, KeylessBatches keyless = KeylessBatches::refuse);

  // Takes bytes from the front of `input` until a frame is complete or the input is used up.
  // Frames of a type that is not in FrameType, and documents' frames whose key is not UTF-8, are
  // passed over and counted. After an error the reader gives that error for ever: stop the stream.
  Result<std::optional<Frame>> read(ByteView& input);

  // False in the middle of a frame: a FIN there discards only that frame.
  bool at_boundary() const { return state_ == State::start; }

  std::uint64_t frames() const { return frames_; }
  std::uint64_t skipped() const { return skipped_; }
  // What the incomplete frame holds in memory.
  std::size_t buffered() const { return frame_.key.size() + frame_.payload.size(); }

 private:
  enum class State : std::uint8_t { start, key_length, key, type, length, payload, skip, failed };

  ByteView take(ByteView& input, std::size_t at_most);
  // Each takes what it can from `input`; false: it needs more.
  bool take_number(ByteView& input, std::size_t width);
  bool step(ByteView& input);
  bool take_key(ByteView& input);
  void on_key_length();
  void on_type(std::uint8_t type);
  void on_length();
  bool take_payload(ByteView& input);
  void refuse(std::string what, std::uint64_t size, std::string_view limit, std::uint64_t bound);
  void begin();

  Limits limits_;
  KeylessBatches keyless_;
  State state_ = State::start;
  std::uint32_t number_ = 0;      // a length in the making
  std::size_t number_bytes_ = 0;  // how many of its bytes are there
  std::uint32_t remaining_ = 0;   // of key, payload or skipped payload
  bool known_ = true;
  bool complete_ = false;
  Frame frame_;
  Error error_;
  std::uint64_t frames_ = 0;
  std::uint64_t skipped_ = 0;
  std::uint64_t offset_ = 0;  // in the stream
};

}  // namespace peat::wire
