#include "query/lexer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/encoding.hpp"
#include "query/scan.hpp"

namespace peat::query {

namespace {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '$';
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// As much as a number can have; whether it is one, Number::parse says.
std::size_t number_length(std::string_view text) {
  std::size_t n = text.starts_with('-') ? 1 : 0;
  while (n < text.size() && (is_digit(text[n]) || text[n] == '.')) ++n;
  if (n < text.size() && (text[n] == 'e' || text[n] == 'E')) {
    auto end = n + 1;
    if (end < text.size() && (text[end] == '+' || text[end] == '-')) ++end;
    const auto first = end;
    while (end < text.size() && is_digit(text[end])) ++end;
    if (end > first) n = end;
  }
  return n;
}

constexpr std::array<std::string_view, 14> kSymbols = {"===", "==", "!=", "<=", ">=", "<", ">",
                                                       "=",   "(",  ")",  "[",  "]",  ",", "."};

}  // namespace

bool Token::is_word(std::string_view wanted) const {
  return kind == Kind::word &&
         std::ranges::equal(text, wanted, [](char a, char b) { return lower(a) == b; });
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && !is_digit(name.front()) && name.front() != '-' &&
         std::ranges::all_of(name, is_name_char);
}

bool is_word_of_conditions(std::string_view name) {
  const Token token{Token::Kind::word, std::string(name), 0};
  return token.is_word("not") || token.is_word("all");
}

std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '\'';
}

Result<std::vector<Token>> read_tokens(std::string_view query) {
  if (!is_utf8(query)) return fail(Code::malformed, "query: the text is not UTF-8");
  std::vector<Token> tokens;
  std::size_t at = 0;
  while (at < query.size()) {
    const char c = query[at];
    const auto rest = query.substr(at);
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++at;
    } else if (c == '\'' || c == '"') {
      Found found{Type::text, {}, false};
      auto end = at + 1;
      while (end < query.size() && query[end] != c) {
        if (query[end] == '\\') {
          found.escaped = true;
          ++end;
        }
        ++end;
      }
      if (end >= query.size()) {
        return fail(Code::malformed,
                    fmt::format("query, column {}: the text that begins with {} does not end; "
                                "close it, and write \\{} for one that is part of it",
                                at + 1, c, c));
      }
      found.raw = query.substr(at + 1, end - at - 1);
      std::string scratch;
      tokens.push_back({Token::Kind::text, std::string(found.text(scratch)), at + 1});
      at = end + 1;
    } else if (is_digit(c) || (c == '-' && rest.size() > 1 && is_digit(rest[1]))) {
      const auto length = number_length(rest);
      tokens.push_back({Token::Kind::number, std::string(rest.substr(0, length)), at + 1});
      at += length;
    } else if (is_name_char(c) && c != '-') {
      const auto end = std::ranges::find_if_not(rest, is_name_char);
      const auto length = static_cast<std::size_t>(end - rest.begin());
      tokens.push_back({Token::Kind::word, std::string(rest.substr(0, length)), at + 1});
      at += length;
    } else {
      const auto symbol =
          std::ranges::find_if(kSymbols, [&](auto s) { return rest.starts_with(s); });
      if (symbol == kSymbols.end()) {
        return fail(
            Code::malformed,
            fmt::format("query, column {}: '{}' means nothing here; a name with it stands "
                        "in brackets and quotes, as in pos['e.t.a']",
                        at + 1,
                        static_cast<unsigned char>(c) < 0x80 ? rest.substr(0, 1) : "a letter"));
      }
      tokens.push_back({Token::Kind::symbol, std::string(*symbol), at + 1});
      at += symbol->size();
    }
  }
  tokens.push_back({Token::Kind::end, {}, query.size() + 1});
  return tokens;
}

}  // namespace peat::query
