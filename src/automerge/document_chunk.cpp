#include "automerge/document_chunk.hpp"

#include <algorithm>
#include <cstring>
#include <list>

namespace peat::automerge {

namespace {

constexpr std::size_t kDeflateFrom = 256;
constexpr std::uint64_t kDeflateBit = 8;
constexpr std::uint64_t kMaxCounter = 0xffffffff;

enum ChangeColumn : std::uint8_t {
  kActor,
  kSeq,
  kMaxOp,
  kTime,
  kMessage,
  kDepCount,
  kDep,
  kExtraMeta,
  kExtra,
  kChangeColumns,
};
constexpr std::array<std::uint32_t, kChangeColumns> kChangeColumnSpecs{0x01, 0x03, 0x13, 0x23, 0x35,
                                                                       0x40, 0x43, 0x56, 0x57};

// Cuts columns out of the input, inflating where needed; owns what was inflated.
class ColumnCutter {
 public:
  ColumnCutter(Input& in, const LoadLimits& limits) : in_(in), budget_(limits.inflated_bytes) {}

  // `place(spec, bytes, offset)` keeps the columns it knows.
  template <class Place>
  Status cut(std::span<const DirectoryEntry> directory, Place place) {
    for (const auto& entry : directory) {
      const auto offset = in_.offset();
      auto bytes = in_.take(entry.length);
      if (in_.failed()) return in_.error("a document column of " + std::to_string(entry.length));
      if ((entry.spec & kDeflateBit) != 0) {
        PEAT_TRY(auto inflated,
                 inflate(bytes, budget_, "the column at byte " + std::to_string(offset)));
        budget_ -= inflated.size();
        bytes = owned_.emplace_back(std::move(inflated));
      }
      place(entry.spec & ~kDeflateBit, bytes, offset);
    }
    return {};
  }

 private:
  Input& in_;
  std::uint64_t budget_;
  std::list<Bytes> owned_;
};

struct ChangeColumnSet {
  std::array<ByteView, kChangeColumns> bytes;
  std::array<std::size_t, kChangeColumns> offset{};
};

// Reads the change table into the graph.
class ChangeTable {
 public:
  ChangeTable(const ChangeColumnSet& c, std::span<const std::uint32_t> actors)
      : actors_(actors),
        actor_column_(c.bytes[kActor]),
        actor_(c.bytes[kActor], c.offset[kActor]),
        dep_count_(c.bytes[kDepCount], c.offset[kDepCount]),
        extra_meta_(c.bytes[kExtraMeta], c.offset[kExtraMeta]),
        seq_(c.bytes[kSeq], c.offset[kSeq]),
        max_op_(c.bytes[kMaxOp], c.offset[kMaxOp]),
        time_(c.bytes[kTime], c.offset[kTime]),
        dep_(c.bytes[kDep], c.offset[kDep]),
        message_(c.bytes[kMessage], c.offset[kMessage]),
        extra_(c.bytes[kExtra], c.offset[kExtra]) {}

  Status read(const LoadLimits& limits, ChangeGraph& graph) {
    constexpr std::uint64_t kMostReserved = std::uint64_t{1} << 18;
    graph.reserve(static_cast<std::size_t>(
        std::min(count_rows(actor_column_, kMostReserved), kMostReserved)));
    std::uint64_t all_deps = 0;
    while (!actor_.done()) {
      const auto i = static_cast<std::uint32_t>(graph.size());
      if (i >= limits.changes) {
        return fail(Code::limit_exceeded,
                    "a document of more than " + std::to_string(limits.changes) + " changes");
      }
      PEAT_TRY(auto row, read_row(i, graph));
      all_deps += deps_.size();
      if (all_deps > limits.ops) {
        return fail(Code::limit_exceeded,
                    "a document with more dependencies than operations may "
                    "be (" +
                        std::to_string(limits.ops) + ")");
      }
      graph.append(row, deps_, message_text_, extra_bytes_);
    }
    const bool whole = seq_.done() && max_op_.done() && time_.done() && message_.done() &&
                       dep_count_.done() && dep_.done() && extra_meta_.done() && extra_.done();
    if (!whole) return fail(Code::malformed, "the change columns differ in their number of rows");
    return {};
  }

