// Secondary indexes: they find what a scan finds, whatever happens to documents, store and
// settings.
#include "node/document_index.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "../sync/replica.hpp"
#include "node/query_source.hpp"
#include "query/run.hpp"

namespace peat::node {
namespace {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;
using sync::Replica;

struct Answer {
  Strings ids;
  std::string index;
  std::uint64_t examined = 0;
  std::string next;
};

class Indexes : public testing::Test {
 protected:
  ~Indexes() override { close(); }

  void open(std::vector<IndexName> wanted) {
    auto opened = DocumentIndex::open(*replica.documents, *replica.executor);
    ASSERT_TRUE(opened) << opened.error().message;
    index = std::move(*opened);
    observer = replica.store->subscribe([this](const auto&) { index->on_change(); });
    const auto status = index->set(wanted);
    ASSERT_TRUE(status) << status.error().message;
    source = std::make_unique<QuerySource>(*replica.documents, *index, identity);
  }
  void close() {
    source.reset();
    if (index) replica.store->unsubscribe(observer);
    index.reset();
  }
  // The process dies; what was not durable is lost.
  void crash() {
    close();
    replica.crash();
    replica.start();
  }

  Answer ask(query::Source& from, std::string_view text, std::string_view page = "") {
    Answer out;
    const auto query = Query::parse(text);
    EXPECT_TRUE(query) << text << (query ? "" : query.error().message);
    auto run = query::Run::begin(*query, from, page, 1000);
    EXPECT_TRUE(run) << (run ? "" : run.error().message);
    for (auto state = query::Run::State::more; state == query::Run::State::more;) {
      std::vector<query::Row> rows;
      const auto stepped = run->step(rows);
      EXPECT_TRUE(stepped) << (stepped ? "" : stepped.error().message);
      state = stepped.value_or(query::Run::State::done);
      for (const auto& row : rows) out.ids.push_back(row.id);
    }
    out.index = run->index();
    out.examined = run->examined();
    out.next = run->next().value_or("");
    return out;
  }
  Answer ask(std::string_view text, std::string_view page = "") { return ask(*source, text, page); }
  Strings pages(query::Source& from, std::string_view text) {
    Strings ids;
    std::string token;
    do {
      const auto next = ask(from, text, token);
      ids.insert(ids.end(), next.ids.begin(), next.ids.end());
      token = next.next;
    } while (!token.empty());
    return ids;
  }
  void fill(int documents) {
    for (int i = 0; i < documents; ++i) {
      replica.put(fmt::format("t:d{:04}", i),
                  fmt::format(R"({{"n":{},"pos":{{"lat":{}.5,"lon":1}}}})", i, i % 90));
    }
  }

  sim::World world{5};
  Replica replica{world, 1, "a"};
  crypto::SecretKey identity = crypto::SecretKey::from_seed(std::array<std::uint8_t, 32>{7});
  std::unique_ptr<DocumentIndex> index;
  std::unique_ptr<QuerySource> source;
  std::uint64_t observer = 0;
};

// The same documents, every one of them read.
class Scan final : public query::Source {
 public:
  explicit Scan(query::Source& inner) : inner_(inner) {}
  Result<Strings> keys(std::string_view prefix, std::string_view after,
                       std::size_t limit) override {
    return inner_.keys(prefix, after, limit);
  }
  Result<std::optional<std::string>> json(std::string_view key) override {
    return inner_.json(key);
  }
  std::uint64_t count(std::string_view collection) const override {
    return inner_.count(collection);
  }
  ByteView token_key() const override { return inner_.token_key(); }

