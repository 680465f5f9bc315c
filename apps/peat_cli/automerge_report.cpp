#include "peat_cli/automerge_report.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <ctime>

#include "base/encoding.hpp"
#include "peat_cli/output.hpp"

namespace peat::cli {

namespace {

using automerge::ActorId;
using automerge::ChangeHash;
using automerge::ChangeInfo;
using automerge::inspect::ChunkInfo;
using automerge::inspect::ChunkKind;
using automerge::inspect::ColumnInfo;
using automerge::inspect::FileInfo;
using automerge::inspect::Id;
using automerge::inspect::Operation;
namespace json = boost::json;
using Rows = std::vector<std::vector<std::string>>;

constexpr std::size_t kValueWidth = 60;

std::string number(std::uint64_t n) { return fmt::format("{}", n); }

std::string id_text(const ChunkInfo& chunk, Id id, std::string_view zero, std::size_t digits) {
  if (id.counter == 0) return std::string(zero);
  const auto actor = id.actor < chunk.actors.size() ? chunk.actors[id.actor].to_string() : "?";
  return fmt::format("{}@{}", id.counter, actor.substr(0, digits));
}

// --- values ---------------------------------------------------------------------------------

struct ValueTable {
  std::string operator()(automerge::Null) const { return "null"; }
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(std::int64_t v) const { return fmt::format("int {}", v); }
  std::string operator()(std::uint64_t v) const { return fmt::format("uint {}", v); }
  std::string operator()(double v) const { return fmt::format("double {}", v); }
  std::string operator()(automerge::Counter v) const { return fmt::format("counter {}", v.value); }
  std::string operator()(automerge::Timestamp v) const { return fmt::format("timestamp {}", v.ms); }
  std::string operator()(std::string_view v) const {
    return json::serialize(json::value(json::string(shorten(v, kValueWidth))));
  }
  std::string operator()(ByteView v) const {
    return fmt::format("bytes {}", shorten(to_hex(v), kValueWidth));
  }
  std::string operator()(const automerge::UnknownValue& v) const {
    return fmt::format("type {} {}", v.type, shorten(to_hex(v.bytes), kValueWidth));
  }
};

struct ValueJson {
  static json::value typed(std::string_view type, json::value value) {
    return json::object{{"type", type}, {"value", std::move(value)}};
  }
  json::value operator()(automerge::Null) const { return typed("null", nullptr); }
  json::value operator()(bool v) const { return typed("boolean", v); }
  json::value operator()(std::int64_t v) const { return typed("int", v); }
  json::value operator()(std::uint64_t v) const { return typed("uint", v); }
  // Text, since JSON has no infinities and no NaN.
  json::value operator()(double v) const {
    return typed("double", json::string(fmt::format("{}", v)));
  }
  json::value operator()(automerge::Counter v) const { return typed("counter", v.value); }
  json::value operator()(automerge::Timestamp v) const { return typed("timestamp", v.ms); }
  json::value operator()(std::string_view v) const { return typed("text", json::string(v)); }
  json::value operator()(ByteView v) const { return typed("bytes", json::string(to_hex(v))); }
  json::value operator()(const automerge::UnknownValue& v) const {
    return json::object{{"type", v.type}, {"value", json::string(to_hex(v.bytes))}};
  }
};

// --- JSON -----------------------------------------------------------------------------------

template <class List>
json::array texts(const List& list) {
  json::array out;
  for (const auto& entry : list) out.emplace_back(entry.to_string());
  return out;
}

void add_fault(json::object& object, const std::optional<Error>& fault) {
  if (!fault) return;
  object["fault"] = {{"code", info(fault->code).name}, {"message", fault->message}};
}

json::array columns_json(const std::vector<ColumnInfo>& columns) {
  json::array out;
  for (const auto& column : columns) {
    json::object entry{{"spec", column.spec},
                       {"name", column.name},
                       {"encoding", column.encoding},
                       {"offset", column.offset},
                       {"stored_bytes", column.stored_bytes},
                       {"bytes", column.bytes},
                       {"deflated", column.deflated},
                       {"rows", column.rows},
                       {"records", column.records}};
    add_fault(entry, column.fault);
    out.push_back(std::move(entry));
  }
  return out;
}

json::object change_json(const ChangeInfo& change) {
  return {{"hash", change.hash.to_string()},
          {"actor", change.actor.to_string()},
          {"seq", change.seq},
          {"start_op", change.start_op},
          {"ops", change.op_count},
          {"time", change.time},
          {"message", change.message},
          {"deps", texts(change.deps)}};
}

json::object operation_json(const ChunkInfo& chunk, const Operation& op) {
  const auto id = [&](Id at, const char* zero) {
    return json::value(json::string(id_text(chunk, at, zero, std::string::npos)));
  };
  json::object out{{"id", id(op.id, "")}, {"object", id(op.object, "_root")}};
  if (op.key) {
    out["key"] = *op.key;
  } else {
    out[op.insert ? "after" : "element"] = id(op.element, "_head");
  }
  out["action"] = op.action;
  out["insert"] = op.insert;
  out["value"] = std::visit(ValueJson(), op.value);
  if (op.mark_name) out["mark_name"] = *op.mark_name;
  if (op.expand) out["expand"] = true;
  const bool document = chunk.kind == ChunkKind::document;
  json::array links;
  for (const auto link : document ? op.successors : op.predecessors) links.push_back(id(link, ""));
  out[document ? "successors" : "predecessors"] = std::move(links);
  return out;
}

bool is_one_change(const ChunkInfo& chunk) {
  return chunk.kind == ChunkKind::change || chunk.kind == ChunkKind::compressed_change;
}

json::object chunk_json(ByteView input, const ChunkInfo& chunk, const ReportOptions& options) {
  json::object out{{"offset", chunk.offset},         {"kind", automerge::inspect::name(chunk.kind)},
                   {"bytes", chunk.bytes},           {"data_bytes", chunk.data_bytes},
                   {"checksum", chunk.checksum},     {"checksum_good", chunk.checksum_good},
                   {"hash", chunk.hash.to_string()}, {"actors", texts(chunk.actors)}};
  if (chunk.kind == ChunkKind::document) out["heads"] = texts(chunk.heads);
  if (chunk.kind == ChunkKind::bundle) out["external_deps"] = texts(chunk.external_deps);
  if (!is_one_change(chunk)) out["change_columns"] = columns_json(chunk.change_columns);
  out["op_columns"] = columns_json(chunk.op_columns);
  out["rows"] = chunk.rows;
  if (is_one_change(chunk)) out["extra_bytes"] = chunk.extra_bytes;
  out["change_count"] = chunk.changes.size();
  if (options.changes || is_one_change(chunk)) {
    json::array changes;
    for (const auto& change : chunk.changes) changes.push_back(change_json(change));
    out["changes"] = std::move(changes);
  }
  if (options.operations) {
    json::array ops;
    const auto status = automerge::inspect::operations(input, chunk, [&](const Operation& op) {
      ops.push_back(operation_json(chunk, op));
      return true;
    });
    out["operations"] = std::move(ops);
    if (!status && !chunk.fault) add_fault(out, status.error());
  }
  add_fault(out, chunk.fault);
  return out;
}

// --- tables ---------------------------------------------------------------------------------

std::string columns_table(std::string_view title, const std::vector<ColumnInfo>& columns) {
  if (columns.empty()) return {};
  Rows rows{{"SPEC", "COLUMN", "ENCODING", "ROWS", "RECORDS", "BYTES", "STORED", "OFFSET", ""}};
  for (const auto& column : columns) {
    const bool counted = (column.spec & 7) != 7;
    rows.push_back({fmt::format("{:02x}", column.spec), std::string(column.name),
                    std::string(column.encoding), counted ? number(column.rows) : "-",
                    counted ? number(column.records) : "-", number(column.bytes),
                    number(column.stored_bytes) + (column.deflated ? " deflated" : ""),
                    number(column.offset), column.fault ? "! " + column.fault->message : ""});
  }
  return fmt::format("\n{}\n{}", title, format_table(rows));
}

std::string time_text(std::int64_t seconds) {
  if (seconds == 0) return "-";
  const std::time_t when = seconds;
  std::tm parts{};
  if (gmtime_r(&when, &parts) == nullptr) return number(static_cast<std::uint64_t>(seconds));
  char text[40];
  const auto size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text, size};
}

std::string changes_table(const std::vector<ChangeInfo>& changes) {
  Rows rows{{"CHANGE", "ACTOR", "SEQ", "FIRST OP", "OPS", "TIME", "DEPENDS ON", "MESSAGE"}};
  for (const auto& change : changes) {
    std::string deps;
    for (const auto& dep : change.deps) {
      deps += (deps.empty() ? "" : " ") + dep.to_string().substr(0, 10);
    }
    rows.push_back({change.hash.to_string(), change.actor.to_string().substr(0, 10),
                    number(change.seq), number(change.start_op), number(change.op_count),
                    time_text(change.time), deps.empty() ? "-" : deps,
                    shorten(change.message, kValueWidth)});
  }
  return '\n' + format_table(rows);
}

std::string operations_table(ByteView input, const ChunkInfo& chunk) {
  const bool document = chunk.kind == ChunkKind::document;
  Rows rows{{"OPERATION", "OBJECT", "KEY OR ELEMENT", "ACTION", "VALUE",
             document ? "REPLACED BY" : "REPLACES"}};
  const auto id = [&](Id at, std::string_view zero) { return id_text(chunk, at, zero, 10); };
  const auto status = automerge::inspect::operations(input, chunk, [&](const Operation& op) {
    std::string place = op.key ? json::serialize(json::value(json::string(*op.key)))
                               : (op.insert ? "after " : "") + id(op.element, "head");
    std::string action(op.action);
    if (op.mark_name) action += " " + std::string(*op.mark_name);
    if (op.expand) action += " (expands)";
    std::string links;
    for (const auto link : document ? op.successors : op.predecessors) {
      links += (links.empty() ? "" : " ") + id(link, "");
    }
    rows.push_back({id(op.id, ""), id(op.object, "root"), std::move(place), std::move(action),
                    std::visit(ValueTable(), op.value), std::move(links)});
    return true;
  });
  return '\n' + format_table(rows) + (status ? "" : "! " + status.error().message + '\n');
}

std::string chunks_table(const FileInfo& file) {
  Rows rows{{"CHUNK", "OFFSET", "KIND", "BYTES", "CHECKSUM", "CHANGES", "OPS", "HASH", ""}};
  for (std::size_t i = 0; i < file.chunks.size(); ++i) {
    const auto& chunk = file.chunks[i];
    rows.push_back(
        {number(i), number(chunk.offset), std::string(automerge::inspect::name(chunk.kind)),
         number(chunk.bytes), chunk.checksum + (chunk.checksum_good ? " good" : " WRONG"),
         number(chunk.changes.size()), number(chunk.rows), chunk.hash.to_string().substr(0, 16),
         chunk.fault ? "! " + chunk.fault->message : ""});
  }
  return '\n' + format_table(rows);
}

std::string document_table(const automerge::inspect::DocumentInfo& document) {
  std::string out;
  for (const auto& head : document.heads) out += fmt::format("head     {}\n", head.to_string());
  for (const auto& hash : document.missing) out += fmt::format("missing  {}\n", hash.to_string());
  Rows rows{{"ACTOR", "CHANGES", "OPS", "AUTHOR"}};
  for (const auto& actor : document.actors) {
    rows.push_back({actor.id.to_string(), number(actor.changes), number(actor.ops),
                    actor.author ? to_hex(*actor.author) : "-"});
  }
  return out + '\n' + format_table(rows);
}

}  // namespace

