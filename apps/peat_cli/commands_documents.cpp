#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <fstream>
#include <iostream>
#include <iterator>

#include "broker/http.hpp"
#include "peat_cli/answers.hpp"
#include "peat_cli/commands.hpp"
#include "peat_cli/paths.hpp"

namespace peat::cli {

namespace {

constexpr std::size_t kDocumentWidth = 100;

void print_history(const Session& session, const boost::json::object& answer) {
  if (session.mode == OutputMode::json) return print_line(boost::json::serialize(answer));
  std::vector<std::vector<std::string>> rows{{"CHANGE", "ACTOR", "SEQ", "OPS", "TIME", "MESSAGE"}};
  for (const auto& value : answer.at("changes").get_array()) {
    const auto& change = value.get_object();
    rows.push_back({text_of(change, "hash").substr(0, 10), text_of(change, "actor").substr(0, 10),
                    text_of(change, "seq"), text_of(change, "ops"),
                    local_time(change.at("time").to_number<std::int64_t>()),
                    text_of(change, "message")});
  }
  print(format_table(rows));
}

// Puts `value` at a path, making the objects on the way.
void put_at(boost::json::object& root, const std::vector<std::string>& path,
            boost::json::value value) {
  auto* object = &root;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    auto& next = (*object)[path[i]];
    if (!next.is_object()) next = boost::json::object();
    object = &next.get_object();
  }
  (*object)[path.back()] = std::move(value);
}

std::string describe_event(const boost::json::object& event) {
  const auto type = text_of(event, "type");
  if (type == "SyncEvent") {
    const auto origin = text_of(event, "origin");
    return fmt::format("{:>8}  {:<7} {}/{}{}", text_of(event, "seq"), text_of(event, "action"),
                       text_of(event, "collection"), text_of(event, "doc_id"),
                       origin == "local" ? "" : "  from " + origin.substr(0, 10));
  }
  if (type == "gap") return "          (earlier changes are told once per document)";
  return fmt::format("          {} {}{}", type, text_of(event, "peer_id").substr(0, 10),
                     event.contains("reason") ? ": " + text_of(event, "reason") : "");
}

}  // namespace

Result<DocumentName> DocumentName::parse(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size()) {
    return fail(Code::invalid_argument, fmt::format("'{}' is not COLLECTION/ID", text));
  }
  return DocumentName{text.substr(0, slash), text.substr(slash + 1)};
}

std::string collection_target(const std::string& collection) {
  return "/api/v1/documents/" + broker::percent_encode(collection);
}

std::string DocumentName::target() const {
  return collection_target(collection) + '/' + broker::percent_encode(id);
}

