#include <algorithm>
#include <utility>

#include "automerge/author.hpp"
#include "automerge/document_impl.hpp"
#include "automerge/editor.hpp"

namespace peat::automerge {

namespace {

// The record of a transaction is lent out again: one keystroke should not cost three allocations.
constexpr std::size_t kMostKept = 1024;
thread_local std::unique_ptr<Pending> spare_pending;

std::unique_ptr<Pending> take_pending() {
  if (spare_pending == nullptr) return std::make_unique<Pending>();
  return std::move(spare_pending);
}

void give_back(std::unique_ptr<Pending> pending) {
  if (pending->ops.capacity() > kMostKept || pending->preds.capacity() > kMostKept) return;
  pending->actor = kNone;
  pending->count = 0;
  pending->broken = false;
  pending->typed.object = kNone;
  pending->at_heads = false;
  pending->ops.clear();
  pending->preds.clear();
  spare_pending = std::move(pending);
}

}  // namespace

std::unexpected<Error> broken() {
  return fail(Code::out_of_memory,
              "an edit of this transaction ran out of memory half-way: roll it back");
}

// --- Document::begin, Transaction life cycle ------------------------------------------------

Result<Transaction> Document::begin() {
  return guarded([&]() -> Result<Transaction> {
    if (impl_->pending) {
      return fail(Code::invalid_argument,
                  "a transaction is open on this document; commit it first");
    }
    PEAT_TRY_VOID(impl_->ensure_hashes());
    if (impl_->graph.size() == 0 && !impl_->ops) impl_->ops = impl_->new_ops();
    PEAT_TRY_VOID(impl_->materialise());
    impl_->pending = take_pending();
    impl_->pending->start_op = impl_->graph.max_op() + 1;
    return Transaction(*this);
  });
}

Transaction::Transaction(Document& document) : document_(&document) {}
Transaction::Transaction(Transaction&& other) noexcept
    : document_(std::exchange(other.document_, nullptr)), past_(std::move(other.past_)) {}
Transaction::~Transaction() { rollback(); }

const Document& Transaction::document() const { return past_ ? *past_ : *document_; }

std::size_t Transaction::pending_ops() const {
  return document_ == nullptr ? 0 : impl()->pending->count;
}

void Transaction::rollback() {
  if (document_ == nullptr) return;
  auto& impl = *document_->impl_;
  // Chunks hold every committed change, so the op set is simply made again when it is needed.
  if (!impl.pending->ops.empty() || impl.pending->broken) impl.drop_ops();
  past_.reset();
  give_back(std::move(impl.pending));
  document_ = nullptr;
}

Result<std::optional<ChangeHash>> Transaction::commit(const CommitOptions& options) {
  return guarded([&]() -> Result<std::optional<ChangeHash>> {
    if (document_ == nullptr) {
      return fail(Code::invalid_argument, "this transaction has ended already");
    }
    PEAT_TRY_VOID(check_text(options.message, "a commit message"));
    if (impl()->pending->broken) return broken();
    if (impl()->pending->ops.empty() && !options.allow_empty) {
      rollback();
      return std::optional<ChangeHash>();
    }
    if (past_) return commit_past(options);
    auto& impl = *document_->impl_;
    const auto hash = impl.commit(options);
    document_ = nullptr;
    impl.notify();
    return std::optional<ChangeHash>(hash);
  });
}

class Document::Impl::PendingOps final : public OpSource {
 public:
  explicit PendingOps(const Impl& impl) : ops_(*impl.ops), pending_(*impl.pending) {}
  void restart() final {
    edit_ = 0;
    row_ = 0;
  }
  bool next(OpView& op) final {
    if (edit_ == pending_.ops.size()) return false;
    const auto& edit = pending_.ops[edit_];
    switch (edit.kind) {
      case PendingOp::Kind::typing:
        op = ops_.view_typing(edit.source, edit.elem, edit.value, edit.width, edit.count);
        ++edit_;
        return true;
      case PendingOp::Kind::deleting:
        op = ops_.view_deleting(edit.source, edit.elem, edit.step, edit.count);
        op.links = std::span(&edit.elem, 1);
        ++edit_;
        return true;
      case PendingOp::Kind::row:
        op = ops_.view(ops_.row(edit.source + row_));
        break;
      case PendingOp::Kind::deletion:
        op = ops_.view_deletion(edit.source);
        break;
    }
    op.links =
        std::span(pending_.preds)
            .subspan(edit.preds_begin + std::size_t{row_} * edit.preds_count, edit.preds_count);
    if (++row_ == edit.count) {
      ++edit_;
      row_ = 0;
    }
    return true;
  }

