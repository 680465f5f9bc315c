#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

#include "automerge/actors.hpp"
#include "automerge/bundle.hpp"
#include "automerge/columns.hpp"
#include "automerge/graph.hpp"
#include "automerge/rebuild.hpp"

namespace peat::automerge {

namespace {

constexpr std::uint64_t kDeflateBit = 8;
constexpr std::uint64_t kMaxCounter = 0xffffffff;
constexpr const char* kOpTable = "a bundle's operation columns";
constexpr const char* kChangeTable = "a bundle's change columns";

constexpr std::array<std::uint32_t, 10> kChangeSpecs{0x01, 0x03, 0x13, 0x23, 0x33,
                                                     0x45, 0x50, 0x53, 0x60, 0x67};
constexpr std::array<std::uint32_t, 17> kOpSpecs{0x01, 0x03, 0x11, 0x13, 0x15, 0x21,
                                                 0x23, 0x34, 0x42, 0x56, 0x57, 0x70,
                                                 0x71, 0x73, 0x94, 0xa5, 0xb3};

struct Column {
  ByteView bytes;
  std::size_t offset = 0;
};

// The columns of one table by spec.
class Columns {
 public:
  void add(std::uint64_t spec, Column column) { columns_.emplace_back(spec, column); }
  Column find(std::uint64_t spec) const {
    const auto at = std::ranges::find(columns_, spec, &std::pair<std::uint64_t, Column>::first);
    return at == columns_.end() ? Column{} : at->second;
  }
  template <class Decoder>
  Decoder open(std::uint64_t spec) const {
    const auto column = find(spec);
    return Decoder(column.bytes, column.offset);
  }

 private:
  std::vector<std::pair<std::uint64_t, Column>> columns_;
};

using Integers = RleDecoder<UlebValue>;
using Texts = RleDecoder<TextValue>;

std::unexpected<Error> bad(std::string_view table, std::uint64_t row, std::string_view what) {
  return fail(Code::malformed,
              std::string(table) + " " + std::to_string(row) + " of a bundle " + std::string(what));
}

// The first column of `decoders` that broke, as an error.
template <class... Decoder>
Status check_columns(const char* table, const Decoder&... decoders) {
  const std::array<const Input*, sizeof...(decoders)> inputs{&decoders.input()...};
  for (const auto* in : inputs) {
    if (in->failed()) return in->error(table);
  }
  return {};
}

template <class... Decoder>
Status check_all_read(const char* table, const Decoder&... decoders) {
  if ((decoders.done() && ...)) return {};
  return fail(Code::malformed, std::string(table) + " differ in their number of rows");
}

struct OpDecoders {
  explicit OpDecoders(const Columns& columns)
      : obj_actor(columns.open<Integers>(0x01)),
        key_actor(columns.open<Integers>(0x11)),
        id_actor(columns.open<Integers>(0x21)),
        action(columns.open<Integers>(0x42)),
        meta(columns.open<Integers>(0x56)),
        preds(columns.open<Integers>(0x70)),
        pred_actor(columns.open<Integers>(0x71)),
        obj_counter(columns.open<DeltaDecoder>(0x03)),
        key_counter(columns.open<DeltaDecoder>(0x13)),
        pred_counter(columns.open<DeltaDecoder>(0x73)),
        key(columns.open<Texts>(0x15)),
        mark_name(columns.open<Texts>(0xa5)),
        insert(columns.open<BooleanDecoder>(0x34)),
        expand(columns.open<BooleanDecoder>(0x94)),
        value(columns.find(0x57).bytes, columns.find(0x57).offset) {}

  Status check() const {
    if (value.failed()) return value.error("a bundle's values");
    return check_columns(kOpTable, obj_actor, key_actor, id_actor, action, meta, preds, pred_actor,
                         obj_counter, key_counter, pred_counter, key, mark_name, insert, expand);
  }
  Status check_ends() const {
    if (!value.done()) return fail(Code::malformed, "a bundle has value bytes of no operation");
    return check_all_read(kOpTable, obj_actor, key_actor, id_actor, action, meta, preds, pred_actor,
                          obj_counter, key_counter, pred_counter, key, mark_name, insert, expand);
  }

  Integers obj_actor, key_actor, id_actor, action, meta, preds, pred_actor;
  DeltaDecoder obj_counter, key_counter, pred_counter;
  Texts key, mark_name;
  BooleanDecoder insert, expand;
  Input value;
};

class BundleParser {
 public:
  BundleParser(const Chunk& chunk, const LoadLimits& limits)
      : in_(chunk.data, chunk.data_offset()), limits_(limits), budget_(limits.inflated_bytes) {}

