// JSON into a document, writing only what differs (json.cpp has the table of types).
//
// Objects are worked off breadth first, keys bytewise ascending, so that the same JSON makes the
// same operations everywhere.
#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <string>
#include <unordered_map>
#include <utility>

#include "automerge/document_impl.hpp"
#include "automerge/json_canonical.hpp"
#include "automerge/json_diff.hpp"
#include "automerge/json_types.hpp"
#include "base/encoding.hpp"
#include "peat/automerge/document.hpp"

namespace peat::automerge {
namespace {

// Exact: no integer is rounded on the way.
bool same_number(double real, std::int64_t integer) {
  return real >= -0x1p63 && real < 0x1p63 && std::trunc(real) == real &&
         static_cast<std::int64_t>(real) == integer && !(real == 0 && std::signbit(real));
}
bool same_number(double real, std::uint64_t integer) {
  return real >= 0 && real < 0x1p64 && std::trunc(real) == real &&
         static_cast<std::uint64_t>(real) == integer && !std::signbit(real);
}

// Whether to_json would show `json` for a scalar.
struct ShowsAs {
  const Json& json;
  JsonForm form;

  bool typed() const { return form == JsonForm::typed; }
  bool is_null() const { return std::holds_alternative<std::nullptr_t>(json.data); }
  const std::string* text() const { return std::get_if<std::string>(&json.data); }

  bool operator()(Null) const { return is_null(); }
  bool operator()(const UnknownValue& value) const {
    if (!typed()) return is_null();
    const auto* other = std::get_if<JsonUnknown>(&json.data);
    return other != nullptr && other->type == value.type &&
           std::ranges::equal(other->bytes, value.bytes);
  }
  bool operator()(bool value) const {
    const auto* other = std::get_if<bool>(&json.data);
    return other != nullptr && *other == value;
  }
  template <class Integer>
  bool integer(Integer value) const {
    if (const auto* i = std::get_if<std::int64_t>(&json.data)) return std::cmp_equal(value, *i);
    if (const auto* u = std::get_if<std::uint64_t>(&json.data)) return std::cmp_equal(value, *u);
    const auto* real = std::get_if<double>(&json.data);
    return real != nullptr && same_number(*real, value);
  }
  bool operator()(std::int64_t value) const { return integer(value); }
  bool operator()(std::uint64_t value) const { return integer(value); }
  bool operator()(Counter value) const {
    if (!typed()) return integer(value.value);
    const auto* other = std::get_if<Counter>(&json.data);
    return other != nullptr && *other == value;
  }
  bool operator()(Timestamp value) const {
    if (!typed()) return integer(value.ms);
    const auto* other = std::get_if<Timestamp>(&json.data);
    return other != nullptr && *other == value;
  }
  bool operator()(double value) const {
    if (!typed() && !std::isfinite(value)) return is_null();
    if (const auto* i = std::get_if<std::int64_t>(&json.data)) return same_number(value, *i);
    if (const auto* u = std::get_if<std::uint64_t>(&json.data)) return same_number(value, *u);
    const auto* real = std::get_if<double>(&json.data);
    return real != nullptr && std::memcmp(real, &value, sizeof value) == 0;
  }
  bool operator()(std::string_view value) const { return text() != nullptr && *text() == value; }
  bool operator()(ByteView value) const {
    if (!typed()) return text() != nullptr && *text() == to_base64(value);
    const auto* other = std::get_if<JsonBytes>(&json.data);
    return other != nullptr && std::ranges::equal(other->bytes, value);
  }
};

// The text that `json` gives a text object; null if it is none.
const std::string* wanted_text(const Json& json, JsonForm form) {
  if (form == JsonForm::plain) return std::get_if<std::string>(&json.data);
  const auto* text = std::get_if<JsonText>(&json.data);
  return text == nullptr ? nullptr : &text->text;
}

// Of scalars and texts; `json` is no object and no array.
Result<bool> shows_as(const Document& document, const Value& value, const Json& json,
                      JsonForm form) {
  if (const auto* scalar = std::get_if<Scalar>(&value.data)) {
    return std::visit(ShowsAs{json, form}, *scalar);
  }
  const auto object = std::get<ObjectRef>(value.data);
  const auto* wanted = wanted_text(json, form);
  if (object.type != ObjectType::text || wanted == nullptr) return false;
  PEAT_TRY(const auto text, document.text(object.id));
  return text == *wanted;
}

// Gives equal values equal numbers.
class Numbering {
 public:
  std::uint32_t number(std::string canonical) {
    return numbers_.try_emplace(std::move(canonical), numbers_.size()).first->second;
  }

