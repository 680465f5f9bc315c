// Shared by the functions of peat/automerge.h.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "peat/automerge.h"
#include "peat/automerge/sync.hpp"

struct peat_am_doc {
  peat::automerge::Document document;
  std::optional<peat::automerge::Transaction> transaction;  // of the edits since the last commit
  std::optional<peat::automerge::View> past;                // what is read; nothing: as it is

  peat::automerge::View reading() const { return past ? *past : document.read(); }
};

struct peat_am_sync {
  peat::automerge::SyncState state;
};

namespace peat::automerge::c {

inline int tell(const Error& error, peat_am_error* out) noexcept {
  const auto code = static_cast<int>(error.code);
  constexpr auto kSmallest = offsetof(peat_am_error, message) + 1;
  if (out == nullptr || out->size < kSmallest) return code;
  out->code = code;
  const auto room = std::min(out->size, sizeof *out) - offsetof(peat_am_error, message);
  auto size = std::min(error.message.size(), room - 1);
  // Not inside a character.
  while (size > 0 && size < error.message.size() &&
         (static_cast<unsigned char>(error.message[size]) & 0xc0) == 0x80) {
    --size;
  }
  std::memcpy(out->message, error.message.data(), size);
  out->message[size] = '\0';
  return code;
}

// Runs `body`, a Status; its error, or an exception, becomes a code.
template <class Body>
int call(peat_am_error* error, Body body) noexcept {
  try {
    const Status status = body();
    return status ? 0 : tell(status.error(), error);
  } catch (const std::bad_alloc&) {
    // A message without an allocation.
    if (error != nullptr && error->size >= sizeof *error) {
      error->code = PEAT_CODE_out_of_memory;
      std::memcpy(error->message, "memory ran out", sizeof "memory ran out");
    }
    return PEAT_CODE_out_of_memory;
  } catch (...) {
    return PEAT_CODE_internal;
  }
}

inline std::unexpected<Error> null_argument() {
  return fail(Code::invalid_argument, "an argument is NULL that must not be");
}

inline ByteView view(peat_am_bytes bytes) {
  return bytes.data == nullptr ? ByteView() : ByteView(bytes.data, bytes.size);
}
inline std::string_view text_view(peat_am_bytes bytes) { return as_text(view(bytes)); }
inline peat_am_bytes borrowed(ByteView bytes) { return {bytes.data(), bytes.size()}; }
inline ObjectId object_id(peat_am_object object) {
  ObjectId id;
  id.op.packed = object.id;
  return id;
}

inline Status give(ByteView bytes, peat_am_buffer* out) {
  auto* data = static_cast<std::uint8_t*>(std::malloc(bytes.size() + 1));
  if (data == nullptr) return fail(Code::out_of_memory, "memory ran out for a result");
  std::copy(bytes.begin(), bytes.end(), data);
  data[bytes.size()] = 0;
  *out = {data, bytes.size()};
  return {};
}

// A copy of a caller's option structure: what it does not know is 0.
template <class Options>
Result<Options> options_of(const Options* given) {
  Options out{};
  if (given == nullptr) return out;
  if (given->size < sizeof(given->size)) {
    return fail(Code::invalid_argument, "an option structure whose size is not set");
  }
  std::memcpy(&out, given, std::min(given->size, sizeof out));
  return out;
}

inline Status no_transaction(const peat_am_doc* doc) {
  if (doc == nullptr) return null_argument();
  if (!doc->transaction) return {};
  return fail(Code::invalid_argument, "edits are open: commit or roll them back first");
}

inline void give(const ApplyReport& report, peat_am_report* out) {
  if (out == nullptr || out->size < sizeof *out) return;
  out->applied = report.applied;
  out->queued = report.queued;
  out->known = report.known;
}

peat_am_value value_of(const Scalar& value);
peat_am_value value_of(const Value& value);
Result<Scalar> scalar_of(const peat_am_value* value);

// Runs `body` in the document's transaction, which is opened for it if there is none; one that was
// opened for a body that fails does not stay.
template <class Body>
Status in_transaction(peat_am_doc* doc, Body body) {
  if (doc == nullptr) return null_argument();
  const bool opened = !doc->transaction;
  if (opened) {
    PEAT_TRY(auto transaction, doc->document.begin());
    doc->transaction.emplace(std::move(transaction));
  }
  const Status done = body(*doc->transaction);
  if (!done && opened) doc->transaction.reset();
  return done;
}

template <class Edit>
int edit(peat_am_doc* doc, peat_am_error* error, Edit body) {
  return call(error, [&]() -> Status { return in_transaction(doc, body); });
}

Result<CommitOptions> commit_options(const peat_am_commit_options* given);
void give(const std::optional<ChangeHash>& hash, peat_am_hash* out);

}  // namespace peat::automerge::c
