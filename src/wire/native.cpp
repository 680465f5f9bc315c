#include "wire/native.hpp"

#include <algorithm>

#include "base/encoding.hpp"
#include "wire/native_fields.hpp"

namespace peat::wire {

namespace {

using fields::put;

constexpr std::size_t kMinTombstoneElement = 1 + 25;
constexpr std::size_t kLengthBytes = 4;  // a varint form that can be filled in afterwards

// tombstones := varint position, varint count,
//               count × { varint length, tombstone of that length (wire/tombstone.hpp) }
Status put(Writer& writer, const Tombstones& tombstones, const Limits& limits) {
  PEAT_TRY_VOID(fields::check_count(tombstones.tombstones.size(), "tombstone list",
                                    limits.wire_tombstones_per_batch, "wire_tombstones_per_batch"));
  put_varint(writer, tombstones.position);
  put_varint(writer, tombstones.tombstones.size());
  Bytes element;
  for (const auto& tombstone : tombstones.tombstones) {
    element.clear();
    PEAT_TRY_VOID(encode(tombstone, element, limits));
    fields::put_bytes(writer, element);
  }
  return {};
}

Result<Tombstones> read_tombstones(Reader& reader, const Limits& limits) {
  Tombstones out;
  PEAT_TRY(out.position, read_varint(reader, "tombstones position"));
  PEAT_TRY(const auto count,
           fields::read_count(reader, "tombstone list", kMinTombstoneElement,
                              limits.wire_tombstones_per_batch, "wire_tombstones_per_batch"));
  out.tombstones.reserve(std::min<std::size_t>(count, 1024));
  for (std::size_t i = 0; i < count; ++i) {
    PEAT_TRY(const auto element, fields::read_bytes(reader, "tombstone"));
    PEAT_TRY(auto tombstone, decode_tombstone(element, limits));
    out.tombstones.push_back(std::move(tombstone));
  }
  return out;
}

// feed_done := varint position
// ping, pong := u64be token
// goodbye := varint code, text reason
// legacy := one frame of the old dialect (wire/frame.hpp)
Status put(Writer& writer, const FeedDone& done, const Limits&) {
  put_varint(writer, done.position);
  return {};
}

Status put(Writer& writer, const Ping& ping, const Limits&) {
  writer.u64be(ping.token);
  return {};
}

Status put(Writer& writer, const Pong& pong, const Limits&) {
  writer.u64be(pong.token);
  return {};
}

Status put(Writer& writer, const Goodbye& goodbye, const Limits& limits) {
  PEAT_TRY_VOID(fields::check_text(goodbye.reason, "goodbye reason", limits));
  put_varint(writer, goodbye.code);
  fields::put_bytes(writer, as_bytes(goodbye.reason));
  return {};
}

Status put(Writer& writer, const LegacyFrame& legacy, const Limits& limits) {
  Bytes frame;
  PEAT_TRY_VOID(
      encode_frame(legacy.frame.key, legacy.frame.type, legacy.frame.payload, frame, limits));
  writer.bytes(frame);
  return {};
}

Result<Goodbye> read_goodbye(Reader& reader, const Limits& limits) {
  Goodbye goodbye;
  PEAT_TRY(goodbye.code, read_varint(reader, "goodbye code"));
  PEAT_TRY(goodbye.reason, fields::read_text(reader, "goodbye reason", limits));
  return goodbye;
}

Result<LegacyFrame> read_legacy(Reader& reader, const Limits& limits) {
  auto rest = reader.rest();
  PEAT_TRY(auto frame, FrameReader(limits).read(rest));
  if (!frame) return fail(Code::malformed, "no usable frame of the old dialect is inside");
  return LegacyFrame{std::move(*frame)};
}

Status put_body(Bytes& out, const NativeFrame& frame, Compression compression,
                const Limits& limits) {
  Writer writer(out);
  if (const auto* changes = std::get_if<DocChanges>(&frame)) {
    return fields::put(writer, *changes, compression, limits);
  }
  return std::visit(
      [&]<class T>(const T& value) -> Status {
        if constexpr (std::is_same_v<T, DocChanges>) {
          return {};
        } else {
          return put(writer, value, limits);
        }
      },
      frame);
}

template <class T>
Result<NativeFrame> lift(Result<T> result) {
  if (!result) return std::unexpected(std::move(result).error());
  return NativeFrame(std::move(*result));
}

}  // namespace

NativeType type_of(const NativeFrame& frame) { return static_cast<NativeType>(frame.index()); }

Status encode(const NativeFrame& frame, Bytes& out, Compression compression, const Limits& limits) {
  const auto start = out.size();
  out.resize(start + kLengthBytes);
  out.push_back(static_cast<std::uint8_t>(type_of(frame)));
  auto status = put_body(out, frame, compression, limits);
  const auto size = out.size() - start - kLengthBytes - 1;
  if (status && size > std::min<std::uint64_t>(limits.wire_native_frame_bytes, (1U << 30) - 1)) {
    status = fail(Code::limit_exceeded, "a frame of " + std::to_string(size) +
                                            " bytes; the limit wire_native_frame_bytes is " +
                                            std::to_string(limits.wire_native_frame_bytes));
  }
  if (!status) {
    out.resize(start);
    return status;
  }
  const auto length = static_cast<std::uint32_t>(size) | 0x80000000U;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    out[start + i] = static_cast<std::uint8_t>(length >> (24 - 8 * i));
  }
  return {};
}

