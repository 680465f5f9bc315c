#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <span>

#include "broker/http.hpp"
#include "peat_cli/commands.hpp"
#include "peat_cli/json.hpp"
#include "peat_cli/records.hpp"

namespace peat::cli {

namespace {

// One request's worth: large enough to share commits, small enough to show progress.
constexpr std::size_t kBatchBytes = 1U << 20;
constexpr std::size_t kBatchRecords = 1000;
constexpr std::uint32_t kExportPage = 1000;
constexpr std::size_t kShownProblems = 20;

struct Counts {
  std::size_t created = 0;
  std::size_t changed = 0;
  std::size_t unchanged = 0;
  std::size_t failed = 0;
  std::size_t skipped = 0;
};

void show_problem(const std::string& file, std::size_t line, std::string_view problem,
                  std::size_t& shown) {
  if (++shown <= kShownProblems) fmt::print(stderr, "{}:{}: {}\n", file, line, problem);
}

// Reads the result lines of one batch. `records` are the ones sent, in order.
void count_results(const std::string& body, std::span<const ImportRecord> records,
                   const std::string& file, Counts& counts, std::size_t& shown) {
  std::string_view rest = body;
  std::size_t answered = 0;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const auto result = parse_json_object(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!result) continue;
    ++answered;
    const auto status = result->at("status").to_number<int>();
    if (status == 201) {
      ++counts.created;
    } else if (status < 300) {
      ++(result->at("changed") == true ? counts.changed : counts.unchanged);
    } else {
      ++counts.failed;
      const auto line = result->at("line").to_number<std::size_t>();
      show_problem(file, line <= records.size() ? records[line - 1].line : 0,
                   std::string_view(result->at("error").get_string()), shown);
    }
  }
  counts.failed += records.size() - std::min(answered, records.size());
}

// Everything wrong with the records; true if the import may go on.
bool judge_records(const Records& records, const ImportOptions& options, std::size_t& shown) {
  for (const auto& bad : records.bad) show_problem(options.file, bad.line, bad.problem, shown);
  if (shown > kShownProblems) {
    fmt::print(stderr, "… and {} more\n", shown - kShownProblems);
    shown = kShownProblems;
  }
  return records.bad.empty() || options.skip_bad;
}

std::size_t batch_end(std::span<const ImportRecord> records, std::size_t begin) {
  std::size_t bytes = 0;
  auto end = begin;
  while (end < records.size() && end - begin < kBatchRecords && bytes < kBatchBytes) {
    bytes += records[end].json.size();
    ++end;
  }
  return end;
}

}  // namespace

int run_import(const Session& session, const ImportOptions& options) {
  const auto text = read_input(options.file);
  if (!text) return report(text.error());
  const auto format = options.file.ends_with(".ndjson") || options.file.ends_with(".jsonl")
                          ? RecordFormat::lines
                          : RecordFormat::detect;
  const auto records = read_records(*text, options.key, format);
  if (!records) {
    return report({records.error().code, options.file + ": " + records.error().message});
  }
  std::size_t shown = 0;
  if (!judge_records(*records, options, shown)) {
    return report({Code::invalid_argument,
                   fmt::format("{} of {} records are unusable; nothing was written (--skip-bad "
                               "imports the others)",
                               records->bad.size(), records->bad.size() + records->good.size())});
  }
  auto client = session.client();
  if (!client) return report(client.error());

  Counts counts;
  counts.skipped = records->bad.size();
  const auto target =
      collection_target(options.collection) + "?key=" + broker::percent_encode(options.key);
  const ProgressBar bar(records->good.size(), error_output_is_terminal());
  bar.show(0);
  for (std::size_t begin = 0; begin < records->good.size();) {
    const auto end = batch_end(records->good, begin);
    const auto batch = std::span(records->good).subspan(begin, end - begin);
    std::string body;
    for (const auto& record : batch) body += record.json + '\n';
    const auto response =
        checked(client->send({"POST", target, "application/x-ndjson", std::move(body), {}}));
    if (!response) {
      bar.finish();
      return report({response.error().code,
                     fmt::format("{} ({} of {} records were written before)",
                                 response.error().message, begin, records->good.size())});
    }
    count_results(response->body, batch, options.file, counts, shown);
    begin = end;
    bar.show(begin);
  }
  bar.finish();
  if (session.mode == OutputMode::json) {
    print_line(boost::json::serialize(boost::json::object{{"collection", options.collection},
                                                          {"created", counts.created},
                                                          {"changed", counts.changed},
                                                          {"unchanged", counts.unchanged},
                                                          {"failed", counts.failed},
                                                          {"skipped", counts.skipped}}));
  } else {
    print_line(fmt::format("{}: {} created, {} changed, {} unchanged, {} failed, {} skipped",
                           options.collection, counts.created, counts.changed, counts.unchanged,
                           counts.failed, counts.skipped));
  }
  return counts.failed == 0 ? 0 : info(Code::invalid_argument).exit_code;
}

int run_export(const Session& session, const ExportOptions& options) {
  auto client = session.client();
  if (!client) return report(client.error());
  const bool to_file = !options.file.empty() && options.file != "-";
  std::ofstream file;
  if (to_file) {
    file.open(options.file, std::ios::binary | std::ios::trunc);
    if (!file) {
      return report({Code::invalid_argument, fmt::format("{}: cannot be written: {}", options.file,
                                                         std::generic_category().message(errno))});
    }
  }
  std::optional<std::string> after;
  std::size_t written = 0;
  while (true) {
    auto target = fmt::format("{}?limit={}", collection_target(options.collection), kExportPage);
    if (after) target += "&after=" + broker::percent_encode(*after);
    const auto response = checked(client->send({.target = target}));
    if (!response) return report(response.error());
    const auto page = parse_json_object(response->body);
    const auto* documents = page ? page->if_contains("documents") : nullptr;
    if (documents == nullptr || !documents->is_array()) {
      return report(
          {Code::malformed, fmt::format("{} answered something that is no listing{}", client->api(),
                                        page ? "" : ": " + page.error().message)});
    }
    for (const auto& document : documents->get_array()) {
      const auto line = boost::json::serialize(document) + '\n';
      ++written;
      if (to_file) {
        file << line;
      } else {
        print(line);
      }
    }
    const auto* next = page->if_contains("next");
    if (next == nullptr) break;
    after = std::string_view(next->get_string());
  }
  if (!to_file) return 0;
  file.close();
  if (!file) return report({Code::io_error, fmt::format("{}: the disk refused", options.file)});
  if (session.mode == OutputMode::table) {
    print_line(fmt::format("{} documents written to {}", written, options.file));
  }
  return 0;
}

}  // namespace peat::cli
