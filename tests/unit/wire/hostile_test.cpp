// A few bytes that announce much: D3h of existing peers, which allocate up to 4 GiB on a
// stranger's word. Whatever is announced, no decoder here asks for more than a little memory.
#include <gtest/gtest.h>

#include <vector>

#include "allocation.hpp"
#include "hex.hpp"
#include "wire/batch.hpp"
#include "wire/frame.hpp"
#include "wire/native.hpp"
#include "wire/tombstone.hpp"

namespace peat::wire {
namespace {

using test::hex;

constexpr std::size_t kLittle = 512 << 10;

void expect_little_memory(std::string_view what, const std::function<bool()>& accepts) {
  bool accepted = true;
  EXPECT_LE(test::largest_allocation([&] { accepted = accepts(); }), kLittle) << what;
  EXPECT_FALSE(accepted) << what;
}

// Whether a whole frame came out.
template <class Reader>
bool reads(const Bytes& bytes) {
  Reader reader;
  ByteView rest = bytes;
  const auto frame = reader.read(rest);
  return frame && *frame;
}

TEST(D3h, OldDialectAllocatesForWhatArrivedOnly) {
  for (const auto* bytes : {"0001 61 00 ffffffff", "0001 61 00 04000000", "ffff 61",
                            "0000 09 01000000", "0000 ff 04000000"}) {
    expect_little_memory(bytes, [&] { return reads<FrameReader>(hex(bytes)); });
  }
  for (const auto* count : {"ffffffff", "00010000"}) {
    const auto batch = hex(std::string("0000000000000001 0000018bcfe56800 05") + count);
    expect_little_memory("batch", [&] { return decode_batch(batch).has_value(); });
  }
  for (const auto* bytes : {"ffffffff", "000f4240", "00000001 ffffffff"}) {
    expect_little_memory(bytes, [&] { return decode_tombstone_batch(hex(bytes)).has_value(); });
  }
}

TEST(D3h, NativeDialectAllocatesForWhatArrivedOnly) {
  for (const auto* bytes : {
           "c0000000ffffffff 01",                    // a frame of 4 GiB
           "81000000 01 00 00",                      // the largest allowed, two bytes of it there
           "06 01 00 00 80010000",                   // 65,536 documents
           "0a 01 00 00 01 01 61 00 80010000",       // 65,536 heads
           "05 04 00 800f4240",                      // 1,000,000 tombstones
           "0d 01 00 01 84000000 0000000000000000",  // 64 MiB inflated from 8 bytes
           "0a 09 00 c0000000ffffffff",              // a reason of 4 GiB
       }) {
    expect_little_memory(bytes, [&] { return reads<NativeReader>(hex(bytes)); });
  }
}

}  // namespace
}  // namespace peat::wire
