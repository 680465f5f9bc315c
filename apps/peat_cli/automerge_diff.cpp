#include "peat_cli/automerge_diff.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "peat_cli/automerge_report.hpp"
#include "peat_cli/output.hpp"

namespace peat::cli {

namespace {

using automerge::ChangeHash;
using automerge::Document;
using automerge::MarkSet;
using automerge::ObjectRef;
using automerge::ObjectType;
using automerge::OwnedScalar;
using automerge::Patch;
using automerge::PatchValue;
using automerge::Prop;
namespace json = boost::json;
namespace patch = automerge::patch;

// --- heads ----------------------------------------------------------------------------------

Result<ChangeHash> find_change(std::span<const std::string> hashes, std::string_view start) {
  if (start.empty() || start.find_first_not_of("0123456789abcdef") != std::string_view::npos) {
    return fail(Code::invalid_argument,
                fmt::format("'{}' is no hash of a change: give lower-case hexadecimal digits, "
                            "'now' or 'none'",
                            start));
  }
  const auto begins = [&](const std::string& hash) { return hash.starts_with(start); };
  const auto found = std::ranges::find_if(hashes, begins);
  if (found == hashes.end()) {
    return fail(Code::not_found, fmt::format("no change {} in this document; 'peat automerge "
                                             "inspect --changes' lists those that are",
                                             start));
  }
  const auto other = std::find_if(found + 1, hashes.end(), begins);
  if (other != hashes.end()) {
    return fail(
        Code::invalid_argument,
        fmt::format("{} and {} both begin with {}: give more digits", *found, *other, start));
  }
  return ChangeHash::parse(*found);
}

// --- patches --------------------------------------------------------------------------------

const char* type_name(ObjectType type) {
  constexpr std::array kNames{"map", "list", "text", "table"};
  return kNames.at(static_cast<std::size_t>(type));
}

std::string prop_text(const Prop& prop) {
  if (const auto* key = std::get_if<std::string>(&prop)) return *key;
  return fmt::format("{}", std::get<std::size_t>(prop));
}

json::value prop_json(const Prop& prop) {
  if (const auto* key = std::get_if<std::string>(&prop)) return json::value(json::string(*key));
  return std::get<std::size_t>(prop);
}

std::string shown(const PatchValue& value) {
  const auto* object = std::get_if<ObjectRef>(&value.data);
  auto text = object != nullptr ? fmt::format("new {}", type_name(object->type))
                                : value_text(std::get<OwnedScalar>(value.data).view());
  if (value.conflict) text += " (others lost to it)";
  return text;
}

json::value shown_json(const PatchValue& value) {
  if (const auto* object = std::get_if<ObjectRef>(&value.data)) {
    return json::object{{"type", type_name(object->type)}};
  }
  return value_json(std::get<OwnedScalar>(value.data).view());
}

std::string quoted(std::string_view text) { return json::serialize(json::value(text)); }

std::string shown(const MarkSet& marks) {
  std::string text;
  for (const auto& [name, value] : marks) {
    text +=
        fmt::format("{}{} = {}", text.empty() ? " marked " : ", ", name, value_text(value.view()));
  }
  return text;
}

// Where a patch acts: behind the path to its object.
struct Place {
  Prop operator()(const patch::PutMap& p) const { return p.key; }
  Prop operator()(const patch::DeleteMap& p) const { return p.key; }
  Prop operator()(const patch::PutSeq& p) const { return p.index; }
  Prop operator()(const patch::Insert& p) const { return p.index; }
  Prop operator()(const patch::SpliceText& p) const { return p.index; }
  Prop operator()(const patch::DeleteSeq& p) const { return p.index; }
  Prop operator()(const patch::Increment& p) const { return p.prop; }
  Prop operator()(const patch::Conflict& p) const { return p.prop; }
};

std::vector<Prop> path_of(const Patch& change) {
  std::vector<Prop> path;
  for (const auto& step : change.path) path.push_back(step.prop);
  std::visit(
      [&](const auto& action) {
        if constexpr (!std::is_same_v<std::decay_t<decltype(action)>, patch::MarkText>) {
          path.push_back(Place()(action));
        }
      },
      change.action);
  return path;
}

struct Line {
  std::string place;