Result<NativeFrame> decode_native_body(NativeType type, ByteView body, const Limits& limits) {
  Reader reader(body);
  switch (type) {
    case NativeType::hello:
      return lift(fields::read_hello(reader, limits));
    case NativeType::doc_changes:
      return lift(fields::read_doc_changes(reader, limits));
    case NativeType::doc_heads:
      return lift(fields::read_doc_heads(reader, limits));
    case NativeType::need:
      return lift(fields::read_need(reader, limits));
    case NativeType::tombstones:
      return lift(read_tombstones(reader, limits));
    case NativeType::durable_ack:
      return lift(fields::read_durable_ack(reader, limits));
    case NativeType::feed_done: {
      PEAT_TRY(const auto position, read_varint(reader, "feed_done position"));
      return FeedDone{position};
    }
    case NativeType::ping: {
      PEAT_TRY(const auto token, reader.u64be("ping token"));
      return Ping{token};
    }
    case NativeType::pong: {
      PEAT_TRY(const auto token, reader.u64be("pong token"));
      return Pong{token};
    }
    case NativeType::goodbye:
      return lift(read_goodbye(reader, limits));
    case NativeType::legacy:
      return lift(read_legacy(reader, limits));
  }
  return fail(Code::unknown_type,
              "native frame type " + std::to_string(static_cast<int>(type)) + " is unknown");
}

// --- reader
// ---------------------------------------------------------------------------------------

NativeReader::NativeReader(const Limits& limits) : limits_(limits) {}

Result<std::optional<NativeFrame>> NativeReader::read(ByteView& input) {
  while (!error_) {
    if (!header_done_ && !take_header(input)) {
      if (error_) break;
      return std::nullopt;
    }
    const auto part = input.first(std::min<std::uint64_t>(remaining_, input.size()));
    const bool complete = part.size() == remaining_;
    input = input.subspan(part.size());
    remaining_ -= part.size();
    offset_ += part.size();
    const bool in_place = complete && body_.empty();
    if (known_ && !in_place) body_.insert(body_.end(), part.begin(), part.end());
    if (!complete) return std::nullopt;
    header_size_ = 0;
    header_done_ = false;
    if (!known_) {
      ++skipped_;
      continue;
    }
    auto frame = decode_native_body(static_cast<NativeType>(type_),
                                    in_place ? part : ByteView(body_), limits_);
    Bytes().swap(body_);
    if (!frame) {
      error_ = std::move(frame).error();
      error_->message += where();
      break;
    }
    ++frames_;
    return std::move(*frame);
  }
  return std::unexpected(*error_);
}

bool NativeReader::take_header(ByteView& input) {
  while (true) {
    const auto wanted = header_size_ == 0 ? 1 : varint_size_of_first(header_[0]) + 1;
    if (header_size_ > 0 && header_size_ == wanted) break;
    if (input.empty()) return false;
    header_[header_size_++] = input.front();
    input = input.subspan(1);
    ++offset_;
  }
  Reader reader(ByteView(header_).first(header_size_));
  const auto length = read_varint(reader, "frame length");
  const auto type = reader.u8("frame type");
  if (!length || !type) return false;
  type_ = *type;
  remaining_ = *length;
  known_ = type_ < std::variant_size_v<NativeFrame>;
  if (remaining_ > limits_.wire_native_frame_bytes) {
    error_ =
        Error{Code::limit_exceeded, "a body of " + std::to_string(remaining_) +
                                        " bytes; the limit wire_native_frame_bytes is " +
                                        std::to_string(limits_.wire_native_frame_bytes) + where()};
    return false;
  }
  header_done_ = true;
  return true;
}

std::string NativeReader::where() const {
  return " (native frame of type " + std::to_string(type_) + ", before byte " +
         std::to_string(offset_) + " of its stream)";
}

}  // namespace peat::wire
