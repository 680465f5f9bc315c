#include "automerge/myers.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

namespace peat::automerge {

namespace {

// How far the paths with so many differences come on each diagonal (position in the old text minus
// that in the new); diagonals may be negative.
class Furthest {
 public:
  explicit Furthest(std::ptrdiff_t most)
      : most_(most), reach_(static_cast<std::size_t>(2 * most + 1)) {}
  std::ptrdiff_t& operator[](std::ptrdiff_t diagonal) {
    return reach_[static_cast<std::size_t>(diagonal + most_)];
  }
  // Where a path begins on a diagonal with one more difference: below or beside a neighbour.
  std::ptrdiff_t next(std::ptrdiff_t d, std::ptrdiff_t diagonal) {
    const bool down =
        diagonal == -d || (diagonal != d && (*this)[diagonal - 1] < (*this)[diagonal + 1]);
    return down ? (*this)[diagonal + 1] : (*this)[diagonal - 1] + 1;
  }

 private:
  std::ptrdiff_t most_;
  std::vector<std::ptrdiff_t> reach_;
};

struct Box {
  std::size_t old_begin, old_end, new_begin, new_end;
  std::ptrdiff_t width() const { return static_cast<std::ptrdiff_t>(old_end - old_begin); }
  std::ptrdiff_t height() const { return static_cast<std::ptrdiff_t>(new_end - new_begin); }
};

std::ptrdiff_t most_differences(std::ptrdiff_t width, std::ptrdiff_t height) {
  return (width + height + 1) / 2 + 1;
}

class Search {
 public:
  Search(std::u32string_view before, std::u32string_view after, std::uint64_t steps)
      : before_(before),
        after_(after),
        steps_(steps),
        forth_(room(before, after)),
        back_(room(before, after)) {}

  std::vector<TextChange> run() {
    // Depth first, the left part before the right one: a stack of what is still to be done.
    std::vector<Box> open{{0, before_.size(), 0, after_.size()}};
    while (!open.empty()) {
      auto box = open.back();
      open.pop_back();
      trim(box);
      if (box.width() == 0 || box.height() == 0) {
        erase(box);
        insert(box);
      } else if (const auto at = middle(box)) {
        open.push_back({at->first, box.old_end, at->second, box.new_end});
        open.push_back({box.old_begin, at->first, box.new_begin, at->second});
      } else {
        erase(box);
        insert(box);
      }
    }
    return std::move(out_);
  }

 private:
  static std::ptrdiff_t room(std::u32string_view before, std::u32string_view after) {
    return most_differences(static_cast<std::ptrdiff_t>(before.size()),
                            static_cast<std::ptrdiff_t>(after.size())) +
           1;
  }

  void trim(Box& box) const {
    while (box.width() > 0 && box.height() > 0 && before_[box.old_begin] == after_[box.new_begin]) {
      ++box.old_begin;
      ++box.new_begin;
    }
    while (box.width() > 0 && box.height() > 0 &&
           before_[box.old_end - 1] == after_[box.new_end - 1]) {
      --box.old_end;
      --box.new_end;
    }
  }

  void erase(const Box& box) {
    if (box.width() == 0) return;
    out_.push_back({box.old_begin, box.old_end - box.old_begin, box.new_begin, 0});
  }
  void insert(const Box& box) {
    if (box.height() == 0) return;
    out_.push_back({box.old_begin, 0, box.new_begin, box.new_end - box.new_begin});
  }

  // Where the paths from both corners meet first; nothing if that takes too long.
  std::optional<std::pair<std::size_t, std::size_t>> middle(const Box& box) {
    const auto width = box.width();
    const auto height = box.height();
    const auto delta = width - height;
    const bool odd = (delta & 1) != 0;
    forth_[1] = 0;
    back_[1] = 0;
    const auto most = most_differences(width, height);
    for (std::ptrdiff_t d = 0; d < most; ++d) {
      const auto round = static_cast<std::uint64_t>(2 * d + 2);
      if (steps_ < round) return std::nullopt;
      steps_ -= round;
      for (auto k = d; k >= -d; k -= 2) {
        const auto begin = forth_.next(d, k);
        auto x = begin;
        for (auto y = x - k; x < width && y < height && y >= 0 && same(box, x, y); ++y) ++x;
        forth_[k] = x;
        if (odd && std::abs(k - delta) <= d - 1 && x + back_[delta - k] >= width) {
          return corner(box, begin, begin - k);
        }
      }
      for (auto k = d; k >= -d; k -= 2) {
        auto x = back_.next(d, k);
        auto y = x - k;
        while (x < width && y < height && y >= 0 && same(box, width - x - 1, height - y - 1)) {
          ++x;
          ++y;
        }
        back_[k] = x;
        if (!odd && std::abs(k - delta) <= d && x + forth_[delta - k] >= width) {
          return corner(box, width - x, height - y);
        }
      }
    }
    return std::nullopt;
  }

  bool same(const Box& box, std::ptrdiff_t x, std::ptrdiff_t y) const {
    return before_[box.old_begin + static_cast<std::size_t>(x)] ==
           after_[box.new_begin + static_cast<std::size_t>(y)];
  }
  static std::pair<std::size_t, std::size_t> corner(const Box& box, std::ptrdiff_t x,
                                                    std::ptrdiff_t y) {
    return {box.old_begin + static_cast<std::size_t>(x),
            box.new_begin + static_cast<std::size_t>(y)};
  }

  std::u32string_view before_;
  std::u32string_view after_;
  std::uint64_t steps_;
  Furthest forth_;
  Furthest back_;
  std::vector<TextChange> out_;
};

}  // namespace

std::vector<TextChange> shortest_edit(std::u32string_view before, std::u32string_view after,
                                      std::uint64_t steps) {
  return Search(before, after, steps).run();
}

}  // namespace peat::automerge
