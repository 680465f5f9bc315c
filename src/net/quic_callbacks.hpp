// The functions that ngtcp2 calls; they lead into QuicConnection and QuicCore.
#pragma once

#include <ngtcp2/ngtcp2.h>

#include <vector>

#include "net/frame_scan.hpp"

namespace peat::net {

const ngtcp2_callbacks& callback_table();
void qlog_callback(void* connection, std::uint32_t flags, const void* data, std::size_t length);

// While it lives, 1-RTT packets that this thread decrypts are scanned for STOP_SENDING into
// `found`. ngtcp2's decrypt callback is not told which connection it works for.
class ScanScope {
 public:
  explicit ScanScope(std::vector<StopSending>& found);
  ~ScanScope();
  ScanScope(const ScanScope&) = delete;
  ScanScope& operator=(const ScanScope&) = delete;
};

}  // namespace peat::net
