#include "sync/documents_cache.hpp"

#include <utility>

namespace peat::sync {

OpenDocument* DocumentCache::find(std::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return &found->second->open;
}

OpenDocument& DocumentCache::insert(std::string_view key, OpenDocument open) {
  erase(key);
  order_.push_front({std::string(key), std::move(open), 0});
  index_.emplace(order_.front().key, order_.begin());
  count(order_.front());
  make_room();
  return order_.front().open;
}

void DocumentCache::erase(std::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return;
  const auto node = found->second;
  index_.erase(found);
  bytes_ -= node->bytes;
  order_.erase(node);
}

void DocumentCache::recount(std::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return;
  order_.splice(order_.begin(), order_, found->second);  // the last to go
  count(order_.front());
  make_room();
}

void DocumentCache::make_room() {
  while (bytes_ > limit_bytes_ && order_.size() > 1) erase(order_.back().key);
}

void DocumentCache::count(Node& node) {
  bytes_ -= node.bytes;
  node.bytes = sizeof(Node) + node.key.size() + node.open.document.memory_bytes();
  bytes_ += node.bytes;
}

}  // namespace peat::sync
