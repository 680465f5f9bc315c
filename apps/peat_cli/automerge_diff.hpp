// States of a document by the changes at their end, and what changed between two of them.
#pragma once

#include <boost/json/value.hpp>

#include <span>
#include <string>
#include <string_view>

#include "peat/automerge/document.hpp"
#include "peat/automerge/patch.hpp"

namespace peat::cli {

// `text` is HASH{,HASH}, where the first digits of a hash will do; "now", or "none" for the empty
// document that every history begins with. Code::not_found if no change begins like that,
// Code::invalid_argument if several do or it is no hexadecimal number.
Result<automerge::Heads> parse_heads(const automerge::Document& document, std::string_view text);

// One line for each patch.
std::string patches_text(std::span<const automerge::Patch> patches);
// [{"action", "path": [key or index, …], …}, …]
boost::json::value patches_json(std::span<const automerge::Patch> patches);

}  // namespace peat::cli
