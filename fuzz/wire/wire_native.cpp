// Streams of the native dialect. Input: u8 size of the pieces, then the stream. Cutting a stream
// into pieces must change nothing; every frame must survive encoding, plain and compressed.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "../report.hpp"
#include "wire/native.hpp"

namespace {

using namespace peat;
using namespace peat::wire;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Outcome {
  std::vector<NativeFrame> frames;
  bool failed = false;
  std::uint64_t skipped = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read_stream(ByteView stream, std::size_t piece) {
  NativeReader reader;
  Outcome out;
  std::size_t arrived = 0;
  while (!stream.empty() && !out.failed) {
    auto part = stream.first(std::min(piece, stream.size()));
    stream = stream.subspan(part.size());
    arrived += part.size();
    while (true) {
      auto frame = reader.read(part);
      out.failed = !frame;
      if (!frame || !*frame) break;
      out.frames.push_back(std::move(**frame));
    }
    require(reader.buffered() <= arrived);
  }
  out.skipped = reader.skipped();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("wire_native");
  if (size < 1) return 0;
  const ByteView stream(data + 1, size - 1);
  const auto whole = read_stream(stream, stream.size());
  require(whole == read_stream(stream, std::size_t{data[0]} + 1));
  report.input(!whole.frames.empty());
  for (const auto& frame : whole.frames) {
    for (const auto compression : {Compression::none, Compression::deflate}) {
      Bytes encoded;
      const auto status = encode(frame, encoded, compression);
      // What was compressed may be too large for a frame when it is not.
      if (!status && status.error().code == Code::limit_exceeded) continue;
      require(status.has_value());
      const auto again = read_stream(encoded, encoded.size());
      require(again.frames.size() == 1 && again.frames[0] == frame);
    }
    if (const auto* hello = std::get_if<Hello>(&frame)) {
      const auto agreed = negotiate(make_hello(), *hello);
      require(!agreed || agreed->version == kNativeVersionMax);
    }
  }
  return 0;
}
