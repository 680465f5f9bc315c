// What Document::diff says of two states, patch by patch.
#include <gtest/gtest.h>

#include "patches.hpp"
#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

struct History {
  Document doc = replica(1);
  Heads before;

  void begin() { before = doc.heads(); }
  std::string diff() const { return show(doc, doc.diff(before, doc.heads()).value()); }
  std::string back() const { return show(doc, doc.diff(doc.heads(), before).value()); }
  template <class Edit>
  void edit(Edit edit_with) {
    change(doc, edit_with);
  }
};

TEST(Diff, OfEqualStatesIsEmpty) {
  History history;
  put(history.doc, "a", std::int64_t{1});
  history.begin();
  EXPECT_EQ(history.diff(), "");
  EXPECT_CODE(history.doc.diff(std::vector{ChangeHash{}}, {}), Code::not_found);
}

TEST(Diff, NamesKeysThatWerePutAndDeleted) {
  History history;
  put(history.doc, "gone", true);
  put(history.doc, "kept", true);
  put(history.doc, "set", std::int64_t{1});
  history.begin();
  history.edit([](Transaction& tx) {
    EXPECT_TRUE(tx.erase(kRoot, "gone"));
    EXPECT_TRUE(tx.put(kRoot, "set", std::int64_t{2}));
    EXPECT_TRUE(tx.put(kRoot, "new", std::string_view("x")));
  });
  EXPECT_EQ(history.diff(), "/ delete gone; / put new='x'; / put set=2");
  EXPECT_EQ(history.back(), "/ put gone=true; / delete new; / put set=1");
}

TEST(Diff, FillsAnObjectThatBecameVisible) {
  History history;
  history.begin();
  history.edit([](Transaction& tx) {
    const auto map = tx.put_object(kRoot, "m", ObjectType::map).value();
    const auto list = tx.put_object(map, "l", ObjectType::list).value();
    EXPECT_TRUE(tx.insert(list, 0, std::int64_t{1}));
    EXPECT_TRUE(tx.insert(list, 1, std::int64_t{2}));
    const auto text = tx.put_object(map, "t", ObjectType::text).value();
    EXPECT_TRUE(tx.splice_text(text, 0, 0, "hi"));
  });
  EXPECT_EQ(history.diff(),
            "/ put m=map; /m put l=list; /m put t=text; /m/l insert 0 [1 2]; /m/t splice 0 'hi'");
  EXPECT_EQ(history.back(), "/ delete m");
}

TEST(Diff, ShowsAnObjectAgainInFull) {
  History history;
  history.edit([](Transaction& tx) {
    const auto map = tx.put_object(kRoot, "m", ObjectType::map).value();
    EXPECT_TRUE(tx.put(map, "a", std::int64_t{1}));
  });
  history.begin();
  put(history.doc, "m", std::int64_t{0});
  EXPECT_EQ(history.diff(), "/ put m=0");
  EXPECT_EQ(history.back(), "/ put m=map; /m put a=1");
}

TEST(Diff, OfListsCountsAlong) {
  History history;
  ObjectId list;
  history.edit([&](Transaction& tx) {
    list = tx.put_object(kRoot, "l", ObjectType::list).value();
    for (int i = 0; i < 6; ++i) {
      EXPECT_TRUE(tx.insert(list, static_cast<std::size_t>(i), std::int64_t{i}));
    }
  });
  history.begin();
  history.edit([&](Transaction& tx) {
    EXPECT_TRUE(tx.erase(list, 1));
    EXPECT_TRUE(tx.erase(list, 1));
    EXPECT_TRUE(tx.put(list, 2, true));
    EXPECT_TRUE(tx.insert(list, 1, std::string_view("a")));
    EXPECT_TRUE(tx.insert(list, 2, std::string_view("b")));
  });
  EXPECT_EQ(history.doc.to_json().value(), R"({"l":[0,"a","b",3,true,5]})");
  EXPECT_EQ(history.diff(), "/l insert 1 ['a' 'b']; /l delete 3+2; /l put 4=true");
}

TEST(Diff, OfCountersSaysByHowMuch) {
  History history;
  history.edit([](Transaction& tx) { EXPECT_TRUE(tx.put(kRoot, "n", Counter{1})); });
  history.begin();
  history.edit([](Transaction& tx) { EXPECT_TRUE(tx.increment(kRoot, "n", 5)); });
  history.edit([](Transaction& tx) { EXPECT_TRUE(tx.increment(kRoot, "n", -2)); });
  EXPECT_EQ(history.diff(), "/ increment n by 3");
  EXPECT_EQ(history.back(), "/ increment n by -3");
}

TEST(Diff, TellsThatAConflictBeganAndEnded) {
  History history;
  put(history.doc, "k", std::int64_t{0});
  auto other = history.doc.fork(actor(0)).value();
  put(history.doc, "k", std::int64_t{1});
  history.begin();
  put(other, "k", std::int64_t{2});
  ASSERT_TRUE(history.doc.merge(other));
  EXPECT_EQ(history.diff(), "/ conflict k") << "the value stays: its actor is the greater";
  EXPECT_EQ(history.back(), "/ put k=1") << "so that the flag can be taken away";
  history.begin();
  put(history.doc, "k", std::int64_t{1});
  EXPECT_EQ(history.diff(), "/ put k=1");
}

