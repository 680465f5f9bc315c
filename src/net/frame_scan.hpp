// Finds STOP_SENDING frames in the plaintext of a 1-RTT packet.
//
// ngtcp2 0.12 answers STOP_SENDING by itself and tells the application neither that it came nor
// its code. The endpoint therefore looks at each packet's frames after decryption, where its own
// decrypt callback sees them. Grammar: RFC 9000 section 19.
#pragma once

#include <cstdint>
#include <vector>

#include "peat/bytes.hpp"

namespace peat::net {

struct StopSending {
  std::uint64_t stream = 0;
  std::uint64_t code = 0;
  friend bool operator==(const StopSending&, const StopSending&) = default;
};

// Appends the STOP_SENDING frames of `payload` to `out`. Stops quietly at the first frame that
// it cannot parse: ngtcp2 then ends the connection with the right error. Never allocates but for
// `out`, of which a payload can fill at most a third of its length.
void scan_stop_sending(ByteView payload, std::vector<StopSending>& out);

}  // namespace peat::net
