// Cursors: their forms, and where they point after edits.
#include <gtest/gtest.h>

#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

struct Text {
  Document doc = replica(1);
  ObjectId id;

  explicit Text(std::string_view text) {
    change(doc, [&](Transaction& tx) {
      id = tx.put_object(kRoot, "t", ObjectType::text).value();
      EXPECT_TRUE(tx.splice_text(id, 0, 0, text));
    });
  }
  void splice(std::size_t index, std::ptrdiff_t erase, std::string_view insert) {
    change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.splice_text(id, index, erase, insert)); });
  }
  Cursor cursor(std::size_t index, Cursor::Move move = Cursor::Move::after) const {
    auto made = doc.read().cursor(id, index, move);
    EXPECT_TRUE(made) << made.error().message;
    return made.value_or(Cursor());
  }
  std::size_t at(const Cursor& cursor) const {
    const auto index = doc.read().position(id, cursor);
    EXPECT_TRUE(index) << index.error().message;
    return index.value_or(9999);
  }
};

TEST(Cursors, FollowTheirElement) {
  Text text("hello");
  const auto l = text.cursor(2);
  text.splice(0, 0, ">> ");
  EXPECT_EQ(text.at(l), 5U);
  text.splice(4, 1, "");
  EXPECT_EQ(text.at(l), 4U);
  text.splice(8 - 1, 0, " world");
  EXPECT_EQ(text.at(l), 4U);
}

TEST(Cursors, OfADeletedElementMoveAsTheyWereTold) {
  Text text("abcdef");
  const auto after = text.cursor(3);
  const auto before = text.cursor(3, Cursor::Move::before);
  text.splice(2, 3, "");  // c d e
  ASSERT_EQ(text.doc.text(text.id).value(), "abf");
  EXPECT_EQ(text.at(after), 2U) << "the next that is left";
  EXPECT_EQ(text.at(before), 1U) << "what it was typed behind";
  text.splice(0, 3, "");
  EXPECT_EQ(text.at(after), 0U);
  EXPECT_EQ(text.at(before), 0U);
  text.splice(0, 0, "xyz");
  EXPECT_EQ(text.at(before), 0U);
  EXPECT_EQ(text.at(text.cursor(2)), 2U);
}

TEST(Cursors, BeforeGoesAlongWhatWasTypedNotAlongWhatStandsThere) {
  Text text("ad");
  const auto before = text.cursor(1, Cursor::Move::before);  // d, typed behind a
  text.splice(1, 0, "bc");
  text.splice(3, 1, "");
  ASSERT_EQ(text.doc.text(text.id).value(), "abc");
  EXPECT_EQ(text.at(before), 0U);
}

TEST(Cursors, StartAndEndStayThere) {
  Text text("abc");
  const Cursor start{.kind = Cursor::Kind::start, .actor = {}};
  const Cursor end{.kind = Cursor::Kind::end, .actor = {}};
  text.splice(0, 0, "more ");
  text.splice(8, 0, " and more");
  EXPECT_EQ(text.at(start), 0U);
  EXPECT_EQ(text.at(end), 17U);
}

TEST(Cursors, PointAtHeadsToo) {
  Text text("abc");
  const auto first = text.doc.heads();
  const auto c = text.cursor(2);
  text.splice(0, 0, "123");
  const auto second = text.doc.heads();
  const auto new_one = text.cursor(1);
  text.splice(0, 6, "");
  EXPECT_EQ(text.doc.at(first)->position(text.id, c).value(), 2U);
  EXPECT_EQ(text.doc.at(second)->position(text.id, c).value(), 5U);
  EXPECT_EQ(text.at(c), 0U);
  EXPECT_EQ(text.doc.at(second)->cursor(text.id, 5).value(), c);
  EXPECT_EQ(text.doc.at(second)->position(text.id, new_one).value(), 1U);
  EXPECT_CODE(text.doc.at(first)->position(text.id, new_one), Code::not_found);
  const Cursor end{.kind = Cursor::Kind::end, .actor = {}};
  EXPECT_EQ(text.doc.at(first)->position(text.id, end).value(), 3U);
}

TEST(Cursors, AtHeadsNameAnElementThatTwoDeletedSince) {
  Text text("abc");
  const auto heads = text.doc.heads();
  auto other = text.doc.fork(actor(2)).value();
  text.splice(1, 1, "");
  change(other, [&](Transaction& tx) { EXPECT_TRUE(tx.splice_text(text.id, 1, 1, "")); });
  ASSERT_TRUE(text.doc.merge(other));
  const auto then = text.doc.at(heads).value();
  EXPECT_EQ(then.cursor(text.id, 1)->counter, 3U);
  EXPECT_EQ(std::get<std::string_view>(std::get<Scalar>(then.get(text.id, 1).value()->data)), "b");
}

