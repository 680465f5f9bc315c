#include "peat/automerge/tree.hpp"

#include <algorithm>
#include <map>

#include "automerge/guarded.hpp"
#include "automerge/opset.hpp"
#include "automerge/view_impl.hpp"
#include "base/limits.hpp"
#include "peat/automerge/patch.hpp"

namespace peat::automerge {

Tree Tree::of(const Scalar& value) {
  Tree out;
  out.scalar = OwnedScalar(value);
  return out;
}

Tree Tree::map(std::vector<TreeEntry> entries) {
  Tree out;
  out.kind = Kind::map;
  std::map<std::string, TreeEntry> by_key;
  for (auto& entry : entries) {
    auto key = entry.key;
    by_key.insert_or_assign(std::move(key), std::move(entry));
  }
  out.entries.reserve(by_key.size());
  for (auto& [key, entry] : by_key) out.entries.push_back(std::move(entry));
  return out;
}

Tree Tree::list(std::vector<Tree> items) {
  Tree out;
  out.kind = Kind::list;
  for (auto& item : items) out.entries.push_back({{}, std::move(item)});
  return out;
}

Tree Tree::text(std::string_view content) {
  Tree out;
  out.kind = Kind::text;
  if (!content.empty()) out.spans.push_back({std::string(content), {}, {}});
  return out;
}

const Tree* Tree::find(std::string_view key) const {
  const auto at = std::ranges::lower_bound(entries, key, {}, &TreeEntry::key);
  return kind == Kind::map && at != entries.end() && at->key == key ? &at->value : nullptr;
}

std::string Tree::plain_text() const {
  std::string out;
  for (const auto& span : spans) out += span.text.empty() ? kObjectCharacter : span.text;
  return out;
}

bool operator==(const Tree& a, const Tree& b) {
  return a.kind == b.kind && a.scalar == b.scalar && a.entries == b.entries && a.spans == b.spans;
}

// --- out of a document ----------------------------------------------------------------------

namespace {

class Hydration {
 public:
  explicit Hydration(const ViewAccess& in) : in_(in) {}

  Result<Tree> object(std::uint32_t index) {
    const auto& object = in_.ops().object(index);
    Tree out;
    if (object.type == ObjectType::text) {
      out.kind = Tree::Kind::text;
      PEAT_TRY(const auto spans, in_.view->spans(ObjectId{object.id}));
      for (const auto& span : spans) {
        TreeSpan made{span.text, span.marks, {}};
        if (span.is_block()) {
          PEAT_TRY(auto block, nested(in_.ops().find_object(span.block.op)));
          made.block = std::move(block.entries);
        }
        out.spans.push_back(std::move(made));
      }
      return out;
    }
    out.kind = object.is_map() ? Tree::Kind::map : Tree::Kind::list;
    for (const auto& entry : in_.entries(index)) {
      TreeEntry made{std::string(entry.key), {}, entry.conflict};
      if (const auto* child = std::get_if<ObjectRef>(&entry.value.data)) {
        PEAT_TRY(made.value, nested(in_.ops().find_object(child->id.op)));
      } else {
        made.value.scalar = OwnedScalar(std::get<Scalar>(entry.value.data));
      }
      out.entries.push_back(std::move(made));
    }
    return out;
  }

 private:
  // Maps, lists and the blocks of texts: how deep is a peer's word.
  Result<Tree> nested(std::uint32_t index) {
    static const auto kMost = Limits().automerge_tree_depth;
    if (depth_ == kMost) {
      return fail(Code::limit_exceeded,
                  "the document is nested more than " + std::to_string(kMost) + " deep");
    }
    ++depth_;
    auto out = object(index);
    --depth_;
    return out;
  }

  const ViewAccess& in_;
  std::uint64_t depth_ = 0;
};

}  // namespace

Result<Tree> View::hydrate(ObjectId object) const {
  return guarded([&]() -> Result<Tree> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    PEAT_TRY(const auto index, in.object(object));
    return Hydration(in).object(index);
  });
}

}  // namespace peat::automerge
