#include "automerge/graph.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "automerge/guarded.hpp"
#include "automerge/leb.hpp"

namespace peat::automerge {

namespace {

constexpr std::size_t kScanRows = 16;  // below, a scan is as fast as an index and needs no memory

std::size_t home(const ChangeHash& hash, std::size_t mask) {
  return std::hash<ChangeHash>()(hash) & mask;
}

}  // namespace

std::string_view ChangeGraph::message(std::size_t i) const {
  return as_text(ByteView(text_).subspan(rows_[i].text, rows_[i].message_bytes));
}

ByteView ChangeGraph::extra(std::size_t i) const {
  const auto& row = rows_[i];
  return ByteView(text_).subspan(row.text + row.message_bytes, row.extra_bytes);
}

std::optional<std::uint32_t> ChangeGraph::find(const ChangeHash& hash) const {
  if (rows_.size() < kScanRows) {
    for (std::size_t i = rows_.size(); i-- > 0;) {
      if (rows_[i].hash == hash) return static_cast<std::uint32_t>(i);
    }
    return std::nullopt;
  }
  complete_index();
  const auto mask = index_.size() - 1;
  for (auto at = home(hash, mask);; at = (at + 1) & mask) {
    if (index_[at] == kNone) return std::nullopt;
    if (rows_[index_[at]].hash == hash) return index_[at];
  }
}

// Takes up the rows that were added since the last question.
void ChangeGraph::complete_index() const {
  if (index_.size() < rows_.size() * 2) {
    index_.assign(std::bit_ceil(rows_.size() * 3), kNone);
    indexed_ = 0;
  }
  const auto mask = index_.size() - 1;
  for (; indexed_ < rows_.size(); ++indexed_) {
    auto at = home(rows_[indexed_].hash, mask);
    while (index_[at] != kNone) at = (at + 1) & mask;
    index_[at] = static_cast<std::uint32_t>(indexed_);
  }
}

void ChangeGraph::hashes_are_known() {
  index_.clear();
  indexed_ = 0;
  head_rows_.clear();
  for (const auto& head : heads_) head_rows_.push_back(find(head).value_or(0));
}

void ChangeGraph::append(GraphRow row, std::span<const std::uint32_t> deps,
                         std::string_view message, ByteView extra) {
  row.deps_begin = static_cast<std::uint32_t>(deps_.size());
  row.deps_count = static_cast<std::uint32_t>(deps.size());
  row.text = static_cast<std::uint32_t>(text_.size());
  row.message_bytes = static_cast<std::uint32_t>(message.size());
  row.extra_bytes = static_cast<std::uint32_t>(extra.size());
  deps_.insert(deps_.end(), deps.begin(), deps.end());
  put_bytes(text_, as_bytes(message));
  put_bytes(text_, extra);
  if (row.actor >= last_.size()) last_.resize(row.actor + 1, kNone);
  last_[row.actor] = static_cast<std::uint32_t>(rows_.size());
  max_op_ = std::max(max_op_, row.max_op());
  rows_.push_back(row);
}

void ChangeGraph::make_room(std::size_t rows, std::size_t deps, std::size_t text,
                            std::size_t actors) {
  grow(rows_, rows);
  grow(deps_, deps);
  grow(text_, text);
  grow(heads_, rows);
  grow(head_rows_, rows);
  if (actors > last_.size()) last_.resize(actors, kNone);
}

void ChangeGraph::add(GraphRow row, std::span<const std::uint32_t> deps, std::string_view message,
                      ByteView extra) {
  const auto i = static_cast<std::uint32_t>(rows_.size());
  make_room(1, deps.size(), message.size() + extra.size(), row.actor + 1);
  // From here on nothing throws.
  append(row, deps, message, extra);
  for (const auto dep : deps) {
    const auto at = std::ranges::find(head_rows_, dep);
    if (at == head_rows_.end()) continue;
    heads_.erase(heads_.begin() + (at - head_rows_.begin()));
    head_rows_.erase(at);
  }
  const auto at = std::ranges::lower_bound(heads_, row.hash) - heads_.begin();
  heads_.insert(heads_.begin() + at, row.hash);
  head_rows_.insert(head_rows_.begin() + at, i);
}

std::vector<bool> ChangeGraph::closure(std::span<const std::uint32_t> from) const {
  std::vector<bool> in(rows_.size(), false);
  std::size_t top = 0;
  for (const auto row : from) {
    in[row] = true;
    top = std::max<std::size_t>(top, row + 1);
  }
  // Dependencies stand before their dependents, so one walk backwards is enough.
  while (top-- > 0) {
    if (!in[top]) continue;
    for (const auto dep : deps(top)) in[dep] = true;
  }
  return in;
}

void ChangeGraph::shrink() {
  rows_.shrink_to_fit();
  deps_.shrink_to_fit();
  text_.shrink_to_fit();
  last_.shrink_to_fit();
}

std::size_t ChangeGraph::memory_bytes() const {
  return rows_.capacity() * sizeof(GraphRow) + text_.capacity() +
         4 * (deps_.capacity() + last_.capacity() + index_.capacity() + authors_.capacity()) +
         heads_.capacity() * sizeof(ChangeHash) + 4 * head_rows_.capacity();
}

}  // namespace peat::automerge
