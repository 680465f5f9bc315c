// What a View's calls share: the materialised op set, the reading, and objects found in it.
#pragma once

#include <string>
#include <vector>

#include "automerge/document_impl.hpp"
#include "automerge/visibility.hpp"
#include "peat/automerge/view.hpp"

namespace peat::automerge {

struct ViewAccess {
  const Document::Impl& impl;
  Reading reading;
  const View* view = nullptr;

  static Result<ViewAccess> open(const View& view);
  static Result<ViewAccess> open(Document::Impl& impl, const Clock* clock);

  const OpSet& ops() const { return reading.ops(); }
  Result<std::uint32_t> object(ObjectId id) const;
  Result<std::uint32_t> map(ObjectId id) const;
  Result<std::uint32_t> sequence(ObjectId id) const;
  Result<std::uint32_t> text(ObjectId id) const;
  Unit unit_of(std::uint32_t object) const { return impl.unit_of(ops().object(object)); }
  std::unexpected<Error> beyond(std::uint32_t object, std::size_t index) const;

  // The winners of an object: with keys, ascending, or in the order of a list.
  struct Entry {
    std::string_view key;
    Value value;
    bool conflict = false;
    std::uint32_t slot = kNone;  // kNone: a character of typed text
  };
  std::vector<Entry> entries(std::uint32_t object) const;
  std::string text_of(std::uint32_t object) const;
};

}  // namespace peat::automerge
