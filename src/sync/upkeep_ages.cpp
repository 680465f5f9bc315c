#include "sync/upkeep_ages.hpp"

#include <algorithm>
#include <limits>

#include "base/reader.hpp"

namespace peat::sync {
namespace {

using std::chrono::milliseconds;

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kMostMarks = 1024;
constexpr std::int64_t kFineness = 16;

}  // namespace

Result<FeedAges> FeedAges::decode(ByteView record) {
  constexpr auto* kWhat = "the ages of the feed";
  FeedAges ages;
  Reader reader(record);
  PEAT_TRY(const auto version, reader.take(1, kWhat));
  if (version[0] != kVersion) {
    return fail(Code::store_too_new, "the ages of the feed have format " +
                                         std::to_string(version[0]) + "; this version reads 1");
  }
  const auto time = [&]() -> Result<milliseconds> {
    PEAT_TRY(const auto ms, reader.u64be(kWhat));
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return milliseconds(static_cast<std::int64_t>(std::min(ms, kMost)));
  };
  PEAT_TRY(ages.clock_, time());
  while (!reader.done() && ages.marks_.size() < kMostMarks) {
    Mark mark;
    PEAT_TRY(mark.at, time());
    PEAT_TRY(mark.seq, reader.u64be(kWhat));
    ages.marks_.push_back(mark);
  }
  return ages;
}

Bytes FeedAges::encode() const {
  Bytes out{kVersion};
  Writer writer(out);
  writer.u64be(static_cast<std::uint64_t>(clock_.count()));
  for (const auto& mark : marks_) {
    writer.u64be(static_cast<std::uint64_t>(mark.at.count()));
    writer.u64be(mark.seq);
  }
  return out;
}

void FeedAges::advance(Duration passed, store::Seq seq) {
  rest_ += std::max(passed, Duration{});
  const auto whole = std::chrono::duration_cast<milliseconds>(rest_);
  clock_ += whole;
  rest_ -= whole;
  if (!marks_.empty() && marks_.back().seq == seq) return;  // older marks say more
  marks_.push_back({clock_, seq});
  thin();
}

store::Seq FeedAges::older_than(Duration age) const {
  const auto ms = std::chrono::ceil<milliseconds>(age);
  if (ms > clock_) return 0;
  const auto until = clock_ - ms;
  const auto later = std::ranges::upper_bound(marks_, until, {}, &Mark::at);
  return later == marks_.begin() ? 0 : std::prev(later)->seq;
}

// A mark goes if the next one stands closer to the one before than a sixteenth of its age.
void FeedAges::thin() {
  std::vector<Mark> kept;
  for (std::size_t i = 0; i < marks_.size(); ++i) {
    const bool edge = i == 0 || i + 1 == marks_.size();
    if (edge || (marks_[i + 1].at - kept.back().at) * kFineness > clock_ - marks_[i].at) {
      kept.push_back(marks_[i]);
    }
  }
  if (kept.size() > kMostMarks) {
    kept.erase(kept.begin(), kept.end() - static_cast<std::ptrdiff_t>(kMostMarks));
  }
  marks_ = std::move(kept);
}

}  // namespace peat::sync
