// JSON into a document, writing only what differs (json.cpp has the table of types).
//
// Objects are worked off breadth first, keys bytewise ascending, so that the same JSON makes the
// same operations everywhere.
#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <string>
#include <utility>

#include "automerge/document_impl.hpp"
#include "automerge/json_parse.hpp"
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

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(json.data); }
  const std::string* text() const { return std::get_if<std::string>(&json.data); }

  bool operator()(Null) const { return is_null(); }
  bool operator()(const UnknownValue&) const { return is_null(); }
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
  bool operator()(Counter value) const { return integer(value.value); }
  bool operator()(Timestamp value) const { return integer(value.ms); }
  bool operator()(double value) const {
    if (!std::isfinite(value)) return is_null();
    if (const auto* i = std::get_if<std::int64_t>(&json.data)) return same_number(value, *i);
    if (const auto* u = std::get_if<std::uint64_t>(&json.data)) return same_number(value, *u);
    const auto* real = std::get_if<double>(&json.data);
    return real != nullptr && std::memcmp(real, &value, sizeof value) == 0;
  }
  bool operator()(std::string_view value) const { return text() != nullptr && *text() == value; }
  bool operator()(ByteView value) const { return text() != nullptr && *text() == to_base64(value); }
};

// The depth is that of the JSON, which is limited.
Result<bool> shows_as(const Document& document, const Value& value, const Json& json) {
  if (const auto* scalar = std::get_if<Scalar>(&value.data)) {
    return std::visit(ShowsAs{json}, *scalar);
  }
  const auto object = std::get<ObjectRef>(value.data);
  if (object.type == ObjectType::text) {
    const auto* wanted = std::get_if<std::string>(&json.data);
    if (wanted == nullptr) return false;
    PEAT_TRY(const auto text, document.text(object.id));
    return text == *wanted;
  }
  PEAT_TRY(const auto size, document.length(object.id));
  if (object.type == ObjectType::list) {
    const auto* items = std::get_if<Json::Array>(&json.data);
    if (items == nullptr || items->size() != size) return false;
    for (std::size_t i = 0; i < size; ++i) {
      PEAT_TRY(const auto item, document.get(object.id, i));
      if (!item) return false;
      PEAT_TRY(const bool same, shows_as(document, *item, (*items)[i]));
      if (!same) return false;
    }
    return true;
  }
  const auto* members = std::get_if<Json::Object>(&json.data);
  if (members == nullptr || members->size() != size) return false;
  for (const auto& [key, wanted] : *members) {
    PEAT_TRY(const auto member, document.get(object.id, key));
    if (!member) return false;
    PEAT_TRY(const bool same, shows_as(document, *member, wanted));
    if (!same) return false;
  }
  return true;
}

// A JSON scalar as what is written for it; objects and arrays have no scalar.
Scalar as_scalar(const Json& json) {
  if (const auto* value = std::get_if<bool>(&json.data)) return *value;
  if (const auto* value = std::get_if<std::int64_t>(&json.data)) return *value;
  if (const auto* value = std::get_if<std::uint64_t>(&json.data)) return *value;
  if (const auto* value = std::get_if<double>(&json.data)) return *value;
  if (const auto* value = std::get_if<std::string>(&json.data)) return std::string_view(*value);
  return Null{};
}

std::optional<ObjectType> object_type_of(const Json& json) {
  if (std::holds_alternative<Json::Object>(json.data)) return ObjectType::map;
  if (std::holds_alternative<Json::Array>(json.data)) return ObjectType::list;
  return std::nullopt;
}

std::size_t code_points(std::string_view text) {
  std::size_t n = 0;
  for (const char c : text) n += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return n;
}

bool inside_code_point(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
}

enum class Mode : std::uint8_t {
  exact,  // the object ends up as the JSON says
  patch,  // RFC 7386: null deletes, what is not named stays
};

