// Visible, in flight, committed: three layers that must read as one. Two stores get the same
// writes; one commits each at once, the other when the input says so, or crashes the commit.
// Input: operations of two bytes each, (kind, argument); see `step`.
#include <cstdlib>
#include <memory>
#include <string>

#include "../../tests/unit/store/test_executor.hpp"
#include "../report.hpp"
#include "store/document_store.hpp"
#include "store/memory_disk.hpp"

namespace {

using namespace peat;
using namespace peat::store;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Side {
  test::TestExecutor executor;
  SeededRandom random{1};
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
  std::unique_ptr<DocumentStore> store = DocumentStore::open(disk, executor, random).value();
};

// Some keys are short, some share the 479 bytes that are stored of a long one.
std::string id_of(std::uint8_t argument) {
  std::string id(1, static_cast<char>('a' + argument % 5));
  if ((argument & 8) != 0) id = std::string(480, 'x') + id;
  return id;
}

WriteBatch batch_of(std::uint8_t kind, std::uint8_t argument) {
  WriteBatch batch;
  const auto id = id_of(argument);
  const auto key = "c:" + id;
  const Bytes body(argument % 7, kind);
  const automerge::Heads heads(argument % 3);
  switch (kind % 6) {
    case 0:
      batch.append(key, {body, body}, heads, std::nullopt);
      break;
    case 1:
      batch.replace(key, body, heads, std::nullopt);
      break;
    case 2:
      batch.erase(key, std::nullopt);
      break;
    case 3: {
      wire::Tombstone stone;
      stone.collection = "c";
      stone.id = id;
      stone.lamport = argument;
      batch.bury(key, stone, {}, std::nullopt, (argument & 16) != 0);
      break;
    }
    case 4:
      batch.remove_tombstone(key);
      break;
    default:
      batch.compact(key, body, heads);
  }
  return batch;
}

void compare(const DocumentStore& a, const DocumentStore& b) {
  require(a.last_seq() == b.last_seq() && a.count() == b.count());
  const auto keys = a.keys("c:", "", 100).value();
  require(keys == b.keys("c:", "", 100).value() && keys.size() == a.count("c"));
  for (const auto& key : keys) {
    const auto x = a.document(key).value().value();
    const auto y = b.document(key).value().value();
    require(x.stored == y.stored && x.tail == y.tail && x.heads == y.heads && x.seq == y.seq);
  }
  const auto feed = a.feed(0, 100).value();
  const auto other = b.feed(0, 100).value();
  require(feed.size() == other.size());
  for (std::size_t i = 0; i < feed.size(); ++i) {
    require(feed[i].seq == other[i].seq && feed[i].key == other[i].key);
    require(feed[i].kind == other[i].kind);
    if (feed[i].kind != FeedKind::tombstone) continue;
    require(a.tombstone(feed[i].key).value()->tombstone ==
            b.tombstone(feed[i].key).value()->tombstone);
  }
}

// kind 0xf0: lets a commit begin; 0xf1: lets it end; 0xf2: it fails, and a second passes;
// else an operation, by batch_of.
void step(Side& eager, Side& lazy, std::uint8_t kind, std::uint8_t argument) {
  switch (kind) {
    case 0xf0:
      return lazy.executor.run();
    case 0xf1:
      lazy.executor.hold_pool(false);
      lazy.executor.run();
      return lazy.executor.hold_pool(true);
    case 0xf2:
      lazy.disk->fail_commits(Error{Code::store_full, "full"});
      lazy.executor.hold_pool(false);
      lazy.executor.run();
      lazy.disk->fail_commits(std::nullopt);
      lazy.executor.advance(std::chrono::seconds(1));
      return lazy.executor.hold_pool(true);
    default:
      require(eager.store->write(batch_of(kind, argument)).has_value());
      require(lazy.store->write(batch_of(kind, argument)).has_value());
      eager.executor.run();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("store_overlay");
  Side eager;
  Side lazy;
  lazy.executor.hold_pool(true);
  for (std::size_t at = 0; at + 2 <= size && at < 256; at += 2) {
    step(eager, lazy, data[at], data[at + 1]);
    compare(*eager.store, *lazy.store);
  }
  report.input(size >= 2);
  return 0;
}
