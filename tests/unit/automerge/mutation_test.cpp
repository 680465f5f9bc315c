// The structure-aware mutator of the fuzz targets: enough of what it makes has to be accepted, else
// the targets test nothing but the parser.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "../../../fuzz/automerge/mutate.hpp"
#include "support.hpp"

namespace peat::automerge {
namespace {

std::vector<Bytes> seeds(const std::string& target) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry :
       std::filesystem::directory_iterator(PEAT_SOURCE_DIR "/fuzz/corpus/automerge_" + target)) {
    paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  std::vector<Bytes> out;
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    out.emplace_back(text.begin(), text.end());
  }
  return out;
}

// Of the inputs that differ from their seed, how many in a hundred load with all hashes proved.
double accepted(const std::string& target) {
  std::size_t tried = 0;
  std::size_t loaded = 0;
  for (const auto& seed : seeds(target)) {
    for (std::uint32_t i = 0; i < 60; ++i) {
      const auto mutated = fuzz::Mutator(i).mutate(seed);
      if (!mutated || *mutated == seed) continue;
      ++tried;
      const auto document =
          Document::load(*mutated, {.limits = fuzz::kLimits, .on_partial = OnPartialLoad::ignore});
      if (!document || document->load_fault() || !document->materialise()) continue;
      ++loaded;
      const auto raw = document->save({.deflate = false});
      EXPECT_TRUE(raw && Document::load(*raw)) << "what loads survives saving";
    }
  }
  EXPECT_GT(tried, 100U);
  return 100.0 * static_cast<double>(loaded) / static_cast<double>(tried);
}

TEST(Mutator, MakesInputsThatAreAccepted) {
  for (const auto* target : {"load", "change", "bundle"}) {
    const auto percent = accepted(target);
    std::printf("%s: %.1f %% of the mutated inputs are accepted\n", target, percent);
    EXPECT_GT(percent, 5) << target;
  }
}

TEST(Mutator, IsTheSameForOneSeed) {
  const auto input = seeds("load").front();
  EXPECT_EQ(fuzz::Mutator(7).mutate(input), fuzz::Mutator(7).mutate(input));
  EXPECT_EQ(fuzz::Mutator(7).mutate(test::hex("00 01")), std::nullopt);
}

}  // namespace
}  // namespace peat::automerge