TEST(Cursors, WorkInEveryTextUnit) {
  Text text("🚀é!");
  for (const auto& [unit, index] : std::vector<std::pair<TextUnit, std::size_t>>{
           {TextUnit::code_point, 2}, {TextUnit::utf8, 6}, {TextUnit::utf16, 3}}) {
    text.doc.set_text_unit(unit);
    const auto c = text.cursor(index);
    EXPECT_EQ(c.counter, 4U);
    EXPECT_EQ(text.at(c), index);
    EXPECT_EQ(text.doc.at(text.doc.heads())->position(text.id, c).value(), index);
    EXPECT_EQ(text.doc.at(text.doc.heads())->cursor(text.id, index).value(), c);
  }
}

TEST(Cursors, OfListsStayWithOverwrittenElements) {
  auto doc = replica(1);
  ObjectId list;
  change(doc, [&](Transaction& tx) {
    list = tx.put_object(kRoot, "l", ObjectType::list).value();
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(tx.insert(list, 0, std::int64_t{i}));
  });
  const auto old = doc.read().cursor(list, 1).value();
  change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.put(list, 1, true)); });
  const auto of_update = doc.read().cursor(list, 1).value();
  EXPECT_NE(old, of_update) << "a cursor names the operation that set what is there";
  change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.insert(list, 0, true)); });
  EXPECT_EQ(doc.read().position(list, old).value(), 2U);
  EXPECT_EQ(doc.read().position(list, of_update).value(), 2U);
  auto before = old;
  before.move = Cursor::Move::before;
  EXPECT_EQ(doc.read().position(list, before).value(), 2U) << "its element is still there";
}

TEST(Cursors, SurviveTheMergeIntoAnotherReplica) {
  Text text("shared");
  const auto c = text.cursor(3);
  auto other = replica(0);
  put(other, "x", true);
  ASSERT_TRUE(other.merge(text.doc));
  const auto there = other.parse_object(text.doc.object_text(text.id)).value();
  EXPECT_EQ(other.read().position(there, Cursor::parse(c.to_string()).value()).value(), 3U);
  EXPECT_EQ(other.read().position(there, Cursor::decode(c.encode()).value()).value(), 3U);
}

TEST(Cursors, ThatPointNowhereAreRefused) {
  Text text("abc");
  EXPECT_CODE(text.doc.read().cursor(text.id, 3), Code::out_of_range);
  EXPECT_CODE(text.doc.at(text.doc.heads())->cursor(text.id, 3), Code::out_of_range);
  EXPECT_CODE(text.doc.read().cursor(kRoot, 0), Code::wrong_type);
  EXPECT_CODE(text.doc.read().position(kRoot, text.cursor(0)), Code::wrong_type);
  auto strange = text.cursor(0);
  strange.actor = actor(7);
  EXPECT_CODE(text.doc.read().position(text.id, strange), Code::not_found);
  auto none = text.cursor(0);
  none.counter = 1;  // made the text itself
  EXPECT_CODE(text.doc.read().position(text.id, none), Code::not_found);
  none.counter = 99;
  EXPECT_CODE(text.doc.read().position(text.id, none), Code::not_found);
}

// --- forms ----------------------------------------------------------------------------------

TEST(CursorForms, AreThoseOfTheOtherImplementations) {
  Text text("ab");
  const auto after = text.cursor(1);
  const auto before = text.cursor(1, Cursor::Move::before);
  const std::string id = "3@01010101010101010101010101010101";
  EXPECT_EQ(after.to_string(), id);
  EXPECT_EQ(before.to_string(), "-" + id);
  EXPECT_EQ(after.encode(), hex("01 03 10 01010101010101010101010101010101 03 02"));
  EXPECT_EQ(before.encode(), hex("01 03 10 01010101010101010101010101010101 03 01"));
  EXPECT_EQ(Cursor::parse("s").value().encode(), hex("01 01"));
  EXPECT_EQ(Cursor::parse("e").value().encode(), hex("01 02"));
  EXPECT_EQ(Cursor::decode(hex("00 10 01010101010101010101010101010101 03")).value(), after)
      << "the old form";
  for (const auto& cursor : {after, before, *Cursor::parse("s"), *Cursor::parse("e")}) {
    EXPECT_EQ(Cursor::parse(cursor.to_string()).value(), cursor);
    EXPECT_EQ(Cursor::decode(cursor.encode()).value(), cursor);
  }
}

TEST(CursorForms, OthersAreRefused) {
  for (const auto* bad : {"", "x", "S", "--3@01", "3@", "3", "0@01", "3@0", "+3@01", "-s",
                          "4294967296@01", "3@01@01"}) {
    EXPECT_CODE(Cursor::parse(bad), Code::malformed);
  }
  for (const auto* bad :
       {"", "02", "01", "0100", "0104", "010101", "0103", "01030101", "0103010103", "010301010303",
        "010301010300", "0103000302", "01030101 0302 00", "0103010180808080 10 02", "00", "0001",
        "00010100", "000000", "00 01 01 01 02"}) {
    EXPECT_FALSE(Cursor::decode(hex(bad))) << bad;
  }
}

}  // namespace
}  // namespace peat::automerge
