// Patches keep a copy of a document up to date, whoever changes it and however.
#include <gtest/gtest.h>

#include <random>

#include "base/limits.hpp"
#include "patches.hpp"
#include "peat/automerge/sync.hpp"
#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

// A copy that an observer keeps.
struct Mirror {
  Tree tree;
  std::string told;

  void watch(Document& document) {
    tree = document.read().hydrate().value();
    const auto unit = document.text_unit();
    ASSERT_TRUE(document.observe([this, unit, &document](std::span<const Patch> patches) {
      told += (told.empty() ? "" : " | ") + show(document, patches);
      for (const auto& patch : patches) {
        const auto applied = apply(tree, patch, unit);
        EXPECT_TRUE(applied) << applied.error().message;
      }
    }));
  }
};

TEST(Observers, AreToldOfCommitsMergesChangesAndMessages) {
  auto doc = replica(1);
  Mirror mirror;
  mirror.watch(doc);
  put(doc, "a", std::int64_t{1});
  EXPECT_EQ(mirror.told, "/ put a=1");

  auto other = doc.fork(actor(2)).value();
  put(other, "b", std::int64_t{2});
  ASSERT_TRUE(doc.merge(other));
  put(other, "c", std::int64_t{3});
  ASSERT_TRUE(receive(doc, all_changes(other)));
  put(other, "d", std::int64_t{4});
  ASSERT_TRUE(doc.load_incremental(other.save().value()));
  put(other, "e", std::int64_t{5});
  SyncState here, there;
  for (int i = 0; i < 6; ++i) {
    if (const auto message = generate_sync_message(other, there).value()) {
      ASSERT_TRUE(receive_sync_message(doc, here, *message));
    }
    if (const auto message = generate_sync_message(doc, here).value()) {
      ASSERT_TRUE(receive_sync_message(other, there, *message));
    }
  }
  EXPECT_EQ(mirror.told, "/ put a=1 | / put b=2 | / put c=3 | / put d=4 | / put e=5");
  EXPECT_EQ(mirror.tree, doc.read().hydrate().value());
}

TEST(Observers, OfAnEmptyDocumentSeeItLoaded) {
  auto source = replica(1);
  put(source, "a", std::int64_t{1});
  auto doc = replica(2);
  Mirror mirror;
  mirror.watch(doc);
  ASSERT_TRUE(doc.load_incremental(source.save().value()));
  EXPECT_EQ(mirror.told, "/ put a=1");
  put(doc, "b", true);
  EXPECT_EQ(mirror.told, "/ put a=1 | / put b=true");
}

TEST(Observers, HearNothingOfWhatDoesNotShow) {
  auto doc = replica(1);
  put(doc, "k", std::int64_t{1});
  auto other = doc.fork(actor(2)).value();
  change(doc, [](Transaction& tx) { EXPECT_TRUE(tx.erase(kRoot, "k")); });
  Mirror mirror;
  mirror.watch(doc);
  change(other, [](Transaction& tx) { EXPECT_TRUE(tx.erase(kRoot, "k")); });
  ASSERT_TRUE(doc.merge(other));
  auto tx = doc.begin().value();
  ASSERT_TRUE(tx.commit({.allow_empty = true}));
  {
    auto undone = doc.begin().value();
    ASSERT_TRUE(undone.put(kRoot, "x", true));
  }
  EXPECT_EQ(mirror.told, "");
  ASSERT_TRUE(doc.observe({}));
  put(doc, "y", true);
  EXPECT_EQ(mirror.told, "");
}

TEST(Observers, LearnOnlyWhatChangedOfALargeDocument) {
  auto doc = replica(1);
  ObjectId inner;
  change(doc, [&](Transaction& tx) {
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(tx.put(kRoot, std::to_string(i), std::int64_t{i}));
    const auto list = tx.put_object(kRoot, "list", ObjectType::list).value();
    for (int i = 0; i < 3; ++i) inner = tx.insert_object(list, 0, ObjectType::map).value();
  });
  Mirror mirror;
  mirror.watch(doc);
  change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.put(inner, "deep", true)); });
  EXPECT_EQ(mirror.told, "/list/0 put deep=true");
  EXPECT_EQ(mirror.tree, doc.read().hydrate().value());
}

// --- at random ------------------------------------------------------------------------------

// Edits everything that a document can hold.
class Scribe {
 public:
  explicit Scribe(unsigned seed) : random_(seed) {}

  std::size_t below(std::size_t n) { return random_() % n; }

