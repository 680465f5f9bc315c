// What requests mean, without sockets.
#include "broker/router.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "broker/json_text.hpp"
#include "fake_node.hpp"

namespace peat::broker {
namespace {

class RouterTest : public testing::Test {
 protected:
  RouterTest() : router_(node_, limits()) { router_.set_local_address("127.0.0.1:8081"); }

  static Limits limits() {
    Limits limits;
    limits.http_json_depth = 4;
    limits.http_page_documents = 50;
    return limits;
  }
  static Request request(std::string method, std::string target, std::string body = {}) {
    Request request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.host = "localhost:8081";
    request.content_type = "application/json";
    request.body = std::move(body);
    return request;
  }
  Response send(Request request) {
    std::optional<Response> answer;
    router_.handle(std::move(request), [&](Response response) { answer = std::move(response); });
    if (!answer) throw std::runtime_error("no answer yet");
    auto state = answer->stream ? BodySource::State::more : BodySource::State::done;
    while (state == BodySource::State::more) state = answer->stream->pull(answer->body);
    return std::move(*answer);
  }
  static std::string header(const Response& response, std::string_view name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return {};
  }

  FakeNode node_;
  Router router_;
};

TEST_F(RouterTest, ConflictsAreShownWithPathsAsArraysAndSettledByPatch) {
  node_.documents["t:x"] = R"({"pos":[1]})";
  const auto shown = send(request("GET", "/api/v1/documents/t/x?conflicts=1"));
  EXPECT_EQ(shown.status, 200);
  EXPECT_EQ(header(shown, "ETag"), etag_of(FakeNode::heads_of(node_.documents["t:x"])));
  EXPECT_EQ(shown.body,
            R"({"collection":"t","id":"x","document":{"pos":[1]},"conflicts":[{"path":["pos",0],)"
            R"("winner":{"actor":"","time":20,"change":")" +
                std::string(64, '0') + R"("},"others":[{"value":"lost","actor":"","time":10,)" +
                R"("change":")" + std::string(64, '0') + R"("}]}]})");
  EXPECT_EQ(send(request("GET", "/api/v1/documents/t/none?conflicts=1")).status, 404);
  node_.documents["t:soft"] = "deleted";
  EXPECT_EQ(send(request("GET", "/api/v1/documents/t/soft?conflicts=1")).status, 404);
  EXPECT_EQ(send(request("GET", "/api/v1/documents/t/soft?conflicts=1&deleted=1")).status, 200);
  const std::string settlements = R"([{"path":["pos",0],"value":1}])";
  EXPECT_EQ(send(request("PATCH", "/api/v1/documents/t/x?conflicts=1", settlements)).status, 200);
  EXPECT_EQ(node_.documents["t:x"], "settled " + settlements);
}

TEST_F(RouterTest, OperatorsAreToldOfLagReasonsAndWhatIsSetAside) {
  node::PeerInfo peer;
  peer.circuit = "open";
  node_.peer_list.push_back(peer);
  const auto id = peer.id.to_string();
  const auto lag = send(request("GET", "/api/v1/sync"));
  EXPECT_EQ(lag.body, R"({"last_seq":0,"peers":[{"id":")" + id +
                          R"(","connected":false,"dialect":"","circuit":"open","position":7,)" +
                          R"("documents_behind":2,"bytes_behind":300,"oldest_ms":1500,)" +
                          R"("collections":[{"collection":"t","documents_behind":2,)" +
                          R"("bytes_behind":300,"oldest_ms":1500}]}]})");
  const auto why = send(request("GET", "/api/v1/explain/documents/t/x?peer=" + id));
  EXPECT_EQ(why.body, R"({"collection":"t","id":"x","peer":")" + id +
                          R"(","verdict":"because","findings":[{"about":"here","kind":"blocks",)" +
                          R"("text":"t:x"}]})");
  EXPECT_EQ(send(request("GET", "/api/v1/explain/documents/t/x")).status, 400);
  EXPECT_EQ(send(request("GET", "/api/v1/explain/peers/" + id)).status, 200);
  EXPECT_EQ(send(request("GET", "/api/v1/explain/peers/nobody")).status, 400);

  sync::Quarantined entry;
  entry.key = "t:x/y";
  entry.reason = "bad";
  node_.set_aside.push_back(entry);
  const auto list = send(request("GET", "/api/v1/quarantine"));
  EXPECT_NE(list.body.find(R"("collection":"t","id":"x/y","kind":"unreadable")"),
            std::string::npos);
  EXPECT_EQ(send(request("GET", "/api/v1/quarantine/t/x%2Fy")).status, 200);
  EXPECT_EQ(send(request("POST", "/api/v1/quarantine/t/x%2Fy", "{}")).status, 200);
  EXPECT_EQ(send(request("GET", "/api/v1/quarantine/t/x%2Fy")).status, 404);
  EXPECT_EQ(send(request("DELETE", "/api/v1/quarantine/t/x%2Fy")).status, 404);
  EXPECT_EQ(send(request("GET", "/api/v1/backup")).status, 507);
  EXPECT_EQ(send(request("POST", "/api/v1/store/compact", "{}")).body,
            R"({"bytes_before":20,"bytes_after":10})");
}

