#include "node/metrics.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <unistd.h>

namespace peat::node {

namespace {

void append_header(std::string& out, std::string_view name, std::string_view kind,
                   std::string_view help) {
  fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, kind);
}

void append_value(std::string& out, std::string_view name, std::uint64_t value) {
  fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
}

}  // namespace

std::span<const MetricInfo> metric_table() {
  static constexpr std::array kTable{
#define PEAT_METRIC(name, kind, help, value) MetricInfo{#name, #kind, help, false},
#define PEAT_PEER_METRIC(name, kind, help, value) MetricInfo{#name, #kind, help, true},
#include "node/metrics.def"
#undef PEAT_METRIC
#undef PEAT_PEER_METRIC
  };
  return kTable;
}

std::string exposition(const MetricSource& s) {
  std::string out = fmt::format(
      "# HELP peat_build_info The version.\n# TYPE peat_build_info gauge\n"
      "peat_build_info{{version=\"{}\"}} 1\n",
      PEAT_VERSION);
#define PEAT_METRIC(name, kind, help, value) \
  append_header(out, #name, #kind, help);    \
  append_value(out, #name, value);
#define PEAT_PEER_METRIC(name, kind, help, value)                                     \
  append_header(out, #name, #kind, help);                                             \
  for (const auto& p : s.peers) {                                                     \
    append_value(out, fmt::format(#name "{{peer=\"{}\"}}", p.id.to_string()), value); \
  }
#include "node/metrics.def"
#undef PEAT_METRIC
#undef PEAT_PEER_METRIC
  return out;
}

std::uint64_t resident_bytes() {
  std::uint64_t pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    unsigned long long resident = 0;
    if (std::fscanf(file, "%*u %llu", &resident) == 1) pages = resident;
    std::fclose(file);
  }
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace peat::node
