#include "query/scan.hpp"

#include <algorithm>

namespace peat::query {

namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::string_view skip_space(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  return text;
}

// The string that begins at `text` (its quote included); missing if it does not end.
Found read_string(std::string_view text, std::string_view& rest) {
  bool escaped = false;
  for (std::size_t at = 1; at < text.size(); ++at) {
    if (text[at] == '"') {
      rest = text.substr(at + 1);
      return {Type::text, text.substr(1, at - 1), escaped};
    }
    if (text[at] == '\\') {
      escaped = true;
      ++at;
    }
  }
  return {};
}

// An object or a list as a whole: brackets are counted, not told apart.
Found read_nested(std::string_view text, std::string_view& rest) {
  const auto type = text.front() == '{' ? Type::object : Type::list;
  std::size_t depth = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') {
      for (++at; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '\\') ++at;
      }
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      rest = text.substr(at + 1);
      return {type, text.substr(0, at + 1), false};
    }
  }
  return {};
}

void append_utf8(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

std::optional<std::uint32_t> read_hex4(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text.substr(0, 4)) {
    const auto digit = c >= '0' && c <= '9'   ? c - '0'
                       : c >= 'a' && c <= 'f' ? c - 'a' + 10
                       : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                              : -1;
    if (digit < 0) return std::nullopt;
    value = value << 4 | static_cast<std::uint32_t>(digit);
  }
  return value;
}

// Appends what \uXXXX stands for and returns how much of `text` (behind the u) it took. Half a
// surrogate pair becomes U+FFFD.
std::size_t append_unicode(std::string& out, std::string_view text) {
  const auto first = read_hex4(text);
  if (!first) {
    append_utf8(out, 0xfffd);
    return 0;
  }
  if (*first < 0xd800 || *first > 0xdfff) {
    append_utf8(out, *first);
    return 4;
  }
  if (*first < 0xdc00 && text.substr(4).starts_with("\\u")) {
    const auto second = read_hex4(text.substr(6));
    if (second && *second >= 0xdc00 && *second <= 0xdfff) {
      append_utf8(out, 0x10000 + ((*first - 0xd800) << 10) + (*second - 0xdc00));
      return 10;
    }
  }
  append_utf8(out, 0xfffd);
  return 4;
}

}  // namespace

std::string_view Found::text(std::string& scratch) const {
  if (!escaped) return raw;
  scratch.clear();
  for (std::size_t at = 0; at < raw.size(); ++at) {
    if (raw[at] != '\\' || at + 1 == raw.size()) {
      scratch += raw[at];
      continue;
    }
    const char c = raw[++at];
    switch (c) {
      case 'n':
        scratch += '\n';
        break;
      case 't':
        scratch += '\t';
        break;
      case 'r':
        scratch += '\r';
        break;
      case 'b':
        scratch += '\b';
        break;
      case 'f':
        scratch += '\f';
        break;
      case 'u':
        at += append_unicode(scratch, raw.substr(at + 1));
        break;
      default:
        scratch += c;
    }
  }
  return scratch;
}

Found read_value(std::string_view json, std::string_view& rest) {
  const auto text = skip_space(json);
  rest = {};
  if (text.empty()) return {};
  switch (text.front()) {
    case '"':
      return read_string(text, rest);
    case '{':
    case '[':
      return read_nested(text, rest);
    default:
      break;
  }
  std::size_t end = 0;
  while (end < text.size() && text[end] != ',' && text[end] != '}' && text[end] != ']' &&
         !is_space(text[end])) {
    ++end;
  }
  const auto raw = text.substr(0, end);
  rest = text.substr(end);
  if (raw == "null") return {Type::null, raw, false};
  if (raw == "true" || raw == "false") return {Type::boolean, raw, false};
  if (!raw.empty() && (raw.front() == '-' || (raw.front() >= '0' && raw.front() <= '9'))) {
    return {Type::number, raw, false};
  }
  rest = {};
  return {};
}

std::string_view detail::next_element(std::string_view rest) {
  rest = skip_space(rest);
  if (rest.starts_with(',')) rest = skip_space(rest.substr(1));
  return rest;
}

// --- paths --------------------------------------------------------------------------------------

std::size_t PathTree::child(std::size_t node, const Step& step) {
  const auto fresh = nodes_.size();
  if (step.index) {
    for (const auto& [index, next] : nodes_[node].elements) {
      if (index == *step.index) return next;
    }
    nodes_[node].elements.emplace_back(*step.index, fresh);
  } else {
    for (const auto& [name, next] : nodes_[node].members) {
      if (name == step.name) return next;
    }
    nodes_[node].members.emplace_back(step.name, fresh);
  }
  nodes_.emplace_back();
  return fresh;
}

void PathTree::add(const Path& path, std::size_t slot) {
  std::size_t node = 0;
  ++nodes_[node].slots;
  for (const auto& step : path.steps) {
    node = child(node, step);
    ++nodes_[node].slots;
  }
  nodes_[node].slot = slot;
}

// As deep as the longest path, no deeper.
struct PathTree::Scan {
  const std::vector<Node>& nodes;
  std::span<Found> found;

  // What stands at `node`; `text` begins with it. Returns what follows, empty at the end of all.
  std::string_view value(std::size_t node, std::string_view text) {
    const auto& here = nodes[node];
    std::string_view rest;
    const bool below = here.slots > (here.slot ? 1U : 0U);
    if (!below || here.slot) {
      const auto whole = read_value(text, rest);
      if (here.slot) found[*here.slot] = whole;
      if (!below) return rest;
    }
    text = skip_space(text);
    auto behind = std::string_view();
    if (text.starts_with('{') && !here.members.empty()) {
      behind = object(here, text.substr(1));
    } else if (text.starts_with('[') && !here.elements.empty()) {
      behind = list(here, text.substr(1));
    } else {
      read_value(text, behind);
    }
    return here.slot ? rest : behind;
  }

  std::string_view object(const Node& here, std::string_view text) {
    std::string scratch;
    std::size_t open = here.members.size();
    for (;;) {
      text = detail::next_element(text);
      if (!text.starts_with('"')) return text.starts_with('}') ? text.substr(1) : text.substr(0, 0);
      std::string_view rest;
      const auto name = read_string(text, rest);
      rest = skip_space(rest);
      if (name.type == Type::missing || !rest.starts_with(':')) return {};
      rest.remove_prefix(1);
      const auto key = name.text(scratch);
      const auto member = std::ranges::find(
          here.members, key, [](const auto& m) { return std::string_view(m.first); });
      if (member == here.members.end()) {
        read_value(rest, text);
        continue;
      }
      text = value(member->second, rest);
      // The root's members that matter are all there: the rest of the text is not looked at.
      if (--open == 0 && &here == nodes.data()) return {};
    }
  }

  std::string_view list(const Node& here, std::string_view text) {
    for (std::uint32_t index = 0;; ++index) {
      text = detail::next_element(text);
      if (text.empty() || text.starts_with(']')) return text.empty() ? text : text.substr(1);
      const auto before = text.size();
      const auto element =
          std::ranges::find(here.elements, index, [](const auto& e) { return e.first; });
      if (element == here.elements.end()) {
        read_value(text, text);
      } else {
        text = value(element->second, text);
      }
      if (text.size() >= before) return {};
    }
  }
};

void PathTree::scan(std::string_view json, std::span<Found> found) const {
  if (skip_space(json).starts_with('{')) Scan{nodes_, found}.value(0, json);
}

}  // namespace peat::query
