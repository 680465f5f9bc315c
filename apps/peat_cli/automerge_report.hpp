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

// `input` is what `file` was read from.
std::string report_table(std::string_view name, ByteView input,
                         const automerge::inspect::FileInfo& file, const ReportOptions& options);
boost::json::value report_json(std::string_view name, ByteView input,
                               const automerge::inspect::FileInfo& file,
                               const ReportOptions& options);

}  // namespace peat::cli
