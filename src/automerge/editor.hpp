// Making the operations of local edits.
//
// Which operations an edit makes decides the hash of the change, so each follows the rules of the
// existing implementations exactly. An Editor is one call's access to the document of an open
// transaction: it changes the op set and notes what it did in Document::Impl::pending.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "automerge/document_impl.hpp"
#include "peat/automerge/document.hpp"

namespace peat::automerge {

// A value as a row stores it. Strings and bytes stay where the caller has them, unless that is in
// the op set, which is about to grow.
struct Encoded {
  std::uint32_t meta = 0;
  std::uint8_t small_bytes = 0;
  std::array<std::uint8_t, 10> small{};
  ByteView outer;
  Bytes owned;

  ByteView bytes() const {
    if (!owned.empty()) return owned;
    return outer.data() != nullptr ? outer : ByteView(small).first(small_bytes);
  }
  OpView op() const {
    OpView out;
    out.meta = meta;
    out.value = bytes();
    return out;
  }
};
Status check_text(std::string_view text, std::string_view what);
Action make_action(ObjectType type);

class Editor {
 public:
  explicit Editor(Document::Impl& impl) : impl_(impl), ops_(*impl.ops), pending_(*impl.pending) {}

  Result<Encoded> encode(const Scalar& value) const;
  // The object of an edit, and that it is of the kind the edit is for.
  Result<std::uint32_t> map(ObjectId id) const { return object(id, true); }
  Result<std::uint32_t> sequence(ObjectId id) const { return object(id, false); }
  Result<std::uint32_t> text(ObjectId id) const;

  // The slot of the element at an index.
  Result<std::uint32_t> element(std::uint32_t object, std::size_t index);

  // Whether a visible row shows this value now. A counter shows its sum: after increments, putting
  // the number that it once began with is an edit.
  bool holds(std::uint32_t row, const Encoded& value) const;
  // Sets a slot: nothing if it has this value already; if it wins a conflict, the others go.
  Status set(std::uint32_t slot, const Encoded& value);
  Status keep_winner(std::uint32_t slot);
  Result<ObjectId> make(std::uint32_t slot, ObjectType type);
  Status erase(std::uint32_t slot);
  Status increment(std::uint32_t slot, std::int64_t by);

  // Where something inserted at `index` goes: the gap, the element before it, and the index that it
  // gets (greater than asked for inside an element of several units).
  struct Spot {
    Sequence::Place gap;
    OpId ref;
    std::uint64_t index = 0;
  };
  Status find_spot(std::uint32_t object, std::size_t index, Spot& out) const;

  // Inserts one element and makes the place behind it the spot for the next.
  Status insert(std::uint32_t object, Spot& at, const OpView& value);
  // Inserts text, an operation each code point; the spot moves behind it.
  Status insert_text(std::uint32_t object, Spot& at, std::string_view text);
  // Deletes elements from `index` on until `units` are gone; the last goes whole.
  Status erase_range(std::uint32_t object, std::uint64_t index, std::size_t units);
  Status erase_at(std::uint32_t object, std::size_t index);

  // --- texts: marks and blocks (editor_marks.cpp) ---
  struct MarkRange {
    std::size_t start = 0;
    std::size_t end = 0;
  };
  Status mark(std::uint32_t object, MarkRange range, std::string_view name, const Encoded& value,
              Expand expand);
  Status join_block(std::uint32_t object, std::size_t index);

 private:
  Result<std::uint32_t> object(ObjectId id, bool map) const;

  const Sequence& sequence_of(std::uint32_t object) const { return *ops_.object(object).sequence; }
  Unit unit_of(std::uint32_t object) const { return impl_.unit_of(ops_.object(object)); }

  std::uint64_t element_units(const Run& run, Unit unit) const;
  Result<Sequence::Place> place_at(std::uint32_t object, std::size_t index) const;
  // Past marks that want what is inserted at their edge on their other side.
  void pass_marks(const Sequence& elements, Spot& at) const;

  Status insert_run(std::uint32_t object, Spot& at, ByteView text, std::uint8_t width);
  Status erase_text(std::uint32_t object, Sequence::Place place, std::uint32_t n);

  static OpView deletion();
  // The first of `n` new ids.
  Result<OpId> next_id(std::uint32_t n = 1);
  // An operation on a slot that replaces these rows.
  Status emit(std::uint32_t slot, const OpView& op, std::span<const std::uint32_t> replaced);
  void record(PendingOp op, std::span<const std::uint32_t> replaced);
  // Goes on with the run before where it can.
  void record_run(const PendingOp& op);
  static bool extend(PendingOp& last, const PendingOp& op);

  Document::Impl& impl_;
  OpSet& ops_;
  Pending& pending_;
};

// That an edit of this transaction ran out of memory half-way.
std::unexpected<Error> broken();

// Runs `body` with an Editor of an open transaction.
template <class Body>
auto with_editor(Document::Impl* impl, Body body) -> decltype(body(std::declval<Editor&>())) {
  if (impl == nullptr) return fail(Code::invalid_argument, "this transaction has ended already");
  auto result = guarded([&]() -> decltype(body(std::declval<Editor&>())) {
    if (impl->pending->broken) return broken();
    Editor editor(*impl);
    return body(editor);
  });
  if (!result && result.error().code == Code::out_of_memory) impl->pending->broken = true;
  return result;
}

}  // namespace peat::automerge