 private:
  const OpSet& ops_;
  const Pending& pending_;
  std::size_t edit_ = 0;
  std::uint32_t row_ = 0;  // of a run of rows
};

// Writes the pending edits as a change and appends it.
ChangeHash Document::Impl::commit(const CommitOptions& options) {
  auto& edits = *pending;
  if (edits.actor == kNone) edits.actor = actors.add(actor.bytes);

  thread_local std::vector<ChangeHash> deps;
  thread_local std::vector<std::uint32_t> dep_rows;
  deps.assign(graph.heads().begin(), graph.heads().end());
  dep_rows.assign(graph.head_rows().begin(), graph.head_rows().end());
  const auto own = graph.last_of(edits.actor);
  if (own != kNone && !edits.at_heads && std::ranges::find(dep_rows, own) == dep_rows.end()) {
    const auto at = std::ranges::lower_bound(deps, graph.row(own).hash) - deps.begin();
    deps.insert(deps.begin() + at, graph.row(own).hash);
    dep_rows.insert(dep_rows.begin() + at, own);
  }
  GraphRow row;
  row.time = options.time;
  row.actor = edits.actor;
  row.seq = graph.seq_of(edits.actor) + 1;
  row.start_op = edits.start_op;
  row.op_count = edits.count;

  PendingOps views(*this);
  const auto footer = row.seq == 1 && author ? author_footer(*author) : Bytes();
  const ChangeFacts facts{deps,         row.actor, row.seq,         row.start_op,
                          row.op_count, row.time,  options.message, footer};
  thread_local Bytes chunk;
  chunk.clear();
  row.hash = encode_change(actors, facts, views, chunk);
  tail.make_room(1, chunk.size());
  graph.add(row, dep_rows, options.message, footer);
  tail.append(chunk);  // there is room
  give_back(std::move(pending));
  if (graph.size() == 1) ops = settled(std::move(ops));  // it grew from nothing
  return row.hash;
}

// --- Transaction edits ----------------------------------------------------------------------

namespace {

OpView make_op(ObjectType type) {
  OpView op;
  op.action = make_action(type);
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

Document::Impl* Transaction::impl() const {
  if (document_ == nullptr) return nullptr;
  return past_ ? past_->impl_.get() : document_->impl_.get();
}

Status Transaction::put(ObjectId object, std::string_view key, const Scalar& value) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY_VOID(check_text(key, "a key"));
    PEAT_TRY(const auto encoded, edit.encode(value));
    PEAT_TRY(const auto map, edit.map(object));
    return edit.set(impl()->ops->map_slot(map, key), encoded);
  });
}

Status Transaction::put(ObjectId object, std::size_t index, const Scalar& value) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY(const auto encoded, edit.encode(value));
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
    PEAT_TRY(const auto encoded, edit.encode(value));
    PEAT_TRY(const auto sequence, edit.sequence(list));
    Editor::Spot spot;
    PEAT_TRY_VOID(edit.find_spot(sequence, index, spot));
    return edit.insert(sequence, spot, encoded.op());
  });
}

Result<ObjectId> Transaction::insert_object(ObjectId list, std::size_t index, ObjectType type) {
  return with_editor(impl(), [&](Editor& edit) -> Result<ObjectId> {
    PEAT_TRY(const auto sequence, edit.sequence(list));
    Editor::Spot spot;
    PEAT_TRY_VOID(edit.find_spot(sequence, index, spot));
    PEAT_TRY_VOID(edit.insert(sequence, spot, make_op(type)));
    return ObjectId{impl()->pending->ops.back().last_id()};
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

Status Transaction::keep_winner(ObjectId object, std::string_view key) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY(const auto map, edit.map(object));
    const auto slot = impl()->ops->find_slot(map, key);
    return slot == kNone ? Status() : edit.keep_winner(slot);
  });
}

Status Transaction::keep_winner(ObjectId object, std::size_t index) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY(const auto sequence, edit.sequence(object));
    PEAT_TRY(const auto slot, edit.element(sequence, index));
    return edit.keep_winner(slot);
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
    PEAT_TRY(const auto range, splice_range(index, erase));
    Editor::Spot spot;
    PEAT_TRY_VOID(edit.find_spot(sequence, range.index, spot));
    PEAT_TRY_VOID(edit.insert_text(sequence, spot, insert));
    return range.erase == 0 ? Status() : edit.erase_range(sequence, spot.index, range.erase);
  });
}

Status Transaction::splice(ObjectId list, std::size_t index, std::ptrdiff_t erase,
                           std::span<const Scalar> insert) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    std::vector<Encoded> values;
    values.reserve(insert.size());
    for (const auto& value : insert) {
      PEAT_TRY(auto encoded, edit.encode(value));
      values.push_back(std::move(encoded));
    }
    PEAT_TRY(const auto sequence, edit.sequence(list));
    PEAT_TRY(const auto range, splice_range(index, erase));
    Editor::Spot spot;
    PEAT_TRY_VOID(edit.find_spot(sequence, range.index, spot));
    for (const auto& value : values) {
      PEAT_TRY_VOID(edit.insert(sequence, spot, value.op()));
    }
    return edit.erase_range(sequence, spot.index, range.erase);
  });
}

}  // namespace peat::automerge