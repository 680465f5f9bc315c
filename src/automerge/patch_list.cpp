#include "automerge/patch_list.hpp"

#include <algorithm>
#include <iterator>

namespace peat::automerge {

void PatchList::enter(ObjectId object, std::vector<Patch::Step> path) {
  object_ = object;
  path_ = std::move(path);
  begin_ = patches_.size();
}

template <class Action>
void PatchList::push(Action action) {
  flush_marks();
  patches_.push_back({object_, path_, std::move(action)});
}

template <class Action>
Action* PatchList::last() {
  if (!marks_.empty() || patches_.size() == begin_) return nullptr;
  return std::get_if<Action>(&patches_.back().action);
}

void PatchList::flush_marks() {
  if (marks_.empty()) return;
  patch::MarkText action;
  for (auto& [name, ranges] : marks_) std::ranges::move(ranges, std::back_inserter(action.marks));
  marks_.clear();
  patches_.push_back({object_, path_, std::move(action)});
}

void PatchList::put(std::string_view key, PatchValue value) {
  push(patch::PutMap{std::string(key), std::move(value)});
}

void PatchList::put(std::size_t index, PatchValue value) {
  push(patch::PutSeq{index, std::move(value)});
}

void PatchList::insert(std::size_t index, PatchValue value) {
  auto* before = last<patch::Insert>();
  if (before != nullptr && index == before->index + before->values.size()) {
    before->values.push_back(std::move(value));
    return;
  }
  patch::Insert action{index, {}};
  action.values.push_back(std::move(value));
  push(std::move(action));
}

void PatchList::splice(std::size_t index, std::size_t end, std::string_view text,
                       const MarkSet& marks) {
  auto* before = last<patch::SpliceText>();
  if (before != nullptr && index == splice_end_ && before->marks == marks) {
    before->text += text;
  } else {
    push(patch::SpliceText{index, std::string(text), marks});
  }
  splice_end_ = end;
}

void PatchList::increment(Prop prop, std::int64_t by) {
  push(patch::Increment{std::move(prop), by});
}

void PatchList::conflict(Prop prop) { push(patch::Conflict{std::move(prop)}); }

void PatchList::erase(std::string_view key) { push(patch::DeleteMap{std::string(key)}); }

void PatchList::erase(std::size_t index, std::size_t length) {
  auto* before = last<patch::DeleteSeq>();
  if (before != nullptr && before->index == index) {
    before->length += length;
  } else {
    push(patch::DeleteSeq{index, length});
  }
}

void PatchList::mark(std::size_t index, std::size_t length, const MarkSet& marks) {
  for (const auto& [name, value] : marks) {
    auto& ranges = marks_[name];
    if (!ranges.empty() && ranges.back().end == index && ranges.back().value == value) {
      ranges.back().end += length;
    } else {
      ranges.push_back({index, index + length, name, value});
    }
  }
}

}  // namespace peat::automerge
