// What our programs owe their operating system: no core dumps (they would hold the keys); a daemon
// also a small heap, and word to the service manager.
#pragma once

#include <string_view>

namespace peat::daemon {

void harden_process();
// One heap arena: a second thread exists only to wait for the disk.
void keep_heap_small();
// One message of the sd_notify protocol ("READY=1") to $NOTIFY_SOCKET; nothing without it.
void notify_service_manager(std::string_view state);

}  // namespace peat::daemon
