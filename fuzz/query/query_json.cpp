// A query as JSON: what parses prints as text that parses to the same.
#include <cstdlib>
#include <string_view>

#include "../report.hpp"
#include "peat/query.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("query_json");
  const auto query = peat::Query::parse_json({reinterpret_cast<const char*>(data), size});
  report.input(query.has_value());
  if (!query) return 0;
  const auto again = peat::Query::parse(query->to_string());
  if (!again || again->to_string() != query->to_string()) std::abort();
  return 0;
}
