#include "peat/automerge/marks.hpp"

#include <algorithm>
#include <utility>

#include "automerge/active_marks.hpp"
#include "automerge/editor.hpp"
#include "automerge/view_impl.hpp"

namespace peat::automerge {

std::optional<std::string_view> ActiveMarks::pass(std::uint32_t index) {
  const auto& row = ops_.row(index);
  const bool begins = row.extra != kNone;
  const auto begin = begins ? index : ops_.find_row(OpId(row.id.counter() - 1, row.id.actor()));
  if (begin == kNone || ops_.row(begin).action != Action::kMark) return std::nullopt;
  if (ops_.row(begin).extra == kNone) return std::nullopt;
  const auto name = ops_.key_text(ops_.row(begin).extra);
  const auto before = holding(name);
  auto& open = open_.try_emplace(name, Less{&actors_}).first->second;
  if (begins) {
    open.emplace(row.id, index);
  } else {
    open.erase(ops_.row(begin).id);
  }
  if (holding(name) == before) return std::nullopt;
  return name;
}

std::uint32_t ActiveMarks::holding(std::string_view name) const {
  const auto open = open_.find(name);
  return open == open_.end() || open->second.empty() ? kNone : open->second.rbegin()->second;
}

MarkSet ActiveMarks::set() const {
  MarkSet out;
  for (const auto& [name, open] : open_) {
    if (open.empty() || is_null(open.rbegin()->second)) continue;
    out.emplace(name, OwnedScalar(ops_.scalar(open.rbegin()->second)));
  }
  return out;
}

MarkSet ActiveMarks::difference(const ActiveMarks& before, const ActiveMarks& after) {
  MarkSet out;
  const auto look = [&](std::string_view name) {
    const auto row = after.holding(name);
    if (after.same_value(before.holding(name), row)) return;
    out.emplace(name, row == kNone ? OwnedScalar() : OwnedScalar(after.ops_.scalar(row)));
  };
  for (const auto& [name, open] : before.open_) look(name);
  for (const auto& [name, open] : after.open_) look(name);
  return out;
}

bool ActiveMarks::same_value(std::uint32_t a, std::uint32_t b) const {
  const bool none_a = a == kNone || is_null(a);
  const bool none_b = b == kNone || is_null(b);
  if (none_a || none_b) return none_a == none_b;
  return ops_.row(a).meta == ops_.row(b).meta &&
         std::ranges::equal(ops_.value_bytes(ops_.row(a)), ops_.value_bytes(ops_.row(b)));
}

namespace {

// Gathers the ranges in which marks hold, name by name.
class MarkRanges {
 public:
  explicit MarkRanges(const ViewAccess& in) : in_(in), active_(in.ops(), in.impl.actors) {}

  void pass(std::uint32_t row, std::uint64_t index) {
    const auto name = active_.pass(row);
    if (!name) return;
    close(*name, index);
    holds_[*name] = {active_.holding(*name), index};
  }

  std::vector<Mark> finish(std::uint64_t length) {
    for (const auto& [name, since] : holds_) close(name, length);
    std::vector<Mark> out;
    for (auto& [name, ranges] : ranges_) std::ranges::move(ranges, std::back_inserter(out));
    return out;
  }

 private:
  struct Since {
    std::uint32_t row = kNone;
    std::uint64_t index = 0;
  };

  void close(std::string_view name, std::uint64_t end) {
    const auto held = holds_.find(name);
    if (held == holds_.end()) return;
    const auto [row, begin] = held->second;
    if (row == kNone || active_.is_null(row) || begin == end) return;
    Mark mark{static_cast<std::size_t>(begin), static_cast<std::size_t>(end), std::string(name),
              OwnedScalar(in_.ops().scalar(row))};
    auto& ranges = ranges_[name];
    if (!ranges.empty() && ranges.back().end == mark.start && ranges.back().value == mark.value) {
      ranges.back().end = mark.end;
    } else {
      ranges.push_back(std::move(mark));
    }
  }

