// peat/automerge.h: documents, history, JSON, synchronisation.
#include "automerge/c_api.hpp"

using namespace peat;
using namespace peat::automerge;
using namespace peat::automerge::c;

namespace peat::automerge::c {

Result<CommitOptions> commit_options(const peat_am_commit_options* given) {
  PEAT_TRY(const auto options, options_of(given));
  CommitOptions out;
  out.time = options.time;
  out.message = std::string(text_view(options.message));
  out.allow_empty = options.allow_empty != 0;
  return out;
}

void give(const std::optional<ChangeHash>& hash, peat_am_hash* out) {
  if (out == nullptr) return;
  const auto bytes = hash.value_or(ChangeHash{}).bytes;
  std::ranges::copy(bytes, out->bytes);
}

}  // namespace peat::automerge::c

namespace {

Result<ActorId> actor_of(peat_am_bytes bytes) {
  if (bytes.size == 0) return ActorId::random();
  const auto given = view(bytes);
  ActorId actor{Bytes(given.begin(), given.end())};
  if (actor.bytes.size() != bytes.size || bytes.size > LoadLimits().actor_bytes) {
    return fail(Code::invalid_argument, "an actor id has 1 to 65,535 bytes");
  }
  return actor;
}

std::vector<ChangeHash> hashes_of(const peat_am_hash* hashes, std::size_t count) {
  std::vector<ChangeHash> out(count);
  for (std::size_t i = 0; i < count; ++i) {
    std::copy_n(hashes[i].bytes, out[i].bytes.size(), out[i].bytes.begin());
  }
  return out;
}

Result<LoadOptions> load_options(const peat_am_load_options* given) {
  PEAT_TRY(const auto options, options_of(given));
  LoadOptions out;
  if (options.verify < PEAT_AM_VERIFY_FULL || options.verify > PEAT_AM_VERIFY_NONE ||
      options.on_partial < PEAT_AM_PARTIAL_ERROR || options.on_partial > PEAT_AM_PARTIAL_IGNORE) {
    return fail(Code::invalid_argument, "a load option has a value that is none of its names");
  }
  out.verify = static_cast<Verify>(options.verify);
  out.on_partial = static_cast<OnPartialLoad>(options.on_partial);
  if (options.actor.size != 0) {
    PEAT_TRY(out.actor, actor_of(options.actor));
  }
  if (options.input_bytes != 0) out.limits.input_bytes = options.input_bytes;
  if (options.inflated_bytes != 0) out.limits.inflated_bytes = options.inflated_bytes;
  if (options.ops != 0) out.limits.ops = options.ops;
  if (options.changes != 0) out.limits.changes = options.changes;
  return out;
}

Result<JsonForm> json_form(int form) {
  if (form != PEAT_AM_JSON_PLAIN && form != PEAT_AM_JSON_TYPED) {
    return fail(Code::invalid_argument, "no such JSON form: " + std::to_string(form));
  }
  return static_cast<JsonForm>(form);
}

}  // namespace

extern "C" {

const char* peat_am_code_name(int code) {
  switch (code) {
    case PEAT_CODE_ok:
      return "ok";
#define PEAT_ERROR(name, number, retry, http, exit_code, text) \
  case number:                                                 \
    return #name;
#include "peat/error_codes.def"
#undef PEAT_ERROR
    default:
      return "unknown";
  }
}

peat_am_bytes peat_am_str(const char* text) {
  if (text == nullptr) return {nullptr, 0};
  return {reinterpret_cast<const std::uint8_t*>(text), std::strlen(text)};
}

void peat_am_buffer_free(peat_am_buffer* buffer) {
  if (buffer == nullptr) return;
  std::free(buffer->data);
  *buffer = {nullptr, 0};
}

int peat_am_create(peat_am_bytes actor, peat_am_doc** out, peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (out == nullptr) return null_argument();
    *out = nullptr;
    PEAT_TRY(auto id, actor_of(actor));
    *out = new peat_am_doc{Document(std::move(id)), std::nullopt, std::nullopt};
    return {};
  });
}

void peat_am_free(peat_am_doc* doc) { delete doc; }

