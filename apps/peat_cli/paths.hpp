// Paths into a document as people type them: dotted (`pos.lat`, `items.0.name`) or, from a `/` on,
// as a JSON pointer (RFC 6901: `/pos/lat`, with ~1 for a slash and ~0 for a tilde), which says
// every key.
#pragma once

#include <boost/json/array.hpp>

#include <string>
#include <string_view>
#include <vector>

#include "peat/error.hpp"

namespace peat::cli {

// Code::invalid_argument if there is no step, or an empty one between dots.
Result<std::vector<std::string>> parse_path(std::string_view text);
// The way back, from keys and indexes; dotted where that says it.
std::string format_path(const boost::json::array& path);

// "path=value": the value as JSON text; what is no JSON is a text.
struct Assignment {
  std::vector<std::string> path;
  std::string json;
};
// `option` is what the error names.
Result<Assignment> parse_assignment(std::string_view option, std::string_view text);

}  // namespace peat::cli
