#include "automerge/rebuild.hpp"

#include <algorithm>

namespace peat::automerge {

namespace {

std::unexpected<Error> bad(std::string what) { return fail(Code::document_invalid, what); }

}  // namespace

Rebuilder::Rebuilder(const OpSet& ops, const ActorTable& actors, ChangeGraph& graph,
                     std::uint32_t count)
    : ops_(ops), actors_(actors), graph_(graph), count_(count), segments_(actors.size()) {}

// Typed text gives its insertions, and its deletions from the lowest id on.
void Rebuilder::collect_runs(std::uint32_t object) {
  const auto& sequence = *ops_.object(object).sequence;
  for (auto p = sequence.begin(); !sequence.at_end(p); p = sequence.next_run(p)) {
    const auto& run = sequence.run(p);
    if (run.rich()) continue;
    Segment typing;
    typing.kind = Segment::Kind::typing;
    typing.counter = run.first.counter();
    typing.count = run.count;
    typing.run = &run;
    typing.source = object;
    segments_[run.first.actor()].push_back(typing);
    if (run.visible()) continue;
    auto deleting = typing;
    deleting.kind = Segment::Kind::deleting;
    deleting.counter = std::min(run.successor.counter(), run.successor_of(run.count - 1).counter());
    segments_[run.successor.actor()].push_back(deleting);
  }
}

// The rows of a slot, each with its predecessors, and the deletions among the successors.
void Rebuilder::collect_slot(std::uint32_t slot) {
  struct Link {
    OpId successor;
    OpId row;
  };
  thread_local std::vector<OpId> successors;
  thread_local std::vector<Link> links;
  links.clear();
  for (auto at = ops_.slot(slot).first; at != kNone; at = ops_.row(at).next) {
    ops_.successors(ops_.row(at), successors);
    for (const auto id : successors) links.push_back({id, ops_.row(at).id});
  }
  const auto less = [this](const Link& a, const Link& b) {
    if (a.successor == b.successor) return actors_.less(a.row, b.row);
    return actors_.less(a.successor, b.successor);
  };
  if (!std::ranges::is_sorted(links, less)) std::ranges::sort(links, less);
  auto row = ops_.slot(slot).first;
  const auto add_row = [&](std::uint32_t preds, std::uint32_t count) {
    Segment segment;
    segment.counter = ops_.row(row).id.counter();
    segment.source = row;
    segment.preds = preds;
    segment.pred_count = count;
    segments_[ops_.row(row).id.actor()].push_back(segment);
    row = ops_.row(row).next;
  };
  for (std::size_t i = 0; i < links.size();) {
    const auto id = links[i].successor;
    const auto begin = static_cast<std::uint32_t>(preds_.size());
    for (; i < links.size() && links[i].successor == id; ++i) preds_.push_back(links[i].row);
    const auto count = static_cast<std::uint32_t>(preds_.size()) - begin;
    while (row != kNone && actors_.less(ops_.row(row).id, id)) add_row(0, 0);
    if (row != kNone && ops_.row(row).id == id) {
      add_row(begin, count);
      continue;
    }
    Segment deletion;
    deletion.kind = Segment::Kind::deletion;
    deletion.counter = id.counter();
    deletion.source = slot;
    deletion.preds = begin;
    deletion.pred_count = count;
    segments_[id.actor()].push_back(deletion);
  }
  while (row != kNone) add_row(0, 0);
}

// Ascending, and no two overlapping. Counters are nearly dense, so that segments usually find
// their places in an array without comparing.
Status Rebuilder::sort_segments() {
  std::vector<std::uint32_t> at;
  std::vector<Segment> sorted;
  for (auto& mine : segments_) {
    std::uint32_t most = 0;
    for (const auto& segment : mine) most = std::max(most, segment.counter);
    if (most / 16 > mine.size()) {
      std::ranges::sort(mine, {}, &Segment::counter);
    } else if (!std::ranges::is_sorted(mine, {}, &Segment::counter)) {
      at.assign(std::size_t{most} + 1, kNone);
      for (std::uint32_t i = 0; i < mine.size(); ++i) {
        if (at[mine[i].counter] != kNone) return bad("an operation stands in the document twice");
        at[mine[i].counter] = i;
      }
      sorted.clear();
      sorted.reserve(mine.size());
      for (const auto i : at) {
        if (i != kNone) sorted.push_back(mine[i]);
      }
      mine.swap(sorted);
    }
    for (std::size_t i = 1; i < mine.size(); ++i) {
      if (mine[i].counter - mine[i - 1].counter < mine[i - 1].count) {
        return bad("an operation stands in the document twice");
      }
    }
  }
  return {};
}

// Gives a change the segments up to its greatest operation; the first tells where it starts.
Status Rebuilder::assign_change(std::uint32_t change) {
  const auto& row = graph_.row(change);
  const auto& mine = segments_[row.actor];
  auto& cursor = cursors_[row.actor];
  const auto max_op = row.max_op();
  std::uint32_t first = max_op + 1;
  std::uint32_t ops = 0;
  while (cursor.segment < mine.size()) {
    const auto& segment = mine[cursor.segment];
    const auto begin = segment.counter + cursor.offset;
    if (begin > max_op) break;
    if (ops == 0) first = begin;
    const auto n = std::min(segment.count - cursor.offset, max_op - begin + 1);
    ops += n;
    cursor.offset += n;
    if (cursor.offset < segment.count) break;
    cursor = {cursor.segment + 1, 0};
  }
  if (max_op + 1 - first != ops) {
    return bad("change " + std::to_string(change) + " lacks operations or has one twice");
  }
  graph_.set_ops(change, first, ops);
  for (const auto dep : graph_.deps(change)) {
    if (graph_.row(dep).max_op() >= first) {
      return bad("change " + std::to_string(change) + " counts below one it depends on");
    }
  }
  return {};
}

Status Rebuilder::assign() {
  for (std::uint32_t i = 0; i < ops_.object_count(); ++i) {
    if (!ops_.object(i).is_map()) collect_runs(i);
  }
  for (std::uint32_t slot = 0; slot < ops_.slot_count(); ++slot) collect_slot(slot);
  PEAT_TRY_VOID(sort_segments());
  cursors_.assign(segments_.size(), {});
  for (std::uint32_t i = 0; i < count_; ++i) PEAT_TRY_VOID(assign_change(i));
  if (count_ != graph_.size()) return {};
  for (std::size_t actor = 0; actor < segments_.size(); ++actor) {
    if (cursors_[actor].segment != segments_[actor].size()) {
      return bad("an operation belongs to none of the document's changes");
    }
  }
  return {};
}

OpView Rebuilder::view(const Segment& segment, std::uint32_t offset, std::uint32_t most,
                       OpId& target) const {
  const auto n = std::min(segment.count - offset, most);
  OpView op;
  switch (segment.kind) {
    case Segment::Kind::typing:
      return ops_.view_typing(segment.source, *segment.run, offset, n);
    case Segment::Kind::deleting: {
      const auto& run = *segment.run;
      target = run.step < 0 ? run.id(run.count - 1 - offset) : run.id(offset);
      op = ops_.view_deleting(segment.source, target, n == 1 ? std::int8_t{0} : run.step, n);
      op.links = std::span(&target, 1);
      return op;
    }
    case Segment::Kind::row:
      op = ops_.view(ops_.row(segment.source));
      break;
    case Segment::Kind::deletion:
      op = ops_.view_deletion(segment.source);
      break;
  }
  op.links = std::span(preds_).subspan(segment.preds, segment.pred_count);
  return op;
}

Status Rebuilder::dep_hashes(std::uint32_t change, std::vector<ChangeHash>& out) const {
  out.clear();
  for (const auto dep : graph_.deps(change)) out.push_back(graph_.row(dep).hash);
  for (std::size_t d = 1; d < out.size(); ++d) {
    if (!(out[d - 1] < out[d])) {
      return bad("change " + std::to_string(change) + " lists its dependencies out of order");
    }
  }
  return {};
}

// The operations of one change, from where its actor's cursor stands.
class Rebuilder::ChangeOps final : public OpSource {
 public:
  ChangeOps(const Rebuilder& rebuilder, const GraphRow& row)
      : rebuilder_(rebuilder),
        mine_(rebuilder.segments_[row.actor]),
        count_(row.op_count),
        begin_(rebuilder.cursors_[row.actor]) {
    restart();
  }
  void restart() final {
    at_ = begin_;
    left_ = count_;
  }
  bool next(OpView& op) final {
    if (left_ == 0) return false;
    const auto& segment = mine_[at_.segment];
    op = rebuilder_.view(segment, at_.offset, left_, target_);
    left_ -= op.count;
    at_.offset += op.count;
    if (at_.offset == segment.count) at_ = {at_.segment + 1, 0};
    return true;
  }
  // Behind the last operation, once all were taken.
  Cursor end() const { return at_; }

 private:
  const Rebuilder& rebuilder_;
  std::span<const Segment> mine_;
  std::uint32_t count_;
  std::uint32_t left_ = 0;
  Cursor begin_;
  Cursor at_;
  OpId target_;
};

Status Rebuilder::write(bool known, ChangeLog* keep) {
  std::vector<ChangeHash> deps;
  thread_local Bytes chunk;
  cursors_.assign(segments_.size(), {});
  for (std::uint32_t i = 0; i < count_; ++i) {
    const auto& row = graph_.row(i);
    ChangeOps ops(*this, row);
    PEAT_TRY_VOID(dep_hashes(i, deps));
    chunk.clear();
    const ChangeFacts facts{deps,         row.actor, row.seq,           row.start_op,
                            row.op_count, row.time,  graph_.message(i), graph_.extra(i)};
    const auto hash = encode_change(actors_, facts, ops, chunk);
    cursors_[row.actor] = ops.end();
    if (known && hash != row.hash) {
      return bad("change " + std::to_string(i) + " rebuilt from the document has another hash");
    }
    graph_.set_hash(i, hash);
    if (keep != nullptr) keep->append(chunk);
  }
  return {};
}

}  // namespace peat::automerge
