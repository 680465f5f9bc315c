// Queries: which documents of a collection, in which order, how many.
//
//   auto query = peat::Query::parse("from trucks where speed > 80 and pos within 5 km of 52.1, 4.3
//   "
//                                   "order by speed desc limit 20");
//   if (!query) return report(query.error().message);      // names the place and the remedy
//   query->matches("t7", R"({"speed": 91, "pos": {"lat": 52.1, "lon": 4.31}})");
//
// A Query is a value: parsed once, cheap to copy, immutable. Mesh::query and Mesh::watch run it;
// the same text serves the HTTP interface and `peat query`. docs/query.md is the guide.
//
//   query     := "from" name [ "where" condition ] [ ("with" | "only") "deleted" ]
//                [ "order" "by" key { "," key } ] [ "limit" count ] [ "offset" count ]
//   key       := path [ "asc" | "desc" ]
//   condition := and { "or" and }          and := not { "and" not }
//   not       := "not" not | "(" condition ")" | "all" | test
//   test      := path ( "=" | "==" | "===" | "!=" | "<" | "<=" | ">" | ">=" ) value
//              | path "between" value "and" value
//              | path [ "not" ] "in" "(" value { "," value } ")"
//              | path "contains" value | path "like" text
//              | path ( "starts" | "ends" ) "with" text
//              | path "is" [ "not" ] ( "null" | "missing" ) | path "exists"
//              | place "within" number ( "m" | "km" ) "of" number "," number
//              | place "within" "box" number "," number "to" number "," number
//              | place "within" "geohash" text
//   place     := path | "(" path "," path ")"
//   path      := step { "." word | "[" ( text | index ) "]" }     step := word | "[" text "]"
//   value     := number | text | "true" | "false" | "null"
//   text      := "'" … "'" or '"' … '"', with the escapes of JSON and \'
//
// Words of the grammar are read in any case. A path goes into objects by name and into lists by
// index from 0; a name with other characters than letters, digits, "_", "-" and "$" stands in
// brackets: stops[0]["e.t.a"]. The path `_id` is the document's id.
//
// What a document is to a query: its JSON (peat/automerge/document.hpp says how each type maps).
// Nothing is decoded beyond the paths that the query names.
//
// Tests. One whose path is not there is false (and `not` of it true, `!=` too).
//   =  !=     equal by value: 1 = 1.0, exactly, however large. Lists and objects equal nothing.
//   ===       equal and of the same form: 1 === 1.0 is false
//   <  <=  >  >=  between (both ends included)
//             numbers with numbers, exactly; texts with texts, bytewise; false before true
//   contains  a list with an element that is = the value; a text with this text in it
//   like      the whole text, % for anything, _ for one character, \ before one that is meant
//   within    a place is an object with numbers `lat` and `lon`, or two paths, latitude first.
//             `of` and `box` take latitude, longitude; a radius includes its edge (a sphere), a
//             box from its south-west to its north-east corner too, and may cross the antimeridian
//
// Deleted documents (a root `_deleted` that is true) are left out unless asked for.
//
// Order. By the keys, then by id; total over all types: null, false, true, numbers, texts, lists,
// objects, and missing last in both directions. Of texts the first 128 bytes count, lists and
// objects order by theirs as JSON. Without `order by`: by id.
//
// Limits (base/limits.def): query_text_bytes, query_depth, query_terms, query_path_steps,
// query_order_keys, query_rows. Errors: Code::malformed with the column and what would be
// understood there, Code::limit_exceeded, Code::invalid_argument.
//
// Cost: parsing some microseconds; matches() one pass over the JSON up to the last path needed,
// about 1 ns a byte. Threading: values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "peat/error.hpp"
#include "peat/export.hpp"

namespace peat {

namespace query {
struct Ast;
}

class PEAT_API Query {
 public:
  static Result<Query> parse(std::string_view text);
  // The same as JSON, for programs (no quoting to get wrong):
  //   {"from": "trucks", "where": CONDITION, "deleted": "with" | "only",
  //    "order_by": ["speed desc", "name"], "limit": 20, "offset": 0}
  //   CONDITION := true | {"and": [CONDITION, …]} | {"or": […]} | {"not": CONDITION}
  //     | {"eq" | "same" | "ne" | "lt" | "le" | "gt" | "ge": [PATH, value]}
  //     | {"in": [PATH, [value, …]]} | {"contains": [PATH, value]}
  //     | {"like" | "starts_with" | "ends_with": [PATH, text]} | {"null" | "exists": PATH}
  //     | {"radius": [PLACE, metres, lat, lon]} | {"box": [PLACE, south, west, north, east]}
  //     | {"geohash": [PLACE, text]}
  //   PATH := a text as in the grammar above; PLACE := PATH | [PATH, PATH]
  static Result<Query> parse_json(std::string_view json);
  // Every document of a collection.
  static Query all(std::string_view collection);

  const std::string& collection() const;
  std::optional<std::uint64_t> limit() const;
  // Whether it asks for an order, a limit or an offset: a live query cannot.
  bool is_page() const;

  // Whether a document with this id and JSON is one of those asked for, wherever it would stand.
  // A text that is no JSON object is a document without fields.
  bool matches(std::string_view id, std::string_view json) const;

  // The query as text, in one form for one meaning; parse() reads it back.
  std::string to_string() const;

  const query::Ast& ast() const { return *ast_; }  // the library's own

 private:
  explicit Query(std::shared_ptr<const query::Ast> ast) : ast_(std::move(ast)) {}
  std::shared_ptr<const query::Ast> ast_;
};

// A text as a value of the query language, quoted.
PEAT_API std::string query_literal(std::string_view text);

}  // namespace peat
