#include "automerge/id_index.hpp"

#include <algorithm>

namespace peat::automerge {

namespace {

std::size_t mix(std::uint64_t key) {
  key *= 0x9e3779b97f4a7c15ULL;
  return static_cast<std::size_t>(key ^ key >> 32);
}

}  // namespace

std::uint32_t IndexMap::find(std::uint64_t key) const {
  if (cells_.empty()) return kNone;
  const auto mask = cells_.size() - 1;
  for (auto at = mix(key) & mask;; at = (at + 1) & mask) {
    if (cells_[at].value == kNone) return kNone;
    if (cells_[at].key == key) return cells_[at].value;
  }
}

void IndexMap::place(Cell cell) {
  const auto mask = cells_.size() - 1;
  auto at = mix(cell.key) & mask;
  while (cells_[at].value != kNone) at = (at + 1) & mask;
  cells_[at] = cell;
}

void IndexMap::resize(std::size_t cells) {
  std::vector<Cell> old(cells);
  old.swap(cells_);
  for (const auto& cell : old) {
    if (cell.value != kNone) place(cell);
  }
}

void IndexMap::reserve(std::size_t entries) {
  std::size_t cells = std::max<std::size_t>(8, cells_.size());
  while (cells < entries * 2) cells *= 2;
  if (cells != cells_.size()) resize(cells);
}

void IndexMap::insert(std::uint64_t key, std::uint32_t value) {
  if (cells_.size() < (used_ + 1) * 2) resize(std::max<std::size_t>(8, cells_.size() * 2));
  place({key, value});
  ++used_;
}

std::uint32_t IdIndex::find(OpId id) const {
  const auto page = by_key_.find(key(id));
  return page == kNone ? kNone : pages_[page][id.counter() % kPage];
}

void IdIndex::set(OpId first, std::uint32_t count, std::uint32_t place) {
  auto id = first;
  while (count != 0) {
    auto page = by_key_.find(key(id));
    if (page == kNone) {
      page = static_cast<std::uint32_t>(pages_.size());
      pages_.emplace_back().fill(kNone);
      by_key_.insert(key(id), page);
    }
    const auto at = id.counter() % kPage;
    const auto n = std::min(count, kPage - at);
    std::fill_n(pages_[page].begin() + at, n, place);
    count -= n;
    id.packed += std::uint64_t{n} << 32;
  }
}

}  // namespace peat::automerge
