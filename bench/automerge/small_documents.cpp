// The store's everyday work on documents of about 1 KiB: 26 operations, the shape of a device's
// record. One iteration is one document.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "peat/automerge/document.hpp"
#include "peat/automerge/sync.hpp"

namespace peat::automerge {
namespace {

ActorId actor(std::uint8_t n) { return ActorId{Bytes(16, n)}; }

std::vector<std::string> field_names() {
  std::vector<std::string> names;
  for (int k = 0; k < 16; ++k)
    names.push_back("field_" + std::string(k < 10 ? "0" : "") + std::to_string(k));
  return names;
}

void fill(Document& document, int n) {
  static const auto kNames = field_names();
  auto tx = document.begin().value();
  const auto value = "value-" + std::to_string(n) + "-abcdefghijklmnopqrstuvwxyz0123456789-abcd";
  for (const auto& name : kNames) (void)tx.put(kRoot, name, std::string_view(value));
  (void)tx.put(kRoot, "counter", std::int64_t{n});
  const auto position = tx.put_object(kRoot, "position", ObjectType::map).value();
  (void)tx.put(position, "lat", 38.1 + n * 1e-5);
  (void)tx.put(position, "lon", -77.2);
  (void)tx.put(position, "alt", 120.0);
  const auto tags = tx.put_object(kRoot, "tags", ObjectType::list).value();
  for (std::size_t k = 0; k < 4; ++k) {
    (void)tx.insert(tags, k, std::string_view("tag" + std::to_string(k)));
  }
  (void)tx.commit({.time = 1700000000});
}

Document sample(int n = 7) {
  Document document(actor(1));
  fill(document, n);
  return document;
}

Bytes first_change(const Document& document) {
  const auto view = document.changes_since({}).value()[0];
  return {view.begin(), view.end()};
}

void create_and_commit(benchmark::State& state) {
  int n = 0;
  for (auto _ : state) {
    Document document(actor(1));
    fill(document, ++n);
    benchmark::DoNotOptimize(document);
  }
}
BENCHMARK(create_and_commit);

void inspect(benchmark::State& state) {
  const auto bytes = first_change(sample());
  for (auto _ : state) benchmark::DoNotOptimize(inspect_change(bytes).value());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(inspect);

void apply_to_empty(benchmark::State& state) {
  const auto bytes = first_change(sample());
  const std::vector<ByteView> chunks{bytes};
  for (auto _ : state) {
    Document document(actor(2));
    benchmark::DoNotOptimize(document.apply_changes(chunks).value());
  }
}
BENCHMARK(apply_to_empty);

void save(benchmark::State& state) {
  const auto document = sample();
  const SaveOptions options{.deflate = state.range(0) != 0};
  for (auto _ : state) benchmark::DoNotOptimize(document.save(options).value());
}
BENCHMARK(save)->ArgName("deflate")->Arg(0)->Arg(1);

void load(benchmark::State& state) {
  const auto bytes = sample().save().value();
  for (auto _ : state) benchmark::DoNotOptimize(Document::load(bytes).value());
}
BENCHMARK(load);

void to_stored(benchmark::State& state) {
  const auto document = sample();
  for (auto _ : state) benchmark::DoNotOptimize(document.to_stored().value());
}
BENCHMARK(to_stored);

void from_stored(benchmark::State& state) {
  const auto bytes = sample().to_stored().value();
  for (auto _ : state) benchmark::DoNotOptimize(Document::from_stored(bytes).value());
}
BENCHMARK(from_stored);

void materialise(benchmark::State& state) {
  const auto bytes = sample().to_stored().value();
  for (auto _ : state) {
    auto document = Document::from_stored(bytes).value();
    benchmark::DoNotOptimize(document.materialise());
  }
}
BENCHMARK(materialise);

void update_and_commit(benchmark::State& state) {
  auto document = sample();
  std::int64_t n = 1000;
  for (auto _ : state) {
    auto tx = document.begin().value();
    (void)tx.put(kRoot, "counter", ++n);
    benchmark::DoNotOptimize(tx.commit({.time = 1700000000}).value());
  }
}
BENCHMARK(update_and_commit)->Iterations(20000);

// One field changed on one side, both held as the store holds them: to quiescence.
void sync_one_update(benchmark::State& state) {
  auto mine = sample();
  const auto theirs = mine.to_stored().value();
  {
    auto tx = mine.begin().value();
    (void)tx.put(kRoot, "counter", std::int64_t{-1});
    (void)tx.commit({.time = 1700000001});
  }
  const auto ours = mine.to_stored().value();
  for (auto _ : state) {
    auto a = Document::from_stored(ours).value();
    auto b = Document::from_stored(theirs).value();
    SyncState at_a;
    SyncState at_b;
    for (bool talking = true; talking;) {
      talking = false;
      if (const auto message = generate_sync_message(a, at_a).value()) {
        (void)receive_sync_message(b, at_b, *message).value();
        talking = true;
      }
      if (const auto message = generate_sync_message(b, at_b).value()) {
        (void)receive_sync_message(a, at_a, *message).value();
        talking = true;
      }
    }
    if (a.heads() != b.heads()) state.SkipWithError("did not converge");
  }
}
BENCHMARK(sync_one_update);

void type_a_text(benchmark::State& state) {
  for (auto _ : state) {
    Document document(actor(1));
    auto tx = document.begin().value();
    const auto text = tx.put_object(kRoot, "text", ObjectType::text).value();
    for (std::size_t i = 0; i < static_cast<std::size_t>(state.range(0)); ++i) {
      (void)tx.splice_text(text, i, 0, "x");
    }
    (void)tx.commit();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(type_a_text)->Arg(100'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace peat::automerge

BENCHMARK_MAIN();