 private:
  std::unexpected<Error> refuse(std::uint32_t i, std::string_view what) const {
    for (const Input* in : std::initializer_list<const Input*>{
             &actor_.input(), &dep_count_.input(), &extra_meta_.input(), &seq_.input(),
             &max_op_.input(), &time_.input(), &dep_.input(), &message_.input(), &extra_}) {
      if (in->failed()) return in->error("a change column");
    }
    return fail(Code::malformed,
                "change " + std::to_string(i) + " of a document " + std::string(what));
  }

  Result<GraphRow> read_row(std::uint32_t i, const ChangeGraph& graph) {
    std::uint64_t actor = 0;
    std::int64_t seq = 0;
    std::int64_t max_op = 0;
    GraphRow row;
    if (!actor_.next(actor) || actor >= actors_.size()) return refuse(i, "has no known actor");
    row.actor = actors_[static_cast<std::size_t>(actor)];
    const auto last = graph.last_of(row.actor);
    if (!seq_.next(seq) || seq != std::int64_t{graph.seq_of(row.actor)} + 1) {
      return refuse(i, "is out of its actor's sequence");
    }
    if (!max_op_.next(max_op) || max_op < 0 || static_cast<std::uint64_t>(max_op) >= kMaxCounter ||
        (last != kNone && max_op < graph.row(last).max_op())) {
      return refuse(i, "has an impossible greatest operation");
    }
    if (!time_.next(row.time)) row.time = 0;
    if (!message_.next(message_text_)) message_text_ = {};
    if (!is_utf8(message_text_)) return refuse(i, "has a message that is not UTF-8");
    row.seq = static_cast<std::uint32_t>(seq);
    row.start_op = static_cast<std::uint32_t>(max_op) + 1;

    std::uint64_t count = 0;
    if (!dep_count_.next(count) || count > i)
      return refuse(i, "has an impossible dependency count");
    deps_.clear();
    for (std::uint64_t k = 0; k < count; ++k) {
      std::int64_t dep = 0;
      if (!dep_.next(dep) || dep < 0 || dep >= i) return refuse(i, "depends on no earlier change");
      deps_.push_back(static_cast<std::uint32_t>(dep));
    }
    std::uint64_t meta = 0;
    if (!extra_meta_.next(meta)) meta = 0;
    extra_bytes_ = extra_.take(meta >> 4);
    for (const Input* in : std::initializer_list<const Input*>{&time_.input(), &message_.input(),
                                                               &extra_meta_.input(), &extra_}) {
      if (in->failed()) return refuse(i, "is malformed");
    }
    return row;
  }

