#include "automerge/diff.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "automerge/active_marks.hpp"
#include "automerge/patch_list.hpp"

namespace peat::automerge {

void Touched::add(std::uint32_t object, std::uint32_t slot) {
  for (;;) {
    auto& slots = slots_[object];
    if (slot != kNone && !slots.insert(slot).second) return;
    if (object == 0) return;
    slot = ops_.object(object).slot;
    object = ops_.slot(slot).object;
  }
}

void Touched::add(const ChangeView& change, std::span<const std::uint32_t> actors) {
  auto reader = change.ops();
  OpView op;
  OpId id;
  while (reader.next(op, id)) {
    const auto object =
        op.object.none() ? 0
                         : ops_.find_object(OpId(op.object.counter(), actors[op.object.actor()]));
    if (object == kNone) continue;
    add(object, op.has_key ? ops_.find_slot(object, op.key) : kNone);
  }
}

namespace {

class Differ {
 public:
  Differ(const Document::Impl& impl, const Reading& before, const Reading& after,
         const Touched* touched)
      : impl_(impl), ops_(after.ops()), before_(before), after_(after), touched_(touched) {}

  std::vector<Patch> run() {
    if (touched_ != nullptr && !touched_->has(0)) return {};
    todo_[{0, 0}] = {0, false, {}};
    while (!todo_.empty()) {
      auto next = std::move(todo_.extract(todo_.begin()).mapped());
      const auto& object = ops_.object(next.object);
      patches_.enter(ObjectId{object.id}, std::move(next.path));
      if (object.is_map()) {
        map(next.object, next.whole);
      } else if (object.type == ObjectType::list) {
        list(next.object, next.whole);
      } else {
        text(next.object, next.whole);
      }
      patches_.leave();
    }
    return patches_.take();
  }

 private:
  struct Todo {
    std::uint32_t object = 0;
    bool whole = false;  // it was not visible before: everything in it is new
    std::vector<Patch::Step> path;
  };

  // A slot in both states.
  struct Pair {
    std::vector<std::uint32_t> before;
    std::vector<std::uint32_t> after;
    std::uint32_t was() const { return before.empty() ? kNone : before.back(); }
    std::uint32_t is() const { return after.empty() ? kNone : after.back(); }
  };
  Pair pair(std::uint32_t slot, bool whole) const {
    return {whole ? std::vector<std::uint32_t>() : before_.visible(slot), after_.visible(slot)};
  }

  PatchValue value(std::uint32_t row, bool conflict) const {
    PatchValue out{{}, ops_.row(row).id, conflict};
    const auto held = after_.value(row);
    if (const auto* object = std::get_if<ObjectRef>(&held.data)) {
      out.data = *object;
    } else {
      out.data = OwnedScalar(std::get<Scalar>(held.data));
    }
    return out;
  }

  // The object that a row made, if it made one, comes next.
  void descend(std::uint32_t row, const Prop& prop, bool whole) {
    if (!makes_object(ops_.row(row).action)) return;
    const auto object = ops_.row(row).extra;
    if (!whole && touched_ != nullptr && !touched_->has(object)) return;
    const auto id = ops_.row(row).id;
    auto path = patches_.path();
    path.push_back({path_end(row), prop});
    todo_[{id.counter(), impl_.actors.rank(id.actor())}] = {object, whole, std::move(path)};
  }
  ObjectId path_end(std::uint32_t row) const {
    return ObjectId{ops_.object(ops_.slot(ops_.row(row).slot).object).id};
  }

  // What both states show at a place; its value is the same operation's.
  void same(const Pair& pair, const Prop& prop) {
    const auto row = pair.is();
    if (pair.after.size() == 1 && pair.before.size() > 1) {  // a conflict is over
      put(row, prop, false);
      return descend(row, prop, true);
    }
    const auto by = increments(row);
    if (by != 0) patches_.increment(prop, by);
    if (pair.after.size() > 1 && pair.before.size() == 1) patches_.conflict(prop);
    descend(row, prop, false);
  }

  std::int64_t increments(std::uint32_t row) const {
    const auto& held = ops_.row(row);
    if (held.action != Action::kSet || (held.meta & 15) != kTypeCounter) return 0;
    const auto count = [row](const Reading& reading) {
      return static_cast<std::uint64_t>(std::get<Counter>(reading.scalar(row)).value);
    };
    return static_cast<std::int64_t>(count(after_) - count(before_));
  }

  void put(std::uint32_t row, const Prop& prop, bool conflict) {
    if (const auto* key = std::get_if<std::string>(&prop)) {
      patches_.put(*key, value(row, conflict));
    } else {
      patches_.put(std::get<std::size_t>(prop), value(row, conflict));
    }
  }

