#include "automerge/rebuild.hpp"

#include <algorithm>
#include <utility>

namespace peat::automerge {

namespace {

constexpr std::uint32_t kDeletion = 0x80000000;

std::unexpected<Error> bad(std::string what) { return fail(Code::document_invalid, what); }

}  // namespace

ChangeHash encode_change(const ActorTable& actors, const ChangeFacts& facts, std::span<OpView> ops,
                         Bytes& out) {
  thread_local OpWriter writer(Table::kChange);
  thread_local std::vector<std::uint32_t> number;  // of an actor inside the change
  thread_local std::vector<std::uint32_t> used;
  thread_local std::vector<OpId> links;
  number.assign(actors.size(), kNone);
  used.clear();
  number[facts.author] = 0;
  const auto note = [](OpId id) {
    if (id.none() || number[id.actor()] != kNone) return;
    number[id.actor()] = 1;
    used.push_back(id.actor());
  };
  for (const auto& op : ops) {
    note(op.object);
    note(op.elem);
    for (const auto link : op.links) note(link);
  }
  std::ranges::sort(used, {}, [&actors](std::uint32_t actor) { return actors.rank(actor); });
  std::vector<ByteView> others(used.size());
  for (std::uint32_t i = 0; i < used.size(); ++i) {
    number[used[i]] = i + 1;
    others[i] = actors.bytes(used[i]);
  }
  const auto renumber = [](OpId id) {
    return id.none() ? id : OpId(id.counter(), number[id.actor()]);
  };
  writer.clear();
  for (auto& op : ops) {
    op.object = renumber(op.object);
    op.elem = renumber(op.elem);
    links.clear();
    for (const auto link : op.links) links.push_back(renumber(link));
    op.links = links;
    writer.append(op);
    op.links = {};
  }
  ChangeHeader header;
  header.deps = facts.deps;
  header.actor = actors.bytes(facts.author);
  header.seq = facts.seq;
  header.start_op = facts.start_op;
  header.time = facts.time;
  header.message = facts.message;
  header.others = others;
  header.extra = facts.extra;
  return write_change(header, writer, out);
}

Rebuilder::Rebuilder(const OpSet& ops, const ActorTable& actors, ChangeGraph& graph,
                     std::uint32_t count)
    : ops_(ops),
      actors_(actors),
      graph_(graph),
      count_(count),
      by_actor_(actors.size()),
      ranges_(count) {
  for (std::uint32_t i = 0; i < count; ++i) by_actor_[graph.row(i).actor].push_back(i);
}

// The actor's first change that reaches this counter; kNone if that is a later one.
std::uint32_t Rebuilder::change_of(OpId id) {
  const auto& mine = by_actor_[id.actor()];
  if (mine.size() == 1) return graph_.row(mine[0]).max_op() < id.counter() ? kNone : mine[0];
  const auto at = std::ranges::lower_bound(
      mine, id.counter(), {}, [this](std::uint32_t change) { return graph_.row(change).max_op(); });
  return at == mine.end() ? kNone : *at;
}

// Only once every range is known.
std::uint32_t Rebuilder::position_of(OpId id) {
  const auto change = change_of(id);
  if (change == kNone) return kNone;
  const auto& range = ranges_[change];
  return range.begin + (id.counter() - range.first_counter);
}

// The slot's predecessor links and deletions.
void Rebuilder::collect(std::uint32_t slot) {
  thread_local std::vector<OpId> successors;
  const auto first_deletion = deletions_.size();
  for (auto at = ops_.slot(slot).first; at != kNone; at = ops_.row(at).next) {
    if (ops_.row(at).links == kNone) continue;
    ops_.successors(ops_.row(at), successors);
    for (const auto id : successors) {
      const auto row = ops_.find_row(id);
      links_.push_back({id, at, row});
      if (row == kNone) deletions_.push_back({id, slot});
    }
  }
  const auto begin = deletions_.begin() + static_cast<std::ptrdiff_t>(first_deletion);
  if (deletions_.end() - begin < 2) return;
  std::sort(begin, deletions_.end(),
            [](const Deletion& a, const Deletion& b) { return a.id.packed < b.id.packed; });
  deletions_.erase(std::unique(begin, deletions_.end(),
                               [](const Deletion& a, const Deletion& b) { return a.id == b.id; }),
                   deletions_.end());
}

Status Rebuilder::count_operations() {
  const auto count = [this](OpId id) {
    const auto change = change_of(id);
    if (change == kNone) return false;
    auto& range = ranges_[change];
    range.first_counter = std::min(range.first_counter, id.counter());
    ++range.ops;
    return true;
  };
  bool all = true;
  for (std::uint32_t i = 0; i < ops_.row_count(); ++i) all &= count(ops_.row(i).id);
  for (const auto& deletion : deletions_) all &= count(deletion.id);
  if (!all && count_ == graph_.size()) {
    return bad("an operation belongs to none of the document's changes");
  }
  std::uint32_t begin = 0;
  for (std::uint32_t i = 0; i < count_; ++i) {
    auto& range = ranges_[i];
    const auto max_op = graph_.row(i).max_op();
    if (range.ops == 0) range.first_counter = max_op + 1;
    if (max_op + 1 - range.first_counter != range.ops) {
      return bad("change " + std::to_string(i) + " lacks operations or has one twice");
    }
    range.begin = begin;
    begin += range.ops;
    graph_.set_ops(i, range.first_counter, range.ops);
    PEAT_TRY_VOID(check_against_deps(i));
  }
  op_row_.assign(begin, kNone);
  pred_begin_.assign(begin + 1, 0);
  return {};
}

Status Rebuilder::check_against_deps(std::uint32_t change) const {
  for (const auto dep : graph_.deps(change)) {
    if (graph_.row(dep).max_op() >= graph_.row(change).start_op) {
      return bad("change " + std::to_string(change) + " counts below one it depends on");
    }
  }
  return {};
}

Status Rebuilder::place_operations() {
  for (std::uint32_t i = 0; i < ops_.row_count(); ++i) {
    const auto at = position_of(ops_.row(i).id);
    if (at == kNone) continue;
    if (op_row_[at] != kNone) return bad("an operation stands in the document twice");
    op_row_[at] = i;
  }
  for (std::uint32_t i = 0; i < deletions_.size(); ++i) {
    const auto at = position_of(deletions_[i].id);
    if (at == kNone) continue;
    if (op_row_[at] != kNone) return bad("a deletion has the id of another operation");
    op_row_[at] = kDeletion | i;
  }
  for (const auto& link : links_) {
    if (link.successor_row != kNone &&
        ops_.row(link.successor_row).slot != ops_.row(link.row).slot) {
      return bad("an operation is replaced by one at another place");
    }
    const auto at = position_of(link.successor);
    if (at != kNone) ++pred_begin_[at];
  }
  std::uint32_t sum = 0;
  for (auto& begin : pred_begin_) sum += std::exchange(begin, sum);
  preds_.resize(sum);
  auto next = pred_begin_;
  for (const auto& link : links_) {
    const auto at = position_of(link.successor);
    if (at != kNone) preds_[next[at]++] = ops_.row(link.row).id;
  }
  return {};
}

Status Rebuilder::assign() {
  if (ops_.row_count() >= kDeletion) return bad("too many operations");
  for (std::uint32_t slot = 0; slot < ops_.slot_count(); ++slot) collect(slot);
  PEAT_TRY_VOID(count_operations());
  return place_operations();
}

Status Rebuilder::write(bool known, RebuiltChanges* keep) {
  std::vector<OpView> views;
  std::vector<ChangeHash> deps;
  Bytes scratch;
  std::uint32_t most = 0;
  for (const auto& range : ranges_) most = std::max(most, range.ops);
  views.reserve(most);
  if (keep != nullptr) keep->begin.push_back(0);
  for (std::uint32_t i = 0; i < count_; ++i) {
    const auto& row = graph_.row(i);
    views.clear();
    for (auto at = ranges_[i].begin; at < ranges_[i].begin + ranges_[i].ops; ++at) {
      if ((op_row_[at] & kDeletion) != 0) {
        views.push_back(ops_.view_deletion(deletions_[op_row_[at] & ~kDeletion].slot));
      } else {
        views.push_back(ops_.view(ops_.row(op_row_[at])));
      }
      views.back().links =
          std::span(preds_).subspan(pred_begin_[at], pred_begin_[at + 1] - pred_begin_[at]);
    }
    deps.clear();
    for (const auto dep : graph_.deps(i)) deps.push_back(graph_.row(dep).hash);
    for (std::size_t d = 1; d < deps.size(); ++d) {
      if (!(deps[d - 1] < deps[d])) {
        return bad("change " + std::to_string(i) + " lists its dependencies out of order");
      }
    }
    Bytes& out = keep != nullptr ? keep->bytes : scratch;
    if (keep == nullptr) scratch.clear();
    const ChangeFacts facts{deps,     row.actor,         row.seq,        row.start_op,
                            row.time, graph_.message(i), graph_.extra(i)};
    const auto hash = encode_change(actors_, facts, views, out);
    if (known && hash != row.hash) {
      return bad("change " + std::to_string(i) + " rebuilt from the document has another hash");
    }
    graph_.set_hash(i, hash);
    if (keep != nullptr) keep->begin.push_back(out.size());
  }
  return {};
}

}  // namespace peat::automerge
