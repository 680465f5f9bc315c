#include "peat_cli/paths.hpp"

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>

#include "peat_cli/json.hpp"

namespace peat::cli {

namespace {

Result<std::string> unescape(std::string_view step, std::string_view pointer) {
  std::string out;
  for (std::size_t i = 0; i < step.size(); ++i) {
    if (step[i] != '~') {
      out += step[i];
      continue;
    }
    const char code = i + 1 < step.size() ? step[++i] : '\0';
    if (code != '0' && code != '1') {
      return fail(
          Code::invalid_argument,
          fmt::format("'{}': a tilde in a JSON pointer is ~0, a slash in a key ~1", pointer));
    }
    out += code == '0' ? '~' : '/';
  }
  return out;
}

std::string escape(std::string_view step) {
  std::string out;
  for (const char c : step) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

std::string step_text(const boost::json::value& step) {
  if (step.is_string()) return std::string(std::string_view(step.get_string()));
  return boost::json::serialize(step);
}

}  // namespace

Result<std::vector<std::string>> parse_path(std::string_view text) {
  const bool pointer = text.starts_with('/');
  const char separator = pointer ? '/' : '.';
  std::vector<std::string> path;
  for (auto rest = pointer ? text.substr(1) : text;;) {
    const auto end = rest.find(separator);
    const auto step = rest.substr(0, end);
    if (pointer) {
      PEAT_TRY(auto key, unescape(step, text));
      path.push_back(std::move(key));
    } else if (step.empty()) {
      return fail(Code::invalid_argument, fmt::format("'{}' has an empty part", text));
    } else {
      path.emplace_back(step);
    }
    if (end == std::string_view::npos) return path;
    rest = rest.substr(end + 1);
  }
}

std::string format_path(const boost::json::array& path) {
  std::string dotted;
  std::string pointer;
  bool plain = true;
  for (const auto& step : path) {
    const auto text = step_text(step);
    plain = plain && !text.empty() && text.find_first_of("./=") == std::string::npos;
    dotted += (dotted.empty() ? "" : ".") + text;
    pointer += '/' + escape(text);
  }
  return plain ? dotted : pointer;
}

Result<Assignment> parse_assignment(std::string_view option, std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) {
    return fail(Code::invalid_argument, fmt::format("{} '{}' is not path=value", option, text));
  }
  Assignment out;
  PEAT_TRY(out.path, parse_path(text.substr(0, equals)));
  const auto value = text.substr(equals + 1);
  out.json =
      parse_json(value) ? std::string(value) : boost::json::serialize(boost::json::string(value));
  return out;
}

}  // namespace peat::cli
