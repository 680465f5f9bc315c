// Writes that wait for other nodes.
#include "broker/write_answer.hpp"

#include <gtest/gtest.h>

#include "fake_node.hpp"

namespace peat::broker {
namespace {

class WriteAnswerTest : public testing::Test {
 protected:
  WriteAnswerTest() : router_(node_, Limits{}) { router_.set_local_address("127.0.0.1:8081"); }

  std::optional<Response> put(std::string query) {
    Request request;
    request.method = "PUT";
    request.target = "/api/v1/documents/t/x" + query;
    request.host = "localhost:8081";
    request.content_type = "application/json";
    request.body = "{}";
    std::optional<Response> answer;
    router_.handle(std::move(request), [&](Response response) { answer = std::move(response); });
    return answer;
  }

  FakeNode node_;
  Router router_;
};

TEST_F(WriteAnswerTest, AWriteThatWaitsSaysWhoHoldsIt) {
  const auto answer = put("?wait=2");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 201);
  EXPECT_NE(answer->body.find("\"held_by\":[\"" + EndpointId{}.to_string()), std::string::npos);
  ASSERT_TRUE(node_.last_wait);
  EXPECT_EQ(node_.last_wait->peers, 2U);
  EXPECT_EQ(put("")->body.find("held_by"), std::string::npos);

  EndpointId peer;
  peer.bytes.fill(7);
  ASSERT_TRUE(put("?wait=peer:" + peer.to_string()));
  EXPECT_EQ(node_.last_wait->peer, peer);
  ASSERT_TRUE(put("?wait=quorum&deadline_ms=5"));
  EXPECT_FALSE(node_.last_wait);
}

TEST_F(WriteAnswerTest, TooFewHoldersAreATimeoutThatNamesThem) {
  node_.nobody_holds = true;
  const auto answer = put("?wait=2");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 504);
  EXPECT_NE(answer->body.find(EndpointId{}.to_string()), std::string::npos);
  EXPECT_TRUE(node_.documents.contains("t:x")) << "it stays written";
}

TEST_F(WriteAnswerTest, AWaitThatCannotBeMeantWritesNothing) {
  for (const auto* query : {"?wait=0", "?wait=two", "?wait=peer:x", "?wait=1&deadline_ms=x",
                            "?wait=1&deadline_ms=99999999999"}) {
    EXPECT_EQ(put(query)->status, 400) << query;
  }
  EXPECT_TRUE(node_.documents.empty());
}

TEST_F(WriteAnswerTest, AnAnswerNeedsTheCommitHereToo) {
  node_.hold_commits = true;
  std::optional<Response> answer;
  Request request;
  request.method = "PUT";
  request.target = "/api/v1/documents/t/x?wait=1";
  request.host = "localhost:8081";
  request.content_type = "application/json";
  request.body = "{}";
  router_.handle(std::move(request), [&](Response response) { answer = std::move(response); });
  EXPECT_FALSE(answer);
  node_.run_commits();
  EXPECT_TRUE(answer);
}

}  // namespace
}  // namespace peat::broker
