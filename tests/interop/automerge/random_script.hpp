// Random edits in the command language, weighted so that conflicts are frequent.
#pragma once

#include <random>
#include <string>

#include "peer.hpp"

namespace peat::automerge::interop {

class RandomScript {
 public:
  // `narrow`: what the npm package can do, that is, no tables and only characters that are one unit
  // in code points and in UTF-16.
  explicit RandomScript(std::uint64_t seed, bool narrow = false) : random_(seed), narrow_(narrow) {}

  // A fresh actor: 1 to 20 bytes, some of them prefixes of others.
  std::string actor();
  // The next command on document `slot`, given what it holds now.
  std::string edit(const std::string& slot, const std::vector<NamedObject>& objects);
  // Seconds that never go back.
  std::string time() { return std::to_string(++time_); }

  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }
  bool chance(unsigned percent) { return random_() % 100 < percent; }

 private:
  std::string scalar();
  std::string text();
  std::string key();
  std::string type();
  std::string map_edit(const std::string& slot, const NamedObject& map);
  std::string list_edit(const std::string& slot, const NamedObject& list);
  std::string splice_list(const std::string& where, std::size_t size);
  std::string text_edit(const std::string& slot, const NamedObject& text);

  std::mt19937_64 random_;
  bool narrow_;
  std::int64_t time_ = 1'700'000'000;
  std::uint32_t actors_ = 0;
};

}  // namespace peat::automerge::interop
