// kill -9 keeps the page cache; a power cut does not. The writes and flushes of the database file
// are recorded, and the file is rebuilt as it can lie on the disk after a cut at any moment: all
// that was flushed, and any part of what was not, down to single sectors. Each image must open
// and hold everything acknowledged before the cut, and exactly the state of some whole batch.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <unistd.h>

#include "../unit/store/store_fixture.hpp"
#include "disk_recorder.hpp"
#include "store/lmdb_backend.hpp"
#include "store/store.hpp"
#include "store_workload.hpp"

namespace peat::test {
namespace {

constexpr std::size_t kSector = 512;
constexpr std::uint64_t kBatches = 80;
constexpr int kRandomImages = 8;  // per moment, beside the regular ones

Bytes read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::filesystem::path& path, const Bytes& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
}

void put(Bytes& image, std::uint64_t offset, ByteView bytes) {
  if (image.size() < offset + bytes.size()) image.resize(offset + bytes.size());
  std::ranges::copy(bytes, image.begin() + static_cast<long>(offset));
}

struct History {
  Bytes base;  // the file when recording began; all of it flushed
  std::vector<DiskEvent> events;
};

History record(const store::LmdbOptions& options) {
  const store::TempDir temp;
  const auto dir = temp.path() / "data";
  DiskRecorder recorder("peat.mdb");
  TestExecutor executor;
  SystemRandom random;
  auto backend = store::LmdbBackend::open(dir, options);
  EXPECT_TRUE(backend) << backend.error().message;
  auto store = store::Store::open(*backend, executor, random, {}).value();
  History history{read_file(dir / "peat.mdb"), {}};
  (void)recorder.take();
  for (std::uint64_t n = 1; n <= kBatches; ++n) {
    EXPECT_TRUE(store->write(workload_batch(n)));
    if (n % 3 == 1) continue;  // some commits hold two batches
    store->on_durable([&recorder, n](Status status) {
      EXPECT_TRUE(status);
      recorder.note(n);
    });
    executor.run();
  }
  history.events = recorder.take();
  return history;
}

class PowerCut {
 public:
  explicit PowerCut(History history) : history_(std::move(history)), image_(history_.base) {
    // Thousands of stores are opened: on a file system in memory, where flushing is free.
    std::error_code ignored;
    const std::filesystem::path memory = "/dev/shm";
    root_ = std::filesystem::is_directory(memory, ignored) && ::access("/dev/shm", W_OK) == 0
                ? memory
                : std::filesystem::temp_directory_path();
    root_ /= "peat-power-cut-" + std::to_string(::getpid());
  }
  ~PowerCut() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  PowerCut(const PowerCut&) = delete;
  PowerCut& operator=(const PowerCut&) = delete;

  // The first thing that a cut would have lost or broken; empty if there is none.
  std::string first_fault() {
    for (const auto& event : history_.events) {
      switch (event.kind) {
        case DiskEvent::Kind::note:
          acknowledged_ = event.number;
          break;
        case DiskEvent::Kind::write:
          unflushed_.push_back(&event);
          break;
        case DiskEvent::Kind::synced_write:
          unflushed_.push_back(&event);
          if (auto fault = cut_now(); !fault.empty()) return fault;
          put(image_, event.offset, event.bytes);
          unflushed_.pop_back();
          break;
        case DiskEvent::Kind::flush:
          if (auto fault = cut_now(); !fault.empty()) return fault;
          for (const auto* write : unflushed_) put(image_, write->offset, write->bytes);
          unflushed_.clear();
          break;
      }
    }
    return cut_now();
  }
  int images() const { return images_; }
  int moments() const { return moments_; }

 private:
  // Just before a flush returns, anything between none and all of what it flushes is there.
  std::string cut_now() {
    ++moments_;
    const auto try_with = [this](const auto& keep) {
      auto image = image_;
      for (const auto* write : unflushed_) {
        for (std::size_t at = 0; at < write->bytes.size(); at += kSector) {
          const auto size = std::min(kSector, write->bytes.size() - at);
          if (keep(write, at))
            put(image, write->offset + at, ByteView(write->bytes).subspan(at, size));
        }
      }
      return fault_of(image);
    };
    if (auto fault = try_with([](auto, auto) { return false; }); !fault.empty()) return fault;
    if (auto fault = try_with([](auto, auto) { return true; }); !fault.empty()) return fault;
    for (int i = 0; i < kRandomImages; ++i) {
      std::string fault;
      if (i % 2 == 0) {  // whole writes, each by chance; one of them torn
        std::set<const DiskEvent*> kept;
        for (const auto* write : unflushed_) {
          if (dice_() % 2 == 0) kept.insert(write);
        }
        const auto* torn = unflushed_.empty() ? nullptr : unflushed_[dice_() % unflushed_.size()];
        const auto prefix = torn == nullptr ? 0 : dice_() % (torn->bytes.size() + 1);
        fault = try_with([&](const DiskEvent* write, std::size_t at) {
          return write == torn ? at < prefix : kept.contains(write);
        });
      } else {  // single sectors, by chance
        const auto percent = dice_() % 100;
        fault = try_with([&](auto, auto) { return dice_() % 100 < percent; });
      }
      if (!fault.empty()) return fault;
    }
    return {};
  }

  std::string fault_of(const Bytes& image) {
    ++images_;
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_);
    write_file(root_ / "peat.mdb", image);
    TestExecutor executor;
    SystemRandom random;
    const auto store = store::DocumentStore::open(root_, executor, random);
    if (!store) return store.error().message;
    const auto batches = batches_in(**store);
    if (!batches) return batches.error().message;
    if (*batches < acknowledged_) {
      return std::to_string(acknowledged_) + " batches were acknowledged, " +
             std::to_string(*batches) + " are there";
    }
    Model model;
    model.advance(*batches);
    return model.difference(**store);
  }

  History history_;
  std::filesystem::path root_;
  Bytes image_;  // what is certainly on the disk
  std::vector<const DiskEvent*> unflushed_;
  std::uint64_t acknowledged_ = 0;
  std::mt19937_64 dice_{1};
  int images_ = 0;
  int moments_ = 0;
};

TEST(PowerCut, AtAnyMomentLosesNothingAcknowledgedAndTearsNoBatch) {
  PowerCut cut(record({}));
  EXPECT_EQ(cut.first_fault(), "");
  EXPECT_GT(cut.moments(), 100);
  EXPECT_GT(cut.images(), 1000);
}

// The proof that the test above can see: without flushes it must find a loss.
TEST(PowerCut, WithoutFlushesIsNoticed) {
  PowerCut cut(record({.sync = false}));
  EXPECT_NE(cut.first_fault(), "");
}

TEST(PowerCut, ANewStoreIsOnTheDiskBeforeItGetsItsName) {
  const store::TempDir temp;
  DiskRecorder recorder("peat.mdb.new");
  ASSERT_TRUE(store::LmdbBackend::open(temp.path()));
  const auto events = recorder.take();
  ASSERT_FALSE(events.empty());
  bool written = false;
  for (const auto& event : events) {
    if (event.kind == DiskEvent::Kind::write) written = true;
    if (event.kind == DiskEvent::Kind::flush) written = false;
  }
  EXPECT_FALSE(written) << "the last write is not followed by a flush";
  EXPECT_EQ(events.back().kind, DiskEvent::Kind::synced_write);
}

}  // namespace
}  // namespace peat::test
