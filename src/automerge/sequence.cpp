#include "automerge/sequence.hpp"

#include <algorithm>
#include <cstddef>

namespace peat::automerge {

namespace {

Run part(const Run& run, std::uint32_t begin, std::uint32_t count) {
  Run out = run;
  out.first = run.id(begin);
  out.ref = run.ref_of(begin);
  out.successor = run.successor_of(begin);
  out.count = count;
  out.value = run.value + begin * run.width;
  out.points = run.visible() ? count : 0;
  if (count == 1) out.step = 0;
  return out;
}

// Whether `b`, standing behind `a`, can be one run with it, and the step of their successors.
bool joins(const Run& a, const Run& b, std::int8_t& step) {
  if (a.rich() || a.width != b.width || b.first != a.id(a.count) || b.ref != a.id(a.count - 1) ||
      b.value != a.value + a.count * a.width || a.visible() != b.visible() ||
      a.count > UINT32_MAX / 8 - b.count) {
    return false;
  }
  step = 0;
  if (a.visible()) return true;
  if (a.successor.actor() != b.successor.actor()) return false;
  const auto gap =
      std::int64_t{b.successor.counter()} - std::int64_t{a.successor_of(a.count - 1).counter()};
  if (gap != 1 && gap != -1) return false;
  step = static_cast<std::int8_t>(gap);
  return (a.count == 1 || a.step == step) && (b.count == 1 || b.step == step);
}

void join(Run& a, const Run& b, std::int8_t step) {
  a.count += b.count;
  a.points += b.points;
  a.step = step;
}

}  // namespace

// --- sums -----------------------------------------------------------------------------------

void Sequence::add(std::uint32_t position, const Units& units) {
  sums_[position] += units;
  groups_[position / kGroup] += units;
  total_ += units;
  if (cached_.valid && position < cached_.leaf) cached_.start += units.points;
}

void Sequence::subtract(std::uint32_t position, const Units& units) {
  sums_[position] -= units;
  groups_[position / kGroup] -= units;
  total_ -= units;
  if (cached_.valid && position < cached_.leaf) cached_.start -= units.points;
}

void Sequence::regroup(std::size_t from) {
  for (auto g = from / kGroup; g < groups_.size(); ++g) {
    groups_[g] = {};
    const auto end = std::min(sums_.size(), (g + 1) * kGroup);
    for (auto i = g * kGroup; i < end; ++i) groups_[g] += sums_[i];
  }
}

void Sequence::recount() {
  total_ = {};
  cached_.valid = false;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    sums_[i] = {};
    for (auto& run : leaves_[order_[i]].runs) {
      const auto units = units_of(run, run.count);
      if (run.rich()) run.points = static_cast<std::uint32_t>(units.points);
      sums_[i] += units;
    }
    total_ += sums_[i];
  }
  regroup(0);
}

// --- leaves ---------------------------------------------------------------------------------

void Sequence::new_leaf(std::uint32_t position) {
  const auto id = static_cast<std::uint32_t>(leaves_.size());
  auto& made = leaves_.emplace_back();
  made.object = object_;
  order_.insert(order_.begin() + position, id);
  sums_.insert(sums_.begin() + position, Units{});
  groups_.resize((sums_.size() + kGroup - 1) / kGroup);
  for (auto i = std::size_t{position}; i < order_.size(); ++i) {
    leaves_[order_[i]].position = static_cast<std::uint32_t>(i);
  }
}

void Sequence::append(const Run& run) {
  // Three quarters full, so that later edits do not split at once.
  if (order_.empty() || leaves_[order_.back()].runs.size() >= kLeafRuns * 3 / 4) {
    new_leaf(static_cast<std::uint32_t>(order_.size()));
  }
  auto& runs = leaves_[order_.back()].runs;
  std::int8_t step = 0;
  if (!runs.empty() && !run.rich() && joins(runs.back(), run, step)) {
    join(runs.back(), run, step);
    return;
  }
  runs.push_back(run);
  owner_.placed(run, order_.back());
}

void Sequence::make_room(Place& p, std::size_t more) {
  if (leaf(p).runs.size() + more <= kLeafRuns) return;
  new_leaf(p.leaf + 1);
  const auto right_id = order_[p.leaf + 1];
  auto& left = leaf(p).runs;
  auto& right = leaves_[right_id].runs;
  const auto half = left.size() / 2;
  right.reserve(kLeafRuns);
  right.assign(left.begin() + static_cast<std::ptrdiff_t>(half), left.end());
  left.resize(half);
  Units moved;
  for (const auto& run : right) {
    moved += units_of(run, run.count);
    owner_.placed(run, right_id);
  }
  sums_[p.leaf] -= moved;
  sums_[p.leaf + 1] = moved;
  regroup(p.leaf);
  cached_.valid = false;
  if (p.run >= half) {
    p.run -= static_cast<std::uint32_t>(half);
    ++p.leaf;
  }
}

