// Making a document say what a tree or a text says.
#include <algorithm>
#include <deque>

#include "automerge/editor.hpp"
#include "automerge/myers.hpp"
#include "base/limits.hpp"
#include "peat/automerge/tree.hpp"
#include "peat/automerge/view.hpp"

namespace peat::automerge {

namespace {

std::u32string code_points(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    const std::size_t width = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    char32_t c = width == 1 ? lead : static_cast<char32_t>(lead & (0x7f >> width));
    for (std::size_t i = 1; i < width; ++i) {
      c = c << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3fU);
    }
    out += c;
    at += width;
  }
  return out;
}

std::size_t width_of(char32_t c, TextUnit unit) {
  if (unit == TextUnit::utf16) return c < 0x10000 ? 1 : 2;
  if (unit == TextUnit::code_point) return 1;
  return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

std::size_t width_of(std::u32string_view text, TextUnit unit) {
  std::size_t units = 0;
  for (const auto c : text) units += width_of(c, unit);
  return units;
}

// The bytes of each code point of a text begin where these say.
std::vector<std::size_t> byte_offsets(std::u32string_view text) {
  std::vector<std::size_t> out{0};
  for (const auto c : text) out.push_back(out.back() + width_of(c, TextUnit::utf8));
  return out;
}

std::optional<ObjectType> object_type(const Tree& tree) {
  switch (tree.kind) {
    case Tree::Kind::map:
      return ObjectType::map;
    case Tree::Kind::list:
      return ObjectType::list;
    case Tree::Kind::text:
      return ObjectType::text;
    case Tree::Kind::scalar:
      break;
  }
  return std::nullopt;
}

bool holds_kind(const std::optional<Value>& value, const Tree& tree) {
  const auto* held = value ? std::get_if<ObjectRef>(&value->data) : nullptr;
  const auto type = object_type(tree);
  return held != nullptr && type &&
         (held->type == *type || (held->type == ObjectType::table && *type == ObjectType::map));
}

// Fills new objects breadth first, keys bytewise ascending.
class Filler {
 public:
  explicit Filler(Transaction& tx) : tx_(tx) {}

  void open(ObjectId id, const Tree& tree) { open_.emplace_back(id, &tree); }

  Status run() {
    while (!open_.empty()) {
      const auto [id, tree] = open_.front();
      open_.pop_front();
      PEAT_TRY_VOID(fill(id, *tree));
    }
    return {};
  }

 private:
  Status fill(ObjectId id, const Tree& tree) {
    if (tree.kind == Tree::Kind::text) return tx_.splice_text(id, 0, 0, tree.plain_text());
    std::size_t index = 0;
    for (const auto& entry : tree.entries) {
      const auto type = object_type(entry.value);
      if (tree.kind == Tree::Kind::map && !type) {
        PEAT_TRY_VOID(tx_.put(id, std::string_view(entry.key), entry.value.scalar.view()));
      } else if (tree.kind == Tree::Kind::map) {
        PEAT_TRY(const auto made, tx_.put_object(id, std::string_view(entry.key), *type));
        open(made, entry.value);
      } else if (!type) {
        PEAT_TRY_VOID(tx_.insert(id, index++, entry.value.scalar.view()));
      } else {
        PEAT_TRY(const auto made, tx_.insert_object(id, index++, *type));
        open(made, entry.value);
      }
    }
    return {};
  }

  Transaction& tx_;
  std::deque<std::pair<ObjectId, const Tree*>> open_;
};

class Updater {
 public:
  explicit Updater(Transaction& tx) : tx_(tx) {}

  Status object(ObjectId id, ObjectType type, const Tree& tree) {
    static const auto kMost = Limits().automerge_tree_depth;
    if (depth_ == kMost) {
      return fail(Code::limit_exceeded,
                  "the tree is nested more than " + std::to_string(kMost) + " deep");
    }
    ++depth_;
    auto done = type == ObjectType::text   ? tx_.update_text(id, tree.plain_text())
                : type == ObjectType::list ? list(id, tree)
                                           : map(id, tree);
    --depth_;
    return done;
  }

 private:
  // What is there already, then what is new, then what goes: each by key.
  Status map(ObjectId id, const Tree& tree) {
    PEAT_TRY(const auto views, tx_.document().keys(id));
    const std::vector<std::string> keys(views.begin(), views.end());
    for (const auto& key : keys) {
      const auto* wanted = tree.find(key);
      if (wanted == nullptr) continue;
      PEAT_TRY(const auto held, tx_.document().get(id, std::string_view(key)));
      PEAT_TRY_VOID(set(id, std::string_view(key), held, *wanted));
    }
    for (const auto& entry : tree.entries) {
      if (std::ranges::binary_search(keys, entry.key)) continue;
      PEAT_TRY_VOID(set(id, std::string_view(entry.key), std::nullopt, entry.value));
    }
    for (const auto& key : keys) {
      if (tree.find(key) == nullptr) PEAT_TRY_VOID(tx_.erase(id, std::string_view(key)));
    }
    return {};
  }

  Status list(ObjectId id, const Tree& tree) {
    PEAT_TRY(const auto size, tx_.document().length(id));
    for (std::size_t i = 0; i < tree.entries.size(); ++i) {
      std::optional<Value> held;
      if (i < size) {
        PEAT_TRY(held, tx_.document().get(id, i));
      }
      PEAT_TRY_VOID(set(id, i, held, tree.entries[i].value));
    }
    for (auto i = size; i > tree.entries.size(); --i) PEAT_TRY_VOID(tx_.erase(id, i - 1));
    return {};
  }

  // `held`: nothing if the place is new.
  template <class At>
  Status set(ObjectId id, At at, const std::optional<Value>& held, const Tree& tree) {
    if (holds_kind(held, tree)) {
      const auto object_held = std::get<ObjectRef>(held->data);
      return object(object_held.id, object_held.type, tree);
    }
    const auto type = object_type(tree);
    if constexpr (std::is_same_v<At, std::size_t>) {
      if (!held) {
        if (!type) return tx_.insert(id, at, tree.scalar.view());
        PEAT_TRY(const auto made, tx_.insert_object(id, at, *type));
        return object(made, *type, tree);
      }
    }
    if (!type) return tx_.put(id, at, tree.scalar.view());
    PEAT_TRY(const auto made, tx_.put_object(id, at, *type));
    return object(made, *type, tree);
  }

  Transaction& tx_;
  std::uint64_t depth_ = 0;
};

std::unexpected<Error> no_object() {
  return fail(Code::invalid_argument, "a scalar is no object; put it instead");
}

}  // namespace

