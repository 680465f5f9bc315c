// Changes one thing in valid chunks: a row of a column, a value, the order of two rows. The columns
// are written again in canonical form, checksums and the heads of documents are made to fit, so
// that a good part of what comes out is accepted and reaches the engine behind the parser.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <random>
#include <vector>

#include "automerge/chunk.hpp"
#include "automerge/columns.hpp"
#include "automerge/operations.hpp"
#include "peat/automerge/document.hpp"
#include "repair.hpp"

namespace peat::fuzz {

using automerge::Chunk;
using automerge::ChunkType;
using automerge::Input;

class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  // Nullopt if `input` does not begin with a chunk that can be taken apart.
  std::optional<Bytes> mutate(ByteView input) {
    const auto chunks = automerge::read_chunk(input, 0);
    if (!chunks) return std::nullopt;
    // One of the chunks is changed, the others stay.
    std::vector<Chunk> all{*chunks};
    for (auto end = all[0].bytes.size(); end < input.size();) {
      const auto next = automerge::read_chunk(input, end);
      if (!next) break;
      all.push_back(*next);
      end += next->bytes.size();
    }
    const auto chosen = below(all.size());
    Bytes out;
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i != chosen) {
        automerge::put_bytes(out, all[i].bytes);
        continue;
      }
      if (!take_apart(all[i])) return std::nullopt;
      for (auto edits = 1 + below(3); edits > 0; --edits) edit();
      automerge::put_bytes(out, put_together());
    }
    return out;
  }

 private:
  struct Column {
    std::uint32_t spec = 0;
    Bytes bytes;
  };
  static constexpr std::size_t kMostRows = 20000;

  std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }

  bool take_apart(const Chunk& chunk) {
    type_ = chunk.type;
    Bytes inflated;
    auto data = chunk.data;
    if (type_ == ChunkType::kCompressedChange) {
      auto plain = automerge::inflate(chunk.data, kInflateLimit, "a change");
      if (!plain) return false;
      inflated = std::move(*plain);
      data = inflated;
      type_ = ChunkType::kChange;
    }
    Input in(data);
    switch (type_) {
      case ChunkType::kDocument:
        skip_prefixed(in);
        heads_at_ = in.offset();
        in.take(in.uleb() * 32);
        break;
      case ChunkType::kBundle:
        in.take(in.uleb() * 32);
        skip_prefixed(in);
        break;
      default:
        in.take(in.uleb() * 32);
        in.prefixed();
        in.uleb();
        in.uleb();
        in.sleb();
        in.prefixed();
        skip_prefixed(in);
    }
    if (in.failed()) return false;
    prefix_.assign(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(in.offset()));
    tables_.assign(type_ == ChunkType::kChange ? 1 : 2, {});
    const bool good = type_ == ChunkType::kDocument
                          ? read_directory(in, tables_[0]) && read_directory(in, tables_[1]) &&
                                read_columns(in, tables_[0]) && read_columns(in, tables_[1])
                          : std::ranges::all_of(tables_, [&](auto& table) {
                              return read_directory(in, table) && read_columns(in, table);
                            });
    suffix_.assign(in.rest().begin(), in.rest().end());
    return good;
  }

  static void skip_prefixed(Input& in) {
    for (auto n = in.uleb(); n > 0 && !in.failed(); --n) in.prefixed();
  }

  bool read_directory(Input& in, std::vector<Column>& table) {
    const auto directory = automerge::read_directory(in, "columns");
    if (!directory) return false;
    for (const auto& entry : *directory) {
      table.push_back({static_cast<std::uint32_t>(entry.spec), {}});
      lengths_.push_back(entry.length);
    }
    return true;
  }

  bool read_columns(Input& in, std::vector<Column>& table) {
    for (auto& column : table) {
      const auto bytes = in.take(lengths_.front());
      lengths_.erase(lengths_.begin());
      if (in.failed()) return false;
      if ((column.spec & 8) == 0) {
        column.bytes.assign(bytes.begin(), bytes.end());
        continue;
      }
      auto inflated = automerge::inflate(bytes, kInflateLimit, "a column");
      if (!inflated) return false;
      column.bytes = std::move(*inflated);
      column.spec &= ~8U;
    }
    return true;
  }

  void edit() {
    auto& table = tables_[below(tables_.size())];
    if (table.empty()) return;
    auto& column = table[below(table.size())];
    switch (column.spec & 7) {
      case 3:
        return edit_rows<automerge::DeltaDecoder, automerge::DeltaEncoder, std::int64_t>(column);
      case 4:
        return edit_booleans(column);
      case 5:
        return edit_rows<automerge::RleDecoder<automerge::TextValue>,
                         automerge::RleEncoder<automerge::TextValue>, std::string_view>(column);
      case 7:
        if (!column.bytes.empty()) {
          column.bytes[below(column.bytes.size())] ^= static_cast<std::uint8_t>(1U << below(4));
        }
        return;
      default:
        return edit_rows<automerge::RleDecoder<automerge::UlebValue>,
                         automerge::RleEncoder<automerge::UlebValue>, std::uint64_t>(column);
    }
  }

  template <class Decoder, class Encoder, class Value>
  void edit_rows(Column& column) {
    std::vector<std::optional<Value>> rows;
    Decoder decoder(column.bytes, 0);
    while (!decoder.done() && rows.size() < kMostRows) {
      Value value{};
      const bool there = decoder.next(value);
      if (decoder.input().failed()) return;
      rows.push_back(there ? std::optional(value) : std::nullopt);
    }
    if (rows.empty() || !decoder.done()) return;
    edit_one(rows);
    Encoder encoder;
    for (const auto& row : rows) {
      if (row) {
        encoder.append(*row);
      } else {
        encoder.append_null();
      }
    }
    column.bytes = Bytes(encoder.finish());
  }

  template <class Value>
  void edit_one(std::vector<std::optional<Value>>& rows) {
    auto& row = rows[below(rows.size())];
    switch (below(4)) {
      case 0:
        std::swap(row, rows[below(rows.size())]);
        return;
      case 1:
        row = rows[below(rows.size())];
        return;
      default:
        break;
    }
    if constexpr (std::is_same_v<Value, std::string_view>) {
      static constexpr std::string_view kTexts[] = {"", "k", "n", "note", "é", "\xff"};
      row = kTexts[below(std::size(kTexts))];
    } else {
      const auto old = row.value_or(Value{});
      static constexpr int kSteps[] = {-1, 1, 2, 16, 1000};
      row = below(3) == 0
                ? static_cast<Value>(below(9))
                : static_cast<Value>(old + static_cast<Value>(kSteps[below(std::size(kSteps))]));
    }
  }

  void edit_booleans(Column& column) {
    std::vector<bool> rows;
    automerge::BooleanDecoder decoder(column.bytes, 0);
    while (!decoder.done() && rows.size() < kMostRows) {
      rows.push_back(decoder.next());
      if (decoder.input().failed()) return;
    }
    if (rows.empty() || !decoder.done()) return;
    const auto at = below(rows.size());
    rows[at] = !rows[at];
    automerge::BooleanEncoder encoder;
    for (const bool row : rows) encoder.append(row);
    column.bytes = Bytes(encoder.finish());
  }

  Bytes put_together() {
    auto out = assemble();
    if (type_ != ChunkType::kDocument) return out;
    // A document names its heads; where the changes make as many others, it is made to name those.
    const auto loaded =
        automerge::Document::load(out, {.verify = automerge::Verify::none, .limits = kLimits});
    if (!loaded) return out;
    Input in(ByteView(prefix_).subspan(heads_at_));
    if (in.uleb() != loaded->heads().size()) return out;
    auto at = prefix_.begin() + static_cast<std::ptrdiff_t>(heads_at_ + in.offset());
    for (const auto& head : loaded->heads()) at = std::ranges::copy(head.bytes, at).out;
    return assemble();
  }

  Bytes assemble() const {
    Bytes data = prefix_;
    Bytes columns;
    for (const auto& table : tables_) {
      const auto used =
          std::ranges::count_if(table, [](const auto& c) { return !c.bytes.empty(); });
      automerge::put_uleb(data, static_cast<std::uint64_t>(used));
      for (const auto& column : table) {
        if (column.bytes.empty()) continue;
        automerge::put_uleb(data, column.spec);
        automerge::put_uleb(data, column.bytes.size());
        automerge::put_bytes(columns, column.bytes);
      }
      if (type_ == ChunkType::kDocument) continue;
      automerge::put_bytes(data, columns);
      columns.clear();
    }
    automerge::put_bytes(data, columns);
    automerge::put_bytes(data, suffix_);
    Bytes out;
    automerge::write_chunk(type_, data, out);
    return out;
  }

  std::mt19937 random_;
  ChunkType type_ = ChunkType::kChange;
  Bytes prefix_;
  std::size_t heads_at_ = 0;
  std::vector<std::vector<Column>> tables_;
  std::vector<std::uint64_t> lengths_;
  Bytes suffix_;
};

}  // namespace peat::fuzz
