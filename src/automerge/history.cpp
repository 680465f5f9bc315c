// Documents at other heads than their own.
#include <algorithm>

#include "automerge/document_impl.hpp"
#include "automerge/view_impl.hpp"
#include "automerge/visibility.hpp"
#include "peat/automerge/view.hpp"

namespace peat::automerge {

// The rows of `heads`; all of them must be here.
Result<std::vector<std::uint32_t>> Document::Impl::rows_of(std::span<const ChangeHash> heads) {
  PEAT_TRY_VOID(ensure_hashes());
  std::vector<std::uint32_t> rows;
  for (const auto& hash : heads) {
    const auto row = graph.find(hash);
    if (!row) return fail(Code::not_found, "no change " + hash.to_string() + " in this document");
    rows.push_back(*row);
  }
  return rows;
}

Result<Clock> Document::Impl::clock_at(std::span<const ChangeHash> heads) {
  PEAT_TRY(const auto rows, rows_of(heads));
  const auto in = graph.closure(rows);
  Clock clock;
  for (std::uint32_t row = 0; row < in.size(); ++row) {
    if (in[row]) clock.cover(graph.row(row).actor, graph.row(row).max_op());
  }
  return clock;
}

View Document::read() const { return {*this, nullptr}; }

Result<View> Document::at(std::span<const ChangeHash> heads) const {
  return guarded([&]() -> Result<View> {
    PEAT_TRY_VOID(impl_->materialise());
    PEAT_TRY(auto clock, impl_->clock_at(heads));
    return View(*this, std::make_shared<const Clock>(std::move(clock)));
  });
}

// The changes go in as the reference takes them: depth first from the heads, then backwards.
Result<Document> Document::fork_at(std::span<const ChangeHash> heads,
                                   std::optional<ActorId> actor) const {
  return guarded([&]() -> Result<Document> {
    PEAT_TRY(auto open, impl_->rows_of(heads));
    std::vector<char> seen(impl_->graph.size());
    std::erase_if(open, [&](std::uint32_t row) { return std::exchange(seen[row], 1) != 0; });
    std::vector<std::uint32_t> rows;
    while (!open.empty()) {
      const auto row = open.back();
      open.pop_back();
      rows.push_back(row);
      for (const auto dep : impl_->graph.deps(row)) {
        if (std::exchange(seen[dep], 1) == 0) open.push_back(dep);
      }
    }
    std::ranges::reverse(rows);
    Document out(actor ? std::move(*actor) : ActorId::random());
    out.impl_->text_unit = impl_->text_unit;
    PEAT_TRY_VOID(out.impl_->take(*impl_, rows));
    return out;
  });
}

// Applies rows of another document.
Result<ApplyReport> Document::Impl::take(Impl& other, std::span<const std::uint32_t> rows) {
  Incoming incoming;
  for (const auto row : rows) {
    PEAT_TRY(const auto bytes, other.chunk_of(row));
    PEAT_TRY(const auto chunk, read_chunk(bytes, 0));
    PEAT_TRY(auto change, parse_change_body(chunk, other.graph.row(row).hash, no_limits()));
    incoming.changes.push_back(std::move(change));
  }
  return apply(incoming);
}

}  // namespace peat::automerge
