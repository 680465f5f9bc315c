// A node's disk, opened, closed and crashed at will, over either backend.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "base/encoding.hpp"
#include "base/random.hpp"
#include "store/document_store.hpp"
#include "store/memory_disk.hpp"
#include "test_executor.hpp"

namespace peat::store {

inline Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }
inline std::string text_of(const Bytes& bytes) { return std::string(as_text(bytes)); }

inline automerge::Heads heads_of(std::string_view text) {
  return {automerge::ChangeHash{sha256(as_bytes(text))}};
}

inline EndpointId peer(std::uint8_t number) {
  EndpointId id;
  id.bytes.fill(number);
  return id;
}

inline wire::Tombstone tombstone(std::string collection, std::string id, std::uint64_t lamport) {
  wire::Tombstone stone;
  stone.collection = std::move(collection);
  stone.id = std::move(id);
  stone.lamport = lamport;
  stone.deleted_at_ms = 1'700'000'000'000 + lamport;
  stone.deleted_by = "depot-1";
  return stone;
}

class TempDir {
 public:
  TempDir() {
    auto name = (std::filesystem::temp_directory_path() / "peat-store-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

enum class On : std::uint8_t { memory, lmdb, sealed_memory };
inline constexpr std::array kBackends{On::memory, On::lmdb, On::sealed_memory};

inline std::string backend_name(const testing::TestParamInfo<On>& on) {
  return on.param == On::lmdb ? "Lmdb" : on.param == On::memory ? "Memory" : "SealedMemory";
}

inline StoreKey key_of(std::uint8_t number) {
  return {StoreKey::Kind::key, crypto::SecretBytes(Bytes(32, number)), {}};
}

// Holds one store at a time on one disk.
class Disk {
 public:
  explicit Disk(On on) : lmdb_(on == On::lmdb), memory_(std::make_shared<MemoryDisk>()) {
    if (on == On::sealed_memory) keys.key.emplace(key_of(1));
  }

  Result<std::unique_ptr<DocumentStore>> try_open(const Limits& limits = {}) {
    if (lmdb_) return DocumentStore::open(temp_.path() / "data", executor, random, limits, keys);
    return DocumentStore::open(memory_, executor, random, limits, keys);
  }
  DocumentStore& open(const Limits& limits = {}) {
    auto opened = try_open(limits);
    if (!opened) {
      ADD_FAILURE() << opened.error().message;
      std::abort();
    }
    store_ = std::move(*opened);
    return *store_;
  }
  // The process dies: what was not durable is lost.
  void crash() {
    executor.drop_everything();
    store_.reset();
  }
  void close() {
    std::optional<Status> result;
    store_->close([&result](Status status) { result = std::move(status); });
    executor.run();
    ASSERT_TRUE(result.has_value());
    ASSERT_TRUE(*result) << result->error().message;
    store_.reset();
  }
  void close_if_open() {
    if (store_) close();
  }
  // Waits for the disk.
  void settle() {
    std::optional<Status> result;
    store_->on_durable([&result](Status status) { result = std::move(status); });
    executor.run();
    ASSERT_TRUE(result.has_value());
    ASSERT_TRUE(*result) << result->error().message;
  }
  void become_copy() {
    if (!lmdb_) {
      memory_ = std::make_shared<MemoryDisk>(*memory_);
      return;
    }
    std::filesystem::copy(temp_.path() / "data", temp_.path() / "copy");
    std::filesystem::remove_all(temp_.path() / "data");
    std::filesystem::rename(temp_.path() / "copy", temp_.path() / "data");
  }
  std::filesystem::path dir() const { return temp_.path() / "data"; }
  MemoryDisk& memory() { return *memory_; }
  std::shared_ptr<MemoryDisk> shared_memory() { return memory_; }
  bool lmdb() const { return lmdb_; }

  test::TestExecutor executor;
  SeededRandom random{7};
  StoreKeys keys;

 private:
  bool lmdb_;
  TempDir temp_;
  std::shared_ptr<MemoryDisk> memory_;
  std::unique_ptr<DocumentStore> store_;
};

// --- shorthand ----------------------------------------------------------------------------------

inline Seq put(DocumentStore& store, const std::string& key, std::string_view content,
               Origin origin = std::nullopt) {
  WriteBatch batch;
  batch.replace(key, bytes_of(content), heads_of(content), origin);
  const auto seq = store.write(std::move(batch));
  EXPECT_TRUE(seq) << seq.error().message;
  return seq.value_or(0);
}

// Stored form and chunks, joined by '+'; "-" if there is no such document.
inline std::string content(const DocumentStore& store, std::string_view key) {
  const auto record = store.document(key);
  if (!record) return "error: " + record.error().message;
  if (!*record) return "-";
  auto text = text_of((*record)->stored);
  for (const auto& chunk : (*record)->tail) text += '+' + text_of(chunk);
  return text;
}

inline std::vector<std::string> feed_of(const DocumentStore& store, Seq after = 0) {
  std::vector<std::string> lines;
  const auto rows = store.feed(after, 1000);
  if (!rows) return {"error: " + rows.error().message};
  for (const auto& row : *rows) {
    lines.push_back((row.kind == FeedKind::tombstone ? "tombstone " : "document ") + row.key);
  }
  return lines;
}

}  // namespace peat::store
