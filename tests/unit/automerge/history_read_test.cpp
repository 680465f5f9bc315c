// Reading a document as it was: views at heads, forks at heads, ids and text units.
#include <gtest/gtest.h>

#include <random>

#include "support.hpp"

namespace peat::automerge {
namespace {

using namespace test;

ObjectId make(Document& document, std::string_view key, ObjectType type,
              std::string_view text = {}) {
  ObjectId made;
  change(document, [&](Transaction& tx) {
    made = tx.put_object(kRoot, key, type).value();
    EXPECT_TRUE(text.empty() || tx.splice_text(made, 0, 0, text));
  });
  return made;
}

void splice(Document& document, ObjectId text, std::size_t index, std::ptrdiff_t erase,
            std::string_view insert) {
  change(document,
         [&](Transaction& tx) { EXPECT_TRUE(tx.splice_text(text, index, erase, insert)); });
}

View view(const Document& document, const Heads& heads) {
  auto at = document.at(heads);
  EXPECT_TRUE(at) << at.error().message;
  return *at;
}

std::int64_t integer_at(const View& at, std::string_view key) {
  const auto value = at.get(kRoot, key);
  EXPECT_TRUE(value && *value) << key;
  return std::get<std::int64_t>(std::get<Scalar>((*value)->data));
}

TEST(ViewAtHeads, ShowsOldValuesAfterOverwritingAndDeleting) {
  auto doc = replica(1);
  put(doc, "a", std::int64_t{1});
  const auto first = doc.heads();
  put(doc, "a", std::int64_t{2});
  put(doc, "b", std::int64_t{3});
  const auto second = doc.heads();
  change(doc, [](Transaction& tx) { EXPECT_TRUE(tx.erase(kRoot, "a")); });

  EXPECT_EQ(integer_at(view(doc, first), "a"), 1);
  EXPECT_EQ(view(doc, first).keys(kRoot).value(), std::vector<std::string_view>{"a"});
  EXPECT_EQ(integer_at(view(doc, second), "a"), 2);
  EXPECT_EQ(view(doc, second).length(kRoot).value(), 2U);
  EXPECT_EQ(view(doc, doc.heads()).keys(kRoot).value(), std::vector<std::string_view>{"b"});
  EXPECT_EQ(view(doc, {}).length(kRoot).value(), 0U) << "no heads: the empty document";
}

TEST(ViewAtHeads, StaysWhileTheDocumentGoesOn) {
  auto doc = replica(1);
  put(doc, "a", std::int64_t{1});
  const auto then = view(doc, doc.heads());
  const auto now = doc.read();
  auto tx = doc.begin().value();
  ASSERT_TRUE(tx.put(kRoot, "a", std::int64_t{2}));
  EXPECT_EQ(integer_at(then, "a"), 1);
  EXPECT_EQ(integer_at(now, "a"), 2) << "an open transaction can be read";
  ASSERT_TRUE(tx.commit());
  EXPECT_EQ(integer_at(then, "a"), 1);
  EXPECT_EQ(integer_at(now, "a"), 2);
}

TEST(ViewAtHeads, CutsARunOfTypingWhereTheHeadsEnd) {
  auto doc = replica(1);
  const auto text = make(doc, "t", ObjectType::text);
  std::vector<Heads> heads;
  for (const char* key : {"h", "e", "l", "l", "o"}) {
    splice(doc, text, doc.length(text).value(), 0, key);
    heads.push_back(doc.heads());
  }
  for (int i = 0; i < 3; ++i) {  // backspace, which makes one run of successors going down
    splice(doc, text, doc.length(text).value(), -1, "");
    heads.push_back(doc.heads());
  }
  for (int i = 0; i < 2; ++i) {  // and forwards from the front
    splice(doc, text, 0, 1, "");
    heads.push_back(doc.heads());
  }
  const std::vector<std::string> expected{"h",    "he",  "hel", "hell", "hello",
                                          "hell", "hel", "he",  "e",    ""};
  for (std::size_t i = 0; i < heads.size(); ++i) {
    const auto at = view(doc, heads[i]);
    EXPECT_EQ(at.text(text).value(), expected[i]) << i;
    EXPECT_EQ(at.length(text).value(), expected[i].size()) << i;
    for (std::size_t k = 0; k < expected[i].size(); ++k) {
      const auto value = at.get(text, k);
      ASSERT_TRUE(value && *value);
      EXPECT_EQ(std::get<std::string_view>(std::get<Scalar>((*value)->data)),
                expected[i].substr(k, 1));
    }
    EXPECT_EQ(at.get(text, expected[i].size()).value(), std::nullopt);
  }
}

TEST(ViewAtHeads, ConflictsAndCountersAreThoseOfTheHeads) {
  auto one = replica(1);
  change(one, [](Transaction& tx) { EXPECT_TRUE(tx.put(kRoot, "n", Counter{10})); });
  auto two = one.fork(actor(2)).value();
  change(one, [](Transaction& tx) { EXPECT_TRUE(tx.increment(kRoot, "n", 5)); });
  put(one, "c", std::string_view("one"));
  const auto before = one.heads();
  change(two, [](Transaction& tx) { EXPECT_TRUE(tx.increment(kRoot, "n", 100)); });
  put(two, "c", std::string_view("two"));
  ASSERT_TRUE(one.merge(two));
  const auto merged = one.heads();
  put(one, "c", std::string_view("settled"));

  const auto counter = [](const View& at) {
    return std::get<Counter>(std::get<Scalar>(at.get(kRoot, "n").value()->data)).value;
  };
  EXPECT_EQ(counter(view(one, before)), 15);
  EXPECT_EQ(counter(view(one, two.heads())), 110);
  EXPECT_EQ(counter(view(one, merged)), 115);
  EXPECT_EQ(view(one, before).get_all(kRoot, "c").value().size(), 1U);
  EXPECT_EQ(view(one, merged).get_all(kRoot, "c").value().size(), 2U);
  EXPECT_EQ(view(one, one.heads()).get_all(kRoot, "c").value().size(), 1U);
}

TEST(ViewAtHeads, AnObjectThatIsNotMadeYetIsNotThere) {
  auto doc = replica(1);
  put(doc, "a", std::int64_t{1});
  const auto before = doc.heads();
  const auto list = make(doc, "l", ObjectType::list);
  change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.insert(list, 0, std::int64_t{1})); });
  EXPECT_CODE(view(doc, before).length(list), Code::not_found);
  EXPECT_EQ(view(doc, doc.heads()).length(list).value(), 1U);
  EXPECT_CODE(view(doc, doc.heads()).keys(list), Code::wrong_type);
  EXPECT_CODE(view(doc, doc.heads()).get(kRoot, std::size_t{0}), Code::wrong_type);
  EXPECT_CODE(doc.at(std::vector{ChangeHash{}}), Code::not_found);
}

