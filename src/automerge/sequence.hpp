// The elements of a list or text in their order, tombstones included.
//
// Elements are slots of an OpSet; each has a width (0: invisible, list elements 1, text their
// number of code points). Blocks of up to kBlockElements keep inserting and counting cheap: an
// insert or a look-up by index costs O(elements / kBlockElements + kBlockElements).
#pragma once

#include <cstdint>
#include <vector>

namespace peat::automerge {

class Sequence {
 public:
  struct Place {
    std::uint32_t block = 0;  // position among the blocks, not a block's id
    std::uint32_t offset = 0;
  };
  // Told which block a slot lives in (ids are stable, positions are not).
  struct BlockIds {
    virtual void set_block(std::uint32_t slot, std::uint32_t block_id) = 0;

   protected:
    ~BlockIds() = default;
  };

  std::uint64_t total_width() const { return total_; }
  std::uint32_t size() const { return size_; }
  std::size_t memory_bytes() const;

  void append(std::uint32_t slot, BlockIds& ids);
  void insert(Place before, std::uint32_t slot, BlockIds& ids);
  // Where `slot` is, given the id of its block.
  Place locate(std::uint32_t slot, std::uint32_t block_id) const;
  void set_width(std::uint32_t slot, std::uint32_t block_id, std::uint32_t width);
  // All widths at once, `width_of(slot)` being each element's.
  template <class WidthOf>
  void set_widths(WidthOf width_of) {
    total_ = 0;
    for (auto& block : blocks_) {
      std::uint64_t sum = 0;
      for (auto& entry : block.entries) sum += entry.width = width_of(entry.slot);
      widths_[block.position] = sum;
      total_ += sum;
    }
  }

  Place begin() const { return {}; }
  bool at_end(Place p) const { return p.block >= order_.size(); }
  std::uint32_t slot(Place p) const { return block_at(p).entries[p.offset].slot; }
  std::uint32_t width(Place p) const { return block_at(p).entries[p.offset].width; }
  Place next(Place p) const;
  // The place after `p`'s element, usable for insert even at the end of all.
  Place after(Place p) const { return {p.block, p.offset + 1}; }
  // `p` if an element is there, else the first element of the next block.
  Place normalised(Place p) const;

  // The element that covers unit `index`; at_end if there are fewer units. `into`: how many units
  // of it come before `index`.
  Place at_index(std::uint64_t index, std::uint32_t& into) const;

 private:
  static constexpr std::size_t kBlockElements = 256;
  struct Entry {
    std::uint32_t slot = 0;
    std::uint32_t width = 0;
  };
  struct Block {
    std::vector<Entry> entries;
    std::uint32_t position = 0;  // in order_
  };
  const Block& block_at(Place p) const { return blocks_[order_[p.block]]; }
  void split(std::uint32_t position, BlockIds& ids);

  std::vector<Block> blocks_;          // by id
  std::vector<std::uint32_t> order_;   // ids
  std::vector<std::uint64_t> widths_;  // by position
  std::uint64_t total_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace peat::automerge
