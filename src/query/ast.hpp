// A query in memory: what the parsers make and everything else reads.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "peat/error.hpp"
#include "peat/geohash.hpp"
#include "query/number.hpp"
#include "query/scan.hpp"

namespace peat::query {

struct Literal {
  Type type = Type::null;  // null, boolean, number or text
  bool boolean = false;
  Number number;
  std::string text;  // of a text; of a number as it was written
};

enum class Test : std::uint8_t {
  equal,
  same,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  contains,
  like,
  starts_with,
  ends_with,
  is_null,
  exists,
  radius,   // values: metres, lat, lon
  box,      // values: south, west, north, east
  geohash,  // values: the text
};

struct Condition {
  enum class Kind : std::uint8_t { all, conjunction, disjunction, negation, test };
  Kind kind = Kind::all;
  std::vector<Condition> parts;  // of the first three
  Test test = Test::equal;
  std::size_t path = 0;       // into Ast::paths; of a place its latitude
  std::size_t longitude = 0;  // of a place
  bool split_place = false;   // two paths were given, not an object
  std::vector<Literal> values;
};

struct OrderKey {
  std::size_t path = 0;
  bool descending = false;
};

enum class Deleted : std::uint8_t { hidden, included, only };

struct Ast {
  std::string collection;
  Condition where;
  Deleted deleted = Deleted::hidden;
  std::vector<OrderKey> order;
  std::optional<std::uint64_t> limit;
  std::uint64_t offset = 0;
  std::vector<Path> paths;  // each once
  PathTree tree;            // finds them; slot i is paths[i]
  std::size_t deleted_slot = 0;

  // The slot of a path, new or known.
  std::size_t slot_of(Path path);
};

// The root member that marks a softly deleted document.
inline constexpr std::string_view kDeletedName = "_deleted";

// What the parsers share: completes the tree, checks what no grammar can.
Status finish(Ast& ast);
Result<Path> parse_path(std::string_view text);
// "path", "path asc" or "path desc".
Result<OrderKey> parse_order_key(std::string_view text, Ast& ast);
// One path (an object with lat and lon) or two.
void set_place(Condition& test, std::vector<Path> place, Ast& ast);
// Checks the numbers of a place's test and the geohash.
Status check_place(const Condition& test);
// Code::limit_exceeded beyond query_text_bytes.
Status check_length(std::string_view text);

// --- evaluation
// -----------------------------------------------------------------------------------

// What the paths of a query lead to in one document; points into the texts it was read from.
using FoundFields = std::vector<Found>;
FoundFields read_fields(const Ast& ast, std::string_view id, std::string_view json);
bool matches(const Ast& ast, const FoundFields& fields);
// Bytes that order as the query wants (ties by id not included); "" without `order by`.
std::string order_key(const Ast& ast, const FoundFields& fields);
// What breaks ties: an id in bytes that are never longer than kIdKeyBytes.
inline constexpr std::size_t kIdKeyBytes = 240;
std::string id_key(std::string_view id);

std::string print(const Ast& ast);
std::string print_path(const Path& path);

}  // namespace peat::query
