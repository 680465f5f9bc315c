#include "automerge/change_log.hpp"

#include <algorithm>
#include <stdexcept>

#include "automerge/guarded.hpp"

namespace peat::automerge {

namespace {

constexpr std::size_t kMostBlock = std::size_t{64} << 10;
constexpr std::size_t kLeastFurther = 128;  // of a block that is not the first

}  // namespace

ByteView ChangeLog::chunk(std::size_t i) const {
  const auto& entry = entries_[i];
  const auto& block = blocks_[entry.block];
  const bool last = i + 1 == entries_.size() || entries_[i + 1].block != entry.block;
  const auto end = last ? block.used : entries_[i + 1].begin;
  return {block.data.get() + entry.begin, end - entry.begin};
}

bool ChangeLog::fits(std::size_t bytes) const {
  if (blocks_.empty()) return false;
  const auto& block = blocks_.back();
  return block.capacity - block.used >= bytes && block.data.use_count() == 1;
}

void ChangeLog::open_block(std::size_t bytes) {
  if (bytes > UINT32_MAX) throw std::length_error("changes of more than 4 GiB at once");
  Block block;
  const auto further = blocks_.empty() ? 0 : std::min(bytes_ / 2 + kLeastFurther, kMostBlock);
  block.capacity = static_cast<std::uint32_t>(std::max(bytes, further));
  block.data = std::make_shared_for_overwrite<std::uint8_t[]>(block.capacity);
  blocks_.push_back(std::move(block));
}

void ChangeLog::make_room(std::size_t chunks, std::size_t bytes) {
  grow(entries_, chunks);
  if (!fits(bytes)) open_block(bytes);
}

void ChangeLog::append(ByteView chunk) {
  make_room(1, chunk.size());
  auto& block = blocks_.back();
  entries_.push_back({static_cast<std::uint32_t>(blocks_.size() - 1), block.used});
  std::ranges::copy(chunk, block.data.get() + block.used);
  block.used += static_cast<std::uint32_t>(chunk.size());
  bytes_ += chunk.size();
}

std::size_t ChangeLog::memory_bytes() const {
  auto out = blocks_.capacity() * sizeof(Block) + entries_.capacity() * sizeof(Entry);
  for (const auto& block : blocks_) out += block.data.use_count() == 1 ? block.capacity + 16U : 0;
  return out;
}

}  // namespace peat::automerge
