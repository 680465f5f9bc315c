#include "net/frame_scan.hpp"

#include <optional>

namespace peat::net {
namespace {

// A cursor that turns false at the first read past the end and stays so.
class Cursor {
 public:
  explicit Cursor(ByteView input) : input_(input) {}

  bool ok() const { return ok_; }
  bool done() const { return input_.empty(); }

  // RFC 9000 section 16: the two top bits of the first byte give the length.
  std::uint64_t varint() {
    if (input_.empty()) return failed();
    const std::size_t length = std::size_t{1} << (input_[0] >> 6);
    if (length > input_.size()) return failed();
    std::uint64_t value = input_[0] & 0x3f;
    for (std::size_t i = 1; i < length; ++i) value = value << 8 | input_[i];
    input_ = input_.subspan(length);
    return value;
  }
  void varints(int count) {
    while (count-- > 0 && ok_) varint();
  }
  void skip(std::uint64_t length) {
    if (length > input_.size()) {
      failed();
    } else {
      input_ = input_.subspan(length);
    }
  }

 private:
  std::uint64_t failed() {
    ok_ = false;
    input_ = {};
    return 0;
  }

  ByteView input_;
  bool ok_ = true;
};

// ACK: largest, delay, count, first range, then count pairs; type 3 adds three ECN counts.
void skip_ack(Cursor& in, bool ecn) {
  in.varints(2);
  std::uint64_t ranges = in.varint();
  in.varints(1);
  for (; ranges > 0 && in.ok(); --ranges) in.varints(2);
  if (ecn) in.varints(3);
}

// STREAM: id, offset if bit 2, length if bit 1 (else to the end of the packet).
void skip_stream(Cursor& in, std::uint64_t type) {
  in.varints(type & 4 ? 2 : 1);
  if (type & 2) {
    in.skip(in.varint());
  } else {
    in = Cursor({});
  }
}

// False if the type is unknown.
bool skip_frame(Cursor& in, std::uint64_t type) {
  if (type >= 0x08 && type <= 0x0f) {
    skip_stream(in, type);
    return true;
  }
  switch (type) {
    case 0x00:  // PADDING
    case 0x01:  // PING
    case 0x1e:  // HANDSHAKE_DONE
      return true;
    case 0x02:
    case 0x03:
      skip_ack(in, type == 0x03);
      return true;
    case 0x04:  // RESET_STREAM: stream, code, final size
      in.varints(3);
      return true;
    case 0x06:  // CRYPTO: offset, length, data
      in.varints(1);
      in.skip(in.varint());
      return true;
    case 0x07:  // NEW_TOKEN
      in.skip(in.varint());
      return true;
    case 0x10:  // MAX_DATA
    case 0x12:  // MAX_STREAMS
    case 0x13:
    case 0x14:  // DATA_BLOCKED
    case 0x16:  // STREAMS_BLOCKED
    case 0x17:
    case 0x19:  // RETIRE_CONNECTION_ID
      in.varints(1);
      return true;
    case 0x11:  // MAX_STREAM_DATA
    case 0x15:  // STREAM_DATA_BLOCKED
      in.varints(2);
      return true;
    case 0x18:  // NEW_CONNECTION_ID: sequence, retire prior to, length byte, id, token
      in.varints(2);
      in.skip(in.varint() + 16);  // the length byte is at most 20, hence also a varint
      return true;
    case 0x1a:  // PATH_CHALLENGE
    case 0x1b:  // PATH_RESPONSE
      in.skip(8);
      return true;
    default:
      return false;  // closes end the packet's meaning; the rest is not ours to know
  }
}

}  // namespace

void scan_stop_sending(ByteView payload, std::vector<StopSending>& out) {
  Cursor in(payload);
  while (in.ok() && !in.done()) {
    const auto type = in.varint();
    if (type == 0x05) {  // STOP_SENDING: stream, code
      const auto stream = in.varint();
      const auto code = in.varint();
      if (in.ok()) out.push_back({stream, code});
    } else if (!skip_frame(in, type)) {
      return;
    }
  }
}

}  // namespace peat::net
