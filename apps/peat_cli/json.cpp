#include "peat_cli/json.hpp"

#include <boost/json/parse.hpp>
#include <fmt/format.h>

namespace peat::cli {

Result<boost::json::value> parse_json(std::string_view text) {
  boost::json::parse_options options;
  options.max_depth = kJsonDepth;
  boost::system::error_code error;
  auto value = boost::json::parse(text, error, {}, options);
  if (error == boost::json::error::too_deep) {
    return fail(Code::malformed, fmt::format("JSON of more than {} levels", kJsonDepth));
  }
  if (error) return fail(Code::malformed, "not JSON: " + error.message());
  return value;
}

Result<boost::json::object> parse_json_object(std::string_view text) {
  PEAT_TRY(auto value, parse_json(text));
  if (!value.is_object()) return fail(Code::malformed, "no JSON object");
  return std::move(value.get_object());
}

}  // namespace peat::cli
