// Writing JSON text directly: the answers of the broker are small, and documents are JSON text
// already, so no tree is built.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace peat::broker {

// Appends `text` as a JSON string, with quotes. Bytes that are not UTF-8 become U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// Appends the members of the JSON object `json`, with the braces left off, except those called
// `name`. Only the top level is looked at, so the cost is one pass and no depth is too deep.
void append_members_except(std::string& out, std::string_view json, std::string_view name);

// Appends the document `json` with "_id" put first; a member of that name gives way.
void append_document(std::string& out, std::string_view id, std::string_view json);

// Members are appended to `out` in the order of the calls; close() ends the object.
class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
  void text(std::string_view name, std::string_view value);
  void number(std::string_view name, std::uint64_t value);
  void integer(std::string_view name, std::int64_t value);
  void boolean(std::string_view name, bool value);
  void null(std::string_view name);
  void raw(std::string_view name, std::string_view json);  // `json` is JSON text
  // Appends the name and the colon; the caller appends the value.
  void member(std::string_view name);
  void close() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

class JsonArray {
 public:
  explicit JsonArray(std::string& out) : out_(out) { out_ += '['; }
  void element();  // the caller appends the value
  void close() { out_ += ']'; }

 private:
  std::string& out_;
  bool first_ = true;
};

}  // namespace peat::broker
