// JSON into a document and out again. The input is one or two texts, split at the first byte 0xff
// (which no JSON text contains): the second updates what the first made.
#include <algorithm>

#include "../report.hpp"
#include "demand.hpp"
#include "peat/automerge/document.hpp"

using namespace peat;
using namespace peat::automerge;

namespace {

void round_trip(const Document& document) {
  const auto json = document.to_json();
  fuzz::demand(json.has_value(), "a document has JSON");
  Document copy(ActorId{Bytes(16, 2)});
  fuzz::demand(copy.update_from_json(*json, {}).has_value(), "our own JSON is read");
  fuzz::demand(copy.to_json().value() == *json, "JSON comes back as it went");
  const auto typed = document.to_json(JsonForm::typed).value();
  Document exact(ActorId{Bytes(16, 2)});
  const auto read = exact.update_from_json(typed, {}, JsonForm::typed);
  // A tag takes a level more than the map that it marks.
  if (!read) return fuzz::demand(read.error().code == Code::limit_exceeded, "typed JSON is read");
  fuzz::demand(exact.to_json(JsonForm::typed).value() == typed, "typed JSON loses nothing");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("automerge_json");
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto split = std::min(input.find('\xff'), input.size());
  const auto first = input.substr(0, split);
  const auto second = split < input.size() ? input.substr(split + 1) : std::string_view("{}");

  Document document(ActorId{Bytes(16, 1)});
  const auto made = document.update_from_json(first, {});
  report.input(made.has_value());
  if (made) {
    round_trip(document);
    const auto again = document.update_from_json(first, {});
    fuzz::demand(again && !*again, "the same JSON writes nothing");
  }
  auto patched = document.fork(ActorId{Bytes(16, 3)}).value();
  if (document.update_from_json(second, {})) {
    round_trip(document);
    const auto again = document.update_from_json(second, {});
    fuzz::demand(again && !*again, "an update of the same JSON writes nothing");
  }
  auto replaced = patched.fork(ActorId{Bytes(16, 4)}).value();
  if (replaced.replace_from_json(second, {})) round_trip(replaced);
  auto exact = patched.fork(ActorId{Bytes(16, 5)}).value();
  if (exact.update_from_json(second, {}, JsonForm::typed)) round_trip(exact);
  if (patched.merge_patch(second, {})) {
    round_trip(patched);
    const auto again = patched.merge_patch(second, {});
    fuzz::demand(again && !*again, "the same patch writes nothing");
  }
  return 0;
}
