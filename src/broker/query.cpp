// Queries over HTTP. One answer is one page.
#include <fmt/format.h>

#include <array>

#include "broker/json_text.hpp"
#include "broker/routes.hpp"
#include "query/run.hpp"

namespace peat::broker {

namespace {

constexpr std::uint64_t kDefaultRows = 1000;

enum class Show : std::uint8_t { documents, ids };

class QueryAnswer final : public BodySource {
 public:
  QueryAnswer(query::Run run, std::string collection, Show show)
      : run_(std::move(run)), collection_(std::move(collection)), show_(show) {}

  void on_ready(std::function<void()>) override {}  // there is always more or an end

  State pull(std::string& out) override {
    if (!begun_) {
      out += R"({"collection":)";
      append_json_string(out, collection_);
      out += show_ == Show::ids ? R"(,"ids":[)" : R"(,"documents":[)";
      begun_ = true;
    }
    std::vector<query::Row> rows;
    const auto state = run_.step(rows);
    for (const auto& row : rows) append_row(out, row);
    if (state && *state == query::Run::State::more) return State::more;
    finish(out, state ? std::string_view() : state.error().message);
    return State::done;
  }

 private:
  void append_row(std::string& out, const query::Row& row) {
    if (count_++ > 0) out += ',';
    if (show_ == Show::ids) {
      append_json_string(out, row.id);
    } else {
      append_document(out, row.id, row.json);
    }
  }

  void finish(std::string& out, std::string_view error) const {
    out += fmt::format(R"(],"count":{},"examined":{})", count_, run_.examined());
    if (!run_.index().empty()) {
      out += R"(,"index":)";
      append_json_string(out, run_.index());
    }
    if (run_.next()) {
      out += R"(,"next":)";
      append_json_string(out, *run_.next());
    }
    if (run_.unreadable_count() > 0) {
      out += fmt::format(R"(,"unreadable_count":{},"unreadable":)", run_.unreadable_count());
      JsonObject named(out);
      for (const auto& [id, reason] : run_.unreadable()) named.text(id, reason);
      named.close();
    }
    if (!error.empty()) {
      out += R"(,"error":)";
      append_json_string(out, error);
    }
    out += '}';
  }

  query::Run run_;
  const std::string collection_;
  const Show show_;
  bool begun_ = false;
  std::uint64_t count_ = 0;
};

class LiveAnswer final : public BodySource {
 public:
  LiveAnswer(node::EventLog& log, std::unique_ptr<node::LiveQuery> live)
      : log_(log), live_(std::move(live)) {}
  ~LiveAnswer() override {
    if (subscription_ != 0) log_.off_event(subscription_);
  }
  LiveAnswer(const LiveAnswer&) = delete;
  LiveAnswer& operator=(const LiveAnswer&) = delete;

  void on_ready(std::function<void()> wake) override {
    subscription_ = log_.on_event(std::move(wake));
  }
  bool endless() const override { return true; }

  State pull(std::string& out) override {
    std::vector<node::LiveLine> lines;
    const auto state = live_->step(lines);
    for (const auto& line : lines) append_line(out, line);
    if (state) return *state == node::LiveQuery::State::more ? State::more : State::waiting;
    JsonObject object(out);
    object.text("type", "error");
    object.text("code", info(state.error().code).name);
    object.text("error", state.error().message);
    object.close();
    out += '\n';
    return State::done;
  }

 private:
  static void append_line(std::string& out, const node::LiveLine& line) {
    constexpr std::array<std::string_view, 5> kTypes = {"reset", "enter", "update", "leave",
                                                        "complete"};
    JsonObject object(out);
    object.text("type", kTypes[static_cast<std::size_t>(line.kind)]);
    if (line.kind == node::LiveLine::Kind::leave) object.text("id", line.id);
    if (!line.json.empty()) {
      object.member("document");
      append_document(out, line.id, line.json);
    }
    if (!line.resume.empty()) object.text("resume", line.resume);
    object.close();
    out += '\n';
  }

  node::EventLog& log_;
  std::unique_ptr<node::LiveQuery> live_;
  std::uint64_t subscription_ = 0;
};

void answer_live(Call& call, const Query& query) {
  auto live = call.node.live().begin(query, call.target.value("resume").value_or(""));
  if (!live) return call.respond(problem(live.error()));
  Response response;
  response.content_type = "application/x-ndjson";
  response.stream = std::make_unique<LiveAnswer>(call.node.events(), std::move(*live));
  call.respond(std::move(response));
}

void answer(Call& call, const Query& query) {
  if (call.target.value("live") == "1") return answer_live(call, query);
  const auto show = call.target.value("show").value_or("documents");
  if (show != "documents" && show != "ids") {
    return call.respond(
        problem(Code::invalid_argument, fmt::format("show={} is none of documents, ids", show)));
  }
  auto run = query::Run::begin(query, call.node.queries(), call.target.value("page").value_or(""),
                               kDefaultRows);
  if (!run) return call.respond(problem(run.error()));
  Response response;
  response.stream = std::make_unique<QueryAnswer>(std::move(*run), query.collection(),
                                                  show == "ids" ? Show::ids : Show::documents);
  call.respond(std::move(response));
}

}  // namespace

void get_query(Call call) {
  const auto text = call.target.value("q");
  if (!text) {
    return call.respond(problem(Code::invalid_argument,
                                "there is no query; give one as ?q=from%20trucks, or as JSON with "
                                "POST"));
  }
  const auto query = Query::parse(*text);
  if (!query) return call.respond(problem(query.error()));
  answer(call, *query);
}

void post_query(Call call) {
  const auto query = Query::parse_json(call.request.body);
  if (!query) return call.respond(problem(query.error()));
  answer(call, *query);
}

}  // namespace peat::broker
