// Cursors and object ids as others store them. The first byte of an input says where the rest goes:
// 0 a cursor's bytes, 1 its text, 2 an object id's bytes, 3 its text. What is read is looked up in
// a document whose actors the seeds name, so that inputs get to its lists and texts.
#include <string_view>

#include "../report.hpp"
#include "demand.hpp"
#include "peat/automerge/document.hpp"
#include "peat/automerge/view.hpp"

using namespace peat;
using namespace peat::automerge;

namespace {

// A text (operation 1), a list (2) and in it a map (3), then letters, some deleted by a second
// actor.
struct Sample {
  Document document{ActorId{Bytes(2, 1)}};
  ObjectId text;
  ObjectId list;

  Sample() {
    auto first = document.begin().value();
    text = first.put_object(kRoot, "text", ObjectType::text).value();
    list = first.put_object(kRoot, "list", ObjectType::list).value();
    static_cast<void>(first.insert_object(list, 0, ObjectType::map));
    static_cast<void>(first.splice_text(text, 0, 0, "hello wörld 🚀"));
    fuzz::demand(first.commit().has_value(), "the sample is written");
    auto other = document.fork(ActorId{Bytes(2, 2)}).value();
    auto second = other.begin().value();
    static_cast<void>(second.splice_text(text, 3, 5, "p"));
    fuzz::demand(second.commit().has_value(), "the sample is edited");
    fuzz::demand(document.merge(other).has_value(), "the sample is merged");
  }
};

void look_up(const Sample& sample, const Cursor& cursor) {
  const auto view = sample.document.read();
  for (const auto sequence : {sample.text, sample.list}) {
    const auto at = view.position(sequence, cursor);
    if (!at) continue;
    const auto length = view.length(sequence).value();
    fuzz::demand(*at <= length, "a cursor points into its sequence or at its end");
    if (*at == length) continue;
    const auto again = view.cursor(sequence, *at, cursor.move);
    fuzz::demand(again.has_value(), "where a cursor points another can be set");
    fuzz::demand(view.position(sequence, *again) == *at, "a cursor to an index points to it");
  }
}

void check(const Sample& sample, const Cursor& cursor) {
  fuzz::demand(Cursor::parse(cursor.to_string()) == cursor, "a cursor survives as text");
  fuzz::demand(Cursor::decode(cursor.encode()) == cursor, "a cursor survives as bytes");
  look_up(sample, cursor);
}

void check(const Sample& sample, ObjectId object) {
  const auto& document = sample.document;
  fuzz::demand(document.object_type(object).has_value(), "an id that is read names an object");
  fuzz::demand(document.parse_object(document.object_text(object)) == object,
               "an object id survives as text");
  fuzz::demand(document.decode_object(document.encode_object(object)) == object,
               "an object id survives as bytes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static FuzzReport report("automerge_cursor");
  static const Sample sample;
  if (size == 0) return 0;
  const ByteView bytes(data + 1, size - 1);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto all = [&](const auto& read) {
    report.input(read.has_value());
    if (read) check(sample, *read);
  };
  switch (data[0] % 4) {
    case 0:
      all(Cursor::decode(bytes));
      break;
    case 1:
      all(Cursor::parse(text));
      break;
    case 2:
      all(sample.document.decode_object(bytes));
      break;
    default:
      all(sample.document.parse_object(text));
      break;
  }
  return 0;
}