int peat_am_load(peat_am_bytes input, const peat_am_load_options* options, peat_am_doc** out,
                 peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (out == nullptr) return null_argument();
    *out = nullptr;
    PEAT_TRY(const auto how, load_options(options));
    PEAT_TRY(auto document, Document::load(view(input), how));
    *out = new peat_am_doc{std::move(document), std::nullopt, std::nullopt};
    return {};
  });
}

int peat_am_save(peat_am_doc* doc, const peat_am_save_options* options, peat_am_buffer* out,
                 peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (out == nullptr) return null_argument();
    *out = {nullptr, 0};
    PEAT_TRY_VOID(no_transaction(doc));
    PEAT_TRY(const auto how, options_of(options));
    PEAT_TRY(const auto bytes, doc->document.save({.deflate = how.raw == 0,
                                                   .retain_orphans = how.drop_orphans == 0}));
    return give(bytes, out);
  });
}

int peat_am_save_incremental(peat_am_doc* doc, peat_am_buffer* out, peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (out == nullptr) return null_argument();
    *out = {nullptr, 0};
    PEAT_TRY_VOID(no_transaction(doc));
    PEAT_TRY(const auto bytes, doc->document.save_incremental());
    return give(bytes, out);
  });
}

int peat_am_load_incremental(peat_am_doc* doc, peat_am_bytes input, peat_am_report* report,
                             peat_am_error* error) {
  return call(error, [&]() -> Status {
    PEAT_TRY_VOID(no_transaction(doc));
    PEAT_TRY(const auto done, doc->document.load_incremental(view(input)));
    give(done, report);
    return {};
  });
}

int peat_am_apply(peat_am_doc* doc, const peat_am_bytes* chunks, size_t count,
                  peat_am_report* report, peat_am_error* error) {
  return call(error, [&]() -> Status {
    PEAT_TRY_VOID(no_transaction(doc));
    if (chunks == nullptr && count != 0) return null_argument();
    std::vector<ByteView> views;
    for (size_t i = 0; i < count; ++i) views.push_back(view(chunks[i]));
    PEAT_TRY(const auto done, doc->document.apply_changes(views));
    give(done, report);
    return {};
  });
}

int peat_am_merge(peat_am_doc* doc, peat_am_doc* other, peat_am_report* report,
                  peat_am_error* error) {
  return call(error, [&]() -> Status {
    PEAT_TRY_VOID(no_transaction(doc));
    PEAT_TRY_VOID(no_transaction(other));
    PEAT_TRY(const auto done, doc->document.merge(other->document));
    give(done, report);
    return {};
  });
}

int peat_am_fork(peat_am_doc* doc, peat_am_bytes actor, peat_am_doc** out, peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (out == nullptr) return null_argument();
    *out = nullptr;
    PEAT_TRY_VOID(no_transaction(doc));
    PEAT_TRY(auto id, actor_of(actor));
    PEAT_TRY(auto document, doc->document.fork(std::move(id)));
    *out = new peat_am_doc{std::move(document), std::nullopt, std::nullopt};
    return {};
  });
}

peat_am_bytes peat_am_actor(const peat_am_doc* doc) {
  return doc == nullptr ? peat_am_bytes{nullptr, 0} : borrowed(doc->document.actor().bytes);
}

size_t peat_am_change_count(const peat_am_doc* doc) {
  return doc == nullptr ? 0 : doc->document.change_count();
}

int peat_am_heads(const peat_am_doc* doc, peat_am_hash* out, size_t room, size_t* count,
                  peat_am_error* error) {
  return call(error, [&]() -> Status {
    PEAT_TRY_VOID(no_transaction(doc));
    if (out == nullptr && room != 0) return null_argument();
    const auto& heads = doc->document.heads();
    for (size_t i = 0; i < std::min(room, heads.size()); ++i) {
      std::ranges::copy(heads[i].bytes, out[i].bytes);
    }
    if (count != nullptr) *count = heads.size();
    return {};
  });
}

int peat_am_read_at(peat_am_doc* doc, const peat_am_hash* heads, size_t count,
                    peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (doc == nullptr) return null_argument();
    if (heads == nullptr) {
      doc->past.reset();
      return {};
    }
    PEAT_TRY_VOID(no_transaction(doc));
    PEAT_TRY(doc->past, doc->document.at(hashes_of(heads, count)));
    return {};
  });
}

