// What the document store costs: 10,000 documents of 0.9 KiB until they are durable, read back,
// listed; the memory of the process before and after.
//
//   bench_store [DIRECTORY]        default: a new one under the system's temporary directory
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

#include "../../tests/system/loop_executor.hpp"
#include "base/random.hpp"
#include "store/document_store.hpp"

namespace {

using namespace peat;
using Clock = std::chrono::steady_clock;

constexpr int kDocuments = 10'000;
constexpr std::size_t kDocumentBytes = 920;

long memory_kib(const std::string& field) {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with(field + ":")) return std::atol(line.c_str() + field.size() + 1);
  }
  return 0;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Measured {
 public:
  explicit Measured(const char* what) : what_(what) {}
  Measured(const Measured&) = delete;
  Measured& operator=(const Measured&) = delete;
  ~Measured() {
    const std::chrono::duration<double, std::milli> wall = Clock::now() - start_;
    std::printf("%-44s %8.1f ms  %8.1f ms CPU   VmRSS %6ld KiB  RssAnon %6ld KiB\n", what_,
                wall.count(), (cpu_seconds() - cpu_) * 1e3, memory_kib("VmRSS"),
                memory_kib("RssAnon"));
  }

 private:
  const char* what_;
  Clock::time_point start_ = Clock::now();
  double cpu_ = cpu_seconds();
};

[[noreturn]] void stop(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  std::exit(1);
}

void wait_until_durable(store::DocumentStore& store, test::LoopExecutor& executor) {
  bool durable = false;
  store.on_durable([&durable](Status status) {
    if (!status) stop(status.error());
    durable = true;
  });
  executor.run_until([&durable] { return durable; });
}

std::string key_of(int n) { return "items:" + std::to_string(n * 7919 % kDocuments); }

void write_documents(store::DocumentStore& store, test::LoopExecutor& executor, int batch_size) {
  SeededRandom random(1);
  bool turned = false;
  for (int n = 0; n < kDocuments;) {
    store::WriteBatch batch;
    for (int i = 0; i < batch_size && n < kDocuments; ++i, ++n) {
      Bytes body(kDocumentBytes);
      random.fill(body);
      batch.replace(key_of(n), std::move(body), {automerge::ChangeHash{}}, EndpointId{});
    }
    if (const auto written = store.write(std::move(batch)); !written) stop(written.error());
    turned = false;
    executor.post([&turned] { turned = true; });
    executor.run_until([&turned] { return turned; });
  }
  wait_until_durable(store, executor);
}

void read_documents(const store::DocumentStore& store) {
  for (int n = 0; n < kDocuments; ++n) {
    const auto record = store.document(key_of(n));
    if (!record) stop(record.error());
    if (!*record) std::abort();
  }
}

void run(const std::filesystem::path& dir, int batch_size, bool sealed) {
  test::LoopExecutor executor;
  SystemRandom random;
  store::StoreKeys keys;
  if (sealed) {
    keys.key.emplace(
        store::StoreKey{store::StoreKey::Kind::key, crypto::SecretBytes(Bytes(32, 7)), {}});
  }
  auto opened = store::DocumentStore::open(dir, executor, random, {}, keys);
  if (!opened) stop(opened.error());
  auto& store = **opened;
  std::printf("-- batches of %d%s\n", batch_size, sealed ? ", encrypted" : "");
  {
    const Measured measured("idle");
  }
  {
    const Measured measured("10,000 documents until durable");
    write_documents(store, executor, batch_size);
  }
  {
    const Measured measured("read 10,000 documents");
    read_documents(store);
  }
  {
    const Measured measured("list 10,000 keys");
    if (store.keys("items:", "", kDocuments).value().size() != kDocuments) std::abort();
  }
  {
    const Measured measured("100 changes, each until durable");
    for (int n = 0; n < 100; ++n) {
      store::WriteBatch batch;
      batch.append(key_of(n), {Bytes(100)}, {automerge::ChangeHash{}}, std::nullopt);
      if (const auto written = store.write(std::move(batch)); !written) stop(written.error());
      wait_until_durable(store, executor);
    }
  }
  const auto stats = store.stats();
  std::printf("%llu commits, %llu rows, %llu row bytes, file %llu bytes\n",
              static_cast<unsigned long long>(stats.commits),
              static_cast<unsigned long long>(stats.rows),
              static_cast<unsigned long long>(stats.bytes),
              static_cast<unsigned long long>(stats.file_bytes));
}

}  // namespace

int main(int argc, char** argv) {
  const auto root = argc > 1 ? std::filesystem::path(argv[1])
                             : std::filesystem::temp_directory_path() /
                                   ("peat-bench-store-" + std::to_string(::getpid()));
  for (const int batch_size : {1, 64}) {
    for (const bool sealed : {false, true}) {
      run(root / (std::to_string(batch_size) + (sealed ? "-sealed" : "")), batch_size, sealed);
    }
  }
  if (argc <= 1) std::filesystem::remove_all(root);
  return 0;
}
