// The reference peer's recorded sessions, without the reference peer: what it sent then brings our
// node today to the documents that it held itself.

#include "replay.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

namespace peat::transcripts {
namespace {

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(PEAT_TRANSCRIPTS)) {
    const auto name = entry.path().filename();
    if (name.extension() == ".txt" && name != "CMakeLists.txt") out.push_back(name.stem().string());
  }
  std::ranges::sort(out);
  return out;
}

Transcript load(const std::string& name) {
  std::ifstream in(std::filesystem::path(PEAT_TRANSCRIPTS) / (name + ".txt"));
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  auto parsed = parse(text);
  EXPECT_TRUE(parsed) << name << ": " << parsed.error().message;
  return parsed ? std::move(*parsed) : Transcript{};
}

// The data lines after the proof, the handshake's own left out.
std::vector<std::size_t> data_lines(const Transcript& transcript) {
  std::set<std::uint32_t> proven;
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < transcript.events.size(); ++i) {
    const auto& event = transcript.events[i];
    if (std::holds_alternative<PeerProven>(event.what)) proven.insert(event.connection);
    const auto* data = std::get_if<DataCame>(&event.what);
    if (data != nullptr && !data->bytes.empty() && proven.contains(event.connection)) {
      out.push_back(i);
    }
  }
  return out;
}

class RecordedSession : public testing::TestWithParam<std::string> {
 protected:
  const Transcript transcript = load(GetParam());
};

TEST_P(RecordedSession, BringsTheDocumentsThatTheReferencePeerHeld) {
  EXPECT_FALSE(transcript.documents.empty() && transcript.deleted.empty());
  for (const auto& difference : replay(transcript)) ADD_FAILURE() << difference;
}

TEST_P(RecordedSession, MayArriveByteByByte) {
  for (const auto& difference : replay(transcript, Pieces::single_bytes)) {
    ADD_FAILURE() << difference;
  }
}

// The comparison itself: a session that lost data, or whose data was damaged, does not pass for a
// good one.
TEST_P(RecordedSession, IsNotReproducedWithoutAnyOneOfItsPieces) {
  const auto lines = data_lines(transcript);
  ASSERT_FALSE(lines.empty());
  for (const auto line : lines) {
    auto lossy = transcript;
    lossy.events.erase(lossy.events.begin() + static_cast<std::ptrdiff_t>(line));
    EXPECT_FALSE(replay(lossy).empty()) << "event " << line;
  }
}

TEST_P(RecordedSession, IsNotReproducedWithADamagedChange) {
  constexpr std::array<std::uint8_t, 4> kMagic{0x85, 0x6f, 0x4a, 0x83};
  int damaged = 0;
  for (const auto line : data_lines(transcript)) {
    auto copy = transcript;
    auto& bytes = std::get<DataCame>(copy.events[line].what).bytes;
    const auto chunk = std::ranges::search(bytes, kMagic);
    if (bytes.end() - chunk.begin() < 5) continue;
    chunk.begin()[4] ^= 0x01;  // the chunk's checksum
    ++damaged;
    EXPECT_FALSE(replay(copy).empty()) << "event " << line;
  }
  EXPECT_GT(damaged, 0);
}

INSTANTIATE_TEST_SUITE_P(Refpeer, RecordedSession, testing::ValuesIn(names()),
                         [](const auto& parameter) {
                           auto name = parameter.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(RecordedSessions, AreThere) { EXPECT_GE(names().size(), 12U); }

TEST(Transcript, ALineThatIsNotUnderstoodIsNamed) {
  EXPECT_EQ(parse("# fine\nnonsense 1 2\n").error().message,
            "line 2: \"nonsense\" is no kind of line");
  EXPECT_EQ(parse("data 1 1 0 00 end\n").error().message, "line 1: \"fin\" or nothing ends data");
  EXPECT_FALSE(parse("data 1 1 x 00\n"));
  EXPECT_FALSE(parse("data 1 1 0 0\n"));
}

TEST(Transcript, LinesAreReadAsTheyWereWritten) {
  const std::string lines =
      "connection 0 1 ours cap/automerge/1\nproven 1 1\nopened 2 1 1\ndata 3 1 1 00ff fin\n"
      "data 3 1 5 -\nreset 4 1 5 8\nstopped 5 1 0 0\nended 6 1\nlocal 7 a:b 01\n"
      "local-deletion 8 02\n";
  const auto parsed = parse(lines);
  ASSERT_TRUE(parsed) << parsed.error().message;
  std::string written;
  for (const auto& event : parsed->events) written += to_line(event) + '\n';
  EXPECT_EQ(written, lines);
}

}  // namespace
}  // namespace peat::transcripts