  // --- maps ---

  void map(std::uint32_t index, bool whole) {
    std::vector<std::pair<std::string_view, std::uint32_t>> slots;
    if (touched_ != nullptr && !whole) {
      for (const auto slot : touched_->slots(index)) {
        slots.emplace_back(ops_.key_of(slot), slot);
      }
    } else {
      for (const auto slot : ops_.sorted_slots(ops_.object(index))) {
        slots.emplace_back(ops_.key_of(slot), slot);
      }
    }
    std::ranges::sort(slots);
    for (const auto& [key, slot] : slots) {
      const auto both = pair(slot, whole);
      if (both.is() == kNone) {
        if (both.was() != kNone) patches_.erase(key);
      } else if (both.is() == both.was()) {
        same(both, std::string(key));
      } else {
        put(both.is(), std::string(key), both.after.size() > 1);
        descend(both.is(), std::string(key), true);
      }
    }
  }

  // --- lists ---

  void list(std::uint32_t index, bool whole) {
    const auto& sequence = *ops_.object(index).sequence;
    std::size_t at = 0;
    for (auto p = sequence.begin(); !sequence.at_end(p); p = sequence.next_run(p)) {
      const auto& run = sequence.run(p);
      if (run.rich()) {
        element(pair(run.value, whole), at);
      } else {
        stretches(run, whole,
                  [&](const Stretch& part, bool was, bool is) { typed(run, part, was, is, at); });
      }
    }
  }

  void element(const Pair& both, std::size_t& at) {
    if (both.is() == kNone) {
      if (both.was() != kNone) patches_.erase(at, 1);
      return;
    }
    const Prop prop = at;
    if (both.is() == both.was()) {
      same(both, prop);
    } else {
      if (both.was() != kNone) {
        patches_.put(at, value(both.is(), both.after.size() > 1));
      } else {
        patches_.insert(at, value(both.is(), both.after.size() > 1));
      }
      descend(both.is(), prop, true);
    }
    ++at;
  }

  // Single characters that a list holds as its values.
  void typed(const Run& run, const Stretch& part, bool was, bool is, std::size_t& at) {
    if (!is) return patches_.erase(at, part.count());
    for (auto i = part.begin; i < part.end; ++i, ++at) {
      if (was) continue;
      const Scalar character = as_text(ops_.text_bytes(run, i, 1));
      patches_.insert(at, {OwnedScalar(character), run.id(i), false});
    }
  }

  // Cuts a run where its elements come or go: visit(part, visible before, visible after).
  template <class Visit>
  void stretches(const Run& run, bool whole, Visit visit) const {
    const auto was = whole ? Stretch{} : before_.visible_part(run);
    const auto is = after_.visible_part(run);
    std::array<std::uint32_t, 4> cuts{was.begin, was.end, is.begin, is.end};
    std::ranges::sort(cuts);
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
      const Stretch part{cuts[i], cuts[i + 1]};
      if (part.count() == 0) continue;
      const bool in_was = was.begin <= part.begin && part.end <= was.end;
      const bool in_is = is.begin <= part.begin && part.end <= is.end;
      if (in_was || in_is) visit(part, in_was, in_is);
    }
  }

  // --- texts ---

  struct TextState {
    ActiveMarks was;
    ActiveMarks is;
    Unit unit;
    std::size_t at = 0;
    bool stale = false;
    MarkSet marks{};       // of what is new
    MarkSet difference{};  // of what stays
  };

  void text(std::uint32_t index, bool whole) {
    const auto& object = ops_.object(index);
    TextState state{ActiveMarks(ops_, impl_.actors), ActiveMarks(ops_, impl_.actors),
                    impl_.unit_of(object)};
    const auto& sequence = *object.sequence;
    for (auto p = sequence.begin(); !sequence.at_end(p); p = sequence.next_run(p)) {
      const auto& run = sequence.run(p);
      if (!run.rich()) {
        const auto unit = width_units(run.width).*state.unit;
        stretches(run, whole, [&](const Stretch& part, bool was, bool is) {
          const auto units = static_cast<std::size_t>(part.count() * unit);
          if (is && !was) {
            splice(state, as_text(ops_.text_bytes(run, part.begin, part.count())), units);
          } else {
            stay_or_go(state, units, is);
          }
        });
      } else if (ops_.row(ops_.slot(run.value).first).action == Action::kMark) {
        mark(state, ops_.slot(run.value).first, whole);
      } else {
        text_value(state, pair(run.value, whole));
      }
    }
  }

  static Units width_units(std::uint8_t width) { return {1, width == 4 ? 2U : 1U, width}; }

