// Patches onto trees.
#include <algorithm>
#include <iterator>
#include <limits>

#include "automerge/guarded.hpp"
#include "automerge/opset.hpp"
#include "automerge/visibility.hpp"
#include "base/limits.hpp"
#include "peat/automerge/patch.hpp"
#include "peat/automerge/tree.hpp"

namespace peat::automerge {

Unit unit_of(TextUnit unit);

namespace {

std::unexpected<Error> misfit(std::string_view what) {
  return fail(Code::invalid_argument, "the patch does not fit the tree: " + std::string(what));
}

std::size_t units_of(const TreeSpan& span, Unit unit) {
  const auto text = span.text.empty() ? kObjectCharacter : std::string_view(span.text);
  return static_cast<std::size_t>(units_of_text(as_bytes(text)).*unit);
}

// The byte that stands `units` behind the begin of a text; npos inside a character or beyond.
std::size_t byte_at(std::string_view text, std::size_t units, Unit unit) {
  std::size_t at = 0;
  while (units != 0 && at < text.size()) {
    auto end = at + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
    const auto width =
        static_cast<std::size_t>(units_of_text(as_bytes(text.substr(at, end - at))).*unit);
    if (width > units) return std::string_view::npos;
    units -= width;
    at = end;
  }
  return units == 0 ? at : std::string_view::npos;
}

// Spans of a text, cut where an edit begins and ends.
class TextEdit {
 public:
  TextEdit(std::vector<TreeSpan>& spans, Unit unit) : spans_(spans), unit_(unit) {}

  // Whether a span can begin at a position.
  bool fits(std::size_t position) const {
    for (const auto& span : spans_) {
      const auto units = units_of(span, unit_);
      if (position < units) {
        return position == 0 ||
               (!span.text.empty() && byte_at(span.text, position, unit_) != std::string::npos);
      }
      position -= units;
    }
    return position == 0;
  }

  // Makes a span begin at a position that fits, and gives its index.
  std::size_t cut(std::size_t position) {
    std::size_t i = 0;
    for (; i < spans_.size() && position != 0; ++i) {
      const auto units = units_of(spans_[i], unit_);
      if (position >= units) {
        position -= units;
        continue;
      }
      const auto byte = byte_at(spans_[i].text, position, unit_);
      TreeSpan rest{spans_[i].text.substr(byte), spans_[i].marks, {}};
      spans_[i].text.resize(byte);
      spans_.insert(spans_.begin() + static_cast<std::ptrdiff_t>(i + 1), std::move(rest));
      return i + 1;
    }
    return i;
  }

  // Makes one of neighbours that have the same marks.
  void join() {
    std::vector<TreeSpan> out;
    for (auto& span : spans_) {
      const bool goes_on = !out.empty() && !span.text.empty() && !out.back().text.empty() &&
                           out.back().marks == span.marks;
      if (goes_on) {
        out.back().text += span.text;
      } else {
        out.push_back(std::move(span));
      }
    }
    spans_ = std::move(out);
  }

 private:
  std::vector<TreeSpan>& spans_;
  Unit unit_;
};

// An object in a tree: a Tree, or the map of a block.
struct Place {
  Tree::Kind kind = Tree::Kind::map;
  std::vector<TreeEntry>* entries = nullptr;
  std::vector<TreeSpan>* spans = nullptr;

  static Place of(Tree& tree) { return {tree.kind, &tree.entries, &tree.spans}; }

  std::size_t key(std::string_view name) const {
    const auto at = std::ranges::lower_bound(*entries, name, {}, &TreeEntry::key);
    return static_cast<std::size_t>(at - entries->begin());
  }
  // The entry at a key or index; null if there is none.
  TreeEntry* find(const Prop& prop) const {
    if (const auto* name = std::get_if<std::string>(&prop)) {
      const auto at = key(*name);
      if (kind != Tree::Kind::map || at == entries->size() || (*entries)[at].key != *name) {
        return nullptr;
      }
      return &(*entries)[at];
    }
    const auto at = std::get<std::size_t>(prop);
    if (kind != Tree::Kind::list || at >= entries->size()) return nullptr;
    return &(*entries)[at];
  }
};

class Application {
 public:
  Application(Place place, Unit unit) : place_(place), unit_(unit) {}

  Status operator()(const patch::PutMap& put) {
    if (place_.kind != Tree::Kind::map) return misfit("a key of what is no map");
    if (auto* entry = place_.find(put.key)) {
      set(*entry, put.value);
      return {};
    }
    TreeEntry entry{put.key, {}, false};
    set(entry, put.value);
    const auto at = static_cast<std::ptrdiff_t>(place_.key(put.key));
    place_.entries->insert(place_.entries->begin() + at, std::move(entry));
    return {};
  }

  Status operator()(const patch::PutSeq& put) {
    auto* entry = place_.find(put.index);
    if (entry == nullptr) return misfit("an index beyond its list");
    set(*entry, put.value);
    return {};
  }

  Status operator()(const patch::Insert& insert) {
    if (place_.kind == Tree::Kind::text) return insert_blocks(insert);
    if (place_.kind != Tree::Kind::list || insert.index > place_.entries->size()) {
      return misfit("an insertion beyond its list");
    }
    std::vector<TreeEntry> made(insert.values.size());
    for (std::size_t i = 0; i < made.size(); ++i) set(made[i], insert.values[i]);
    place_.entries->insert(place_.entries->begin() + static_cast<std::ptrdiff_t>(insert.index),
                           std::make_move_iterator(made.begin()),
                           std::make_move_iterator(made.end()));
    return {};
  }

