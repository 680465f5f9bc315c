// Column decoders against a naive twin that knows the grammar of columns.hpp and nothing of how
// they are read. An input is the coding (0 integers, 1 deltas, 2 texts, 3 booleans), how to read
// (bit i: record i by runs instead of by rows), then the column.
//
// The twin reads records without judging them and writes the rows again: a column is the one that
// belongs to its rows, or it must be refused. It counts equal rows instead of storing them, so that
// a record may claim all rows in the world here too.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "../report.hpp"
#include "automerge/columns.hpp"
#include "demand.hpp"

using namespace peat;
using namespace peat::automerge;

namespace {

template <class Row>
struct Run {
  std::optional<Row> row;  // none: null
  std::uint64_t count = 0;
};
template <class Row>
using Rows = std::vector<Run<Row>>;

// What the twin made of a column: its rows as far as it reads, and whether it is the right one.
template <class Row>
struct Twin {
  Rows<Row> rows;
  bool canonical = false;
};

template <class Row>
void add(Rows<Row>& rows, std::optional<Row> row, std::uint64_t count) {
  if (count == 0) return;
  if (!rows.empty() && rows.back().row == row) {
    rows.back().count += std::min(count, UINT64_MAX - rows.back().count);
  } else {
    rows.push_back({row, count});
  }
}

std::uint64_t read(Input& in, UlebValue) { return in.uleb(); }
std::int64_t read(Input& in, SlebValue) { return in.sleb(); }
std::string read(Input& in, TextValue) {
  const auto bytes = in.prefixed();
  return {bytes.begin(), bytes.end()};
}
void write(Bytes& out, std::uint64_t v) { put_uleb(out, v); }
void write(Bytes& out, std::int64_t v) { put_sleb(out, v); }
void write(Bytes& out, const std::string& v) {
  put_uleb(out, v.size());
  out.insert(out.end(), v.begin(), v.end());
}

template <class Row>
Bytes write_rle(const Rows<Row>& rows) {
  Bytes out;
  for (std::size_t i = 0; i < rows.size();) {
    if (!rows[i].row || rows[i].count > 1) {
      put_sleb(out, rows[i].row ? static_cast<std::int64_t>(rows[i].count) : 0);
      rows[i].row ? write(out, *rows[i].row) : put_uleb(out, rows[i].count);
      ++i;
      continue;
    }
    auto end = i;
    while (end < rows.size() && rows[end].row && rows[end].count == 1) ++end;
    put_sleb(out, -static_cast<std::int64_t>(end - i));
    for (; i < end; ++i) write(out, *rows[i].row);
  }
  return out;
}

template <class Value, class Row>
Twin<Row> rle_twin(ByteView column) {
  Twin<Row> twin;
  Input in(column);
  while (!in.done()) {
    const auto n = in.sleb();
    if (n == 0) {
      const auto nulls = in.uleb();
      if (in.failed()) return twin;
      add<Row>(twin.rows, std::nullopt, nulls);
      continue;
    }
    for (std::int64_t i = n; i < 0 && !in.failed(); ++i) {
      const Row row = read(in, Value{});
      if (!in.failed()) add<Row>(twin.rows, row, 1);
    }
    if (n < 0) continue;
    const Row row = read(in, Value{});
    if (!in.failed()) add<Row>(twin.rows, row, static_cast<std::uint64_t>(n));
  }
  twin.canonical = !in.failed() && std::ranges::equal(write_rle(twin.rows), column);
  return twin;
}

// Reads as many of `count` equal rows as there are; false once they differ from the twin's.
template <class Decoder, class Value>
bool by_rows(Decoder& decoder, const std::optional<Value>& row, std::uint64_t count) {
  for (; count != 0; --count) {
    Value value{};
    if (decoder.next(value) != row.has_value()) return false;
    if (row && value != *row) return false;
  }
  return true;
}
template <class Decoder, class Value>
bool by_runs(Decoder& decoder, const std::optional<Value>& row, std::uint64_t count) {
  while (count != 0) {
    const auto ahead = std::min(row ? decoder.ahead(*row) : decoder.ahead_null(), count);
    if (ahead == 0) return false;
    decoder.skip(ahead);
    count -= ahead;
  }
  return true;
}

// A decoder read along the twin's rows: it agrees to the end, or finds its fault.
template <class Value, class Row>
bool check_rle(ByteView column, std::uint8_t runs) {
  const auto twin = rle_twin<Value, Row>(column);
  RleDecoder<Value> decoder(column, 0);
  bool agrees = true;
  for (std::size_t i = 0; agrees && i < twin.rows.size(); ++i) {
    constexpr std::uint64_t kRowByRow = 64;
    std::optional<typename Value::Type> row;
    if (twin.rows[i].row) row = *twin.rows[i].row;
    const bool skips = (runs >> (i % 8) & 1) != 0 || twin.rows[i].count > kRowByRow;
    agrees = skips ? by_runs(decoder, row, twin.rows[i].count)
                   : by_rows(decoder, row, twin.rows[i].count);
  }
  if (!twin.canonical && !decoder.input().failed()) {
    typename Value::Type value{};
    decoder.next(value);
  }
  fuzz::demand(twin.canonical != decoder.input().failed(),
               "a column is refused if and only if its rows are written otherwise");
  if (!twin.canonical) return false;
  fuzz::demand(agrees && decoder.done(), "rows are read as they stand");
  return true;
}

// Deltas are what check_rle has shown, summed: the rows must be the sums.
void check_delta(ByteView column) {
  RleDecoder<SlebValue> deltas(column, 0);
  DeltaDecoder decoder(column, 0);
  std::uint64_t sum = 0;
  constexpr int kRows = 256;
  for (int i = 0; i < kRows && !deltas.done(); ++i) {
    std::int64_t delta = 0;
    std::int64_t value = 0;
    const bool present = deltas.next(delta);
    fuzz::demand(decoder.next(value) == present, "a delta column has the rows of its deltas");
    sum += static_cast<std::uint64_t>(delta);
    if (present) fuzz::demand(value == static_cast<std::int64_t>(sum), "a delta is a difference");
  }
}

bool check_boolean(ByteView column, std::uint8_t by_run) {
  Input in(column);
  Rows<bool> rows;
  Bytes again;
  for (bool row = false; !in.done(); row = !row) {
    const auto count = in.uleb();
    if (in.failed()) break;
    if (count != 0) add<bool>(rows, row, count);
  }
  if (!rows.empty() && *rows[0].row) put_uleb(again, 0);
  for (const auto& run : rows) put_uleb(again, run.count);
  const bool canonical = !in.failed() && std::ranges::equal(again, column);

  BooleanDecoder decoder(column, 0);
  for (std::size_t i = 0; i < rows.size() && !decoder.input().failed(); ++i) {
    auto left = rows[i].count;
    constexpr std::uint64_t kRowByRow = 64;
    if ((by_run >> (i % 8) & 1) == 0 && left <= kRowByRow) {
      for (; left != 0 && !decoder.input().failed(); --left) {
        const bool value = decoder.next();
        fuzz::demand(decoder.input().failed() || value == *rows[i].row, "a boolean as it stands");
      }
      continue;
    }
    while (left != 0) {
      const auto ahead = std::min(left, decoder.ahead(*rows[i].row));
      if (ahead == 0) break;
      decoder.skip(ahead);
      left -= ahead;
    }
    fuzz::demand(left == 0 || !canonical, "booleans are counted as they stand");
  }
  if (!canonical && !decoder.input().failed()) decoder.next();
  fuzz::demand(canonical != decoder.input().failed(),
               "booleans are refused if and only if they are written otherwise");
  if (canonical) fuzz::demand(decoder.done(), "booleans end where they stand");
  return canonical;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("automerge_column");
  if (size < 2) return 0;
  const ByteView column(data + 2, size - 2);
  switch (data[0] % 4) {
    case 0:
      report.input(check_rle<UlebValue, std::uint64_t>(column, data[1]));
      break;
    case 1: {
      const bool accepted = check_rle<SlebValue, std::int64_t>(column, data[1]);
      if (accepted) check_delta(column);
      report.input(accepted);
      break;
    }
    case 2:
      report.input(check_rle<TextValue, std::string>(column, data[1]));
      break;
    default:
      report.input(check_boolean(column, data[1]));
      break;
  }
  return 0;
}