TEST(ViewAtHeads, ContentsOfAnOverwrittenObjectCanStillBeRead) {
  auto doc = replica(1);
  const auto list = make(doc, "l", ObjectType::list);
  change(doc, [&](Transaction& tx) { EXPECT_TRUE(tx.insert(list, 0, true)); });
  put(doc, "l", std::int64_t{0});
  EXPECT_EQ(view(doc, doc.heads()).length(list).value(), 1U);
  const auto value = doc.read().get(list, 0).value();
  EXPECT_TRUE(std::get<bool>(std::get<Scalar>(value->data)));
}

// Edits at random, by three people, remembering every heads that anybody had.
class RandomHistory {
 public:
  explicit RandomHistory(unsigned seed) : random_(seed) {
    people_.push_back(replica(1));
    change(people_[0], [&](Transaction& tx) {
      text_ = tx.put_object(kRoot, "text", ObjectType::text).value();
      list_ = tx.put_object(kRoot, "list", ObjectType::list).value();
      EXPECT_TRUE(tx.put(kRoot, "count", Counter{0}));
      EXPECT_TRUE(tx.splice_text(text_, 0, 0, "the quick brown fox"));
    });
    for (std::uint8_t n = 2; n < 4; ++n) people_.push_back(people_[0].fork(actor(n)).value());
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      auto& who = people_[below(people_.size())];
      if (below(4) == 0) {
        ASSERT_TRUE(who.merge(people_[below(people_.size())]));
      } else {
        auto tx = who.begin().value();
        for (auto n = 1 + below(3); n > 0; --n) edit(tx);
        ASSERT_TRUE(tx.commit());
      }
      heads_.push_back(who.heads());
    }
    for (auto& other : people_) ASSERT_TRUE(people_[0].merge(other));
  }

  Document& all() { return people_[0]; }
  const std::vector<Heads>& heads() const { return heads_; }

 private:
  std::size_t below(std::size_t n) { return random_() % n; }

  // Object ids of one person's actor table are not another's: the text form is.
  ObjectId here(const Document& document, ObjectId id) const {
    return document.parse_object(people_[0].object_text(id)).value();
  }

  void edit(Transaction& tx) {
    const auto& doc = tx.document();
    const auto text = here(doc, text_);
    const auto list = here(doc, list_);
    const auto length = doc.length(text).value();
    const auto items = doc.length(list).value();
    switch (below(8)) {
      case 0:
        EXPECT_TRUE(tx.put(kRoot, std::string(1, static_cast<char>('a' + below(4))),
                           static_cast<std::int64_t>(below(100))));
        break;
      case 1:
        EXPECT_TRUE(tx.increment(kRoot, "count", 1));
        break;
      case 2:
        EXPECT_TRUE(tx.insert(list, below(items + 1), static_cast<std::int64_t>(below(9))));
        break;
      case 3:
        EXPECT_TRUE(items == 0 || tx.put(list, below(items), std::string_view("set")));
        break;
      case 4:
        EXPECT_TRUE(items == 0 || tx.erase(list, below(items)));
        break;
      case 5:
        EXPECT_TRUE(tx.erase(kRoot, std::string(1, static_cast<char>('a' + below(4)))));
        break;
      default:
        EXPECT_TRUE(tx.splice_text(text, below(length + 1), static_cast<std::ptrdiff_t>(below(4)),
                                   below(2) == 0 ? "é🚀x" : "yz"));
    }
  }

  std::mt19937 random_;
  std::vector<Document> people_;
  std::vector<Heads> heads_;
  ObjectId text_, list_;
};

