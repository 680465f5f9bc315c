// A value as bytes that are equal exactly when an update would leave it alone: for finding what two
// lists have in common. JSON and documents give the same bytes for what to_json shows alike.
#pragma once

#include <string>

#include "automerge/json_parse.hpp"
#include "peat/automerge/document.hpp"

namespace peat::automerge {

void append_canonical(std::string& out, const Json& json);
Status append_canonical(std::string& out, const Document& document, const Value& value,
                        JsonForm form);

}  // namespace peat::automerge
