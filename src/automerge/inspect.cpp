#include "peat/automerge/inspect.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "automerge/bundle.hpp"
#include "automerge/guarded.hpp"
#include "automerge/inspect_layout.hpp"
#include "peat/automerge/document.hpp"

namespace peat::automerge::inspect {

namespace {

constexpr std::array<std::uint8_t, 4> kMagic{0x85, 0x6f, 0x4a, 0x83};

Result<Document> load(ByteView input, const LoadLimits& limits) {
  LoadOptions options;
  options.limits = limits;
  options.actor = ActorId{Bytes(1, 0)};
  PEAT_TRY(auto document, Document::load(input, options));
  PEAT_TRY_VOID(document.materialise());
  return document;
}

DocumentInfo describe(const Document& document, std::span<const ChangeInfo> changes) {
  DocumentInfo out;
  out.heads = document.heads();
  out.changes = changes.size();
  out.max_op = document.max_op();
  out.missing = document.missing_deps();
  std::map<ActorId, DocumentInfo::Actor> actors;
  for (const auto& change : changes) {
    auto& actor = actors[change.actor];
    ++actor.changes;
    actor.ops += change.op_count;
    if (change.author) actor.author = change.author;
    out.ops += change.op_count;
  }
  for (auto& [id, actor] : actors) {
    actor.id = id;
    out.actors.push_back(std::move(actor));
  }
  return out;
}

Result<std::vector<ChangeInfo>> changes_of_bundle(const Chunk& chunk, const LoadLimits& limits) {
  PEAT_TRY(const auto bundle, read_bundle(chunk, limits));
  PEAT_TRY(const auto chunks, unbundle(bundle, limits.inflated_bytes));
  std::vector<ChangeInfo> changes;
  for (const auto& bytes : chunks) {
    PEAT_TRY(auto change, inspect_change(bytes, limits));
    changes.push_back(std::move(change));
  }
  return changes;
}

// Proves a chunk by loading it alone.
void prove(ChunkInfo& info, const Chunk& chunk, const LoadLimits& limits) {
  std::optional<Error> fault;
  if (chunk.type == ChunkType::kDocument) {
    const auto document = load(chunk.bytes, limits);
    if (document) {
      info.changes = document->changes();
    } else {
      fault = document.error();
    }
  } else if (chunk.type == ChunkType::kBundle) {
    auto changes = changes_of_bundle(chunk, limits);
    if (changes) {
      info.changes = std::move(*changes);
    } else {
      fault = std::move(changes).error();
    }
  } else {
    auto change = inspect_change(chunk.bytes, limits);
    if (change) {
      info.changes.push_back(std::move(*change));
    } else {
      fault = std::move(change).error();
    }
  }
  if (!info.fault) info.fault = std::move(fault);
}

Id id_of(OpId id) { return id.none() ? Id{} : Id{id.counter(), id.actor()}; }

Operation describe(const OpView& op, OpId id, bool document) {
  static constexpr std::array<std::string_view, kLastAction + 1> kActions{
      "make map", "set", "make list", "delete", "make text", "increment", "make table", "mark"};
  Operation out;
  out.id = id_of(id);
  out.object = id_of(op.object);
  if (op.has_key) out.key = op.key;
  out.element = id_of(op.elem);
  out.action = kActions[static_cast<std::size_t>(op.action)];
  out.insert = op.insert;
  out.expand = op.expand;
  out.value = scalar_of(op.meta, op.value);
  if (op.has_mark_name) out.mark_name = op.mark_name;
  auto& links = document ? out.successors : out.predecessors;
  for (const auto link : op.links) links.push_back(id_of(link));
  return out;
}

}  // namespace

std::string_view name(ChunkKind kind) {
  static constexpr std::array<std::string_view, 4> kNames{"document", "change", "compressed change",
                                                          "bundle"};
  return kNames[static_cast<std::size_t>(kind)];
}

Result<FileInfo> read(ByteView input, const LoadLimits& limits) {
  return guarded([&]() -> Result<FileInfo> {
    if (input.size() > limits.input_bytes) {
      return fail(Code::limit_exceeded, "a file of " + std::to_string(input.size()) +
                                            " bytes; the limit is " +
                                            std::to_string(limits.input_bytes));
    }
    FileInfo file;
    file.bytes = input.size();
    for (std::size_t offset = 0; offset < input.size();) {
      const auto chunk = read_chunk(input, offset);
      if (!chunk) {
        if (!file.fault) file.fault = chunk.error();
        const auto rest = input.subspan(offset + 1);
        const auto next = std::ranges::search(rest, kMagic);
        offset += 1 + static_cast<std::size_t>(next.begin() - rest.begin());
        continue;
      }
      auto& info = file.chunks.emplace_back(lay_out(*chunk, limits).info);
      prove(info, *chunk, limits);
      offset += chunk->bytes.size();
    }
    if (file.fault) return file;
    const auto document = load(input, limits);
    if (!document) {
      file.fault = document.error();
      return file;
    }
    file.document = describe(*document, document->changes());
    return file;
  });
}

Status operations(ByteView input, const ChunkInfo& info,
                  const std::function<bool(const Operation&)>& tell, const LoadLimits& limits) {
  return guarded([&]() -> Status {
    if (info.offset > input.size()) {
      return fail(Code::invalid_argument, "a chunk at byte " + std::to_string(info.offset) +
                                              " of an input of " + std::to_string(input.size()));
    }
    PEAT_TRY(const auto chunk, read_chunk(input, info.offset));
    if (chunk.type == ChunkType::kBundle) {
      PEAT_TRY(const auto bundle, read_bundle(chunk, limits));
      for (std::size_t row = 0; row < bundle.ops.size(); ++row) {
        if (!tell(describe(bundle.ops[row], bundle.ids[row], false))) break;
      }
      return {};
    }
    const auto layout = lay_out(chunk, limits);
    if (layout.info.fault) return std::unexpected(*layout.info.fault);
    const bool document = chunk.type == ChunkType::kDocument;
    OpReader reader(document ? Table::kDocument : Table::kChange, layout.ops,
                    static_cast<std::uint32_t>(layout.info.actors.size()), layout.start_op,
                    limits.ops);
    OpView op;
    OpId id;
    while (reader.next_single(op, id)) {
      if (reader.rows() > limits.ops) {
        return fail(Code::limit_exceeded,
                    "a chunk of more than " + std::to_string(limits.ops) + " operations");
      }
      if (!tell(describe(op, id, document))) return {};
    }
    return reader.finish();
  });
}

}  // namespace peat::automerge::inspect
