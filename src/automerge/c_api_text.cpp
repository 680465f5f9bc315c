// peat/automerge.h: cursors, marks and blocks.
#include "automerge/c_api.hpp"
#include "automerge/document_impl.hpp"
#include "automerge/visibility.hpp"

using namespace peat;
using namespace peat::automerge;
using namespace peat::automerge::c;

namespace {

Result<Expand> expand_of(int expand) {
  if (expand < PEAT_AM_EXPAND_NONE || expand > PEAT_AM_EXPAND_BOTH) {
    return fail(Code::invalid_argument, "no such way to expand: " + std::to_string(expand));
  }
  return static_cast<Expand>(expand);
}

peat_am_mark_range range_of(std::size_t start, std::size_t end, std::string_view name,
                            const OwnedScalar& value) {
  return {start, end, borrowed(as_bytes(name)), value_of(value.view())};
}

// The bytes of a cursor begin with 0 or 1, its text never does.
Result<Cursor> cursor_of(peat_am_bytes given) {
  const auto bytes = view(given);
  if (!bytes.empty() && bytes[0] <= 1) return Cursor::decode(bytes);
  return Cursor::parse(text_view(given));
}

}  // namespace

extern "C" {

int peat_am_cursor(peat_am_doc* doc, peat_am_object sequence, size_t index, int move, int form,
                   peat_am_buffer* out, peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (doc == nullptr || out == nullptr) return null_argument();
    *out = {nullptr, 0};
    if (move < PEAT_AM_MOVE_BEFORE || move > PEAT_AM_MOVE_AFTER || form < PEAT_AM_CURSOR_TEXT ||
        form > PEAT_AM_CURSOR_BYTES) {
      return fail(Code::invalid_argument, "a cursor's move or form is none of their names");
    }
    PEAT_TRY(const auto cursor,
             doc->reading().cursor(object_id(sequence), index, static_cast<Cursor::Move>(move)));
    if (form == PEAT_AM_CURSOR_BYTES) return give(cursor.encode(), out);
    const auto text = cursor.to_string();
    return give(as_bytes(text), out);
  });
}

int peat_am_position(peat_am_doc* doc, peat_am_object sequence, peat_am_bytes cursor, size_t* out,
                     peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (doc == nullptr || out == nullptr) return null_argument();
    PEAT_TRY(const auto read, cursor_of(cursor));
    PEAT_TRY(*out, doc->reading().position(object_id(sequence), read));
    return {};
  });
}

int peat_am_mark(peat_am_doc* doc, peat_am_object text, size_t start, size_t end,
                 peat_am_bytes name, const peat_am_value* value, int expand, peat_am_error* error) {
  return edit(doc, error, [&](Transaction& tx) -> Status {
    PEAT_TRY(const auto scalar, scalar_of(value));
    PEAT_TRY(const auto ends, expand_of(expand));
    return tx.mark(object_id(text), start, end, text_view(name), scalar, ends);
  });
}

int peat_am_unmark(peat_am_doc* doc, peat_am_object text, size_t start, size_t end,
                   peat_am_bytes name, int expand, peat_am_error* error) {
  return edit(doc, error, [&](Transaction& tx) -> Status {
    PEAT_TRY(const auto ends, expand_of(expand));
    return tx.unmark(object_id(text), start, end, text_view(name), ends);
  });
}

int peat_am_marks(peat_am_doc* doc, peat_am_object text, peat_am_mark_fn tell_mark, void* context,
                  peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (doc == nullptr || tell_mark == nullptr) return null_argument();
    PEAT_TRY(const auto marks, doc->reading().marks(object_id(text)));
    for (const auto& mark : marks) {
      const auto range = range_of(mark.start, mark.end, mark.name, mark.value);
      if (tell_mark(context, &range) != 0) break;
    }
    return {};
  });
}

int peat_am_split_block(peat_am_doc* doc, peat_am_object text, size_t index, peat_am_object* out,
                        peat_am_error* error) {
  return edit(doc, error, [&](Transaction& tx) -> Status {
    PEAT_TRY(const auto made, tx.split_block(object_id(text), index));
    if (out != nullptr) out->id = made.op.packed;
    return {};
  });
}

int peat_am_join_block(peat_am_doc* doc, peat_am_object text, size_t index, peat_am_error* error) {
  return edit(doc, error, [&](Transaction& tx) { return tx.join_block(object_id(text), index); });
}

int peat_am_spans(peat_am_doc* doc, peat_am_object text, peat_am_span_fn tell_span, void* context,
                  peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (doc == nullptr || tell_span == nullptr) return null_argument();
    PEAT_TRY(const auto spans, doc->reading().spans(object_id(text)));
    const auto unit = unit_of(doc->document.text_unit());
    std::size_t at = 0;
    for (const auto& span : spans) {
      const auto content = span.is_block() ? kObjectCharacter : std::string_view(span.text);
      const auto end = at + static_cast<std::size_t>(units_of_text(as_bytes(content)).*unit);
      std::vector<peat_am_mark_range> marks;
      for (const auto& [name, value] : span.marks) {
        marks.push_back(range_of(at, end, name, value));
      }
      const peat_am_object block{span.block.op.packed};
      if (tell_span(context, borrowed(as_bytes(span.text)), block, marks.data(), marks.size()) !=
          0) {
        break;
      }
      at = end;
    }
    return {};
  });
}

}  // extern "C"
