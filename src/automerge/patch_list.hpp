// Gathers patches and makes one out of those that go on with the one before.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "peat/automerge/patch.hpp"

namespace peat::automerge {

class PatchList {
 public:
  // Following patches are of this object.
  void enter(ObjectId object, std::vector<Patch::Step> path);
  void leave() { flush_marks(); }

  void put(std::string_view key, PatchValue value);
  void put(std::size_t index, PatchValue value);
  void insert(std::size_t index, PatchValue value);
  // `end`: where the text behind it would go on.
  void splice(std::size_t index, std::size_t end, std::string_view text, const MarkSet& marks);
  void increment(Prop prop, std::int64_t by);
  void conflict(Prop prop);
  void erase(std::string_view key);
  void erase(std::size_t index, std::size_t length);
  void mark(std::size_t index, std::size_t length, const MarkSet& marks);

  const std::vector<Patch::Step>& path() const { return path_; }
  std::vector<Patch> take() { return std::move(patches_); }

 private:
  template <class Action>
  void push(Action action);
  // The newest patch if it is of this object and kind.
  template <class Action>
  Action* last();
  void flush_marks();

  ObjectId object_;
  std::vector<Patch::Step> path_;
  std::size_t begin_ = 0;  // of this object's patches
  std::size_t splice_end_ = 0;
  std::map<std::string, std::vector<Mark>> marks_;
  std::vector<Patch> patches_;
};

}  // namespace peat::automerge
