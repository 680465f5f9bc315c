// Reading a document, as it is or as it was at any heads.
//
//   auto now = doc.read();               // follows the document, open transactions included
//   auto then = doc.at(heads);           // stays at these heads, whatever comes later
//   then->get(kRoot, "name");
//
// A view points at its document, which must not be moved while it is used. What it returns may
// point into the document and is valid until the next mutation.
//
// Cost. `read()` is free, and get, length and text cost what they cost on the document. `at()`
// walks the change graph once (about 10 ns a change). At heads, reading a map key costs its
// values ever; everything in a list or text, an element by index included, is one walk over its
// runs (about 10 ns each, a run being 5 to 15 characters of what people write): read `values`,
// `text` or `spans` once rather than many elements one by one.
//
// Errors: Code::not_found for an object that does not exist at these heads; Code::wrong_type for
// a key of a list or an index of a map; Code::out_of_range for an index beyond the end, where an
// element is needed; Code::document_invalid if the document cannot be materialised.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "peat/automerge/cursor.hpp"
#include "peat/automerge/marks.hpp"
#include "peat/automerge/tree.hpp"
#include "peat/automerge/types.hpp"

namespace peat::automerge {

class Clock;
class Document;

// A value, and the change that put it there.
struct AuthoredValue {
  Value value;
  ActorId actor;
  ChangeHash change;
  std::int64_t time = 0;  // of the change, in seconds since the epoch
};

// A place where concurrent edits left more than one value.
struct Conflict {
  Path path;
  std::vector<AuthoredValue> values;  // ascending by operation id; the winner is last
};

class PEAT_API View {
 public:
  // The winner; nullopt if absent or deleted.
  Result<std::optional<Value>> get(ObjectId object, std::string_view key) const;
  Result<std::optional<Value>> get(ObjectId object, std::size_t index) const;
  // All concurrent values, ascending by operation id; the winner is last.
  Result<std::vector<Value>> get_all(ObjectId object, std::string_view key) const;
  Result<std::vector<Value>> get_all(ObjectId object, std::size_t index) const;
  // The same with their origin: who set them and when, for people to choose. A put settles it,
  // Transaction::keep_winner too. Costs a look at every change besides.
  Result<std::vector<AuthoredValue>> conflicts(ObjectId object, std::string_view key) const;
  Result<std::vector<AuthoredValue>> conflicts(ObjectId object, std::size_t index) const;
  // Every place where others lost to what shows, as a walk meets them: keys bytewise ascending,
  // what stands above before what stands in it. What is in conflict inside a value that lost is not
  // told, nor what is inside texts. Costs one walk over what is visible and one over the changes.
  // Code::limit_exceeded if their paths come to more than 16 MiB.
  Result<std::vector<Conflict>> conflicts() const;
  Result<std::vector<std::string_view>> keys(ObjectId object) const;  // bytewise ascending
  Result<std::vector<Value>> values(ObjectId object) const;           // winners, in order
  // Keys, elements, or text in the document's unit.
  Result<std::size_t> length(ObjectId object) const;
  Result<std::string> text(ObjectId object) const;
  Result<ObjectType> object_type(ObjectId object) const;

  // A copy of an object and all in it. Code::limit_exceeded beyond 512 levels.
  Result<Tree> hydrate(ObjectId object = kRoot) const;

  // As Document::to_json: everything, or a value that this view gave, with all in it.
  Result<std::string> to_json(JsonForm form = JsonForm::plain) const;
  Result<std::string> to_json(const Value& value, JsonForm form = JsonForm::plain) const;

  // --- marks and blocks (texts) ---
  // By name, then by place; none of value null, none empty.
  Result<std::vector<Mark>> marks(ObjectId text) const;
  // Those that cover the element at an index.
  Result<MarkSet> marks_at(ObjectId text, std::size_t index) const;
  Result<std::vector<Span>> spans(ObjectId text) const;

  // --- cursors (lists and texts) ---
  // To the element at an index.
  Result<Cursor> cursor(ObjectId sequence, std::size_t index,
                        Cursor::Move move = Cursor::Move::after) const;
  // Where a cursor points: an index, or the length. Code::not_found if its operation is not here.
  Result<std::size_t> position(ObjectId sequence, const Cursor& cursor) const;

 private:
  friend class Document;
  friend struct ViewAccess;
  View(const Document& document, std::shared_ptr<const Clock> clock)
      : document_(&document), clock_(std::move(clock)) {}

  Result<std::vector<AuthoredValue>> authored(std::vector<Value> values) const;

  const Document* document_;
  std::shared_ptr<const Clock> clock_;  // null: now
};

}  // namespace peat::automerge