TEST(Diff, ExposesWhatTheDeletedWinnerHid) {
  History history;
  put(history.doc, "k", std::int64_t{0});
  auto other = history.doc.fork(actor(2)).value();
  put(history.doc, "k", std::int64_t{1});
  const auto ours = history.doc.heads();
  change(other, [](Transaction& tx) { EXPECT_TRUE(tx.put_object(kRoot, "k", ObjectType::map)); });
  auto deleter = other.fork(actor(3)).value();
  ASSERT_TRUE(history.doc.merge(other));
  history.begin();
  change(deleter, [](Transaction& tx) { EXPECT_TRUE(tx.erase(kRoot, "k")); });
  ASSERT_TRUE(history.doc.merge(deleter));
  EXPECT_EQ(history.diff(), "/ put k=1");
  EXPECT_EQ(history.back(), "/ put k=map!");
}

TEST(Diff, OfTextsSplicesUnderMarks) {
  History history;
  ObjectId text;
  history.edit([&](Transaction& tx) {
    text = tx.put_object(kRoot, "t", ObjectType::text).value();
    EXPECT_TRUE(tx.splice_text(text, 0, 0, "hello world"));
    EXPECT_TRUE(tx.mark(text, 0, 5, "b", true));
  });
  history.begin();
  history.edit([&](Transaction& tx) {
    EXPECT_TRUE(tx.splice_text(text, 5, 0, "!!"));
    EXPECT_TRUE(tx.splice_text(text, 8, 5, "you"));
  });
  EXPECT_EQ(history.doc.text(text).value(), "hello!! you");
  EXPECT_EQ(history.diff(), "/t splice 5 '!!'{b=true}; /t splice 8 'you'; /t delete 11+5");
}

TEST(Diff, OfMarksSaysWhereTheyCameAndWent) {
  History history;
  ObjectId text;
  history.edit([&](Transaction& tx) {
    text = tx.put_object(kRoot, "t", ObjectType::text).value();
    EXPECT_TRUE(tx.splice_text(text, 0, 0, "hello world"));
    EXPECT_TRUE(tx.mark(text, 0, 5, "b", true));
  });
  history.begin();
  history.edit([&](Transaction& tx) {
    EXPECT_TRUE(tx.unmark(text, 0, 2, "b"));
    EXPECT_TRUE(tx.mark(text, 4, 8, "i", true));
  });
  EXPECT_EQ(history.diff(), "/t mark b=null[0,2) i=true[4,8)");
  EXPECT_EQ(history.back(), "/t mark b=true[0,2) i=null[4,8)");
}

TEST(Diff, OfBlocksInsertsMapsIntoTheText) {
  History history;
  ObjectId text;
  history.edit([&](Transaction& tx) {
    text = tx.put_object(kRoot, "t", ObjectType::text).value();
    EXPECT_TRUE(tx.splice_text(text, 0, 0, "ab"));
  });
  history.begin();
  ObjectId block;
  history.edit([&](Transaction& tx) {
    block = tx.split_block(text, 1).value();
    EXPECT_TRUE(tx.put(block, "type", std::string_view("p")));
  });
  EXPECT_EQ(history.diff(), "/t insert 1 [map]; /t/1 put type='p'");
  EXPECT_EQ(history.back(), "/t delete 1+1");
  history.begin();
  history.edit([&](Transaction& tx) { EXPECT_TRUE(tx.put(block, "type", std::string_view("h"))); });
  EXPECT_EQ(history.diff(), "/t/1 put type='h'");
}

TEST(Diff, CountsInTheDocumentsTextUnit) {
  History history;
  ObjectId text;
  history.edit([&](Transaction& tx) {
    text = tx.put_object(kRoot, "t", ObjectType::text).value();
    EXPECT_TRUE(tx.splice_text(text, 0, 0, "🚀🚀"));
  });
  history.begin();
  history.edit([&](Transaction& tx) { EXPECT_TRUE(tx.splice_text(text, 1, 1, "é")); });
  EXPECT_EQ(history.diff(), "/t splice 1 'é'; /t delete 2+1");
  history.doc.set_text_unit(TextUnit::utf16);
  EXPECT_EQ(history.diff(), "/t splice 2 'é'; /t delete 3+2");
  history.doc.set_text_unit(TextUnit::utf8);
  EXPECT_EQ(history.diff(), "/t splice 4 'é'; /t delete 6+4");
}

// Fault of another engine: where the winner of a list element changed and a lesser value of it
// was deleted, its patch showed a value that had lost.
TEST(Diff, OfAListElementShowsTheWinnerThoughALesserValueWent) {
  auto one = replica(1);
  ObjectId list;
  change(one, [&](Transaction& tx) {
    list = tx.put_object(kRoot, "l", ObjectType::list).value();
    EXPECT_TRUE(tx.insert(list, 0, std::string_view("base")));
  });
  auto two = one.fork(actor(2)).value();
  auto three = one.fork(actor(3)).value();
  change(one, [&](Transaction& tx) { EXPECT_TRUE(tx.put(list, 0, std::string_view("a"))); });
  change(two, [&](Transaction& tx) { EXPECT_TRUE(tx.put(list, 0, std::string_view("b"))); });
  ASSERT_TRUE(three.merge(two));
  ASSERT_TRUE(one.merge(two));
  const auto before = one.heads();
  change(three, [&](Transaction& tx) { EXPECT_TRUE(tx.put(list, 0, std::string_view("c"))); });
  ASSERT_TRUE(one.merge(three));
  EXPECT_EQ(show(one, one.diff(before, one.heads()).value()), "/l put 0='c'!");
}

}  // namespace
}  // namespace peat::automerge
