// JSON into a document, writing only what differs (json.cpp has the table of types).
//
// Objects are worked off breadth first, keys bytewise ascending, so that the same JSON makes the
// same operations everywhere.
#include <charconv>
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
#include "automerge/json_write.hpp"
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
    return run();
  }

  // One conflict, by its path from the root.
  Status settle(const Path& path, const Json& value) {
    ObjectId object = kRoot;
    for (std::size_t i = 0; i < path.size(); ++i) {
      PEAT_TRY(const auto at, place(object, path, i));
      if (i + 1 == path.size()) {
        PEAT_TRY_VOID(
            std::visit([&](const auto& last) { return settle(object, last, path, value); }, at));
        return run();
      }
      PEAT_TRY(const auto next,
               std::visit([&](const auto& step) { return document().get(object, step); }, at));
      const auto* child = next ? std::get_if<ObjectRef>(&next->data) : nullptr;
      if (child == nullptr || child->type == ObjectType::text) return no_conflict(path);
      object = child->id;
    }
    return fail(Code::invalid_argument, "the path of a conflict has a step at least");
  }

 private:
  Status run() {
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
      PEAT_TRY_VOID(tx_.update_text(held->id, *wanted));
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

  static std::unexpected<Error> no_conflict(const Path& path) {
    return fail(Code::precondition_failed,
                "nothing is in conflict at " + path_text(path) + "; somebody may have settled it");
  }

  // A step as its object takes it: of lists an index.
  Result<std::variant<std::string_view, std::size_t>> place(ObjectId object, const Path& path,
                                                            std::size_t step) const {
    using Place = std::variant<std::string_view, std::size_t>;
    PEAT_TRY(const auto type, document().object_type(object));
    const auto* key = std::get_if<std::string>(&path[step]);
    if (type != ObjectType::list) {
      if (key == nullptr) return no_conflict(path);
      return Place(std::string_view(*key));
    }
    std::size_t index = 0;
    if (key == nullptr) {
      index = std::get<std::size_t>(path[step]);
    } else {
      const auto end = key->data() + key->size();
      const auto read = std::from_chars(key->data(), end, index);
      if (read.ec != std::errc() || read.ptr != end) return no_conflict(path);
    }
    PEAT_TRY(const auto size, document().length(object));
    if (index >= size) return no_conflict(path);
    return Place(index);
  }

  template <class At>
  Status settle(ObjectId object, At at, const Path& path, const Json& json) {
    PEAT_TRY(const auto values, document().get_all(object, at));
    if (values.size() < 2) return no_conflict(path);
    std::string wanted;
    append_canonical(wanted, json);
    // The winner first: if several show the same, it is the one that is meant.
    const Value* chosen = nullptr;
    for (auto value = values.rbegin(); chosen == nullptr && value != values.rend(); ++value) {
      std::string canonical;
      PEAT_TRY_VOID(append_canonical(canonical, document(), *value, form_));
      if (canonical == wanted) chosen = &*value;
    }
    if (chosen == &values.back()) return tx_.keep_winner(object, at);
    const auto& like = chosen == nullptr ? values.back() : *chosen;
    const auto* held = std::get_if<ObjectRef>(&like.data);
    const bool onto_text = held != nullptr && held->type == ObjectType::text;
    if (const auto* text = onto_text ? wanted_text(json, form_) : nullptr) {
      PEAT_TRY(const auto made, tx_.put_object(object, at, ObjectType::text));
      return tx_.splice_text(made, 0, 0, *text);
    }
    if (chosen != nullptr && held == nullptr) {
      return tx_.put(object, at, std::get<Scalar>(chosen->data));
    }
    if (const auto type = object_type_of(json)) {
      PEAT_TRY(const auto made, tx_.put_object(object, at, *type));
      return fill(made, json, Mode::exact);
    }
    return tx_.put(object, at, as_scalar_like(json, like));
  }

  // An integer onto a counter or timestamp is one, where JSON cannot say which it means.
  Scalar as_scalar_like(const Json& json, const Value& like) const {
    const auto* integer = std::get_if<std::int64_t>(&json.data);
    const auto* held = std::get_if<Scalar>(&like.data);
    if (integer == nullptr || held == nullptr || form_ == JsonForm::typed) return as_scalar(json);
    if (std::holds_alternative<Counter>(*held)) return Counter{*integer};
    if (std::holds_alternative<Timestamp>(*held)) return Timestamp{*integer};
    return as_scalar(json);
  }

  Transaction& tx_;
  JsonForm form_;
  std::deque<Work> work_;
};

// Settlements: [{"path": [key or index, …], "value": …}, …]
Result<Path> path_of(const Json& json) {
  const auto* steps = std::get_if<Json::Array>(&json.data);
  if (steps == nullptr) {
    return fail(Code::malformed, "a settlement's path is an array of keys and indexes");
  }
  Path path;
  for (const auto& step : *steps) {
    const auto* key = std::get_if<std::string>(&step.data);
    const auto* index = std::get_if<std::int64_t>(&step.data);
    if (key != nullptr) {
      path.emplace_back(*key);
    } else if (index != nullptr && *index >= 0) {
      path.emplace_back(static_cast<std::size_t>(*index));
    } else {
      return fail(Code::malformed, "a step of a path is neither a key nor an index");
    }
  }
  return path;
}

Status settle_each(Updater& updater, const Json& settlements) {
  constexpr std::string_view kForm = R"(settlements are an array: [{"path": […], "value": …}, …])";
  const auto* list = std::get_if<Json::Array>(&settlements.data);
  if (list == nullptr || list->empty()) return fail(Code::malformed, std::string(kForm));
  for (const auto& item : *list) {
    const auto* members = std::get_if<Json::Object>(&item.data);
    // Members stand in bytewise order.
    if (members == nullptr || members->size() != 2 || (*members)[0].key != "path" ||
        (*members)[1].key != "value") {
      return fail(Code::malformed, std::string(kForm));
    }
    PEAT_TRY(const auto path, path_of((*members)[0].value));
    PEAT_TRY_VOID(updater.settle(path, (*members)[1].value));
  }
  return {};
}

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

Result<std::optional<ChangeHash>> Document::settle(std::string_view settlements,
                                                   const CommitOptions& options, JsonForm form) {
  return guarded([&]() -> Result<std::optional<ChangeHash>> {
    PEAT_TRY(auto json, parse_json(settlements));
    if (form == JsonForm::typed) PEAT_TRY_VOID(resolve_types(json));
    PEAT_TRY(auto transaction, begin());
    Updater updater(transaction, form);
    PEAT_TRY_VOID(settle_each(updater, json));
    return transaction.commit(options);
  });
}

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
