// Document::load and everything that reads a document afterwards. What loads with all hashes
// proved and materialises must survive saving; a lazily loaded one must at least not fall over; one
// that is loaded in two parts either takes the second or stays as it was.
#include "../report.hpp"
#include "custom_mutator.hpp"
#include "demand.hpp"
#include "peat/automerge/document.hpp"
#include "peat/automerge/inspect.hpp"
#include "repair.hpp"

using namespace peat;
using namespace peat::automerge;

namespace {

void read_all(const Document& document) {
  if (!document.materialise()) return;
  fuzz::demand(document.to_json().has_value(), "a materialised document has JSON");
  const auto typed = document.to_json(JsonForm::typed).value();
  Document exact(ActorId{Bytes(16, 2)});
  if (exact.update_from_json(typed, {}, JsonForm::typed)) {
    fuzz::demand(exact.to_json(JsonForm::typed).value() == typed, "typed JSON loses nothing");
  }
  const auto raw = document.save({.deflate = false});
  fuzz::demand(raw.has_value(), "a materialised document can be saved");
  const auto again = Document::load(*raw, {.verify = Verify::full});
  fuzz::demand(again.has_value(), "a saved document loads");
  fuzz::demand(again->heads() == document.heads(), "a saved document keeps its heads");
  fuzz::demand(again->to_json().value() == document.to_json().value(),
               "a saved document keeps its values");
}

// The second half of the chunks read into a document of the first: what is refused changes nothing,
// and what is taken is not taken twice.
void read_in_two_parts(ByteView input) {
  const auto file = inspect::read(input, fuzz::kLimits);
  if (!file || file->chunks.size() < 2) return;
  const auto split = file->chunks[file->chunks.size() / 2].offset;
  auto document = Document::load(input.first(split), {.limits = fuzz::kLimits})
                      .value_or(Document(ActorId{Bytes(16, 3)}));
  if (!document.materialise()) return;
  const auto heads = document.heads();
  const auto json = document.to_json().value();
  const auto rest = input.subspan(split);
  const auto report = document.load_incremental(rest, fuzz::kLimits);
  if (!report) {
    fuzz::demand(document.heads() == heads, "a refused load leaves the heads");
    fuzz::demand(document.to_json().value() == json, "a refused load leaves the values");
    return;
  }
  const auto again = document.load_incremental(rest, fuzz::kLimits);
  fuzz::demand(again && again->applied == 0, "what was loaded is not loaded again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("automerge_load");
  Bytes input(data, data + size);
  fuzz::repair_checksums(input);
  const auto full = Document::load(input, {.verify = Verify::full, .limits = fuzz::kLimits});
  if (full) read_all(*full);

  read_in_two_parts(input);

  const auto lazy = Document::load(input, {.verify = Verify::lazy, .limits = fuzz::kLimits});
  fuzz::demand(lazy.has_value() || !full, "what loads fully loads lazily");
  report.input(lazy.has_value());
  if (!lazy) return 0;
  if (lazy->materialise()) fuzz::demand(lazy->to_json().has_value(), "lazy documents have JSON");
  static_cast<void>(lazy->changes_since({}));
  static_cast<void>(lazy->save());
  const auto stored = lazy->to_stored();
  if (stored) fuzz::demand(Document::from_stored(*stored).has_value(), "a stored document opens");
  return 0;
}
