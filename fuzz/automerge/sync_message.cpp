// Sync messages: codec, and a hostile peer's message met by a document with some history.
#include "../report.hpp"
#include "demand.hpp"
#include "peat/automerge/sync.hpp"
#include "repair.hpp"

using namespace peat;
using namespace peat::automerge;

namespace {

const Bytes& history() {
  static const Bytes saved = [] {
    Document document(ActorId{Bytes(16, 1)});
    for (int i = 0; i < 6; ++i) {
      auto tx = document.begin().value();
      static_cast<void>(tx.put(kRoot, "k", std::int64_t{i}));
      static_cast<void>(tx.commit());
    }
    return document.save().value();
  }();
  return saved;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("automerge_sync_message");
  static_cast<void>(SyncState::decode({data, size}));
  auto message = SyncMessage::decode({data, size}, fuzz::kLimits);
  report.input(message.has_value());
  if (!message) return 0;
  for (auto& chunk : message->changes) fuzz::repair_checksums(chunk);
  const auto bytes = message->encode();
  const auto again = SyncMessage::decode(bytes, fuzz::kLimits);
  fuzz::demand(again.has_value(), "an encoded message decodes");
  fuzz::demand(again->encode() == bytes, "decoding keeps a message");

  auto document = Document::load(history()).value();
  SyncState state;
  fuzz::demand(generate_sync_message(document, state).has_value(), "a first message");
  const auto heads = document.heads();
  const auto result = receive_sync_message(document, state, bytes, fuzz::kLimits);
  if (!result) fuzz::demand(document.heads() == heads, "a refused message changes nothing");
  const auto answer = generate_sync_message(document, state);
  fuzz::demand(answer.has_value(), "an answer to any message");
  const auto nothing = generate_sync_message(document, state);
  fuzz::demand(nothing && !*nothing, "no second answer to one message");
  if (*answer) fuzz::demand(SyncMessage::decode(**answer).has_value(), "our answers decode");
  return 0;
}