 private:
  std::unordered_map<std::string, std::uint32_t> numbers_;
};

// A JSON scalar as what is written for it; objects and arrays have no scalar.
Scalar as_scalar(const Json& json) {
  if (const auto* value = std::get_if<bool>(&json.data)) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&json.data)) return *value;
  if (const auto* value = std::get_if<std::uint64_t>(&json.data)) return *value;
  if (const auto* value = std::get_if<double>(&json.data)) return *value;
  if (const auto* value = std::get_if<std::string>(&json.data)) return std::string_view(*value);
  if (const auto* value = std::get_if<Counter>(&json.data)) return *value;
  if (const auto* value = std::get_if<Timestamp>(&json.data)) return *value;
  if (const auto* value = std::get_if<JsonBytes>(&json.data)) return ByteView(value->bytes);
  if (const auto* value = std::get_if<JsonUnknown>(&json.data)) {
    return UnknownValue{value->type, value->bytes};
  }
  return Null{};
}

std::optional<ObjectType> object_type_of(const Json& json) {
  if (std::holds_alternative<Json::Object>(json.data)) return ObjectType::map;
  if (std::holds_alternative<Json::Array>(json.data)) return ObjectType::list;
  if (std::holds_alternative<JsonText>(json.data)) return ObjectType::text;
  return std::nullopt;
}

// The code points of UTF-8 text: where each begins, and one number for each.
struct CodePoints {
  explicit CodePoints(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      if ((byte & 0xc0) != 0x80) {
        begin.push_back(i);
        ids.push_back(0);
      }
      ids.back() = ids.back() << 8 | byte;
    }
    begin.push_back(text.size());
  }
  std::vector<std::size_t> begin;
  std::vector<std::uint32_t> ids;
};

enum class Mode : std::uint8_t {
  exact,    // the object ends up as the JSON says
  replace,  // the same; objects and lists become new ones
  patch,    // RFC 7386: null deletes, what is not named stays
};

class Updater {
 public:
  Updater(Transaction& transaction, JsonForm form) : tx_(transaction), form_(form) {}

  Status run(const Json& root, Mode mode) {
    work_.push_back({kRoot, &root, mode});
    while (!work_.empty()) {
      const auto item = work_.front();
      work_.pop_front();
      if (const auto* members = std::get_if<Json::Object>(&item.json->data)) {
        PEAT_TRY_VOID(update_map(item.id, *members, item.mode));
      } else {
        PEAT_TRY_VOID(update_list(item.id, std::get<Json::Array>(item.json->data)));
      }
    }
    return {};
  }

 private:
  struct Work {
    ObjectId id;
    const Json* json;
    Mode mode;
  };

  const Document& document() const { return tx_.document(); }

  Status update_map(ObjectId map, const Json::Object& members, Mode mode) {
    std::vector<std::string> gone;
    if (mode != Mode::patch) {
      PEAT_TRY(const auto keys, document().keys(map));
      auto member = members.begin();
      for (const auto key : keys) {
        while (member != members.end() && member->key < key) ++member;
        if (member == members.end() || member->key != key) gone.emplace_back(key);
      }
    }
    for (const auto& [key, json] : members) {
      if (mode == Mode::patch && std::holds_alternative<std::nullptr_t>(json.data)) {
        PEAT_TRY_VOID(tx_.erase(map, key));
      } else {
        PEAT_TRY_VOID(set(map, std::string_view(key), json, mode));
      }
    }
    for (const auto& key : gone) PEAT_TRY_VOID(tx_.erase(map, std::string_view(key)));
    return {};
  }

