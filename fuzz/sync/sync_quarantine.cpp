// Any bytes are a list of quarantined documents or an error; a list survives encoding; an error
// leaves the list as it was.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "../report.hpp"
#include "sync/quarantine.hpp"

using namespace peat;
using namespace peat::sync;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Quarantine list(64);
  list.note("t:kept", QuarantineKind::corrupt, {Code::malformed, "before"}, std::nullopt, {});
  const auto before = list.encode();
  static FuzzReport report("sync_quarantine");
  const bool good = list.decode({data, size}).has_value();
  report.input(good);
  if (!good) {
    require(list.encode() == before);
    return 0;
  }
  require(list.list().size() <= 64);
  const auto record = list.encode();
  Quarantine again(64);
  require(again.decode(record).has_value());
  require(again.encode() == record);
  return 0;
}
