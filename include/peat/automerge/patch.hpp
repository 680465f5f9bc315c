// What changed between two states of a document, step by step.
//
// Patches apply in the order in which they come; positions in one take those before it into
// account. They are grouped by object, parents first. An object that becomes visible comes as the
// value of a put or an insert, followed by patches that fill it. Only winners show; that others
// lost to them is said by `conflict`.
//
// Cost of Document::diff: a walk over both states of every object that is visible in the second.
// Of what an observer is told: of the map keys, lists and texts that changed.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "peat/automerge/marks.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

struct PatchValue {
  std::variant<OwnedScalar, ObjectRef> data;
  OpId op;  // the operation that set it
  bool conflict = false;
};

namespace patch {

struct PutMap {
  std::string key;
  PatchValue value;
};
struct PutSeq {  // in place of what is at the index
  std::size_t index = 0;
  PatchValue value;
};
struct Insert {  // into a list, or a block into a text
  std::size_t index = 0;
  std::vector<PatchValue> values;
};
struct SpliceText {
  std::size_t index = 0;
  std::string text;
  MarkSet marks;  // under which it stands
};
struct Increment {
  Prop prop;
  std::int64_t by = 0;
};
struct Conflict {  // the value stays, but others lose to it now
  Prop prop;
};
struct DeleteMap {
  std::string key;
};
struct DeleteSeq {
  std::size_t index = 0;
  std::size_t length = 0;
};
struct MarkText {  // text that stays gets these marks; a null value takes the name away
  std::vector<Mark> marks;
};

}  // namespace patch

struct Patch {
  struct Step {
    ObjectId object;
    Prop prop;
  };
  ObjectId object;
  std::vector<Step> path;  // from the root down to the object
  std::variant<patch::PutMap, patch::PutSeq, patch::Insert, patch::SpliceText, patch::Increment,
               patch::Conflict, patch::DeleteMap, patch::DeleteSeq, patch::MarkText>
      action;
};

// Told after each commit, apply, merge and sync message that changed what is visible, with what
// changed since it was told before. It must neither throw nor change the document.
using Observer = std::function<void(std::span<const Patch>)>;

}  // namespace peat::automerge
