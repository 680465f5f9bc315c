#include "automerge/sequence.hpp"

#include <cstddef>

namespace peat::automerge {

void Sequence::append(std::uint32_t slot, BlockIds& ids) {
  // Three quarters full, so that later inserts do not split at once.
  if (order_.empty() || blocks_[order_.back()].entries.size() >= kBlockElements * 3 / 4) {
    const auto id = static_cast<std::uint32_t>(blocks_.size());
    blocks_.push_back({{}, static_cast<std::uint32_t>(order_.size())});
    order_.push_back(id);
    widths_.push_back(0);
  }
  blocks_[order_.back()].entries.push_back({slot, 0});
  ids.set_block(slot, order_.back());
  ++size_;
}

void Sequence::insert(Place before, std::uint32_t slot, BlockIds& ids) {
  if (order_.empty() || before.block >= order_.size()) {
    append(slot, ids);
    return;
  }
  auto& entries = blocks_[order_[before.block]].entries;
  entries.insert(entries.begin() + before.offset, Entry{slot, 0});
  ids.set_block(slot, order_[before.block]);
  ++size_;
  if (entries.size() >= kBlockElements) split(before.block, ids);
}

void Sequence::split(std::uint32_t position, BlockIds& ids) {
  const auto id = static_cast<std::uint32_t>(blocks_.size());
  blocks_.push_back({});
  auto& left = blocks_[order_[position]].entries;
  auto& right = blocks_[id].entries;
  const auto middle = left.begin() + static_cast<std::ptrdiff_t>(left.size() / 2);
  right.reserve(kBlockElements);
  right.assign(middle, left.end());
  left.erase(middle, left.end());
  std::uint64_t moved = 0;
  for (const auto& entry : right) {
    moved += entry.width;
    ids.set_block(entry.slot, id);
  }
  widths_[position] -= moved;
  order_.insert(order_.begin() + position + 1, id);
  widths_.insert(widths_.begin() + position + 1, moved);
  for (auto i = position + 1; i < order_.size(); ++i) blocks_[order_[i]].position = i;
}

Sequence::Place Sequence::locate(std::uint32_t slot, std::uint32_t block_id) const {
  const auto& block = blocks_[block_id];
  std::uint32_t offset = 0;
  while (block.entries[offset].slot != slot) ++offset;
  return {block.position, offset};
}

void Sequence::set_width(std::uint32_t slot, std::uint32_t block_id, std::uint32_t width) {
  const auto place = locate(slot, block_id);
  auto& entry = blocks_[block_id].entries[place.offset];
  widths_[place.block] += std::uint64_t{width} - entry.width;
  total_ += std::uint64_t{width} - entry.width;
  entry.width = width;
}

Sequence::Place Sequence::normalised(Place p) const {
  if (p.block < order_.size() && p.offset >= block_at(p).entries.size()) return {p.block + 1, 0};
  return p;
}

Sequence::Place Sequence::next(Place p) const { return normalised({p.block, p.offset + 1}); }

Sequence::Place Sequence::at_index(std::uint64_t index, std::uint32_t& into) const {
  into = 0;
  const auto blocks = static_cast<std::uint32_t>(order_.size());
  if (index >= total_) return {blocks, 0};
  std::uint32_t position = 0;
  while (index >= widths_[position]) index -= widths_[position++];
  const auto& entries = blocks_[order_[position]].entries;
  std::uint32_t offset = 0;
  while (index >= entries[offset].width) index -= entries[offset++].width;
  into = static_cast<std::uint32_t>(index);
  return {position, offset};
}

std::size_t Sequence::memory_bytes() const {
  std::size_t bytes =
      blocks_.capacity() * sizeof(Block) + 4 * order_.capacity() + 8 * widths_.capacity();
  for (const auto& block : blocks_) bytes += block.entries.capacity() * sizeof(Entry);
  return bytes;
}

}  // namespace peat::automerge
