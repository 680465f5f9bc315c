#include "duel.hpp"

#include <algorithm>
#include <iterator>
#include <sstream>
#include <stdexcept>

namespace peat::automerge::interop {
namespace {

constexpr std::size_t kMaxDocuments = 8;

std::vector<std::string> split(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string sorted(const std::string& words) {
  auto all = split(words);
  std::ranges::sort(all);
  return join(all);
}

// The documents that a command other than an edit is on.
std::vector<std::string> slots_of(const std::vector<std::string>& words) {
  if (words[0] == "fork" || words[0] == "merge") return {words[1], words[2]};
  static const std::set<std::string> kOthers = {"new", "commit", "empty", "rollback", "reload"};
  return kOthers.contains(words[0]) ? std::vector{words[1]} : std::vector<std::string>();
}

bool makes_object(const std::string& command) { return command == "make" || command == "insmake"; }

}  // namespace

std::string Duel::symbol(const std::string& object) const {
  const auto found = symbols_.find(object);
  return found == symbols_.end() ? object : found->second;
}

// Puts names for symbols; false if the command is on what is not there.
bool Duel::resolve(std::vector<std::string>& words) const {
  if (words[0] == "new") return true;
  const bool from_another = words[0] == "fork" || words[0] == "merge";
  if (words[0] != "fork" && !slots_.contains(words[1])) return false;
  if (from_another && !slots_.contains(words[2])) return false;
  if (words.size() > 2 && words[2].starts_with("$")) {
    const auto found = made_.find(words[2]);
    if (found == made_.end()) return false;
    words[2] = found->second;
  }
  return true;
}

std::optional<Difference> Duel::both(const std::string& line) {
  const auto ours = ours_.ask(line);
  std::string theirs;
  try {
    theirs = theirs_.ask(line);
  } catch (const std::runtime_error& death) {
    theirs = death.what();
  }
  reply_ = ours;
  if (ours == theirs || (failed(ours) && failed(theirs))) return std::nullopt;
  return Difference{line, ours, theirs};
}

// Commits what a script left open, as the other one's documents do by themselves when looked at.
std::optional<Difference> Duel::settle(const std::string& slot) {
  return pending_.erase(slot) == 0 ? std::nullopt : both("commit " + slot + " " + time_);
}

std::optional<Difference> Duel::compare(const std::string& slot) {
  if (auto difference = settle(slot)) return difference;
  for (const auto* what : {"heads ", "dump "}) {
    if (auto difference = both(what + slot)) return difference;
  }
  const auto ours = ours_.ask("changes " + slot);
  const auto theirs = theirs_.ask("changes " + slot);
  if (ours == theirs) return both("save " + slot + " raw");
  if (old_ && sorted(ours) == sorted(theirs)) return std::nullopt;
  return Difference{"changes " + slot, ours, theirs};
}

std::optional<Difference> Duel::compare_all() {
  for (const auto& slot : slots_) {
    if (auto difference = compare(slot)) return difference;
  }
  return std::nullopt;
}

std::optional<Difference> Duel::play(const Command& command) {
  auto words = split(command.line);
  if (!resolve(words)) return std::nullopt;
  if (words[0] == "compare") return compare(words[1]);
  if (words[0] == "commit" || words[0] == "rollback") pending_.erase(words[1]);
  if (words[0] == "commit" || words[0] == "empty") time_ = words[2];
  if (const auto slots = slots_of(words); !slots.empty()) {
    for (const auto& slot : slots) {
      if (auto difference = settle(slot)) return difference;
    }
  } else {
    pending_.insert(words[1]);
  }
  if (words[0] == "reload") {
    return both("load " + words[1] + " " + words[2] + " " +
                ours_.ask("save " + words[1] + " deflate"));
  }
  const auto line = join(words);
  if (old_ && words[0] == "incr" && !ours_.increments_safely(line)) return std::nullopt;
  if (words[0] == "new" || words[0] == "fork") slots_.insert(words[1]);
  const auto difference = both(line);
  if (!difference && makes_object(words[0]) && !failed(reply_)) {
    const auto symbol = "$" + std::to_string(command.number);
    made_[symbol] = reply_;
    symbols_[reply_] = symbol;
  }
  return difference;
}

std::optional<Difference> Duel::play(const Script& script) {
  for (const auto& command : script) {
    if (auto difference = play(command)) return difference;
  }
  return compare_all();
}

std::optional<Difference> replay(const Script& script, const StartPeer& start, bool old) {
  OurPeer ours;
  const auto theirs = start();
  return Duel(ours, *theirs, old).play(script);
}

Script shrink(Script script, const StartPeer& start, bool old) {
  for (auto piece = script.size() / 2; piece > 0;) {
    bool smaller = false;
    for (std::size_t from = 0; from < script.size();) {
      const auto to = std::min(from + piece, script.size());
      Script without(script.begin(), script.begin() + static_cast<std::ptrdiff_t>(from));
      without.insert(without.end(), script.begin() + static_cast<std::ptrdiff_t>(to), script.end());
      if (replay(without, start, old)) {
        script = std::move(without);
        smaller = true;
      } else {
        from = to;
      }
    }
    // Single commands are tried until none can go.
    if (piece > 1 || !smaller) piece /= 2;
  }
  return script;
}

std::string show(const Script& script, const Difference& difference) {
  std::string out;
  for (const auto& command : script) {
    out += "  " + std::to_string(command.number) + ": " + command.line.substr(0, 400) + "\n";
  }
  return out + "at  " + difference.line.substr(0, 400) + "\nours   " + difference.ours +
         "\ntheirs " + difference.theirs + "\n";
}

std::optional<Difference> RandomDuel::next(const std::string& line) {
  script_.push_back({script_.size(), line});
  return duel_.play(script_.back());
}

std::optional<Difference> RandomDuel::edit_and_commit(const std::string& slot) {
  for (auto edits = 1 + random_.below(8); edits > 0; --edits) {
    auto words = split(random_.edit(slot, ours_.objects(slot)));
    words[2] = duel_.symbol(words[2]);
    ++edits_;
    if (auto difference = next(join(words))) return difference;
  }
  if (random_.chance(5)) return next("rollback " + slot);
  return next("commit " + slot + " " + random_.time() + (random_.chance(30) ? " 6e6f7465" : ""));
}

std::optional<Difference> RandomDuel::step() {
  const auto slot = some_slot();
  if (random_.chance(15)) {
    // Into a new document, or over one that is there: there were more actors than documents.
    const auto to = documents_ < kMaxDocuments ? std::to_string(documents_) : some_slot();
    if (to == slot) return std::nullopt;
    documents_ = std::min(documents_ + 1, kMaxDocuments);
    return next("fork " + to + " " + slot + " " + random_.actor());
  }
  if (random_.chance(20)) {
    const auto other = some_slot();
    return other == slot ? std::nullopt : next("merge " + slot + " " + other);
  }
  if (random_.chance(4)) return next("reload " + slot + " " + random_.actor());
  if (random_.chance(4)) return next("empty " + slot + " " + random_.time());
  if (auto difference = edit_and_commit(slot)) return difference;
  return random_.chance(10) ? next("compare " + slot) : std::nullopt;
}

std::optional<Difference> RandomDuel::run(int steps) {
  if (auto difference = next("new 0 " + random_.actor())) return difference;
  documents_ = 1;
  for (int i = 0; i < steps; ++i) {
    if (auto difference = step()) return difference;
  }
  return duel_.compare_all();
}

}  // namespace peat::automerge::interop