TEST_F(RouterTest, WhoMayOnlyReadTakesNoBackupAndDropsNothing) {
  SeededRandom random(1);
  const auto writer = make_token("writer", Scope::write, 0, random).value();
  router_.set_access(Access::parse(writer.entry.to_line()).value(), [] { return WallTime{1}; });
  const auto status = [&](std::string method, std::string target) {
    auto r = request(std::move(method), std::move(target), "{}");
    r.authorization = "Bearer " + writer.text;
    return send(std::move(r)).status;
  };
  EXPECT_EQ(status("GET", "/api/v1/quarantine"), 200);
  EXPECT_EQ(status("GET", "/api/v1/backup"), 403);
  EXPECT_EQ(status("POST", "/api/v1/store/compact"), 403);
  EXPECT_EQ(status("DELETE", "/api/v1/quarantine/t/x"), 403);
}

// D-57: in the reference whoever reaches the port may do everything.
TEST_F(RouterTest, D57WithTokensEveryRequestNeedsOneForWhatItDoes) {
  SeededRandom random(1);
  const auto reader = make_token("reader", Scope::read, 0, random).value();
  const auto writer = make_token("writer", Scope::write, 0, random).value();
  router_.set_access(Access::parse(reader.entry.to_line() + "\n" + writer.entry.to_line()).value(),
                     [] { return WallTime{1}; });
  const auto status = [&](std::string method, std::string target, std::string token) {
    auto r = request(std::move(method), std::move(target), "{}");
    r.host = "depot.example";  // a token's holder may call it what they like
    if (!token.empty()) r.authorization = "Bearer " + token;
    return send(std::move(r)).status;
  };
  EXPECT_EQ(status("GET", "/api/v1/health", ""), 200);
  EXPECT_EQ(status("GET", "/api/v1/status", ""), 401);
  EXPECT_EQ(status("GET", "/metrics", ""), 401);
  EXPECT_EQ(status("GET", "/api/v1/status", reader.text), 200);
  EXPECT_EQ(status("GET", "/api/v1/members", reader.text), 200);
  EXPECT_EQ(status("GET", "/api/v1/access", reader.text), 200);
  EXPECT_EQ(status("GET", "/api/v1/store", reader.text), 200);
  EXPECT_EQ(status("POST", "/api/v1/store/reseal", writer.text), 403);
  EXPECT_EQ(status("PUT", "/api/v1/documents/t/x", reader.text), 403);
  EXPECT_EQ(status("PUT", "/api/v1/documents/t/x", writer.text), 201);
  EXPECT_EQ(status("DELETE", "/api/v1/peers/" + std::string(64, 'a'), writer.text), 403);
  auto without = request("GET", "/api/v1/status");
  EXPECT_EQ(header(send(without), "WWW-Authenticate"), "Bearer");
}

TEST_F(RouterTest, AWriteIsAnsweredAfterItsCommitAndNotBefore) {
  node_.hold_commits = true;
  std::optional<Response> answer;
  router_.handle(request("PUT", "/api/v1/documents/t/x", "{}"),
                 [&](Response response) { answer = std::move(response); });
  EXPECT_FALSE(answer);
  node_.run_commits();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 201);
}

TEST_F(RouterTest, AFailedCommitIsTheAnswer) {
  node_.write_error = Error{Code::store_full, "the disk is full"};
  const auto answer = send(request("PUT", "/api/v1/documents/t/x", "{}"));
  EXPECT_EQ(answer.status, 507);
  EXPECT_NE(answer.body.find(R"("code":"store_full")"), std::string::npos);
}

