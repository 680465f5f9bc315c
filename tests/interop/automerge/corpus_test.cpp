// The public Automerge corpus: real documents load with every hash proved, damaged ones are
// refused, raw saves are those of the reference.
//
// AUTOMERGE_CORPUS names its directory; without it the archive automerge-corpus.tar.gz of
// PEAT_SHARED_DATA (default ../shared/data beside the repository) is unpacked into the cache.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "peer.hpp"

namespace peat::automerge::interop {
namespace {

namespace fs = std::filesystem;

std::string variable(const char* name, std::string fallback) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : fallback;
}

// Empty if there is no corpus.
fs::path find_corpus() {
  const auto given = variable("AUTOMERGE_CORPUS", "");
  if (!given.empty()) return given;
  const fs::path shared = variable("PEAT_SHARED_DATA", PEAT_SOURCE_DIR "/../shared/data");
  const auto archive = shared / "automerge-corpus.tar.gz";
  if (!fs::exists(archive)) return {};
  const fs::path cache =
      variable("PEAT_PEERS_DIR", variable("HOME", "/tmp") + "/.cache/peat-peers");
  const auto unpacked = cache / "automerge-corpus";
  if (fs::exists(unpacked / "interop")) return unpacked;
  // Unpacked beside and renamed: two tests may start at once.
  const auto fresh = cache / ("automerge-corpus." + std::to_string(getpid()));
  fs::create_directories(fresh);
  const auto command = "tar xzf '" + archive.string() + "' -C '" + fresh.string() + "'";
  if (std::system(command.c_str()) != 0) return {};
  std::error_code lost_race;
  fs::rename(fresh, unpacked, lost_race);
  if (lost_race) fs::remove_all(fresh);
  return unpacked;
}

const fs::path& corpus() {
  static const fs::path path = find_corpus();
  return path;
}

Bytes read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

std::vector<fs::path> files_in(const std::string& folder) {
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(corpus() / folder)) out.push_back(entry.path());
  std::ranges::sort(out);
  return out;
}

const std::vector<std::string> kDocuments = {
    "interop/exemplar",
    "rust/automerge-c/test/files/brave-ape-49.automerge",
    "rust/benchmark-battery/data/essay.amrg",
    "rust/benchmark-battery/data/godot-thread.amrg",
    "rust/benchmark-battery/data/moby-dick.automerge",
    "rust/benchmark-battery/data/monday-meeting-notes.automerge",
    "rust/benchmark-battery/data/stephen.amrg",
    "rust/benchmark-battery/data/webstraits.amrg",
    "rust/benchmark-battery/egwalker-paper/A1.am",
    "rust/benchmark-battery/egwalker-paper/C2.am",
    "rust/benchmark-battery/egwalker-paper/S1.am",
    "rust/benchmark-battery/egwalker-paper/S3.am",
};

class Corpus : public testing::Test {
 protected:
  void SetUp() override {
    if (!corpus().empty()) return;
    if (variable("PEAT_REQUIRE_CORPUS", "") == "1") FAIL() << "no corpus: set AUTOMERGE_CORPUS";
    GTEST_SKIP() << "NOT TESTED: no corpus (set AUTOMERGE_CORPUS)";
  }
};

TEST_F(Corpus, EveryDocumentLoadsWithAllHashesProved) {
  for (const auto& name : kDocuments) {
    SCOPED_TRACE(name);
    const auto document = Document::load(read(corpus() / name), {.verify = Verify::full});
    ASSERT_TRUE(document) << document.error().message;
    const auto status = document->materialise();
    ASSERT_TRUE(status) << status.error().message;

    const auto raw = document->save({.deflate = false}).value();
    const auto again = Document::load(raw, {.verify = Verify::full});
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(again->heads(), document->heads());
    EXPECT_EQ(again->change_count(), document->change_count());
    EXPECT_EQ(again->save({.deflate = false}).value(), raw);
    const auto small = document->save().value();
    EXPECT_LT(small.size(), raw.size() + 1);
    EXPECT_EQ(Document::load(small)->heads(), document->heads());
  }
}

TEST_F(Corpus, RawSavesAreThoseOfTheReference) {
  PEAT_START_PEER(theirs, "am12");
  for (const auto& name : kDocuments) {
    SCOPED_TRACE(name);
    ASSERT_EQ(theirs->ask("loadfile 0 " + (corpus() / name).string()), "");
    const auto document = Document::load(read(corpus() / name));
    ASSERT_TRUE(document) << document.error().message;
    const auto raw = to_hex_word(document->save({.deflate = false}).value());
    EXPECT_TRUE(raw == theirs->ask("save 0 raw")) << "raw saves differ";
  }
}

TEST_F(Corpus, FixturesLoadOrAreRefusedAsTheirNamesSay) {
  const std::string_view good[] = {"counter_value_is_ok", "two_change_chunks",
                                   "two_change_chunks_compressed",
                                   "two_change_chunks_out_of_order"};
  const auto files = files_in("rust/automerge/tests/fixtures");
  EXPECT_EQ(files.size(), 9U);
  for (const auto& path : files) {
    SCOPED_TRACE(path.filename().string());
    auto document = Document::load(read(path));
    const bool loads = document && document->materialise();
    EXPECT_EQ(loads, std::ranges::find(good, path.stem().string()) != std::end(good));
  }
}

TEST_F(Corpus, CrashersOfOthersAreErrors) {
  const auto files = files_in("rust/automerge/tests/fuzz-crashers");
  EXPECT_EQ(files.size(), 8U);
  for (const auto& path : files) {
    SCOPED_TRACE(path.filename().string());
    const auto document = Document::load(read(path));
    ASSERT_FALSE(document);
    EXPECT_FALSE(document.error().message.empty());
  }
}

TEST_F(Corpus, TheExemplarHasTheValuesItsReadmeNames) {
  const auto document = Document::load(read(corpus() / "interop/exemplar"));
  ASSERT_TRUE(document);
  const auto json = document->to_json().value();
  EXPECT_NE(json.find(R"("title":"Hello 🇬🇧👨‍👨‍👧‍👦😀")"),
            std::string::npos)
      << json;
  EXPECT_NE(json.find(R"("notes":"🇬🇧👨‍👨‍👧‍👦😀")"), std::string::npos);
  EXPECT_NE(json.find(R"("location":"https://automerge.org/")"), std::string::npos);
  EXPECT_NE(json.find(R"("counter":5)"), std::string::npos);
  EXPECT_NE(json.find(R"("int":-4)"), std::string::npos);
  EXPECT_NE(json.find(R"("uint":18446744073709551615)"), std::string::npos);
  EXPECT_NE(json.find(R"("fp":3.14159267)"), std::string::npos);
  EXPECT_NE(json.find(R"("bytes":"hW9Kgw==")"), std::string::npos);
  EXPECT_NE(json.find(R"("bool":true)"), std::string::npos);
}

TEST_F(Corpus, TheSlowSyncMessageIsTakenInOneGo) {
  const auto message = read(corpus() / "rust/benchmark-battery/data/slowSyncMessage.amrgsync");
  Document document;
  SyncState state;
  const auto report = receive_sync_message(document, state, message);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_GT(report->applied.applied, 1000U);
  EXPECT_TRUE(document.materialise());
  EXPECT_EQ(document.heads(), state.their_heads);
}

}  // namespace
}  // namespace peat::automerge::interop
