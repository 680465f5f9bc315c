// Streams of the old dialect. Input: u8 options (bit 0: keyless batches may stand), u8 size of the
// pieces, then the stream. Cutting a stream into pieces must change nothing, every frame must
// survive encoding, and memory must never exceed what arrived.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "../report.hpp"
#include "wire/frame.hpp"

namespace {

using namespace peat;
using namespace peat::wire;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Outcome {
  std::vector<Frame> frames;
  bool failed = false;
  std::uint64_t skipped = 0;
  bool at_boundary = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read_stream(ByteView stream, KeylessBatches keyless, std::size_t piece) {
  FrameReader reader({}, keyless);
  Outcome out;
  while (!stream.empty() && !out.failed) {
    auto part = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(part.size());
    while (true) {
      auto frame = reader.read(part);
      out.failed = !frame;
      if (!frame || !*frame) break;
      out.frames.push_back(std::move(**frame));
    }
  }
  out.skipped = reader.skipped();
  out.at_boundary = reader.at_boundary();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("wire_frame");
  if (size < 2) return 0;
  const auto keyless = (data[0] & 1) != 0 ? KeylessBatches::accept : KeylessBatches::refuse;
  const ByteView stream(data + 2, size - 2);
  const auto whole = read_stream(stream, keyless, stream.size());
  require(whole == read_stream(stream, keyless, std::size_t{data[1]} + 1));
  report.input(!whole.frames.empty());
  std::size_t held = 0;
  for (const auto& frame : whole.frames) {
    held += frame.key.size() + frame.payload.size();
    Bytes encoded;
    require(encode_frame(frame.key, frame.type, frame.payload, encoded).has_value());
    const auto again = read_stream(encoded, KeylessBatches::refuse, encoded.size());
    require(again.frames.size() == 1 && again.frames[0] == frame);
  }
  require(held <= stream.size());
  return 0;
}
