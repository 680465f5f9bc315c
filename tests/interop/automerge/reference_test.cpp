// What docs/automerge-operations.md says of the reference, so that the page is true of the pinned
// versions: above all the faults that ours must not have.
#include <gtest/gtest.h>

#include "peer.hpp"

namespace peat::automerge::interop {
namespace {

std::string word(std::string_view text) { return to_hex_word(as_bytes(text)); }

class Reference : public testing::TestWithParam<const char*> {};

// A text "hello" in document 0, object 1@01, ids 2 to 6.
void write_hello(Peer& peer) {
  peer.ask("units codepoint");
  peer.ask("new 0 01");
  ASSERT_EQ(peer.ask("make 0 _root k:74 text"), "1@01");
  ASSERT_EQ(peer.ask("splice 0 1@01 0 0 " + word("hello")), "");
  peer.ask("commit 0 1");
}

TEST_P(Reference, MarkThatFailsLeavesItsBeginBehind) {
  PEAT_START_PEER(peer, GetParam());
  write_hello(*peer);
  EXPECT_TRUE(failed(peer->ask("mark 0 1@01 0 100 62 true both")));
  EXPECT_NE(peer->ask("commit 0 2"), "-");
  EXPECT_EQ(peer->ask("marks 0 1@01"), "0:5:62=true");
}

TEST_P(Reference, MarkOfNothingIsAnOperationIfItExpands) {
  PEAT_START_PEER(peer, GetParam());
  write_hello(*peer);
  peer->ask("mark 0 1@01 2 2 62 true none");
  EXPECT_EQ(peer->ask("commit 0 2"), "-");
  peer->ask("mark 0 1@01 2 2 62 true after");
  EXPECT_NE(peer->ask("commit 0 2"), "-");
}

TEST_P(Reference, ListThatGetsShorterLosesItsFront) {
  PEAT_START_PEER(peer, GetParam());
  peer->ask("new 0 01");
  peer->ask("updateobject 0 _root " + word(R"({"a":[1,2,3]})"));
  peer->ask("commit 0 1");
  peer->ask("updateobject 0 _root " + word(R"({"a":[1]})"));
  EXPECT_EQ(peer->ask("dump 0"), "map@_root{61=[list@1@01<[int:3@4@01]>]}");
}

TEST_P(Reference, TablesAreMadeAndNeverFoundAgain) {
  PEAT_START_PEER(peer, GetParam());
  peer->ask("new 0 01");
  ASSERT_EQ(peer->ask("make 0 _root k:74 table"), "1@01");
  EXPECT_TRUE(failed(peer->ask("put 0 1@01 k:61 int:1")));
  EXPECT_EQ(peer->ask("get 0 1@01 k:61"), "[]");
}

TEST_P(Reference, JoinDeletesACharacter) {
  PEAT_START_PEER(peer, GetParam());
  write_hello(*peer);
  EXPECT_EQ(peer->ask("join 0 1@01 1"), "");
  EXPECT_EQ(peer->ask("text 0 1@01"), word("hllo"));
}

TEST_P(Reference, CursorOfADeletedCharacterFindsItsNeighbour) {
  PEAT_START_PEER(peer, GetParam());
  write_hello(*peer);
  EXPECT_EQ(peer->ask("cursor 0 1@01 2 before"), "-4@01 010301010401");
  EXPECT_EQ(peer->ask("cursor 0 1@01 2 after"), "4@01 010301010402");
  EXPECT_TRUE(failed(peer->ask("cursor 0 1@01 5 after")));
  peer->ask("splice 0 1@01 1 2 -");
  EXPECT_EQ(peer->ask("seek 0 1@01 -4@01"), "0");
  EXPECT_EQ(peer->ask("seek 0 1@01 4@01"), "1");
  EXPECT_EQ(peer->ask("cursorbytes 00010103"), "3@01");
}

TEST_P(Reference, TransactionAtOldHeadsHasADerivedActor) {
  PEAT_START_PEER(peer, GetParam());
  write_hello(*peer);
  const auto heads = peer->ask("heads 0");
  peer->ask("put 0 _root k:61 int:1");
  peer->ask("commit 0 2");
  peer->ask("isolate 0 " + heads);
  EXPECT_EQ(peer->ask("get 0 _root k:61"), "[]");
  peer->ask("put 0 _root k:61 int:2");
  peer->ask("commit 0 3");
  peer->ask("integrate 0");
  EXPECT_EQ(peer->ask("get 0 _root k:61"), "[int:1@7@01,int:2@8@13b223090101]");
}

INSTANTIATE_TEST_SUITE_P(Automerge, Reference, testing::Values("am07", "am12"),
                         [](const auto& peer) { return std::string(peer.param); });

// Only 0.12 has it.
TEST(NewestReference, RootMadeOverObjectsIsNotWhatItsPeersSee) {
  PEAT_START_PEER(peer, "am12");
  peer->ask("new 0 01");
  peer->ask("make 0 _root k:62 map");
  peer->ask("put 0 1@01 k:78 int:1");
  peer->ask("commit 0 1");
  peer->ask("initroot 0 " + word(R"({"b":5})"));
  peer->ask("commit 0 2");
  peer->ask("new 1 02");
  const auto changes = peer->ask("changes 0");
  const auto space = changes.find(' ');
  for (const auto& change : {changes.substr(0, space), changes.substr(space + 1)}) {
    ASSERT_EQ(peer->ask("loadinc 1 " + change), "");
  }
  EXPECT_EQ(peer->ask("heads 0"), peer->ask("heads 1"));
  EXPECT_NE(peer->ask("dump 0"), peer->ask("dump 1"));

  // Ours sees what the change says, and refuses the file, whose rows are out of order.
  OurPeer ours;
  ours.ask("new 0 03");
  ASSERT_EQ(ours.ask("loadinc 0 " + changes.substr(0, space)), "");
  ASSERT_EQ(ours.ask("loadinc 0 " + changes.substr(space + 1)), "");
  EXPECT_EQ(ours.ask("dump 0"), peer->ask("dump 1"));
  EXPECT_TRUE(failed(ours.ask("load 1 03 " + peer->ask("save 0 raw"))));
}

}  // namespace
}  // namespace peat::automerge::interop
