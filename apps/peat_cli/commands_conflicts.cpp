// Conflicts: what lost to what a document shows, and settling it.
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "peat_cli/answers.hpp"
#include "peat_cli/commands.hpp"
#include "peat_cli/paths.hpp"

namespace peat::cli {

namespace {

constexpr std::size_t kValueWidth = 60;
constexpr std::size_t kActorWidth = 10;

// What stands at a path; null if nothing does.
const boost::json::value* find(const boost::json::value& document, const boost::json::array& path) {
  const auto* at = &document;
  for (const auto& step : path) {
    if (step.is_string() && at->is_object()) {
      at = at->get_object().if_contains(step.get_string());
    } else if (step.is_number() && at->is_array()) {
      at = at->get_array().if_contains(step.to_number<std::size_t>());
    } else {
      return nullptr;
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::vector<std::string> row(std::string path, const boost::json::value* value,
                             const boost::json::object& made, bool wins) {
  return {std::move(path),
          value == nullptr ? "-" : shorten(boost::json::serialize(*value), kValueWidth),
          wins ? "shown" : "lost", text_of(made, "actor").substr(0, kActorWidth),
          local_time(made.at("time").to_number<std::int64_t>())};
}

}  // namespace

int run_get_conflicts(const Session& session, const GetOptions& options) {
  const auto name = DocumentName::parse(options.name);
  if (!name) return report(name.error());
  auto client = session.client();
  if (!client) return report(client.error());
  const auto target = name->target() + "?conflicts=1" + (options.deleted ? "&deleted=1" : "");
  const auto response = checked(client->send({.target = target}));
  return show(response, [&](const boost::json::object& answer) {
    if (session.mode == OutputMode::json) return print_line(response->body);
    const auto& conflicts = answer.at("conflicts").get_array();
    if (conflicts.empty())
      return print_line(fmt::format("{}: nothing is in conflict", options.name));
    std::vector<std::vector<std::string>> rows{{"PATH", "VALUE", "", "ACTOR", "TIME"}};
    for (const auto& item : conflicts) {
      const auto& conflict = item.get_object();
      const auto& path = conflict.at("path").get_array();
      rows.push_back(row(format_path(path), find(answer.at("document"), path),
                         conflict.at("winner").get_object(), true));
      for (const auto& other : conflict.at("others").get_array()) {
        const auto& made = other.get_object();
        rows.push_back(row("", made.if_contains("value"), made, false));
      }
    }
    print(format_table(rows));
    print_line(fmt::format("settle with: peat update {} --resolve PATH=VALUE", options.name));
  });
}

int run_resolve(const Session& session, const UpdateOptions& options) {
  const auto name = DocumentName::parse(options.name);
  if (!name) return report(name.error());
  if (!options.set.empty() || !options.unset.empty()) {
    return report({Code::invalid_argument, "--resolve goes without --set and --unset"});
  }
  std::string body;
  for (const auto& text : options.resolve) {
    const auto settled = parse_assignment("--resolve", text);
    if (!settled) return report(settled.error());
    const boost::json::array path(settled->path.begin(), settled->path.end());
    body += fmt::format(R"({}{{"path":{},"value":{}}})", body.empty() ? "[" : ",",
                        boost::json::serialize(path), settled->json);
  }
  body += ']';
  return send_write(session, {"PATCH", name->target() + "?conflicts=1", "application/json",
                              std::move(body), condition(options.if_match, false)});
}

}  // namespace peat::cli
