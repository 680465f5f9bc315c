// Marks and blocks of texts.
#include "automerge/editor.hpp"

namespace peat::automerge {

Result<std::uint32_t> Editor::text(ObjectId id) const {
  PEAT_TRY(const auto index, sequence(id));
  if (ops_.object(index).type == ObjectType::text) return index;
  return fail(Code::wrong_type, "the object is a list; marks and blocks are for texts");
}

// A mark is two elements: its begin, and its end with the next id. The end must stand behind the
// begin. Where both have the same spot (an empty range, or one inside an element of several units)
// it is keyed to the begin.
Status Editor::mark(std::uint32_t object, MarkRange range, std::string_view name,
                    const Encoded& value, Expand expand) {
  const auto length = sequence_of(object).total().*unit_of(object);
  if (range.start > range.end || range.end > length) {
    return fail(Code::out_of_range, "a mark from " + std::to_string(range.start) + " to " +
                                        std::to_string(range.end) + " in a text of length " +
                                        std::to_string(length));
  }
  // It would begin behind where it ends.
  if (range.start == range.end && expand == Expand::none) return {};

  Spot at;
  PEAT_TRY_VOID(find_spot(object, range.start, at));
  auto op = value.op();
  op.action = Action::kMark;
  op.has_mark_name = true;
  op.mark_name = name;
  op.expand = expand == Expand::before || expand == Expand::both;
  PEAT_TRY_VOID(insert(object, at, op));
  if (range.start != range.end) {
    const auto begin = ops_.find_element(object, at.ref);
    Spot end;
    PEAT_TRY_VOID(find_spot(object, range.end, end));
    if (end.gap > begin) at = end;
  }
  OpView end;
  end.action = Action::kMark;
  end.expand = expand == Expand::after || expand == Expand::both;
  return insert(object, at, end);
}

// Only the block that shows goes: what conflicts with it stays.
Status Editor::join_block(std::uint32_t object, std::size_t index) {
  PEAT_TRY(const auto place, place_at(object, index));
  const auto& run = sequence_of(object).run(place);
  const auto winner = run.rich() ? ops_.slot(run.value).winner : kNone;
  if (winner == kNone || ops_.row(winner).action != Action::kMakeMap) {
    return fail(Code::wrong_type, "there is no block at index " + std::to_string(index));
  }
  const auto slot = run.value;
  return emit(slot, deletion(), std::span(&winner, 1));
}

}  // namespace peat::automerge
