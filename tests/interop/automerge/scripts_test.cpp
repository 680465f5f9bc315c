// The same random script on our engine and on the reference: every reply must be the same, down to
// the bytes of raw saves. Only the order in which 0.7 applies merged changes was another; where it
// shows, its saves are compared without it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <sstream>

#include "peer.hpp"
#include "random_script.hpp"

namespace peat::automerge::interop {
namespace {

// How many scripts run: by day, and with PEAT_NIGHT set.
std::uint64_t seeds(std::uint64_t day, std::uint64_t night) {
  return std::getenv("PEAT_NIGHT") != nullptr ? night : day;
}

class Scripts : public testing::TestWithParam<const char*> {};

std::vector<std::string> sorted_words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words(std::istream_iterator<std::string>(in), {});
  std::ranges::sort(words);
  return words;
}

// Runs one script, up to the first difference.
class Duel {
 public:
  Duel(Peer& theirs, std::uint64_t seed, bool old) : theirs_(theirs), script_(seed), old_(old) {}

  void run(int steps) {
    both("new 0 " + script_.actor());
    documents_ = 1;
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) step();
    for (int i = 0; i < documents_ && !testing::Test::HasFailure(); ++i) {
      compare(std::to_string(i));
    }
  }

 private:
  std::string both(const std::string& line) {
    const auto ours = ours_.ask(line);
    const auto theirs = theirs_.ask(line);
    if (failed(ours) && failed(theirs)) return ours;
    EXPECT_EQ(ours, theirs) << "after " << line.substr(0, 400);
    return ours;
  }

  void step() {
    const auto slot = std::to_string(script_.below(static_cast<std::size_t>(documents_)));
    if (script_.chance(15) && documents_ < 5) {
      both("fork " + std::to_string(documents_++) + " " + slot + " " + script_.actor());
    } else if (script_.chance(20)) {
      const auto other = std::to_string(script_.below(static_cast<std::size_t>(documents_)));
      if (other != slot) both("merge " + slot + " " + other);
    } else if (script_.chance(4)) {
      const auto saved = ours_.ask("save " + slot + " deflate");
      both("load " + slot + " " + script_.actor() + " " + saved);
    } else if (script_.chance(4)) {
      both("empty " + slot + " " + script_.time());
    } else {
      for (auto edits = 1 + script_.below(8); edits > 0; --edits) {
        const auto line = script_.edit(slot, ours_.objects(slot));
        if (old_ && line.starts_with("incr") && !ours_.increments_safely(line)) continue;
        both(line);
        if (testing::Test::HasFailure()) return;
      }
      const bool message = script_.chance(30);
      both("commit " + slot + " " + script_.time() + (message ? " 6e6f7465" : ""));
    }
    if (script_.chance(10)) compare(slot);
  }

  void compare(const std::string& slot) {
    both("heads " + slot);
    both("dump " + slot);
    if (!old_ || ours_.ask("changes " + slot) == theirs_.ask("changes " + slot)) {
      both("changes " + slot);
      both("save " + slot + " raw");
    } else {
      EXPECT_EQ(sorted_words(ours_.ask("changes " + slot)),
                sorted_words(theirs_.ask("changes " + slot)));
    }
  }

  OurPeer ours_;
  Peer& theirs_;
  RandomScript script_;
  bool old_;
  int documents_ = 0;
};

TEST_P(Scripts, GiveTheSameHashesDocumentsAndBytes) {
  PEAT_START_PEER(peer, GetParam());
  for (std::uint64_t seed = 1; seed <= seeds(60, 2000) && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Duel(*peer, seed, GetParam() == std::string_view("am07")).run(60);
  }
}

// Sides of a session: document `slot` of `peer`, state 1.
struct Side {
  Peer& peer;
  std::string slot;

  std::string generate() { return peer.ask("gen " + slot + " 1"); }
  void receive(const std::string& message) {
    const auto reply = peer.ask("recv " + slot + " 1 " + message);
    EXPECT_FALSE(failed(reply)) << reply;
  }
};

void converse(Side first, Side second) {
  for (int round = 0; round < 30; ++round) {
    const auto there = first.generate();
    ASSERT_FALSE(failed(there)) << there;
    if (there != "-") second.receive(there);
    const auto back = second.generate();
    ASSERT_FALSE(failed(back)) << back;
    if (back != "-") first.receive(back);
    if (there == "-" && back == "-") return;
  }
  ADD_FAILURE() << "the session did not fall silent";
}

void edit(RandomScript& script, OurPeer& shape, Peer& peer, const std::string& slot, int commits,
          bool old) {
  for (int i = 0; i < commits; ++i) {
    for (int n = 0; n < 4; ++n) {
      const auto line = script.edit(slot, shape.objects(slot));
      if (line.starts_with("incr") && old && !shape.increments_safely(line)) continue;
      shape.ask(line);
      if (&peer != &shape) peer.ask(line);
    }
    const auto commit = "commit " + slot + " " + script.time();
    shape.ask(commit);
    if (&peer != &shape) peer.ask(commit);
  }
}

