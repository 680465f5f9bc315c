// Marks and blocks: what they cover, what typing at their edges does, what merging makes of them.
#include <gtest/gtest.h>

#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

std::string show(const Scalar& value) {
  if (const auto* text = std::get_if<std::string_view>(&value)) return std::string(*text);
  if (const auto* yes = std::get_if<bool>(&value)) return *yes ? "true" : "false";
  if (const auto* n = std::get_if<std::int64_t>(&value)) return std::to_string(*n);
  return std::holds_alternative<Null>(value) ? "null" : "?";
}

std::string show(const std::vector<Mark>& marks) {
  std::string out;
  for (const auto& mark : marks) {
    out += (out.empty() ? "" : " ") + mark.name + "=" + show(mark.value.view()) + "[" +
           std::to_string(mark.start) + "," + std::to_string(mark.end) + ")";
  }
  return out;
}

std::string show(const MarkSet& marks) {
  std::string out;
  for (const auto& [name, value] : marks) {
    out += (out.empty() ? "" : ",") + name + "=" + show(value.view());
  }
  return out;
}

std::string show(const std::vector<Span>& spans) {
  std::string out;
  for (const auto& span : spans) {
    if (!out.empty()) out += " ";
    out += span.is_block() ? "¶" : "'" + span.text + "'{" + show(span.marks) + "}";
  }
  return out;
}

struct Rich {
  Document doc;
  ObjectId text;

  explicit Rich(std::string_view content) : doc(replica(1)) {
    change(doc, [&](Transaction& tx) {
      text = tx.put_object(kRoot, "t", ObjectType::text).value();
      EXPECT_TRUE(tx.splice_text(text, 0, 0, content));
    });
  }
  explicit Rich(Document document) : doc(std::move(document)), text(object(doc, "t")) {}

  Rich fork(std::uint8_t n) const { return Rich(doc.fork(actor(n)).value()); }
  void mark(std::size_t start, std::size_t end, std::string_view name, const Scalar& value,
            Expand expand = Expand::after) {
    change(doc, [&](Transaction& tx) {
      const auto done = tx.mark(text, start, end, name, value, expand);
      EXPECT_TRUE(done) << done.error().message;
    });
  }
  void unmark(std::size_t start, std::size_t end, std::string_view name,
              Expand expand = Expand::after) {
    change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.unmark(text, start, end, name, expand)); });
  }
  void splice(std::size_t index, std::ptrdiff_t erase, std::string_view insert) {
    change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.splice_text(text, index, erase, insert)); });
  }
  std::string marks() const { return show(doc.read().marks(text).value()); }
  std::string spans() const { return show(doc.read().spans(text).value()); }
  std::string content() const { return doc.text(text).value(); }
};

TEST(Marks, CoverARangeAndCountForNothing) {
  Rich rich("the quick fox");
  rich.mark(4, 9, "bold", true);
  EXPECT_EQ(rich.marks(), "bold=true[4,9)");
  EXPECT_EQ(rich.doc.length(rich.text).value(), 13U);
  EXPECT_EQ(rich.content(), "the quick fox");
  EXPECT_EQ(rich.spans(), "'the '{} 'quick'{bold=true} ' fox'{}");
  EXPECT_EQ(show(rich.doc.read().marks_at(rich.text, 3).value()), "");
  EXPECT_EQ(show(rich.doc.read().marks_at(rich.text, 4).value()), "bold=true");
  EXPECT_EQ(show(rich.doc.read().marks_at(rich.text, 8).value()), "bold=true");
  EXPECT_EQ(show(rich.doc.read().marks_at(rich.text, 9).value()), "");
  EXPECT_CODE(rich.doc.read().marks_at(rich.text, 13), Code::out_of_range);
}

TEST(Marks, ExpandAtTheirEdgesAsTheyWereTold) {
  struct Case {
    Expand expand;
    std::string expected;
  };
  for (const auto& [expand, expected] :
       {Case{Expand::none, "m=1[2,4)"}, Case{Expand::after, "m=1[2,5)"},
        Case{Expand::before, "m=1[1,4)"}, Case{Expand::both, "m=1[1,5)"}}) {
    Rich rich("abcd");
    rich.mark(1, 3, "m", std::int64_t{1}, expand);
    rich.splice(3, 0, ">");
    rich.splice(1, 0, "<");
    EXPECT_EQ(rich.content(), "a<bc>d");
    EXPECT_EQ(rich.marks(), expected);
    EXPECT_EQ(Document::load(raw(rich.doc)).value().text(rich.text).value(), "a<bc>d");
  }
}

