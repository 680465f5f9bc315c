// What users met in the field, by number; each test fails where the fault is back. Those that
// belong to one module stand there (F2, F4, F5: session_test; F7, F8: channel_test; F9:
// quic_endpoint_test; F10: modes_test; F18, F19: classes_test; F20: store; F6, F27: the daemon's
// tests).
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "../wire/allocation.hpp"
#include "session_fixture.hpp"
#include "store/memory_backend.hpp"
#include "store/store.hpp"

namespace peat::sync {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string key_of(std::size_t n) { return "depots:" + std::to_string(n); }

// Noise that no compression makes smaller.
std::string noise(sim::World& world, std::size_t bytes) {
  Bytes out(bytes / 2);
  world.random().fill(out);
  return to_hex(out);
}

struct FieldFaults : testing::TestWithParam<Dialect> {
  sim::World world{7};
};
INSTANTIATE_TEST_SUITE_P(Dialects, FieldFaults, testing::Values(Dialect::native, Dialect::old),
                         [](const auto& param) {
                           return param.param == Dialect::native ? "Native" : "Old";
                         });

// F3: a burst of deletions was held against the peer, and the next write got no farther than one
// hop.
TEST_P(FieldFaults, F3AfterABurstOfDeletionsTheNextWriteArrivesBeyondTwoHops) {
  constexpr std::size_t kMany = 600;
  Node a(world, 1, "alpha");
  Node b(world, 2, "bravo");
  Node c(world, 3, "charlie");
  // Half of the deletions are refused on the way: each is an error of its document.
  auto rules = b.documents->collections();
  CollectionRule kept;
  kept.deletion = DeletionPolicy::immutable;
  rules.set("archive", kept);
  b.documents->set_collections(rules);
  Link ab(a, b, GetParam());
  Link bc(b, c, GetParam());
  for (std::size_t n = 0; n < kMany; ++n) {
    a.put((n % 2 == 0 ? "depots:" : "archive:") + std::to_string(n), R"({"n":1})");
  }
  world.run_for(seconds(10));
  ASSERT_EQ(c.store->count(), kMany);
  for (std::size_t n = 0; n < kMany; ++n) {
    a.erase((n % 2 == 0 ? "depots:" : "archive:") + std::to_string(n));
  }
  a.put("depots:after", R"({"n":2})");
  world.run_for(seconds(10));
  EXPECT_EQ(c.json("depots:after"), R"({"n":2})");
  EXPECT_EQ(c.store->count("depots"), 1U);
  EXPECT_EQ(c.store->count("archive"), kMany / 2);
  EXPECT_EQ(b.status(a).denied, kMany / 2) << "counted where they belong";
  ASSERT_TRUE(a.documents->patch("depots:after", R"({"n":3})"));
  world.run_for(seconds(5));
  EXPECT_EQ(c.json("depots:after"), R"({"n":3})") << "and it goes on";
}

// F11: what came from a peer went past the bounds of the cache and of what waits for the disk.
TEST_P(FieldFaults, F11ReceivingACorpusKeepsTheBoundsOfCacheAndPendingWrites) {
  constexpr std::size_t kMany = 1500;
  constexpr std::size_t kCache = 64U << 10;
  constexpr std::size_t kPending = 128U << 10;
  Node a(world, 1, "alpha");
  Limits limits;
  limits.store_pending_bytes = kPending;
  Node b(world, 2, "bravo", limits);
  b.cache_bytes = kCache;
  b.crash_and_start();
  for (std::size_t n = 0; n < kMany; ++n) {
    a.put(key_of(n), R"({"text":")" + noise(world, 600) + "\"}");
  }
  world.run_for(seconds(1));
  b.disk->fail_commits(Error{Code::store_full, "no space left"});
  Link link(a, b, GetParam());
  std::size_t most_cached = 0;
  std::uint64_t most_pending = 0;
  const auto watch = [&] {
    most_cached = std::max(most_cached, b.documents->cached_bytes());
    most_pending = std::max(most_pending, b.store->stats().pending_bytes);
    return b.store->count() == kMany;
  };
  EXPECT_FALSE(world.run_until(watch, seconds(20))) << "they cannot all be held";
  b.disk->fail_commits(std::nullopt);
  EXPECT_TRUE(world.run_until(watch, seconds(120)));
  // Changes of documents that are here open them.
  for (std::size_t n = 0; n < kMany; ++n) {
    ASSERT_TRUE(a.documents->patch(key_of(n), R"({"more":1})"));
    if (n % 50 == 0) world.run_until([&] { return watch() && false; }, milliseconds(100));
  }
  world.run_until([&] { return watch() && false; }, seconds(5));
  EXPECT_EQ(a.heads(key_of(kMany - 1)), b.heads(key_of(kMany - 1)));
  EXPECT_GT(most_pending, kPending / 2);
  constexpr std::size_t kOneMore = 8U << 10;  // the write that reaches the limit; an open document
  EXPECT_LE(most_pending, kPending + kOneMore);
  EXPECT_GT(most_cached, kCache / 4);
  EXPECT_LE(most_cached, kCache + kOneMore);
}

