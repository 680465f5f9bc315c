// Live queries: the answer, and what becomes of it, for followers that are quick, slow or away.
#include "node/live_query.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "../sync/replica.hpp"
#include "node/node_api.hpp"
#include "node/query_source.hpp"

namespace peat::node {
namespace {

using Strings = std::vector<std::string>;

// What a live query needs of a node.
class LiveNode final : public NodeApi {
 public:
  LiveNode(sync::Replica& replica, std::size_t events_kept, const Limits& limits)
      : replica_(replica),
        index_(*DocumentIndex::open(*replica.documents, *replica.executor)),
        source_(*replica.documents, *index_,
                crypto::SecretKey::from_seed(std::array<std::uint8_t, 32>{7})),
        log_(events_kept, replica.store->last_seq(),
             [this](auto after, auto limit) { return feed(after, limit); }),
        live_(*this, limits) {
    observer_ = replica.store->subscribe([this](const store::ChangeEvent& change) {
      Event event;
      event.seq = change.seq;
      event.key = change.key;
      log_.publish(std::move(event));
    });
  }
  ~LiveNode() override { replica_.store->unsubscribe(observer_); }

  NodeInfo info() const override {
    NodeInfo info;
    info.store_id = replica_.store->incarnation().store_id;
    info.feed_floor = replica_.documents->feed_floor();
    return info;
  }
  query::Source& queries() override { return source_; }
  LiveQueries& live() override { return live_; }
  EventLog& events() override { return log_; }

  // Not asked.
  std::vector<ReadyCheck> readiness() const override { return {}; }
  Result<std::optional<sync::DocumentView>> get(std::string_view) override { return std::nullopt; }
  Result<std::optional<automerge::Heads>> heads(std::string_view) override { return std::nullopt; }
  Result<std::vector<automerge::ChangeInfo>> history(std::string_view) override {
    return std::vector<automerge::ChangeInfo>();
  }
  Result<std::optional<sync::ConflictsView>> conflicts(std::string_view) override {
    return std::nullopt;
  }
  void put(std::string_view, std::string_view, const sync::Precondition&, WriteDone) override {}
  void settle(std::string_view, std::string_view, const sync::Precondition&, WriteDone) override {}
  void patch(std::string_view, std::string_view, const sync::Precondition&, WriteDone) override {}
  void erase(std::string_view, const sync::Precondition&, WriteDone) override {}
  void await_holders(std::string_view, const std::optional<sync::WaitFor>&, Duration,
                     sync::WriteWaits::Done) override {}
  Result<Strings> keys(std::string_view, std::string_view, std::size_t) override {
    return Strings();
  }
  std::uint64_t count(std::string_view) const override { return 0; }
  std::vector<CollectionInfo> collections() const override { return {}; }
  Explanation explain_document(std::string_view, const EndpointId&) override { return {}; }
  Explanation explain_peer(const EndpointId&) override { return {}; }
  std::vector<sync::Quarantined> quarantined() const override { return {}; }
  Result<std::vector<EndpointId>> retry_quarantined(std::string_view) override {
    return std::vector<EndpointId>();
  }
  Status drop_quarantined(std::string_view) override { return {}; }
  void backup(std::function<void(Result<std::filesystem::path>)>) override {}
  void compact_store(std::function<void(Result<store::DocumentStore::Compaction>)>) override {}
  void survey_lag(std::function<void(Result<std::vector<PeerSync>>)>) override {}
  std::vector<PeerInfo> peers() const override { return {}; }
  void add_peer(const PeerSetting&, Done) override {}
  void remove_peer(const EndpointId&, Done) override {}
  std::string metrics(const HttpCounters&) const override { return {}; }

 private:
  Result<std::vector<Event>> feed(std::uint64_t after, std::size_t limit) {
    PEAT_TRY(auto rows, replica_.store->feed(after, limit));
    std::vector<Event> events;
    for (auto& row : rows) {
      Event event;
      event.seq = row.seq;
      event.key = std::move(row.key);
      events.push_back(std::move(event));
    }
    return events;
  }

