// Conflicts: finding them all with their makers, and settling them.
#include "base/limits.hpp"
#include "support.hpp"

namespace peat::automerge::test {
namespace {

// Two replicas that edited the same start apart and merged.
struct Apart {
  explicit Apart(std::string_view start, std::string_view first, std::string_view second) {
    EXPECT_TRUE(one.update_from_json(start, {.time = 1}));
    two = one.fork(actor(2)).value();
    EXPECT_TRUE(one.update_from_json(first, {.time = 10}));
    EXPECT_TRUE(two.update_from_json(second, {.time = 20}));
    EXPECT_TRUE(one.merge(two));
    EXPECT_TRUE(two.merge(one));
  }
  std::size_t conflicts() const { return one.read().conflicts().value().size(); }
  Document one = replica(1);
  Document two = replica(3);
};

TEST(AllConflicts, AreFoundWithPathMakersAndTimes) {
  const Apart apart(R"({"pos": {"lat": 1}, "items": [{"n": 1}, {"n": 2}], "same": 1})",
                    R"({"pos": {"lat": 2}, "items": [{"n": 1}, {"n": 3}], "same": 7})",
                    R"({"pos": {"lat": 3}, "items": [{"n": 1}, {"n": 4}], "same": 7})");
  const auto found = apart.one.read().conflicts().value();
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].path, (Path{std::string("items"), std::size_t{1}, std::string("n")}));
  EXPECT_EQ(found[1].path, (Path{std::string("pos"), std::string("lat")}));
  EXPECT_EQ(found[2].path, Path{std::string("same")}) << "equal values, yet set apart";
  const auto& lat = found[1].values;
  ASSERT_EQ(lat.size(), 2U);
  EXPECT_EQ(lat[0].actor, actor(1));
  EXPECT_EQ(lat[0].time, 10);
  EXPECT_EQ(lat[1].actor, actor(2));
  EXPECT_EQ(lat[1].time, 20);
  EXPECT_EQ(lat[1].change, apart.one.read().conflicts(kRoot, "same").value()[1].change);
  EXPECT_EQ(apart.one.read().to_json(lat[0].value).value(), "2");
}

TEST(AllConflicts, OfObjectsMadeApartAreToldOnceAndNotInsideWhatLost) {
  const Apart apart("{}", R"({"pos": {"lat": 1, "lon": 1}})", R"({"pos": {"lat": 2}})");
  const auto found = apart.one.read().conflicts().value();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(apart.one.read().to_json(found[0].values[0].value).value(), R"({"lat":1,"lon":1})");
}

TEST(AllConflicts, AreThoseOfTheHeadsThatAreRead) {
  Apart apart(R"({"k": 1})", R"({"k": 2})", R"({"k": 3})");
  const auto heads = apart.one.heads();
  ASSERT_TRUE(apart.one.settle(R"([{"path": ["k"], "value": 2}])", {}));
  EXPECT_EQ(apart.conflicts(), 0U);
  EXPECT_EQ(apart.one.at(heads)->conflicts().value().size(), 1U);
}

TEST(AllConflicts, WithPathsBeyondTheLimitAreRefused) {
  auto one = replica(1);
  const std::string key(1U << 20, 'k');
  change(one, [&](Transaction& tx) { ASSERT_TRUE(tx.put_object(kRoot, key, ObjectType::map)); });
  auto two = one.fork(actor(2)).value();
  const auto places = Limits().automerge_conflict_path_bytes / key.size() + 1;
  for (auto* document : {&one, &two}) {
    change(*document, [&](Transaction& tx) {
      const auto map = std::get<ObjectRef>(document->get(kRoot, key).value()->data).id;
      for (std::uint64_t i = 0; i < places; ++i) {
        ASSERT_TRUE(tx.put(map, std::to_string(i), std::int64_t{1}));
      }
    });
  }
  ASSERT_TRUE(one.merge(two));
  EXPECT_CODE(one.read().conflicts(), Code::limit_exceeded);
}

TEST(Settle, GivesEveryPlaceItsValueInOneChange) {
  Apart apart(R"({"a": 1, "l": [{"n": 1}]})", R"({"a": 2, "l": [{"n": 2}]})",
              R"({"a": 3, "l": [{"n": 3}]})");
  const auto before = apart.one.change_count();
  const auto done = apart.one.settle(
      R"([{"path": ["a"], "value": 2}, {"path": ["l", "0", "n"], "value": {"new": true}}])", {});
  ASSERT_TRUE(done) << done.error().message;
  ASSERT_TRUE(done->has_value());
  EXPECT_EQ(apart.one.change_count(), before + 1);
  EXPECT_EQ(apart.one.to_json().value(), R"({"a":2,"l":[{"n":{"new":true}}]})");
  EXPECT_EQ(apart.conflicts(), 0U);
  ASSERT_TRUE(apart.two.merge(apart.one));
  EXPECT_EQ(apart.two.read().conflicts().value().size(), 0U) << "settled for everybody";
}

