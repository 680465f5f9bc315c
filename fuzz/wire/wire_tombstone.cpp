// Tombstones and their batches. Input: u8 (even: one tombstone, odd: a batch), then the bytes.
#include <cstdlib>

#include "../report.hpp"
#include "wire/tombstone.hpp"

namespace {

using namespace peat;
using namespace peat::wire;

void require(bool condition) {
  if (!condition) std::abort();
}

bool one(ByteView input) {
  const auto tombstone = decode_tombstone(input);
  if (!tombstone) return false;
  Bytes encoded;
  require(encode(*tombstone, encoded).has_value());
  require(decode_tombstone(encoded).value() == *tombstone);
  require(!supersedes(*tombstone, *tombstone));
  return true;
}

bool batch(ByteView input) {
  const auto batch = decode_tombstone_batch(input);
  if (!batch) return false;
  Bytes encoded;
  const auto count = encode_tombstone_batch(batch->tombstones, encoded).value();
  const auto again = decode_tombstone_batch(encoded).value();
  require(again.malformed == 0 && again.tombstones.size() == count);
  for (std::size_t i = 0; i < count; ++i) require(again.tombstones[i] == batch->tombstones[i]);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("wire_tombstone");
  if (size < 1) return 0;
  const ByteView input(data + 1, size - 1);
  report.input((data[0] & 1) == 0 ? one(input) : batch(input));
  return 0;
}