struct ShowScalar {
  std::string operator()(Null) const { return "null"; }
  std::string operator()(std::int64_t v) const { return std::to_string(v); }
  std::string operator()(Counter v) const { return "counter " + std::to_string(v.value); }
  std::string operator()(std::string_view v) const { return "'" + std::string(v) + "'"; }
  std::string operator()(const auto&) const { return "other"; }
};

// Every value, conflicting ones too, with the id of its operation.
class Show {
 public:
  Show(const Document& document, const View& view) : document_(document), view_(view) {}

  std::string object(ObjectRef ref) const {
    std::string out =
        document_.object_text(ref.id) + "#" + std::to_string(view_.length(ref.id).value());
    if (ref.type == ObjectType::text) return out + "\"" + view_.text(ref.id).value() + "\"";
    if (ref.type == ObjectType::map) {
      const auto keys = view_.keys(ref.id).value();
      for (const auto key : keys) {
        out += " " + std::string(key) + "=" + all(view_.get_all(ref.id, key).value());
      }
      return "{" + out + "}";
    }
    const auto winners = view_.values(ref.id).value();
    for (std::size_t i = 0; i < winners.size(); ++i) {
      const auto values = view_.get_all(ref.id, i).value();
      EXPECT_EQ(values.back().op, winners[i].op);
      out += " " + all(values);
    }
    return "[" + out + "]";
  }

 private:
  std::string all(const std::vector<Value>& values) const {
    std::string out = "(";
    for (const auto& value : values) {
      const auto* ref = std::get_if<ObjectRef>(&value.data);
      out += ref != nullptr ? object(*ref) : std::visit(ShowScalar{}, std::get<Scalar>(value.data));
      out += "@" + document_.op_text(value.op);
    }
    return out + ")";
  }

  const Document& document_;
  const View& view_;
};

std::string show(const Document& document, const View& view) {
  return Show(document, view).object({ObjectType::map, kRoot});
}