  void edit(Transaction& tx) {
    std::vector<ObjectRef> objects{{ObjectType::map, kRoot}};
    collect(tx.document().read(), kRoot, objects);
    const auto object = objects[below(objects.size())];
    if (object.type == ObjectType::text) return text(tx, object.id);
    if (object.type == ObjectType::list) return list(tx, object.id);
    const std::string key(1, static_cast<char>('a' + below(5)));
    switch (below(7)) {
      case 0:
        EXPECT_TRUE(tx.erase(object.id, std::string_view(key)));
        break;
      case 1:
        EXPECT_TRUE(tx.put_object(object.id, std::string_view(key), type()));
        break;
      case 2:
        EXPECT_TRUE(tx.put(object.id, std::string_view(key), Counter{5}));
        break;
      case 3:
        static_cast<void>(tx.increment(object.id, std::string_view(key), 3));
        break;
      default:
        EXPECT_TRUE(tx.put(object.id, std::string_view(key), static_cast<std::int64_t>(below(9))));
    }
  }

 private:
  static void collect(const View& view, ObjectId id, std::vector<ObjectRef>& out) {
    const auto values = view.values(id).value();
    for (const auto& value : values) {
      const auto* ref = std::get_if<ObjectRef>(&value.data);
      if (ref == nullptr) continue;
      out.push_back(*ref);
      collect(view, ref->id, out);
    }
  }

  ObjectType type() {
    constexpr ObjectType kTypes[] = {ObjectType::map, ObjectType::list, ObjectType::text};
    return kTypes[below(3)];
  }

  void list(Transaction& tx, ObjectId id) {
    const auto size = tx.document().length(id).value();
    switch (size == 0 ? below(2) : below(7)) {
      case 0:
        EXPECT_TRUE(tx.insert(id, below(size + 1), std::string_view("x")));
        break;
      case 1:
        EXPECT_TRUE(tx.insert_object(id, below(size + 1), type()));
        break;
      case 2:
        EXPECT_TRUE(tx.erase(id, below(size)));
        break;
      case 3:
        EXPECT_TRUE(tx.put(id, below(size), Counter{1}));
        break;
      case 4:
        static_cast<void>(tx.increment(id, below(size), 2));
        break;
      case 5:
        EXPECT_TRUE(tx.put_object(id, below(size), type()));
        break;
      default:
        EXPECT_TRUE(tx.put(id, below(size), static_cast<std::int64_t>(below(9))));
    }
  }

  void text(Transaction& tx, ObjectId id) {
    const auto size = tx.document().length(id).value();
    const auto start = below(size + 1);
    const auto end = start + below(size - start + 1);
    switch (below(8)) {
      case 0:
        EXPECT_TRUE(tx.mark(id, start, end, "b", true, static_cast<Expand>(below(4))));
        break;
      case 1:
        EXPECT_TRUE(tx.mark(id, start, end, "c", static_cast<std::int64_t>(below(3)),
                            static_cast<Expand>(below(4))));
        break;
      case 2:
        EXPECT_TRUE(tx.unmark(id, start, end, "b", static_cast<Expand>(below(4))));
        break;
      case 3:
        EXPECT_TRUE(tx.split_block(id, start));
        break;
      case 4:
        EXPECT_TRUE(size == 0 || tx.put(id, below(size), std::string_view("long")));
        break;
      default:
        EXPECT_TRUE(tx.splice_text(id, start, static_cast<std::ptrdiff_t>(below(3)),
                                   below(3) == 0 ? "é🚀" : "abc"));
    }
  }

  std::mt19937 random_;
};

TEST(Patches, LeadFromAnyStateToAnyOther) {
  for (unsigned seed = 0; seed < 60 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Scribe scribe(seed);
    std::vector<Document> people;
    people.push_back(replica(1));
    people[0].set_text_unit(static_cast<TextUnit>(seed % 3));
    change(people[0], [](Transaction& tx) {
      const auto text = tx.put_object(kRoot, "a", ObjectType::text).value();
      EXPECT_TRUE(tx.splice_text(text, 0, 0, "some text"));
    });
    people.push_back(people[0].fork(actor(2)).value());
    people.push_back(people[0].fork(actor(0)).value());
    std::vector<Mirror> mirrors(people.size());
    for (std::size_t i = 0; i < people.size(); ++i) mirrors[i].watch(people[i]);
    std::vector<Heads> heads;
    for (int step = 0; step < 40; ++step) {
      const auto who = scribe.below(people.size());
      if (scribe.below(4) == 0) {
        ASSERT_TRUE(people[who].merge(people[scribe.below(people.size())]));
      } else {
        auto tx = people[who].begin().value();
        for (auto n = scribe.below(4) + 1; n > 0; --n) scribe.edit(tx);
        ASSERT_TRUE(tx.commit());
      }
      heads.push_back(people[who].heads());
      ASSERT_EQ(mirrors[who].tree, people[who].read().hydrate().value())
          << "after " << mirrors[who].told;
    }
    for (auto& other : people) ASSERT_TRUE(people[0].merge(other));
    ASSERT_EQ(mirrors[0].tree, people[0].read().hydrate().value());
    for (int i = 0; i < 30; ++i) {
      const auto& from = heads[scribe.below(heads.size())];
      const auto& to = heads[scribe.below(heads.size())];
      auto tree = people[0].at(from)->hydrate().value();
      const auto patches = people[0].diff(from, to).value();
      for (const auto& patch : patches) {
        const auto applied = apply(tree, patch, people[0].text_unit());
        ASSERT_TRUE(applied) << applied.error().message;
      }
      ASSERT_EQ(tree, people[0].at(to)->hydrate().value()) << show(people[0], patches);
    }
  }
}

