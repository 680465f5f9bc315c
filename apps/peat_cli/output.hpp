// What the command prints: tables for people, JSON for programs; data on standard output,
// everything else on standard error.
#pragma once

#include <boost/json/value.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace peat::cli {

enum class OutputMode : std::uint8_t { table, json };

// A table when standard output is a terminal, JSON otherwise.
OutputMode detect_output_mode();
bool error_output_is_terminal();

// Writes to standard output; a reader that has gone ends the program quietly.
void print(std::string_view text);
void print_line(std::string_view text);

// Columns as wide as their content; the first row is the header.
std::string format_table(const std::vector<std::vector<std::string>>& rows);
// JSON with two-space indentation.
std::string format_json(const boost::json::value& value);
// At most `width` characters, the rest as "…"; never cuts inside a character.
std::string shorten(std::string_view text, std::size_t width);
// 8342 -> "2 h 19 min"
std::string format_seconds(std::uint64_t seconds);
// 1234567 -> "1.2 MB"
std::string format_bytes(std::uint64_t bytes);

// One line on standard error that is drawn over itself; silent where that is no terminal.
class ProgressBar {
 public:
  explicit ProgressBar(std::size_t total, bool enabled) : total_(total), enabled_(enabled) {}
  void show(std::size_t done) const;
  void finish() const;

 private:
  std::size_t total_;
  bool enabled_;
};

}  // namespace peat::cli
