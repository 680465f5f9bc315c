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

#include "automerge/json_types.hpp"
#include "automerge/json_write.hpp"
#include "automerge/view_impl.hpp"
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

std::string path_text(const Path& path) {
  std::string out = "[";
  for (const auto& step : path) {
    if (out.size() > 1) out += ',';
    if (const auto* key = std::get_if<std::string>(&step)) {
      append_json_string(out, *key);
    } else {
      out += std::to_string(std::get<std::size_t>(step));
    }
  }
  out += ']';
  return out;
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

// Writes a value with a stack of its own: another writer may have nested deeper than ours is.
class JsonWriter {
 public:
  JsonWriter(const ViewAccess& in, JsonForm form) : in_(in), form_(form) {}

  std::string write(const Value& value) {
    append(value);
    while (!open_.empty()) step();
    return std::move(out_);
  }

 private:
  struct Open {
    bool is_map = false;
    bool tagged = false;
    std::vector<ViewAccess::Entry> entries;
    std::size_t next = 0;
  };

  void append(const Value& value) {
    if (const auto* object = std::get_if<ObjectRef>(&value.data)) {
      return open(in_.ops().find_object(object->id.op));
    }
    const auto& scalar = std::get<Scalar>(value.data);
    if (form_ == JsonForm::typed && append_typed(out_, scalar)) return;
    std::visit(AppendScalar{out_}, scalar);
  }

  void open(std::uint32_t object) {
    const auto& held = in_.ops().object(object);
    if (held.type == ObjectType::text) {
      const auto text = in_.text_of(object);
      if (form_ == JsonForm::typed) {
        append_typed_text(out_, text);
      } else {
        append_json_string(out_, text);
      }
      return;
    }
    Open level{.is_map = held.is_map(), .entries = in_.entries(object)};
    level.tagged = form_ == JsonForm::typed && level.is_map && level.entries.size() == 1 &&
                   needs_map_tag(level.entries.front().key);
    if (level.tagged) out_ += R"({"$map":)";
    out_ += level.is_map ? '{' : '[';
    open_.push_back(std::move(level));
  }

  void step() {
    auto& level = open_.back();
    if (level.next == level.entries.size()) {
      out_ += level.is_map ? '}' : ']';
      if (level.tagged) out_ += '}';
      open_.pop_back();
      return;
    }
    const auto at = level.next++;
    const auto entry = level.entries[at];
    if (at > 0) out_ += ',';
    if (level.is_map) {
      append_json_string(out_, entry.key);
      out_ += ':';
    }
    append(entry.value);
  }

  const ViewAccess& in_;
  JsonForm form_;
  std::string out_;
  std::vector<Open> open_;
};

}  // namespace

Result<std::string> Document::to_json(JsonForm form) const { return read().to_json(form); }

Result<std::string> View::to_json(JsonForm form) const {
  return to_json(Value{ObjectRef{ObjectType::map, kRoot}, {}}, form);
}

Result<std::string> View::to_json(const Value& value, JsonForm form) const {
  return guarded([&]() -> Result<std::string> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    if (const auto* object = std::get_if<ObjectRef>(&value.data)) {
      PEAT_TRY_VOID(in.object(object->id));
    }
    return JsonWriter(in, form).write(value);
  });
}

}  // namespace peat::automerge
