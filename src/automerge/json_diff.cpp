#include "automerge/json_diff.hpp"

#include <algorithm>

namespace peat::automerge {

namespace {

using Ids = std::span<const std::uint32_t>;

// Finds the shortest script between two sequences that differ at both ends.
class Search {
 public:
  Search(Ids before, Ids after) : before_(before), after_(after) {}

  // The edits, or nothing if there are too many differences.
  std::vector<SequenceEdit> run() {
    const auto most =
        static_cast<std::ptrdiff_t>(std::min(before_.size() + after_.size(), kMostDifferences));
    // furthest[k]: how far in `before` one can come on the diagonal k = x - y with d differences.
    std::vector<std::ptrdiff_t> furthest(static_cast<std::size_t>(2 * most + 3), 0);
    const auto at = [&](std::ptrdiff_t k) -> std::ptrdiff_t& {
      return furthest[static_cast<std::size_t>(k + most + 1)];
    };
    for (std::ptrdiff_t d = 0; d <= most; ++d) {
      for (std::ptrdiff_t k = -d; k <= d; k += 2) {
        const bool down = k == -d || (k != d && at(k - 1) < at(k + 1));
        auto x = down ? at(k + 1) : at(k - 1) + 1;
        auto y = x - k;
        while (x < width() && y < height() && before_[index(x)] == after_[index(y)]) {
          ++x;
          ++y;
        }
        at(k) = x;
        if (x >= width() && y >= height()) return trace_back(d, k);
      }
      // Only the diagonals that this round has reached.
      const auto first = furthest.begin() + (most + 1 - d);
      rounds_.emplace_back(first, first + 2 * d + 1);
    }
    return {};
  }

 private:
  static std::size_t index(std::ptrdiff_t i) { return static_cast<std::size_t>(i); }
  std::ptrdiff_t width() const { return static_cast<std::ptrdiff_t>(before_.size()); }
  std::ptrdiff_t height() const { return static_cast<std::ptrdiff_t>(after_.size()); }

  // How far round d came on diagonal k; rounds hold every second one.
  std::ptrdiff_t reached(std::ptrdiff_t d, std::ptrdiff_t k) const {
    return rounds_[index(d)][index(k + d)];
  }

  std::vector<SequenceEdit> trace_back(std::ptrdiff_t d, std::ptrdiff_t k) const {
    std::vector<SequenceEdit> edits;  // backwards, each of one element
    for (; d > 0; --d) {
      const bool down = k == -d || (k != d && left(d - 1, k - 1) < left(d - 1, k + 1));
      k = down ? k + 1 : k - 1;
      const auto x = reached(d - 1, k);
      const auto y = x - k;
      edits.push_back({index(x), down ? 0U : 1U, index(y), down ? 1U : 0U});
    }
    std::vector<SequenceEdit> merged;
    for (auto edit = edits.rbegin(); edit != edits.rend(); ++edit) {
      auto* last = merged.empty() ? nullptr : &merged.back();
      if (last != nullptr && last->at + last->erase == edit->at &&
          last->from + last->insert == edit->from) {
        last->erase += edit->erase;
        last->insert += edit->insert;
      } else {
        merged.push_back(*edit);
      }
    }
    return merged;
  }
  // As the search saw it: diagonals that a round has not reached are at 0.
  std::ptrdiff_t left(std::ptrdiff_t d, std::ptrdiff_t k) const {
    return k < -d || k > d ? 0 : reached(d, k);
  }

  Ids before_;
  Ids after_;
  std::vector<std::vector<std::ptrdiff_t>> rounds_;
};

}  // namespace

std::vector<SequenceEdit> diff(Ids before, Ids after) {
  const auto shorter = std::min(before.size(), after.size());
  std::size_t front = 0;
  while (front < shorter && before[front] == after[front]) ++front;
  std::size_t back = 0;
  while (back < shorter - front &&
         before[before.size() - 1 - back] == after[after.size() - 1 - back]) {
    ++back;
  }
  const auto erase = before.size() - front - back;
  const auto insert = after.size() - front - back;
  if (erase == 0 && insert == 0) return {};
  const SequenceEdit whole{front, erase, front, insert};
  if (erase == 0 || insert == 0) return {whole};
  auto edits = Search(before.subspan(front, erase), after.subspan(front, insert)).run();
  if (edits.empty()) return {whole};
  for (auto& edit : edits) {
    edit.at += front;
    edit.from += front;
  }
  return edits;
}

}  // namespace peat::automerge
