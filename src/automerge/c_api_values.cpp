// peat/automerge.h: reading and editing.
#include "automerge/c_api.hpp"

using namespace peat;
using namespace peat::automerge;
using namespace peat::automerge::c;

namespace {

struct GiveScalar {
  peat_am_value& out;

  void operator()(Null) const { out.type = PEAT_AM_NULL; }
  void operator()(bool value) const {
    out.type = PEAT_AM_BOOL;
    out.as.boolean = value ? 1 : 0;
  }
  void integer(peat_am_type type, std::int64_t value) const {
    out.type = type;
    out.as.integer = value;
  }
  void operator()(std::int64_t value) const { integer(PEAT_AM_INT, value); }
  void operator()(Counter value) const { integer(PEAT_AM_COUNTER, value.value); }
  void operator()(Timestamp value) const { integer(PEAT_AM_TIMESTAMP, value.ms); }
  void operator()(std::uint64_t value) const {
    out.type = PEAT_AM_UINT;
    out.as.uint = value;
  }
  void operator()(double value) const {
    out.type = PEAT_AM_DOUBLE;
    out.as.real = value;
  }
  void bytes(peat_am_type type, ByteView value) const {
    out.type = type;
    out.as.bytes = borrowed(value);
  }
  void operator()(std::string_view value) const { bytes(PEAT_AM_STRING, as_bytes(value)); }
  void operator()(ByteView value) const { bytes(PEAT_AM_BYTES, value); }
  void operator()(const UnknownValue& value) const {
    bytes(PEAT_AM_UNKNOWN, value.bytes);
    out.unknown_type = value.type;
  }
};

}  // namespace

namespace peat::automerge::c {

peat_am_value value_of(const Scalar& value) {
  peat_am_value out{};
  std::visit(GiveScalar{out}, value);
  return out;
}

peat_am_value value_of(const Value& value) {
  const auto* object = std::get_if<ObjectRef>(&value.data);
  if (object == nullptr) return value_of(std::get<Scalar>(value.data));
  constexpr peat_am_type kTypes[] = {PEAT_AM_MAP, PEAT_AM_LIST, PEAT_AM_TEXT, PEAT_AM_TABLE};
  peat_am_value out{};
  out.type = kTypes[static_cast<std::size_t>(object->type)];
  out.as.object.id = object->id.op.packed;
  return out;
}

Result<Scalar> scalar_of(const peat_am_value* value) {
  if (value == nullptr) return null_argument();
  switch (value->type) {
    case PEAT_AM_NULL:
      return Null{};
    case PEAT_AM_BOOL:
      return value->as.boolean != 0;
    case PEAT_AM_INT:
      return value->as.integer;
    case PEAT_AM_UINT:
      return value->as.uint;
    case PEAT_AM_DOUBLE:
      return value->as.real;
    case PEAT_AM_COUNTER:
      return Counter{value->as.integer};
    case PEAT_AM_TIMESTAMP:
      return Timestamp{value->as.integer};
    case PEAT_AM_STRING:
      return text_view(value->as.bytes);
    case PEAT_AM_BYTES:
      return view(value->as.bytes);
    case PEAT_AM_UNKNOWN:
      return UnknownValue{value->unknown_type, view(value->as.bytes)};
    default:
      return fail(Code::invalid_argument,
                  "a value that is no scalar; objects are made with …_put_object");
  }
}

}  // namespace peat::automerge::c

namespace {

Result<ObjectType> object_type(peat_am_type type) {
  switch (type) {
    case PEAT_AM_MAP:
      return ObjectType::map;
    case PEAT_AM_LIST:
      return ObjectType::list;
    case PEAT_AM_TEXT:
      return ObjectType::text;
    default:
      return fail(Code::invalid_argument, "an object is a map, a list or a text");
  }
}

template <class Place>
int get(peat_am_doc* doc, peat_am_object object, Place place, peat_am_value* out,
        peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (doc == nullptr || out == nullptr) return null_argument();
    PEAT_TRY(const auto value, doc->reading().get(object_id(object), place));
    *out = value ? value_of(*value) : peat_am_value{};
    return {};
  });
}