  Result<Bundle> run() {
    PEAT_TRY_VOID(read_outside());
    PEAT_TRY_VOID(read_actors());
    PEAT_TRY(const auto changes, read_columns(kChangeTable, kChangeSpecs));
    PEAT_TRY(const auto ops, read_columns(kOpTable, kOpSpecs));
    if (!in_.done()) {
      return fail(Code::malformed,
                  "bytes behind the end of a bundle at byte " + std::to_string(in_.offset()));
    }
    PEAT_TRY_VOID(read_changes(changes));
    PEAT_TRY_VOID(rank_changes());
    PEAT_TRY_VOID(read_places(ops));
    PEAT_TRY_VOID(read_operations(ops));
    return std::move(out_);
  }

 private:
  Status read_outside() {
    const auto n = in_.uleb();
    const auto bytes = in_.take(n <= in_.remaining() / 32 ? n * 32 : UINT64_MAX);
    if (in_.failed()) return in_.error("a bundle's list of outside dependencies");
    out_.outside.resize(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < out_.outside.size(); ++i) {
      std::memcpy(out_.outside[i].bytes.data(), bytes.data() + 32 * i, 32);
    }
    return {};
  }

  Status read_actors() {
    const auto n = in_.uleb();
    if (in_.failed() || n > in_.remaining() / 2) {
      return fail(Code::truncated, "a bundle claims more actors than its bytes can name at byte " +
                                       std::to_string(in_.offset()));
    }
    for (std::uint64_t i = 0; i < n; ++i) {
      const auto actor = in_.prefixed();
      if (in_.failed()) return in_.error("an actor id");
      const bool ascends = i == 0 || compare_bytes(out_.actors.back(), actor) < 0;
      if (actor.empty() || actor.size() > limits_.actor_bytes || !ascends) {
        return fail(Code::malformed,
                    "a bundle's actors are empty, too long or not ascending at "
                    "byte " +
                        std::to_string(in_.offset()));
      }
      out_.actors.push_back(actor);
    }
    return {};
  }

  // An unknown column is refused: what it says might belong into the changes.
  Result<Columns> read_columns(std::string_view what, std::span<const std::uint32_t> known) {
    Columns columns;
    PEAT_TRY(const auto directory, read_directory(in_, what));
    for (const auto& entry : directory) {
      if (std::ranges::find(known, entry.spec & ~kDeflateBit) == known.end()) {
        return fail(Code::malformed, std::string(what) + " name the unknown column " +
                                         hex_spec(entry.spec) + " at byte " +
                                         std::to_string(in_.offset()));
      }
      Column column{{}, in_.offset()};
      column.bytes = in_.take(entry.length);
      if (in_.failed()) return in_.error("column " + hex_spec(entry.spec) + " of a bundle");
      if ((entry.spec & kDeflateBit) != 0) {
        PEAT_TRY(auto inflated, inflate(column.bytes, budget_,
                                        "column " + hex_spec(entry.spec) + " of a bundle at byte " +
                                            std::to_string(column.offset)));
        budget_ -= inflated.size();
        column.bytes = out_.inflated.emplace_back(std::move(inflated));
      }
      columns.add(entry.spec & ~kDeflateBit, column);
    }
    return columns;
  }

