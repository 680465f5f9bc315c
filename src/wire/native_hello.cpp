#include <algorithm>

#include "base/encoding.hpp"
#include "wire/native_fields.hpp"

namespace peat::wire {

namespace {

constexpr std::uint32_t kMagic = 0x70656174;  // "peat"
constexpr std::uint8_t kFlagBoundNonce = 1;
// Below this a peer could not take one document of ordinary size.
constexpr std::uint64_t kLeastBytes = 64 << 10;

std::string bits(std::uint64_t features) {
  std::string out;
  for (int bit = 0; bit < 64; ++bit) {
    if ((features >> bit & 1) != 0) out += (out.empty() ? "" : ", ") + std::to_string(bit);
  }
  return out;
}

using StoreId = std::array<std::uint8_t, 16>;

Result<StoreId> read_store_id(Reader& reader, std::string_view what) {
  StoreId id;
  PEAT_TRY(const auto bytes, reader.take(id.size(), what));
  std::copy(bytes.begin(), bytes.end(), id.begin());
  return id;
}

constexpr std::uint64_t kClocks = 1;

void put_extension(Writer& writer, std::uint64_t tag, ByteView value) {
  put_varint(writer, tag);
  fields::put_bytes(writer, value);
}

std::string range(const Hello& hello) {
  return std::to_string(hello.version_min) + " to " + std::to_string(hello.version_max);
}

}  // namespace

Hello make_hello(const Limits& limits) {
  Hello hello;
  hello.max_frame_bytes = limits.wire_native_frame_bytes;
  hello.max_inflated_bytes = limits.wire_inflated_bytes;
  hello.max_entries = limits.wire_batch_entries;
  return hello;
}

Result<Negotiated> negotiate(const Hello& ours, const Hello& theirs, const Limits& limits) {
  Negotiated out;
  out.version = std::min(ours.version_max, theirs.version_max);
  if (out.version < std::max(ours.version_min, theirs.version_min)) {
    return fail(Code::wrong_version, "we speak versions " + range(ours) + " of " +
                                         std::string(kNativeAlpn) + ", the peer " + range(theirs) +
                                         ": update the older node");
  }
  const auto missing = theirs.required_features & ~kKnownFeatures;
  if (missing != 0) {
    return fail(Code::wrong_version, "the peer requires features that are unknown here (bits " +
                                         bits(missing) + "): update this node");
  }
  const auto refused = ours.required_features & ~theirs.offered_features;
  if (refused != 0) {
    return fail(Code::wrong_version, "the peer does not offer what is required here (bits " +
                                         bits(refused) + "): update that node");
  }
  if (theirs.max_frame_bytes < kLeastBytes || theirs.max_inflated_bytes < kLeastBytes ||
      theirs.max_entries == 0) {
    return fail(Code::wrong_version, "the peer takes frames of " +
                                         std::to_string(theirs.max_frame_bytes) + " bytes, " +
                                         std::to_string(theirs.max_inflated_bytes) +
                                         " inflated, with " + std::to_string(theirs.max_entries) +
                                         " entries: too little; 65536, 65536 and "
                                         "1 are the least");
  }
  out.features = ours.offered_features & theirs.offered_features;
  out.send_limits = limits;
  auto& send = out.send_limits;
  send.wire_native_frame_bytes = std::min(limits.wire_native_frame_bytes, theirs.max_frame_bytes);
  send.wire_inflated_bytes = std::min(limits.wire_inflated_bytes, theirs.max_inflated_bytes);
  send.wire_batch_entries = std::min(limits.wire_batch_entries, theirs.max_entries);
  return out;
}

namespace fields {

// hello := "peat", u16be version_min, u16be version_max, u64be required, u64be offered,
//          store_id[16], u64be incarnation, u64be wall_clock_ms, varint last_position,
//          varint document_count, resume, u8 flags, varint max_frame_bytes,
//          varint max_inflated_bytes, varint max_entries, text node_id, extension*
// extension := varint tag, bytes value
//   tag 1, clocks: u64be lamport, u64be horizon
// Extensions of unknown tags, and what later versions append to a value, are passed over.
// resume := store_id[16], varint position
// flags := bit 0: a bound formation nonce is required; others are ignored
Status put(Writer& writer, const Hello& hello, const Limits& limits) {
  PEAT_TRY_VOID(check_text(hello.node_id, "node id", limits));
  writer.u32be(kMagic);
  writer.u16be(hello.version_min);
  writer.u16be(hello.version_max);
  writer.u64be(hello.required_features);
  writer.u64be(hello.offered_features);
  writer.bytes(hello.store_id);
  writer.u64be(hello.incarnation);
  writer.u64be(hello.wall_clock_ms);
  put_varint(writer, hello.last_position);
  put_varint(writer, hello.document_count);
  writer.bytes(hello.resume.store_id);
  put_varint(writer, hello.resume.position);
  writer.u8(hello.requires_bound_nonce ? kFlagBoundNonce : 0);
  put_varint(writer, hello.max_frame_bytes);
  put_varint(writer, hello.max_inflated_bytes);
  put_varint(writer, hello.max_entries);
  put_bytes(writer, as_bytes(hello.node_id));
  if (hello.lamport != 0 || hello.horizon != 0) {
    Bytes clocks;
    Writer fields(clocks);
    fields.u64be(hello.lamport);
    fields.u64be(hello.horizon);
    put_extension(writer, kClocks, clocks);
  }
  return {};
}

Status read_extension(std::uint64_t tag, ByteView value, Hello& hello) {
  Reader reader(value);
  if (tag == kClocks) {
    PEAT_TRY(hello.lamport, reader.u64be("hello lamport clock"));
    PEAT_TRY(hello.horizon, reader.u64be("hello horizon"));
  }
  return {};
}

Result<Hello> read_hello(Reader& reader, const Limits& limits) {
  PEAT_TRY(const auto magic, reader.u32be("hello magic"));
  if (magic != kMagic) {
    return fail(Code::malformed, "the hello does not begin with \"peat\": this is no peer of " +
                                     std::string(kNativeAlpn));
  }
  Hello hello;
  PEAT_TRY(hello.version_min, reader.u16be("hello version_min"));
  PEAT_TRY(hello.version_max, reader.u16be("hello version_max"));
  PEAT_TRY(hello.required_features, reader.u64be("hello required features"));
  PEAT_TRY(hello.offered_features, reader.u64be("hello offered features"));
  PEAT_TRY(hello.store_id, read_store_id(reader, "hello store id"));
  PEAT_TRY(hello.incarnation, reader.u64be("hello incarnation"));
  PEAT_TRY(hello.wall_clock_ms, reader.u64be("hello clock"));
  PEAT_TRY(hello.last_position, read_varint(reader, "hello last position"));
  PEAT_TRY(hello.document_count, read_varint(reader, "hello document count"));
  PEAT_TRY(hello.resume.store_id, read_store_id(reader, "hello resume store id"));
  PEAT_TRY(hello.resume.position, read_varint(reader, "hello resume position"));
  PEAT_TRY(const auto flags, reader.u8("hello flags"));
  hello.requires_bound_nonce = (flags & kFlagBoundNonce) != 0;
  PEAT_TRY(hello.max_frame_bytes, read_varint(reader, "hello max_frame_bytes"));
  PEAT_TRY(hello.max_inflated_bytes, read_varint(reader, "hello max_inflated_bytes"));
  PEAT_TRY(hello.max_entries, read_varint(reader, "hello max_entries"));
  PEAT_TRY(hello.node_id, read_text(reader, "hello node id", limits));
  while (!reader.done()) {
    PEAT_TRY(const auto tag, read_varint(reader, "hello extension tag"));
    PEAT_TRY(const auto value, read_bytes(reader, "hello extension"));
    PEAT_TRY_VOID(read_extension(tag, value, hello));
  }
  return hello;
}

}  // namespace fields
}  // namespace peat::wire
