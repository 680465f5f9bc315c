#include "peat_cli/commands_automerge.hpp"

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <unistd.h>

#include "peat/automerge/document.hpp"
#include "peat/automerge/inspect.hpp"
#include "peat_cli/automerge_diff.hpp"
#include "peat_cli/automerge_report.hpp"
#include "peat_cli/commands.hpp"

namespace peat::cli {

namespace {

using automerge::Document;
using automerge::ObjectId;
using automerge::ObjectRef;
using automerge::ObjectType;

struct Options {
  std::string file;
  std::vector<std::string> files;
  std::string output = "-";
  std::string path;
  std::string at = "now";
  std::string before;
  std::string after;
  ReportOptions report;
  bool json = false;
  bool raw = false;
  bool typed = false;
};

Error in_file(const std::string& file, const Error& error) {
  return {error.code, file + ": " + error.message};
}

Result<Document> load(const std::string& file) {
  PEAT_TRY(const auto content, read_input(file));
  auto document = Document::load(as_bytes(content));
  if (document) {
    if (const auto status = document->materialise(); !status) {
      return std::unexpected(in_file(file, status.error()));
    }
    return document;
  }
  return std::unexpected(in_file(file, document.error()));
}

// A reader of the old file keeps what it has open; a full disk leaves the old file.
Status write_file(const std::string& file, ByteView bytes) {
  if (file == "-") {
    if (isatty(STDOUT_FILENO) != 0) {
      return fail(Code::invalid_argument,
                  "a document is no text for a terminal: name a file with --out");
    }
    print(as_text(bytes));
    return {};
  }
  const auto fresh = fmt::format("{}.{}.tmp", file, getpid());
  std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(fresh, file, error);
  if (out && !error) return {};
  std::error_code ignored;
  std::filesystem::remove(fresh, ignored);
  return fail(Code::io_error,
              fmt::format("{}: cannot be written: {}", file,
                          error ? error.message() : std::generic_category().message(errno)));
}

int run_inspect(const Options& options, OutputMode mode) {
  const auto content = read_input(options.file);
  if (!content) return report(content.error());
  const auto input = as_bytes(*content);
  const auto file = automerge::inspect::read(input);
  if (!file) return report(in_file(options.file, file.error()));
  if (options.json || mode == OutputMode::json) {
    print_line(boost::json::serialize(report_json(options.file, input, *file, options.report)));
  } else {
    print(report_table(options.file, input, *file, options.report));
  }
  return file->fault ? info(file->fault->code).exit_code : 0;
}

// Every chunk is told, so that one look shows what can be saved of a damaged file.
int run_verify(const Options& options) {
  int exit_code = 0;
  for (const auto& name : options.files) {
    const auto content = read_input(name);
    if (!content) {
      exit_code = report(content.error());
      continue;
    }
    const auto file = automerge::inspect::read(as_bytes(*content));
    if (!file) {
      exit_code = report(in_file(name, file.error()));
      continue;
    }
    for (std::size_t i = 0; i < file->chunks.size(); ++i) {
      if (const auto& fault = file->chunks[i].fault) {
        report({fault->code, fmt::format("{}: chunk {}: {}", name, i, fault->message)});
      }
    }
    if (file->fault) {
      exit_code = report(in_file(name, *file->fault));
      continue;
    }
    print_line(fmt::format("{}: good: {} chunks, {} changes, {} operations", name,
                           file->chunks.size(), file->document->changes, file->document->ops));
  }
  return exit_code;
}

// Now is not applied again.
Result<Document> load_at(const std::string& file, const std::string& at) {
  PEAT_TRY(auto document, load(file));
  if (at == "now") return document;
  const auto heads = parse_heads(document, at);
  if (!heads) return std::unexpected(in_file(file, heads.error()));
  auto then = document.fork_at(*heads);
  if (!then) return std::unexpected(in_file(file, then.error()));
  return then;
}

int run_json(const Options& options) {
  const auto document = load_at(options.file, options.at);
  if (!document) return report(document.error());
  using automerge::JsonForm;
  const auto text = document->to_json(options.typed ? JsonForm::typed : JsonForm::plain);
  if (!text) return report(in_file(options.file, text.error()));
  print_line(*text);
  return 0;
}

int run_diff(const Options& options, OutputMode mode) {
  const auto document = load(options.file);
  if (!document) return report(document.error());
  const auto patches = [&]() -> Result<std::vector<automerge::Patch>> {
    PEAT_TRY(const auto before, parse_heads(*document, options.before));
    PEAT_TRY(const auto after, parse_heads(*document, options.after));
    return document->diff(before, after);
  }();
  if (!patches) return report(in_file(options.file, patches.error()));
  if (options.json || mode == OutputMode::json) {
    print_line(boost::json::serialize(patches_json(*patches)));
  } else {
    print(patches_text(*patches));
  }
  return 0;
}

int run_merge(const Options& options) {
  auto document = load(options.files.front());
  if (!document) return report(document.error());
  for (std::size_t i = 1; i < options.files.size(); ++i) {
    const auto other = load(options.files[i]);
    if (!other) return report(other.error());
    if (const auto merged = document->merge(*other); !merged) {
      return report(in_file(options.files[i], merged.error()));
    }
  }
  if (const auto status = document->materialise(); !status) return report(status.error());
  const auto bytes = document->save({.deflate = !options.raw});
  if (!bytes) return report(bytes.error());
  const auto written = write_file(options.output, *bytes);
  return written ? 0 : report(written.error());
}

// --- text -----------------------------------------------------------------------------------

std::string joined(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

// The texts of a document by path, in the order of its keys and elements.
Result<std::vector<std::pair<std::string, ObjectId>>> find_texts(const Document& document) {
  std::vector<std::pair<std::string, ObjectId>> texts;
  std::vector<std::pair<std::string, ObjectRef>> open{{"", {ObjectType::map, automerge::kRoot}}};
  while (!open.empty()) {
    const auto [path, object] = std::move(open.back());
    open.pop_back();
    if (object.type == ObjectType::text) {
      texts.emplace_back(path, object.id);
      continue;
    }
    std::vector<std::pair<std::string, ObjectRef>> inner;
    const auto look = [&](const std::optional<automerge::Value>& value, std::string_view name) {
      if (!value) return;
      if (const auto* held = std::get_if<ObjectRef>(&value->data)) {
        inner.emplace_back(joined(path, name), *held);
      }
    };
    if (object.type == ObjectType::list) {
      PEAT_TRY(const auto size, document.length(object.id));
      for (std::size_t i = 0; i < size; ++i) {
        PEAT_TRY(const auto value, document.get(object.id, i));
        look(value, std::to_string(i));
      }
    } else {
      PEAT_TRY(const auto keys, document.keys(object.id));
      for (const auto key : keys) {
        PEAT_TRY(const auto value, document.get(object.id, key));
        look(value, key);
      }
    }
    open.insert(open.end(), inner.rbegin(), inner.rend());
  }
  return texts;
}

int run_text(const Options& options) {
  const auto document = load(options.file);
  if (!document) return report(document.error());
  const auto texts = find_texts(*document);
  if (!texts) return report(in_file(options.file, texts.error()));
  const auto found = std::ranges::find_if(
      *texts, [&](const auto& text) { return options.path.empty() || text.first == options.path; });
  if (found == texts->end() || (options.path.empty() && texts->size() > 1)) {
    std::string paths;
    for (const auto& [path, id] : *texts) paths += "\n  " + path;
    const auto what = texts->empty()         ? std::string("no text in this document")
                      : options.path.empty() ? "several texts; name one of" + paths
                                             : "no text at " + options.path + "; there are" + paths;
    return report({Code::not_found, options.file + ": " + what});
  }
  const auto text = document->text(found->second);
  if (!text) return report(in_file(options.file, text.error()));
  print(*text);
  if (isatty(STDOUT_FILENO) != 0 && !text->ends_with('\n')) print("\n");
  return 0;
}

}  // namespace

void add_automerge_commands(CLI::App& app, int& exit_code, std::function<OutputMode()> mode) {
  auto* parent = app.add_subcommand("automerge",
                                    "Look into and combine Automerge files, whoever wrote them. No "
                                    "node is needed.");
  parent->require_subcommand(1);
  parent->fallthrough();
  parent->footer(
      "\nExamples:\n  peat automerge inspect notes.automerge\n"
      "  peat automerge merge mine.automerge theirs.automerge --out both.automerge\n");
  auto options = std::make_shared<Options>();
  const auto add = [&](const char* name, const char* help, const char* examples, auto run) {
    auto* command = parent->add_subcommand(name, help);
    command->footer(std::string("\nExamples:\n") + examples);
    command->fallthrough();
    command->callback([&exit_code, options, run] { exit_code = run(*options); });
    return command;
  };
  const auto one_file = [&](CLI::App* command) {
    command->add_option("file", options->file, "FILE, - for standard input")->required();
  };

  auto* inspect =
      add("inspect",
          "Show chunks, checksums, columns with their encodings and sizes, actors and "
          "heads. Faults are shown where they are; reading goes on behind them.",
          "  peat automerge inspect notes.automerge\n"
          "  peat automerge inspect notes.automerge --changes\n"
          "  peat automerge inspect notes.automerge --ops --json | jq .chunks[0].heads\n",
          [mode](const Options& o) { return run_inspect(o, mode()); });
  one_file(inspect);
  inspect->add_flag("--json", options->json, "JSON, also on a terminal.");
  inspect->add_flag("--columns", options->report.columns, "Also the columns of change chunks.");
  inspect->add_flag("--changes", options->report.changes, "List the changes.");
  inspect->add_flag("--ops", options->report.operations, "List every operation.");

  auto* verify =
      add("verify",
          "Prove checksums, structure and the hash of every change; exit code 4 and the "
          "faults if anything is wrong.",
          "  peat automerge verify *.automerge\n", [](const Options& o) { return run_verify(o); });
  verify->add_option("files", options->files, "FILE…")->required();

  auto* json = add("json", "Print the document as JSON.",
                   "  peat automerge json notes.automerge | jq .title\n"
                   "  peat automerge json notes.automerge --at 7263,90fa\n",
                   [](const Options& o) { return run_json(o); });
  one_file(json);
  json->add_flag("--typed", options->typed,
                 "Show types that JSON lacks as {\"$counter\": 4} and the like.");
  json->add_option("--at", options->at,
                   "HEADS: as it was after these changes and all before them; hashes or how they "
                   "begin, joined by commas; 'now', or 'none' for the empty document. [now]");

  auto* diff = add("diff",
                   "Show what changed from one state of the document to another, in any "
                   "direction; positions in texts count code points.",
                   "  peat automerge diff 7263 now notes.automerge\n"
                   "  peat automerge diff none 7263,90fa notes.automerge --json | jq .[].path\n",
                   [mode](const Options& o) { return run_diff(o, mode()); });
  diff->add_option("before", options->before, "HEADS as of json --at")->required();
  diff->add_option("after", options->after, "HEADS as of json --at")->required();
  one_file(diff);
  diff->add_flag("--json", options->json, "JSON, also on a terminal.");

  auto* merge = add("merge", "Merge files that share a history, or do not, into one.",
                    "  peat automerge merge mine.automerge theirs.automerge --out both.automerge\n",
                    [](const Options& o) { return run_merge(o); });
  merge->add_option("files", options->files, "FILE…")->required();
  merge->add_option("--out,-o", options->output, "FILE to write, - for standard output. [-]");
  merge->add_flag("--raw", options->raw, "Do not deflate columns.");

  auto* text = add("text", "Print one text of the document.",
                   "  peat automerge text notes.automerge\n"
                   "  peat automerge text notes.automerge chapters.0.body\n",
                   [](const Options& o) { return run_text(o); });
  one_file(text);
  text->add_option("path", options->path,
                   "Keys and indexes joined by dots; needed if the document "
                   "holds several texts.");
}

}  // namespace peat::cli
