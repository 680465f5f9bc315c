// Bundles of the reference, and ours in its hands. Two bundles of the same changes need not be
// equal bytes, so what comes out of them is compared.
#include <gtest/gtest.h>

#include "peer.hpp"
#include "random_script.hpp"

namespace peat::automerge::interop {
namespace {

// One history on both engines.
void play(OurPeer& ours, Peer& theirs, std::uint64_t seed) {
  RandomScript script(seed);
  const auto both = [&](const std::string& line) {
    const auto reply = ours.ask(line);
    const auto other = theirs.ask(line);
    EXPECT_TRUE(reply == other || (failed(reply) && failed(other))) << line;
  };
  both("new 0 " + script.actor());
  both("fork 1 0 " + script.actor());
  for (int i = 0; i < 30; ++i) {
    const auto slot = std::to_string(script.below(2));
    for (int n = 0; n < 4; ++n) both(script.edit(slot, ours.objects(slot)));
    both("commit " + slot + " " + script.time() + " 6e6f7465");
    if (script.chance(20)) both("merge " + slot + (slot == "0" ? " 1" : " 0"));
  }
  both("merge 0 1");
}

std::string words(std::span<const ChangeHash> hashes) {
  std::string out;
  for (const auto& hash : hashes) out += " " + hash.to_string();
  return out;
}

TEST(Bundles, TheirsAreReadAndOursAreReadByThem) {
  PEAT_START_PEER(theirs, "am12");
  std::size_t our_bytes = 0;
  std::size_t their_bytes = 0;
  for (std::uint64_t seed = 1; seed <= 20 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    OurPeer ours;
    play(ours, *theirs, seed);
    const auto hashes = ours.document("0").hashes_since({});
    for (const std::size_t skip : {std::size_t{0}, hashes.size() / 3}) {
      const auto some = std::span(hashes).subspan(skip);
      const auto from_them = theirs->ask("bundle 0" + words(some));
      ASSERT_FALSE(failed(from_them)) << from_them;
      const auto from_us = to_hex_word(ours.document("0").bundle(some).value());
      our_bytes += from_us.size() / 2;
      their_bytes += from_them.size() / 2;

      // Into a document that has what the bundle lacks.
      for (auto* peer : {static_cast<Peer*>(&ours), static_cast<Peer*>(theirs.get())}) {
        ASSERT_EQ(peer->ask("new 5 0505"), "");
        if (skip != 0) {
          const auto before = ours.document("0").bundle(std::span(hashes).first(skip)).value();
          ASSERT_EQ(peer->ask("loadinc 5 " + to_hex_word(before)), "");
        }
        ASSERT_EQ(peer->ask("loadinc 5 " + (peer == &ours ? from_them : from_us)), "");
        EXPECT_EQ(peer->ask("heads 5"), ours.ask("heads 0"));
        EXPECT_EQ(peer->ask("dump 5"), ours.ask("dump 0"));
      }
    }
  }
  RecordProperty("our_bytes", static_cast<int>(our_bytes));
  RecordProperty("their_bytes", static_cast<int>(their_bytes));
  EXPECT_LT(our_bytes, their_bytes * 12 / 10);
}

}  // namespace
}  // namespace peat::automerge::interop