template <class Place>
int conflicts(peat_am_doc* doc, peat_am_object object, Place place, peat_am_authored_fn tell_value,
              void* context, peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (doc == nullptr || tell_value == nullptr) return null_argument();
    PEAT_TRY(const auto values, doc->reading().conflicts(object_id(object), place));
    for (const auto& authored : values) {
      const auto value = value_of(authored.value);
      peat_am_hash change;
      give(authored.change, &change);
      const auto actor = borrowed(authored.actor.bytes);
      if (tell_value(context, &value, actor, &change, authored.time) != 0) break;
    }
    return {};
  });
}

peat_am_value integer(peat_am_type type, std::int64_t value) {
  peat_am_value out{};
  out.type = type;
  out.as.integer = value;
  return out;
}

}  // namespace

extern "C" {

peat_am_object peat_am_root(void) { return {0}; }

peat_am_value peat_am_int(int64_t value) { return integer(PEAT_AM_INT, value); }
peat_am_value peat_am_counter(int64_t value) { return integer(PEAT_AM_COUNTER, value); }

peat_am_value peat_am_double(double value) {
  peat_am_value out{};
  out.type = PEAT_AM_DOUBLE;
  out.as.real = value;
  return out;
}

peat_am_value peat_am_bool(int value) {
  peat_am_value out{};
  out.type = PEAT_AM_BOOL;
  out.as.boolean = value != 0 ? 1 : 0;
  return out;
}

peat_am_value peat_am_text(const char* text) {
  peat_am_value out{};
  out.type = PEAT_AM_STRING;
  out.as.bytes = peat_am_str(text);
  return out;
}

int peat_am_map_get(peat_am_doc* doc, peat_am_object map, peat_am_bytes key, peat_am_value* out,
                    peat_am_error* error) {
  return get(doc, map, text_view(key), out, error);
}

int peat_am_list_get(peat_am_doc* doc, peat_am_object list, size_t index, peat_am_value* out,
                     peat_am_error* error) {
  return get(doc, list, index, out, error);
}

int peat_am_map_conflicts(peat_am_doc* doc, peat_am_object map, peat_am_bytes key,
                          peat_am_authored_fn tell_value, void* context, peat_am_error* error) {
  return conflicts(doc, map, text_view(key), tell_value, context, error);
}

int peat_am_list_conflicts(peat_am_doc* doc, peat_am_object list, size_t index,
                           peat_am_authored_fn tell_value, void* context, peat_am_error* error) {
  return conflicts(doc, list, index, tell_value, context, error);
}

int peat_am_map_each(peat_am_doc* doc, peat_am_object map, peat_am_member_fn tell_member,
                     void* context, peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (doc == nullptr || tell_member == nullptr) return null_argument();
    const auto reading = doc->reading();
    PEAT_TRY(const auto keys, reading.keys(object_id(map)));
    for (const auto key : keys) {
      PEAT_TRY(const auto found, reading.get(object_id(map), key));
      const auto value = found ? value_of(*found) : peat_am_value{};
      if (tell_member(context, borrowed(as_bytes(key)), &value) != 0) break;
    }
    return {};
  });
}

int peat_am_length(peat_am_doc* doc, peat_am_object object, size_t* out, peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (doc == nullptr || out == nullptr) return null_argument();
    PEAT_TRY(*out, doc->reading().length(object_id(object)));
    return {};
  });
}

int peat_am_text_get(peat_am_doc* doc, peat_am_object text, peat_am_buffer* out,
                     peat_am_error* error) {
  return call(error, [&]() -> Status {
    if (doc == nullptr || out == nullptr) return null_argument();
    *out = {nullptr, 0};
    PEAT_TRY(const auto content, doc->reading().text(object_id(text)));
    return give(as_bytes(content), out);
  });
}

int peat_am_map_put(peat_am_doc* doc, peat_am_object map, peat_am_bytes key,
                    const peat_am_value* value, peat_am_error* error) {
  return edit(doc, error, [&](Transaction& tx) -> Status {
    PEAT_TRY(const auto scalar, scalar_of(value));
    return tx.put(object_id(map), text_view(key), scalar);
  });
}