  // What two lists have in common stays; between, elements are set one onto the other, and what is
  // left over is inserted or deleted.
  Status update_list(ObjectId list, const Json::Array& items) {
    PEAT_TRY(const auto edits, list_edits(list, items));
    // From the end, so that the indexes of what comes before stay right.
    for (auto edit = edits.rbegin(); edit != edits.rend(); ++edit) {
      const auto both = std::min(edit->erase, edit->insert);
      for (std::size_t i = both; i < edit->insert; ++i) {
        PEAT_TRY_VOID(insert(list, edit->at + i, items[edit->from + i]));
      }
      for (std::size_t i = both; i < edit->erase; ++i) {
        PEAT_TRY_VOID(tx_.erase(list, edit->at + both));
      }
    }
    // Nested values are worked off later, so the elements are set in the order of the list.
    std::ptrdiff_t moved = 0;
    for (const auto& edit : edits) {
      const auto at = static_cast<std::size_t>(static_cast<std::ptrdiff_t>(edit.at) + moved);
      for (std::size_t i = 0; i < std::min(edit.erase, edit.insert); ++i) {
        PEAT_TRY_VOID(set(list, at + i, items[edit.from + i], Mode::exact));
      }
      moved += static_cast<std::ptrdiff_t>(edit.insert) - static_cast<std::ptrdiff_t>(edit.erase);
    }
    return {};
  }

  Result<std::vector<SequenceEdit>> list_edits(ObjectId list, const Json::Array& items) {
    Numbering numbering;
    std::string canonical;
    PEAT_TRY(const auto size, document().length(list));
    std::vector<std::uint32_t> before;
    for (std::size_t i = 0; i < size; ++i) {
      PEAT_TRY(const auto value, document().get(list, i));
      canonical.clear();
      if (value) PEAT_TRY_VOID(append_canonical(canonical, document(), *value, form_));
      before.push_back(numbering.number(canonical));
    }
    std::vector<std::uint32_t> after;
    for (const auto& item : items) {
      canonical.clear();
      append_canonical(canonical, item);
      after.push_back(numbering.number(canonical));
    }
    return diff(before, after);
  }

  Status insert(ObjectId list, std::size_t index, const Json& json) {
    const auto type = object_type_of(json);
    if (!type) return tx_.insert(list, index, as_scalar(json));
    PEAT_TRY(const auto id, tx_.insert_object(list, index, *type));
    return fill(id, json, Mode::exact);
  }

  // `place` is a key or an index.
  template <class Place>
  Status set(ObjectId object, Place place, const Json& json, Mode mode) {
    PEAT_TRY(const auto current, document().get(object, place));
    const auto type = object_type_of(json);
    if (current) {
      const auto* held = std::get_if<ObjectRef>(&current->data);
      if (mode != Mode::replace && held != nullptr && type && held->type != ObjectType::text) {
        const bool both_lists = held->type == ObjectType::list && *type == ObjectType::list;
        const bool both_maps = held->type != ObjectType::list && *type == ObjectType::map;
        if (both_lists || both_maps) {
          work_.push_back({held->id, &json, mode});
          return {};
        }
      }
      if (mode != Mode::replace && (!type || *type == ObjectType::text)) {
        PEAT_TRY(const bool same, shows_as(document(), *current, json, form_));
        if (same) return {};
        PEAT_TRY(const bool kept, set_keeping_type(object, place, *current, json));
        if (kept) return {};
      }
    }
    if (!type) return tx_.put(object, place, as_scalar(json));
    PEAT_TRY(const auto id, tx_.put_object(object, place, *type));
    return fill(id, json, mode);
  }

  // The content of a new object.
  Status fill(ObjectId id, const Json& json, Mode mode) {
    if (const auto* text = std::get_if<JsonText>(&json.data)) {
      return tx_.splice_text(id, 0, 0, text->text);
    }
    work_.push_back({id, &json, mode});
    return {};
  }

