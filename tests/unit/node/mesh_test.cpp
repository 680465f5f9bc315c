// peat::Mesh: a node inside a program, used from any thread.
#include "peat/mesh.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include "node/backup.hpp"

namespace peat {
namespace {

class MeshTest : public testing::Test {
 protected:
  MeshTest() {
    std::string name = (std::filesystem::temp_directory_path() / "peat-mesh-XXXXXX").string();
    directory_ = mkdtemp(name.data());
  }
  ~MeshTest() override { std::filesystem::remove_all(directory_); }

  Mesh open(const std::string& name) {
    auto mesh = Mesh::open({.node_id = name,
                            .data_dir = directory_ / name,
                            .bind = "127.0.0.1:0",
                            .formation_secret = "x3hEJ0Jw2mVt0qk8bqk5Yw3Qn0c6dX1Zr7sV9uLp4aE="});
    if (!mesh) throw std::runtime_error(mesh.error().message);
    return std::move(*mesh);
  }

  std::filesystem::path directory_;
};

// Collects the changes that a watch tells and waits for as many as asked.
class Told {
 public:
  void operator()(const Change& change) {
    const std::lock_guard lock(mutex_);
    changes_.push_back(change);
    more_.notify_all();
  }
  std::vector<Change> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    more_.wait_for(lock, std::chrono::seconds(20), [&] { return changes_.size() >= count; });
    return changes_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable more_;
  std::vector<Change> changes_;
};

TEST_F(MeshTest, DocumentsAreWrittenReadListedAndErased) {
  auto mesh = open("a");
  const auto created = mesh.put("t", "x", R"({"n":1,"m":2})");
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_TRUE(created->created);
  ASSERT_TRUE(mesh.update("t", "x", R"({"n":5})"));
  const auto document = mesh.get("t", "x");
  ASSERT_TRUE(document && *document);
  EXPECT_EQ((*document)->json, R"({"m":2,"n":5})");
  EXPECT_EQ(mesh.put("t", "x", R"({"n":5,"m":2})")->changed, false);
  ASSERT_TRUE(mesh.put("t", "y", "{}"));
  const auto page = mesh.list("t", {.limit = 1});
  ASSERT_TRUE(page);
  EXPECT_EQ(page->documents.size(), 1U);
  EXPECT_TRUE(page->more);
  EXPECT_EQ(page->total, 2U);
  ASSERT_TRUE(mesh.erase("t", "x"));
  EXPECT_FALSE((*mesh.get("t", "x")).has_value());
  EXPECT_EQ(mesh.erase("t", "x").error().code, Code::not_found);
}

TEST_F(MeshTest, AQueryFindsPageByPage) {
  auto mesh = open("a");
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(mesh.put("t", "d" + std::to_string(i), R"({"n":)" + std::to_string(i) + "}"));
  }
  const auto query = Query::parse("from t where n >= 90 order by n desc limit 6");
  ASSERT_TRUE(query);
  const auto first = mesh.query(*query);
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_EQ(first->documents.size(), 6U);
  EXPECT_EQ(first->documents[0].id, "d99");
  EXPECT_EQ(first->documents[0].json, R"({"n":99})");
  const auto second = mesh.query(*query, first->next);
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_EQ(second->documents.size(), 4U);
  EXPECT_EQ(second->documents.back().id, "d90");
  EXPECT_EQ(second->next, "");
  EXPECT_EQ(mesh.query(Query::all("t"), first->next).error().code, Code::invalid_argument);
}

TEST_F(MeshTest, AConditionProtectsFromAnEditInBetween) {
  auto mesh = open("a");
  const auto first = mesh.put("t", "x", R"({"n":1})", {.if_absent = true});
  ASSERT_TRUE(first);
  EXPECT_EQ(mesh.put("t", "x", "{}", {.if_absent = true}).error().code, Code::precondition_failed);
  ASSERT_TRUE(mesh.put("t", "x", R"({"n":2})", {.if_heads = first->heads}));
  EXPECT_EQ(mesh.update("t", "x", R"({"n":3})", {.if_heads = first->heads}).error().code,
            Code::precondition_failed);
}

TEST_F(MeshTest, AWatchTellsWhatHappensAndWhoDidIt) {
  auto a = open("a");
  auto b = open("b");
  Told told;
  auto watch = a.watch({.collection = "t"}, std::ref(told));
  ASSERT_TRUE(watch) << watch.error().message;
  ASSERT_TRUE(a.put("u", "ignored", "{}"));
  ASSERT_TRUE(a.put("t", "x", R"({"n":1})"));
  const auto status = a.status();
  ASSERT_TRUE(b.connect(status->endpoint_id, status->bind));
  ASSERT_TRUE(b.put("t", "y", R"({"n":2})"));
  const auto changes = told.wait_for(2);
  ASSERT_EQ(changes.size(), 2U);
  EXPECT_EQ(changes[0].kind, Change::Kind::insert);
  EXPECT_EQ(changes[0].id, "x");
  EXPECT_EQ(changes[1].kind, Change::Kind::merge);
  EXPECT_EQ(changes[1].origin, b.status()->endpoint_id);
}

TEST_F(MeshTest, EditsMadeApartAreShownWithTheirMakersAndSettled) {
  auto a = open("a");
  auto b = open("b");
  ASSERT_TRUE(a.put("t", "x", R"({"n":1})"));
  ASSERT_TRUE(b.put("t", "x", R"({"n":2})"));
  Told told;
  auto watch = a.watch({.after = 0}, std::ref(told));
  const auto status = a.status();
  ASSERT_TRUE(b.connect(status->endpoint_id, status->bind));
  ASSERT_EQ(told.wait_for(2).size(), 2U) << "b's came";
  const auto found = a.conflicts("t", "x");
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 1U);
  const auto& conflict = found->front();
  EXPECT_EQ(conflict.path, R"(["n"])");
  ASSERT_EQ(conflict.others.size(), 1U);
  EXPECT_NE(conflict.others[0].actor, conflict.winner.actor);
  EXPECT_GT(conflict.winner.time, 1'600'000'000);
  const auto lost = conflict.others[0].json;
  const auto settlement = R"([{"path":["n"],"value":)" + lost + "}]";
  ASSERT_TRUE(a.settle("t", "x", settlement));
  EXPECT_EQ((*a.get("t", "x"))->json, R"({"n":)" + lost + "}");
  EXPECT_TRUE(a.conflicts("t", "x")->empty());
  EXPECT_TRUE(a.conflicts("t", "none")->empty());
  EXPECT_EQ(a.settle("t", "x", settlement).error().code, Code::precondition_failed);
}

TEST_F(MeshTest, OperatorsQuestionsAreAnsweredInTheProgram) {
  auto a = open("a");
  const auto nobody = EndpointId{};
  ASSERT_TRUE(a.put("t", "x", R"({"n":1})"));
  ASSERT_TRUE(a.connect(nobody, "127.0.0.1:9"));
  const auto lag = a.lag();
  ASSERT_TRUE(lag) << lag.error().message;
  ASSERT_EQ(lag->size(), 1U);
  EXPECT_EQ(lag->front().total.documents, 1U);
  EXPECT_EQ(lag->front().collections.at(0).collection, "t");
  const auto why = a.explain("t", "x", nobody);
  ASSERT_TRUE(why);
  EXPECT_TRUE(why->verdict.starts_with("waits: the peer is not connected")) << why->verdict;
  EXPECT_TRUE(std::ranges::any_of(why->findings, &MeshExplanation::Finding::blocks));
  EXPECT_TRUE(a.quarantined()->empty());
  EXPECT_EQ(a.retry_quarantined("t", "x").error().code, Code::not_found);
  EXPECT_EQ(a.drop_quarantined("t", "x").error().code, Code::not_found);

  const auto file = directory_ / "a.backup";
  ASSERT_TRUE(a.backup(file));
  EXPECT_EQ(a.backup(file).error().code, Code::io_error) << "there is one already";
  ASSERT_TRUE(a.put("t", "y", "{}"));
  const auto sizes = a.compact();
  ASSERT_TRUE(sizes) << sizes.error().message;
  EXPECT_LE(sizes->second, sizes->first);
  EXPECT_TRUE((*a.get("t", "y")).has_value());
  ASSERT_TRUE(node::restore(file, directory_ / "b"));
  EXPECT_EQ(node::restore(file, directory_ / "b").error().code, Code::invalid_argument);
  EXPECT_EQ(node::restore(file, directory_ / "a").error().code, Code::store_in_use);
  auto b = open("b");
  EXPECT_TRUE((*b.get("t", "x")).has_value());
  EXPECT_FALSE((*b.get("t", "y")).has_value()) << "written after the backup";
}

TEST_F(MeshTest, ACancelledWatchIsSilent) {
  auto mesh = open("a");
  std::atomic<int> calls = 0;
  {
    auto watch = mesh.watch({}, [&](const Change&) { ++calls; });
    ASSERT_TRUE(mesh.put("t", "x", "{}"));
    while (calls == 0) std::this_thread::yield();
  }
  ASSERT_TRUE(mesh.put("t", "y", "{}"));
  ASSERT_TRUE(mesh.put("t", "z", "{}"));
  EXPECT_EQ(calls, 1);
}

TEST_F(MeshTest, ACallFromACallbackIsRefusedInsteadOfHanging) {
  auto mesh = open("a");
  std::promise<Code> code;
  auto watch = mesh.watch({}, [&](const Change&) {
    const auto result = mesh.get("t", "x");
    code.set_value(result ? Code::internal : result.error().code);
  });
  ASSERT_TRUE(mesh.put("t", "x", "{}"));
  EXPECT_EQ(code.get_future().get(), Code::invalid_argument);
}

TEST_F(MeshTest, ManyThreadsWriteAtOnce) {
  auto mesh = open("a");
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&mesh, writer] {
      for (int i = 0; i < 25; ++i) {
        EXPECT_TRUE(mesh.put("t", std::to_string(writer * 100 + i), R"({"n":1})"));
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(mesh.list("t")->total, 100U);
}

TEST_F(MeshTest, WhatWasWrittenIsThereAfterReopening) {
  {
    auto mesh = open("a");
    ASSERT_TRUE(mesh.put("t", "x", R"({"n":1})"));
    ASSERT_TRUE(mesh.close());
    EXPECT_EQ(mesh.get("t", "x").error().code, Code::shut_down);
    EXPECT_TRUE(mesh.close());
  }
  auto again = open("a");
  EXPECT_EQ((*again.get("t", "x"))->json, R"({"n":1})");
}

TEST_F(MeshTest, AConfigurationThatCannotWorkIsRefusedByName) {
  EXPECT_EQ(Mesh::open({}).error().code, Code::missing_setting);
  const auto nowhere = Mesh::open({.data_dir = directory_ / "a", .bind = "nowhere"});
  ASSERT_FALSE(nowhere);
  EXPECT_NE(nowhere.error().message.find("MeshConfig::bind"), std::string::npos);
  const auto secretless = Mesh::open({.data_dir = directory_ / "a", .bind = "127.0.0.1:0"});
  EXPECT_EQ(secretless.error().code, Code::missing_setting);
  EXPECT_FALSE(Mesh::open({.data_dir = directory_ / "a"}).has_value());
}

}  // namespace
}  // namespace peat
