// What a document shows, as a new document of one change.
#include <limits>
#include <utility>
#include <vector>

#include "automerge/document_impl.hpp"
#include "automerge/guarded.hpp"

namespace peat::automerge {

namespace {

// An object that has been made in the copy and still lacks its content.
struct Unfilled {
  ObjectId from;
  ObjectId to;
  ObjectType type;
};

class Copier {
 public:
  Copier(const Document& from, Transaction& to) : from_(from), to_(to) {}

  // Nothing here recurses: documents nest as deeply as they like.
  Status run() {
    unfilled_.push_back({kRoot, kRoot, ObjectType::map});
    while (!unfilled_.empty()) {
      const auto next = unfilled_.back();
      unfilled_.pop_back();
      PEAT_TRY_VOID(fill(next));
    }
    return {};
  }

 private:
  Status fill(const Unfilled& object) {
    if (object.type == ObjectType::text) {
      PEAT_TRY(const auto text, from_.text(object.from));
      return to_.splice_text(object.to, 0, 0, text);
    }
    if (object.type == ObjectType::list) return fill_list(object);
    PEAT_TRY(const auto keys, from_.keys(object.from));
    for (const auto key : keys) {
      PEAT_TRY(const auto value, from_.get(object.from, key));
      if (!value) continue;
      if (const auto* scalar = std::get_if<Scalar>(&value->data)) {
        PEAT_TRY_VOID(to_.put(object.to, key, *scalar));
        continue;
      }
      const auto& inner = std::get<ObjectRef>(value->data);
      PEAT_TRY(const auto made, to_.put_object(object.to, key, inner.type));
      unfilled_.push_back({inner.id, made, inner.type});
    }
    return {};
  }

  Status fill_list(const Unfilled& list) {
    PEAT_TRY(const auto length, from_.length(list.from));
    for (std::size_t i = 0; i < length; ++i) {
      PEAT_TRY(const auto value, from_.get(list.from, i));
      if (!value) continue;
      if (const auto* scalar = std::get_if<Scalar>(&value->data)) {
        PEAT_TRY_VOID(to_.insert(list.to, i, *scalar));
        continue;
      }
      const auto& inner = std::get<ObjectRef>(value->data);
      PEAT_TRY(const auto made, to_.insert_object(list.to, i, inner.type));
      unfilled_.push_back({inner.id, made, inner.type});
    }
    return {};
  }

  const Document& from_;
  Transaction& to_;
  std::vector<Unfilled> unfilled_;
};

}  // namespace

Result<Document> Document::snapshot(ActorId actor, const CommitOptions& options) const {
  return guarded([&]() -> Result<Document> {
    PEAT_TRY_VOID(materialise());
    const auto above = impl_->graph.max_op();
    constexpr auto kLast = std::numeric_limits<std::uint32_t>::max();
    if (above >= kLast / 2) {
      return fail(Code::limit_exceeded, "a document whose operations are numbered up to " +
                                            std::to_string(above) +
                                            ": a snapshot above them would leave no room");
    }
    Document out(std::move(actor));
    PEAT_TRY(auto transaction, out.begin());
    out.impl_->pending->start_op = above + 1;
    PEAT_TRY_VOID(Copier(*this, transaction).run());
    auto even_if_empty = options;
    even_if_empty.allow_empty = true;
    PEAT_TRY_VOID(transaction.commit(even_if_empty));
    return out;
  });
}

}  // namespace peat::automerge
