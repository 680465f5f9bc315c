#include "automerge/change.hpp"

#include <algorithm>
#include <cstring>

#include "automerge/actors.hpp"
#include "automerge/author.hpp"
#include "automerge/guarded.hpp"
#include "base/limits.hpp"

namespace peat::automerge {

namespace {

constexpr std::uint64_t kMaxCounter = 0xffffffff;

Result<ByteView> read_actor(Input& in, const LoadLimits& limits) {
  const auto actor = in.prefixed();
  if (in.failed()) return in.error("an actor id");
  if (actor.empty() || actor.size() > limits.actor_bytes) {
    return fail(actor.empty() ? Code::malformed : Code::limit_exceeded,
                "an actor id of " + std::to_string(actor.size()) + " bytes at byte " +
                    std::to_string(in.offset()) + "; 1 to " + std::to_string(limits.actor_bytes) +
                    " are allowed");
  }
  return actor;
}

// Cuts the column bytes out of a change chunk.
Status read_columns(Input& in, ChangeView& change) {
  PEAT_TRY(const auto directory, read_directory(in, "a change's column directory"));
  for (const auto& entry : directory) {
    if ((entry.spec & 8) != 0) {
      return fail(Code::malformed, "column " + hex_spec(entry.spec) +
                                       " of a change is compressed; only documents may do that");
    }
    const auto column = op_column(Table::kChange, entry.spec);
    if (!column) {
      return fail(Code::not_canonical, "a change holds the unknown column " + hex_spec(entry.spec) +
                                           ", which no document could store");
    }
    change.columns.offset[*column] = in.offset();
    change.columns.bytes[*column] = in.take(entry.length);
    if (in.failed()) return in.error("column " + hex_spec(entry.spec) + " of a change");
  }
  return {};
}

}  // namespace

ChangeHash ChangeView::dep(std::size_t i) const {
  ChangeHash hash_of_dep;
  std::memcpy(hash_of_dep.bytes.data(), deps.data() + 32 * i, 32);
  return hash_of_dep;
}

OpReader ChangeView::ops() const {
  static const std::uint64_t kMaxLinks = Limits().automerge_predecessors;
  return OpReader(Table::kChange, columns, actor_count(), start_op, kMaxLinks);
}

ChangeInfo ChangeView::info() const {
  ChangeInfo out;
  out.hash = hash;
  out.actor.bytes.assign(actor.begin(), actor.end());
  out.seq = seq;
  out.start_op = start_op;
  out.op_count = op_count;
  out.time = time;
  out.message = std::string(message);
  out.deps.reserve(dep_count());
  for (std::size_t i = 0; i < dep_count(); ++i) out.deps.push_back(dep(i));
  if (const auto footer = author_in(extra)) out.author.emplace(footer->begin(), footer->end());
  return out;
}

Result<ChangeView> parse_change(const Chunk& chunk, const LoadLimits& limits) {
  const auto hash = hash_chunk(ChunkType::kChange, chunk.data);
  PEAT_TRY_VOID(check_checksum(chunk, hash));
  return parse_change_body(chunk, hash, limits);
}

Result<ChangeView> parse_change_body(const Chunk& chunk, const ChangeHash& hash,
                                     const LoadLimits& limits) {
  ChangeView change;
  change.chunk = chunk.bytes;
  change.hash = hash;
  Input in(chunk.data, chunk.data_offset());
  const auto dep_count = in.uleb();
  change.deps = in.take(dep_count <= in.remaining() / 32 ? dep_count * 32 : SIZE_MAX);
  if (in.failed()) return in.error("a change's dependency list");
  for (std::size_t i = 1; i < change.dep_count(); ++i) {
    if (std::memcmp(change.deps.data() + 32 * (i - 1), change.deps.data() + 32 * i, 32) >= 0) {
      return fail(Code::not_canonical, "a change's dependencies are not in ascending order");
    }
  }
  PEAT_TRY(change.actor, read_actor(in, limits));
  change.seq = in.uleb();
  change.start_op = in.uleb();
  change.time = in.sleb();
  change.message = as_text(in.prefixed());
  const auto others = in.uleb();
  if (in.failed()) return in.error("a change's header");
  if (change.seq == 0 || change.seq > kMaxCounter || change.start_op == 0 ||
      change.start_op > kMaxCounter) {
    return fail(Code::malformed, "a change's sequence number (" + std::to_string(change.seq) +
                                     ") and first operation (" + std::to_string(change.start_op) +
                                     ") must be 1 to 4294967295");
  }
  if (!is_utf8(change.message)) return fail(Code::malformed, "a change's message is not UTF-8");
  if (others > in.remaining() / 2) {
    return fail(Code::truncated, "a change claims " + std::to_string(others) +
                                     " other actors, more than its bytes can name");
  }
  change.others.reserve(static_cast<std::size_t>(others));
  for (std::uint64_t i = 0; i < others; ++i) {
    PEAT_TRY(const auto actor, read_actor(in, limits));
    const bool sorted = i == 0 || compare_bytes(change.others.back(), actor) < 0;
    if (!sorted || compare_bytes(actor, change.actor) == 0) {
      return fail(Code::not_canonical, "a change's other actors are not in ascending order");
    }
    change.others.push_back(actor);
  }
  const auto table = in.rest();
  PEAT_TRY_VOID(read_columns(in, change));
  change.extra = in.rest();
  change.table = table.first(table.size() - change.extra.size());

  change.op_count = count_rows(change.columns.bytes[kColAction], limits.ops);
  if (change.op_count > limits.ops || change.start_op + change.op_count > kMaxCounter) {
    return fail(Code::limit_exceeded, "a change has more than " + std::to_string(limits.ops) +
                                          " operations, or counters beyond 32 bits");
  }
  return change;
}

Status verify_operations(const ChangeView& change, const LoadLimits& limits) {
  thread_local OpWriter writer(Table::kChange);
  thread_local Bytes again;
  writer.clear();
  again.clear();

  auto reader = change.ops();
  OpView op;
  OpId id;
  std::uint64_t links = 0;
  const auto less = [&change](OpId a, OpId b) {
    if (a.counter() != b.counter()) return a.counter() < b.counter();
    return compare_bytes(change.actor_at(a.actor()), change.actor_at(b.actor())) < 0;
  };
  while (reader.next(op, id)) {
    links += std::uint64_t{op.links.size()} * op.count;
    if (links > limits.ops) {
      return fail(Code::limit_exceeded,
                  "a change replaces more than " + std::to_string(limits.ops) + " operations");
    }
    for (std::size_t i = 1; i < op.links.size(); ++i) {
      if (!less(op.links[i - 1], op.links[i])) {
        return fail(Code::not_canonical, "operation " + std::to_string(reader.rows() - 1) +
                                             ": predecessors are not in ascending order");
      }
    }
    writer.append(op, id);
  }
  PEAT_TRY_VOID(reader.finish());
  if (const auto i = reader.unreferenced_actor(); i != 0) {
    return fail(Code::not_canonical, "a change lists actor " + to_hex(change.actor_at(i)) +
                                         ", which none of its operations names");
  }
  const auto columns = writer.finish();
  put_uleb(again, columns.size());
  for (const auto& column : columns) {
    put_uleb(again, column.spec);
    put_uleb(again, column.bytes.size());
  }
  for (const auto& column : columns) put_bytes(again, column.bytes);
  if (!std::ranges::equal(again, change.table)) {
    return fail(Code::not_canonical,
                "a change's columns are not in canonical form: written again "
                "they would have another hash");
  }
  return {};
}

Result<ChangeInfo> inspect_change(ByteView chunk_bytes, const LoadLimits& limits) {
  return guarded([&]() -> Result<ChangeInfo> {
    if (chunk_bytes.size() > limits.input_bytes) {
      return fail(Code::limit_exceeded, "a change of " + std::to_string(chunk_bytes.size()) +
                                            " bytes; the limit is " +
                                            std::to_string(limits.input_bytes));
    }
    PEAT_TRY(auto chunk, read_chunk(chunk_bytes, 0));
    if (chunk.bytes.size() != chunk_bytes.size()) {
      return fail(Code::malformed,
                  "bytes after the end of a change at byte " + std::to_string(chunk.bytes.size()));
    }
    Bytes inflated;
    if (chunk.type == ChunkType::kCompressedChange) {
      PEAT_TRY(inflated, inflate_change(chunk, limits));
      PEAT_TRY(chunk, read_chunk(inflated, 0));
    }
    if (chunk.type != ChunkType::kChange) {
      return fail(Code::malformed, "a document or bundle chunk where a change is expected");
    }
    PEAT_TRY(const auto change, parse_change(chunk, limits));
    PEAT_TRY_VOID(verify_operations(change, limits));
    return change.info();
  });
}

ChangeHash write_change(const ChangeHeader& header, OpWriter& ops, Bytes& out) {
  thread_local Bytes data;
  data.clear();
  put_uleb(data, header.deps.size());
  for (const auto& dep : header.deps) put_bytes(data, dep.bytes);
  put_uleb(data, header.actor.size());
  put_bytes(data, header.actor);
  put_uleb(data, header.seq);
  put_uleb(data, header.start_op);
  put_sleb(data, header.time);
  put_uleb(data, header.message.size());
  put_bytes(data, as_bytes(header.message));
  put_uleb(data, header.others.size());
  for (const auto other : header.others) {
    put_uleb(data, other.size());
    put_bytes(data, other);
  }
  const auto columns = ops.finish();
  put_uleb(data, columns.size());
  for (const auto& column : columns) {
    put_uleb(data, column.spec);
    put_uleb(data, column.bytes.size());
  }
  for (const auto& column : columns) put_bytes(data, column.bytes);
  put_bytes(data, header.extra);
  return write_chunk(ChunkType::kChange, data, out);
}

}  // namespace peat::automerge