  std::span<const std::uint32_t> actors_;
  ByteView actor_column_;
  RleDecoder<UlebValue> actor_, dep_count_, extra_meta_;
  DeltaDecoder seq_, max_op_, time_, dep_;
  RleDecoder<TextValue> message_;
  Input extra_;
  std::vector<std::uint32_t> deps_;
  std::string_view message_text_;
  ByteView extra_bytes_;
};

Result<std::vector<std::uint32_t>> read_actors(Input& in, const LoadLimits& limits,
                                               ActorTable& actors) {
  const auto n = in.uleb();
  if (in.failed()) return in.error("a document's actor count");
  if (n > in.remaining() / 2) {
    return fail(Code::truncated, "a document claims " + std::to_string(n) + " actors at byte " +
                                     std::to_string(in.offset()) +
                                     ", more than its bytes can name");
  }
  std::vector<std::uint32_t> indexes;
  indexes.reserve(static_cast<std::size_t>(n));
  ByteView last;
  for (std::uint64_t i = 0; i < n; ++i) {
    const auto actor = in.prefixed();
    if (in.failed()) return in.error("an actor id");
    if (actor.empty() || actor.size() > limits.actor_bytes) {
      return fail(actor.empty() ? Code::malformed : Code::limit_exceeded,
                  "an actor id of " + std::to_string(actor.size()) + " bytes at byte " +
                      std::to_string(in.offset()));
    }
    if (i != 0 && compare_bytes(last, actor) >= 0) {
      return fail(Code::malformed, "a document's actors are not in ascending order at byte " +
                                       std::to_string(in.offset()));
    }
    last = actor;
    indexes.push_back(actors.add(actor));
  }
  return indexes;
}

Status read_heads(Input& in, Heads& heads) {
  const auto n = in.uleb();
  const auto bytes = in.take(n <= in.remaining() / 32 ? n * 32 : SIZE_MAX);
  if (in.failed()) return in.error("a document's list of heads");
  heads.resize(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < heads.size(); ++i) {
    std::memcpy(heads[i].bytes.data(), bytes.data() + 32 * i, 32);
    if (i != 0 && !(heads[i - 1] < heads[i])) {
      return fail(Code::malformed, "a document's heads are not in ascending order");
    }
  }
  return {};
}

// The rows nothing depends on, which must be as many as the heads.
Status read_head_rows(Input& in, const ChangeGraph& graph, LoadedDocument& document) {
  std::vector<bool> is_dep(graph.size());
  for (std::size_t i = 0; i < graph.size(); ++i) {
    for (const auto dep : graph.deps(i)) is_dep[dep] = true;
  }
  const auto ends = static_cast<std::size_t>(std::ranges::count(is_dep, false));
  if (ends != document.heads.size()) {
    return fail(Code::malformed, "a document names " + std::to_string(document.heads.size()) +
                                     " heads, its graph has " + std::to_string(ends));
  }
  if (in.done()) return {};
  for (std::size_t i = 0; i < document.heads.size(); ++i) {
    const auto row = in.uleb();
    if (in.failed()) return in.error("a document's head rows");
    if (row >= graph.size() || is_dep[static_cast<std::size_t>(row)]) {
      return fail(Code::malformed, "head row " + std::to_string(row) + " is no head");
    }
    document.head_rows.push_back(static_cast<std::uint32_t>(row));
  }
  if (!in.done()) {
    return fail(Code::malformed,
                "bytes after a document's head rows at byte " + std::to_string(in.offset()));
  }
  return {};
}

}  // namespace

Result<LoadedDocument> read_document(const Chunk& chunk, const LoadLimits& limits,
                                     ActorTable& actors, ChangeGraph& graph, OpSet& ops) {
  LoadedDocument document;
  Input in(chunk.data, chunk.data_offset());
  PEAT_TRY(const auto indexes, read_actors(in, limits, actors));
  PEAT_TRY_VOID(read_heads(in, document.heads));
  PEAT_TRY(const auto change_directory, read_directory(in, "the change column directory"));
  PEAT_TRY(const auto op_directory, read_directory(in, "the operation column directory"));
  ColumnCutter cutter(in, limits);
  ChangeColumnSet change_columns;
  PEAT_TRY_VOID(
      cutter.cut(change_directory, [&](std::uint64_t spec, ByteView bytes, std::size_t offset) {
        const auto at = std::ranges::find(kChangeColumnSpecs, spec);
        if (at == kChangeColumnSpecs.end()) return;
        const auto column = static_cast<std::size_t>(at - kChangeColumnSpecs.begin());
        change_columns.bytes[column] = bytes;
        change_columns.offset[column] = offset;
      }));
  OpColumnSet op_columns;
  PEAT_TRY_VOID(
      cutter.cut(op_directory, [&](std::uint64_t spec, ByteView bytes, std::size_t offset) {
        const auto column = op_column(Table::kDocument, spec);
        if (!column) return;
        op_columns.bytes[*column] = bytes;
        op_columns.offset[*column] = offset;
      }));
  PEAT_TRY_VOID(ChangeTable(change_columns, indexes).read(limits, graph));
  PEAT_TRY_VOID(read_head_rows(in, graph, document));
  OpReader reader(Table::kDocument, op_columns, static_cast<std::uint32_t>(indexes.size()), 0,
                  limits.ops);
  PEAT_TRY_VOID(ops.load(reader, indexes, limits.ops));
  return document;
}

// --- writing --------------------------------------------------------------------------------

namespace {

struct OutColumn {
  std::uint32_t spec;
  ByteView bytes;
};

// Appends the directory now and the bytes to `data`.
void put_columns(std::span<const OutColumn> columns, bool deflated, Bytes& directory, Bytes& data) {
  put_uleb(directory, columns.size());
  for (const auto& column : columns) {
    const auto at = data.size();
    const bool deflate_it = deflated && column.bytes.size() >= kDeflateFrom;
    if (deflate_it) {
      deflate(column.bytes, data);
    } else {
      put_bytes(data, column.bytes);
    }
    put_uleb(directory, deflate_it ? column.spec | kDeflateBit : column.spec);
    put_uleb(directory, data.size() - at);
  }
}

void put_changes(const ChangeGraph& graph, std::span<const std::uint32_t> actor_number,
                 bool deflated, Bytes& directory, Bytes& data) {
  RleEncoder<UlebValue> actor, dep_count, extra_meta;
  DeltaEncoder seq, max_op, time, dep;
  RleEncoder<TextValue> message;
  Bytes extra;
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const auto& row = graph.row(i);
    actor.append(actor_number[row.actor]);
    seq.append(row.seq);
    max_op.append(row.max_op());
    time.append(row.time);
    if (row.message_bytes == 0) {
      message.append_null();
    } else {
      message.append(graph.message(i));
    }
    dep_count.append(row.deps_count);
    for (const auto d : graph.deps(i)) dep.append(d);
    extra_meta.append(std::uint64_t{row.extra_bytes} << 4 | kTypeBytes);
    put_bytes(extra, graph.extra(i));
  }
  const std::array<const Bytes*, kChangeColumns> all{
      &actor.finish(),     &seq.finish(), &max_op.finish(),     &time.finish(), &message.finish(),
      &dep_count.finish(), &dep.finish(), &extra_meta.finish(), &extra};
  std::vector<OutColumn> columns;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i]->empty()) columns.push_back({kChangeColumnSpecs[i], *all[i]});
  }
  put_columns(columns, deflated, directory, data);
}

