// Editing at old heads, and making objects and texts say something.
#include <gtest/gtest.h>

#include <limits>

#include "base/limits.hpp"
#include "patches.hpp"
#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

template <class Edit>
ChangeHash change_at(Document& document, const Heads& heads, Edit edit,
                     CommitOptions options = {}) {
  auto tx = document.begin_at(heads);
  EXPECT_TRUE(tx) << tx.error().message;
  edit(*tx);
  const auto hash = tx->commit(options);
  EXPECT_TRUE(hash) << hash.error().message;
  return hash.value().value_or(ChangeHash{});
}

TEST(Isolation, SeesTheOldStateAndDependsOnItAlone) {
  auto doc = replica(1);
  put(doc, "a", std::int64_t{1});
  const auto old = doc.heads();
  put(doc, "a", std::int64_t{2});
  put(doc, "b", std::int64_t{3});
  const auto hash = change_at(doc, old, [&](Transaction& tx) {
    EXPECT_EQ(integer(tx.document(), "a"), 1);
    EXPECT_EQ(tx.document().length(kRoot).value(), 1U);
    EXPECT_TRUE(tx.put(kRoot, "a", std::int64_t{9}));
    EXPECT_EQ(integer(tx.document(), "a"), 9);
    EXPECT_EQ(integer(doc, "a"), 2) << "the document itself is untouched until commit";
  });
  const auto info = *doc.change(hash);
  EXPECT_EQ(info.deps, old);
  EXPECT_EQ(info.start_op, 4U) << "above every operation of the whole document";
  EXPECT_EQ(info.actor.to_string(), "13b2230901" + actor(1).to_string());
  EXPECT_EQ(doc.heads().size(), 2U);
  EXPECT_EQ(doc.get_all(kRoot, "a").value().size(), 2U) << "a conflict, as if by somebody else";
  EXPECT_EQ(integer(doc, "b"), 3);
}

TEST(Isolation, GoesOnFromItsOwnChange) {
  auto doc = replica(1);
  const auto text_of = [&] { return doc.text(object(doc, "t")).value(); };
  ObjectId text;
  change(doc, [&](Transaction& tx) {
    text = tx.put_object(kRoot, "t", ObjectType::text).value();
    EXPECT_TRUE(tx.splice_text(text, 0, 0, "abc"));
  });
  const auto old = doc.heads();
  change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.splice_text(text, 3, 0, "END")); });
  auto at =
      change_at(doc, old, [&](Transaction& tx) { EXPECT_TRUE(tx.splice_text(text, 3, 0, "1")); });
  at = change_at(doc, {at}, [&](Transaction& tx) {
    EXPECT_EQ(tx.document().text(text).value(), "abc1");
    EXPECT_TRUE(tx.splice_text(text, 4, 0, "2"));
  });
  EXPECT_EQ(doc.change(at)->seq, 2U) << "of the same derived actor";
  EXPECT_EQ(text_of().size(), 8U);
  EXPECT_EQ(doc.at(std::vector{at})->text(text).value(), "abc12");
  const auto second =
      change_at(doc, old, [&](Transaction& tx) { EXPECT_TRUE(tx.splice_text(text, 0, 1, "")); });
  EXPECT_EQ(doc.change(second)->actor.bytes[4], 2) << "the next level";
  EXPECT_EQ(Document::load(raw(doc)).value().heads(), doc.heads());
}

TEST(Isolation, AtTheCurrentHeadsIsTheOwnActor) {
  auto doc = replica(1);
  put(doc, "a", std::int64_t{1});
  const auto hash = change_at(
      doc, doc.heads(), [](Transaction& tx) { EXPECT_TRUE(tx.put(kRoot, "a", std::int64_t{2})); });
  EXPECT_EQ(doc.change(hash)->actor, actor(1));
  EXPECT_EQ(doc.heads(), Heads{hash});
  const auto at_nothing = change_at(doc, {}, [](Transaction& tx) {
    EXPECT_EQ(tx.document().length(kRoot).value(), 0U);
    EXPECT_TRUE(tx.put(kRoot, "b", true));
  });
  EXPECT_TRUE(doc.change(at_nothing)->deps.empty());
}

TEST(Isolation, ThatComesToNothingLeavesNothing) {
  auto doc = replica(1);
  put(doc, "a", std::int64_t{1});
  const auto old = doc.heads();
  put(doc, "a", std::int64_t{2});
  const auto saved = raw(doc);
  {
    auto tx = doc.begin_at(old).value();
    EXPECT_CODE(doc.begin(), Code::invalid_argument);
    EXPECT_CODE(doc.begin_at(old), Code::invalid_argument);
    EXPECT_TRUE(tx.put(kRoot, "x", true));
  }
  auto empty = doc.begin_at(old).value();
  EXPECT_EQ(empty.commit().value(), std::nullopt);
  EXPECT_EQ(raw(doc), saved);
  EXPECT_EQ(integer(doc, "a"), 2);
  EXPECT_CODE(doc.begin_at(std::vector{ChangeHash{}}), Code::not_found);
  put(doc, "a", std::int64_t{3});
}