TEST(Marks, OfEmptyRangesCoverNothingAndCanBeSaved) {
  Rich rich("ab");
  auto tx = rich.doc.begin().value();
  ASSERT_TRUE(tx.mark(rich.text, 1, 1, "m", true, Expand::none));
  EXPECT_EQ(tx.pending_ops(), 0U);
  ASSERT_TRUE(tx.mark(rich.text, 1, 1, "m", true, Expand::both));
  EXPECT_EQ(tx.pending_ops(), 2U);
  ASSERT_TRUE(tx.commit());
  rich.splice(1, 0, "x");
  EXPECT_EQ(rich.marks(), "");
  EXPECT_TRUE(Document::load(raw(rich.doc))) << "its end stands behind its begin";
}

TEST(Marks, InsideOneElementOfSeveralUnitsStandInOrder) {
  Rich rich("a🚀b");
  rich.doc.set_text_unit(TextUnit::utf8);
  rich.mark(2, 4, "m", true);
  ASSERT_TRUE(Document::load(raw(rich.doc)));
  rich.mark(1, 5, "n", true);
  EXPECT_EQ(rich.marks(), "n=true[1,5)");
  ASSERT_TRUE(Document::load(raw(rich.doc)));
}

TEST(Marks, TheLastOneMadeHoldsWhereTheyOverlap) {
  Rich rich("0123456789");
  rich.mark(0, 6, "colour", std::string_view("red"));
  rich.mark(3, 9, "colour", std::string_view("blue"));
  rich.mark(1, 2, "bold", true);
  EXPECT_EQ(rich.marks(), "bold=true[1,2) colour=red[0,3) colour=blue[3,9)");
  rich.mark(5, 10, "colour", std::string_view("blue"));
  EXPECT_EQ(rich.marks(), "bold=true[1,2) colour=red[0,3) colour=blue[3,10)")
      << "neighbours that say the same are one";
  rich.unmark(4, 5, "colour", Expand::none);
  EXPECT_EQ(rich.marks(), "bold=true[1,2) colour=red[0,3) colour=blue[3,4) colour=blue[5,10)");
  EXPECT_EQ(rich.spans(),
            "'0'{colour=red} '1'{bold=true,colour=red} '2'{colour=red} '3'{colour=blue} '4'{} "
            "'56789'{colour=blue}");
}

TEST(Marks, ThatAreTakenAwayLeaveNothing) {
  Rich rich("abc");
  rich.mark(0, 3, "m", true);
  rich.unmark(0, 3, "m");
  EXPECT_EQ(rich.marks(), "");
  EXPECT_EQ(rich.spans(), "'abc'{}");
  EXPECT_EQ(show(rich.doc.read().marks_at(rich.text, 1).value()), "");
}

TEST(Marks, ShrinkAndVanishWithTheirText) {
  Rich rich("abcdef");
  rich.mark(1, 5, "m", true, Expand::none);
  rich.splice(0, 3, "");
  EXPECT_EQ(rich.marks(), "m=true[0,2)");
  rich.splice(0, 3, "");
  EXPECT_EQ(rich.marks(), "");
  rich.splice(0, 0, "new");
  EXPECT_EQ(rich.marks(), "") << "a mark that does not expand does not come back";
}

TEST(Marks, MadeAtTheSameTimeAgreeOnEveryReplica) {
  Rich one("shared text");
  auto two = one.fork(2);
  one.mark(0, 6, "colour", std::string_view("red"));
  one.splice(3, 0, "XX");
  two.mark(3, 11, "colour", std::string_view("blue"));
  two.splice(11, 0, "!");
  ASSERT_TRUE(one.doc.merge(two.doc));
  ASSERT_TRUE(two.doc.merge(one.doc));
  EXPECT_EQ(one.spans(), two.spans());
  EXPECT_EQ(one.marks(), "colour=red[0,5) colour=blue[5,14)");
  const auto loaded = Document::load(raw(one.doc)).value();
  EXPECT_EQ(show(loaded.read().marks(object(loaded, "t")).value()), one.marks());
}

