// The patches that lead from one state of a document to another.
#pragma once

#include <cstdint>
#include <set>
#include <unordered_map>
#include <vector>

#include "automerge/document_impl.hpp"
#include "automerge/visibility.hpp"
#include "peat/automerge/patch.hpp"

namespace peat::automerge {

// Where a set of changes touched a document: slots of maps, sequences as a whole, and whatever
// leads there from the root.
class Touched {
 public:
  explicit Touched(const OpSet& ops) : ops_(ops) {}
  // The operations of a change. Every object they name must exist.
  void add(const ChangeView& change, std::span<const std::uint32_t> actors);

  bool has(std::uint32_t object) const { return slots_.contains(object); }
  const std::set<std::uint32_t>& slots(std::uint32_t map) const { return slots_.at(map); }

 private:
  void add(std::uint32_t object, std::uint32_t slot);

  const OpSet& ops_;
  std::unordered_map<std::uint32_t, std::set<std::uint32_t>> slots_;  // by object
};

// `touched` null: the whole document may differ.
std::vector<Patch> diff(const Document::Impl& impl, const Reading& before, const Reading& after,
                        const Touched* touched);

}  // namespace peat::automerge