 private:
  query::Source& inner_;
};

TEST_F(Indexes, AreMadeOfWhatIsThereAndFollowWhatChanges) {
  fill(400);
  open({{"t", "n"}});
  EXPECT_EQ(ask("from t where n = 7").index, "") << "not made yet: a scan answers";
  EXPECT_EQ(ask("from t where n = 7").ids, Strings{"d0007"});
  world.run_for(2s);
  auto found = ask("from t where n = 7");
  EXPECT_EQ(found.index, "n");
  EXPECT_EQ(found.examined, 1U);
  EXPECT_EQ(found.ids, Strings{"d0007"});
  replica.put("t:d0100", R"({"n":7.0})");
  replica.erase("t:d0007");
  replica.put("t:new", R"({"n":"7"})");
  found = ask("from t where n = 7");
  EXPECT_EQ(found.ids, Strings{"d0100"}) << "a few changes are caught up with at once";
  EXPECT_EQ(found.examined, 1U);
  EXPECT_EQ(ask("from t where n = '7'").ids, Strings{"new"});
}

TEST_F(Indexes, AnswerRangesPrefixesAndPlaces) {
  fill(300);
  open({{"t", "n"}, {"t", "pos.lat"}, {"t", "name"}});
  replica.put("t:x", R"({"name":"truck-7"})");
  world.run_for(2s);
  auto found = ask("from t where n > 10 and n <= 13");
  EXPECT_EQ(found.ids, (Strings{"d0011", "d0012", "d0013"}));
  EXPECT_EQ(found.examined, 4U) << "10 itself is looked at";
  EXPECT_EQ(found.index, "n");
  found = ask("from t where pos within 200 km of 12.5, 1");
  EXPECT_EQ(found.index, "pos.lat");
  EXPECT_EQ(found.ids, pages(*source, "from t where pos.lat in (11.5, 12.5, 13.5)"));
  EXPECT_LT(found.examined, 20U);
  found = ask("from t where name starts with 'truck-'");
  EXPECT_EQ(found.index, "name");
  EXPECT_EQ(found.examined, 1U);
  EXPECT_EQ(ask("from t where not n = 7").index, "") << "most documents pass: a scan is better";
  EXPECT_EQ(ask("from t where n >= 0 limit 3").index, "") << "and three are soon found";
}

TEST_F(Indexes, AreOrdersWithoutReadingTheRest) {
  fill(500);
  replica.put("t:none", "{}");
  replica.put("t:some", R"({"n":"text"})");
  open({{"t", "n"}});
  world.run_for(2s);
  auto found = ask("from t order by n desc limit 3");
  EXPECT_EQ(found.ids, (Strings{"some", "d0499", "d0498"}));
  EXPECT_EQ(found.index, "n");
  EXPECT_LT(found.examined, 80U);
  found = ask("from t order by n desc limit 3", found.next);
  EXPECT_EQ(found.ids, (Strings{"d0497", "d0496", "d0495"}));
  EXPECT_LT(found.examined, 80U);
  for (const auto* text : {"from t order by n limit 37", "from t order by n desc limit 37",
                           "from t where pos.lat > 80 order by n desc limit 7"}) {
    Scan scan(*source);
    EXPECT_EQ(pages(*source, text), pages(scan, text)) << text;
  }
  EXPECT_EQ(pages(*source, "from t order by n limit 100").back(), "none");
}

TEST_F(Indexes, ComeAndGoWithTheSettings) {
  fill(100);
  open({{"t", "n"}});
  world.run_for(2s);
  EXPECT_EQ(index->states().size(), 1U);
  EXPECT_EQ(ask("from t where n = 1").index, "n");
  ASSERT_TRUE(index->set({{"t", "['pos'].lat"}, {"t", "pos.lat"}}));
  world.run_for(2s);
  EXPECT_EQ(index->states().size(), 1U) << "one path, however it is spelled";
  EXPECT_EQ(ask("from t where n = 1").index, "");
  EXPECT_EQ(ask("from t where pos.lat = 1.5").index, "pos.lat");
  ASSERT_TRUE(index->set({}));
  world.run_for(2s);
  const auto rows = replica.store->index_rows("", "", store::DocumentStore::Direction::up, 10);
  EXPECT_TRUE(rows->empty()) << "nothing stays behind";
}

TEST_F(Indexes, SurviveARestartWithoutBeingMadeAgain) {
  fill(200);
  open({{"t", "n"}});
  world.run_for(2s);
  close();
  replica.stop();
  replica.start();
  open({{"t", "n"}});
  EXPECT_EQ(ask("from t where n = 7").index, "n") << "at once";
}

// Whatever happens, an index and a scan give the same answers.
TEST_F(Indexes, FindWhatAScanFindsAfterEditsDeletionsAndCrashes) {
  open({{"t", "n"}, {"t", "a.b"}});
  const auto value = [this]() -> std::string {
    switch (world.below(7)) {
      case 0:
        return fmt::format("{}", world.below(20));
      case 1:
        return fmt::format("{}.5", world.below(20));
      case 2:
        return fmt::format("\"text-{}\"", world.below(9));
      case 3:
        return fmt::format("\"\\u0000{}\"", std::string(world.below(300), 'x'));
      case 4:
        return "null";
      case 5:
        return world.chance(0.5) ? "true" : "[1,2]";
      default:
        return fmt::format("-{}", world.below(20));
    }
  };
  const Strings queries{"from t where n = 7",
                        "from t where n > 3 and n < 9.5",
                        "from t where n <= -3",
                        "from t where n starts with 'text-'",
                        "from t where n >= 'text-5'",
                        "from t where n is null",
                        "from t where n in (1, 'text-1', true, null)",
                        "from t where a.b = 5 and n > 0",
                        "from t order by n limit 7",
                        "from t order by n desc limit 7",
                        "from t where a.b exists order by a.b desc limit 5",
                        "from t where n > 2 order by a.b limit 6"};
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 25; ++i) {
      auto id = fmt::format("{}", world.below(60));
      if (id.size() == 1) id += std::string(300, 'y');  // long ids too
      if (world.chance(0.2)) {
        static_cast<void>(replica.documents->erase("t:" + id, {}));
      } else if (world.chance(0.3)) {
        replica.put("t:" + id, "{\"a\":{\"b\":" + value() + "}}");
      } else {
        replica.put("t:" + id, "{\"n\":" + value() + ",\"a\":{\"b\":" + value() + "}}");
      }
      if (world.chance(0.1)) world.run_for(30ms);
    }
    if (world.chance(0.3)) {
      crash();
      open({{"t", "n"}, {"t", "a.b"}});
    }
    Scan scan(*source);
    for (const auto& text : queries) {
      ASSERT_EQ(pages(*source, text), pages(scan, text)) << text << " round " << round;
    }
  }
}

}  // namespace
}  // namespace peat::node
