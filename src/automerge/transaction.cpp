// Local edits. Which operations an edit makes decides the hash of the change, so each follows the
// rules of the existing implementations exactly.
#include <algorithm>
#include <cstring>
#include <utility>

#include "automerge/document_impl.hpp"
#include "base/limits.hpp"

namespace peat::automerge {

namespace {

constexpr std::uint64_t kMaxCounter = 0xffffffff;
constexpr std::size_t kMaxValueBytes = (std::size_t{1} << 28) - 1;

// A value as a row stores it.
struct Encoded {
  std::uint32_t meta = 0;
  Bytes bytes;
};

std::uint32_t meta_of(std::uint8_t type, std::size_t length) {
  return static_cast<std::uint32_t>(length << 4 | type);
}

struct EncodeScalar {
  Bytes& out;

  std::uint8_t operator()(Null) const { return kTypeNull; }
  std::uint8_t operator()(bool v) const { return v ? kTypeTrue : kTypeFalse; }
  std::uint8_t operator()(std::uint64_t v) const {
    put_uleb(out, v);
    return kTypeUint;
  }
  std::uint8_t operator()(std::int64_t v) const {
    put_sleb(out, v);
    return kTypeInt;
  }
  std::uint8_t operator()(double v) const {
    out.resize(8);
    std::memcpy(out.data(), &v, 8);
    return kTypeDouble;
  }
  std::uint8_t operator()(Counter v) const {
    put_sleb(out, v.value);
    return kTypeCounter;
  }
  std::uint8_t operator()(Timestamp v) const {
    put_sleb(out, v.ms);
    return kTypeTimestamp;
  }
  std::uint8_t operator()(std::string_view v) const {
    put_bytes(out, as_bytes(v));
    return kTypeText;
  }
  std::uint8_t operator()(ByteView v) const {
    put_bytes(out, v);
    return kTypeBytes;
  }
  std::uint8_t operator()(const UnknownValue& v) const {
    put_bytes(out, v.bytes);
    return v.type;
  }
};

Status check_text(std::string_view text, std::string_view what) {
  if (text.size() > kMaxValueBytes) {
    return fail(Code::limit_exceeded, std::string(what) + " of " + std::to_string(text.size()) +
                                          " bytes; at most 268435455 are allowed");
  }
  if (is_utf8(text)) return {};
  return fail(Code::invalid_argument, std::string(what) + " is not UTF-8; store it as bytes");
}

// Copies, because the value may be a view into the op set that is about to grow.
Result<Encoded> encode(const Scalar& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    PEAT_TRY_VOID(check_text(*text, "a string value"));
  }
  if (const auto* bytes = std::get_if<ByteView>(&value); bytes && bytes->size() > kMaxValueBytes) {
    return fail(Code::limit_exceeded, "a value of " + std::to_string(bytes->size()) + " bytes");
  }
  if (const auto* unknown = std::get_if<UnknownValue>(&value)) {
    if (unknown->type <= kTypeTimestamp || unknown->type > 15 ||
        unknown->bytes.size() > kMaxValueBytes) {
      return fail(Code::invalid_argument,
                  "an unknown value has a type of 10 to 15, not " + std::to_string(unknown->type));
    }
  }
  Encoded out;
  const auto type = std::visit(EncodeScalar{out.bytes}, value);
  out.meta = meta_of(type, out.bytes.size());
  return out;
}

Action action_of(ObjectType type) {
  switch (type) {
    case ObjectType::list:
      return Action::kMakeList;
    case ObjectType::text:
      return Action::kMakeText;
    case ObjectType::table:
      return Action::kMakeTable;
    case ObjectType::map:
      break;
  }
  return Action::kMakeMap;
}

std::uint8_t code_point_width(std::uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

std::unexpected<Error> beyond(std::size_t index, std::uint64_t length) {
  return fail(Code::out_of_range,
              "index " + std::to_string(index) + " of " + std::to_string(length) + " elements");
}

// One transaction's access to its document.
class Editor {
 public:
  explicit Editor(Document::Impl& impl) : impl_(impl), ops_(*impl.ops), pending_(*impl.pending) {}

  // The object of an edit, and that it is of the kind the edit is for.
  Result<std::uint32_t> map(ObjectId id) const { return object(id, true); }
  Result<std::uint32_t> sequence(ObjectId id) const { return object(id, false); }

  // The slot of the element at an index.
  Result<std::uint32_t> element(std::uint32_t object, std::size_t index) {
    PEAT_TRY(const auto place, place_at(object, index));
    return ops_.element_slot(object, place);
  }

  // Whether a visible row shows this value now. A counter shows its sum: after increments, putting
  // the number that it once began with is an edit.
  bool holds(std::uint32_t row, const Encoded& value) const {
    const auto& held = ops_.row(row);
    if (held.action != Action::kSet) return false;
    if ((held.meta & 15) == kTypeCounter && (value.meta & 15) == kTypeCounter) {
      return std::get<Counter>(ops_.scalar(row)).value == Input(value.bytes).sleb();
    }
    return held.meta == value.meta && std::ranges::equal(ops_.value_bytes(held), value.bytes);
  }

  // Sets a slot: nothing if it has this value already; if it wins a conflict, the others go.
  Status set(std::uint32_t slot, const Encoded& value) {
    auto visible = ops_.visible_rows(slot);
    if (!visible.empty()) {
      if (holds(visible.back(), value)) {
        visible.pop_back();
        return visible.empty() ? Status() : emit(slot, deletion(), visible);
      }
    }
    OpView op;
    op.meta = value.meta;
    op.value = value.bytes;
    return emit(slot, op, visible);
  }

  Result<ObjectId> make(std::uint32_t slot, ObjectType type) {
    OpView op;
    op.action = action_of(type);
    PEAT_TRY_VOID(emit(slot, op, ops_.visible_rows(slot)));
    return ObjectId{pending_.ops.back().id};
  }

  Status erase(std::uint32_t slot) {
    const auto visible = ops_.visible_rows(slot);
    return visible.empty() ? Status() : emit(slot, deletion(), visible);
  }

  Status increment(std::uint32_t slot, std::int64_t by) {
    const auto visible = ops_.visible_rows(slot);
    if (std::ranges::none_of(visible, [this](std::uint32_t row) {
          return (ops_.row(row).meta & 15) == kTypeCounter;
        })) {
      return fail(Code::missing_counter, "there is no counter to increment at this place");
    }
    Bytes bytes;
    put_sleb(bytes, by);
    OpView op;
    op.action = Action::kIncrement;
    op.meta = meta_of(kTypeInt, bytes.size());
    op.value = bytes;
    return emit(slot, op, visible);
  }

  // Where something inserted at `index` goes: the gap, the element before it, and the index that it
  // gets (greater than asked for inside an element of several units).
  struct Spot {
    Sequence::Place gap;
    OpId ref;
    std::uint64_t index = 0;
  };
  Result<Spot> spot(std::uint32_t object, std::size_t index) const {
    const auto& elements = sequence_of(object);
    const auto unit = unit_of(object);
    if (index > elements.total().*unit) return beyond(index, elements.total().*unit);
    Spot out;
    if (index != 0) {
      std::uint64_t into = 0;
      const auto place = elements.at_index(index - 1, unit, into);
      const auto& run = elements.run(place);
      const auto width = run.rich() ? ops_.units_of_slot(run.value).*unit : run.units(1).*unit;
      out.gap = Sequence::after(place);
      out.ref = run.id(place.offset);
      out.index = index - 1 - into + width;
    }
    if (ops_.object(object).has_marks) pass_marks(elements, out);
    return out;
  }

  // Inserts one element and makes the place behind it the spot for the next.
  Status insert(std::uint32_t object, Spot& at, const OpView& value) {
    OpView op = value;
    op.elem = at.ref;
    op.insert = true;
    if (is_typing(op)) {
      return insert_text(object, at, op.value, static_cast<std::uint8_t>(op.meta >> 4));
    }
    PEAT_TRY(const auto id, next_id());
    const auto row = ops_.insert_row(object, at.gap, op, id);
    PendingOp done;
    done.id = id;
    done.source = row;
    record(done, {});
    at.ref = id;
    return {};
  }

  // Inserts code points of `width` bytes each, an operation each.
  Status insert_text(std::uint32_t object, Spot& at, ByteView text, std::uint8_t width) {
    PendingOp op;
    op.kind = PendingOp::Kind::typing;
    op.count = static_cast<std::uint32_t>(text.size() / width);
    op.width = width;
    op.source = object;
    op.elem = at.ref;
    op.value = ops_.value_end();
    PEAT_TRY(op.id, next_id(op.count));
    ops_.insert_text(object, at.gap, at.ref, op.id, text, width);
    record_run(op);
    at.ref = advance(op.id, std::int64_t{op.count} - 1);
    return {};
  }

  Status erase_range(std::uint32_t object, std::uint64_t index, std::size_t units) {
    const auto& elements = sequence_of(object);
    const auto unit = unit_of(object);
    for (std::uint64_t erased = 0; erased < units;) {
      std::uint64_t into = 0;
      const auto place = elements.at_index(index, unit, into);
      if (elements.at_end(place)) break;
      const auto& run = elements.run(place);
      const auto width = run.rich() ? ops_.units_of_slot(run.value).*unit : run.units(1).*unit;
      if (into != 0) {  // inside an element: on to the next one
        index += width - into;
        continue;
      }
      if (run.rich()) {
        PEAT_TRY_VOID(erase(run.value));
        erased += width;
        continue;
      }
      const auto most = (units - erased + width - 1) / width;
      const auto n =
          static_cast<std::uint32_t>(std::min<std::uint64_t>(most, run.count - place.offset));
      PEAT_TRY_VOID(erase_text(object, place, n));
      erased += n * width;
    }
    return {};
  }

  Status erase_at(std::uint32_t object, std::size_t index) {
    PEAT_TRY(const auto place, place_at(object, index));
    const auto& run = sequence_of(object).run(place);
    return run.rich() ? erase(run.value) : erase_text(object, place, 1);
  }

 private:
  Result<std::uint32_t> object(ObjectId id, bool map) const {
    const auto index = ops_.find_object(id.op);
    if (index == kNone) return fail(Code::not_found, "no such object in this document");
    if (ops_.object(index).is_map() != map) {
      return fail(Code::wrong_type, map ? "the object is a list or text; edit it by index"
                                        : "the object is a map; edit it by key");
    }
    return index;
  }

  const Sequence& sequence_of(std::uint32_t object) const { return *ops_.object(object).sequence; }
  Unit unit_of(std::uint32_t object) const { return impl_.unit_of(ops_.object(object)); }

  Result<Sequence::Place> place_at(std::uint32_t object, std::size_t index) const {
    const auto& elements = sequence_of(object);
    std::uint64_t into = 0;
    const auto place = elements.at_index(index, unit_of(object), into);
    if (elements.at_end(place)) return beyond(index, elements.total().*unit_of(object));
    return place;
  }

  // Past marks that want what is inserted at their edge on their other side.
  void pass_marks(const Sequence& elements, Spot& at) const {
    struct Candidate {
      Sequence::Place gap;
      OpId ref;
    };
    std::vector<Candidate> spots{{at.gap, at.ref}};
    for (auto p = elements.normalised(at.gap); !elements.at_end(p); p = elements.next_run(p)) {
      const auto& run = elements.run(p);
      if (!run.rich()) {
        if (run.visible()) break;
        continue;
      }
      const auto& row = ops_.row(ops_.slot(run.value).first);
      if (row.action != Action::kMark) {
        if (ops_.slot(run.value).winner != kNone) break;
        continue;
      }
      const bool begins = row.extra != kNone;
      if (!begins) {
        const auto begin =
            std::ranges::find(spots, OpId(row.id.counter() - 1, row.id.actor()), &Candidate::ref);
        if (begin != spots.end() && begin != spots.begin()) {
          spots.erase(begin, spots.end());
          continue;
        }
      }
      if (begins == row.expand) spots.push_back({Sequence::after(p), row.id});
    }
    at.gap = spots.back().gap;
    at.ref = spots.back().ref;
  }

  Status erase_text(std::uint32_t object, Sequence::Place place, std::uint32_t n) {
    PendingOp op;
    op.kind = PendingOp::Kind::deleting;
    op.count = n;
    op.step = n == 1 ? std::int8_t{0} : std::int8_t{1};
    op.source = object;
    op.elem = sequence_of(object).id(place);
    PEAT_TRY(op.id, next_id(n));
    ops_.erase_text(object, place, n, op.id, 1);
    record_run(op);
    return {};
  }

  static OpView deletion() {
    OpView op;
    op.action = Action::kDelete;
    return op;
  }

  // The first of `n` new ids.
  Result<OpId> next_id(std::uint32_t n = 1) {
    const auto counter = std::uint64_t{pending_.start_op} + pending_.count;
    if (counter + n > kMaxCounter) {
      return fail(Code::limit_exceeded, "the document has used up its 2^32 operation counters");
    }
    if (pending_.actor == kNone) pending_.actor = impl_.actors.add(impl_.actor.bytes);
    return OpId(static_cast<std::uint32_t>(counter), pending_.actor);
  }

  Status emit(std::uint32_t slot, const OpView& op, std::span<const std::uint32_t> replaced) {
    static const auto kMost = Limits().automerge_predecessors;
    if (replaced.size() > kMost) {
      return fail(Code::limit_exceeded, std::to_string(replaced.size()) +
                                            " conflicting values at one place; at most " +
                                            std::to_string(kMost) + " can be replaced");
    }
    PEAT_TRY(const auto id, next_id());
    for (const auto row : replaced) {
      ops_.add_successor(row, id, op.action == Action::kIncrement);
    }
    PendingOp done;
    done.id = id;
    if (op.action == Action::kDelete) {
      done.kind = PendingOp::Kind::deletion;
      done.source = slot;
    } else {
      done.source = ops_.add_row(slot, op, id);
    }
    record(done, replaced);
    return {};
  }

  void record(PendingOp op, std::span<const std::uint32_t> replaced) {
    op.preds_begin = static_cast<std::uint32_t>(pending_.preds.size());
    op.preds_count = static_cast<std::uint32_t>(replaced.size());
    for (const auto pred : replaced) pending_.preds.push_back(ops_.row(pred).id);
    pending_.ops.push_back(op);
    ++pending_.count;
  }

  // Typing and deleting go on with the run before where they can.
  void record_run(const PendingOp& op) {
    pending_.count += op.count;
    if (!pending_.ops.empty() && extend(pending_.ops.back(), op)) return;
    pending_.ops.push_back(op);
  }
  static bool extend(PendingOp& last, const PendingOp& op) {
    if (last.kind != op.kind || last.source != op.source) return false;
    if (op.kind == PendingOp::Kind::typing) {
      if (last.width != op.width || op.elem != advance(last.id, std::int64_t{last.count} - 1) ||
          op.value != last.value + last.count * last.width) {
        return false;
      }
    } else {
      const auto end = advance(last.elem, std::int64_t{last.step} * (last.count - 1));
      const auto step = std::int64_t{op.elem.counter()} - std::int64_t{end.counter()};
      if (op.elem.actor() != end.actor() || (step != 1 && step != -1) ||
          (last.count > 1 && last.step != step) || (op.count > 1 && op.step != step)) {
        return false;
      }
      last.step = static_cast<std::int8_t>(step);
    }
    last.count += op.count;
    return true;
  }

  Document::Impl& impl_;
  OpSet& ops_;
  Pending& pending_;
};

OpView value_op(const Encoded& value) {
  OpView op;
  op.meta = value.meta;
  op.value = value.bytes;
  return op;
}

OpView make_op(ObjectType type) {
  OpView op;
  op.action = action_of(type);
  return op;
}

// Where a splice begins and how much it erases, a negative count erasing before the index.
struct SpliceRange {
  std::size_t index = 0;
  std::size_t erase = 0;
};
Result<SpliceRange> splice_range(std::size_t index, std::ptrdiff_t erase) {
  if (erase >= 0) return SpliceRange{index, static_cast<std::size_t>(erase)};
  const auto back = static_cast<std::size_t>(-(erase + 1)) + 1;
  if (back > index) {
    return fail(Code::out_of_range, "erasing " + std::to_string(back) + " elements before index " +
                                        std::to_string(index));
  }
  return SpliceRange{index - back, back};
}

}  // namespace

// --- Document::begin, Transaction life cycle ------------------------------------------------

Result<Transaction> Document::begin() {
  return guarded([&]() -> Result<Transaction> {
    if (impl_->pending) {
      return fail(Code::invalid_argument,
                  "a transaction is open on this document; commit it first");
    }
    PEAT_TRY_VOID(impl_->ensure_hashes());
    PEAT_TRY_VOID(impl_->materialise());
    impl_->pending = std::make_unique<Pending>();
    impl_->pending->start_op = impl_->graph.max_op() + 1;
    return Transaction(*this);
  });
}

Transaction::Transaction(Document& document) : document_(&document) {}
Transaction::Transaction(Transaction&& other) noexcept
    : document_(std::exchange(other.document_, nullptr)) {}
Transaction::~Transaction() { rollback(); }

const Document& Transaction::document() const { return *document_; }

std::size_t Transaction::pending_ops() const {
  return document_ == nullptr ? 0 : document_->impl_->pending->count;
}

void Transaction::rollback() {
  if (document_ == nullptr) return;
  auto& impl = *document_->impl_;
  // Chunks hold every committed change, so the op set is simply made again when it is needed.
  if (!impl.pending->ops.empty()) impl.ops.reset();
  impl.pending.reset();
  document_ = nullptr;
}

Result<std::optional<ChangeHash>> Transaction::commit(const CommitOptions& options) {
  return guarded([&]() -> Result<std::optional<ChangeHash>> {
    if (document_ == nullptr) {
      return fail(Code::invalid_argument, "this transaction has ended already");
    }
    PEAT_TRY_VOID(check_text(options.message, "a commit message"));
    auto& impl = *document_->impl_;
    if (impl.pending->ops.empty() && !options.allow_empty) {
      rollback();
      return std::optional<ChangeHash>();
    }
    const auto hash = impl.commit(options);
    document_ = nullptr;
    return std::optional<ChangeHash>(hash);
  });
}

OpView Document::Impl::view(const PendingOp& edit) const {
  OpView op;
  switch (edit.kind) {
    case PendingOp::Kind::typing:
      return ops->view_typing(edit.source, edit.elem, edit.value, edit.width, edit.count);
    case PendingOp::Kind::deleting:
      op = ops->view_deleting(edit.source, edit.elem, edit.step, edit.count);
      op.links = std::span(&edit.elem, 1);
      return op;
    case PendingOp::Kind::row:
      op = ops->view(ops->row(edit.source));
      break;
    case PendingOp::Kind::deletion:
      op = ops->view_deletion(edit.source);
      break;
  }
  op.links = std::span(pending->preds).subspan(edit.preds_begin, edit.preds_count);
  return op;
}

// Writes the pending edits as a change and appends it.
ChangeHash Document::Impl::commit(const CommitOptions& options) {
  auto& edits = *pending;
  if (edits.actor == kNone) edits.actor = actors.add(actor.bytes);

  std::vector<ChangeHash> deps = graph.heads();
  const auto own = graph.last_of(edits.actor);
  if (own != kNone && !std::ranges::binary_search(deps, graph.row(own).hash)) {
    deps.insert(std::ranges::lower_bound(deps, graph.row(own).hash), graph.row(own).hash);
  }
  std::vector<std::uint32_t> dep_rows;
  GraphRow row;
  row.time = options.time;
  for (const auto& dep : deps) {
    dep_rows.push_back(*graph.find(dep));
    row.time = std::max(row.time, graph.row(dep_rows.back()).time);
  }
  row.actor = edits.actor;
  row.seq = graph.seq_of(edits.actor) + 1;
  row.start_op = edits.start_op;
  row.op_count = edits.count;

  thread_local std::vector<OpView> views;
  views.clear();
  for (const auto& edit : edits.ops) views.push_back(view(edit));
  const ChangeFacts facts{deps, row.actor, row.seq, row.start_op, row.time, options.message, {}};
  thread_local Bytes chunk;
  chunk.clear();
  row.hash = encode_change(actors, facts, views, chunk);
  append_to_tail(chunk);
  graph.add(row, dep_rows, options.message, {});
  pending.reset();
  return row.hash;
}

// --- Transaction edits ----------------------------------------------------------------------

namespace {

template <class Body>
auto with_editor(Document::Impl* impl, Body body) -> decltype(body(std::declval<Editor&>())) {
  if (impl == nullptr) return fail(Code::invalid_argument, "this transaction has ended already");
  return guarded([&] {
    Editor editor(*impl);
    return body(editor);
  });
}

}  // namespace

Document::Impl* Transaction::impl() const {
  return document_ == nullptr ? nullptr : document_->impl_.get();
}

Status Transaction::put(ObjectId object, std::string_view key, const Scalar& value) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY_VOID(check_text(key, "a key"));
    PEAT_TRY(const auto encoded, encode(value));
    PEAT_TRY(const auto map, edit.map(object));
    return edit.set(impl()->ops->map_slot(map, key), encoded);
  });
}

