// The native dialect (ALPN peat/sync/2): what our own nodes say to each other.
//
// After the formation handshake the dialler opens one bidirectional stream; frames follow each
// other in both directions of it, and the first of each side is its hello (docs/protocol.md). A
// frame names its length first, so that what a later version adds is passed over by an earlier one;
// what must not be passed over is announced as a required feature in the hello. Integers are
// big-endian, lengths and counts QUIC varints. Bytes after the last known field of a body are
// ignored.
//
//   stream := frame*
//   frame  := varint length, u8 type, body of that length
//
// A position is a place in the sender's change feed; 0 means none. The sender puts into a message
// the position that the receiver will have reached once it holds the message and everything
// before it; the receiver answers durable_ack when that is on its disk.
//
// Threading: values; one reader per stream half, one thread. Cost: one copy of each byte string;
// batches are compressed with DEFLATE where both sides offer it and it makes them smaller. Limits
// (base/limits.def): wire_native_frame_bytes, wire_inflated_bytes, wire_batch_entries,
// wire_key_bytes, wire_hashes, wire_tombstones_per_batch; a length or count is checked before
// anything is allocated for it. Errors: truncated, malformed, limit_exceeded, wrong_version; each
// names the field, the offset and the frame's type.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/limits.hpp"
#include "peat/automerge/types.hpp"
#include "peat/bytes.hpp"
#include "peat/error.hpp"
#include "wire/frame.hpp"
#include "wire/tombstone.hpp"