// --- trees ----------------------------------------------------------------------------------

TEST(Trees, HoldWhatTheDocumentHolds) {
  auto doc = replica(1);
  change(doc, [](Transaction& tx) {
    EXPECT_TRUE(tx.put(kRoot, "n", std::int64_t{1}));
    const auto list = tx.put_object(kRoot, "l", ObjectType::list).value();
    EXPECT_TRUE(tx.insert(list, 0, true));
    const auto text = tx.put_object(kRoot, "t", ObjectType::text).value();
    EXPECT_TRUE(tx.splice_text(text, 0, 0, "hi"));
    EXPECT_TRUE(tx.split_block(text, 1));
  });
  const auto tree = doc.read().hydrate().value();
  ASSERT_NE(tree.find("n"), nullptr);
  EXPECT_EQ(*tree.find("n"), Tree::of(std::int64_t{1}));
  EXPECT_EQ(*tree.find("l"), Tree::list({Tree::of(true)}));
  EXPECT_EQ(tree.find("t")->plain_text(), "h\xef\xbf\xbci");
  EXPECT_EQ(tree.find("x"), nullptr);
}

TEST(Trees, TooDeepAreRefused) {
  auto doc = replica(1);
  change(doc, [](Transaction& tx) {
    auto at = kRoot;
    for (std::uint64_t i = 0; i < Limits().automerge_tree_depth; ++i) {
      at = tx.put_object(at, "k", ObjectType::map).value();
    }
  });
  EXPECT_TRUE(doc.read().hydrate());
  auto at = kRoot;
  while (const auto value = doc.get(at, "k").value()) at = std::get<ObjectRef>(value->data).id;
  change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.put_object(at, "k", ObjectType::map)); });
  EXPECT_CODE(doc.read().hydrate(), Code::limit_exceeded);
}

TEST(Trees, BlocksOfTextsCountAsDepth) {
  auto doc = replica(1);
  change(doc, [](Transaction& tx) {
    auto at = kRoot;
    for (std::uint64_t i = 0; i <= Limits().automerge_tree_depth; i += 2) {
      const auto text = tx.put_object(at, "t", ObjectType::text).value();
      at = tx.split_block(text, 0).value();
    }
  });
  EXPECT_CODE(doc.read().hydrate(), Code::limit_exceeded);
}

TEST(Trees, RefusePatchesThatDoNotFit) {
  auto doc = replica(1);
  put(doc, "a", std::int64_t{1});
  const auto tree = doc.read().hydrate().value();
  const std::vector<Patch> strange{
      {kRoot, {}, patch::DeleteMap{"b"}},
      {kRoot, {}, patch::PutSeq{0, {}}},
      {kRoot, {}, patch::DeleteSeq{0, 1}},
      {kRoot, {}, patch::SpliceText{0, "x", {}}},
      {kRoot, {}, patch::Increment{std::string("a"), 1}},
      {kRoot, {}, patch::Conflict{std::string("b")}},
      {kRoot, {{kRoot, std::string("a")}}, patch::PutMap{"x", {}}},
      {kRoot, {{kRoot, std::size_t{0}}}, patch::PutMap{"x", {}}},
  };
  for (const auto& patch : strange) {
    auto changed = tree;
    EXPECT_CODE(apply(changed, patch, TextUnit::code_point), Code::invalid_argument);
    EXPECT_EQ(changed, tree);
  }
}

TEST(Trees, AreWholeAfterAnEditOfTextThatDoesNotFit) {
  auto doc = replica(1);
  change(doc, [](Transaction& tx) {
    const auto text = tx.put_object(kRoot, "t", ObjectType::text).value();
    ASSERT_TRUE(tx.splice_text(text, 0, 0, "abcd"));
  });
  const auto tree = doc.read().hydrate().value();
  const auto yes = OwnedScalar(Scalar(true));
  constexpr auto kFar = static_cast<std::size_t>(-1);
  const std::vector<decltype(Patch::action)> strange{
      patch::DeleteSeq{2, 3},
      patch::DeleteSeq{2, kFar},
      patch::SpliceText{5, "x", {}},
      patch::Insert{5, {PatchValue{}}},
      patch::MarkText{{{1, 5, "bold", yes}}},
      patch::MarkText{{{1, 2, "bold", yes}, {5, 6, "bold", yes}}},
  };
  for (const auto& action : strange) {
    auto changed = tree;
    const Patch patch{kRoot, {{kRoot, std::string("t")}}, action};
    EXPECT_CODE(apply(changed, patch, TextUnit::code_point), Code::invalid_argument);
    EXPECT_EQ(changed, tree);
  }
}

}  // namespace
}  // namespace peat::automerge