Status Transaction::put(ObjectId object, std::size_t index, const Scalar& value) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY(const auto encoded, encode(value));
    PEAT_TRY(const auto sequence, edit.sequence(object));
    PEAT_TRY(const auto slot, edit.element(sequence, index));
    return edit.set(slot, encoded);
  });
}

Result<ObjectId> Transaction::put_object(ObjectId object, std::string_view key, ObjectType type) {
  return with_editor(impl(), [&](Editor& edit) -> Result<ObjectId> {
    PEAT_TRY_VOID(check_text(key, "a key"));
    PEAT_TRY(const auto map, edit.map(object));
    return edit.make(impl()->ops->map_slot(map, key), type);
  });
}

Result<ObjectId> Transaction::put_object(ObjectId object, std::size_t index, ObjectType type) {
  return with_editor(impl(), [&](Editor& edit) -> Result<ObjectId> {
    PEAT_TRY(const auto sequence, edit.sequence(object));
    PEAT_TRY(const auto slot, edit.element(sequence, index));
    return edit.make(slot, type);
  });
}

Status Transaction::insert(ObjectId list, std::size_t index, const Scalar& value) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY(const auto encoded, encode(value));
    PEAT_TRY(const auto sequence, edit.sequence(list));
    PEAT_TRY(auto spot, edit.spot(sequence, index));
    return edit.insert(sequence, spot, value_op(encoded));
  });
}