TEST(Settle, AllOrNothing) {
  Apart apart(R"({"a": 1, "b": 1})", R"({"a": 2})", R"({"a": 3})");
  const auto heads = apart.one.heads();
  for (const auto* settlements :
       {R"([{"path": ["a"], "value": 2}, {"path": ["b"], "value": 2}])",
        R"([{"path": ["a"], "value": 2}, {"path": ["none"], "value": 2}])",
        R"([{"path": ["a"], "value": 2}, {"path": ["a"], "value": 3}])",
        R"([{"path": ["a", "x"], "value": 2}])", R"([{"path": [0], "value": 2}])"}) {
    EXPECT_CODE(apart.one.settle(settlements, {}), Code::precondition_failed);
  }
  for (const auto* malformed : {"{}", "[]", "[1]", R"([{"path": "a", "value": 2}])",
                                R"([{"path": [null], "value": 2}])", R"([{"path": ["a"]}])"}) {
    EXPECT_CODE(apart.one.settle(malformed, {}), Code::malformed);
  }
  EXPECT_CODE(apart.one.settle(R"([{"path": [], "value": 2}])", {}), Code::invalid_argument);
  EXPECT_EQ(apart.one.heads(), heads);
  EXPECT_EQ(apart.conflicts(), 1U);
}

TEST(Settle, KeepsTheTypeOfWhatIsChosen) {
  auto one = replica(1);
  change(one, [](Transaction& tx) { ASSERT_TRUE(tx.put(kRoot, "start", true)); });
  auto two = one.fork(actor(2)).value();
  const Bytes blob{1, 2, 3};
  change(one, [&](Transaction& tx) {
    ASSERT_TRUE(tx.put(kRoot, "count", Counter{5}));
    ASSERT_TRUE(tx.put(kRoot, "blob", ByteView(blob)));
    const auto text = tx.put_object(kRoot, "text", ObjectType::text).value();
    ASSERT_TRUE(tx.splice_text(text, 0, 0, "mine"));
  });
  change(two, [](Transaction& tx) {
    for (const auto* key : {"count", "blob", "text"}) ASSERT_TRUE(tx.put(kRoot, key, Counter{7}));
  });
  ASSERT_TRUE(one.merge(two));
  ASSERT_TRUE(one.settle(R"([{"path": ["count"], "value": 5}, {"path": ["blob"], "value": "AQID"},
                             {"path": ["text"], "value": "mine"}])",
                         {}));
  EXPECT_EQ(one.to_json(JsonForm::typed).value(),
            R"({"blob":{"$bytes":"AQID"},"count":{"$counter":5},"start":true,)"
            R"("text":{"$text":"mine"}})");
}

TEST(Settle, ForAWinningObjectKeepsWhatOthersEditInIt) {
  Apart apart("{}", R"({"pos": {"lat": 1}})", R"({"pos": {"lat": 2}})");
  auto third = apart.one.fork(actor(3)).value();
  ASSERT_TRUE(apart.one.settle(R"([{"path": ["pos"], "value": {"lat": 2}}])", {}));
  ASSERT_TRUE(third.merge_patch(R"({"pos": {"lon": 9}})", {}));
  ASSERT_TRUE(apart.one.merge(third));
  EXPECT_EQ(apart.one.to_json().value(), R"({"pos":{"lat":2,"lon":9}})");
  EXPECT_EQ(apart.conflicts(), 0U);
}

TEST(ViewJson, ShowsADocumentAsItWas) {
  auto doc = replica(1);
  ASSERT_TRUE(doc.update_from_json(R"({"a": [1, {"b": 2}], "t": "x"})", {}));
  const auto heads = doc.heads();
  const auto json = doc.to_json().value();
  ASSERT_TRUE(doc.update_from_json(R"({"a": [{"b": 3}], "c": null})", {}));
  EXPECT_EQ(doc.at(heads)->to_json().value(), json);
  EXPECT_EQ(doc.read().to_json().value(), R"({"a":[{"b":3}],"c":null})");
  const auto list = doc.get(kRoot, "a").value();
  EXPECT_EQ(doc.at(heads)->to_json(*list).value(), R"([1,{"b":2}])");
  EXPECT_CODE(doc.at({})->to_json(*list), Code::not_found);
}

TEST(Authors, AreFoundHoweverManyAskForThem) {
  auto doc = replica(1);
  constexpr int kActors = 300;
  for (int i = 0; i < kActors; ++i) {
    auto other = Document(actor(9));
    ASSERT_TRUE(other.set_actor(
        ActorId{Bytes{1, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}}));
    ASSERT_TRUE(other.set_author(Bytes{static_cast<std::uint8_t>(i)}));
    put(other, "k", std::int64_t{i});
    ASSERT_TRUE(doc.merge(other));
    ASSERT_EQ(doc.author_of(other.actor()), Bytes{static_cast<std::uint8_t>(i)});
  }
  EXPECT_EQ(doc.author_of(actor(9)), std::nullopt);
}

}  // namespace
}  // namespace peat::automerge::test