Result<std::string> read_input(const std::string& file) {
  if (file == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream input(file, std::ios::binary);
  if (!input) {
    return fail(Code::invalid_argument, fmt::format("{}: cannot be read: {}", file,
                                                    std::generic_category().message(errno)));
  }
  return std::string(std::istreambuf_iterator<char>(input), {});
}

int run_get(const Session& session, const GetOptions& options) {
  if (options.conflicts) return run_get_conflicts(session, options);
  const auto name = DocumentName::parse(options.name);
  if (!name) return report(name.error());
  auto client = session.client();
  if (!client) return report(client.error());
  auto target = name->target();
  if (options.heads) {
    target += "/heads";
  } else if (options.history) {
    target += "?history=1";
  } else if (options.deleted) {
    target += "?deleted=1";
  }
  const auto response = checked(client->send({.target = target}));
  return show(response, [&](const boost::json::object& answer) {
    if (options.history) return print_history(session, answer);
    const auto& wanted = answer.at(options.heads ? "heads" : "document");
    print_line(session.mode == OutputMode::json ? boost::json::serialize(wanted)
                                                : format_json(wanted));
  });
}

int run_put(const Session& session, const PutOptions& options) {
  const auto name = DocumentName::parse(options.name);
  if (!name) return report(name.error());
  if (options.json.empty() == options.from.empty()) {
    return report({Code::invalid_argument, "give the document as an argument or by --from FILE"});
  }
  auto json = options.json;
  if (!options.from.empty()) {
    auto content = read_input(options.from);
    if (!content) return report(content.error());
    json = std::move(*content);
  }
  auto target = name->target();
  auto patient = session;
  if (!options.wait.empty()) {
    patient.timeout_seconds += options.wait_seconds;
    target += fmt::format("?wait={}&deadline_ms={}", broker::percent_encode(options.wait),
                          std::uint64_t{options.wait_seconds} * 1000);
  }
  return send_write(patient, {"PUT", target, "application/json", std::move(json),
                              condition(options.if_match, options.if_absent)});
}

Result<std::string> merge_patch(const std::vector<std::string>& set,
                                const std::vector<std::string>& unset) {
  boost::json::object patch;
  for (const auto& text : set) {
    PEAT_TRY(const auto assignment, parse_assignment("--set", text));
    PEAT_TRY(auto value, parse_json(assignment.json));
    put_at(patch, assignment.path, std::move(value));
  }
  for (const auto& text : unset) {
    PEAT_TRY(const auto path, parse_path(text));
    put_at(patch, path, nullptr);
  }
  if (patch.empty())
    return fail(Code::invalid_argument, "nothing to change: give --set, --unset or --resolve");
  return boost::json::serialize(patch);
}

int run_update(const Session& session, const UpdateOptions& options) {
  if (!options.resolve.empty()) return run_resolve(session, options);
  const auto name = DocumentName::parse(options.name);
  if (!name) return report(name.error());
  auto patch = merge_patch(options.set, options.unset);
  if (!patch) return report(patch.error());
  return send_write(session, {"PATCH", name->target(), "application/merge-patch+json",
                              std::move(*patch), condition(options.if_match, false)});
}

int run_delete(const Session& session, const DeleteOptions& options) {
  const auto name = DocumentName::parse(options.name);
  if (!name) return report(name.error());
  return send_write(session,
                    {"DELETE", name->target(), {}, {}, condition(options.if_match, false)});
}

int run_list(const Session& session, const ListOptions& options) {
  auto client = session.client();
  if (!client) return report(client.error());
  if (options.collection.empty()) {
    const auto response = checked(client->send({.target = "/api/v1/documents"}));
    return show(response, [&](const boost::json::object& answer) {
      if (session.mode == OutputMode::json) return print_line(response->body);
      std::vector<std::vector<std::string>> rows{{"COLLECTION", "DOCUMENTS"}};
      for (const auto& value : answer.at("collections").get_array()) {
        const auto& row = value.get_object();
        rows.push_back({text_of(row, "collection"), text_of(row, "documents")});
      }
      print(format_table(rows));
    });
  }
  auto target = fmt::format("{}?limit={}", collection_target(options.collection), options.limit);
  if (!options.after.empty()) target += "&after=" + broker::percent_encode(options.after);
  if (!options.prefix.empty()) target += "&prefix=" + broker::percent_encode(options.prefix);
  if (options.deleted) target += "&deleted=1";
  if (options.heads) target += "&heads=1";
  const auto response = checked(client->send({.target = target}));
  return show(response, [&](const boost::json::object& answer) {
    if (session.mode == OutputMode::json) return print_line(response->body);
    std::vector<std::vector<std::string>> rows{{"ID", "DOCUMENT"}};
    for (const auto& value : answer.at("documents").get_array()) {
      auto document = value.get_object();
      auto id = text_of(document, "_id");
      document.stable_erase("_id");
      rows.push_back({std::move(id), shorten(boost::json::serialize(document), kDocumentWidth)});
    }
    print(format_table(rows));
    print_line(fmt::format(
        "{} of {} documents{}", text_of(answer, "count"), text_of(answer, "total"),
        answer.contains("next") ? "; more with --after '" + text_of(answer, "next") + "'" : ""));
  });
}

int run_watch(const Session& session, const WatchOptions& options) {
  if (!options.query.empty()) return run_live_query(session, options);
  auto client = session.client();
  if (!client) return report(client.error());
  std::string target = "/api/v1/events?";
  if (options.after) target += fmt::format("after={}&", *options.after);
  target += "collection=" + broker::percent_encode(options.collection) +
            "&prefix=" + broker::percent_encode(options.prefix);
  std::uint32_t seen = 0;
  const auto end = checked(client->follow(target, [&](std::string_view line) {
    if (session.mode == OutputMode::json) {
      print_line(line);
    } else {
      const auto event = parse_json_object(line);
      if (event) print_line(describe_event(*event));
    }
    return options.count == 0 || ++seen < options.count;
  }));
  if (!end) return report(end.error());
  if (options.count != 0 && seen >= options.count) return 0;
  return report({Code::unavailable, "the node ended the stream"});
}

}  // namespace peat::cli