namespace peat::wire {

inline constexpr std::string_view kNativeAlpn = "peat/sync/2";
inline constexpr std::uint16_t kNativeVersionMin = 1;
inline constexpr std::uint16_t kNativeVersionMax = 1;

// Features, one bit each. A peer that does not know a required bit refuses the connection; an
// optional one is used when both sides offer it.
enum Feature : std::uint64_t {
  kFeatureDeflate = 1 << 0,  // doc_changes bodies may be compressed
};
inline constexpr std::uint64_t kKnownFeatures = kFeatureDeflate;

enum class NativeType : std::uint8_t {
  hello = 0,
  doc_changes = 1,
  doc_heads = 2,
  need = 3,
  tombstones = 4,
  durable_ack = 5,
  feed_done = 6,
  ping = 7,
  pong = 8,
  goodbye = 9,
  legacy = 10,
};

// "Of the feed of the store `store_id` I durably hold everything up to `position`."
struct Resume {
  std::array<std::uint8_t, 16> store_id{};
  std::uint64_t position = 0;
  friend bool operator==(const Resume&, const Resume&) = default;
};

// Who speaks, in which store, and what it takes.
struct Hello {
  std::uint16_t version_min = kNativeVersionMin;
  std::uint16_t version_max = kNativeVersionMax;
  std::uint64_t required_features = 0;
  std::uint64_t offered_features = kKnownFeatures;
  // The speaker's store. Another id, or a run that went back, means that acknowledged positions
  // no longer hold.
  std::array<std::uint8_t, 16> store_id{};
  std::uint64_t incarnation = 0;     // counts the opens of that store
  std::uint64_t wall_clock_ms = 0;   // since the Unix epoch; informs, decides nothing
  std::uint64_t last_position = 0;   // end of the speaker's feed
  std::uint64_t document_count = 0;  // in the speaker's store; 0: send documents unasked
  Resume resume;                     // of the listener's feed
  bool requires_bound_nonce = true;
  std::uint64_t max_frame_bytes = 0;     // largest body taken
  std::uint64_t max_inflated_bytes = 0;  // largest doc_changes body after inflating
  std::uint64_t max_entries = 0;         // most entries of one frame taken
  std::string node_id;
  // Logical clocks: the greatest deletion heard of, and the greatest that was collected.
  std::uint64_t lamport = 0;
  std::uint64_t horizon = 0;
  friend bool operator==(const Hello&, const Hello&) = default;
};

// A hello with this build's versions, features and limits filled in.
Hello make_hello(const Limits& limits = {});

// What holds between two sides after both hellos.
struct Negotiated {
  std::uint16_t version = 0;
  std::uint64_t features = 0;  // that both sides offer
  Limits send_limits;          // encode with these: the smaller of both sides'
};
// Code::wrong_version, naming both ranges or the feature bits that are missing here, or limits of
// the peer under which nothing useful could be sent.
Result<Negotiated> negotiate(const Hello& ours, const Hello& theirs, const Limits& limits = {});

// Changes of one document: `chunks` is any number of Automerge chunks back to back (changes or a
// whole document); `heads` are the sender's once they are applied.
struct DocumentChanges {
  std::string key;
  Epoch epoch;
  automerge::Heads heads;
  Bytes chunks;
  friend bool operator==(const DocumentChanges&, const DocumentChanges&) = default;
};
struct DocChanges {
  std::uint64_t position = 0;
  std::vector<DocumentChanges> documents;
  friend bool operator==(const DocChanges&, const DocChanges&) = default;
};

struct DocumentHeads {
  std::string key;
  Epoch epoch;
  automerge::Heads heads;
  friend bool operator==(const DocumentHeads&, const DocumentHeads&) = default;
};
// "I have these documents at these heads." Answered by exactly one need, be it empty.
struct DocHeads {
  std::uint64_t position = 0;
  std::vector<DocumentHeads> documents;
  friend bool operator==(const DocHeads&, const DocHeads&) = default;
};

// "Send me what leads to `want` (empty: to your heads) from `have`."
struct DocumentNeed {
  std::string key;
  std::vector<automerge::ChangeHash> want;
  automerge::Heads have;
  friend bool operator==(const DocumentNeed&, const DocumentNeed&) = default;
};
struct Need {
  bool answer = false;  // to the oldest doc_heads without one; else asked unprompted
  std::vector<DocumentNeed> documents;
  friend bool operator==(const Need&, const Need&) = default;
};

struct Tombstones {
  std::uint64_t position = 0;
  std::vector<Tombstone> tombstones;
  friend bool operator==(const Tombstones&, const Tombstones&) = default;
};

// "On my disk: your feed up to `position` (0: no statement), and these documents at these heads."
// Held, not necessarily valid.
struct DurableAck {
  std::uint64_t position = 0;
  std::vector<DocumentHeads> documents;
  friend bool operator==(const DurableAck&, const DurableAck&) = default;
};

// "You have everything of my feed up to `position`; from now on I send what changes."
struct FeedDone {
  std::uint64_t position = 0;
  friend bool operator==(const FeedDone&, const FeedDone&) = default;
};

struct Ping {
  std::uint64_t token = 0;
  friend bool operator==(const Ping&, const Ping&) = default;
};
struct Pong {
  std::uint64_t token = 0;  // the ping's
  friend bool operator==(const Pong&, const Pong&) = default;
};

// The speaker is about to close, and why. `code` as in error_codes.def, 0 for an orderly stop.
struct Goodbye {
  std::uint64_t code = 0;
  std::string reason;
  friend bool operator==(const Goodbye&, const Goodbye&) = default;
};

// A frame of the old dialect, carried inside.
struct LegacyFrame {
  Frame frame;
  friend bool operator==(const LegacyFrame&, const LegacyFrame&) = default;
};

using NativeFrame = std::variant<Hello, DocChanges, DocHeads, Need, Tombstones, DurableAck,
                                 FeedDone, Ping, Pong, Goodbye, LegacyFrame>;
NativeType type_of(const NativeFrame& frame);

enum class Compression : std::uint8_t { none, deflate };

// Appends the frame to `out`. DocChanges are compressed if asked for, if they are worth it and if
// it makes them smaller. Code::limit_exceeded, and `out` unchanged, for what no reader with these
// limits would take.
Status encode(const NativeFrame& frame, Bytes& out, Compression compression = Compression::none,
              const Limits& limits = {});

// Reads a body whose frame's type and length are known. Code::unknown_type for another type.
Result<NativeFrame> decode_native_body(NativeType type, ByteView body, const Limits& limits = {});

class NativeReader {
 public:
  explicit NativeReader(const Limits& limits = {});

  // Takes bytes from the front of `input` until a frame is complete or the input is used up.
  // Frames of an unknown type are passed over and counted, without being kept in memory. After an
  // error the reader gives that error for ever: end the connection with it.
  Result<std::optional<NativeFrame>> read(ByteView& input);

  // False in the middle of a frame.
  bool at_boundary() const { return header_size_ == 0; }

  std::uint64_t frames() const { return frames_; }
  std::uint64_t skipped() const { return skipped_; }
  // What the incomplete frame holds in memory.
  std::size_t buffered() const { return body_.size(); }

 private:
  bool take_header(ByteView& input);  // false: more input is needed, or error_ is set
  std::string where() const;

  Limits limits_;
  std::array<std::uint8_t, 9> header_{};  // varint and type
  std::size_t header_size_ = 0;
  bool header_done_ = false;
  bool known_ = false;
  std::uint8_t type_ = 0;
  std::uint64_t remaining_ = 0;
  Bytes body_;
  std::optional<Error> error_;
  std::uint64_t offset_ = 0;  // in the stream
  std::uint64_t frames_ = 0;
  std::uint64_t skipped_ = 0;
};

}  // namespace peat::wire