std::string value_text(const automerge::Scalar& value) { return std::visit(ValueTable(), value); }

json::value value_json(const automerge::Scalar& value) { return std::visit(ValueJson(), value); }

std::string report_table(std::string_view name, ByteView input, const FileInfo& file,
                         const ReportOptions& options) {
  std::string out = fmt::format("{}: {} bytes, {} chunks", name, file.bytes, file.chunks.size());
  if (file.document) {
    out += fmt::format(", {} changes, {} operations, greatest counter {}\n", file.document->changes,
                       file.document->ops, file.document->max_op);
    out += document_table(*file.document);
  } else {
    out += fmt::format("\n! {}\n", file.fault ? file.fault->message : "");
  }
  out += chunks_table(file);
  for (std::size_t i = 0; i < file.chunks.size(); ++i) {
    const auto& chunk = file.chunks[i];
    if (!is_one_change(chunk) || options.columns) {
      out += columns_table(fmt::format("chunk {}: change columns", i), chunk.change_columns);
      out += columns_table(fmt::format("chunk {}: operation columns", i), chunk.op_columns);
    }
    if (options.changes) out += changes_table(chunk.changes);
    if (options.operations) out += operations_table(input, chunk);
  }
  return out;
}

json::value report_json(std::string_view name, ByteView input, const FileInfo& file,
                        const ReportOptions& options) {
  json::object out{{"file", name}, {"bytes", file.bytes}};
  if (file.document) {
    const auto& document = *file.document;
    json::array actors;
    for (const auto& actor : document.actors) {
      json::object entry{
          {"id", actor.id.to_string()}, {"changes", actor.changes}, {"ops", actor.ops}};
      if (actor.author) entry["author"] = to_hex(*actor.author);
      actors.push_back(std::move(entry));
    }
    out["document"] = {{"heads", texts(document.heads)},
                       {"changes", document.changes},
                       {"ops", document.ops},
                       {"max_op", document.max_op},
                       {"actors", std::move(actors)},
                       {"missing", texts(document.missing)}};
  }
  add_fault(out, file.fault);
  json::array chunks;
  for (const auto& chunk : file.chunks) chunks.push_back(chunk_json(input, chunk, options));
  out["chunks"] = std::move(chunks);
  return out;
}

}  // namespace peat::cli