Status Transaction::update_text(ObjectId text, std::string_view wanted) {
  return guarded([&]() -> Status {
    static const auto kSteps = Limits().automerge_diff_steps;
    PEAT_TRY_VOID(check_text(wanted, "the text"));
    PEAT_TRY(const auto current, document().text(text));
    const auto before = code_points(current);
    const auto after = code_points(wanted);
    const auto bytes = byte_offsets(after);
    const auto unit = document().text_unit();
    std::size_t index = 0;
    std::size_t old_index = 0;
    for (const auto& change : shortest_edit(before, after, kSteps)) {
      index += width_of(std::u32string_view(before).substr(old_index, change.old_index - old_index),
                        unit);
      const auto erased = std::u32string_view(before).substr(change.old_index, change.erased);
      const auto begin = bytes[change.new_index];
      const auto inserted = wanted.substr(begin, bytes[change.new_index + change.inserted] - begin);
      PEAT_TRY_VOID(
          splice_text(text, index, static_cast<std::ptrdiff_t>(width_of(erased, unit)), inserted));
      index += width_of(std::u32string_view(after).substr(change.new_index, change.inserted), unit);
      old_index = change.old_index + change.erased;
    }
    return {};
  });
}

Status Transaction::update_object(ObjectId id, const Tree& tree) {
  return guarded([&]() -> Status {
    if (document_ == nullptr) {
      return fail(Code::invalid_argument, "this transaction has ended already");
    }
    PEAT_TRY(const auto type, document().object_type(id));
    if (!holds_kind(Value{ObjectRef{type, id}, {}}, tree)) {
      return fail(Code::wrong_type, "an update does not change what kind of object it is");
    }
    return Updater(*this).object(id, type, tree);
  });
}

template <class Make>
Result<ObjectId> Transaction::make_tree(const Tree& tree, Make make) {
  return guarded([&]() -> Result<ObjectId> {
    const auto type = object_type(tree);
    if (!type) return no_object();
    PEAT_TRY(const auto made, make(*type));
    Filler filler(*this);
    filler.open(made, tree);
    PEAT_TRY_VOID(filler.run());
    return made;
  });
}

Result<ObjectId> Transaction::put_tree(ObjectId object, std::string_view key, const Tree& tree) {
  return make_tree(tree, [&](ObjectType type) { return put_object(object, key, type); });
}

Result<ObjectId> Transaction::put_tree(ObjectId object, std::size_t index, const Tree& tree) {
  return make_tree(tree, [&](ObjectType type) { return put_object(object, index, type); });
}

Result<ObjectId> Transaction::insert_tree(ObjectId list, std::size_t index, const Tree& tree) {
  return make_tree(tree, [&](ObjectType type) { return insert_object(list, index, type); });
}

}  // namespace peat::automerge