  // Texts, counters and timestamps stay what they are under JSON that cannot name their types:
  // concurrent edits of them then merge as their makers meant.
  template <class Place>
  Result<bool> set_keeping_type(ObjectId object, Place place, const Value& current,
                                const Json& json) {
    if (const auto* held = std::get_if<ObjectRef>(&current.data)) {
      const auto* wanted = wanted_text(json, form_);
      if (held->type != ObjectType::text || wanted == nullptr) return false;
      PEAT_TRY_VOID(splice(held->id, *wanted));
      return true;
    }
    const auto& scalar = std::get<Scalar>(current.data);
    const auto* tagged = std::get_if<Counter>(&json.data);
    const auto* integer = tagged != nullptr          ? &tagged->value
                          : form_ == JsonForm::plain ? std::get_if<std::int64_t>(&json.data)
                                                     : nullptr;
    if (integer == nullptr) return false;
    if (tagged == nullptr && std::holds_alternative<Timestamp>(scalar)) {
      PEAT_TRY_VOID(tx_.put(object, place, Timestamp{*integer}));
      return true;
    }
    const auto* counter = std::get_if<Counter>(&scalar);
    std::int64_t by = 0;
    if (counter == nullptr || __builtin_sub_overflow(*integer, counter->value, &by)) return false;
    PEAT_TRY_VOID(tx_.increment(object, place, by));
    return true;
  }

  Status splice(ObjectId text, std::string_view wanted) {
    PEAT_TRY(const std::string old, document().text(text));
    const CodePoints before(old);
    const CodePoints after(wanted);
    const auto edits = diff(before.ids, after.ids);
    // Where each code point begins in what the document counts.
    std::vector<std::size_t> index(before.begin.begin(), before.begin.end());
    if (document().text_unit() != TextUnit::utf8) {
      const auto unit = unit_of(document().text_unit());
      for (std::size_t i = 0, at = 0; i < index.size(); ++i) {
        index[i] = at;
        if (i + 1 == index.size()) break;
        const auto bytes =
            as_bytes(old).subspan(before.begin[i], before.begin[i + 1] - before.begin[i]);
        at += static_cast<std::size_t>(units_of_text(bytes).*unit);
      }
    }
    for (auto edit = edits.rbegin(); edit != edits.rend(); ++edit) {
      const auto begin = after.begin[edit->from];
      const auto end = after.begin[edit->from + edit->insert];
      const auto erase = index[edit->at + edit->erase] - index[edit->at];
      PEAT_TRY_VOID(tx_.splice_text(text, index[edit->at], static_cast<std::ptrdiff_t>(erase),
                                    wanted.substr(begin, end - begin)));
    }
    return {};
  }

  Transaction& tx_;
  JsonForm form_;
  std::deque<Work> work_;
};

Result<std::optional<ChangeHash>> update(Document& document, std::string_view text, Mode mode,
                                         JsonForm form, const CommitOptions& options) {
  PEAT_TRY(auto json, parse_json(text));
  if (form == JsonForm::typed) PEAT_TRY_VOID(resolve_types(json));
  if (object_type_of(json) != ObjectType::map) {
    return fail(Code::invalid_argument,
                "JSON text: the root of a document is an object, not a "
                "list or a scalar; wrap the value in {}");
  }
  PEAT_TRY(auto transaction, document.begin());
  PEAT_TRY_VOID(Updater(transaction, form).run(json, mode));
  return transaction.commit(options);
}

}  // namespace

Result<std::optional<ChangeHash>> Document::update_from_json(std::string_view json,
                                                             const CommitOptions& options,
                                                             JsonForm form) {
  return guarded([&] { return update(*this, json, Mode::exact, form, options); });
}

Result<std::optional<ChangeHash>> Document::replace_from_json(std::string_view json,
                                                              const CommitOptions& options,
                                                              JsonForm form) {
  return guarded([&] { return update(*this, json, Mode::replace, form, options); });
}

Result<std::optional<ChangeHash>> Document::merge_patch(std::string_view patch,
                                                        const CommitOptions& options,
                                                        JsonForm form) {
  return guarded([&] { return update(*this, patch, Mode::patch, form, options); });
}

}  // namespace peat::automerge
