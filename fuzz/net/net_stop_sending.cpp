// The plaintext of a 1-RTT packet. Each frame found was there, byte for byte: the scan of a
// payload that ends right after a frame finds it, too, and one that lacks its last byte does not.
#include <cstdlib>

#include "../report.hpp"
#include "net/frame_scan.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace peat::net;
  static FuzzReport report("net_stop_sending");
  const peat::ByteView payload(data, size);
  std::vector<StopSending> found;
  scan_stop_sending(payload, found);
  report.input(!found.empty());
  if (found.size() * 3 > size) std::abort();
  std::size_t seen = 0;
  for (std::size_t end = 0; end <= size; ++end) {
    std::vector<StopSending> part;
    scan_stop_sending(payload.first(end), part);
    if (part.size() < seen || part.size() > seen + 1 || part.size() > found.size()) std::abort();
    seen = part.size();
    for (std::size_t i = 0; i < part.size(); ++i) {
      if (!(part[i] == found[i])) std::abort();
    }
    if (size > 512) break;  // the whole walk is quadratic
  }
  return 0;
}
