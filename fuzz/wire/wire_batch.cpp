// Batches of the old dialect: what was decoded must encode to what decodes alike.
#include <cstdlib>

#include "../report.hpp"
#include "wire/batch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace peat;
  using namespace peat::wire;
  static FuzzReport report("wire_batch");
  const auto batch = decode_batch({data, size});
  report.input(batch.has_value());
  if (!batch) return 0;
  Bytes encoded;
  if (!encode(*batch, encoded) || encoded.size() != batch->encoded_size()) std::abort();
  const auto again = decode_batch(encoded);
  if (!again || again->entries != batch->entries || again->skipped != 0) std::abort();
  if (again->id != batch->id || again->created_at_ms != batch->created_at_ms) std::abort();
  return 0;
}
