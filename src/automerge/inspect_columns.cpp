// Names of columns, and how many rows their bytes hold.
#include <array>
#include <utility>

#include "automerge/columns.hpp"
#include "automerge/inspect_layout.hpp"

namespace peat::automerge::inspect {

namespace {

using Names = std::pair<std::uint32_t, std::string_view>;

constexpr std::array kOpNames{
    Names{0x01, "object actor"}, Names{0x02, "object counter"}, Names{0x03, "object counter"},
    Names{0x11, "key actor"},    Names{0x13, "key counter"},    Names{0x15, "key text"},
    Names{0x21, "id actor"},     Names{0x23, "id counter"},     Names{0x34, "insert"},
    Names{0x42, "action"},       Names{0x56, "value type"},     Names{0x57, "value"},
    Names{0x94, "mark expand"},  Names{0xa5, "mark name"}};
constexpr std::array kPredecessorNames{Names{0x70, "predecessor count"},
                                       Names{0x71, "predecessor actor"},
                                       Names{0x73, "predecessor counter"}};
constexpr std::array kSuccessorNames{Names{0x80, "successor count"}, Names{0x81, "successor actor"},
                                     Names{0x83, "successor counter"}};
constexpr std::array kBundleOnlyNames{Names{0xb3, "place of operation"}};
constexpr std::array kDocumentChangeNames{
    Names{0x01, "actor"},   Names{0x03, "sequence number"},  Names{0x13, "greatest operation"},
    Names{0x23, "time"},    Names{0x35, "message"},          Names{0x40, "dependency count"},
    Names{0x43, "depends"}, Names{0x56, "extra bytes type"}, Names{0x57, "extra bytes"}};
constexpr std::array kBundleChangeNames{Names{0x01, "actor"},
                                        Names{0x03, "sequence number"},
                                        Names{0x13, "first operation"},
                                        Names{0x23, "greatest operation"},
                                        Names{0x33, "time"},
                                        Names{0x45, "message"},
                                        Names{0x50, "dependency count"},
                                        Names{0x53, "depends"},
                                        Names{0x60, "extra bytes count"},
                                        Names{0x67, "extra bytes"}};

template <std::size_t N>
std::string_view find(const std::array<Names, N>& names, std::uint32_t spec) {
  for (const auto& [known, name] : names) {
    if (known == spec) return name;
  }
  return {};
}

template <class Value>
std::uint64_t skip_values(Input& in, std::uint64_t n) {
  for (std::uint64_t i = 0; i < n && !in.failed(); ++i) Value::get(in);
  return n;
}

template <class Value>
void count_rle(Input& in, ColumnInfo& column) {
  while (!in.done()) {
    ++column.records;
    const auto n = in.sleb();
    if (n > 0) {
      Value::get(in);
      column.rows += static_cast<std::uint64_t>(n);
    } else if (n == 0) {
      column.rows += in.uleb();
    } else {
      column.rows += skip_values<Value>(in, ~static_cast<std::uint64_t>(n) + 1);
    }
  }
}

void count_booleans(Input& in, ColumnInfo& column) {
  while (!in.done()) {
    ++column.records;
    column.rows += in.uleb();
  }
}

}  // namespace

std::string_view column_name(TableKind table, std::uint32_t spec) {
  std::string_view name;
  if (table == TableKind::document_changes) {
    name = find(kDocumentChangeNames, spec);
  } else if (table == TableKind::bundle_changes) {
    name = find(kBundleChangeNames, spec);
  } else {
    const bool bundle = table == TableKind::bundle_ops;
    const bool change = table == TableKind::change_ops;
    // 02 and 03 share a name but not a table, and changes store no ids.
    const bool elsewhere = spec == (bundle ? 0x02 : 0x03) || (change && (spec >> 4) == 2);
    if (!elsewhere) name = find(kOpNames, spec);
    if (name.empty()) {
      name = table == TableKind::document_ops ? find(kSuccessorNames, spec)
                                              : find(kPredecessorNames, spec);
    }
    if (name.empty() && bundle) name = find(kBundleOnlyNames, spec);
  }
  return name.empty() ? "unknown" : name;
}

void measure_column(ColumnInfo& column, ByteView bytes, std::size_t offset) {
  static constexpr std::array<std::string_view, 8> kEncodings{
      "rle group", "rle actor", "rle integer",  "delta",
      "boolean",   "rle text",  "rle metadata", "bytes"};
  column.encoding = kEncodings[column.spec & 7];
  Input in(bytes, offset);
  switch (column.spec & 7) {
    case 3:
      count_rle<SlebValue>(in, column);
      break;
    case 4:
      count_booleans(in, column);
      break;
    case 5:
      count_rle<TextValue>(in, column);
      break;
    case 7:
      break;
    default:
      count_rle<UlebValue>(in, column);
  }
  if (in.failed()) {
    column.fault =
        in.error("column " + hex_spec(column.spec) + " (" + std::string(column.name) + ")").error();
  }
}

}  // namespace peat::automerge::inspect