  void refresh(TextState& state) const {
    if (!std::exchange(state.stale, false)) return;
    state.marks = state.is.set();
    state.difference = ActiveMarks::difference(state.was, state.is);
  }

  void mark(TextState& state, std::uint32_t row, bool whole) const {
    if (!whole && before_.active_mark(row)) state.stale |= state.was.pass(row).has_value();
    if (after_.active_mark(row)) state.stale |= state.is.pass(row).has_value();
  }

  void splice(TextState& state, std::string_view content, std::size_t units) {
    refresh(state);
    patches_.splice(state.at, state.at + units, content, state.marks);
    state.at += units;
  }

  void stay_or_go(TextState& state, std::size_t units, bool stays) {
    if (!stays) return patches_.erase(state.at, units);
    refresh(state);
    if (!state.difference.empty()) patches_.mark(state.at, units, state.difference);
    state.at += units;
  }

  void text_value(TextState& state, const Pair& both) {
    const auto units = [&](std::uint32_t row) {
      return static_cast<std::size_t>(ops_.units_of_row(row).*state.unit);
    };
    const bool block = both.is() != kNone && ops_.row(both.is()).action == Action::kMakeMap;
    if (both.is() == both.was()) {
      if (both.is() == kNone) return;
      if (block) {
        descend(both.is(), state.at, false);
        state.at += units(both.is());
      } else {
        stay_or_go(state, units(both.is()), true);
      }
      return;
    }
    if (both.was() != kNone) patches_.erase(state.at, units(both.was()));
    if (both.is() == kNone) return;
    if (block) {
      patches_.insert(state.at, value(both.is(), false));
      descend(both.is(), state.at, true);
      state.at += units(both.is());
      return;
    }
    const auto& row = ops_.row(both.is());
    const bool is_text = row.action == Action::kSet && (row.meta & 15) == kTypeText;
    splice(state, is_text ? as_text(ops_.value_bytes(row)) : kObjectCharacter, units(both.is()));
  }

  const Document::Impl& impl_;
  const OpSet& ops_;
  const Reading& before_;
  const Reading& after_;
  const Touched* touched_;
  PatchList patches_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, Todo> todo_;  // by id
};

}  // namespace

std::vector<Patch> diff(const Document::Impl& impl, const Reading& before, const Reading& after,
                        const Touched* touched) {
  return Differ(impl, before, after, touched).run();
}

Result<std::vector<Patch>> Document::diff(std::span<const ChangeHash> before,
                                          std::span<const ChangeHash> after) const {
  return guarded([&]() -> Result<std::vector<Patch>> {
    PEAT_TRY_VOID(impl_->materialise());
    PEAT_TRY(const auto from, impl_->clock_at(before));
    PEAT_TRY(const auto to, impl_->clock_at(after));
    const Reading was(*impl_->ops, &from);
    const Reading is(*impl_->ops, &to);
    return automerge::diff(*impl_, was, is, nullptr);
  });
}

// --- observers ------------------------------------------------------------------------------

struct Document::Impl::Observed {
  Observer tell;
  Clock clock;           // what it was told of
  std::size_t rows = 0;  // changes in it
};

Status Document::observe(Observer observer) {
  return guarded([&]() -> Status {
    if (!observer) {
      impl_->observed.reset();
      return {};
    }
    PEAT_TRY_VOID(impl_->materialise());
    PEAT_TRY(auto clock, impl_->clock_at(heads()));
    impl_->observed = std::make_shared<Impl::Observed>(
        Impl::Observed{std::move(observer), std::move(clock), impl_->graph.size()});
    return {};
  });
}

Status Document::Impl::tell_observer() {
  if (!observed || observed->rows == graph.size()) return {};
  PEAT_TRY_VOID(materialise());
  Clock now = observed->clock;
  Touched touched(*ops);
  const bool known = observed->rows >= base_count;
  for (auto row = observed->rows; row < graph.size(); ++row) {
    now.cover(graph.row(row).actor, graph.row(row).max_op());
    if (!known) continue;
    PEAT_TRY(const auto chunk, read_chunk(tail_chunk(row), 0));
    PEAT_TRY(const auto change, parse_change_body(chunk, graph.row(row).hash, no_limits()));
    touched.add(change, local_actors(change));
  }
  const Reading before(*ops, &observed->clock);
  const Reading after(*ops, nullptr);
  const auto patches = automerge::diff(*this, before, after, known ? &touched : nullptr);
  observed->clock = std::move(now);
  observed->rows = graph.size();
  if (!patches.empty()) observed->tell(patches);
  return {};
}

}  // namespace peat::automerge