Result<ObjectId> Transaction::insert_object(ObjectId list, std::size_t index, ObjectType type) {
  return with_editor(impl(), [&](Editor& edit) -> Result<ObjectId> {
    PEAT_TRY(const auto sequence, edit.sequence(list));
    PEAT_TRY(auto spot, edit.spot(sequence, index));
    PEAT_TRY_VOID(edit.insert(sequence, spot, make_op(type)));
    return ObjectId{impl()->pending->ops.back().id};
  });
}

Status Transaction::erase(ObjectId object, std::string_view key) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY(const auto map, edit.map(object));
    const auto slot = impl()->ops->find_slot(map, key);
    return slot == kNone ? Status() : edit.erase(slot);
  });
}

Status Transaction::erase(ObjectId object, std::size_t index) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY(const auto sequence, edit.sequence(object));
    return edit.erase_at(sequence, index);
  });
}

Status Transaction::increment(ObjectId object, std::string_view key, std::int64_t by) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY(const auto map, edit.map(object));
    return edit.increment(impl()->ops->find_slot(map, key), by);
  });
}

Status Transaction::increment(ObjectId object, std::size_t index, std::int64_t by) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY(const auto sequence, edit.sequence(object));
    PEAT_TRY(const auto slot, edit.element(sequence, index));
    return edit.increment(slot, by);
  });
}

