// Looking into files: what is there, where it is, and what is wrong with it.
#include "peat/automerge/inspect.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

Document notes() {
  auto document = replica(1);
  change(document,
         [](Transaction& tx) {
           const auto text = tx.put_object(kRoot, "note", ObjectType::text).value();
           ASSERT_TRUE(tx.splice_text(text, 0, 0, std::string(400, 'x')));
           ASSERT_TRUE(tx.put(kRoot, "n", std::int64_t{5}));
         },
         {.time = 7, .message = "first"});
  put(document, "n", std::int64_t{6});
  return document;
}

inspect::FileInfo look(ByteView bytes) {
  auto file = inspect::read(bytes);
  EXPECT_TRUE(file) << file.error().message;
  return file.value_or(inspect::FileInfo());
}

const inspect::ColumnInfo* column(const std::vector<inspect::ColumnInfo>& columns,
                                  std::string_view name) {
  const auto at = std::ranges::find(columns, name, &inspect::ColumnInfo::name);
  return at == columns.end() ? nullptr : &*at;
}

TEST(Inspect, ShowsTheDocumentThatAFileMakes) {
  const auto document = notes();
  const auto file = look(document.save().value());
  EXPECT_FALSE(file.fault);
  ASSERT_TRUE(file.document);
  EXPECT_EQ(file.document->heads, document.heads());
  EXPECT_EQ(file.document->changes, 2U);
  EXPECT_EQ(file.document->ops, 403U);
  EXPECT_EQ(file.document->max_op, 403U);
  ASSERT_EQ(file.document->actors.size(), 1U);
  EXPECT_EQ(file.document->actors[0].id, actor(1));
  EXPECT_EQ(file.document->actors[0].changes, 2U);
}

TEST(Inspect, EveryByteOfAChunkIsAccountedFor) {
  const auto document = notes();
  const auto bytes = document.save({.deflate = false}).value();
  const auto file = look(bytes);
  ASSERT_EQ(file.chunks.size(), 1U);
  const auto& chunk = file.chunks[0];
  EXPECT_EQ(chunk.bytes, bytes.size());
  EXPECT_EQ(chunk.rows, 403U);
  const auto sum = [](const auto& columns) {
    return std::accumulate(columns.begin(), columns.end(), std::size_t{0},
                           [](std::size_t n, const auto& c) { return n + c.stored_bytes; });
  };
  const auto& first = chunk.change_columns.front();
  const auto columns = sum(chunk.change_columns) + sum(chunk.op_columns);
  EXPECT_EQ(first.offset + columns + 1, bytes.size()) << "one byte of head rows at the end";
  for (const auto& c : chunk.op_columns) {
    EXPECT_NE(c.name, "unknown");
    const bool per_row =
        c.name != "value" && c.name != "successor actor" && c.name != "successor counter";
    EXPECT_EQ(c.rows, per_row ? 403U : c.name == "value" ? 0U : 1U) << c.name;
  }
}

TEST(Inspect, DeflatedColumnsTellBothSizes) {
  const auto file = look(notes().save().value());
  const auto* value = column(file.chunks[0].op_columns, "value");
  ASSERT_NE(value, nullptr);
  EXPECT_TRUE(value->deflated);
  EXPECT_EQ(value->bytes, 402U);
  EXPECT_LT(value->stored_bytes, 50U);
}

TEST(Inspect, ChangesAreListedWithTheirProvedHashes) {
  const auto document = notes();
  for (const bool deflate : {false, true}) {
    const auto file = look(document.save({.deflate = deflate}).value());
    ASSERT_EQ(file.chunks[0].changes.size(), 2U);
    EXPECT_EQ(file.chunks[0].changes[0].message, "first");
    EXPECT_EQ(file.chunks[0].changes[0].time, 7);
    EXPECT_EQ(file.chunks[0].changes[1].hash, document.heads()[0]);
  }
}

TEST(Inspect, AFileOfChangesHasAChunkPerChange) {
  const auto document = notes();
  Bytes bytes;
  for (const auto& change : all_changes(document)) put_bytes(bytes, change);
  const auto file = look(bytes);
  ASSERT_EQ(file.chunks.size(), 2U);
  EXPECT_EQ(file.chunks[0].kind, inspect::ChunkKind::change);
  EXPECT_EQ(file.chunks[1].hash, document.heads()[0]);
  EXPECT_EQ(file.chunks[1].changes[0].deps, std::vector{file.chunks[0].hash});
  EXPECT_EQ(file.document->heads, document.heads());
}

