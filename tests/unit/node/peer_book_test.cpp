// Which peers a node keeps, and what becomes of them over restarts and reloads.
#include "node/peer_book.hpp"

#include <gtest/gtest.h>

namespace peat::node {
namespace {

PeerSetting peer(std::uint8_t number, std::uint16_t port = 1) {
  PeerSetting setting;
  setting.id.bytes[0] = number;
  setting.address = {"127.0.0.1", port};
  return setting;
}

TEST(PeerBook, AddedPeersSurviveARestart) {
  PeerBook book{Limits{}};
  auto exempt = peer(2);
  exempt.authenticated = false;
  ASSERT_TRUE(book.add(peer(1)));
  ASSERT_TRUE(book.add(exempt));
  PeerBook next{Limits{}};
  ASSERT_TRUE(next.decode(book.encode()));
  EXPECT_EQ(next.all(), (Peers{peer(1), exempt}));
}

TEST(PeerBook, ADamagedRecordIsAnErrorAndNotAnEmptyBook) {
  PeerBook book{Limits{}};
  EXPECT_FALSE(book.decode(as_bytes("2\n")));
  EXPECT_FALSE(book.decode(as_bytes("1\nnonsense\n")));
}

TEST(PeerBook, AReloadTellsWhatToDialAndWhatToDrop) {
  PeerBook book{Limits{}};
  ASSERT_TRUE(book.add(peer(3)));
  book.set_from_settings({peer(1), peer(2), peer(3)});
  const auto difference = book.set_from_settings({peer(2, 9), peer(4)});
  EXPECT_EQ(difference.added, (std::vector{peer(2, 9), peer(4)}));
  // The third was added by the interface too, and stays.
  EXPECT_EQ(difference.removed, (std::vector{peer(1).id}));
  EXPECT_TRUE(book.added(peer(3).id));
}

TEST(PeerBook, OneMoreThanPeersKeptIsRefused) {
  Limits limits;
  limits.peers_kept = 2;
  PeerBook book(limits);
  ASSERT_TRUE(book.add(peer(1)));
  ASSERT_TRUE(book.add(peer(2)));
  EXPECT_EQ(book.add(peer(3)).error().code, Code::limit_exceeded);
  EXPECT_TRUE(book.add(peer(2, 7)));  // another address for one that is kept
}

}  // namespace
}  // namespace peat::node
