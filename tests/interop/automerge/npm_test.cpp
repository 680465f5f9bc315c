// The JavaScript package: documents and sessions both ways.
#include <gtest/gtest.h>

#include "peer.hpp"

namespace peat::automerge::interop {
namespace {

std::string word(std::string_view text) { return to_hex_word(as_bytes(text)); }

// Whether their JSON says what our document holds.
void expect_same(OurPeer& ours, const std::string& shown) {
  EXPECT_EQ(ours.document("0").update_from_json(shown, {}).value(), std::nullopt)
      << shown << "\n"
      << ours.ask("json 0");
}

void converse(Peer& a, Peer& b) {
  for (int round = 0; round < 20; ++round) {
    const auto there = a.ask("gen 0 1");
    if (there != "-") {
      ASSERT_EQ(b.ask("recv 0 1 " + there), "");
    }
    const auto back = b.ask("gen 0 1");
    if (back != "-") {
      ASSERT_EQ(a.ask("recv 0 1 " + back), "");
    }
    if (there == "-" && back == "-") return;
  }
  ADD_FAILURE() << "the session did not fall silent";
}

void make_theirs(Peer& theirs) {
  ASSERT_EQ(theirs.ask("new 0 02020202"), "");
  ASSERT_EQ(theirs.ask("set 0 5 " + word("name") + " " + word(R"("depot 🚀")")), "");
  ASSERT_EQ(theirs.ask("set 0 6 " + word("tags") + " " + word(R"([1,2.5,{"x":[null,true]}])")), "");
  ASSERT_EQ(theirs.ask("text 0 7 " + word("name") + " 8 0 " + word("-north")), "");
}

TEST(Npm, TheirDocumentsAreOurs) {
  PEAT_START_PEER(theirs, "npm");
  make_theirs(*theirs);
  OurPeer ours;
  ASSERT_EQ(ours.ask("load 0 0101 " + theirs->ask("save 0")), "");
  EXPECT_EQ(ours.ask("heads 0"), theirs->ask("heads 0"));
  expect_same(ours, theirs->ask("json 0"));
}

TEST(Npm, OurDocumentsAreTheirs) {
  PEAT_START_PEER(theirs, "npm");
  OurPeer ours;
  ours.ask("new 0 0101");
  ASSERT_TRUE(ours.document("0").update_from_json(
      R"({"name":"depot","pos":{"lat":1.5,"lon":-2},"tags":["a",[],{}],"ok":true,"no":null})", {}));
  ours.ask("put 0 _root k:" + word("n") + " counter:4");
  ours.ask("commit 0 9");
  ASSERT_EQ(theirs->ask("load 0 0202 " + ours.ask("save 0 deflate")), "");
  EXPECT_EQ(theirs->ask("heads 0"), ours.ask("heads 0"));
  expect_same(ours, theirs->ask("json 0"));
  OurPeer again;
  ASSERT_EQ(again.ask("load 0 0303 " + theirs->ask("save 0")), "");
  EXPECT_EQ(again.ask("dump 0"), ours.ask("dump 0"));
}

TEST(Npm, SessionsConvergeInBothDirections) {
  PEAT_START_PEER(theirs, "npm");
  for (const bool we_begin : {true, false}) {
    make_theirs(*theirs);
    OurPeer ours;
    ours.ask("new 0 0101");
    ASSERT_TRUE(ours.document("0").update_from_json(R"({"ours":[1,2,3],"name":"x"})", {}));
    ours.ask("state 1");
    theirs->ask("state 1");
    we_begin ? converse(ours, *theirs) : converse(*theirs, ours);
    EXPECT_EQ(ours.ask("heads 0"), theirs->ask("heads 0"));
    expect_same(ours, theirs->ask("json 0"));

    theirs->ask("set 0 20 " + word("later") + " " + word("7"));
    ours.ask("put 0 _root k:6b int:1");
    ours.ask("commit 0 21");
    converse(*theirs, ours);
    EXPECT_EQ(ours.ask("heads 0"), theirs->ask("heads 0"));
    expect_same(ours, theirs->ask("json 0"));
  }
}

}  // namespace
}  // namespace peat::automerge::interop