  Status read_changes(const Columns& columns) {
    auto actor = columns.open<Integers>(0x01);
    auto seq = columns.open<DeltaDecoder>(0x03);
    auto start_op = columns.open<DeltaDecoder>(0x13);
    auto max_op = columns.open<DeltaDecoder>(0x23);
    auto time = columns.open<DeltaDecoder>(0x33);
    auto message = columns.open<Texts>(0x45);
    auto dep_count = columns.open<Integers>(0x50);
    auto dep = columns.open<DeltaDecoder>(0x53);
    auto extra_count = columns.open<Integers>(0x60);
    const auto extra_column = columns.find(0x67);
    Input extra(extra_column.bytes, extra_column.offset);
    std::uint64_t ops = 0;
    while (actor.present() && !actor.done()) {
      const auto row = out_.changes.size();
      if (row >= limits_.changes) {
        return fail(Code::limit_exceeded,
                    "a bundle of more than " + std::to_string(limits_.changes) + " changes");
      }
      std::uint64_t author = 0;
      std::int64_t number = 0;
      std::int64_t first = 0;
      std::int64_t last = 0;
      const bool whole =
          actor.next(author) && seq.next(number) && start_op.next(first) && max_op.next(last);
      PEAT_TRY_VOID(check_columns(kChangeTable, actor, seq, start_op, max_op));
      const auto most = static_cast<std::int64_t>(kMaxCounter);
      if (!whole || author >= out_.actors.size() || number < 1 || number > most || first < 1 ||
          first > most || last < first - 1 || last >= most) {
        return bad("change", row, "has an impossible actor, sequence or operation number");
      }
      BundledChange change;
      change.actor = static_cast<std::uint32_t>(author);
      change.seq = static_cast<std::uint32_t>(number);
      change.start_op = static_cast<std::uint32_t>(first);
      change.op_count = static_cast<std::uint32_t>(last - first + 1);
      if (ops += change.op_count; ops > limits_.ops) {
        return fail(Code::limit_exceeded,
                    "a bundle of more than " + std::to_string(limits_.ops) + " operations");
      }
      if (!time.next(change.time)) change.time = 0;
      if (!message.next(change.message)) change.message = {};
      if (!is_utf8(change.message)) return bad("change", row, "has a message that is not UTF-8");
      std::uint64_t extra_bytes = 0;
      if (!extra_count.next(extra_bytes)) extra_bytes = 0;
      change.extra = extra.take(extra_bytes);
      PEAT_TRY_VOID(read_deps(dep_count, dep, change));
      PEAT_TRY_VOID(check_columns(kChangeTable, time, message, dep_count, dep, extra_count));
      if (extra.failed()) return extra.error("a bundle's extra bytes");
      out_.changes.push_back(change);
    }
    PEAT_TRY_VOID(check_deps());
    if (!extra.done()) return fail(Code::malformed, "a bundle has extra bytes of no change");
    return check_all_read(kChangeTable, seq, start_op, max_op, time, message, dep_count, dep,
                          extra_count);
  }

  Status read_deps(Integers& dep_count, DeltaDecoder& dep, BundledChange& change) {
    std::uint64_t n = 0;
    if (!dep_count.next(n)) n = 0;
    if (n > out_.changes.size() + out_.outside.size()) {
      return bad("change", out_.changes.size(), "has more dependencies than there are changes");
    }
    if (n > limits_.ops || out_.deps.size() + n > limits_.ops) {
      return fail(Code::limit_exceeded, "a bundle with more dependencies than operations may be (" +
                                            std::to_string(limits_.ops) + ")");
    }
    change.deps_begin = static_cast<std::uint32_t>(out_.deps.size());
    change.deps_count = static_cast<std::uint32_t>(n);
    for (std::uint64_t i = 0; i < n; ++i) {
      std::int64_t index = 0;
      if (!dep.next(index) || index < 0 || index > static_cast<std::int64_t>(kMaxCounter)) {
        return bad("change", out_.changes.size(), "has an impossible dependency");
      }
      out_.deps.push_back(static_cast<std::uint32_t>(index));
    }
    return {};
  }

  // Only with all rows known it shows which dependencies are outside.
  Status check_deps() const {
    const auto rows = out_.changes.size();
    for (std::size_t row = 0; row < rows; ++row) {
      const auto& change = out_.changes[row];
      for (const auto dep : std::span(out_.deps).subspan(change.deps_begin, change.deps_count)) {
        if ((dep >= row && dep < rows) || dep >= rows + out_.outside.size()) {
          return bad("change", row, "depends on no earlier change and none outside");
        }
      }
    }
    return {};
  }

  // Changes in the order of (actor, sequence number): so operations are numbered.
  Status rank_changes() {
    by_rank_.resize(out_.changes.size());
    std::iota(by_rank_.begin(), by_rank_.end(), 0U);
    std::ranges::sort(by_rank_, {}, [this](std::uint32_t i) {
      return std::pair(out_.changes[i].actor, out_.changes[i].seq);
    });
    std::uint32_t rank = 0;
    for (std::size_t i = 0; i < by_rank_.size(); ++i) {
      auto& change = out_.changes[by_rank_[i]];
      change.first_rank = rank;
      rank += change.op_count;
      if (i == 0) continue;
      const auto& before = out_.changes[by_rank_[i - 1]];
      if (before.actor == change.actor &&
          (before.seq == change.seq || before.start_op + before.op_count > change.start_op)) {
        return bad("change", by_rank_[i], "overlaps another change of its actor");
      }
    }
    out_.row_at_rank.assign(rank, kNone);
    out_.ids.resize(rank);
    return {};
  }

