// Typed JSON: plain JSON in which an object of one member whose name begins with $ is a value of a
// type that JSON lacks.
//
//   {"$bytes": "base64"}     {"$counter": n}    {"$timestamp": n}   {"$uint": n}   {"$int": n}
//   {"$double": "NaN" | "Infinity" | "-Infinity" | "bits:16 hex digits"}
//   {"$text": "…"}           a text, not a string
//   {"$unknown": [type code 10 to 15, "base64"]}
//   {"$map": {…}}            a map that has one member whose name begins with $
//
// n is an integer, or its decimal digits as a string: so it is written beyond ±(2^53 - 1), which
// many languages cannot read as a number. Integers of the type int are plain JSON integers up to
// there.
#pragma once

#include <string>

#include "automerge/json_parse.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

// Replaces the objects above by the values that they stand for. Code::malformed names an unknown or
// wrong one by its path.
Status resolve_types(Json& root);

// Appends the typed form of a scalar that plain JSON has no form for; false if it has one, or
// `text` as a text object.
bool append_typed(std::string& out, const Scalar& value);
void append_typed_text(std::string& out, std::string_view text);
// Whether a map of this only key has to be written as {"$map": …}.
bool needs_map_tag(std::string_view only_key);

}  // namespace peat::automerge
