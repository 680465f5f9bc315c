// The same random script on our engine and on the reference: every reply must be the same, down to
// the bytes of raw saves. Only the order in which 0.7 applies merged changes was another; where it
// shows, its saves are compared without it. A script that fails is shrunk to what matters.
#include <gtest/gtest.h>

#include <cstdlib>

#include "duel.hpp"

namespace peat::automerge::interop {
namespace {

// How much runs: by day, and with PEAT_NIGHT set.
std::uint64_t by_night(std::uint64_t day, std::uint64_t night) {
  return std::getenv("PEAT_NIGHT") != nullptr ? night : day;
}

class Scripts : public testing::TestWithParam<const char*> {};

// Runs random scripts until `edits` edits were made; the first that differs is shrunk and shown.
void run_scripts(const std::string& name, std::size_t edits, int steps) {
  const StartPeer start = [&] { return ForeignPeer::start(name); };
  const bool old = name == "am07";
  const auto peer = start();
  std::size_t made = 0;
  for (std::uint64_t seed = 1; made < edits; ++seed) {
    RandomDuel duel(*peer, seed, old, name == "npm");
    if (duel.run(steps)) {
      const auto script = shrink(duel.script(), start, old);
      const auto difference = replay(script, start, old);
      FAIL() << "seed " << seed << "\n" << (difference ? show(script, *difference) : "not again");
    }
    made += duel.edits();
  }
}

TEST_P(Scripts, GiveTheSameHashesDocumentsAndBytes) {
  PEAT_START_PEER(peer, GetParam());
  run_scripts(GetParam(), by_night(50'000, 2'000'000), 60);
}

TEST_P(Scripts, OfManyActorsGiveTheSameHashesDocumentsAndBytes) {
  PEAT_START_PEER(peer, GetParam());
  run_scripts(GetParam(), by_night(5'000, 100'000), 600);
}

TEST(NpmScripts, GiveTheSameHashesDocumentsAndBytes) {
  PEAT_START_PEER(peer, "npm");
  run_scripts("npm", by_night(2'000, 50'000), 60);
}

// An engine that forgets deletions, and takes no notice of it.
class Forgetful final : public Peer {
 public:
  std::string ask(const std::string& line) override {
    return line.starts_with("delete") ? "" : ours_.ask(line);
  }

 private:
  OurPeer ours_;
};

TEST(Shrinking, LeavesTheCommandsThatMatter) {
  const StartPeer start = [] { return std::make_unique<Forgetful>(); };
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Forgetful forgetful;
    RandomDuel duel(forgetful, seed, false);
    ASSERT_TRUE(duel.run(100));
    const auto script = shrink(duel.script(), start, false);
    const auto difference = replay(script, start, false);
    ASSERT_TRUE(difference);
    const auto shown = show(script, *difference);
    EXPECT_NE(shown.find("delete"), std::string::npos) << shown;
    EXPECT_LE(script.size(), 5u) << shown;
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
  for (std::uint64_t seed = 1; seed <= by_night(40, 600) && !HasFailure(); ++seed) {
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
