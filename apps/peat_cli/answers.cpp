#include "peat_cli/answers.hpp"

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <array>
#include <ctime>

namespace peat::cli {

std::string text_of(const boost::json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || value->is_null()) return "-";
  if (value->is_string()) return std::string(std::string_view(value->get_string()));
  return boost::json::serialize(*value);
}

std::uint64_t number_of(const boost::json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<std::uint64_t>() : 0;
}

std::string local_time(std::int64_t seconds) {
  const std::time_t when = seconds;
  std::tm parts{};
  localtime_r(&when, &parts);
  std::array<char, 32> text{};
  const auto size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts);
  return {text.data(), size};
}

std::vector<std::pair<std::string, std::string>> condition(const std::string& if_match,
                                                           bool if_absent) {
  std::vector<std::pair<std::string, std::string>> headers;
  if (!if_match.empty()) {
    const bool bare = if_match != "*" && if_match.front() != '"';
    headers.emplace_back("If-Match", bare ? '"' + if_match + '"' : if_match);
  }
  if (if_absent) headers.emplace_back("If-None-Match", "*");
  return headers;
}

int send_write(const Session& session, const HttpRequest& request) {
  auto client = session.client();
  if (!client) return report(client.error());
  const auto response =
      checked(client->send(request, std::chrono::seconds(session.timeout_seconds)));
  return show(response, [&](const boost::json::object& answer) {
    if (session.mode == OutputMode::json) return print_line(response->body);
    const auto* changed = answer.if_contains("changed");
    const bool deleted = answer.contains("deleted");
    const bool created = answer.contains("created") && answer.at("created") == true;
    print_line(fmt::format("{}/{} {}", text_of(answer, "collection"), text_of(answer, "id"),
                           deleted                                  ? "deleted"
                           : created                                ? "created"
                           : changed != nullptr && *changed == true ? "changed"
                                                                    : "unchanged"));
    const auto* held = answer.if_contains("held_by");
    if (held == nullptr) return;
    for (const auto& peer : held->get_array()) {
      print_line(fmt::format("held by {}", std::string_view(peer.get_string())));
    }
  });
}

}  // namespace peat::cli