int peat_am_list_put(peat_am_doc* doc, peat_am_object list, size_t index,
                     const peat_am_value* value, peat_am_error* error) {
  return edit(doc, error, [&](Transaction& tx) -> Status {
    PEAT_TRY(const auto scalar, scalar_of(value));
    return tx.put(object_id(list), index, scalar);
  });
}

int peat_am_list_insert(peat_am_doc* doc, peat_am_object list, size_t index,
                        const peat_am_value* value, peat_am_error* error) {
  return edit(doc, error, [&](Transaction& tx) -> Status {
    PEAT_TRY(const auto scalar, scalar_of(value));
    return tx.insert(object_id(list), index, scalar);
  });
}

int peat_am_map_put_object(peat_am_doc* doc, peat_am_object map, peat_am_bytes key,
                           peat_am_type type, peat_am_object* out, peat_am_error* error) {
  return edit(doc, error, [&](Transaction& tx) -> Status {
    PEAT_TRY(const auto kind, object_type(type));
    PEAT_TRY(const auto made, tx.put_object(object_id(map), text_view(key), kind));
    if (out != nullptr) out->id = made.op.packed;
    return {};
  });
}

int peat_am_list_insert_object(peat_am_doc* doc, peat_am_object list, size_t index,
                               peat_am_type type, peat_am_object* out, peat_am_error* error) {
  return edit(doc, error, [&](Transaction& tx) -> Status {
    PEAT_TRY(const auto kind, object_type(type));
    PEAT_TRY(const auto made, tx.insert_object(object_id(list), index, kind));
    if (out != nullptr) out->id = made.op.packed;
    return {};
  });
}

int peat_am_map_erase(peat_am_doc* doc, peat_am_object map, peat_am_bytes key,
                      peat_am_error* error) {
  return edit(doc, error,
              [&](Transaction& tx) { return tx.erase(object_id(map), text_view(key)); });
}

int peat_am_list_erase(peat_am_doc* doc, peat_am_object list, size_t index, peat_am_error* error) {
  return edit(doc, error, [&](Transaction& tx) { return tx.erase(object_id(list), index); });
}

int peat_am_map_keep_winner(peat_am_doc* doc, peat_am_object map, peat_am_bytes key,
                            peat_am_error* error) {
  return edit(doc, error,
              [&](Transaction& tx) { return tx.keep_winner(object_id(map), text_view(key)); });
}

int peat_am_list_keep_winner(peat_am_doc* doc, peat_am_object list, size_t index,
                             peat_am_error* error) {
  return edit(doc, error, [&](Transaction& tx) { return tx.keep_winner(object_id(list), index); });
}

int peat_am_map_increment(peat_am_doc* doc, peat_am_object map, peat_am_bytes key, int64_t by,
                          peat_am_error* error) {
  return edit(doc, error,
              [&](Transaction& tx) { return tx.increment(object_id(map), text_view(key), by); });
}

int peat_am_list_increment(peat_am_doc* doc, peat_am_object list, size_t index, int64_t by,
                           peat_am_error* error) {
  return edit(doc, error,
              [&](Transaction& tx) { return tx.increment(object_id(list), index, by); });
}

int peat_am_text_splice(peat_am_doc* doc, peat_am_object text, size_t index, ptrdiff_t erase,
                        peat_am_bytes insert, peat_am_error* error) {
  return edit(doc, error, [&](Transaction& tx) {
    return tx.splice_text(object_id(text), index, erase, text_view(insert));
  });
}

int peat_am_commit(peat_am_doc* doc, const peat_am_commit_options* options, peat_am_hash* hash,
                   peat_am_error* error) {
  return call(error, [&]() -> Status {
    PEAT_TRY(const auto how, commit_options(options));
    PEAT_TRY_VOID(in_transaction(doc, [&](Transaction& transaction) -> Status {
      PEAT_TRY(const auto made, transaction.commit(how));
      give(made, hash);
      return {};
    }));
    doc->transaction.reset();
    return {};
  });
}

void peat_am_rollback(peat_am_doc* doc) {
  if (doc != nullptr) doc->transaction.reset();
}

}  // extern "C"