TEST(ViewAtHeads, EqualsTheReplayOfThatHistory) {
  for (unsigned seed = 0; seed < 30 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomHistory history(seed);
    history.run(25);
    auto loaded = Document::load(history.all().save().value()).value();
    for (const auto unit : {TextUnit::code_point, TextUnit::utf8, TextUnit::utf16}) {
      history.all().set_text_unit(unit);
      loaded.set_text_unit(unit);
      for (const auto& heads : history.heads()) {
        const auto replayed = history.all().fork_at(heads).value();
        ASSERT_EQ(replayed.heads(), heads);
        const auto expected = show(replayed, replayed.read());
        ASSERT_EQ(show(history.all(), view(history.all(), heads)), expected);
        ASSERT_EQ(show(loaded, view(loaded, heads)), expected);
      }
    }
  }
}

TEST(Conflicts, NameWhoSetEachValueAndWhen) {
  auto one = replica(1);
  put(one, "k", std::int64_t{0}, {.time = 5});
  auto two = one.fork(actor(2)).value();
  const auto first = put(one, "k", std::string_view("one"), {.time = 10});
  const auto second = put(two, "k", std::string_view("two"), {.time = 20});
  ASSERT_TRUE(one.merge(two));
  const auto found = one.read().conflicts(kRoot, "k").value();
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].actor, actor(1));
  EXPECT_EQ(found[0].time, 10);
  EXPECT_EQ(found[0].change, first);
  EXPECT_EQ(found[1].actor, actor(2)) << "the winner is last";
  EXPECT_EQ(found[1].time, 20);
  EXPECT_EQ(found[1].change, second);
  put(one, "k", std::string_view("one"));
  EXPECT_EQ(one.read().conflicts(kRoot, "k").value().size(), 1U) << "a put settles it";
  EXPECT_EQ(view(one, {first, second}).conflicts(kRoot, "k").value().size(), 2U);
  EXPECT_TRUE(one.read().conflicts(kRoot, "none").value().empty());
}

TEST(ForkAt, GoesOnFromTheOldHeads) {
  auto doc = replica(1);
  put(doc, "a", std::int64_t{1});
  const auto heads = doc.heads();
  put(doc, "a", std::int64_t{2});
  auto fork = doc.fork_at(heads, actor(2)).value();
  EXPECT_EQ(fork.heads(), heads);
  EXPECT_EQ(integer(fork, "a"), 1);
  put(fork, "b", std::int64_t{3});
  ASSERT_TRUE(doc.merge(fork));
  EXPECT_EQ(doc.to_json().value(), R"({"a":2,"b":3})");
  EXPECT_CODE(doc.fork_at(std::vector{ChangeHash{}}), Code::not_found);
  EXPECT_EQ(doc.fork_at({}).value().change_count(), 0U);
}

// --- ids ------------------------------------------------------------------------------------

TEST(ObjectIds, AreTheSameInEveryReplica) {
  auto one = replica(9);
  const auto list = make(one, "l", ObjectType::list);
  auto two = Document(actor(1));
  put(two, "x", std::int64_t{1});
  ASSERT_TRUE(two.merge(one));
  const auto text = one.object_text(list);
  EXPECT_EQ(text, "1@09090909090909090909090909090909");
  EXPECT_EQ(one.parse_object(text).value(), list);
  EXPECT_EQ(two.object_text(two.parse_object(text).value()), text);

  const auto bytes = one.encode_object(list);
  EXPECT_EQ(bytes, hex("10 10 09090909090909090909090909090909 00 01"));
  EXPECT_EQ(two.object_text(two.decode_object(bytes).value()), text);
  EXPECT_EQ(two.encode_object(two.decode_object(bytes).value()),
            hex("10 10 09090909090909090909090909090909 01 01"))
      << "the hint is the actor's place in the sorted table";

  EXPECT_EQ(one.object_text(kRoot), "_root");
  EXPECT_EQ(one.encode_object(kRoot), hex("00"));
  EXPECT_EQ(one.parse_object("_root").value(), kRoot);
  EXPECT_EQ(one.decode_object(hex("00")).value(), kRoot);
}