TEST(Isolation, IsToldToObserversAtCommit) {
  auto doc = replica(1);
  put(doc, "a", std::int64_t{1});
  const auto old = doc.heads();
  put(doc, "b", std::int64_t{2});
  std::string told;
  ASSERT_TRUE(doc.observe([&](std::span<const Patch> patches) { told += show(doc, patches); }));
  auto tx = doc.begin_at(old).value();
  EXPECT_TRUE(tx.put(kRoot, "c", true));
  EXPECT_EQ(told, "");
  ASSERT_TRUE(tx.commit());
  EXPECT_EQ(told, "/ put c=true");
}

// Fault of another engine: isolating at heads before one's own empty change gave a change with the
// next sequence number that did not depend on that one.
TEST(Isolation, BeforeAnEmptyChangeOfOnesOwnKeepsTheSequenceInOrder) {
  auto doc = replica(1);
  put(doc, "a", std::int64_t{1});
  const auto old = doc.heads();
  change(doc, [](Transaction&) {}, {.allow_empty = true});
  const auto hash =
      change_at(doc, old, [](Transaction& tx) { EXPECT_TRUE(tx.put(kRoot, "b", true)); });
  EXPECT_NE(doc.change(hash)->actor, actor(1));
  const auto changes = all_changes(doc);
  ASSERT_EQ(changes.size(), 3U);
  auto other = replica(2);
  ASSERT_TRUE(receive(other, {changes[0], changes[2], changes[1]}));
  EXPECT_EQ(other.heads(), doc.heads());
  EXPECT_EQ(Document::load(raw(other)).value().heads(), doc.heads());
}

// Fault of another engine: times 2^63 and more apart overflowed in the column of times.
TEST(ChangeTimes, AsFarApartAsTheyCanBeAreSavedAndLoaded) {
  constexpr auto kLow = std::numeric_limits<std::int64_t>::min();
  constexpr auto kHigh = std::numeric_limits<std::int64_t>::max();
  auto one = replica(1);
  auto two = replica(2);
  auto three = replica(3);
  put(one, "a", true, {.time = kHigh});
  put(two, "b", true, {.time = kLow});
  put(three, "c", true, {.time = kHigh});
  ASSERT_TRUE(one.merge(two));
  ASSERT_TRUE(one.merge(three));
  const auto loaded = Document::load(raw(one)).value();
  EXPECT_EQ(loaded.heads(), one.heads());
  EXPECT_EQ(loaded.change(two.heads()[0])->time, kLow);
  EXPECT_EQ(loaded.change(three.heads()[0])->time, kHigh);
}

// --- nested values --------------------------------------------------------------------------

std::string operations(const Document& document, const ChangeHash& hash) {
  return std::to_string(document.change(hash)->op_count);
}

TEST(Trees, MapIsInOrderOfItsKeysAndOfEqualKeysTheLastCounts) {
  const auto tree = Tree::map({{"é", Tree::of(std::int64_t{1})},
                               {"b", Tree::of(std::int64_t{2})},
                               {"a", Tree::of(std::int64_t{3})},
                               {"b", Tree::of(std::int64_t{4})}});
  ASSERT_EQ(tree.entries.size(), 3U);
  EXPECT_EQ(tree.entries[0].key, "a");
  EXPECT_EQ(tree.entries[1].key, "b");
  EXPECT_EQ(tree.entries[1].value, Tree::of(std::int64_t{4}));
  EXPECT_EQ(tree.entries[2].key, "é");
}

TEST(NestedValues, AreMadeBreadthFirst) {
  auto doc = replica(1);
  const auto tree = Tree::map({{"z", Tree::list({Tree::of(std::int64_t{1}),
                                                 Tree::map({{"q", Tree::of(std::int64_t{2})}})})},
                               {"a", Tree::text("hi")}});
  ObjectId made;
  change(doc, [&](Transaction& tx) { made = tx.put_tree(kRoot, "b", tree).value(); });
  EXPECT_EQ(doc.to_json().value(), R"({"b":{"a":"hi","z":[1,{"q":2}]}})");
  EXPECT_EQ(doc.read().hydrate(made).value(), tree);
  // b, a, z, "h", "i", 1, the map, q.
  const auto z = std::get<ObjectRef>(doc.get(made, "z").value()->data).id;
  EXPECT_EQ(z.op.counter(), 3U);
  EXPECT_EQ(std::get<ObjectRef>(doc.get(z, 1).value()->data).id.op.counter(), 7U);
  change(doc, [&](Transaction& tx) {
    EXPECT_TRUE(tx.insert_tree(z, 0, Tree::list({})));
    EXPECT_TRUE(tx.put_tree(z, 1, Tree::text("x")));
    EXPECT_CODE(tx.put_tree(kRoot, "s", Tree::of(true)), Code::invalid_argument);
  });
  EXPECT_EQ(doc.to_json().value(), R"({"b":{"a":"hi","z":[[],"x",{"q":2}]}})");
}

