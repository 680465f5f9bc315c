#include "automerge/actors.hpp"

#include <algorithm>
#include <cstring>

#include "automerge/guarded.hpp"

namespace peat::automerge {

int compare_bytes(ByteView a, ByteView b) {
  const auto n = std::min(a.size(), b.size());
  const int order = n == 0 ? 0 : std::memcmp(a.data(), b.data(), n);
  if (order != 0) return order;
  return a.size() == b.size() ? 0 : (a.size() < b.size() ? -1 : 1);
}

ByteView ActorTable::bytes(std::uint32_t actor) const {
  const std::size_t end = actor + 1 < begin_.size() ? begin_[actor + 1] : arena_.size();
  return ByteView(arena_).subspan(begin_[actor], end - begin_[actor]);
}

std::size_t ActorTable::lower_bound(ByteView actor) const {
  const auto at = std::lower_bound(
      order_.begin(), order_.end(), actor,
      [this](std::uint32_t index, ByteView key) { return compare_bytes(bytes(index), key) < 0; });
  return static_cast<std::size_t>(at - order_.begin());
}

std::optional<std::uint32_t> ActorTable::find(ByteView actor) const {
  const auto at = lower_bound(actor);
  if (at == order_.size() || compare_bytes(bytes(order_[at]), actor) != 0) return std::nullopt;
  return order_[at];
}

std::uint32_t ActorTable::add(ByteView actor) {
  const auto at = lower_bound(actor);
  if (at != order_.size() && compare_bytes(bytes(order_[at]), actor) == 0) return order_[at];
  const auto index = size();
  grow(begin_, 1);
  grow(arena_, actor.size());
  grow(order_, 1);
  grow(rank_, 1);
  // From here on nothing throws.
  begin_.push_back(static_cast<std::uint32_t>(arena_.size()));
  arena_.insert(arena_.end(), actor.begin(), actor.end());
  order_.insert(order_.begin() + static_cast<std::ptrdiff_t>(at), index);
  rank_.push_back(0);
  for (auto i = at; i < order_.size(); ++i) rank_[order_[i]] = static_cast<std::uint32_t>(i);
  return index;
}

std::size_t ActorTable::memory_bytes() const {
  return arena_.capacity() + 4 * (begin_.capacity() + rank_.capacity() + order_.capacity());
}

}  // namespace peat::automerge
