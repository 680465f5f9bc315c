// The backend over a MemoryDisk.
#pragma once

#include <memory>
#include <mutex>

#include "store/backend.hpp"
#include "store/memory_disk.hpp"

namespace peat::store {

class MemoryBackend final : public Backend {
 public:
  explicit MemoryBackend(std::shared_ptr<MemoryDisk> disk);

  Status begin_read() override;
  void end_read() override;
  Result<std::optional<ByteView>> get(Table table, std::string_view key) override;
  Result<std::optional<Entry>> next(Table table, std::string_view from, bool inclusive) override;
  Result<std::optional<Entry>> previous(Table table, std::string_view before) override;
  Status make_missing_tables() override { return {}; }
  Status commit(const Rows& rows) override;
  Result<bool> recover() override { return false; }
  Result<std::optional<std::uint64_t>> take_stop_mark() override;
  Status close(std::uint64_t run) override;
  std::uint64_t map_bytes() const override { return 0; }
  std::uint64_t file_bytes() const override { return 0; }

 private:
  bool superseded() const { return open_ != disk_->opens_; }

  std::shared_ptr<MemoryDisk> disk_;
  std::unique_lock<std::mutex> reading_;
  std::uint64_t open_ = 0;
};

}  // namespace peat::store
