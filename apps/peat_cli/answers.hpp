// Showing what a node answered.
#pragma once

#include <boost/json/object.hpp>

#include <string>

#include "peat_cli/commands.hpp"
#include "peat_cli/json.hpp"

namespace peat::cli {

// A member as text for a table; "-" if there is none.
std::string text_of(const boost::json::object& object, const char* name);
std::uint64_t number_of(const boost::json::object& object, const char* name);  // 0: there is none
std::string local_time(std::int64_t seconds);

// Hands the answer, a JSON object, to `table`.
template <class Table>
int show(const Result<HttpResponse>& response, Table table) {
  if (!response) return report(response.error());
  const auto object = parse_json_object(response->body);
  if (!object) return report({Code::malformed, "the server answered " + object.error().message});
  table(*object);
  return 0;
}

// Headers of a conditional write.
std::vector<std::pair<std::string, std::string>> condition(const std::string& if_match,
                                                           bool if_absent);
// Sends a write and says what it did.
int send_write(const Session& session, const HttpRequest& request);

}  // namespace peat::cli
