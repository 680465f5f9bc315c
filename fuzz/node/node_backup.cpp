// A backup gives the same bytes of the store and the same verdict however it is cut; what passes is
// as long as it says.
//
//   input := u8 length of the pieces less one, backup
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "../report.hpp"
#include "base/encoding.hpp"
#include "node/backup.hpp"

using namespace peat;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

struct Outcome {
  bool good = false;
  Bytes store;
};

Outcome take(ByteView backup, std::size_t piece) {
  node::BackupCheck check;
  Outcome out;
  while (!backup.empty()) {
    const auto store = check.feed(backup.first(std::min(piece, backup.size())));
    if (!store) return out;
    out.store.insert(out.store.end(), store->begin(), store->end());
    backup = backup.subspan(std::min(piece, backup.size()));
  }
  out.good = check.finish().has_value();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  Bytes backup(data + 1, data + size);
  // The digest of what it holds, so that it is more than that which is looked at.
  constexpr std::size_t kHeader = 14 + 8;
  if (backup.size() >= kHeader + 32) {
    const auto content = ByteView(backup).subspan(kHeader, backup.size() - kHeader - 32);
    const auto digest = sha256(content);
    std::ranges::copy(digest, backup.end() - 32);
  }
  const auto whole = take(backup, backup.size());
  const auto cut = take(backup, std::size_t{data[0]} + 1);
  static FuzzReport report("node_backup");
  report.input(whole.good);
  require(whole.good == cut.good);
  require(!whole.good || whole.store == cut.store);
  require(!whole.good || whole.store.size() == backup.size() - kHeader - 32);
  return 0;
}
