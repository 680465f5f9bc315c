// The version of this build, as --version, GET /api/v1/node and the metrics say it.
#pragma once

#include <string_view>

namespace peat::node {

inline constexpr std::string_view kVersion = PEAT_VERSION;

}  // namespace peat::node