  sync::Replica& replica_;
  std::unique_ptr<DocumentIndex> index_;
  QuerySource source_;
  EventLog log_;
  LiveQueries live_;
  std::uint64_t observer_ = 0;
};

class Live : public testing::Test {
 protected:
  ~Live() override {
    live.reset();
    node.reset();
  }
  void start(std::size_t events_kept = 1024) {
    live.reset();
    node.reset();
    node = std::make_unique<LiveNode>(replica, events_kept, limits);
  }
  void follow(std::string_view text, std::string_view resume = "") {
    live.reset();
    auto begun = node->live().begin(*Query::parse(text), resume);
    ASSERT_TRUE(begun) << begun.error().message;
    live = std::move(*begun);
  }
  // Everything that is ready, as "enter x", "complete", …; remembers the last token.
  Strings told() {
    static constexpr std::array kNames{"reset", "enter", "update", "leave", "complete"};
    Strings out;
    for (;;) {
      std::vector<LiveLine> lines;
      const auto state = live->step(lines);
      for (const auto& line : lines) {
        out.push_back(kNames[static_cast<std::size_t>(line.kind)]);
        if (!line.id.empty()) out.back() += ' ' + line.id;
        if (!line.resume.empty()) token = line.resume;
      }
      if (!state) {
        out.push_back("ended: " + std::string(info(state.error().code).name));
        return out;
      }
      if (*state == LiveQuery::State::waiting) return out;
    }
  }
  void put(const std::string& id, int n) {
    replica.put("t:" + id, fmt::format(R"({{"n":{}}})", n));
  }

