// Documents as JSON. How each type maps:
//
//   Automerge              to JSON                       from JSON
//   map, table             object                        object -> map
//   list                   array                         array  -> list
//   string                 string                        string -> string
//   text                   string                        string onto a text: spliced
//   int, uint              integer                       integer -> int, beyond int64 uint
//   double                 shortest text that reads      number with . or e, or beyond uint64
//                          back, always with . or e
//   counter                integer                       integer onto a counter: increment
//   timestamp              integer (ms)                  integer onto a timestamp: timestamp
//   true, false, null      the same                      the same
//   NaN, infinities, unknown types   null                -
//   bytes                  base64 string                 -
//
// Typed JSON (json_types.hpp) has a form for every row, so that what it shows comes back as it was.
//
// "onto": when the field holds that type already. Whatever a field holds, a JSON value equal to
// what to_json shows for it writes nothing; numbers are equal by value, so that a client whose
// language prints 1.0 as 1 does not rewrite the field.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "automerge/document_impl.hpp"
#include "automerge/json_types.hpp"
#include "automerge/json_write.hpp"
#include "base/encoding.hpp"
#include "peat/automerge/document.hpp"

namespace peat::automerge {

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          char escape[8];
          std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
          out += escape;
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

namespace {

void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  const std::string_view digits(text, static_cast<std::size_t>(end - text));
  out += digits;
  if (digits.find_first_of(".e") == std::string_view::npos) out += ".0";
}

struct AppendScalar {
  std::string& out;

  void operator()(Null) const { out += "null"; }
  void operator()(bool value) const { out += value ? "true" : "false"; }
  void operator()(std::int64_t value) const { out += std::to_string(value); }
  void operator()(std::uint64_t value) const { out += std::to_string(value); }
  void operator()(double value) const { append_double(out, value); }
  void operator()(Counter value) const { out += std::to_string(value.value); }
  void operator()(Timestamp value) const { out += std::to_string(value.ms); }
  void operator()(std::string_view value) const { append_json_string(out, value); }
  void operator()(ByteView value) const { append_json_string(out, to_base64(value)); }
  void operator()(const UnknownValue&) const { out += "null"; }
};

// Writes an object with its own stack: another writer may have nested deeper than ours is.
class JsonWriter {
 public:
  JsonWriter(const Document& document, JsonForm form) : document_(document), form_(form) {}

  Result<std::string> write() {
    PEAT_TRY_VOID(open({ObjectType::map, kRoot}));
    while (!open_.empty()) PEAT_TRY_VOID(step());
    return std::move(out_);
  }

 private:
  struct Open {
    ObjectId id;
    bool is_map = false;
    bool tagged = false;
    std::vector<std::string_view> keys;
    std::size_t size = 0;
    std::size_t next = 0;
  };

  Status open(ObjectRef object) {
    if (object.type == ObjectType::text) {
      PEAT_TRY(const auto text, document_.text(object.id));
      if (form_ == JsonForm::typed) {
        append_typed_text(out_, text);
      } else {
        append_json_string(out_, text);
      }
      return {};
    }
    Open level{.id = object.id, .is_map = object.type != ObjectType::list, .keys = {}};
    if (level.is_map) {
      PEAT_TRY(level.keys, document_.keys(object.id));
      level.size = level.keys.size();
    } else {
      PEAT_TRY(level.size, document_.length(object.id));
    }
    level.tagged = form_ == JsonForm::typed && level.is_map && level.size == 1 &&
                   needs_map_tag(level.keys.front());
    if (level.tagged) out_ += R"({"$map":)";
    out_ += level.is_map ? '{' : '[';
    open_.push_back(std::move(level));
    return {};
  }

  Status step() {
    auto& level = open_.back();
    if (level.next == level.size) {
      out_ += level.is_map ? '}' : ']';
      if (level.tagged) out_ += '}';
      open_.pop_back();
      return {};
    }
    const auto at = level.next++;
    if (at > 0) out_ += ',';
    if (level.is_map) {
      append_json_string(out_, level.keys[at]);
      out_ += ':';
    }
    PEAT_TRY(const auto value,
             level.is_map ? document_.get(level.id, level.keys[at]) : document_.get(level.id, at));
    if (!value) {
      out_ += "null";
      return {};
    }
    if (const auto* object = std::get_if<ObjectRef>(&value->data)) return open(*object);
    const auto& scalar = std::get<Scalar>(value->data);
    if (form_ == JsonForm::typed && append_typed(out_, scalar)) return {};
    std::visit(AppendScalar{out_}, scalar);
    return {};
  }

  const Document& document_;
  JsonForm form_;
  std::string out_;
  std::vector<Open> open_;
};

}  // namespace

Result<std::string> Document::to_json(JsonForm form) const {
  return guarded([&] { return JsonWriter(*this, form).write(); });
}

}  // namespace peat::automerge
