// The chunks of a document's changes, one behind the other.
//
// They stand in blocks whose bytes never move or change, so that views of chunks live as long as
// the log, growing copies nothing, and a copy of a log shares what both have. A block that is
// shared is not gone on with: each side then writes blocks of its own.
//
// Cost: 8 bytes a change, and at most half of the bytes again (64 KiB) that are not used yet.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "peat/bytes.hpp"

namespace peat::automerge {

class ChangeLog {
 public:
  std::size_t size() const { return entries_.size(); }
  std::size_t bytes() const { return bytes_; }
  ByteView chunk(std::size_t i) const;

  // Changes nothing if memory runs out.
  void append(ByteView chunk);
  // Memory for so many more chunks of so many bytes together: appending them then throws nothing.
  void make_room(std::size_t chunks, std::size_t bytes);
  // Of the blocks that are not shared, for caches.
  std::size_t memory_bytes() const;

 private:
  struct Block {
    std::shared_ptr<std::uint8_t[]> data;
    std::uint32_t capacity = 0;
    std::uint32_t used = 0;
  };
  struct Entry {
    std::uint32_t block = 0;
    std::uint32_t begin = 0;
  };
  bool fits(std::size_t bytes) const;
  void open_block(std::size_t bytes);

  std::vector<Block> blocks_;
  std::vector<Entry> entries_;
  std::size_t bytes_ = 0;
};

}  // namespace peat::automerge
