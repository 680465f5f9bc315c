#include "wire/frame.hpp"

#include <algorithm>
#include <utility>

#include "base/encoding.hpp"
#include "base/reader.hpp"

namespace peat::wire {

namespace {

constexpr bool is_known(std::uint8_t type) {
  switch (static_cast<FrameType>(type)) {
    case FrameType::delta:
    case FrameType::snapshot:
    case FrameType::tombstone:
    case FrameType::tombstone_batch:
    case FrameType::batch:
    case FrameType::negentropy_init:
    case FrameType::negentropy_response:
      return true;
  }
  return false;
}

constexpr bool names_document(FrameType type) {
  return type == FrameType::delta || type == FrameType::snapshot;
}

constexpr bool is_negentropy(FrameType type) {
  return type == FrameType::negentropy_init || type == FrameType::negentropy_response;
}

std::uint64_t payload_limit(FrameType type, const Limits& limits) {
  return is_negentropy(type) ? std::min(limits.wire_negentropy_bytes, limits.wire_payload_bytes)
                             : limits.wire_payload_bytes;
}

}  // namespace

// stream  := frame*
// frame   := u16be key_length, key, u8 type, u32be payload_length, payload
// keyless := 0x07, u32be payload_length, payload        where KeylessBatches::accept, and only
//                                                       before the first frame with a key
Status encode_frame(std::string_view key, FrameType type, ByteView payload, Bytes& out,
                    const Limits& limits) {
  if (key.size() > std::min<std::uint64_t>(limits.wire_key_bytes, 0xffff)) {
    return fail(Code::limit_exceeded, "frame key of " + std::to_string(key.size()) +
                                          " bytes; the limit wire_key_bytes is " +
                                          std::to_string(limits.wire_key_bytes));
  }
  if (payload.size() > std::min<std::uint64_t>(payload_limit(type, limits), 0xffffffff)) {
    return fail(Code::limit_exceeded, "frame payload of " + std::to_string(payload.size()) +
                                          " bytes; the limit is " +
                                          std::to_string(payload_limit(type, limits)));
  }
  Writer writer(out);
  writer.u16be(static_cast<std::uint16_t>(key.size()));
  writer.text(key);
  writer.u8(static_cast<std::uint8_t>(type));
  writer.u32be(static_cast<std::uint32_t>(payload.size()));
  writer.bytes(payload);
  return {};
}

FrameReader::FrameReader(const Limits& limits, KeylessBatches keyless)
    : limits_(limits), keyless_(keyless) {}

Result<std::optional<Frame>> FrameReader::read(ByteView& input) {
  while (!complete_ && state_ != State::failed && step(input)) {
  }
  if (state_ == State::failed) return std::unexpected(error_);
  if (!std::exchange(complete_, false)) return std::nullopt;
  ++frames_;
  return std::exchange(frame_, Frame{});
}

bool FrameReader::step(ByteView& input) {
  switch (state_) {
    case State::start:
      if (input.empty()) return false;
      begin();
      if (keyless_ == KeylessBatches::accept && input.front() == 0x07) {
        frame_.type = FrameType::batch;
        take(input, 1);
        state_ = State::length;
      } else {
        state_ = State::key_length;
      }
      return true;
    case State::key_length:
      if (!take_number(input, 2)) return false;
      on_key_length();
      return true;
    case State::key:
      return take_key(input);
    case State::type:
      if (input.empty()) return false;
      on_type(take(input, 1).front());
      return true;
    case State::length:
      if (!take_number(input, 4)) return false;
      on_length();
      return true;
    case State::payload:
    case State::skip:
      return take_payload(input);
    case State::failed:
      return false;
  }
  return false;
}

ByteView FrameReader::take(ByteView& input, std::size_t at_most) {
  const auto part = input.first(std::min(at_most, input.size()));
  input = input.subspan(part.size());
  offset_ += part.size();
  return part;
}

void FrameReader::begin() {
  frame_ = Frame{};
  number_ = 0;
  number_bytes_ = 0;
  known_ = true;
}

bool FrameReader::take_number(ByteView& input, std::size_t width) {
  while (number_bytes_ < width) {
    if (input.empty()) return false;
    number_ = number_ << 8 | take(input, 1).front();
    ++number_bytes_;
  }
  number_bytes_ = 0;
  remaining_ = std::exchange(number_, 0);
  return true;
}

void FrameReader::on_key_length() {
  if (remaining_ > limits_.wire_key_bytes) {
    refuse("key", remaining_, "wire_key_bytes", limits_.wire_key_bytes);
    return;
  }
  keyless_ = KeylessBatches::refuse;
  state_ = State::key;
}

bool FrameReader::take_key(ByteView& input) {
  const auto part = take(input, remaining_);
  frame_.key.append(as_text(part));
  remaining_ -= static_cast<std::uint32_t>(part.size());
  if (remaining_ > 0) return false;
  state_ = State::type;
  return true;
}

void FrameReader::on_type(std::uint8_t type) {
  known_ = is_known(type);
  if (known_) frame_.type = static_cast<FrameType>(type);
  if (known_ && names_document(frame_.type) && !is_utf8(frame_.key)) known_ = false;
  state_ = State::length;
}

void FrameReader::on_length() {
  // Unknown types are held to the general limit too, so that a broken peer is noticed at once.
  const auto type = known_ ? frame_.type : FrameType::batch;
  const auto bound = payload_limit(type, limits_);
  if (remaining_ > bound) {
    refuse("payload", remaining_,
           is_negentropy(type) ? "wire_negentropy_bytes" : "wire_payload_bytes", bound);
    return;
  }
  state_ = known_ ? State::payload : State::skip;
}

bool FrameReader::take_payload(ByteView& input) {
  const auto part = take(input, remaining_);
  if (state_ == State::payload) {
    frame_.payload.insert(frame_.payload.end(), part.begin(), part.end());
  }
  remaining_ -= static_cast<std::uint32_t>(part.size());
  if (remaining_ > 0) return false;
  if (state_ == State::payload) {
    complete_ = true;
  } else {
    ++skipped_;
    frame_ = Frame{};
  }
  state_ = State::start;
  return true;
}

void FrameReader::refuse(std::string what, std::uint64_t size, std::string_view limit,
                         std::uint64_t bound) {
  state_ = State::failed;
  frame_ = Frame{};
  error_ = Error{Code::limit_exceeded, "a frame announces, before byte " + std::to_string(offset_) +
                                           " of its stream, a " + std::move(what) + " of " +
                                           std::to_string(size) + " bytes; the limit " +
                                           std::string(limit) + " is " + std::to_string(bound)};
}

}  // namespace peat::wire
