// An Automerge file as a person or a program reads it.
#pragma once

#include <boost/json/value.hpp>

#include <string>
#include <string_view>

#include "peat/automerge/inspect.hpp"

namespace peat::cli {

struct ReportOptions {
  bool columns = false;     // tables: also of change chunks; JSON always has them
  bool changes = false;     // list the changes of documents and bundles
  bool operations = false;  // list the operations
};

// A value with its type, short enough for a line; as {"type", "value"}.
std::string value_text(const automerge::Scalar& value);
boost::json::value value_json(const automerge::Scalar& value);

// `input` is what `file` was read from.
std::string report_table(std::string_view name, ByteView input,
                         const automerge::inspect::FileInfo& file, const ReportOptions& options);
boost::json::value report_json(std::string_view name, ByteView input,
                               const automerge::inspect::FileInfo& file,
                               const ReportOptions& options);

}  // namespace peat::cli
