// JSON text as a value, exactly: integers keep their 64 bits, doubles are rounded correctly,
// object members are sorted bytewise and unique (the last of equals counts).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "peat/automerge/types.hpp"
#include "peat/error.hpp"

namespace peat::automerge {

struct JsonMember;

// Values that only typed JSON has (json_types.hpp).
struct JsonBytes {
  Bytes bytes;
};
struct JsonText {
  std::string text;
};
struct JsonUnknown {
  std::uint8_t type = 0;
  Bytes bytes;
};

struct Json {
  using Array = std::vector<Json>;
  using Object = std::vector<JsonMember>;
  // The integers come as int64 when they fit, else as uint64, else as the nearest double.
  std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, Array,
               Object, Counter, Timestamp, JsonBytes, JsonText, JsonUnknown>
      data;
};

struct JsonMember {
  std::string key;
  Json value;
};

// RFC 8259, one value. Refuses what is not UTF-8 (lone surrogate escapes too), more than the
// limits json_depth and json_values allow, and numbers beyond a double's range.
Result<Json> parse_json(std::string_view text);

}  // namespace peat::automerge
