// Pieces of JSON text.
#pragma once

#include <string>
#include <string_view>

#include "peat/automerge/types.hpp"

namespace peat::automerge {

void append_json_string(std::string& out, std::string_view text);
std::string path_text(const Path& path);  // ["items",0,"name"]

}  // namespace peat::automerge