TEST_P(FieldFaults, F11DocumentsThatGrowWhileTheyAreOpenKeepTheBoundOfTheCache) {
  constexpr std::size_t kMany = 20;
  constexpr std::size_t kCache = 256U << 10;
  Node a(world, 1, "alpha");
  Node b(world, 2, "bravo");
  b.cache_bytes = kCache;
  b.crash_and_start();
  for (std::size_t n = 0; n < kMany; ++n) a.put(key_of(n), R"({"n":1})");
  Link link(a, b, GetParam());
  world.run_for(seconds(5));
  for (std::size_t n = 0; n < kMany; ++n) ASSERT_EQ(b.json(key_of(n)), R"({"n":1})");  // all open
  for (std::size_t n = 0; n < kMany; ++n) {
    ASSERT_TRUE(a.documents->patch(key_of(n), R"({"text":")" + noise(world, 30'000) + "\"}"));
    world.run_for(seconds(1));
    EXPECT_LE(b.documents->cached_bytes(), kCache);
  }
  EXPECT_EQ(a.heads(key_of(0)), b.heads(key_of(0)));
  EXPECT_GT(b.documents->cached_bytes(), kCache / 2);
}

// F13: each turn of the synchronisation saved the whole document. A whole one would need one piece
// of memory of its size.
TEST_P(FieldFaults, F13ATurnCostsTheChangeAndNotTheDocument) {
  constexpr std::size_t kLarge = 1U << 20;
  Node a(world, 1, "alpha");
  Node b(world, 2, "bravo");
  for (auto* node : {&a, &b}) {
    node->cache_bytes = 64U << 20;
    node->crash_and_start();
  }
  a.put("depots:x", R"({"n":0,"text":")" + noise(world, kLarge) + "\"}");
  Link link(a, b, GetParam());
  world.run_for(seconds(5));
  ASSERT_EQ(a.heads("depots:x"), b.heads("depots:x"));
  // Both have edited it once: what an edit needs is read.
  ASSERT_TRUE(a.documents->patch("depots:x", R"({"n":1})"));
  ASSERT_TRUE(b.documents->patch("depots:x", R"({"b":0})"));
  world.run_for(seconds(5));
  const auto bytes = link.bytes();
  const auto stored = a.store->stats().bytes + b.store->stats().bytes;
  const auto largest = test::largest_allocation([&] {
    for (int n = 2; n < 12; ++n) {
      ASSERT_TRUE(a.documents->patch("depots:x", "{\"n\":" + std::to_string(n) + "}"));
      world.run_for(seconds(1));
    }
    ASSERT_TRUE(b.documents->patch("depots:x", R"({"b":1})"));
    world.run_for(seconds(60));  // and idle
  });
  EXPECT_EQ(a.heads("depots:x"), b.heads("depots:x"));
  EXPECT_LT(largest, kLarge / 8);
  EXPECT_LT(link.bytes() - bytes, 20'000U);
  EXPECT_LT(a.store->stats().bytes + b.store->stats().bytes - stored, 40'000U);
}

// --- F12 ----------------------------------------------------------------------------------------

// Counts what is read below the store.
class CountingBackend final : public store::Backend {
 public:
  explicit CountingBackend(std::shared_ptr<store::MemoryDisk> disk) : below_(std::move(disk)) {}

  Status begin_read() override { return below_.begin_read(); }
  void end_read() override { below_.end_read(); }
  Result<std::optional<ByteView>> get(store::Table table, std::string_view key) override {
    ++reads;
    return below_.get(table, key);
  }
  Result<std::optional<Entry>> next(store::Table table, std::string_view from,
                                    bool inclusive) override {
    ++reads;
    return below_.next(table, from, inclusive);
  }
  Result<std::optional<Entry>> previous(store::Table table, std::string_view before) override {
    ++reads;
    return below_.previous(table, before);
  }
  Status make_missing_tables() override { return below_.make_missing_tables(); }
  Status commit(const store::Rows& rows) override { return below_.commit(rows); }
  Result<bool> recover() override { return below_.recover(); }
  Result<std::optional<std::uint64_t>> take_stop_mark() override { return below_.take_stop_mark(); }
  Status close(std::uint64_t run) override { return below_.close(run); }
  std::uint64_t map_bytes() const override { return 0; }
  std::uint64_t file_bytes() const override { return 0; }

  std::uint64_t reads = 0;

 private:
  store::MemoryBackend below_;
};

struct KeyedCost {
  std::uint64_t get = 0, heads = 0, patch = 0, erase = 0;
  std::size_t opened = 0;  // bytes of documents that a get leaves open
  friend bool operator==(const KeyedCost&, const KeyedCost&) = default;
};

KeyedCost keyed_cost(std::size_t documents_held) {
  sim::World world(3);
  sim::SimExecutor executor(world);
  const auto disk = std::make_shared<store::MemoryDisk>();
  const auto run = [&](auto use) {
    const auto backend = std::make_shared<CountingBackend>(disk);
    auto store = std::move(*store::Store::open(backend, executor, world.random(), Limits{}));
    Documents::Options options;
    options.node_id = "alpha";
    options.cache_bytes = 1U << 20;
    auto documents = std::move(*Documents::open(*store, executor, std::move(options)));
    use(*documents, *store, *backend);
    world.run_for(seconds(1));
  };
  run([&](auto& documents, auto&, auto&) {
    for (std::size_t n = 0; n < documents_held; ++n) {
      EXPECT_TRUE(documents.put("depots:" + std::to_string(100'000 + n), R"({"n":1})"));
    }
  });
  KeyedCost out;
  run([&](auto& documents, auto& store, auto& backend) {  // nothing is open
    const auto reads = [&](auto action) {
      const auto before = backend.reads;
      EXPECT_TRUE(action());
      return backend.reads - before;
    };
    EXPECT_EQ(store.count("depots"), documents_held);
    out.get = reads([&] { return documents.get("depots:100005")->has_value(); });
    out.opened = documents.cached_bytes();
    out.heads = reads([&] { return store.heads("depots:100006")->has_value(); });
    out.patch = reads([&] { return documents.patch("depots:100007", R"({"n":2})").has_value(); });
    out.erase = reads([&] { return documents.erase("depots:100008", {}).has_value(); });
  });
  return out;
}

// F12: every keyed read got slower with the collection.
TEST(FieldFaultsOfTheStore, F12AKeyedReadCostsTheSameAmongTenAndAmongTenThousand) {
  const auto few = keyed_cost(10);
  const auto many = keyed_cost(10'000);
  EXPECT_EQ(few, many);
  EXPECT_GT(few.get, 0U);
  EXPECT_LT(few.get, 10U);
  EXPECT_LT(few.patch, 20U);
  EXPECT_LT(few.opened, 8192U);
}

}  // namespace
}  // namespace peat::sync
