// Where an operation is, by its id.
//
// Counters of an actor are nearly dense, so places are kept in pages of 16 consecutive counters;
// a page is found by hash. About 6 bytes an operation.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "automerge/op_id.hpp"

namespace peat::automerge {

// A map from 64-bit keys to indexes; nothing is ever removed.
class IndexMap {
 public:
  std::uint32_t find(std::uint64_t key) const;  // kNone if absent
  void insert(std::uint64_t key, std::uint32_t value);
  void reserve(std::size_t entries);
  std::size_t memory_bytes() const { return cells_.capacity() * sizeof(Cell); }

 private:
  struct Cell {
    std::uint64_t key = 0;
    std::uint32_t value = kNone;
  };
  void place(Cell cell);
  void resize(std::size_t cells);
  std::vector<Cell> cells_;
  std::size_t used_ = 0;
};

class IdIndex {
 public:
  std::uint32_t find(OpId id) const;  // kNone if absent
  // The same place for `count` consecutive ids.
  void set(OpId first, std::uint32_t count, std::uint32_t place);
  std::size_t memory_bytes() const {
    return by_key_.memory_bytes() + pages_.capacity() * sizeof(Page);
  }

 private:
  static constexpr std::uint32_t kPage = 16;
  using Page = std::array<std::uint32_t, kPage>;
  static std::uint64_t key(OpId id) {
    return std::uint64_t{id.actor()} << 28 | id.counter() / kPage;
  }
  IndexMap by_key_;
  std::vector<Page> pages_;
};

}  // namespace peat::automerge
