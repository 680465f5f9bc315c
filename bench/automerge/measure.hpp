// What the rows share with the peers' programs (peers/measure/src/lib.rs): the clock, the memory
// figures and the output, `name value` lines of which bench/automerge/run.py makes a table.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <malloc.h>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace peat::bench {

inline double cpu_ms() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

// Bytes in use, as malloc counts them.
inline std::int64_t heap() {
  const auto info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
}

inline long status_kib(std::string_view name) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(name)) return std::stol(line.substr(name.size()));
  }
  return 0;
}

template <class Subject, class Result>
struct Measured {
  Subject subject;
  Result result;
};

// Runs `work` on what `setup` makes, at most five times and for about eight seconds, and prints
// the figures. Memory is that of the first run.
template <class Setup, class Work>
auto measure(const Setup& setup, const Work& work) {
  using Subject = std::decay_t<decltype(setup())>;
  using Result = std::decay_t<decltype(work(std::declval<Subject&>()))>;
  const auto begin = std::chrono::steady_clock::now();
  double best = 1e300;
  for (int runs = 1;; ++runs) {
    Subject subject = setup();
    malloc_trim(0);
    const auto heap_before = heap();
    const auto resident = status_kib("VmRSS:");
    if (runs == 1) std::ofstream("/proc/self/clear_refs") << "5";
    const auto start = cpu_ms();
    Result result = work(subject);
    best = std::min(best, cpu_ms() - start);
    if (runs == 1) {
      std::printf("heap %lld\npeak %ld\n", static_cast<long long>(heap() - heap_before),
                  status_kib("VmHWM:") - resident);
    }
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    if (runs == 5 || spent.count() * (1 + 1.0 / runs) > 8) {
      std::printf("ms %.4f\nruns %d\n", best, runs);
      return Measured<Subject, Result>{std::move(subject), std::move(result)};
    }
  }
}

// FNV-1a over all pieces: equal output of two engines has equal digests.
class Digest {
 public:
  template <class Pieces>
  void add(const Pieces& bytes) {
    for (const auto byte : bytes) {
      hash_ = (hash_ ^ static_cast<std::uint8_t>(byte)) * 0x100000001b3U;
    }
  }
  void print() const { std::printf("digest %016llx\n", static_cast<unsigned long long>(hash_)); }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325U;
};

}  // namespace peat::bench