TEST(Inspect, AFaultIsToldAtItsChunkAndTheRestIsStillShown) {
  const auto document = notes();
  const auto changes = all_changes(document);
  auto bytes = changes[0];
  const auto at = bytes.size() - 1;
  put_bytes(bytes, changes[1]);
  bytes[at] ^= 1;
  const auto file = look(bytes);
  EXPECT_FALSE(file.document);
  ASSERT_TRUE(file.fault);
  ASSERT_EQ(file.chunks.size(), 2U);
  EXPECT_FALSE(file.chunks[0].checksum_good);
  ASSERT_TRUE(file.chunks[0].fault);
  EXPECT_EQ(file.chunks[0].fault->code, Code::checksum_mismatch);
  EXPECT_FALSE(file.chunks[0].op_columns.empty()) << "its layout is still shown";
  EXPECT_FALSE(file.chunks[1].fault);
  EXPECT_EQ(file.chunks[1].changes.size(), 1U);
}

TEST(Inspect, BytesThatAreNoChunkAreSteppedOver) {
  auto bytes = hex("00 85 6f 12");
  put_bytes(bytes, all_changes(notes())[0]);
  const auto file = look(bytes);
  ASSERT_TRUE(file.fault);
  EXPECT_NE(file.fault->message.find("byte 0"), std::string::npos) << file.fault->message;
  ASSERT_EQ(file.chunks.size(), 1U);
  EXPECT_EQ(file.chunks[0].offset, 4U);
  EXPECT_FALSE(file.chunks[0].fault);
}

TEST(Inspect, ForeignColumnsAreShownByNumber) {
  auto columns = put_one();
  columns.push_back({0xc2, hex("7f 05")});
  const auto file = look(change_chunk(columns));
  ASSERT_EQ(file.chunks.size(), 1U);
  const auto* foreign = column(file.chunks[0].op_columns, "unknown");
  ASSERT_NE(foreign, nullptr);
  EXPECT_EQ(foreign->spec, 0xc2U);
  EXPECT_EQ(foreign->encoding, "rle integer");
  EXPECT_EQ(foreign->rows, 1U);
  ASSERT_TRUE(file.chunks[0].fault);
  EXPECT_EQ(file.chunks[0].fault->code, Code::not_canonical);
}

TEST(Inspect, OperationsAreToldWithWhatTheyReplace) {
  const auto document = notes();
  const auto bytes = all_changes(document)[1];
  const auto file = look(bytes);
  std::size_t told = 0;
  const auto status = inspect::operations(bytes, file.chunks[0], [&](const inspect::Operation& op) {
    ++told;
    EXPECT_EQ(op.id, (inspect::Id{403, 0}));
    EXPECT_EQ(op.object, inspect::Id{});
    EXPECT_EQ(op.key, "n");
    EXPECT_EQ(op.action, "set");
    EXPECT_EQ(std::get<std::int64_t>(op.value), 6);
    EXPECT_EQ(op.predecessors, (std::vector{inspect::Id{402, 0}}));
    return true;
  });
  EXPECT_TRUE(status) << status.error().message;
  EXPECT_EQ(told, 1U);
}

TEST(Inspect, OperationsOfADocumentNameTheirSuccessors) {
  const auto bytes = notes().save().value();
  const auto file = look(bytes);
  std::size_t rows = 0;
  std::size_t replaced = 0;
  ASSERT_TRUE(inspect::operations(bytes, file.chunks[0], [&](const inspect::Operation& op) {
    ++rows;
    if (!op.successors.empty()) ++replaced;
    return true;
  }));
  EXPECT_EQ(rows, 403U);
  EXPECT_EQ(replaced, 1U);
}

TEST(Inspect, ReadingOperationsEndsWhenNoMoreAreWanted) {
  const auto bytes = notes().save().value();
  const auto file = look(bytes);
  std::size_t rows = 0;
  ASSERT_TRUE(inspect::operations(bytes, file.chunks[0],
                                  [&](const inspect::Operation&) { return ++rows < 3; }));
  EXPECT_EQ(rows, 3U);
}

TEST(Inspect, MissingDependenciesOfQueuedChangesAreNamed) {
  auto document = replica(2);
  put(document, "own", true);
  auto other = notes();
  put(other, "n", std::int64_t{7});
  ASSERT_EQ(receive(document, {all_changes(other)[2]})->queued, 1U);
  const auto file = look(document.save().value());
  ASSERT_TRUE(file.document) << file.fault->message;
  EXPECT_EQ(file.document->missing, std::vector{other.changes()[1].hash});
}

TEST(Inspect, AFileBeyondTheLimitIsRefused) {
  EXPECT_CODE(inspect::read(notes().save().value(), {.input_bytes = 10}), Code::limit_exceeded);
}

TEST(Inspect, AnyCutOfAFileIsAFaultAndNoCrash) {
  const auto bytes = notes().save().value();
  for (std::size_t n = 1; n < bytes.size(); ++n) {
    const auto file = look(ByteView(bytes).first(n));
    EXPECT_TRUE(file.fault) << n;
    EXPECT_FALSE(file.document) << n;
  }
}

}  // namespace
}  // namespace peat::automerge
