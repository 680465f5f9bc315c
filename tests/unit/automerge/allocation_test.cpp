// Memory that runs out at any allocation: an error value, nothing leaked, the document as it was,
// and the same call succeeds once there is memory again.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <new>

#include "peat/automerge/inspect.hpp"
#include "peat/automerge/sync.hpp"
#include "support.hpp"

namespace {

std::int64_t live_blocks = 0;
bool armed = false;
bool all_further = false;  // not only that one, but every one after it fails
std::int64_t until_failure = 0;
bool has_failed = false;

bool fails() {
  if (!armed) return false;
  if (has_failed) return all_further;
  has_failed = until_failure-- == 0;
  return has_failed;
}

// What the test itself needs has memory.
class Pause {
 public:
  Pause() : was_(armed) { armed = false; }
  ~Pause() { armed = was_; }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;

 private:
  bool was_;
};

void* allocate(std::size_t size) {
  if (fails()) throw std::bad_alloc();
  void* block = std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) throw std::bad_alloc();
  ++live_blocks;
  return block;
}

void release(void* block) noexcept {
  if (block == nullptr) return;
  --live_blocks;
  std::free(block);
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* block) noexcept { release(block); }
void operator delete[](void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete[](void* block, std::size_t) noexcept { release(block); }

namespace peat::automerge {
namespace {

using namespace test;

// Everything that a caller can see of a document.
std::string state_of(const Document& document) {
  std::string out;
  for (const auto& head : document.heads()) out += head.to_string() + ' ';
  out += document.to_json(JsonForm::typed).value() + ' ';
  for (const auto& hash : document.missing_deps()) out += hash.to_string() + ' ';
  const auto bytes = document.save({.deflate = false}).value();
  return out + to_hex(bytes);
}

struct Scenario {
  const char* name;
  std::function<Document()> make;
  std::function<Result<Bytes>(Document&)> act;  // what it gives, so that runs can be compared
  bool materialised = true;                     // before the call
};

Document history() {
  auto a = replica(1);
  change(a, [](Transaction& tx) {
    const auto list = tx.put_object(kRoot, "list", ObjectType::list).value();
    for (int i = 0; i < 6; ++i) ASSERT_TRUE(tx.insert(list, 0, std::int64_t{i}));
    ASSERT_TRUE(tx.put(kRoot, "n", Counter{1}));
    const auto text = tx.put_object(kRoot, "text", ObjectType::text).value();
    ASSERT_TRUE(tx.splice_text(text, 0, 0, std::string(40, 'x') + "wörld"));
  });
  auto b = a.fork(actor(2)).value();
  for (int i = 0; i < 3; ++i) {
    for (auto* document : {&a, &b}) {
      change(*document, [&](Transaction& tx) {
        ASSERT_TRUE(tx.increment(kRoot, "n", i));
        ASSERT_TRUE(tx.put(kRoot, "k" + std::to_string(i), std::int64_t{i}));
        ASSERT_TRUE(tx.erase(object(*document, "list"), 3));
        ASSERT_TRUE(tx.splice_text(object(*document, "text"), 2, 1, "é🚀"));
      });
    }
  }
  EXPECT_TRUE(a.merge(b));
  return a;
}

Bytes copy(ByteView bytes) {
  const Pause pause;
  return {bytes.begin(), bytes.end()};
}

Bytes bytes_of(const ApplyReport& report) {
  const Pause pause;
  return {static_cast<std::uint8_t>(report.applied), static_cast<std::uint8_t>(report.queued),
          static_cast<std::uint8_t>(report.known)};
}

Result<Bytes> load(ByteView bytes, Verify verify) {
  LoadOptions options;
  options.verify = verify;
  static const auto kActor = actor(9);
  {
    const Pause pause;
    options.actor = kActor;
  }
  PEAT_TRY(const auto document, Document::load(bytes, options));
  const Pause pause;
  Bytes out;
  for (const auto& head : document.heads()) put_bytes(out, head.bytes);
  return out;
}

ActorId actor_eight() {
  const Pause pause;
  return actor(8);
}

Result<Bytes> take(const Result<ApplyReport>& report) {
  if (!report) return std::unexpected(report.error());
  return bytes_of(*report);
}

Result<Bytes> hash_bytes(const Result<std::optional<ChangeHash>>& hash) {
  if (!hash) return std::unexpected(hash.error());
  return *hash ? copy((*hash)->bytes) : Bytes();
}

std::vector<Scenario> scenarios() {
  static const auto source = history();
  static const auto file = source.save().value();
  static const auto chunks = all_changes(source);
  static const auto bundle = source.bundle(source.hashes_since({})).value();
  const auto half = [] {
    auto document = replica(3);
    EXPECT_TRUE(receive(document, {chunks.begin(), chunks.begin() + 4}));
    EXPECT_TRUE(document.materialise());
    return document;
  };
  const auto whole = [] { return Document::load(file, {.actor = actor(4)}).value(); };
  return {
      {"load", [] { return replica(3); }, [](Document&) { return load(file, Verify::full); }},
      {"load lazily", [] { return replica(3); },
       [](Document&) { return load(file, Verify::lazy); }},
      {"load changes", [] { return replica(3); },
       [](Document&) {
         static const auto joined = source.save_after({}).value();
         return load(joined, Verify::full);
       }},
      {"load a bundle", [] { return replica(3); },
       [](Document&) { return load(bundle, Verify::full); }},
      {"load_incremental", half,
       [](Document& document) { return take(document.load_incremental(file)); }},
      {"apply_changes", half,
       [](Document& document) {
         static const std::vector<ByteView> views(chunks.begin() + 2, chunks.end());
         return take(document.apply_changes(views));
       }},
      {"apply_changes with orphans", half,
       [](Document& document) {
         static const std::vector<ByteView> views{chunks.back(), chunks[4]};
         return take(document.apply_changes(views));
       }},
      {"merge", half, [](Document& document) { return take(document.merge(source)); }},
      {"materialise",
       [] {
         static const auto stored = source.to_stored().value();
         return Document::from_stored(stored, {}, {.actor = actor(4)}).value();
       },
       [](Document& document) -> Result<Bytes> {
         PEAT_TRY_VOID(document.materialise());
         return Bytes();
       },
       false},
      {"edit", whole,
       [](Document& document) -> Result<Bytes> {
         PEAT_TRY(auto tx, document.begin());
         PEAT_TRY_VOID(tx.put(kRoot, "new", std::string_view("value")));
         PEAT_TRY(const auto map, tx.put_object(kRoot, "map", ObjectType::map));
         PEAT_TRY_VOID(tx.put(map, "inner", Timestamp{5}));
         PEAT_TRY_VOID(tx.erase(kRoot, "k1"));
         PEAT_TRY_VOID(tx.increment(kRoot, "n", 4));
         PEAT_TRY(const auto text, document.get(kRoot, "text"));
         const auto id = std::get<ObjectRef>(text->data).id;
         PEAT_TRY_VOID(tx.splice_text(id, 10, 5, "hello"));
         static const CommitOptions options{.time = 5, .message = "edit"};
         return hash_bytes(tx.commit(options));
       }},
      {"update_from_json", whole,
       [](Document& document) {
         return hash_bytes(document.update_from_json(
             R"({"list":[1,2,{"x":[true]}],"n":9,"text":"short","z":{"y":[]}})", {.time = 5}));
       }},
      {"to_json", whole,
       [](Document& document) -> Result<Bytes> {
         PEAT_TRY(const auto json, document.to_json());
         return copy(as_bytes(json));
       }},
      {"save", whole, [](Document& document) { return document.save(); }},
      {"save_after", whole, [](Document& document) { return document.save_after({}); }},
      {"to_stored", whole, [](Document& document) { return document.to_stored(); }},
      {"bundle", whole, [](Document& document) { return document.bundle(document.heads()); }},
      {"fork", whole,
       [](Document& document) -> Result<Bytes> {
         PEAT_TRY(const auto fork, document.fork(actor_eight()));
         return copy(fork.heads()[0].bytes);
       }},
      {"inspect", whole,
       [](Document&) -> Result<Bytes> {
         PEAT_TRY(const auto read, inspect::read(file));
         return bytes_of({.applied = read.chunks.size()});
       }},
      {"sync", half,
       [](Document& document) -> Result<Bytes> {
         SyncState mine;
         SyncState theirs;
         PEAT_TRY(const auto first, generate_sync_message(document, mine));
         PEAT_TRY(auto other, source.fork(actor_eight()));
         PEAT_TRY_VOID(receive_sync_message(other, theirs, *first));
         PEAT_TRY(const auto answer, generate_sync_message(other, theirs));
         PEAT_TRY(const auto report, receive_sync_message(document, mine, *answer));
         return bytes_of(report.applied);
       }},
  };
}

// One run with the k-th allocation failing; false when the call needed fewer.
bool fail_at(const Scenario& scenario, std::int64_t k, const std::string& before,
             const Bytes& result) {
  auto document = scenario.make();
  const bool ready = !scenario.materialised || document.materialise().has_value();
  EXPECT_TRUE(ready);
  until_failure = k;
  has_failed = false;
  armed = true;
  const auto done = scenario.act(document);
  armed = false;
  if (!has_failed) {
    EXPECT_TRUE(done && *done == result);
    return false;
  }
  if (!done) {
    EXPECT_EQ(done.error().code, Code::out_of_memory) << done.error().message;
    EXPECT_TRUE(state_of(document) == before) << "allocation " << k;
  }
  const auto again = done ? done : scenario.act(document);
  EXPECT_TRUE(again) << again.error().message;
  EXPECT_TRUE(again && *again == result)
      << "after allocation " << k << " failed the " << (done ? "call" : "next call") << " gave "
      << to_hex(again.value_or(Bytes())) << ", not " << to_hex(result);
  return true;
}

// A thread keeps the memory of an op set for the next; a failure may have lost it, so that it is
// made again before blocks are counted.
void fill_what_threads_keep() {
  EXPECT_TRUE(Document::load(history().save().value()).value().materialise());
}

TEST(OutOfMemory, AtAnyAllocationIsAnErrorAndChangesNothing) {
  for (const auto& scenario : scenarios()) {
    SCOPED_TRACE(scenario.name);
    std::string before;
    Bytes result;
    // The first run fills what threads keep.
    for (int run = 0; run < 2; ++run) {
      auto document = scenario.make();
      before = state_of(document);
      result = scenario.act(document).value();
    }
    std::int64_t k = 0;
    for (bool more = true; more && !testing::Test::HasFailure(); ++k) {
      for (const bool further : {false, true}) {
        all_further = further;
        fill_what_threads_keep();
        const auto blocks = live_blocks;
        more = fail_at(scenario, k, before, result);
        fill_what_threads_keep();
        EXPECT_EQ(live_blocks, blocks) << "leaked with allocation " << k << " failing";
      }
    }
    EXPECT_GT(k, 1) << "the allocations are counted";
    RecordProperty(scenario.name, static_cast<int>(k));
  }
}

}  // namespace
}  // namespace peat::automerge
