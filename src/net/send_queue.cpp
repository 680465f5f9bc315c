#include "net/send_queue.hpp"

#include <algorithm>
#include <cstring>

namespace peat::net {

void SendQueue::push(ByteView data) {
  std::size_t room = 0;
  if (!chunks_.empty()) room = chunks_.back().capacity - chunks_.back().size;
  const auto head = data.first(std::min(room, data.size()));
  auto tail = data.subspan(head.size());

  std::deque<Chunk> fresh;
  std::uint64_t offset = end_ + head.size();
  std::uint64_t added = 0;
  while (!tail.empty()) {
    const auto piece = tail.first(std::min(tail.size(), kLargestChunk));
    const auto capacity = std::max(piece.size(), kSmallestChunk);
    Chunk chunk{offset, static_cast<std::uint32_t>(capacity),
                static_cast<std::uint32_t>(piece.size()),
                std::make_unique_for_overwrite<std::uint8_t[]>(capacity)};
    std::memcpy(chunk.bytes.get(), piece.data(), piece.size());
    fresh.push_back(std::move(chunk));
    offset += piece.size();
    added += capacity;
    tail = tail.subspan(piece.size());
  }
  if (chunks_.empty()) {
    chunks_.swap(fresh);
  } else {
    const auto before = chunks_.size();
    try {
      for (auto& chunk : fresh) chunks_.push_back(std::move(chunk));
    } catch (...) {
      while (chunks_.size() > before) chunks_.pop_back();
      throw;
    }
    if (!head.empty()) {
      Chunk& last = chunks_[before - 1];
      std::memcpy(last.bytes.get() + last.size, head.data(), head.size());
      last.size += static_cast<std::uint32_t>(head.size());
    }
  }
  capacity_ += added;
  end_ = offset;
}

std::size_t SendQueue::gather(std::span<ngtcp2_vec> out) const {
  std::size_t count = 0;
  auto it =
      std::upper_bound(chunks_.begin(), chunks_.end(), next_,
                       [](std::uint64_t at, const Chunk& c) { return at < c.offset + c.size; });
  for (; it != chunks_.end() && count < out.size(); ++it) {
    const auto skip = it->offset < next_ ? next_ - it->offset : 0;
    const auto stop = std::min<std::uint64_t>(it->size, end_ - it->offset);
    if (skip < stop) out[count++] = {it->bytes.get() + skip, stop - skip};
  }
  return count;
}

void SendQueue::acknowledge(std::uint64_t offset) {
  begin_ = std::clamp(offset, begin_, next_);
  while (!chunks_.empty() && chunks_.front().offset + chunks_.front().size <= begin_) {
    // The last chunk of a quiet stream goes too: an idle connection holds no buffers.
    capacity_ -= chunks_.front().capacity;
    chunks_.pop_front();
  }
}

}  // namespace peat::net
