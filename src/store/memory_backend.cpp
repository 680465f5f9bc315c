#include "store/memory_backend.hpp"

#include <utility>

namespace peat::store {

MemoryDisk::MemoryDisk(const MemoryDisk& other) {
  const std::lock_guard lock(other.mutex_);
  rows_ = other.rows_;  // but no stop mark: the mark belongs to the original
}

void MemoryDisk::fail_commits(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  failure_ = std::move(error);
}

std::uint64_t MemoryDisk::commits() const {
  const std::lock_guard lock(mutex_);
  return commits_;
}

void MemoryDisk::damage(Table table, std::string_view key) {
  const std::lock_guard lock(mutex_);
  Rows damaged;
  for (const auto& [name, value] : rows_[table]) {
    if (!name.starts_with(key)) continue;
    auto bytes = *value;
    bytes.back() ^= 1;
    damaged.put(table, name, std::move(bytes));
  }
  rows_.apply(damaged);
}

MemoryBackend::MemoryBackend(std::shared_ptr<MemoryDisk> disk)
    : disk_(std::move(disk)), reading_(disk_->mutex_, std::defer_lock) {
  const std::lock_guard lock(disk_->mutex_);
  open_ = ++disk_->opens_;
}

Status MemoryBackend::begin_read() {
  reading_.lock();
  return {};
}

void MemoryBackend::end_read() { reading_.unlock(); }

Result<std::optional<ByteView>> MemoryBackend::get(Table table, std::string_view key) {
  const auto& values = disk_->rows_[table];
  const auto it = values.find(key);
  if (it == values.end()) return std::nullopt;
  return *it->second;
}

Result<std::optional<Backend::Entry>> MemoryBackend::next(Table table, std::string_view from,
                                                          bool inclusive) {
  const auto& values = disk_->rows_[table];
  const auto it = inclusive ? values.lower_bound(from) : values.upper_bound(from);
  if (it == values.end()) return std::nullopt;
  return Entry{it->first, *it->second};
}

Result<std::optional<Backend::Entry>> MemoryBackend::previous(Table table,
                                                              std::string_view before) {
  const auto& values = disk_->rows_[table];
  auto it = values.lower_bound(before);
  if (it == values.begin()) return std::nullopt;
  --it;
  return Entry{it->first, *it->second};
}

Status MemoryBackend::commit(const Rows& rows) {
  const std::lock_guard lock(disk_->mutex_);
  if (superseded()) return fail(Code::cancelled, "this store's disk has been opened again");
  if (disk_->failure_) return std::unexpected(*disk_->failure_);
  disk_->rows_.apply(rows);
  ++disk_->commits_;
  return {};
}

Result<std::optional<std::uint64_t>> MemoryBackend::take_stop_mark() {
  const std::lock_guard lock(disk_->mutex_);
  return std::exchange(disk_->stop_mark_, std::nullopt);
}

Status MemoryBackend::close(std::uint64_t run) {
  const std::lock_guard lock(disk_->mutex_);
  if (!superseded()) disk_->stop_mark_ = run;
  return {};
}

}  // namespace peat::store
