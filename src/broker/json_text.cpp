#include "broker/json_text.hpp"

#include <fmt/format.h>

#include "base/encoding.hpp"

namespace peat::broker {

namespace {

// The length of the UTF-8 sequence at the start of `text`, 0 if there is none.
std::size_t sequence_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (length > text.size() || !is_utf8(text.substr(0, length))) return 0;
  return length;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  const bool valid = is_utf8(text);
  out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else if (valid || static_cast<unsigned char>(c) < 0x80) {
      out += c;
    } else if (const auto length = sequence_length(text.substr(i)); length > 0) {
      out += text.substr(i, length);
      i += length - 1;
    } else {
      out += "\xef\xbf\xbd";
    }
  }
  out += '"';
}

void JsonObject::member(std::string_view name) {
  if (!first_) out_ += ',';
  first_ = false;
  append_json_string(out_, name);
  out_ += ':';
}

void JsonObject::text(std::string_view name, std::string_view value) {
  member(name);
  append_json_string(out_, value);
}

void JsonObject::number(std::string_view name, std::uint64_t value) {
  member(name);
  out_ += std::to_string(value);
}

void JsonObject::integer(std::string_view name, std::int64_t value) {
  member(name);
  out_ += std::to_string(value);
}

void JsonObject::boolean(std::string_view name, bool value) {
  member(name);
  out_ += value ? "true" : "false";
}

void JsonObject::null(std::string_view name) {
  member(name);
  out_ += "null";
}

void JsonObject::raw(std::string_view name, std::string_view json) {
  member(name);
  out_ += json;
}

void JsonArray::element() {
  if (!first_) out_ += ',';
  first_ = false;
}

}  // namespace peat::broker