  Status read_places(const Columns& columns) {
    auto place = columns.open<DeltaDecoder>(0xb3);
    if (!place.present()) return read_counters(columns);
    std::uint32_t rank = 0;
    std::vector<bool> taken(out_.ids.size());
    for (const auto i : by_rank_) {
      const auto& change = out_.changes[i];
      for (std::uint32_t k = 0; k < change.op_count; ++k, ++rank) {
        std::int64_t row = 0;
        const bool good = place.next(row) && row >= 0 &&
                          static_cast<std::uint64_t>(row) < taken.size() &&
                          !taken[static_cast<std::size_t>(row)];
        PEAT_TRY_VOID(check_columns(kOpTable, place));
        if (!good) return bad("operation", rank, "has no place, or that of another");
        taken[static_cast<std::size_t>(row)] = true;
        out_.row_at_rank[rank] = static_cast<std::uint32_t>(row);
        out_.ids[static_cast<std::size_t>(row)] = OpId(change.start_op + k, change.actor);
      }
    }
    return check_all_read(kOpTable, place);
  }

  // The older form: counters by row.
  Status read_counters(const Columns& columns) {
    auto actor = columns.open<Integers>(0x21);
    auto counter = columns.open<DeltaDecoder>(0x23);
    for (std::uint32_t row = 0; row < out_.ids.size(); ++row) {
      std::uint64_t author = 0;
      std::int64_t number = 0;
      const bool whole = actor.next(author) && counter.next(number);
      PEAT_TRY_VOID(check_columns(kOpTable, actor, counter));
      const auto at = std::ranges::upper_bound(
          by_rank_, std::pair(author, number), {}, [this](std::uint32_t i) {
            return std::pair(std::uint64_t{out_.changes[i].actor},
                             std::int64_t{out_.changes[i].start_op});
          });
      const auto* change = at == by_rank_.begin() ? nullptr : &out_.changes[*(at - 1)];
      if (!whole || change == nullptr || change->actor != author ||
          number >= std::int64_t{change->start_op} + change->op_count) {
        return bad("operation", row, "belongs to no change");
      }
      auto& place = out_.row_at_rank[change->first_rank +
                                     static_cast<std::uint32_t>(number - change->start_op)];
      if (place != kNone) return bad("operation", row, "has the id of another");
      place = row;
      out_.ids[row] = OpId(static_cast<std::uint32_t>(number), change->actor);
    }
    return check_all_read(kOpTable, counter);
  }

  Status read_operations(const Columns& columns);
  Status read_place(OpDecoders& d, OpView& op) const;
  Status read_content(OpDecoders& d, OpView& op) const;
  Status read_predecessors(OpDecoders& d);
  Result<OpId> reference(std::uint64_t actor, std::int64_t counter) const {
    if (actor >= out_.actors.size() || counter < 1 ||
        counter > static_cast<std::int64_t>(kMaxCounter)) {
      return bad("operation", out_.ops.size(), "names an impossible operation");
    }
    return OpId(static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(actor));
  }

