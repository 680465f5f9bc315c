// Where queries find documents: a node, or whatever has keys and JSON.
//
// Threading: the loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "peat/bytes.hpp"
#include "peat/error.hpp"

namespace peat::query {

// Keys of values (index_key.hpp) from `low` up to but not including `high`; an empty `high` has no
// end.
struct KeyRange {
  std::string low;
  std::string high;
};

// A document as an index has it.
struct IndexEntry {
  std::string value;  // key of the value
  std::string id;
  std::string place;  // in the index: where to go on
};

class Source {
 public:
  virtual ~Source() = default;

  // Keys ("collection:id") with this prefix after `after`, in bytewise order.
  virtual Result<std::vector<std::string>> keys(std::string_view prefix, std::string_view after,
                                                std::size_t limit) = 0;
  // nullopt: there is none. Code::document_invalid: it cannot be read.
  virtual Result<std::optional<std::string>> json(std::string_view key) = 0;
  virtual std::uint64_t count(std::string_view collection) const = 0;

  // An index of a collection, by the text of its path; a number that names it, or nullopt if there
  // is none that knows every document as it is now.
  virtual std::optional<std::uint32_t> find_index(std::string_view, std::string_view) {
    return std::nullopt;
  }
  // Its entries in a range, by value and then by id, or backwards; behind the entry `place`, or
  // from the range's beginning.
  virtual Result<std::vector<IndexEntry>> index_entries(std::uint32_t, const KeyRange&,
                                                        std::string_view, bool, std::size_t) {
    return std::vector<IndexEntry>();
  }

  // Of this node alone; tokens of queries are made with it.
  virtual ByteView token_key() const = 0;
};

}  // namespace peat::query