TEST(Updates, WriteOnlyWhatDiffers) {
  auto doc = replica(1);
  const auto tree = Tree::map({{"keep", Tree::of(std::int64_t{1})},
                               {"list", Tree::list({Tree::of(std::int64_t{1})})},
                               {"text", Tree::text("hello world")}});
  change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.update_object(kRoot, tree)); });
  EXPECT_EQ(doc.read().hydrate().value(), tree);
  auto again = doc.begin().value();
  ASSERT_TRUE(again.update_object(kRoot, tree));
  EXPECT_EQ(again.pending_ops(), 0U);
  again.rollback();
  const auto text = object(doc, "text");
  const auto list = object(doc, "list");
  const auto next = Tree::map({{"keep", Tree::of(std::int64_t{1})},
                               {"list", Tree::list({Tree::of(std::int64_t{1}), Tree::of(true)})},
                               {"new", Tree::map({{"x", Tree::of(Null{})}})},
                               {"text", Tree::text("hello brave world")}});
  const auto hash =
      change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.update_object(kRoot, next)); });
  EXPECT_EQ(doc.read().hydrate().value(), next);
  EXPECT_EQ(object(doc, "text"), text);
  EXPECT_EQ(object(doc, "list"), list);
  EXPECT_EQ(operations(doc, hash), "9") << "one element, six characters, a map and its key";
  auto tx = doc.begin().value();
  EXPECT_CODE(tx.update_object(list, next), Code::wrong_type);
  EXPECT_CODE(tx.update_object(text, Tree::of(true)), Code::wrong_type);
}

// Fault of another engine: a list that became shorter lost its first elements, not its last ones.
TEST(Updates, OfAShorterListEraseAtItsEnd) {
  auto doc = replica(1);
  ObjectId list;
  const auto letters = [](std::string_view all) {
    std::vector<Tree> items;
    for (std::size_t i = 0; i < all.size(); ++i) items.push_back(Tree::of(all.substr(i, 1)));
    return Tree::list(std::move(items));
  };
  change(doc, [&](Transaction& tx) { list = tx.put_tree(kRoot, "l", letters("abcde")).value(); });
  change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.update_object(list, letters("ab"))); });
  EXPECT_EQ(doc.to_json().value(), R"({"l":["a","b"]})");
}

TEST(Updates, OfTextsKeepWhatOthersWriteAroundThem) {
  for (const auto unit : {TextUnit::code_point, TextUnit::utf8, TextUnit::utf16}) {
    auto doc = replica(1);
    doc.set_text_unit(unit);
    ObjectId text;
    change(doc, [&](Transaction& tx) {
      text = tx.put_tree(kRoot, "t", Tree::text("é the 🚀 fox jumps")).value();
    });
    auto other = doc.fork(actor(2)).value();
    change(doc, [&](Transaction& tx) {
      EXPECT_TRUE(tx.update_text(text, "é the quick 🚀 foxes jump"));
    });
    EXPECT_EQ(doc.text(text).value(), "é the quick 🚀 foxes jump");
    change(other,
           [&](Transaction& tx) { EXPECT_TRUE(tx.update_text(text, "é the 🚀 fox jumps high")); });
    ASSERT_TRUE(doc.merge(other));
    EXPECT_EQ(doc.text(text).value(), "é the quick 🚀 foxes jump high");
  }
}

TEST(Updates, OfTextsWithNothingInCommonEndInTime) {
  auto doc = replica(1);
  const auto steps = Limits().automerge_diff_steps;
  std::size_t length = 1;
  while (length * length < 2 * steps) length *= 2;
  std::string before, after;
  for (std::size_t i = 0; i < length; ++i) {
    before += i % 2 == 0 ? 'a' : 'b';
    after += i % 3 == 0 ? 'x' : 'y';
  }
  ObjectId text;
  change(doc, [&](Transaction& tx) { text = tx.put_tree(kRoot, "t", Tree::text(before)).value(); });
  change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.update_text(text, "=" + after)); });
  EXPECT_EQ(doc.text(text).value(), "=" + after);
}

}  // namespace
}  // namespace peat::automerge
