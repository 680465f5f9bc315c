#include "broker/write_answer.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "broker/json_text.hpp"

namespace peat::broker {

namespace {

constexpr std::uint64_t kDeadlineMs = 10'000;
constexpr std::uint64_t kLongestMs = 3'600'000;

std::string names_of(const std::vector<EndpointId>& peers) {
  std::string out;
  for (const auto& peer : peers) out += (out.empty() ? "" : ", ") + peer.to_string();
  return out.empty() ? "nobody else" : out;
}

void append_ids(std::string& out, const std::vector<EndpointId>& peers) {
  JsonArray array(out);
  for (const auto& peer : peers) {
    array.element();
    append_json_string(out, peer.to_string());
  }
  array.close();
}

Result<std::optional<sync::WaitFor>> parse_wanted(std::string_view text) {
  constexpr std::string_view kPeer = "peer:";
  if (text == "quorum") return std::optional<sync::WaitFor>();
  sync::WaitFor wanted;
  if (text.starts_with(kPeer)) {
    PEAT_TRY(wanted.peer, EndpointId::parse(text.substr(kPeer.size())));
    return std::optional(wanted);
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), wanted.peers);
  if (error != std::errc() || end != text.data() + text.size() || wanted.peers == 0) {
    return fail(Code::invalid_argument,
                fmt::format("wait={}: a number of peers, quorum or peer:ENDPOINT_ID", text));
  }
  return std::optional(wanted);
}

}  // namespace

Result<std::optional<WaitQuery>> wait_in_query(const Target& target) {
  const auto text = target.value("wait");
  if (!text) return std::optional<WaitQuery>();
  WaitQuery query;
  PEAT_TRY(query.wanted, parse_wanted(*text));
  PEAT_TRY(const auto ms, number_in_query(target, "deadline_ms", kDeadlineMs));
  if (ms > kLongestMs) {
    return fail(Code::invalid_argument, fmt::format("deadline_ms={}: at most {}", ms, kLongestMs));
  }
  query.deadline = std::chrono::milliseconds(ms);
  return std::optional(query);
}

WriteAnswer::WriteAnswer(Call& call, bool awaits_holders)
    : respond_(std::move(call.respond)),
      collection_(call.collection),
      id_(call.id),
      awaits_holders_(awaits_holders) {}

node::NodeApi::WriteDone WriteAnswer::on_written() {
  return [self = shared_from_this()](Result<sync::WriteResult> written) {
    self->written_ = std::move(written);
    self->answer_if_complete();
  };
}

sync::WriteWaits::Done WriteAnswer::on_held() {
  return [self = shared_from_this()](Result<sync::Holders> held) {
    self->held_ = std::move(held);
    self->answer_if_complete();
  };
}

void WriteAnswer::answer_if_complete() {
  if (!respond_ || !written_) return;
  if (!*written_) return std::exchange(respond_, nullptr)(problem(written_->error()));
  if (awaits_holders_ && !held_) return;
  if (held_ && !*held_) return std::exchange(respond_, nullptr)(problem(held_->error()));
  if (held_ && !(*held_)->enough) {
    return std::exchange(respond_, nullptr)(problem(
        Code::timeout, fmt::format("{}/{} is written here; before the deadline it was held by {}",
                                   collection_, id_, names_of((*held_)->peers))));
  }
  const auto& result = **written_;
  Response response;
  response.status = result.created ? 201 : 200;
  response.headers.emplace_back("ETag", etag_of(result.heads));
  JsonObject object(response.body);
  object.text("collection", collection_);
  object.text("id", id_);
  object.boolean("created", result.created);
  object.boolean("changed", result.changed);
  object.member("heads");
  append_heads(response.body, result.heads);
  if (held_) {
    object.member("held_by");
    append_ids(response.body, (*held_)->peers);
  }
  object.close();
  std::exchange(respond_, nullptr)(std::move(response));
}

}  // namespace peat::broker