  sim::World world{3};
  Limits limits;
  sync::Replica replica{world, 1, "a"};
  std::unique_ptr<LiveNode> node;
  std::unique_ptr<LiveQuery> live;
  std::string token;
};

TEST_F(Live, TellsTheAnswerAndThenWhatBecomesOfIt) {
  start();
  put("a", 1);
  put("b", 5);
  put("c", 9);
  follow("from t where n > 3");
  EXPECT_EQ(told(), (Strings{"enter b", "enter c", "complete"}));
  EXPECT_EQ(told(), Strings{});
  put("a", 4);
  put("b", 6);
  put("c", 1);
  put("d", 2);
  replica.put("u:x", R"({"n":9})");
  replica.put("tt:x", R"({"n":9})");
  EXPECT_EQ(told(), (Strings{"enter a", "update b", "leave c"}));
  replica.erase("t:b");
  replica.erase("t:d");
  EXPECT_EQ(told(), Strings{"leave b"});
  put("b", 7);
  EXPECT_EQ(told(), Strings{"enter b"});
}

// D13d, D13e: the reference's observers ignore their query and swallow what they missed.
TEST_F(Live, D13dASlowFollowerGetsTheNewestStateOfEverythingItMissed) {
  start(8);
  put("a", 5);
  follow("from t where n > 3");
  EXPECT_EQ(told(), (Strings{"enter a", "complete"}));
  for (int i = 0; i < 50; ++i) put("b", 10 + i);
  for (int i = 0; i < 50; ++i) put("c" + std::to_string(i), i);
  put("a", 0);
  auto lines = told();
  EXPECT_EQ(lines.size(), 1U + 46U + 1U) << "b once, 46 of c, a left";
  EXPECT_EQ(lines.front(), "enter b");
  EXPECT_EQ(lines.back(), "leave a");
  put("b", 99);
  EXPECT_EQ(told(), Strings{"update b"});
}

TEST_F(Live, ChangesDuringTheSnapshotAreNotLost) {
  start();
  for (int i = 0; i < 200; ++i) put(fmt::format("d{:03}", i), 5);
  follow("from t where n = 5");
  std::vector<LiveLine> lines;
  ASSERT_TRUE(live->step(lines));
  ASSERT_LT(lines.size(), 200U);
  put("d000", 6);  // told already
  put("d199", 6);  // not yet
  put("new", 5);
  const auto rest = told();
  EXPECT_EQ(std::ranges::count(rest, "leave d000"), 1);
  EXPECT_EQ(std::ranges::count(rest, "enter d199"), 0);
  EXPECT_EQ(std::ranges::count(rest, "enter new") + std::ranges::count(rest, "update new"), 2);
}

TEST_F(Live, AResumeTellsOnlyWhatChangedSince) {
  start();
  for (int i = 0; i < 100; ++i) put(fmt::format("d{:03}", i), 5);
  follow("from t where n = 5");
  told();
  for (const bool restarted : {false, true}) {
    put("d001", 6);
    put("d002", 5);  // no change
    replica.put("t:d003", R"({"n":5,"m":1})");
    replica.erase("t:d004");
    put("new", 5);
    if (restarted) {
      live.reset();
      node.reset();
      replica.stop();
      replica.start();
      start();
    }
    follow("from t where n = 5", token);
    const auto lines = told();
    if (!restarted) {
      EXPECT_EQ(lines,
                (Strings{"leave d001", "enter d003", "leave d004", "enter new", "complete"}));
      put("d003", 7);
      EXPECT_EQ(told(), Strings{"leave d003"});
      put("d001", 5);
      put("d004", 5);
      EXPECT_EQ(told(), (Strings{"enter d001", "enter d004"}));
      replica.erase("t:new");
      told();
    } else {
      EXPECT_EQ(lines.back(), "complete");
      EXPECT_EQ(std::ranges::count(lines, "leave d001"), 1);
      EXPECT_EQ(std::ranges::count(lines, "leave d004"), 1);
      EXPECT_EQ(std::ranges::count(lines, "enter d050"), 0);
    }
  }
}

TEST_F(Live, AResumeBeginsAnewWhereDeletionsAreForgotten) {
  start();
  put("a", 5);
  put("b", 5);
  follow("from t where n = 5");
  told();
  replica.erase("t:a");
  ASSERT_TRUE(replica.documents->collect({**replica.store->tombstone("t:a")}));
  follow("from t where n = 5", token);
  EXPECT_EQ(told(), (Strings{"reset", "enter b", "complete"}));
}

TEST_F(Live, AResumeBeginsAnewInAnotherStore) {
  start();
  put("a", 5);
  follow("from t where n = 5");
  told();
  live.reset();
  node.reset();
  replica.settle();
  replica.crash();  // what was told may have been lost here
  replica.start();
  start();
  follow("from t where n = 5", token);
  EXPECT_EQ(told(), (Strings{"reset", "enter a", "complete"}));
}

TEST_F(Live, HasLimits) {
  limits.query_live = 2;
  limits.query_live_matches = 3;
  start();
  for (int i = 0; i < 3; ++i) put("d" + std::to_string(i), 5);
  follow("from t where n = 5");
  told();
  put("d3", 5);
  EXPECT_EQ(told(), Strings{"ended: limit_exceeded"});
  const auto second = node->live().begin(Query::all("t"), "");
  ASSERT_TRUE(second);
  EXPECT_EQ(node->live().begin(Query::all("t"), "").error().code, Code::limit_exceeded);
  live.reset();
  EXPECT_TRUE(node->live().begin(Query::all("t"), ""));
}

TEST_F(Live, AnOrderALimitAndAForeignTokenAreRefused) {
  start();
  for (const auto* text : {"from t order by n", "from t limit 5", "from t offset 2"}) {
    EXPECT_EQ(node->live().begin(*Query::parse(text), "").error().code, Code::invalid_argument);
  }
  follow("from t");
  told();
  EXPECT_EQ(node->live().begin(*Query::parse("from t where n = 1"), token).error().code,
            Code::invalid_argument);
  EXPECT_EQ(node->live().begin(Query::all("t"), "x").error().code, Code::invalid_argument);
}

}  // namespace
}  // namespace peat::node
