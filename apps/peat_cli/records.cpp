#include "peat_cli/records.hpp"

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <optional>
#include <unordered_map>

#include "peat_cli/json.hpp"

namespace peat::cli {

namespace {

struct Piece {
  std::size_t line = 0;
  std::string_view text;
};

// Walks over JSON text value by value without building anything, counting lines.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\r' || text_[at_] == '\n')) {
      if (text_[at_] == '\n') ++line_;
      ++at_;
    }
  }
  bool done() const { return at_ == text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  std::size_t line() const { return line_; }
  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  // One whole value: its brackets and quotes match; what is inside is checked by the parser later.
  Result<Piece> value() {
    const Piece piece{line_, {}};
    const auto begin = at_;
    std::size_t depth = 0;
    while (!done()) {
      const char c = text_[at_];
      if (c == '"') {
        if (!skip_string()) return broken(piece.line, "a text that does not end");
      } else if (c == '{' || c == '[') {
        ++depth;
        ++at_;
      } else if (c == '}' || c == ']') {
        if (depth == 0) break;
        --depth;
        ++at_;
      } else if (depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n')) {
        break;
      } else {
        if (c == '\n') ++line_;
        ++at_;
      }
      if (depth == 0 && (c == '}' || c == ']' || c == '"')) break;
    }
    if (depth > 0) return broken(piece.line, "brackets that do not close");
    if (begin == at_) return broken(piece.line, "no value");
    return Piece{piece.line, text_.substr(begin, at_ - begin)};
  }

 private:
  bool skip_string() {
    for (++at_; !done(); ++at_) {
      if (text_[at_] == '\\') {
        ++at_;
        if (done()) return false;
      } else if (text_[at_] == '"') {
        ++at_;
        return true;
      } else if (text_[at_] == '\n') {
        ++line_;
      }
    }
    return false;
  }
  static std::unexpected<Error> broken(std::size_t line, std::string_view what) {
    return fail(Code::malformed, fmt::format("line {}: {}", line, what));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

Result<std::vector<Piece>> array_elements(Scanner& scanner) {
  std::vector<Piece> pieces;
  scanner.take('[');
  scanner.skip_space();
  if (scanner.take(']')) return pieces;
  while (true) {
    scanner.skip_space();
    PEAT_TRY(const auto piece, scanner.value());
    pieces.push_back(piece);
    scanner.skip_space();
    if (scanner.take(']')) return pieces;
    if (!scanner.take(',')) {
      return fail(Code::malformed,
                  fmt::format("line {}: ',' or ']' is missing in the array", scanner.line()));
    }
  }
}

// The elements of the array in {"name": [ … ]}; nullopt if the text is something else.
Result<std::optional<std::vector<Piece>>> only_array_member(std::string_view text) {
  Scanner scanner(text);
  scanner.skip_space();
  if (!scanner.take('{')) return std::nullopt;
  scanner.skip_space();
  if (scanner.peek() != '"') return std::nullopt;
  PEAT_TRY_VOID(scanner.value());
  scanner.skip_space();
  if (!scanner.take(':')) return std::nullopt;
  scanner.skip_space();
  if (scanner.peek() != '[') return std::nullopt;
  PEAT_TRY(auto pieces, array_elements(scanner));
  scanner.skip_space();
  if (!scanner.take('}')) return std::nullopt;
  scanner.skip_space();
  if (!scanner.done()) return std::nullopt;
  return pieces;
}

std::vector<Piece> split_lines(std::string_view text) {
  std::vector<Piece> pieces;
  std::size_t number = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (!line.empty()) pieces.push_back({number, line});
  }
  return pieces;
}

Result<std::vector<Piece>> split(std::string_view text, RecordFormat format) {
  if (format == RecordFormat::lines) return split_lines(text);
  Scanner scanner(text);
  scanner.skip_space();
  if (scanner.peek() == '[') {
    PEAT_TRY(auto pieces, array_elements(scanner));
    scanner.skip_space();
    if (!scanner.done()) {
      return fail(Code::malformed,
                  fmt::format("line {}: more text after the array", scanner.line()));
    }
    return pieces;
  }
  if (scanner.peek() != '{') {
    return fail(Code::malformed,
                fmt::format("line {}: neither an array, an object with one array, nor an object "
                            "per line",
                            scanner.line()));
  }
  if (auto member = only_array_member(text); member && *member) return std::move(**member);
  return split_lines(text);
}

// "" if `object` has no usable id under `key`.
std::string id_of(const boost::json::object& object, const std::string& key) {
  const auto* member = object.if_contains(key);
  if (member == nullptr) return {};
  if (member->is_string()) return std::string(std::string_view(member->get_string()));
  return member->is_number() ? boost::json::serialize(*member) : std::string();
}

}  // namespace

Result<Records> read_records(std::string_view text, const std::string& key, RecordFormat format) {
  PEAT_TRY(const auto pieces, split(text, format));
  Records records;
  std::unordered_map<std::string, std::size_t> seen;
  for (const auto& piece : pieces) {
    const auto object = parse_json_object(piece.text);
    if (!object) {
      records.bad.push_back({piece.line, object.error().message});
      continue;
    }
    auto id = id_of(*object, key);
    if (id.empty()) {
      records.bad.push_back({piece.line, fmt::format("no text or number '{}'", key)});
      continue;
    }
    const auto [first, is_new] = seen.emplace(id, piece.line);
    if (!is_new) {
      records.bad.push_back(
          {piece.line, fmt::format("'{}' is '{}' again, as on line {}", key, id, first->second)});
      continue;
    }
    // One line each, whatever line breaks the file has inside a record.
    records.good.push_back({piece.line, std::move(id), boost::json::serialize(*object)});
  }
  return records;
}

}  // namespace peat::cli