  Input in_;
  const LoadLimits& limits_;
  std::uint64_t budget_;
  Bundle out_;
  std::vector<std::uint32_t> by_rank_;
};

Status BundleParser::read_operations(const Columns& columns) {
  OpDecoders decoders(columns);
  const auto rows = out_.ids.size();
  std::vector<std::size_t> pred_begin;
  for (std::size_t row = 0; row < rows; ++row) {
    OpView op;
    auto status = read_place(decoders, op);
    if (status) status = read_content(decoders, op);
    pred_begin.push_back(out_.predecessors.size());
    if (status) status = read_predecessors(decoders);
    // A column that broke is the better explanation than the null it gave.
    PEAT_TRY_VOID(decoders.check());
    PEAT_TRY_VOID(status);
    out_.ops.push_back(op);
  }
  pred_begin.push_back(out_.predecessors.size());
  for (std::size_t row = 0; row < rows; ++row) {
    out_.ops[row].links = std::span(out_.predecessors)
                              .subspan(pred_begin[row], pred_begin[row + 1] - pred_begin[row]);
  }
  return decoders.check_ends();
}

Status BundleParser::read_place(OpDecoders& d, OpView& op) const {
  const auto row = out_.ops.size();
  std::uint64_t actor = 0;
  std::int64_t counter = 0;
  if (!d.id_actor.next(actor) || actor != out_.ids[row].actor()) {
    return bad("operation", row, "is of another actor than the change it belongs to");
  }
  const bool in_object = d.obj_actor.next(actor);
  if (d.obj_counter.next(counter) != in_object) return bad("operation", row, "has half an object");
  if (in_object) {
    PEAT_TRY(op.object, reference(actor, counter));
  }
  const bool element = d.key_actor.next(actor);
  const bool sequence = d.key_counter.next(counter);
  op.has_key = d.key.next(op.key);
  if (op.has_key ? element || sequence : !sequence || (!element && counter != 0)) {
    return bad("operation", row, "has no key, or two");
  }
  if (element) {
    PEAT_TRY(op.elem, reference(actor, counter));
  }
  return {};
}

Status BundleParser::read_content(OpDecoders& d, OpView& op) const {
  const auto row = out_.ops.size();
  op.insert = d.insert.next();
  op.expand = d.expand.next();
  op.has_mark_name = d.mark_name.next(op.mark_name);
  std::uint64_t number = 0;
  if (!d.action.next(number) || number > kLastAction) return bad("operation", row, "has no action");
  op.action = static_cast<Action>(number);
  if (!d.meta.next(number) || number > kMaxCounter) return bad("operation", row, "has no value");
  op.meta = static_cast<std::uint32_t>(number);
  op.value = d.value.take(number >> 4);
  if (d.value.failed()) return {};  // the caller tells
  if (const char* fault = value_fault(op.meta, op.value)) return bad("operation", row, fault);
  if (!is_utf8(op.key) || !is_utf8(op.mark_name)) {
    return bad("operation", row, "has a key or mark name that is not UTF-8");
  }
  return {};
}

Status BundleParser::read_predecessors(OpDecoders& d) {
  std::uint64_t n = 0;
  if (!d.preds.next(n)) n = 0;
  if (n > limits_.ops || out_.predecessors.size() + n > limits_.ops) {
    return fail(Code::limit_exceeded, "a bundle whose operations replace more than " +
                                          std::to_string(limits_.ops) + " others");
  }
  for (std::uint64_t i = 0; i < n; ++i) {
    std::uint64_t actor = 0;
    std::int64_t counter = 0;
    if (!d.pred_actor.next(actor) || !d.pred_counter.next(counter)) {
      return bad("operation", out_.ops.size(), "has fewer predecessors than it says");
    }
    PEAT_TRY(const auto pred, reference(actor, counter));
    out_.predecessors.push_back(pred);
  }
  return {};
}

class BundledOps final : public OpSource {
 public:
  BundledOps(const Bundle& bundle, const BundledChange& change)
      : bundle_(bundle), change_(change) {}
  void restart() final { next_ = 0; }
  bool next(OpView& op) final {
    if (next_ == change_.op_count) return false;
    op = bundle_.ops[bundle_.row_at_rank[change_.first_rank + next_++]];
    return true;
  }

 private:
  const Bundle& bundle_;
  const BundledChange& change_;
  std::uint32_t next_ = 0;
};

}  // namespace

Result<Bundle> read_bundle(const Chunk& chunk, const LoadLimits& limits) {
  PEAT_TRY_VOID(check_checksum(chunk, hash_chunk(ChunkType::kBundle, chunk.data)));
  return BundleParser(chunk, limits).run();
}

Result<std::vector<Bytes>> unbundle(const Bundle& bundle, std::uint64_t most) {
  ActorTable actors;
  for (const auto actor : bundle.actors) actors.add(actor);
  std::vector<ChangeHash> hashes;
  std::vector<ChangeHash> deps;
  std::vector<Bytes> out;
  std::uint64_t total = 0;
  const auto too_much = [most] {
    return fail(Code::limit_exceeded,
                "a bundle whose changes take more than " + std::to_string(most) + " bytes");
  };
  for (const auto& change : bundle.changes) {
    const auto header = 32 * std::uint64_t{change.deps_count} + bundle.actors[change.actor].size() +
                        change.message.size() + change.extra.size();
    if (header > most - total) return too_much();
    deps.clear();
    for (const auto dep : std::span(bundle.deps).subspan(change.deps_begin, change.deps_count)) {
      const auto inside = dep < bundle.changes.size();
      deps.push_back(inside ? hashes[dep] : bundle.outside[dep - bundle.changes.size()]);
    }
    std::ranges::sort(deps);
    BundledOps ops(bundle, change);
    const ChangeFacts facts{
        deps,        change.actor,   change.seq,  change.start_op, change.op_count,
        change.time, change.message, change.extra};
    hashes.push_back(encode_change(actors, facts, ops, out.emplace_back()));
    if (out.back().size() > most - total) return too_much();
    total += out.back().size();
  }
  return out;
}

}  // namespace peat::automerge
