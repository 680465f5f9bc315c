#include "broker/json_text.hpp"

#include <fmt/format.h>

#include <algorithm>

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

// The end of the string that begins at `at`, behind its quote.
std::size_t end_of_string(std::string_view json, std::size_t at) {
  for (++at; at < json.size() && json[at] != '"'; ++at) {
    if (json[at] == '\\') ++at;
  }
  return std::min(at + 1, json.size());
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

void append_members_except(std::string& out, std::string_view json, std::string_view name) {
  std::string unwanted;
  append_json_string(unwanted, name);
  const auto first = json.find('{');
  const auto last = json.rfind('}');
  if (first == std::string_view::npos || last == std::string_view::npos || last < first) return;
  const auto members = json.substr(first + 1, last - first - 1);
  bool any = false;
  for (std::size_t begin = 0; begin < members.size();) {
    begin = std::min(members.find_first_not_of(" \t\r\n", begin), members.size());
    std::size_t depth = 0;
    auto at = begin;
    while (at < members.size() && (depth > 0 || members[at] != ',')) {
      const char c = members[at];
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      at = c == '"' ? end_of_string(members, at) : at + 1;
    }
    const auto member = members.substr(begin, at - begin);
    if (!member.empty() && !member.starts_with(unwanted)) {
      if (any) out += ',';
      any = true;
      out += member;
    }
    begin = at + 1;
  }
}

void append_document(std::string& out, std::string_view id, std::string_view json) {
  out += R"({"_id":)";
  append_json_string(out, id);
  const auto before = out.size();
  out += ',';
  append_members_except(out, json, "_id");
  if (out.size() == before + 1) out.pop_back();
  out += '}';
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
