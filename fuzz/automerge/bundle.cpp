// Bundle chunks from peers, met by an empty document and looked into.
#include <algorithm>

#include "../report.hpp"
#include "custom_mutator.hpp"
#include "demand.hpp"
#include "peat/automerge/document.hpp"
#include "peat/automerge/inspect.hpp"
#include "repair.hpp"

using namespace peat;
using namespace peat::automerge;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("automerge_bundle");
  Bytes input(data, data + size);
  fuzz::repair_checksums(input);
  const auto file = inspect::read(input, fuzz::kLimits);
  fuzz::demand(file.has_value(), "any file can be looked into");
  for (const auto& chunk : file->chunks) {
    static_cast<void>(inspect::operations(
        input, chunk, [](const inspect::Operation&) { return true; }, fuzz::kLimits));
  }

  Document document(ActorId{Bytes(16, 1)});
  const auto result = document.load_incremental(input, fuzz::kLimits);
  report.input(result.has_value());
  if (!result) return 0;
  const auto hashes = document.hashes_since({});
  const auto bundle = document.bundle(hashes);
  fuzz::demand(bundle.has_value(), "changes can be bundled");
  const auto again = Document::load(*bundle);
  fuzz::demand(again.has_value(), "our own bundle is read");
  auto back = again->hashes_since({});
  auto there = hashes;
  std::ranges::sort(back);
  std::ranges::sort(there);
  fuzz::demand(back == there, "a bundle holds the changes that it was made of");
  return 0;
}