// Before run p.run of its leaf, in which there is room.
void Sequence::put(Place p, const Run& run) {
  auto& runs = leaf(p).runs;
  runs.insert(runs.begin() + p.run, run);
}

void Sequence::cut(Place p) {
  auto& runs = leaf(p).runs;
  const auto whole = runs[p.run];
  runs[p.run] = part(whole, 0, p.offset);
  runs.insert(runs.begin() + p.run + 1, part(whole, p.offset, whole.count - p.offset));
}

// --- walking --------------------------------------------------------------------------------

Sequence::Place Sequence::normalised(Place p) const {
  if (at_end(p)) return p;
  const auto& runs = leaf(p).runs;
  if (p.run < runs.size() && p.offset >= runs[p.run].count) p = {p.leaf, p.run + 1, 0};
  if (p.run >= runs.size()) return {p.leaf + 1, 0, 0};
  return p;
}

Sequence::Place Sequence::last() const {
  const Place p{static_cast<std::uint32_t>(order_.size() - 1), 0, 0};
  const auto run = static_cast<std::uint32_t>(leaf(p).runs.size() - 1);
  return {p.leaf, run, leaf(p).runs[run].count - 1};
}

Sequence::Place Sequence::previous(Place p) const {
  if (p.offset != 0) return {p.leaf, p.run, p.offset - 1};
  if (p.run == 0) {
    if (p.leaf == 0) return {static_cast<std::uint32_t>(order_.size()), 0, 0};
    --p.leaf;
    p.run = static_cast<std::uint32_t>(leaf(p).runs.size());
  }
  --p.run;
  return {p.leaf, p.run, leaf(p).runs[p.run].count - 1};
}

void Sequence::touched(std::uint32_t position, std::uint32_t run) const {
  if (position != cached_.leaf || run >= cached_.run) return;
  cached_.run = 0;
  cached_.run_start = 0;
}

// In the remembered leaf, from the remembered run on if that is not too far.
Sequence::Place Sequence::scan_points(std::uint64_t index, std::uint64_t& into) const {
  const auto& runs = leaves_[order_[cached_.leaf]].runs;
  auto i = cached_.run;
  auto start = cached_.run_start;
  if (index < start || i >= runs.size()) {
    i = 0;
    start = 0;
  }
  while (index - start >= runs[i].points) start += runs[i++].points;
  cached_.run = i;
  cached_.run_start = start;
  if (!runs[i].rich()) return {cached_.leaf, i, static_cast<std::uint32_t>(index - start)};
  into = index - start;
  return {cached_.leaf, i, 0};
}

Sequence::Place Sequence::scan_leaf(std::uint32_t position, std::uint64_t index, Unit unit,
                                    std::uint64_t& into) const {
  const auto& runs = leaves_[order_[position]].runs;
  std::uint32_t i = 0;
  for (;; ++i) {
    const auto units = units_of(runs[i], runs[i].count).*unit;
    if (index < units) break;
    index -= units;
  }
  if (runs[i].rich()) {
    into = index;
    return {position, i, 0};
  }
  const auto each = runs[i].units(1).*unit;
  into = index % each;
  return {position, i, static_cast<std::uint32_t>(index / each)};
}

Sequence::Place Sequence::at_index(std::uint64_t index, Unit unit, std::uint64_t& into) const {
  into = 0;
  if (index >= total_.*unit) return {static_cast<std::uint32_t>(order_.size()), 0, 0};
  const bool by_points = unit == &Units::points;
  if (by_points && cached_.valid && index >= cached_.start &&
      index - cached_.start < sums_[cached_.leaf].points) {
    return scan_points(index - cached_.start, into);
  }
  std::uint32_t position = 0;
  std::uint64_t start = 0;
  for (std::size_t g = 0; start + groups_[g].*unit <= index; ++g) {
    start += groups_[g].*unit;
    position += kGroup;
  }
  while (start + sums_[position].*unit <= index) start += sums_[position++].*unit;
  if (!by_points) return scan_leaf(position, index - start, unit, into);
  cached_ = {true, position, 0, start, 0};
  return scan_points(index - start, into);
}

std::uint64_t Sequence::index_of(Place p, Unit unit) const {
  std::uint64_t index = 0;
  const auto group = p.leaf / kGroup;
  for (std::size_t g = 0; g < group; ++g) index += groups_[g].*unit;
  for (auto i = group * kGroup; i < p.leaf; ++i) index += sums_[i].*unit;
  const auto& runs = leaf(p).runs;
  for (std::uint32_t i = 0; i < p.run; ++i) index += units_of(runs[i], runs[i].count).*unit;
  return index + units_of(runs[p.run], p.offset).*unit;
}