void put_operations(const OpSet& ops, std::span<const std::uint32_t> actor_number, bool deflated,
                    Bytes& directory, Bytes& data) {
  thread_local OpWriter writer(Table::kDocument);
  writer.clear();
  const auto number = [&actor_number](OpId id) {
    return id.none() ? id : OpId(id.counter(), actor_number[id.actor()]);
  };
  std::vector<OpId> successors;
  const auto put_slot = [&](std::uint32_t slot) {
    for (auto at = ops.slot(slot).first; at != kNone; at = ops.row(at).next) {
      const auto& row = ops.row(at);
      auto op = ops.view(row);
      op.object = number(op.object);
      op.elem = number(op.elem);
      ops.successors(row, successors);
      for (auto& successor : successors) successor = number(successor);
      op.links = successors;
      writer.append(op, number(row.id));
    }
  };
  const auto put_run = [&](std::uint32_t object, const Run& run) {
    auto op = ops.view_typing(object, run, 0, run.count);
    op.object = number(op.object);
    op.elem = number(op.elem);
    const auto successor = number(run.successor);
    if (!run.visible()) op.links = std::span(&successor, 1);
    op.step = run.step;
    writer.append(op, number(run.first));
  };
  for (const auto index : ops.sorted_objects()) {
    const auto& object = ops.object(index);
    if (object.is_map()) {
      for (const auto slot : ops.sorted_slots(object)) put_slot(slot);
    } else {
      const auto& sequence = *object.sequence;
      for (auto p = sequence.begin(); !sequence.at_end(p); p = sequence.next_run(p)) {
        const auto& run = sequence.run(p);
        if (run.rich()) {
          put_slot(run.value);
        } else {
          put_run(index, run);
        }
      }
    }
  }
  std::vector<OutColumn> columns;
  for (const auto& column : writer.finish()) columns.push_back({column.spec, column.bytes});
  put_columns(columns, deflated, directory, data);
}

}  // namespace

void write_document(const ActorTable& actors, const ChangeGraph& graph, const OpSet& ops,
                    bool deflated, Bytes& out) {
  // Only actors that made a change, ascending.
  std::vector<std::uint32_t> number(actors.size(), kNone);
  Bytes data;
  std::uint32_t used = 0;
  for (std::uint32_t rank = 0; rank < actors.size(); ++rank) {
    const auto actor = actors.at_rank(rank);
    if (graph.last_of(actor) != kNone) number[actor] = used++;
  }
  put_uleb(data, used);
  for (std::uint32_t rank = 0; rank < actors.size(); ++rank) {
    const auto actor = actors.at_rank(rank);
    if (number[actor] == kNone) continue;
    put_uleb(data, actors.bytes(actor).size());
    put_bytes(data, actors.bytes(actor));
  }
  put_uleb(data, graph.heads().size());
  for (const auto& head : graph.heads()) put_bytes(data, head.bytes);
  Bytes columns;
  put_changes(graph, number, deflated, data, columns);
  put_operations(ops, number, deflated, data, columns);
  put_bytes(data, columns);
  for (const auto& head : graph.heads()) put_uleb(data, graph.find(head).value_or(0));
  write_chunk(ChunkType::kDocument, data, out);
}

}  // namespace peat::automerge
