#include "wire/native_fields.hpp"

#include "base/encoding.hpp"

namespace peat::wire::fields {

namespace {

std::unexpected<Error> over(std::string_view what, std::uint64_t count, std::uint64_t limit,
                            std::string_view limit_name) {
  return fail(Code::limit_exceeded, std::string(what) + " of " + std::to_string(count) +
                                        "; the limit " + std::string(limit_name) + " is " +
                                        std::to_string(limit));
}

}  // namespace

Result<ByteView> read_bytes(Reader& reader, std::string_view what) {
  PEAT_TRY(const auto length, read_varint(reader, what));
  return reader.take(static_cast<std::size_t>(length), what);
}

void put_bytes(Writer& writer, ByteView bytes) {
  put_varint(writer, bytes.size());
  writer.bytes(bytes);
}

Result<std::string> read_text(Reader& reader, std::string_view what, const Limits& limits) {
  PEAT_TRY(const auto bytes, read_bytes(reader, what));
  PEAT_TRY_VOID(check_text(as_text(bytes), what, limits));
  if (!is_utf8(as_text(bytes))) {
    return fail(Code::malformed, std::string(what) + " before offset " +
                                     std::to_string(reader.offset()) + " is not UTF-8");
  }
  return std::string(as_text(bytes));
}

Status check_text(std::string_view text, std::string_view what, const Limits& limits) {
  if (text.size() <= limits.wire_key_bytes) return {};
  return over(what, text.size(), limits.wire_key_bytes, "wire_key_bytes");
}

Result<std::size_t> read_count(Reader& reader, std::string_view what, std::size_t min_bytes,
                               std::uint64_t limit, std::string_view limit_name) {
  PEAT_TRY(const auto count, read_varint(reader, what));
  if (count > limit) return over(what, count, limit, limit_name);
  if (count > reader.remaining() / min_bytes) {
    return reader.truncated(static_cast<std::size_t>(count) * min_bytes, what);
  }
  return static_cast<std::size_t>(count);
}

Status check_count(std::size_t count, std::string_view what, std::uint64_t limit,
                   std::string_view limit_name) {
  if (count <= limit) return {};
  return over(what, count, limit, limit_name);
}

}  // namespace peat::wire::fields