TEST(Marks, AreReadAtHeads) {
  Rich rich("hello");
  rich.mark(0, 2, "m", std::int64_t{1});
  const auto first = rich.doc.heads();
  rich.mark(1, 4, "m", std::int64_t{2});
  const auto second = rich.doc.heads();
  rich.splice(0, 3, "");
  const auto marks = [&](const Heads& heads) {
    return show(rich.doc.at(heads)->marks(rich.text).value());
  };
  EXPECT_EQ(marks(first), "m=1[0,2)");
  EXPECT_EQ(marks(second), "m=1[0,1) m=2[1,4)");
  EXPECT_EQ(rich.marks(), "m=2[0,1)");
  EXPECT_EQ(show(rich.doc.at(first)->spans(rich.text).value()), "'he'{m=1} 'llo'{}");
  EXPECT_EQ(show(rich.doc.at(second)->marks_at(rich.text, 1).value()), "m=2");
}

TEST(Marks, AreRefusedWhereTheyCannotBe) {
  Rich rich("abc");
  auto tx = rich.doc.begin().value();
  const auto list = tx.put_object(kRoot, "l", ObjectType::list).value();
  const auto pending = tx.pending_ops();
  EXPECT_CODE(tx.mark(rich.text, 2, 1, "m", true), Code::out_of_range);
  EXPECT_CODE(tx.mark(rich.text, 0, 4, "m", true), Code::out_of_range);
  EXPECT_CODE(tx.mark(list, 0, 0, "m", true, Expand::both), Code::wrong_type);
  EXPECT_CODE(tx.mark(kRoot, 0, 0, "m", true), Code::wrong_type);
  EXPECT_CODE(tx.mark(rich.text, 0, 1, "\xff", true), Code::invalid_argument);
  EXPECT_EQ(tx.pending_ops(), pending) << "a refused mark leaves no half of it";
  EXPECT_CODE(rich.doc.read().marks(kRoot), Code::wrong_type);
}

TEST(Blocks, BeginParagraphsAndCountOne) {
  Rich rich("onetwo");
  ObjectId block;
  change(rich.doc, [&](Transaction& tx) {
    block = tx.split_block(rich.text, 3).value();
    EXPECT_TRUE(tx.put(block, "type", std::string_view("heading")));
  });
  EXPECT_EQ(rich.spans(), "'one'{} ¶ 'two'{}");
  EXPECT_EQ(rich.content(), "one\xef\xbf\xbctwo");
  EXPECT_EQ(rich.doc.length(rich.text).value(), 7U);
  const auto spans = rich.doc.read().spans(rich.text).value();
  EXPECT_EQ(spans[1].block, block);
  EXPECT_EQ(std::get<std::string_view>(std::get<Scalar>(rich.doc.get(block, "type").value()->data)),
            "heading");
  change(rich.doc, [&](Transaction& tx) {
    EXPECT_CODE(tx.join_block(rich.text, 2), Code::wrong_type);
    EXPECT_TRUE(tx.join_block(rich.text, 3));
  });
  EXPECT_EQ(rich.spans(), "'onetwo'{}");
}

TEST(Blocks, KeepTheMarksAroundThem) {
  Rich rich("onetwo");
  rich.mark(0, 6, "bold", true);
  change(rich.doc, [&](Transaction& tx) { EXPECT_TRUE(tx.split_block(rich.text, 3)); });
  EXPECT_EQ(rich.spans(), "'one'{bold=true} ¶ 'two'{bold=true}");
  EXPECT_EQ(rich.marks(), "bold=true[0,7)");
}

TEST(Blocks, ChangedByTwoAtOnceMergeLikeMaps) {
  Rich one("text");
  ObjectId block;
  change(one.doc, [&](Transaction& tx) {
    block = tx.split_block(one.text, 0).value();
    EXPECT_TRUE(tx.put(block, "type", std::string_view("paragraph")));
  });
  auto two = one.fork(2);
  change(one.doc,
         [&](Transaction& tx) { EXPECT_TRUE(tx.put(block, "type", std::string_view("quote"))); });
  change(two.doc, [&](Transaction& tx) { EXPECT_TRUE(tx.put(block, "level", std::int64_t{2})); });
  ASSERT_TRUE(one.doc.merge(two.doc));
  EXPECT_EQ(one.doc.read().keys(block).value().size(), 2U);
  EXPECT_EQ(one.spans(), "¶ 'text'{}");
}

}  // namespace
}  // namespace peat::automerge
