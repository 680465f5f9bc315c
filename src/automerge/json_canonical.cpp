#include "automerge/json_canonical.hpp"

#include <cmath>
#include <cstring>
#include <type_traits>

#include "base/encoding.hpp"

namespace peat::automerge {

namespace {

// Each value begins with a letter for its kind and ends where that says, so that no two values
// run together alike.
void put_text(std::string& out, char kind, std::string_view text) {
  out += kind;
  out += std::to_string(text.size());
  out += ':';
  out += text;
}

template <class Integer>
void put_integer(std::string& out, char kind, Integer value) {
  out += kind;
  out += std::to_string(value);
  out += ';';
}

// Numbers are equal by value, so a whole double is written as the integer that it equals.
void put_double(std::string& out, double value) {
  const bool whole = std::trunc(value) == value && !(value == 0 && std::signbit(value));
  if (whole && value >= -0x1p63 && value < 0x1p63) {
    return put_integer(out, 'i', static_cast<std::int64_t>(value));
  }
  if (whole && value >= 0 && value < 0x1p64) {
    return put_integer(out, 'i', static_cast<std::uint64_t>(value));
  }
  out += 'd';
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

struct PutJson {
  std::string& out;

  void operator()(std::nullptr_t) const { out += 'n'; }
  void operator()(bool value) const { out += value ? 'T' : 'F'; }
  void operator()(std::int64_t value) const { put_integer(out, 'i', value); }
  void operator()(std::uint64_t value) const { put_integer(out, 'i', value); }
  void operator()(double value) const { put_double(out, value); }
  void operator()(const std::string& value) const { put_text(out, 's', value); }
  void operator()(Counter value) const { put_integer(out, 'c', value.value); }
  void operator()(Timestamp value) const { put_integer(out, 't', value.ms); }
  void operator()(const JsonBytes& value) const { put_text(out, 'b', as_text(value.bytes)); }
  void operator()(const JsonText& value) const { put_text(out, 'x', value.text); }
  void operator()(const JsonUnknown& value) const {
    put_integer(out, '?', value.type);
    put_text(out, 'b', as_text(value.bytes));
  }
  void operator()(const Json::Array& items) const {
    out += '[';
    for (const auto& item : items) std::visit(*this, item.data);
    out += ']';
  }
  void operator()(const Json::Object& members) const {
    out += '{';
    for (const auto& [key, value] : members) {
      put_text(out, 'k', key);
      std::visit(*this, value.data);
    }
    out += '}';
  }
};

struct PutScalar {
  std::string& out;
  JsonForm form;

  bool typed() const { return form == JsonForm::typed; }
  void operator()(Null) const { out += 'n'; }
  void operator()(bool value) const { out += value ? 'T' : 'F'; }
  void operator()(std::int64_t value) const { put_integer(out, 'i', value); }
  void operator()(std::uint64_t value) const { put_integer(out, 'i', value); }
  void operator()(double value) const {
    if (typed() || std::isfinite(value)) {
      put_double(out, value);
    } else {
      out += 'n';
    }
  }
  void operator()(Counter value) const { put_integer(out, typed() ? 'c' : 'i', value.value); }
  void operator()(Timestamp value) const { put_integer(out, typed() ? 't' : 'i', value.ms); }
  void operator()(std::string_view value) const { put_text(out, 's', value); }
  void operator()(ByteView value) const {
    if (typed()) {
      put_text(out, 'b', as_text(value));
    } else {
      put_text(out, 's', to_base64(value));
    }
  }
  void operator()(const UnknownValue& value) const {
    if (!typed()) {
      out += 'n';
      return;
    }
    put_integer(out, '?', value.type);
    put_text(out, 'b', as_text(value.bytes));
  }
};

// What is still to be written of an object; documents may nest deeper than a stack is.
struct Open {
  ObjectId id;
  bool is_map = false;
  std::vector<std::string_view> keys;
  std::size_t size = 0;
  std::size_t next = 0;
};

class PutDocument {
 public:
  PutDocument(std::string& out, const Document& document, JsonForm form)
      : out_(out), document_(document), form_(form) {}

  Status run(const Value& value) {
    PEAT_TRY_VOID(put(value));
    while (!open_.empty()) {
      auto& level = open_.back();
      if (level.next == level.size) {
        out_ += level.is_map ? '}' : ']';
        open_.pop_back();
        continue;
      }
      const auto at = level.next++;
      if (level.is_map) put_text(out_, 'k', level.keys[at]);
      PEAT_TRY(const auto inner, level.is_map ? document_.get(level.id, level.keys[at])
                                              : document_.get(level.id, at));
      if (inner) PEAT_TRY_VOID(put(*inner));
    }
    return {};
  }

 private:
  Status put(const Value& value) {
    if (const auto* scalar = std::get_if<Scalar>(&value.data)) {
      std::visit(PutScalar{out_, form_}, *scalar);
      return {};
    }
    const auto object = std::get<ObjectRef>(value.data);
    if (object.type == ObjectType::text) {
      PEAT_TRY(const auto text, document_.text(object.id));
      put_text(out_, form_ == JsonForm::typed ? 'x' : 's', text);
      return {};
    }
    Open level{.id = object.id, .is_map = object.type != ObjectType::list, .keys = {}};
    if (level.is_map) {
      PEAT_TRY(level.keys, document_.keys(object.id));
      level.size = level.keys.size();
    } else {
      PEAT_TRY(level.size, document_.length(object.id));
    }
    out_ += level.is_map ? '{' : '[';
    open_.push_back(std::move(level));
    return {};
  }

  std::string& out_;
  const Document& document_;
  JsonForm form_;
  std::vector<Open> open_;
};

}  // namespace

void append_canonical(std::string& out, const Json& json) { std::visit(PutJson{out}, json.data); }

Status append_canonical(std::string& out, const Document& document, const Value& value,
                        JsonForm form) {
  return PutDocument(out, document, form).run(value);
}

}  // namespace peat::automerge
