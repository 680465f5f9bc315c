#include "automerge/graph.hpp"

#include <algorithm>
#include <cstring>

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
  if (index_.empty()) {
    for (std::size_t i = rows_.size(); i-- > 0;) {
      if (rows_[i].hash == hash) return static_cast<std::uint32_t>(i);
    }
    return std::nullopt;
  }
  const auto mask = index_.size() - 1;
  for (auto at = home(hash, mask);; at = (at + 1) & mask) {
    if (index_[at] == kNone) return std::nullopt;
    if (rows_[index_[at]].hash == hash) return index_[at];
  }
}

void ChangeGraph::index_row(std::uint32_t i) {
  const auto mask = index_.size() - 1;
  auto at = home(rows_[i].hash, mask);
  while (index_[at] != kNone) at = (at + 1) & mask;
  index_[at] = i;
}

void ChangeGraph::rebuild_index() {
  if (rows_.size() < kScanRows) {
    index_.clear();
    return;
  }
  std::size_t size = 32;
  while (size < rows_.size() * 2) size *= 2;
  index_.assign(size, kNone);
  for (std::uint32_t i = 0; i < rows_.size(); ++i) index_row(i);
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

void ChangeGraph::add(GraphRow row, std::span<const std::uint32_t> deps, std::string_view message,
                      ByteView extra) {
  const auto i = static_cast<std::uint32_t>(rows_.size());
  append(row, deps, message, extra);
  for (const auto dep : deps) {
    const auto at = std::lower_bound(heads_.begin(), heads_.end(), rows_[dep].hash);
    if (at != heads_.end() && *at == rows_[dep].hash) heads_.erase(at);
  }
  heads_.insert(std::lower_bound(heads_.begin(), heads_.end(), row.hash), row.hash);

  if (rows_.size() >= kScanRows && index_.size() < rows_.size() * 2) {
    rebuild_index();
  } else if (!index_.empty()) {
    index_row(i);
  }
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
         4 * (deps_.capacity() + last_.capacity() + index_.capacity()) +
         heads_.capacity() * sizeof(ChangeHash);
}

}  // namespace peat::automerge
