// Change chunks from peers: whatever passes inspect_change can be relayed, saved and rebuilt.
#include <array>

#include "../report.hpp"
#include "custom_mutator.hpp"
#include "demand.hpp"
#include "peat/automerge/document.hpp"
#include "repair.hpp"

using namespace peat;
using namespace peat::automerge;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("automerge_change");
  Bytes chunk(data, data + size);
  fuzz::repair_checksums(chunk);
  const auto info = inspect_change(chunk, fuzz::kLimits);
  report.input(info.has_value());

  Document document(ActorId{Bytes(16, 1)});
  const std::array<ByteView, 1> chunks{chunk};
  const auto result = document.apply_changes(chunks, fuzz::kLimits);
  fuzz::demand(info.has_value() || !result, "what inspect_change refuses is not applied");
  if (!result) return 0;
  fuzz::demand(document.change_count() == result->applied, "applied changes are in the graph");
  if (result->applied == 0) return 0;
  fuzz::demand(document.has_change(info->hash), "the change has the hash that was found");
  if (!document.materialise()) return 0;
  const auto raw = document.save({.deflate = false});
  fuzz::demand(raw.has_value(), "an applied change can be saved");
  const auto again = Document::load(*raw, {.verify = Verify::full});
  fuzz::demand(again.has_value(), "a saved change can be rebuilt");
  fuzz::demand(again->heads() == document.heads(), "a rebuilt change has its hash");
  fuzz::demand(again->to_json().value() == document.to_json().value(),
               "a rebuilt change has its values");
  return 0;
}