  const ViewAccess& in_;
  ActiveMarks active_;
  std::map<std::string_view, Since> holds_;
  std::map<std::string_view, std::vector<Mark>> ranges_;
};

// Cuts a text where its marks change and at blocks.
class Spans {
 public:
  explicit Spans(const ViewAccess& in) : in_(in), active_(in.ops(), in.impl.actors) {}

  void take(const Piece& piece) {
    if (piece.kind == Piece::Kind::mark) {
      stale_ |= active_.pass(piece.row).has_value();
      return;
    }
    if (piece.kind == Piece::Kind::value && in_.ops().row(piece.row).action == Action::kMakeMap) {
      flush();
      out_.push_back({{}, {}, ObjectId{in_.ops().row(piece.row).id}});
      return;
    }
    if (std::exchange(stale_, false)) {
      auto marks = active_.set();
      if (marks != marks_) flush();
      marks_ = std::move(marks);
    }
    text_ += text_of(in_.ops(), piece);
  }

  std::vector<Span> finish() {
    flush();
    return std::move(out_);
  }

 private:
  void flush() {
    if (!text_.empty()) out_.push_back({std::exchange(text_, {}), marks_, {}});
  }

  const ViewAccess& in_;
  ActiveMarks active_;
  std::vector<Span> out_;
  std::string text_;
  MarkSet marks_;
  bool stale_ = false;
};

}  // namespace

Result<std::vector<Mark>> View::marks(ObjectId object) const {
  return guarded([&]() -> Result<std::vector<Mark>> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto text, in.text(object));
    if (!in.ops().object(text).has_marks) return std::vector<Mark>();
    MarkRanges ranges(in);
    Walk walk(in.reading, text, in.unit_of(text));
    for (Piece piece; walk.next(piece);) {
      if (piece.kind == Piece::Kind::mark) ranges.pass(piece.row, piece.index);
    }
    return ranges.finish(walk.index());
  });
}

Result<MarkSet> View::marks_at(ObjectId object, std::size_t index) const {
  return guarded([&]() -> Result<MarkSet> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto text, in.text(object));
    ActiveMarks active(in.ops(), in.impl.actors);
    Walk walk(in.reading, text, in.unit_of(text));
    for (Piece piece; walk.next(piece);) {
      if (piece.kind == Piece::Kind::mark) active.pass(piece.row);
      if (index < walk.index()) return active.set();
    }
    return in.beyond(text, index);
  });
}

Result<std::vector<Span>> View::spans(ObjectId object) const {
  return guarded([&]() -> Result<std::vector<Span>> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto text, in.text(object));
    Spans spans(in);
    Walk walk(in.reading, text, in.unit_of(text));
    for (Piece piece; walk.next(piece);) spans.take(piece);
    return spans.finish();
  });
}

// --- editing --------------------------------------------------------------------------------

Status Transaction::mark(ObjectId object, std::size_t start, std::size_t end, std::string_view name,
                         const Scalar& value, Expand expand) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY_VOID(check_text(name, "a mark's name"));
    PEAT_TRY(const auto encoded, edit.encode(value));
    PEAT_TRY(const auto text, edit.text(object));
    return edit.mark(text, {start, end}, name, encoded, expand);
  });
}

Status Transaction::unmark(ObjectId object, std::size_t start, std::size_t end,
                           std::string_view name, Expand expand) {
  return mark(object, start, end, name, Null{}, expand);
}

Result<ObjectId> Transaction::split_block(ObjectId object, std::size_t index) {
  return with_editor(impl(), [&](Editor& edit) -> Result<ObjectId> {
    PEAT_TRY(const auto text, edit.text(object));
    Editor::Spot spot;
    PEAT_TRY_VOID(edit.find_spot(text, index, spot));
    OpView op;
    op.action = Action::kMakeMap;
    PEAT_TRY_VOID(edit.insert(text, spot, op));
    return ObjectId{impl()->pending->ops.back().last_id()};
  });
}

Status Transaction::join_block(ObjectId object, std::size_t index) {
  return with_editor(impl(), [&](Editor& edit) -> Status {
    PEAT_TRY(const auto text, edit.text(object));
    return edit.join_block(text, index);
  });
}

}  // namespace peat::automerge
