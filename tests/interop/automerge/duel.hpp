// Plays a script on our engine and on another one, finds where they part, and takes away what does
// not matter to it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "peer.hpp"
#include "random_script.hpp"

namespace peat::automerge::interop {

// A command of the language, or one of these:
//   compare SLOT        heads, every value, every change and the raw save are the same
//   reload SLOT ACTOR   both load what our side saves
// An object that command n of the script made is `$n`, so that the rest of a script still means
// something when commands are taken out of it. A command on what was not made is passed over.
struct Command {
  std::size_t number;
  std::string line;
};
using Script = std::vector<Command>;

struct Difference {
  std::string line;  // as it was sent
  std::string ours;
  std::string theirs;
};

class Duel {
 public:
  // `old`: the other one is 0.7, which applies merged changes in another order and gets some
  // increments wrong; these are passed over, and saves compared where the order is the same.
  Duel(OurPeer& ours, Peer& theirs, bool old) : ours_(ours), theirs_(theirs), old_(old) {}

  std::optional<Difference> play(const Command& command);
  std::optional<Difference> play(const Script& script);  // and compares every document at the end
  std::optional<Difference> compare_all();

  // The name that an object of our documents has in scripts.
  std::string symbol(const std::string& object) const;

 private:
  std::optional<Difference> both(const std::string& line);
  std::optional<Difference> compare(const std::string& slot);
  std::optional<Difference> settle(const std::string& slot);
  bool resolve(std::vector<std::string>& words) const;

  OurPeer& ours_;
  Peer& theirs_;
  bool old_;
  std::string reply_;                // ours, to the last line
  std::string time_ = "1700000000";  // of the last commit
  std::set<std::string> slots_;
  std::set<std::string> pending_;            // documents with edits that are not committed
  std::map<std::string, std::string> made_;  // by symbol, the object's name
  std::map<std::string, std::string> symbols_;
};

using StartPeer = std::function<std::unique_ptr<Peer>()>;

// The least part of `script` that one can get to by taking out commands and that still differs.
Script shrink(Script script, const StartPeer& start, bool old);
std::optional<Difference> replay(const Script& script, const StartPeer& start, bool old);
std::string show(const Script& script, const Difference& difference);

// A random script of several replicas that edit, fork, merge, load and commit.
class RandomDuel {
 public:
  RandomDuel(Peer& theirs, std::uint64_t seed, bool old, bool narrow = false)
      : duel_(ours_, theirs, old), random_(seed, narrow) {}

  std::optional<Difference> run(int steps);
  const Script& script() const { return script_; }
  std::size_t edits() const { return edits_; }

 private:
  std::optional<Difference> step();
  std::optional<Difference> edit_and_commit(const std::string& slot);
  std::optional<Difference> next(const std::string& line);
  std::string some_slot() { return std::to_string(random_.below(documents_)); }

  OurPeer ours_;
  Duel duel_;
  RandomScript random_;
  Script script_;
  std::size_t documents_ = 0;
  std::size_t edits_ = 0;
};

}  // namespace peat::automerge::interop