TEST_P(Scripts, SyncSessionsConvergeInBothDirections) {
  PEAT_START_PEER(theirs, GetParam());
  const bool old = GetParam() == std::string_view("am07");
  for (std::uint64_t seed = 1; seed <= seeds(40, 600) && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomScript script(seed);
    OurPeer ours;
    OurPeer twin;  // follows their edits, so that the script knows what they hold
    ours.ask("new 0 " + script.actor());
    edit(script, ours, ours, "0", static_cast<int>(script.below(30)), old);
    const auto theirs_actor = script.actor();
    if (script.chance(50)) {
      const auto load = "load 0 " + theirs_actor + " " + ours.ask("save 0 raw");
      theirs->ask(load);
      twin.ask(load);
    } else {
      theirs->ask("new 0 " + theirs_actor);
      twin.ask("new 0 " + theirs_actor);
    }
    for (auto* peer : {static_cast<Peer*>(&ours), static_cast<Peer*>(theirs.get())}) {
      peer->ask("state 1");
    }
    for (int meeting = 0; meeting < 3 && !HasFailure(); ++meeting) {
      edit(script, ours, ours, "0", static_cast<int>(script.below(6)), old);
      edit(script, twin, *theirs, "0", static_cast<int>(script.below(25)), old);
      if (script.chance(50)) {
        converse({ours, "0"}, {*theirs, "0"});
      } else {
        converse({*theirs, "0"}, {ours, "0"});
      }
      ASSERT_EQ(ours.ask("heads 0"), theirs->ask("heads 0"));
      ASSERT_EQ(ours.ask("dump 0"), theirs->ask("dump 0"));
      ASSERT_EQ(ours.ask("statesave 1"), theirs->ask("statesave 1"));
      twin.ask("loadinc 0 " + ours.ask("save 0 raw"));
      // The next meeting begins with the persisted states, as after a reconnect.
      const auto state = "stateload 1 " + ours.ask("statesave 1");
      ours.ask(state);
      theirs->ask(state);
    }
  }
}

TEST_P(Scripts, TheyAcceptOurMessagesAndServeUsAfterALoss) {
  PEAT_START_PEER(theirs, GetParam());
  OurPeer ours;
  ours.ask("new 0 0101");
  theirs->ask("new 0 0202");
  for (int i = 0; i < 20; ++i) {
    theirs->ask("put 0 _root k:6b int:" + std::to_string(i));
    theirs->ask("commit 0 " + std::to_string(i));
  }
  ours.ask("state 1");
  theirs->ask("state 1");
  const auto first = ours.ask("gen 0 1");
  EXPECT_EQ(first, "42000001000000020284");
  EXPECT_EQ(theirs->ask("recv 0 1 " + first), "");
  const auto answer = theirs->ask("gen 0 1");
  EXPECT_TRUE(answer.starts_with("43")) << "they did not take us for a peer that reads version 2";
  ours.ask("recv 0 1 " + answer);
  converse({ours, "0"}, {*theirs, "0"});
  const auto heads = ours.ask("heads 0");
  EXPECT_EQ(heads, theirs->ask("heads 0"));

  // We lose the document, they keep their state of this very session.
  ours.ask("new 0 0303");
  ours.ask("state 1");
  converse({ours, "0"}, {*theirs, "0"});
  EXPECT_EQ(ours.ask("heads 0"), heads);

  // They lose theirs, we keep our state.
  theirs->ask("new 0 0404");
  theirs->ask("state 1");
  converse({*theirs, "0"}, {ours, "0"});
  EXPECT_EQ(theirs->ask("heads 0"), heads);
}

TEST_P(Scripts, JsonIsTheSameDocumentOnBothSides) {
  PEAT_START_PEER(theirs, GetParam());
  OurPeer ours;
  ours.ask("new 0 0101");
  const std::string_view json =
      R"({"a":[1,-2,2.5,1e300,0.1,"é🚀",null,true,{"b":{"c":[]}}],"big":18446744073709551615})";
  ASSERT_TRUE(ours.document("0").update_from_json(json, {}));
  ASSERT_EQ(theirs->ask("load 0 0202 " + ours.ask("save 0 deflate")), "");
  const auto shown = theirs->ask("json 0");
  EXPECT_EQ(ours.document("0").update_from_json(shown, {}).value(), std::nullopt) << shown;
  EXPECT_EQ(ours.ask("dump 0"), theirs->ask("dump 0"));
}

INSTANTIATE_TEST_SUITE_P(Automerge, Scripts, testing::Values("am07", "am12"),
                         [](const auto& peer) { return std::string(peer.param); });

}  // namespace
}  // namespace peat::automerge::interop
