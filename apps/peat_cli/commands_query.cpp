#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "broker/http.hpp"
#include "peat/query.hpp"
#include "peat_cli/answers.hpp"

namespace peat::cli {

namespace {

constexpr std::size_t kDocumentWidth = 100;

std::string table_of(const boost::json::object& answer) {
  std::vector<std::vector<std::string>> rows;
  if (const auto* ids = answer.if_contains("ids")) {
    rows.push_back({"ID"});
    for (const auto& id : ids->get_array()) rows.push_back({std::string(id.get_string())});
    return format_table(rows);
  }
  rows.push_back({"ID", "DOCUMENT"});
  for (const auto& value : answer.at("documents").get_array()) {
    auto document = value.get_object();
    auto id = text_of(document, "_id");
    document.stable_erase("_id");
    rows.push_back({std::move(id), shorten(boost::json::serialize(document), kDocumentWidth)});
  }
  return format_table(rows);
}

std::string describe_line(const boost::json::object& line) {
  const auto type = text_of(line, "type");
  if (type == "reset") return "          (everything anew)";
  if (type == "complete") return "          (complete)";
  if (type == "error") return fmt::format("          {}", text_of(line, "error"));
  if (type == "leave") return fmt::format("{:<8}  {}", type, text_of(line, "id"));
  auto document = line.at("document").as_object();
  const auto id = text_of(document, "_id");
  document.stable_erase("_id");
  return fmt::format("{:<8}  {}  {}", type, id,
                     shorten(boost::json::serialize(document), kDocumentWidth));
}

}  // namespace

int run_live_query(const Session& session, const WatchOptions& options) {
  if (const auto query = Query::parse(options.query); !query) return report(query.error());
  auto client = session.client();
  if (!client) return report(client.error());
  auto target = "/api/v1/query?live=1&q=" + broker::percent_encode(options.query);
  if (!options.resume.empty()) target += "&resume=" + broker::percent_encode(options.resume);
  std::uint32_t seen = 0;
  const auto end = checked(client->follow(target, [&](std::string_view line) {
    const auto object = parse_json_object(line);
    print_line(session.mode == OutputMode::json || !object ? std::string(line)
                                                           : describe_line(*object));
    return options.count == 0 || ++seen < options.count;
  }));
  if (!end) return report(end.error());
  if (options.count != 0 && seen >= options.count) return 0;
  return report({Code::unavailable, "the node ended the stream"});
}

int run_query(const Session& session, const QueryOptions& options) {
  // What is wrong with a text is said here, without a node.
  if (const auto query = Query::parse(options.text); !query) return report(query.error());
  auto client = session.client();
  if (!client) return report(client.error());
  auto target = "/api/v1/query?q=" + broker::percent_encode(options.text);
  if (!options.page.empty()) target += "&page=" + broker::percent_encode(options.page);
  if (options.ids) target += "&show=ids";
  const auto response =
      checked(client->send({.target = target}, std::chrono::seconds(session.timeout_seconds)));
  if (!response) return report(response.error());
  const auto answer = parse_json_object(response->body);
  if (!answer) return report(answer.error());
  if (session.mode == OutputMode::json) {
    print_line(response->body);
  } else {
    print(table_of(*answer));
    const auto next = answer->contains("next") ? text_of(*answer, "next") : std::string();
    print_line(fmt::format("{} documents, {} looked at{}", text_of(*answer, "count"),
                           text_of(*answer, "examined"),
                           next.empty() ? "" : "; more with --page " + next));
  }
  return answer->contains("error") ? report({Code::io_error, text_of(*answer, "error")}) : 0;
}

}  // namespace peat::cli