class Updater {
 public:
  explicit Updater(Transaction& transaction) : tx_(transaction) {}

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
    if (mode == Mode::exact) {
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

  // What stays at the front and at the back costs nothing; between, elements are set one onto the
  // other, and what is left over is inserted or deleted.
  Status update_list(ObjectId list, const Json::Array& items) {
    PEAT_TRY(const auto size, document().length(list));
    const auto shorter = std::min(size, items.size());
    std::size_t front = 0;
    for (; front < shorter; ++front) {
      PEAT_TRY(const bool same, element_shows_as(list, front, items[front]));
      if (!same) break;
    }
    std::size_t back = 0;
    for (; back < shorter - front; ++back) {
      PEAT_TRY(const bool same,
               element_shows_as(list, size - 1 - back, items[items.size() - 1 - back]));
      if (!same) break;
    }
    std::size_t at = front;
    for (; at < shorter - back; ++at) PEAT_TRY_VOID(set(list, at, items[at], Mode::exact));
    for (; at < items.size() - back; ++at) PEAT_TRY_VOID(insert(list, at, items[at]));
    for (auto left = size - back; left > at; --left) PEAT_TRY_VOID(tx_.erase(list, at));
    return {};
  }

  Result<bool> element_shows_as(ObjectId list, std::size_t index, const Json& json) {
    PEAT_TRY(const auto value, document().get(list, index));
    if (!value) return false;
    return shows_as(document(), *value, json);
  }

  Status insert(ObjectId list, std::size_t index, const Json& json) {
    const auto type = object_type_of(json);
    if (!type) return tx_.insert(list, index, as_scalar(json));
    PEAT_TRY(const auto id, tx_.insert_object(list, index, *type));
    work_.push_back({id, &json, Mode::exact});
    return {};
  }

  // `place` is a key or an index.
  template <class Place>
  Status set(ObjectId object, Place place, const Json& json, Mode mode) {
    PEAT_TRY(const auto current, document().get(object, place));
    const auto type = object_type_of(json);
    if (current) {
      const auto* held = std::get_if<ObjectRef>(&current->data);
      if (held != nullptr && type && held->type != ObjectType::text) {
        const bool both_lists = held->type == ObjectType::list && *type == ObjectType::list;
        const bool both_maps = held->type != ObjectType::list && *type == ObjectType::map;
        if (both_lists || both_maps) {
          work_.push_back({held->id, &json, mode});
          return {};
        }
      }
      if (!type) {
        PEAT_TRY(const bool same, shows_as(document(), *current, json));
        if (same) return {};
        PEAT_TRY(const bool kept, set_keeping_type(object, place, *current, json));
        if (kept) return {};
      }
    }
    if (!type) return tx_.put(object, place, as_scalar(json));
    PEAT_TRY(const auto id, tx_.put_object(object, place, *type));
    work_.push_back({id, &json, mode});
    return {};
  }

  // Texts, counters and timestamps stay what they are under JSON that cannot name their types:
  // concurrent edits of them then merge as their makers meant.
  template <class Place>
  Result<bool> set_keeping_type(ObjectId object, Place place, const Value& current,
                                const Json& json) {
    if (const auto* held = std::get_if<ObjectRef>(&current.data)) {
      const auto* wanted = std::get_if<std::string>(&json.data);
      if (held->type != ObjectType::text || wanted == nullptr) return false;
      PEAT_TRY_VOID(splice(held->id, *wanted));
      return true;
    }
    const auto* integer = std::get_if<std::int64_t>(&json.data);
    if (integer == nullptr) return false;
    const auto& scalar = std::get<Scalar>(current.data);
    if (std::holds_alternative<Timestamp>(scalar)) {
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
    const auto shorter = std::min(old.size(), wanted.size());
    std::size_t front = 0;
    while (front < shorter && old[front] == wanted[front]) ++front;
    while (inside_code_point(old, front) || inside_code_point(wanted, front)) --front;
    std::size_t back = 0;
    while (back < shorter - front && old[old.size() - 1 - back] == wanted[wanted.size() - 1 - back])
      ++back;
    while (back > 0 && inside_code_point(old, old.size() - back)) --back;
    const auto removed = std::string_view(old).substr(front, old.size() - back - front);
    return tx_.splice_text(text, code_points(std::string_view(old).substr(0, front)),
                           static_cast<std::ptrdiff_t>(code_points(removed)),
                           wanted.substr(front, wanted.size() - back - front));
  }

  Transaction& tx_;
  std::deque<Work> work_;
};

Result<std::optional<ChangeHash>> update(Document& document, std::string_view text, Mode mode,
                                         const CommitOptions& options) {
  PEAT_TRY(const auto json, parse_json(text));
  if (object_type_of(json) != ObjectType::map) {
    return fail(Code::invalid_argument,
                "JSON text: the root of a document is an object, not a "
                "list or a scalar; wrap the value in {}");
  }
  PEAT_TRY(auto transaction, document.begin());
  PEAT_TRY_VOID(Updater(transaction).run(json, mode));
  return transaction.commit(options);
}

}  // namespace

Result<std::optional<ChangeHash>> Document::update_from_json(std::string_view json,
                                                             const CommitOptions& options) {
  return guarded([&] { return update(*this, json, Mode::exact, options); });
}

Result<std::optional<ChangeHash>> Document::merge_patch(std::string_view patch,
                                                        const CommitOptions& options) {
  return guarded([&] { return update(*this, patch, Mode::patch, options); });
}

}  // namespace peat::automerge
