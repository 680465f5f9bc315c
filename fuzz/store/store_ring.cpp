// The ring of a store's keys. Input: u16le (a place), u8 (what is done to it), then a row of
// anybody's making. A ring that was changed anywhere is refused; no input takes memory that is not
// there.
#include <cstdlib>

#include "../report.hpp"
#include "store/sealing.hpp"

namespace {

using namespace peat;
using namespace peat::store;

void require(bool condition) {
  if (!condition) std::abort();
}

StoreKeys keys() {
  StoreKeys out;
  out.key.emplace(StoreKey{StoreKey::Kind::key, crypto::SecretBytes(Bytes(32, 7)), {}});
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("store_ring");
  static SeededRandom random(1);
  static const auto ring = SealingRing::create(*keys().key, true, random).value();
  if (size < 3) return 0;
  auto row = ring->with_walk({Table::feed, "place"})->encode();
  require(SealingRing::open(row, keys(), random).has_value());
  const auto place = (data[0] + std::size_t{256} * data[1]) % row.size();
  const auto change = data[2];
  row[place] ^= change;
  require(SealingRing::open(row, keys(), random).has_value() == (change == 0));
  report.input(SealingRing::open({data + 3, size - 3}, keys(), random).has_value());
  return 0;
}
