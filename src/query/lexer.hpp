// The words of a query text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "peat/error.hpp"

namespace peat::query {

struct Token {
  enum class Kind : std::uint8_t { word, text, number, symbol, end };
  Kind kind = Kind::end;
  std::string text;    // of a text: decoded
  std::size_t at = 0;  // column, from 1

  bool is_symbol(std::string_view wanted) const { return kind == Kind::symbol && text == wanted; }
  // In any case.
  bool is_word(std::string_view wanted) const;
};

// Ends with a token of kind end. Code::malformed names the column.
Result<std::vector<Token>> read_tokens(std::string_view query);

// Whether a name needs no brackets.
bool is_plain_name(std::string_view name);
// Whether a path that begins with this word could be taken for something else.
bool is_word_of_conditions(std::string_view name);
// In quotes, so that read_tokens gives it back.
std::string quoted(std::string_view text);

}  // namespace peat::query