  Status operator()(const patch::SpliceText& splice) {
    PEAT_TRY_VOID(fits(splice.index));
    const auto at = cut(splice.index);
    if (!splice.text.empty()) {
      place_.spans->insert(place_.spans->begin() + static_cast<std::ptrdiff_t>(at),
                           {splice.text, splice.marks, {}});
    }
    TextEdit(*place_.spans, unit_).join();
    return {};
  }

  Status operator()(const patch::Increment& increment) {
    auto* entry = place_.find(increment.prop);
    if (entry == nullptr) return misfit("a counter that is not there");
    const auto held = entry->value.scalar.view();
    const auto* counter = std::get_if<Counter>(&held);
    if (counter == nullptr) return misfit("an increment of what is no counter");
    const auto sum =
        static_cast<std::uint64_t>(counter->value) + static_cast<std::uint64_t>(increment.by);
    entry->value.scalar = OwnedScalar(Counter{static_cast<std::int64_t>(sum)});
    return {};
  }

  Status operator()(const patch::Conflict& conflict) {
    auto* entry = place_.find(conflict.prop);
    if (entry == nullptr) return misfit("a conflict over what is not there");
    entry->conflict = true;
    return {};
  }

  Status operator()(const patch::DeleteMap& erase) {
    if (place_.find(erase.key) == nullptr) return misfit("a deletion of what is not there");
    place_.entries->erase(place_.entries->begin() +
                          static_cast<std::ptrdiff_t>(place_.key(erase.key)));
    return {};
  }

  Status operator()(const patch::DeleteSeq& erase) {
    if (place_.kind == Tree::Kind::list) {
      const auto size = place_.entries->size();
      if (erase.index > size || erase.length > size - erase.index) {
        return misfit("a deletion beyond its list");
      }
      const auto begin = place_.entries->begin() + static_cast<std::ptrdiff_t>(erase.index);
      place_.entries->erase(begin, begin + static_cast<std::ptrdiff_t>(erase.length));
      return {};
    }
    PEAT_TRY_VOID(fits(erase.index));
    if (erase.length > std::numeric_limits<std::size_t>::max() - erase.index) {
      return misfit("a deletion beyond its text");
    }
    PEAT_TRY_VOID(fits(erase.index + erase.length));
    const auto from = cut(erase.index);
    const auto to = cut(erase.index + erase.length);
    const auto begin = place_.spans->begin();
    place_.spans->erase(begin + static_cast<std::ptrdiff_t>(from),
                        begin + static_cast<std::ptrdiff_t>(to));
    TextEdit(*place_.spans, unit_).join();
    return {};
  }

  Status operator()(const patch::MarkText& action) {
    for (const auto& mark : action.marks) {
      PEAT_TRY_VOID(fits(mark.start));
      PEAT_TRY_VOID(fits(mark.end));
    }
    for (const auto& mark : action.marks) {
      const auto from = cut(mark.start);
      const auto to = cut(mark.end);
      for (auto i = from; i < to; ++i) {
        auto& span = (*place_.spans)[i];
        if (span.text.empty()) continue;
        if (mark.value.is_null()) {
          span.marks.erase(mark.name);
        } else {
          span.marks.insert_or_assign(mark.name, mark.value);
        }
      }
    }
    TextEdit(*place_.spans, unit_).join();
    return {};
  }

 private:
  // Asked of every position before anything is cut: a patch that does not fit changes nothing.
  Status fits(std::size_t position) const {
    if (place_.kind != Tree::Kind::text) return misfit("an edit of text in what is none");
    if (TextEdit(*place_.spans, unit_).fits(position)) return {};
    return misfit("a position that its text does not have");
  }
  std::size_t cut(std::size_t position) { return TextEdit(*place_.spans, unit_).cut(position); }

  static void set(TreeEntry& entry, const PatchValue& value) {
    entry.value = {};
    entry.conflict = value.conflict;
    const auto* object = std::get_if<ObjectRef>(&value.data);
    if (object == nullptr) {
      entry.value.scalar = std::get<OwnedScalar>(value.data);
    } else if (object->type == ObjectType::text) {
      entry.value.kind = Tree::Kind::text;
    } else {
      entry.value.kind = object->type == ObjectType::list ? Tree::Kind::list : Tree::Kind::map;
    }
  }

  Status insert_blocks(const patch::Insert& insert) {
    PEAT_TRY_VOID(fits(insert.index));
    const auto at = cut(insert.index);
    place_.spans->insert(place_.spans->begin() + static_cast<std::ptrdiff_t>(at),
                         insert.values.size(), TreeSpan{});
    return {};
  }

  Place place_;
  Unit unit_;
};

Result<Place> child(const Place& parent, const Prop& prop, Unit unit) {
  if (parent.kind != Tree::Kind::text) {
    auto* entry = parent.find(prop);
    if (entry == nullptr || entry->value.kind == Tree::Kind::scalar) {
      return misfit("its path leads to no object");
    }
    return Place::of(entry->value);
  }
  const auto* index = std::get_if<std::size_t>(&prop);
  std::size_t at = 0;
  for (auto& span : *parent.spans) {
    if (index != nullptr && at == *index && span.text.empty()) {
      return Place{Tree::Kind::map, &span.block, nullptr};
    }
    at += units_of(span, unit);
  }
  return misfit("its path leads to no block");
}

}  // namespace

Status apply(Tree& root, const Patch& patch, TextUnit text_unit) {
  return guarded([&]() -> Status {
    const auto unit = unit_of(text_unit);
    if (root.kind != Tree::Kind::map) return misfit("the root is a map");
    auto place = Place::of(root);
    for (const auto& step : patch.path) {
      PEAT_TRY(place, child(place, step.prop, unit));
    }
    return std::visit(Application(place, unit), patch.action);
  });
}

}  // namespace peat::automerge