TEST_F(RouterTest, OnlyOurHostAndOriginPass) {
  for (const auto* host : {"localhost:8081", "127.0.0.1:8081", "[::1]:8081", "LOCALHOST:8081"}) {
    auto ours = request("GET", "/api/v1/health");
    ours.host = host;
    EXPECT_EQ(send(ours).status, 200) << host;
    ours.origin = "http://localhost:8081";
    EXPECT_EQ(send(ours).status, 200);
  }
  for (const auto* host :
       {"", "localhost", "evil.example:8081", "localhost:8082", "127.0.0.1.evil.example:8081"}) {
    auto foreign = request("GET", "/api/v1/health");
    foreign.host = host;
    EXPECT_EQ(send(foreign).status, 403) << host;
  }
  for (const auto* origin : {"null", "", "http://evil.example", "https://localhost:8081",
                             "http://localhost:8081.evil.example"}) {
    auto foreign = request("GET", "/api/v1/health");
    foreign.origin = origin;
    EXPECT_EQ(send(foreign).status, 403) << origin;
  }
}

TEST_F(RouterTest, AWriteNeedsItsMediaType) {
  for (const auto* type : {"", "text/plain", "application/x-www-form-urlencoded",
                           "multipart/form-data", "application/jsonx"}) {
    auto write = request("PUT", "/api/v1/documents/t/x", "{}");
    write.content_type = type;
    EXPECT_EQ(send(write).status, 415) << type;
  }
  auto write = request("PUT", "/api/v1/documents/t/x", "{}");
  write.content_type = "Application/JSON; charset=utf-8";
  EXPECT_EQ(send(write).status, 201);
}

TEST_F(RouterTest, UnknownPathsAre404AndOtherMethods405WithAllow) {
  for (const auto* path : {"/", "/api/v1/documents/", "/api/v1/health/", "/api/v1/nothing",
                           "/api/v1/documents/t/x/heads/more", "/api/v1/documents//x"}) {
    EXPECT_EQ(send(request("GET", path)).status, 404) << path;
  }
  const auto answer = send(request("POST", "/api/v1/documents/t/x", "{}"));
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(header(answer, "Allow"), "GET, HEAD, PUT, PATCH, DELETE");
  EXPECT_EQ(send(request("OPTIONS", "/api/v1/health")).status, 405);
}

TEST_F(RouterTest, JsonDeeperThanTheLimitIs400BeforeItIsBuilt) {
  EXPECT_EQ(send(request("PUT", "/api/v1/documents/t/x", R"({"a":[[{"b":"]]]]"}]]})")).status, 201);
  EXPECT_EQ(send(request("PUT", "/api/v1/documents/t/x", R"({"a":[[{"b":[]}]]})")).status, 400);
  EXPECT_EQ(send(request("POST", "/api/v1/peers", R"([[[[[]]]]])")).status, 400);
}

TEST_F(RouterTest, APageOverTheLimitIsRefused) {
  EXPECT_EQ(send(request("GET", "/api/v1/documents/t?limit=50")).status, 200);
  EXPECT_EQ(send(request("GET", "/api/v1/documents/t?limit=51")).status, 400);
  EXPECT_EQ(send(request("GET", "/api/v1/documents/t?limit=x")).status, 400);
}

TEST_F(RouterTest, AListingGoesOnPastADocumentThatCannotBeRead) {
  node_.documents = {{"t:a", R"({"_id":"own","n":1})"}, {"t:b", "quarantined"}, {"t:c", "{}"}};
  const auto answer = send(request("GET", "/api/v1/documents/t"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body,
            R"({"collection":"t","documents":[{"_id":"a","n":1},{"_id":"c"}],"count":2,"total":3,)"
            R"("unreadable":{"b":"unreadable"}})");
}

TEST_F(RouterTest, AnEmptyPageReadsNothing) {
  node_.documents = {{"t:a", "quarantined"}};
  EXPECT_EQ(send(request("GET", "/api/v1/documents/t?limit=0")).body,
            R"({"collection":"t","documents":[],"count":0,"total":1})");
}

TEST_F(RouterTest, AnImportAnswersInOrderAndHoldsABoundedNumberOfWrites) {
  node_.hold_commits = true;
  std::string body;
  for (int i = 0; i < 5000; ++i) body += R"({"k":")" + std::to_string(i) + "\"}\n";
  std::optional<Response> answer;
  auto post = request("POST", "/api/v1/documents/t?key=k", body);
  post.content_type = "application/x-ndjson";
  router_.handle(post, [&](Response response) { answer = std::move(response); });
  ASSERT_TRUE(answer && answer->stream);
  std::string out;
  std::size_t most = 0;
  auto state = BodySource::State::more;
  while (state != BodySource::State::done) {
    state = answer->stream->pull(out);
    most = std::max(most, node_.commits.size());
    if (state == BodySource::State::waiting) node_.run_commits();
  }
  EXPECT_EQ(std::ranges::count(out, '\n'), 5000);
  EXPECT_LE(most, 1024U);
  EXPECT_TRUE(out.starts_with(R"({"line":1,"id":"0","status":201)"));
}

