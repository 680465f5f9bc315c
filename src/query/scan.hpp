// Finding the values of some paths in a JSON text, in one pass, without decoding the rest.
//
// The text may be anything: what is no JSON is found missing, nothing is read beyond its end. It
// stops as soon as every path has been found or cannot be any more.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace peat::query {

enum class Type : std::uint8_t { missing, null, boolean, number, text, list, object };

// A value where it stands.
struct Found {
  Type type = Type::missing;
  std::string_view raw;  // as JSON; a text without its quotes
  bool escaped = false;  // a text with escapes in it

  bool is_true() const { return type == Type::boolean && raw == "true"; }
  // The text itself, in `scratch` where it had to be decoded.
  std::string_view text(std::string& scratch) const;
};

// One value at the start of `json`; `rest` is what follows it. Missing if there is none.
Found read_value(std::string_view json, std::string_view& rest);
// Calls `visit(element)` for the elements of a list until it returns true.
template <class Visit>
bool any_element(const Found& list, Visit visit);

struct Step {
  std::string name;
  std::optional<std::uint32_t> index;  // instead of a name
  friend bool operator==(const Step&, const Step&) = default;
};

struct Path {
  std::vector<Step> steps;
  friend bool operator==(const Path&, const Path&) = default;
  // The document's id.
  bool is_id() const { return steps.size() == 1 && steps[0].name == "_id" && !steps[0].index; }
};

class PathTree {
 public:
  void add(const Path& path, std::size_t slot);
  // `found` has a place for every slot; those that are not there stay as they were.
  void scan(std::string_view json, std::span<Found> found) const;

 private:
  struct Node {
    std::vector<std::pair<std::string, std::size_t>> members;     // name, node
    std::vector<std::pair<std::uint32_t, std::size_t>> elements;  // index, node
    std::optional<std::size_t> slot;
    std::size_t slots = 0;  // here and below
  };
  struct Scan;

  std::size_t child(std::size_t node, const Step& step);

  std::vector<Node> nodes_{1};
};

// --- inline
// ---------------------------------------------------------------------------------------

namespace detail {
// Steps over white space and one comma; empty at the end of the list.
std::string_view next_element(std::string_view rest);
}  // namespace detail

template <class Visit>
bool any_element(const Found& list, Visit visit) {
  if (list.type != Type::list || list.raw.size() < 2) return false;
  auto rest = detail::next_element(list.raw.substr(1, list.raw.size() - 2));
  while (!rest.empty()) {
    std::string_view behind;
    const auto element = read_value(rest, behind);
    if (element.type == Type::missing) return false;
    if (visit(element)) return true;
    rest = detail::next_element(behind);
  }
  return false;
}

}  // namespace peat::query
