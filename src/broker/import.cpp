#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <deque>

#include "broker/json_text.hpp"
#include "broker/routes.hpp"

namespace peat::broker {

namespace {

// Writes that may be under way at once: enough to fill a group commit, little to hold.
constexpr std::size_t kOutstanding = 1024;
// A quarter of store_pending_bytes, beyond which writes are refused: others find room as well.
constexpr std::size_t kOutstandingBytes = 16U << 20;
constexpr std::size_t kLinesPerPull = 64;
constexpr std::size_t kBytesPerPull = 64U << 10;

// Lives as long as a write is under way, which may be longer than the client stays.
struct Progress {
  std::deque<std::string> results;  // "" while under way; in the order of the lines
  std::uint64_t first = 0;          // index of results.front()
  std::size_t bytes = 0;            // of the lines under way
  std::function<void()> wake;

  void set(std::uint64_t index, std::string line) {
    results[index - first] = std::move(line);
    if (index == first && wake) wake();
  }
};

std::string success_line(std::uint64_t line, std::string_view id, const sync::WriteResult& result) {
  std::string out;
  JsonObject object(out);
  object.number("line", line);
  object.text("id", id);
  object.number("status", result.created ? 201 : 200);
  object.boolean("changed", result.changed);
  object.text("etag", etag_of(result.heads));
  object.close();
  return out + '\n';
}

std::string failure_line(std::uint64_t line, std::string_view id, const Error& error) {
  std::string out;
  JsonObject object(out);
  object.number("line", line);
  if (!id.empty()) object.text("id", id);
  object.number("status", static_cast<std::uint64_t>(info(error.code).http_status));
  object.text("error", error.message);
  object.text("code", info(error.code).name);
  object.close();
  return out + '\n';
}

struct Record {
  std::string id;
  std::string json;
};

// The id is the member `field`, a text or a number. `_id`, which listings add, is not stored.
Result<Record> parse_record(std::string_view line, const std::string& field,
                            std::uint64_t max_depth) {
  boost::json::parse_options options;
  options.max_depth = max_depth;
  boost::system::error_code error;
  auto value = boost::json::parse(line, error, {}, options);
  if (error || !value.is_object()) {
    return fail(Code::malformed, fmt::format("no JSON object of at most {} levels{}", max_depth,
                                             error ? ": " + error.message() : std::string()));
  }
  auto& object = value.get_object();
  const auto* member = object.if_contains(field);
  Record record;
  if (member != nullptr && member->is_string()) {
    record.id = std::string_view(member->get_string());
  } else if (member != nullptr && member->is_number()) {
    record.id = boost::json::serialize(*member);
  }
  if (record.id.empty()) {
    return fail(Code::invalid_argument,
                fmt::format("no text or number '{}' to name the document", field));
  }
  if (field == "_id") {
    object.stable_erase(field);
    record.json = boost::json::serialize(object);
  } else {
    record.json = line;
  }
  return record;
}

class Import final : public BodySource {
 public:
  Import(Call& call, std::string field)
      : node_(call.node),
        collection_(call.collection),
        field_(std::move(field)),
        max_depth_(call.limits.http_json_depth),
        body_(std::move(call.request.body)),
        progress_(std::make_shared<Progress>()) {}

  ~Import() override { progress_->wake = nullptr; }
  Import(const Import&) = delete;
  Import& operator=(const Import&) = delete;

  void on_ready(std::function<void()> wake) override { progress_->wake = std::move(wake); }

  State pull(std::string& out) override {
    const auto limit = out.size() + kBytesPerPull;
    for (std::size_t i = 0; i < kLinesPerPull; ++i) {
      if (at_ == body_.size() || full()) break;
      take_line();
    }
    auto& results = progress_->results;
    while (!results.empty() && !results.front().empty() && out.size() < limit) {
      out += results.front();
      results.pop_front();
      ++progress_->first;
    }
    const bool all_read = at_ == body_.size();
    if (results.empty()) return all_read ? State::done : State::more;
    const bool can_go_on = !results.front().empty() || (!all_read && !full());
    return can_go_on ? State::more : State::waiting;
  }

 private:
  bool full() const {
    return progress_->results.size() >= kOutstanding || progress_->bytes >= kOutstandingBytes;
  }

  void take_line() {
    const auto end = std::min(body_.find('\n', at_), body_.size());
    auto line = std::string_view(body_).substr(at_, end - at_);
    at_ = std::min(end + 1, body_.size());
    ++line_number_;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (line.empty()) return;

    const auto number = line_number_;
    const auto index = progress_->first + progress_->results.size();
    progress_->results.emplace_back();
    auto record = parse_record(line, field_, max_depth_);
    if (!record) return progress_->set(index, failure_line(number, {}, record.error()));
    const auto key = sync::document_key(collection_, record->id);
    if (!key) return progress_->set(index, failure_line(number, record->id, key.error()));
    const auto size = record->json.size();
    progress_->bytes += size;
    node_.put(*key, record->json, {},
              [progress = progress_, index, number, size,
               id = record->id](const Result<sync::WriteResult>& result) {
                progress->bytes -= size;
                progress->set(index, result ? success_line(number, id, *result)
                                            : failure_line(number, id, result.error()));
              });
  }

  node::NodeApi& node_;
  const std::string collection_;
  const std::string field_;
  const std::uint64_t max_depth_;
  const std::string body_;
  std::size_t at_ = 0;
  std::uint64_t line_number_ = 0;
  std::shared_ptr<Progress> progress_;
};

}  // namespace

void post_import(Call call) {
  const auto field = call.target.value("key");
  if (!field || field->empty()) {
    return call.respond(problem(Code::invalid_argument,
                                "POST needs ?key=FIELD: the member that names each document"));
  }
  if (const auto key = sync::document_key(call.collection, "x"); !key) {
    return call.respond(problem(key.error()));
  }
  Response response;
  response.content_type = "application/x-ndjson";
  response.stream = std::make_unique<Import>(call, *field);
  call.respond(std::move(response));
}

}  // namespace peat::broker