Status Transaction::splice_text(ObjectId text, std::size_t index, std::ptrdiff_t erase,
                                std::string_view insert) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY_VOID(check_text(insert, "inserted text"));
    PEAT_TRY(const auto sequence, edit.sequence(text));
    PEAT_TRY(auto range, splice_range(index, erase));
    PEAT_TRY(auto spot, edit.spot(sequence, range.index));
    // Code points of equal width go in together.
    const auto bytes = as_bytes(insert);
    const auto before = impl()->ops->object(sequence).sequence->total();
    for (std::size_t at = 0; at < bytes.size();) {
      const auto width = code_point_width(bytes[at]);
      auto end = at + width;
      while (end < bytes.size() && code_point_width(bytes[end]) == width) end += width;
      PEAT_TRY_VOID(edit.insert_text(sequence, spot, bytes.subspan(at, end - at), width));
      at = end;
    }
    if (!insert.empty()) {
      const auto unit = impl()->unit_of(impl()->ops->object(sequence));
      const auto& now = impl()->ops->object(sequence).sequence->total();
      range.index = spot.index + (now.*unit - before.*unit);
    }
    return edit.erase_range(sequence, range.index, range.erase);
  });
}

Status Transaction::splice(ObjectId list, std::size_t index, std::ptrdiff_t erase,
                           std::span<const Scalar> insert) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    std::vector<Encoded> values;
    values.reserve(insert.size());
    for (const auto& value : insert) {
      PEAT_TRY(auto encoded, encode(value));
      values.push_back(std::move(encoded));
    }
    PEAT_TRY(const auto sequence, edit.sequence(list));
    PEAT_TRY(auto range, splice_range(index, erase));
    PEAT_TRY(auto spot, edit.spot(sequence, range.index));
    for (const auto& value : values) {
      PEAT_TRY_VOID(edit.insert(sequence, spot, value_op(value)));
    }
    if (!values.empty()) range.index = spot.index + values.size();
    return edit.erase_range(sequence, range.index, range.erase);
  });
}

}  // namespace peat::automerge