  std::string operator()(const patch::PutMap& p) const { return put(p.value); }
  std::string operator()(const patch::PutSeq& p) const { return put(p.value); }
  std::string put(const PatchValue& value) const {
    return fmt::format("put       {} = {}\n", place, shown(value));
  }
  std::string operator()(const patch::Insert& p) const {
    std::string values;
    for (const auto& value : p.values) values += (values.empty() ? "" : ", ") + shown(value);
    return fmt::format("insert    {} = {}\n", place, values);
  }
  std::string operator()(const patch::SpliceText& p) const {
    return fmt::format("splice    {} {}{}\n", place, quoted(p.text), shown(p.marks));
  }
  std::string operator()(const patch::Increment& p) const {
    return fmt::format("increment {} by {}\n", place, p.by);
  }
  std::string operator()(const patch::Conflict&) const {
    return fmt::format("conflict  {}: others lost to what is there\n", place);
  }
  std::string operator()(const patch::DeleteMap&) const {
    return fmt::format("delete    {}\n", place);
  }
  std::string operator()(const patch::DeleteSeq& p) const {
    return p.length == 1
               ? fmt::format("delete    {}\n", place)
               : fmt::format("delete    {} and what follows, {} in all\n", place, p.length);
  }
  std::string operator()(const patch::MarkText& p) const {
    std::string lines;
    for (const auto& mark : p.marks) {
      lines += fmt::format("mark      {} {} to {}: {} = {}\n", place, mark.start, mark.end,
                           mark.name, value_text(mark.value.view()));
    }
    return lines;
  }
};

struct Json {
  using Object = json::object;

  static Object put(const PatchValue& value) {
    Object out{{"action", "put"}, {"value", shown_json(value)}};
    if (value.conflict) out["conflict"] = true;
    return out;
  }
  Object operator()(const patch::PutMap& p) const { return put(p.value); }
  Object operator()(const patch::PutSeq& p) const { return put(p.value); }
  Object operator()(const patch::Insert& p) const {
    json::array values;
    for (const auto& value : p.values) values.push_back(shown_json(value));
    return {{"action", "insert"}, {"values", std::move(values)}};
  }
  Object operator()(const patch::SpliceText& p) const {
    Object out{{"action", "splice"}, {"value", p.text}};
    if (p.marks.empty()) return out;
    auto& marks = out["marks"].emplace_object();
    for (const auto& [name, value] : p.marks) marks[name] = value_json(value.view());
    return out;
  }
  Object operator()(const patch::Increment& p) const {
    return {{"action", "increment"}, {"value", p.by}};
  }
  Object operator()(const patch::Conflict&) const { return {{"action", "conflict"}}; }
  Object operator()(const patch::DeleteMap&) const { return {{"action", "delete"}}; }
  Object operator()(const patch::DeleteSeq& p) const {
    return {{"action", "delete"}, {"length", p.length}};
  }
  Object operator()(const patch::MarkText& p) const {
    json::array marks;
    for (const auto& mark : p.marks) {
      marks.push_back({{"start", mark.start},
                       {"end", mark.end},
                       {"name", mark.name},
                       {"value", value_json(mark.value.view())}});
    }
    return {{"action", "mark"}, {"marks", std::move(marks)}};
  }
};

}  // namespace

Result<automerge::Heads> parse_heads(const Document& document, std::string_view text) {
  if (text == "now") return document.heads();
  automerge::Heads heads;
  if (text == "none") return heads;
  std::vector<std::string> hashes;
  for (const auto& change : document.changes()) hashes.push_back(change.hash.to_string());
  for (auto rest = text;;) {
    const auto comma = rest.find(',');
    PEAT_TRY(const auto hash, find_change(hashes, rest.substr(0, comma)));
    heads.push_back(hash);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  std::ranges::sort(heads);
  const auto [begin, end] = std::ranges::unique(heads);
  heads.erase(begin, end);
  return heads;
}

std::string patches_text(std::span<const Patch> patches) {
  std::string out;
  for (const auto& change : patches) {
    std::string place;
    for (const auto& prop : path_of(change)) {
      place += (place.empty() ? "" : ".") + prop_text(prop);
    }
    out += std::visit(Line{std::move(place)}, change.action);
  }
  return out;
}

json::value patches_json(std::span<const Patch> patches) {
  json::array out;
  for (const auto& change : patches) {
    auto object = std::visit(Json(), change.action);
    auto& path = object["path"].emplace_array();
    for (const auto& prop : path_of(change)) path.push_back(prop_json(prop));
    out.push_back(std::move(object));
  }
  return out;
}

}  // namespace peat::cli
