// Editing a document as it was.
#include <utility>

#include "automerge/document_impl.hpp"
#include "automerge/visibility.hpp"

namespace peat::automerge {

namespace {

// The actors of edits at old heads, level by level, where the document's own has gone on since.
ActorId derived_actor(const ActorId& actor, std::uint64_t level) {
  ActorId out{Bytes{0x13, 0xb2, 0x23, 0x09}};
  put_uleb(out.bytes, level);
  put_bytes(out.bytes, actor.bytes);
  return out;
}

}  // namespace

// The first of the own and the derived actors whose last change is in the history of the heads:
// asking for its greatest counter instead would miss a change without operations.
ActorId Document::Impl::actor_at(const std::vector<bool>& history) const {
  auto candidate = actor;
  for (std::uint64_t level = 1;; ++level) {
    const auto index = actors.find(candidate.bytes);
    const auto last = index ? graph.last_of(*index) : kNone;
    if (last == kNone || history[last]) return candidate;
    candidate = derived_actor(actor, level);
  }
}

// The edits are made in a document of the same history and the same actor table, so that ids mean
// the same in both, and come back as a change.
Result<Transaction> Document::begin_at(std::span<const ChangeHash> heads) {
  return guarded([&]() -> Result<Transaction> {
    if (impl_->pending) {
      return fail(Code::invalid_argument,
                  "a transaction is open on this document; commit it first");
    }
    PEAT_TRY(const auto from, impl_->rows_of(heads));
    const auto history = impl_->graph.closure(from);
    std::vector<std::uint32_t> rows;
    for (std::uint32_t row = 0; row < history.size(); ++row) {
      if (history[row]) rows.push_back(row);
    }
    auto past = std::make_unique<Document>(impl_->actor_at(history));
    impl_->actors.add(past->impl_->actor.bytes);
    past->impl_->actors = impl_->actors;
    past->impl_->author = impl_->author;
    past->impl_->text_unit = impl_->text_unit;
    PEAT_TRY_VOID(past->impl_->take(*impl_, rows));
    PEAT_TRY(auto inner, past->begin());
    past->impl_->pending->start_op = impl_->graph.max_op() + 1;
    past->impl_->pending->at_heads = true;
    inner.document_ = nullptr;  // its pending edits are this transaction's
    impl_->pending = std::make_unique<Pending>();
    Transaction out(*this);
    out.past_ = std::move(past);
    return out;
  });
}

// The change is made where it was edited and then taken into the document.
Result<std::optional<ChangeHash>> Transaction::commit_past(const CommitOptions& options) {
  const auto past = std::move(past_);
  auto& impl = *std::exchange(document_, nullptr)->impl_;
  impl.pending.reset();
  const auto hash = past->impl_->commit(options);
  const auto row = static_cast<std::uint32_t>(past->impl_->graph.size() - 1);
  PEAT_TRY_VOID(impl.take(*past->impl_, std::span(&row, 1)));
  return std::optional<ChangeHash>(hash);
}

}  // namespace peat::automerge
