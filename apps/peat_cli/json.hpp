// Reading JSON text that a person, a file or a node gave.
#pragma once

#include <boost/json/value.hpp>

#include <string_view>

#include "peat/error.hpp"

namespace peat::cli {

// A node takes http_json_depth levels over its interface, and what peers sent it may be deeper;
// an answer wraps a few more around a document.
inline constexpr std::size_t kJsonDepth = 1024;

// Code::malformed, with the reason in words, if `text` is no JSON or nests deeper than kJsonDepth.
Result<boost::json::value> parse_json(std::string_view text);
// The same, and it has to be an object.
Result<boost::json::object> parse_json_object(std::string_view text);

}  // namespace peat::cli
