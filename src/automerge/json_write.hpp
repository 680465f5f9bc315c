// Pieces of JSON text.
#pragma once

#include <string>
#include <string_view>

namespace peat::automerge {

void append_json_string(std::string& out, std::string_view text);

}  // namespace peat::automerge
