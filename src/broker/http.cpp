#include "broker/http.hpp"

#include <fmt/format.h>

#include "broker/json_text.hpp"

namespace peat::broker {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::unexpected<Error> bad_escape(std::string_view text) {
  return fail(Code::invalid_argument,
              fmt::format("'{}' in the URL holds a malformed %-escape", text));
}

}  // namespace

Response problem(const Error& error) {
  const auto& row = info(error.code);
  Response response;
  response.status = row.http_status;
  response.content_type = "application/problem+json";
  JsonObject body(response.body);
  body.text("type", fmt::format("urn:peat:error:{}", row.name));
  body.text("title", row.text);
  body.number("status", static_cast<std::uint64_t>(row.http_status));
  body.text("detail", error.message);
  body.text("error", error.message);
  body.text("code", row.name);
  body.close();
  if (error.code == Code::too_many_connections || row.http_status == 503) {
    response.headers.emplace_back("Retry-After", "1");
  }
  return response;
}

Response problem(Code code, std::string message) {
  return problem(Error{code, std::move(message)});
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hex_digit(text[i + 1]);
      const int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high << 4 | low);
      i += 2;
    }
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return out;
}

std::optional<std::string> Target::value(std::string_view name) const {
  for (const auto& [key, text] : query) {
    if (key == name) return text;
  }
  return std::nullopt;
}

Result<Target> parse_target(std::string_view target) {
  Target result;
  const auto question = target.find('?');
  auto path = target.substr(0, question);
  if (path.empty() || path.front() != '/') {
    return fail(Code::invalid_argument, fmt::format("'{}' is not a path on this server", target));
  }
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const auto end = std::min(path.find('/'), path.size());
    auto segment = percent_decode(path.substr(0, end), false);
    if (!segment) return bad_escape(path.substr(0, end));
    result.path.push_back(std::move(*segment));
    path.remove_prefix(end);
  }
  if (question == std::string_view::npos) return result;
  auto query = target.substr(question + 1);
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto item = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const auto equals = std::min(item.find('='), item.size());
    auto key = percent_decode(item.substr(0, equals), true);
    auto value = percent_decode(item.substr(std::min(equals + 1, item.size())), true);
    if (!key || !value) return bad_escape(item);
    if (!key->empty()) result.query.emplace_back(std::move(*key), std::move(*value));
  }
  return result;
}

}  // namespace peat::broker
