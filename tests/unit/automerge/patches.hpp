// Patches as short text, for tests: "/path action; …", a conflict being "!".
#pragma once

#include <span>
#include <string>

#include "peat/automerge/document.hpp"

namespace peat::automerge::test {

inline std::string show_scalar(const OwnedScalar& owned) {
  const auto value = owned.view();
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    return "'" + std::string(*text) + "'";
  }
  if (const auto* yes = std::get_if<bool>(&value)) return *yes ? "true" : "false";
  if (const auto* n = std::get_if<std::int64_t>(&value)) return std::to_string(*n);
  if (const auto* n = std::get_if<Counter>(&value)) return "counter:" + std::to_string(n->value);
  return std::holds_alternative<Null>(value) ? "null" : "?";
}

inline std::string show(const PatchValue& value) {
  std::string out;
  if (const auto* object = std::get_if<ObjectRef>(&value.data)) {
    constexpr const char* kNames[] = {"map", "list", "text", "table"};
    out = kNames[static_cast<std::size_t>(object->type)];
  } else {
    out = show_scalar(std::get<OwnedScalar>(value.data));
  }
  return out + (value.conflict ? "!" : "");
}

inline std::string show(const Prop& prop) {
  if (const auto* key = std::get_if<std::string>(&prop)) return *key;
  return std::to_string(std::get<std::size_t>(prop));
}

struct ShowAction {
  std::string operator()(const patch::PutMap& a) const {
    return "put " + a.key + "=" + show(a.value);
  }
  std::string operator()(const patch::PutSeq& a) const {
    return "put " + std::to_string(a.index) + "=" + show(a.value);
  }
  std::string operator()(const patch::Insert& a) const {
    std::string values;
    for (const auto& value : a.values) values += (values.empty() ? "" : " ") + show(value);
    return "insert " + std::to_string(a.index) + " [" + values + "]";
  }
  std::string operator()(const patch::SpliceText& a) const {
    std::string marks;
    for (const auto& [name, value] : a.marks) {
      marks += (marks.empty() ? "" : ",") + name + "=" + show_scalar(value);
    }
    return "splice " + std::to_string(a.index) + " '" + a.text + "'" +
           (marks.empty() ? "" : "{" + marks + "}");
  }
  std::string operator()(const patch::Increment& a) const {
    return "increment " + show(a.prop) + " by " + std::to_string(a.by);
  }
  std::string operator()(const patch::Conflict& a) const { return "conflict " + show(a.prop); }
  std::string operator()(const patch::DeleteMap& a) const { return "delete " + a.key; }
  std::string operator()(const patch::DeleteSeq& a) const {
    return "delete " + std::to_string(a.index) + "+" + std::to_string(a.length);
  }
  std::string operator()(const patch::MarkText& a) const {
    std::string out = "mark";
    for (const auto& mark : a.marks) {
      out += " " + mark.name + "=" + show_scalar(mark.value) + "[" + std::to_string(mark.start) +
             "," + std::to_string(mark.end) + ")";
    }
    return out;
  }
};

inline std::string show(const Document&, std::span<const Patch> patches) {
  std::string out;
  for (const auto& patch : patches) {
    std::string path;
    for (const auto& step : patch.path) path += "/" + show(step.prop);
    out += (out.empty() ? "" : "; ") + (path.empty() ? "/" : path) + " " +
           std::visit(ShowAction{}, patch.action);
  }
  return out;
}

}  // namespace peat::automerge::test
