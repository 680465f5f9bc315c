#include "store/rows.hpp"

#include <utility>

namespace peat::store {

namespace {

std::size_t size_of(const std::optional<Bytes>& value) { return value ? value->size() : 0; }

}  // namespace

void Rows::set(Table table, std::string key, std::optional<Bytes> value) {
  const auto [it, fresh] = tables_[index(table)].try_emplace(std::move(key));
  bytes_ += (fresh ? it->first.size() : 0) + size_of(value);
  bytes_ -= size_of(it->second);
  it->second = std::move(value);
}

void Rows::put(Table table, std::string key, Bytes value) {
  set(table, std::move(key), std::move(value));
}

void Rows::erase(Table table, std::string key) { set(table, std::move(key), std::nullopt); }

void Rows::absorb(Rows&& newer) {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    auto& from = newer.tables_[i];
    while (!from.empty()) {
      auto node = from.extract(from.begin());
      bytes_ += node.key().size() + size_of(node.mapped());
      auto inserted = tables_[i].insert(std::move(node));
      if (inserted.inserted) continue;
      auto& old = inserted.position->second;
      bytes_ -= inserted.position->first.size() + size_of(old);
      old = std::move(inserted.node.mapped());
    }
  }
  newer.bytes_ = 0;
}

std::size_t Rows::count() const {
  std::size_t total = 0;
  for (const auto& values : tables_) total += values.size();
  return total;
}

void Rows::apply(const Rows& changes) {
  for (std::size_t i = 0; i < kTableCount; ++i) {
    for (const auto& [key, value] : changes.tables_[i]) {
      if (value) {
        set(static_cast<Table>(i), key, value);
        continue;
      }
      const auto it = tables_[i].find(key);
      if (it == tables_[i].end()) continue;
      bytes_ -= it->first.size() + size_of(it->second);
      tables_[i].erase(it);
    }
  }
}

}  // namespace peat::store
