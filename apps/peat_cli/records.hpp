// Reading the records of a file to import: a JSON array, an object whose only member is an array,
// or one JSON object per line (NDJSON). Each record keeps the line it begins on, so that whatever
// is wrong with it is reported by line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "peat/error.hpp"

namespace peat::cli {

struct ImportRecord {
  std::size_t line = 0;
  std::string id;    // the value of the key member
  std::string json;  // one line of JSON
};

struct BadRecord {
  std::size_t line = 0;
  std::string problem;
};

struct Records {
  std::vector<ImportRecord> good;
  std::vector<BadRecord> bad;  // no object, no key, or a key that an earlier record has
};

enum class RecordFormat : std::uint8_t { detect, lines };

// `key` names the member that becomes the document's id. Code::malformed if the text is in none
// of the three forms.
Result<Records> read_records(std::string_view text, const std::string& key, RecordFormat format);

}  // namespace peat::cli
