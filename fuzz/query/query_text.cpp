// A query, a line break, a document: what parses prints as text that means the same, of any
// document, be it JSON or not.
//
//   input := query "\n" id "\n" document
#include <algorithm>
#include <cstdlib>

#include "../report.hpp"
#include "peat/query.hpp"
#include "query/ast.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("query_text");
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto line = [&rest] {
    const auto text = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(text.size() + 1, rest.size()));
    return text;
  };
  const auto query = peat::Query::parse(line());
  report.input(query.has_value());
  if (!query) return 0;
  const auto again = peat::Query::parse(query->to_string());
  if (!again || again->to_string() != query->to_string()) std::abort();
  const auto id = line();
  if (query->matches(id, rest) != again->matches(id, rest)) std::abort();
  const auto fields = peat::query::read_fields(query->ast(), id, rest);
  const auto key = peat::query::order_key(query->ast(), fields);
  const auto other = peat::query::read_fields(again->ast(), id, rest);
  if (peat::query::order_key(again->ast(), other) != key) std::abort();
  return 0;
}
