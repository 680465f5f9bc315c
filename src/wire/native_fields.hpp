// Inside the codec of the native dialect: fields that several bodies share.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/reader.hpp"
#include "wire/native.hpp"
#include "wire/varint.hpp"

namespace peat::wire::fields {

// text  := varint length, length bytes of UTF-8 (at most wire_key_bytes)
Result<std::string> read_text(Reader& reader, std::string_view what, const Limits& limits);
Status check_text(std::string_view text, std::string_view what, const Limits& limits);

// bytes := varint length, length bytes
Result<ByteView> read_bytes(Reader& reader, std::string_view what);
void put_bytes(Writer& writer, ByteView bytes);

// A count of things that take at least `min_bytes` each, held to `limit`. What is returned may be
// reserved: the bytes that follow can hold it.
Result<std::size_t> read_count(Reader& reader, std::string_view what, std::size_t min_bytes,
                               std::uint64_t limit, std::string_view limit_name);
Status check_count(std::size_t count, std::string_view what, std::uint64_t limit,
                   std::string_view limit_name);

// --- bodies that have a file of their own
// ---------------------------------------------------------

Status put(Writer& writer, const Hello& hello, const Limits& limits);
Result<Hello> read_hello(Reader& reader, const Limits& limits);

Status put(Writer& writer, const DocChanges& changes, Compression compression,
           const Limits& limits);
Result<DocChanges> read_doc_changes(Reader& reader, const Limits& limits);
Status put(Writer& writer, const DocHeads& heads, const Limits& limits);
Result<DocHeads> read_doc_heads(Reader& reader, const Limits& limits);
Status put(Writer& writer, const Need& need, const Limits& limits);
Result<Need> read_need(Reader& reader, const Limits& limits);
Status put(Writer& writer, const DurableAck& ack, const Limits& limits);
Result<DurableAck> read_durable_ack(Reader& reader, const Limits& limits);

}  // namespace peat::wire::fields