Sequence::Place Sequence::find(std::uint32_t leaf_id, OpId id) const {
  const auto& here = leaves_[leaf_id];
  for (std::uint32_t i = 0; i < here.runs.size(); ++i) {
    const auto& run = here.runs[i];
    if (run.first.actor() != id.actor()) continue;
    const auto offset = id.counter() - run.first.counter();  // wraps if before
    if (offset < run.count) return {here.position, i, offset};
  }
  return {static_cast<std::uint32_t>(order_.size()), 0, 0};
}

// --- changing -------------------------------------------------------------------------------

Sequence::Place Sequence::insert(Place gap, const Run& run, const Units& units) {
  if (order_.empty()) {
    new_leaf(0);
    gap = {};
  } else if (at_end(gap)) {
    gap.leaf = static_cast<std::uint32_t>(order_.size() - 1);
    gap.run = static_cast<std::uint32_t>(leaf(gap).runs.size());
    gap.offset = 0;
  }
  auto& runs = leaf(gap).runs;
  const bool inside = gap.offset != 0 && gap.offset < runs[gap.run].count;
  if (gap.offset != 0 && !inside) gap = {gap.leaf, gap.run + 1, 0};
  if (!inside && gap.run != 0) {
    auto& before = runs[gap.run - 1];
    std::int8_t step = 0;
    if (joins(before, run, step)) {
      touched(gap.leaf, gap.run - 1);
      join(before, run, step);
      owner_.placed(run, order_[gap.leaf]);
      add(gap.leaf, units);
      return {gap.leaf, gap.run - 1, before.count};
    }
  }
  make_room(gap, inside ? 2 : 1);
  touched(gap.leaf, gap.run);
  if (inside) {
    cut(gap);
    gap = {gap.leaf, gap.run + 1, 0};
  }
  put(gap, run);
  owner_.placed(run, order_[gap.leaf]);
  add(gap.leaf, units);
  return {gap.leaf, gap.run, run.count};
}

void Sequence::erase(Place p, std::uint32_t n, OpId successor, std::int8_t step) {
  make_room(p, 2);
  touched(p.leaf, p.run);
  auto& runs = leaf(p).runs;
  auto& whole = runs[p.run];
  subtract(p.leaf, whole.units(n));
  auto gone = part(whole, p.offset, n);
  gone.successor = successor;
  gone.step = n == 1 ? std::int8_t{0} : step;
  gone.points = 0;
  const bool at_front = p.offset == 0;
  const bool at_back = p.offset + n == whole.count;
  std::int8_t joined = 0;
  const auto at = runs.begin() + p.run;
  if (at_front && p.run != 0 && joins(*(at - 1), gone, joined)) {
    join(*(at - 1), gone, joined);
    if (at_back) {
      runs.erase(at);
    } else {
      whole = part(whole, n, whole.count - n);
    }
    return;
  }
  if (at_back && p.run + 1 < runs.size() && joins(gone, *(at + 1), joined)) {
    join(gone, *(at + 1), joined);
    *(at + 1) = gone;
    if (at_front) {
      runs.erase(at);
    } else {
      whole = part(whole, 0, p.offset);
    }
    return;
  }
  if (!at_back) cut({p.leaf, p.run, p.offset + n});
  if (!at_front) {
    cut(p);
    ++p.run;
  }
  runs[p.run] = gone;
}

void Sequence::make_rich(Place p, std::uint32_t slot, const Units& units) {
  make_room(p, 2);
  touched(p.leaf, p.run);
  auto& runs = leaf(p).runs;
  subtract(p.leaf, runs[p.run].units(1));
  if (p.offset + 1 != runs[p.run].count) cut({p.leaf, p.run, p.offset + 1});
  if (p.offset != 0) {
    cut(p);
    ++p.run;
  }
  auto& run = runs[p.run];
  run.successor = OpId();
  run.width = 0;
  run.step = 0;
  run.value = slot;
  run.points = static_cast<std::uint32_t>(units.points);
  owner_.placed(run, order_[p.leaf]);
  add(p.leaf, units);
}

void Sequence::set_units(Place p, const Units& before, const Units& now) {
  touched(p.leaf, p.run);
  leaf(p).runs[p.run].points = static_cast<std::uint32_t>(now.points);
  subtract(p.leaf, before);
  add(p.leaf, now);
}

std::size_t Sequence::memory_bytes() const {
  std::size_t bytes =
      4 * order_.capacity() + sizeof(Units) * (sums_.capacity() + groups_.capacity());
  for (const auto id : order_) {
    bytes += sizeof(Leaf) + leaves_[id].runs.capacity() * sizeof(Run);
  }
  return bytes;
}

}  // namespace peat::automerge