TEST_F(RouterTest, AnImportOutlivedByItsWritesIsNoTrouble) {
  node_.hold_commits = true;
  auto post = request("POST", "/api/v1/documents/t?key=k", "{\"k\":\"a\"}\n");
  {
    std::optional<Response> answer;
    router_.handle(post, [&](Response response) { answer = std::move(response); });
    std::string out;
    EXPECT_EQ(answer->stream->pull(out), BodySource::State::waiting);
  }
  node_.run_commits();
  EXPECT_EQ(node_.documents.count("t:a"), 1U);
}

TEST_F(RouterTest, AnImportWaitsBeforeItFillsTheStore) {
  node_.hold_commits = true;
  std::string body;
  const std::string text(1U << 20, 'x');
  for (int i = 0; i < 40; ++i)
    body += R"({"k":)" + std::to_string(i) + R"(,"t":")" + text + "\"}\n";
  std::optional<Response> answer;
  auto post = request("POST", "/api/v1/documents/t?key=k", std::move(body));
  post.content_type = "application/x-ndjson";
  router_.handle(std::move(post), [&](Response response) { answer = std::move(response); });
  std::string out;
  std::size_t most = 0;
  auto state = BodySource::State::more;
  while (state != BodySource::State::done) {
    state = answer->stream->pull(out);
    most = std::max(most, node_.commits.size());
    if (state == BodySource::State::waiting) node_.run_commits();
  }
  EXPECT_EQ(std::ranges::count(out, '\n'), 40);
  EXPECT_EQ(out.find("error"), std::string::npos);
  EXPECT_EQ(most, 16U);  // the sixteenth is the one that goes over 16 MiB
}

TEST_F(RouterTest, APieceOfAListingIsBoundedByBytes) {
  for (int i = 10; i < 40; ++i) {
    node_.documents["t:" + std::to_string(i)] = R"({"t":")" + std::string(20000, 'x') + "\"}";
  }
  std::optional<Response> answer;
  router_.handle(request("GET", "/api/v1/documents/t"),
                 [&](Response response) { answer = std::move(response); });
  std::string all;
  auto state = BodySource::State::more;
  while (state == BodySource::State::more) {
    std::string piece;
    state = answer->stream->pull(piece);
    EXPECT_LT(piece.size(), (64U << 10) + 21000);
    all += piece;
  }
  EXPECT_NE(all.find(R"("count":30,"total":30)"), std::string::npos);
}

TEST_F(RouterTest, AListingReplacesTheIdOfTheTopLevelAloneAtAnyDepth) {
  std::string deep = R"({"_id":1})";
  for (int i = 0; i < 500; ++i) deep = R"({"n":[)" + deep + "]}";
  node_.documents = {{"t:a", deep},
                     {"t:b", R"({ "x,\"}":[1,{"_id":2}] , "_id" : {"_id":"},{"}, "_idx":3})"},
                     {"t:c", R"({"_id":1})"}};
  const auto answer = send(request("GET", "/api/v1/documents/t"));
  EXPECT_NE(answer.body.find(R"({"_id":"a",)" + deep.substr(1)), std::string::npos);
  EXPECT_NE(answer.body.find(R"({"_id":"b","x,\"}":[1,{"_id":2}] ,"_idx":3},{"_id":"c"}])"),
            std::string::npos)
      << answer.body.substr(deep.size());
}

TEST_F(RouterTest, UnreadinessIs503WithTheSameShape) {
  node_.ready = false;
  const auto answer = send(request("GET", "/api/v1/ready"));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body,
            R"({"ready":false,"node_id":"fake","checks":[{"name":"store","ready":false,)"
            R"("message":"why"}]})");
}

TEST_F(RouterTest, TargetsAreDecodedPerSegment) {
  const auto target = parse_target("/a/b%2Fc?x=1+2&y=%C3%BC&z");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, (std::vector<std::string>{"a", "b/c"}));
  EXPECT_EQ(target->value("x"), "1 2");
  EXPECT_EQ(target->value("y"), "ü");
  EXPECT_EQ(target->value("z"), "");
  EXPECT_FALSE(parse_target("/%zz"));
  EXPECT_FALSE(parse_target("/%2"));
  EXPECT_FALSE(parse_target("http://other/"));
}

TEST_F(RouterTest, TextThatIsNotUtf8StillMakesValidJson) {
  std::string out;
  append_json_string(out, "a\xff\"\n\x01\xc3\xbc");
  EXPECT_EQ(out, "\"a\xef\xbf\xbd\\\"\\n\\u0001\xc3\xbc\"");
}

}  // namespace
}  // namespace peat::broker
