// Where concurrent edits left more than one value, and who made them.
#include <algorithm>

#include "automerge/view_impl.hpp"
#include "base/limits.hpp"

namespace peat::automerge {

namespace {

// Gives each value the change that its operation belongs to: one pass over the changes.
void find_changes(const Document& document, const ChangeGraph& graph,
                  std::vector<AuthoredValue*> values) {
  const auto by_op = [](const AuthoredValue* value) {
    return std::pair(value->value.op.actor(), value->value.op.counter());
  };
  std::ranges::sort(values, {}, by_op);
  for (std::size_t row = 0; row < graph.size() && !values.empty(); ++row) {
    const auto& change = graph.row(row);
    auto at = std::ranges::lower_bound(values, std::pair(change.actor, change.start_op), {}, by_op);
    for (; at != values.end(); ++at) {
      const auto op = (*at)->value.op;
      if (op.actor() != change.actor || op.counter() > change.max_op()) break;
      (*at)->actor = document.actor_of(op);
      (*at)->change = change.hash;
      (*at)->time = change.time;
    }
  }
}

class ConflictWalk {
 public:
  explicit ConflictWalk(const ViewAccess& in) : in_(in) {}

  Status run() {
    open(in_.ops().find_object(kRoot.op));
    while (!open_.empty()) {
      auto& level = open_.back();
      if (level.next == level.entries.size()) {
        open_.pop_back();
        if (!open_.empty()) leave();
        continue;
      }
      const auto at = level.next++;
      const auto entry = level.entries[at];
      enter(level.is_map ? Prop(std::string(entry.key)) : Prop(at));
      if (entry.conflict) PEAT_TRY_VOID(note(entry.slot));
      const auto* child = std::get_if<ObjectRef>(&entry.value.data);
      if (child != nullptr && child->type != ObjectType::text) {
        open(in_.ops().find_object(child->id.op));
      } else {
        leave();
      }
    }
    return {};
  }

  std::vector<Conflict> found;

 private:
  struct Open {
    bool is_map = false;
    std::vector<ViewAccess::Entry> entries;
    std::size_t next = 0;
  };

  void open(std::uint32_t object) {
    open_.push_back({in_.ops().object(object).is_map(), in_.entries(object)});
  }

  static std::uint64_t bytes_of(const Prop& step) {
    const auto* key = std::get_if<std::string>(&step);
    return sizeof(Prop) + (key == nullptr ? 0 : key->size());
  }
  void enter(Prop step) {
    path_bytes_ += bytes_of(step);
    path_.push_back(std::move(step));
  }
  void leave() {
    path_bytes_ -= bytes_of(path_.back());
    path_.pop_back();
  }

  Status note(std::uint32_t slot) {
    static const auto kMost = Limits().automerge_conflict_path_bytes;
    told_bytes_ += path_bytes_;
    if (told_bytes_ > kMost) {
      return fail(Code::limit_exceeded, "the paths of the document's conflicts have more than " +
                                            std::to_string(kMost) +
                                            " bytes; ask for those of one place");
    }
    auto& conflict = found.emplace_back();
    conflict.path = path_;
    for (const auto row : in_.reading.visible(slot)) {
      conflict.values.push_back({in_.reading.value(row), {}, {}, 0});
    }
    return {};
  }

  const ViewAccess& in_;
  std::vector<Open> open_;
  Path path_;
  std::uint64_t path_bytes_ = 0;
  std::uint64_t told_bytes_ = 0;
};

}  // namespace

Result<std::vector<AuthoredValue>> View::conflicts(ObjectId object, std::string_view key) const {
  PEAT_TRY(auto values, get_all(object, key));
  return authored(std::move(values));
}

Result<std::vector<AuthoredValue>> View::conflicts(ObjectId object, std::size_t index) const {
  PEAT_TRY(auto values, get_all(object, index));
  return authored(std::move(values));
}

Result<std::vector<AuthoredValue>> View::authored(std::vector<Value> values) const {
  return guarded([&]() -> Result<std::vector<AuthoredValue>> {
    PEAT_TRY_VOID(document_->impl_->ensure_hashes());
    std::vector<AuthoredValue> out;
    for (auto& value : values) out.push_back({std::move(value), {}, {}, 0});
    std::vector<AuthoredValue*> undated;
    for (auto& value : out) undated.push_back(&value);
    find_changes(*document_, document_->impl_->graph, std::move(undated));
    return out;
  });
}

Result<std::vector<Conflict>> View::conflicts() const {
  return guarded([&]() -> Result<std::vector<Conflict>> {
    PEAT_TRY(const auto in, ViewAccess::open(*this));
    ConflictWalk walk(in);
    PEAT_TRY_VOID(walk.run());
    if (walk.found.empty()) return std::move(walk.found);
    PEAT_TRY_VOID(document_->impl_->ensure_hashes());
    std::vector<AuthoredValue*> undated;
    for (auto& conflict : walk.found) {
      for (auto& value : conflict.values) undated.push_back(&value);
    }
    find_changes(*document_, document_->impl_->graph, std::move(undated));
    return std::move(walk.found);
  });
}

}  // namespace peat::automerge
