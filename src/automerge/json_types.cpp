#include "automerge/json_types.hpp"

#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>

#include "automerge/json_write.hpp"
#include "base/encoding.hpp"

namespace peat::automerge {

namespace {

constexpr std::int64_t kExactInDoubles = (std::int64_t{1} << 53) - 1;
constexpr std::string_view kBits = "bits:";

std::uint64_t bits_of(double value) {
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

double from_bits(std::uint64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

std::unexpected<Error> wrong(std::string_view tag, std::string_view what) {
  return fail(Code::malformed,
              "typed JSON: \"" + std::string(tag) + "\" takes " + std::string(what));
}

template <class Integer>
Result<Integer> integer(std::string_view tag, const Json& json) {
  if (const auto* i = std::get_if<std::int64_t>(&json.data); i && std::in_range<Integer>(*i)) {
    return static_cast<Integer>(*i);
  }
  if (const auto* u = std::get_if<std::uint64_t>(&json.data); u && std::in_range<Integer>(*u)) {
    return static_cast<Integer>(*u);
  }
  if (const auto* text = std::get_if<std::string>(&json.data)) {
    Integer value{};
    const auto* end = text->data() + text->size();
    const auto [stopped, error] = std::from_chars(text->data(), end, value);
    if (error == std::errc() && stopped == end && !text->empty()) return value;
  }
  return wrong(tag, "an integer of 64 bits, or its digits as a string");
}

Result<Bytes> bytes(std::string_view tag, const Json& json) {
  if (const auto* text = std::get_if<std::string>(&json.data)) {
    if (auto decoded = from_base64(*text)) return decoded;
  }
  return wrong(tag, "bytes as base64");
}

Result<double> real(std::string_view tag, const Json& json) {
  const auto* text = std::get_if<std::string>(&json.data);
  if (text != nullptr && *text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text != nullptr && *text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text != nullptr && *text == "-Infinity") return -std::numeric_limits<double>::infinity();
  if (text != nullptr && text->starts_with(kBits) && text->size() == kBits.size() + 16) {
    std::uint64_t bits = 0;
    const auto* end = text->data() + text->size();
    if (std::from_chars(text->data() + kBits.size(), end, bits, 16).ptr == end) {
      return from_bits(bits);
    }
  }
  return wrong(tag, R"("NaN", "Infinity", "-Infinity" or "bits:" and 16 hex digits)");
}

Result<Json> unknown(std::string_view tag, const Json& json) {
  const auto* parts = std::get_if<Json::Array>(&json.data);
  if (parts != nullptr && parts->size() == 2) {
    const auto* type = std::get_if<std::int64_t>(&parts->front().data);
    if (type != nullptr && *type >= 10 && *type <= 15) {
      PEAT_TRY(auto content, bytes(tag, parts->back()));
      return Json{JsonUnknown{static_cast<std::uint8_t>(*type), std::move(content)}};
    }
  }
  return wrong(tag, "an array of a type code from 10 to 15 and base64");
}

// The value that a tagged object stands for.
Result<Json> resolve(JsonMember& member) {
  const std::string_view tag = member.key;
  auto& json = member.value;
  if (tag == "$bytes") {
    PEAT_TRY(auto content, bytes(tag, json));
    return Json{JsonBytes{std::move(content)}};
  }
  if (tag == "$counter") {
    PEAT_TRY(const auto value, integer<std::int64_t>(tag, json));
    return Json{Counter{value}};
  }
  if (tag == "$timestamp") {
    PEAT_TRY(const auto value, integer<std::int64_t>(tag, json));
    return Json{Timestamp{value}};
  }
  if (tag == "$int") {
    PEAT_TRY(const auto value, integer<std::int64_t>(tag, json));
    return Json{value};
  }
  if (tag == "$uint") {
    PEAT_TRY(const auto value, integer<std::uint64_t>(tag, json));
    return Json{value};
  }
  if (tag == "$double") {
    PEAT_TRY(const auto value, real(tag, json));
    return Json{value};
  }
  if (tag == "$text") {
    if (auto* text = std::get_if<std::string>(&json.data)) return Json{JsonText{std::move(*text)}};
    return wrong(tag, "a string");
  }
  if (tag == "$unknown") return unknown(tag, json);
  return fail(Code::malformed, "typed JSON: no type is called \"" + std::string(tag) +
                                   "\"; a map with this only member is {\"$map\": {…}}");
}

template <class Integer>
void append_integer(std::string& out, const char* tag, Integer value) {
  const bool exact = std::cmp_less_equal(value, kExactInDoubles) &&
                     std::cmp_greater_equal(value, -kExactInDoubles);
  out += "{\"";
  out += tag;
  out += exact ? "\":" : "\":\"";
  out += std::to_string(value);
  out += exact ? "}" : "\"}";
}

void append_bytes(std::string& out, ByteView bytes) { append_json_string(out, to_base64(bytes)); }

struct AppendTyped {
  std::string& out;

  bool operator()(Null) const { return false; }
  bool operator()(bool) const { return false; }
  bool operator()(std::string_view) const { return false; }
  bool operator()(std::int64_t value) const {
    if (value <= kExactInDoubles && value >= -kExactInDoubles) return false;
    append_integer(out, "$int", value);
    return true;
  }
  bool operator()(std::uint64_t value) const {
    append_integer(out, "$uint", value);
    return true;
  }
  bool operator()(double value) const {
    if (std::isfinite(value)) return false;
    out += R"({"$double":")";
    if (std::isinf(value)) {
      out += value > 0 ? "Infinity" : "-Infinity";
    } else if (bits_of(value) == bits_of(std::numeric_limits<double>::quiet_NaN())) {
      out += "NaN";
    } else {
      Bytes raw;
      for (int shift = 56; shift >= 0; shift -= 8) {
        raw.push_back(static_cast<std::uint8_t>(bits_of(value) >> shift));
      }
      out += kBits;
      out += to_hex(raw);
    }
    out += "\"}";
    return true;
  }
  bool operator()(Counter value) const {
    append_integer(out, "$counter", value.value);
    return true;
  }
  bool operator()(Timestamp value) const {
    append_integer(out, "$timestamp", value.ms);
    return true;
  }
  bool operator()(ByteView value) const {
    out += R"({"$bytes":)";
    append_bytes(out, value);
    out += '}';
    return true;
  }
  bool operator()(const UnknownValue& value) const {
    out += R"({"$unknown":[)" + std::to_string(value.type) + ',';
    append_bytes(out, value.bytes);
    out += "]}";
    return true;
  }
};

}  // namespace

// The depth is that of the JSON, which is limited.
Status resolve_types(Json& json) {
  if (auto* items = std::get_if<Json::Array>(&json.data)) {
    for (auto& item : *items) PEAT_TRY_VOID(resolve_types(item));
    return {};
  }
  auto* members = std::get_if<Json::Object>(&json.data);
  if (members == nullptr) return {};
  if (members->size() != 1 || !needs_map_tag(members->front().key)) {
    for (auto& member : *members) PEAT_TRY_VOID(resolve_types(member.value));
    return {};
  }
  auto member = std::move(members->front());
  if (member.key == "$map") {
    if (!std::holds_alternative<Json::Object>(member.value.data)) return wrong("$map", "an object");
    for (auto& inner : std::get<Json::Object>(member.value.data)) {
      PEAT_TRY_VOID(resolve_types(inner.value));
    }
    json = std::move(member.value);
    return {};
  }
  PEAT_TRY(json, resolve(member));
  return {};
}

bool append_typed(std::string& out, const Scalar& value) {
  return std::visit(AppendTyped{out}, value);
}

void append_typed_text(std::string& out, std::string_view text) {
  out += R"({"$text":)";
  append_json_string(out, text);
  out += '}';
}

bool needs_map_tag(std::string_view only_key) { return only_key.starts_with('$'); }

}  // namespace peat::automerge