TEST(ObjectIds, OthersAreRefused) {
  auto doc = replica(1);
  put(doc, "k", std::int64_t{1});
  const std::string actor_hex(32, '1');
  for (const auto* bad : {"", "_head", "1", "@", "0@01", "-1@01", "01@01", "1@", "1@0", "1@zz",
                          "99999999999@01", "1 @01"}) {
    EXPECT_CODE(doc.parse_object(bad), Code::malformed);
  }
  EXPECT_CODE(doc.parse_object("1@02"), Code::not_found);
  EXPECT_CODE(doc.parse_object("1@01010101010101010101010101010101"), Code::not_found);
  for (const auto* bad : {"", "01", "20", "11", "10", "1005", "100101", "0000", "10 01 01 00"}) {
    EXPECT_FALSE(doc.decode_object(hex(bad))) << bad;
  }
  EXPECT_CODE(doc.decode_object(hex("10 01 02 00 01")), Code::not_found);
  EXPECT_CODE(doc.decode_object(hex("10 01 02 00 ffffffffff01")), Code::not_found);
  EXPECT_CODE(doc.decode_object(hex("10 01 02 00 01 00")), Code::malformed);
}

// --- text units -----------------------------------------------------------------------------

TEST(TextUnits, PositionsCountWhatTheDocumentIsSetTo) {
  auto doc = replica(1);
  const auto text = make(doc, "t", ObjectType::text, "aé🚀b");
  const std::vector<std::pair<TextUnit, std::size_t>> lengths{
      {TextUnit::code_point, 4}, {TextUnit::utf8, 8}, {TextUnit::utf16, 5}};
  for (const auto& [unit, length] : lengths) {
    doc.set_text_unit(unit);
    EXPECT_EQ(doc.text_unit(), unit);
    EXPECT_EQ(doc.length(text).value(), length);
    EXPECT_EQ(doc.read().length(text).value(), length);
    EXPECT_EQ(view(doc, doc.heads()).length(text).value(), length);
    const auto last = doc.get(text, length - 1).value();
    EXPECT_EQ(std::get<std::string_view>(std::get<Scalar>(last->data)), "b");
    EXPECT_EQ(doc.get(text, length).value(), std::nullopt);
  }
  // UTF-16: behind the rocket is position 4.
  splice(doc, text, 4, 0, "!");
  EXPECT_EQ(doc.text(text).value(), "aé🚀!b");
  // A position inside a character is behind it; a deletion inside goes on to the next.
  splice(doc, text, 3, 0, "?");
  EXPECT_EQ(doc.text(text).value(), "aé🚀?!b");
  splice(doc, text, 3, 1, "");
  EXPECT_EQ(doc.text(text).value(), "aé🚀!b");
  doc.set_text_unit(TextUnit::utf8);
  splice(doc, text, 3, 4, "");
  EXPECT_EQ(doc.text(text).value(), "aé!b");
}

TEST(TextUnits, BelongToTheDocumentAndItsForks) {
  LoadOptions options;
  options.text_unit = TextUnit::utf16;
  auto source = replica(1);
  make(source, "t", ObjectType::text, "🚀");
  const auto saved = source.save().value();
  auto doc = Document::load(saved, options).value();
  EXPECT_EQ(doc.length(object(doc, "t")).value(), 2U);
  EXPECT_EQ(doc.fork().value().text_unit(), TextUnit::utf16);
  EXPECT_EQ(doc.fork_at(doc.heads()).value().text_unit(), TextUnit::utf16);
  auto empty = replica(2);
  empty.set_text_unit(TextUnit::utf8);
  ASSERT_TRUE(empty.load_incremental(saved));
  EXPECT_EQ(empty.length(object(empty, "t")).value(), 4U);
}

TEST(TextUnits, JsonUpdatesOfTextsWorkInAnyUnit) {
  for (const auto unit : {TextUnit::code_point, TextUnit::utf8, TextUnit::utf16}) {
    auto doc = replica(1);
    const auto text = make(doc, "t", ObjectType::text, "🚀é middle 🚀é");
    doc.set_text_unit(unit);
    ASSERT_TRUE(doc.update_from_json(R"({"t":"🚀é mi🚀e x🚀é"})", {}));
    EXPECT_EQ(doc.text(text).value(), "🚀é mi🚀e x🚀é");
    EXPECT_EQ(object(doc, "t"), text);
  }
}

}  // namespace
}  // namespace peat::automerge