int peat_am_set_text_unit(peat_am_doc* doc, int unit, peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (doc == nullptr) return null_argument();
    if (unit < PEAT_AM_UNIT_CODE_POINT || unit > PEAT_AM_UNIT_UTF16) {
      return fail(Code::invalid_argument, "no such text unit: " + std::to_string(unit));
    }
    doc->document.set_text_unit(static_cast<TextUnit>(unit));
    return {};
  });
}

int peat_am_changes(peat_am_doc* doc, const peat_am_hash* have, size_t count,
                    peat_am_change_fn tell_change, void* context, peat_am_error* error) {
  return call(error, [&]() -> Status {
    PEAT_TRY_VOID(no_transaction(doc));
    if ((have == nullptr && count != 0) || tell_change == nullptr) return null_argument();
    PEAT_TRY(const auto chunks, doc->document.changes_since(hashes_of(have, count)));
    for (const auto chunk : chunks) {
      if (tell_change(context, borrowed(chunk)) != 0) break;
    }
    return {};
  });
}

int peat_am_to_json(peat_am_doc* doc, int form, peat_am_buffer* out, peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (doc == nullptr || out == nullptr) return null_argument();
    *out = {nullptr, 0};
    PEAT_TRY(const auto how, json_form(form));
    PEAT_TRY(const auto text, doc->reading().to_json(how));
    return give(as_bytes(text), out);
  });
}

int peat_am_from_json(peat_am_doc* doc, peat_am_bytes json, int how, int form,
                      const peat_am_commit_options* options, peat_am_hash* hash,
                      peat_am_error* error) {
  return call(error, [&]() -> Status {
    PEAT_TRY_VOID(no_transaction(doc));
    PEAT_TRY(const auto shape, json_form(form));
    PEAT_TRY(const auto commit, commit_options(options));
    const auto text = text_view(json);
    auto& document = doc->document;
    if (how < PEAT_AM_JSON_UPDATE || how > PEAT_AM_JSON_SETTLE) {
      return fail(Code::invalid_argument, "no such way to update: " + std::to_string(how));
    }
    PEAT_TRY(const auto made,
             how == PEAT_AM_JSON_UPDATE    ? document.update_from_json(text, commit, shape)
             : how == PEAT_AM_JSON_REPLACE ? document.replace_from_json(text, commit, shape)
             : how == PEAT_AM_JSON_SETTLE  ? document.settle(text, commit, shape)
                                           : document.merge_patch(text, commit, shape));
    give(made, hash);
    return {};
  });
}

int peat_am_sync_create(peat_am_bytes saved, peat_am_sync** out, peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (out == nullptr) return null_argument();
    *out = nullptr;
    SyncState state;
    if (saved.size != 0) {
      PEAT_TRY(state, SyncState::decode(view(saved)));
    }
    *out = new peat_am_sync{std::move(state)};
    return {};
  });
}

void peat_am_sync_free(peat_am_sync* sync) { delete sync; }

int peat_am_sync_save(const peat_am_sync* sync, peat_am_buffer* out, peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (sync == nullptr || out == nullptr) return null_argument();
    *out = {nullptr, 0};
    return give(sync->state.encode(), out);
  });
}

int peat_am_sync_generate(peat_am_doc* doc, peat_am_sync* sync, peat_am_buffer* out,
                          peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (sync == nullptr || out == nullptr) return null_argument();
    *out = {nullptr, 0};
    PEAT_TRY_VOID(no_transaction(doc));
    // A message that is lost for lack of memory must count as not sent.
    auto state = sync->state;
    PEAT_TRY(const auto message, generate_sync_message(doc->document, state));
    if (message) PEAT_TRY_VOID(give(*message, out));
    sync->state = std::move(state);
    return {};
  });
}

int peat_am_sync_receive(peat_am_doc* doc, peat_am_sync* sync, peat_am_bytes message,
                         peat_am_report* report, peat_am_error* error) {
  return call(error, [&]() -> Status {
    PEAT_TRY_VOID(no_transaction(doc));
    if (sync == nullptr) return null_argument();
    PEAT_TRY(const auto done, receive_sync_message(doc->document, sync->state, view(message)));
    give(done.applied, report);
    return {};
  });
}

}  // extern "C"
