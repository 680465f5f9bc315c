// Shared by the engine's tests: fixed actors, short edits, and change chunks made by hand.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "automerge/chunk.hpp"
#include "automerge/leb.hpp"
#include "base/encoding.hpp"
#include "peat/automerge/document.hpp"

namespace peat::automerge::test {

inline ActorId actor(std::uint8_t n) { return ActorId{Bytes(16, n)}; }

inline Bytes hex(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != ' ' && c != '|') digits += c;
  }
  return from_hex(digits).value();
}

inline Document replica(std::uint8_t n) { return Document(actor(n)); }

// Commits what `edit` does; fails the test if anything does not work.
template <class Edit>
ChangeHash change(Document& document, Edit edit, CommitOptions options = {}) {
  auto tx = document.begin();
  EXPECT_TRUE(tx) << tx.error().message;
  edit(*tx);
  const auto hash = tx->commit(options);
  EXPECT_TRUE(hash) << hash.error().message;
  EXPECT_TRUE(*hash) << "nothing to commit";
  return hash.value().value_or(ChangeHash{});
}

inline ChangeHash put(Document& document, std::string_view key, const Scalar& value,
                      CommitOptions options = {}) {
  return change(
      document, [&](Transaction& tx) { EXPECT_TRUE(tx.put(kRoot, key, value)); }, options);
}

inline std::vector<Bytes> all_changes(const Document& document) {
  const auto views = document.changes_since({});
  EXPECT_TRUE(views);
  std::vector<Bytes> out;
  for (const auto view : views.value()) out.emplace_back(view.begin(), view.end());
  return out;
}

inline Result<ApplyReport> receive(Document& document, const std::vector<Bytes>& chunks) {
  const std::vector<ByteView> views(chunks.begin(), chunks.end());
  return document.apply_changes(views);
}

inline Scalar scalar(const Document& document, std::string_view key) {
  const auto value = document.get(kRoot, key);
  EXPECT_TRUE(value && *value) << key;
  return std::get<Scalar>((*value)->data);
}

inline std::int64_t integer(const Document& document, std::string_view key) {
  return std::get<std::int64_t>(scalar(document, key));
}

inline ObjectId object(const Document& document, std::string_view key) {
  const auto value = document.get(kRoot, key);
  EXPECT_TRUE(value && *value) << key;
  return std::get<ObjectRef>((*value)->data).id;
}

inline Bytes raw(const Document& document) {
  const auto bytes = document.save({.deflate = false});
  EXPECT_TRUE(bytes) << bytes.error().message;
  return bytes.value_or(Bytes{});
}

// A chunk around hand-made data, with the checksum it needs.
inline Bytes chunk(ChunkType type, ByteView data) {
  Bytes out;
  write_chunk(type, data, out);
  return out;
}

// A change by actor 01..01 with no dependencies, seq 1, start_op 1, around a table of columns.
struct Column {
  std::uint32_t spec;
  Bytes bytes;
};
inline Bytes change_chunk(const std::vector<Column>& columns, const std::vector<Bytes>& others = {},
                          ByteView extra = {}) {
  Bytes data = hex("00 | 10 01010101010101010101010101010101 | 01 01 00 00");
  put_uleb(data, others.size());
  for (const auto& other : others) {
    put_uleb(data, other.size());
    put_bytes(data, other);
  }
  put_uleb(data, columns.size());
  for (const auto& column : columns) {
    put_uleb(data, column.spec);
    put_uleb(data, column.bytes.size());
  }
  for (const auto& column : columns) put_bytes(data, column.bytes);
  put_bytes(data, extra);
  return chunk(ChunkType::kChange, data);
}

// The columns of `k = 1`, to be bent by tests.
inline std::vector<Column> put_one() {
  return {{0x15, hex("7f 01 6b")}, {0x34, hex("01")}, {0x42, hex("7f 01")},
          {0x56, hex("7f 14")},    {0x57, hex("01")}, {0x70, hex("7f 00")}};
}

#define EXPECT_CODE(result, expected)                                     \
  do {                                                                    \
    const auto& result_ = (result);                                       \
    ASSERT_FALSE(result_);                                                \
    EXPECT_EQ(result_.error().code, expected) << result_.error().message; \
    EXPECT_FALSE(result_.error().message.empty());                        \
  } while (false)

}  // namespace peat::automerge::test
