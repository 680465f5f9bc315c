#include "automerge/inspect_layout.hpp"

#include <algorithm>
#include <cstring>

#include "automerge/columns.hpp"

namespace peat::automerge::inspect {

namespace {

constexpr std::uint64_t kDeflateBit = 8;

// Reads the parts of one chunk into a Layout; the first fault stops it.
class LayoutReader {
 public:
  LayoutReader(Layout& out, ByteView data, std::size_t offset, const LoadLimits& limits)
      : out_(out), in_(data, offset), budget_(limits.inflated_bytes) {}

  Status document() {
    PEAT_TRY_VOID(actors("a document's actors"));
    PEAT_TRY_VOID(hashes("a document's heads", out_.info.heads));
    PEAT_TRY(const auto changes, read_directory(in_, "the change column directory"));
    PEAT_TRY(const auto ops, read_directory(in_, "the operation column directory"));
    PEAT_TRY_VOID(columns(changes, TableKind::document_changes, out_.info.change_columns));
    PEAT_TRY_VOID(columns(ops, TableKind::document_ops, out_.info.op_columns));
    for (std::size_t i = 0; i < out_.info.heads.size() && !in_.done(); ++i) in_.uleb();
    return end("a document");
  }

  Status change() {
    std::vector<ChangeHash> deps;
    PEAT_TRY_VOID(hashes("a change's dependencies", deps));
    PEAT_TRY_VOID(actor("a change's author"));
    in_.uleb();  // sequence number
    out_.start_op = in_.uleb();
    in_.sleb();  // time
    in_.prefixed();
    PEAT_TRY_VOID(actors("a change's other actors"));
    PEAT_TRY(const auto ops, read_directory(in_, "a change's column directory"));
    PEAT_TRY_VOID(columns(ops, TableKind::change_ops, out_.info.op_columns));
    out_.info.extra_bytes = in_.remaining();
    return {};
  }

  Status bundle() {
    PEAT_TRY_VOID(hashes("a bundle's external dependencies", out_.info.external_deps));
    PEAT_TRY_VOID(actors("a bundle's actors"));
    PEAT_TRY(const auto changes, read_directory(in_, "the change column directory"));
    PEAT_TRY_VOID(columns(changes, TableKind::bundle_changes, out_.info.change_columns));
    PEAT_TRY(const auto ops, read_directory(in_, "the operation column directory"));
    PEAT_TRY_VOID(columns(ops, TableKind::bundle_ops, out_.info.op_columns));
    return end("a bundle");
  }

 private:
  Status end(std::string_view what) const {
    if (in_.failed()) return in_.error(what);
    if (in_.done()) return {};
    return fail(Code::malformed, std::to_string(in_.remaining()) + " bytes behind the end of " +
                                     std::string(what) + " at byte " +
                                     std::to_string(in_.offset()));
  }

  Status actor(std::string_view what) {
    const auto bytes = in_.prefixed();
    if (in_.failed()) return in_.error(what);
    out_.info.actors.push_back(ActorId{Bytes(bytes.begin(), bytes.end())});
    return {};
  }

  Status actors(std::string_view what) {
    const auto n = in_.uleb();
    for (std::uint64_t i = 0; i < n && !in_.failed(); ++i) PEAT_TRY_VOID(actor(what));
    if (in_.failed()) return in_.error(what);
    return {};
  }

  Status hashes(std::string_view what, std::vector<ChangeHash>& out) {
    const auto n = in_.uleb();
    const auto bytes = in_.take(n <= in_.remaining() / 32 ? n * 32 : UINT64_MAX);
    if (in_.failed()) return in_.error(what);
    out.resize(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < out.size(); ++i) {
      std::memcpy(out[i].bytes.data(), bytes.data() + 32 * i, 32);
    }
    return {};
  }

  Status columns(std::span<const DirectoryEntry> directory, TableKind table,
                 std::vector<ColumnInfo>& out) {
    for (const auto& entry : directory) {
      ColumnInfo column;
      column.spec = static_cast<std::uint32_t>(entry.spec & ~kDeflateBit);
      column.name = column_name(table, column.spec);
      column.deflated = (entry.spec & kDeflateBit) != 0;
      column.offset = in_.offset();
      auto bytes = in_.take(entry.length);
      if (in_.failed()) return in_.error("column " + hex_spec(entry.spec));
      column.stored_bytes = bytes.size();
      if (column.deflated) {
        auto inflated =
            inflate(bytes, budget_,
                    "column " + hex_spec(entry.spec) + " at byte " + std::to_string(column.offset));
        if (inflated) {
          budget_ -= inflated->size();
          bytes = out_.inflated.emplace_back(std::move(*inflated));
        } else {
          column.fault = std::move(inflated).error();
          bytes = {};
        }
      }
      column.bytes = bytes.size();
      if (!column.fault) measure_column(column, bytes, column.deflated ? 0 : column.offset);
      if (column.spec == 0x42) out_.info.rows = column.rows;
      keep_for_operations(table, column, bytes);
      out.push_back(std::move(column));
    }
    return {};
  }

  void keep_for_operations(TableKind table, const ColumnInfo& column, ByteView bytes) {
    if (table != TableKind::change_ops && table != TableKind::document_ops) return;
    const auto kind = table == TableKind::change_ops ? Table::kChange : Table::kDocument;
    const auto known = op_column(kind, column.spec);
    if (!known) return;
    out_.ops.bytes[*known] = bytes;
    out_.ops.offset[*known] = column.deflated ? 0 : column.offset;
  }

  Layout& out_;
  Input in_;
  std::uint64_t budget_;
};

}  // namespace

Layout lay_out(const Chunk& chunk, const LoadLimits& limits) {
  Layout out;
  auto& info = out.info;
  info.kind = static_cast<ChunkKind>(chunk.type);
  info.offset = chunk.offset;
  info.bytes = chunk.bytes.size();
  info.data_bytes = chunk.data.size();
  info.checksum = to_hex(chunk.bytes.subspan(4, 4));

  auto content = chunk;
  if (chunk.type == ChunkType::kCompressedChange) {
    auto inflated = inflate_change(chunk, limits);
    if (!inflated) {
      info.fault = std::move(inflated).error();
      return out;
    }
    content = read_chunk(out.inflated.emplace_back(std::move(*inflated)), 0).value();
  }
  info.hash = hash_chunk(content.type, content.data);
  const auto checksum = check_checksum(chunk, info.hash);
  info.checksum_good = checksum.has_value();

  LayoutReader reader(out, content.data, content.data_offset(), limits);
  const auto read = content.type == ChunkType::kDocument ? reader.document()
                    : content.type == ChunkType::kBundle ? reader.bundle()
                                                         : reader.change();
  if (!checksum) {
    info.fault = checksum.error();
  } else if (!read) {
    info.fault = read.error();
  }
  return out;
}

}  // namespace peat::automerge::inspect
