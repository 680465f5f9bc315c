// What operators ask: lag, explanations, quarantine, backups.
#include <fmt/format.h>

#include "broker/json_text.hpp"
#include "broker/routes.hpp"
#include "node/backup.hpp"

namespace peat::broker {

namespace {

// The members of a Lag, in an object that is open.
void append_lag(JsonObject& object, const sync::Lag& lag) {
  object.number("documents_behind", lag.documents);
  object.number("bytes_behind", lag.bytes);
  if (lag.oldest_ms) {
    object.number("oldest_ms", *lag.oldest_ms);
  } else {
    object.null("oldest_ms");
  }
}

void append_sync(std::string& out, const node::PeerSync& sync) {
  JsonObject object(out);
  object.text("id", sync.peer.id.to_string());
  object.boolean("connected", sync.peer.connected);
  object.text("dialect", sync.peer.dialect);
  object.text("circuit", sync.peer.circuit);
  object.number("position", sync.lag.position);
  append_lag(object, sync.lag.total);
  object.member("collections");
  JsonArray array(out);
  for (const auto& [name, lag] : sync.lag.collections) {
    array.element();
    JsonObject entry(out);
    entry.text("collection", name);
    append_lag(entry, lag);
    entry.close();
  }
  array.close();
  object.close();
}

std::string_view text_of(node::Finding::Kind kind) {
  switch (kind) {
    case node::Finding::Kind::fine:
      return "fine";
    case node::Finding::Kind::blocks:
      return "blocks";
    case node::Finding::Kind::note:
      break;
  }
  return "note";
}

void append_explanation(JsonObject& object, std::string& out,
                        const node::Explanation& explanation) {
  object.text("verdict", explanation.verdict);
  object.member("findings");
  JsonArray array(out);
  for (const auto& finding : explanation.findings) {
    array.element();
    JsonObject entry(out);
    entry.text("about", finding.about);
    entry.text("kind", text_of(finding.kind));
    entry.text("text", finding.text);
    entry.close();
  }
  array.close();
}

void append_quarantined(std::string& out, const sync::Quarantined& entry) {
  const auto parts = sync::split_key(entry.key);
  JsonObject object(out);
  object.text("collection", parts ? parts->collection : std::string_view());
  object.text("id", parts ? parts->id : std::string_view(entry.key));
  object.text("kind", sync::name(entry.kind));
  object.text("code", info(entry.code).name);
  object.text("reason", entry.reason);
  if (entry.peer) {
    object.text("peer", entry.peer->to_string());
  } else {
    object.null("peer");
  }
  object.integer("first_ms", entry.first_ms);
  object.integer("last_ms", entry.last_ms);
  object.number("count", entry.count);
  object.close();
}

void append_listed(JsonObject& object, std::string& out,
                   const std::vector<sync::Quarantined>& list) {
  object.member("documents");
  JsonArray array(out);
  for (const auto& entry : list) {
    array.element();
    append_quarantined(out, entry);
  }
  array.close();
  object.number("count", list.size());
}

std::vector<sync::Quarantined> listed(const node::NodeApi& node, std::string_view key) {
  auto list = node.quarantined();
  std::erase_if(list, [key](const auto& entry) { return entry.key != key; });
  return list;
}

class BackupStream final : public BodySource {
 public:
  explicit BackupStream(std::unique_ptr<node::BackupSource> source) : source_(std::move(source)) {}

  // A backup that breaks off is incomplete, which its reader finds out.
  State pull(std::string& out) override {
    const auto more = source_->read(out);
    return more && *more ? State::more : State::done;
  }
  void on_ready(std::function<void()>) override {}  // there is always more or an end

 private:
  std::unique_ptr<node::BackupSource> source_;
};

}  // namespace

void get_sync(Call call) {
  const auto last = call.node.info().last_seq;
  call.node.survey_lag([last, respond = std::move(call.respond)](auto peers) {
    if (!peers) return respond(problem(peers.error()));
    Response response;
    JsonObject object(response.body);
    object.number("last_seq", last);
    object.member("peers");
    JsonArray array(response.body);
    for (const auto& peer : *peers) {
      array.element();
      append_sync(response.body, peer);
    }
    array.close();
    object.close();
    respond(std::move(response));
  });
}

void explain_document(Call call) {
  const auto key = sync::document_key(call.collection, call.id);
  if (!key) return call.respond(problem(key.error()));
  const auto peer = EndpointId::parse(call.target.value("peer").value_or(""));
  if (!peer) {
    return call.respond(problem(Code::invalid_argument, "?peer=ENDPOINT_ID says on which peer"));
  }
  Response response;
  JsonObject object(response.body);
  object.text("collection", call.collection);
  object.text("id", call.id);
  object.text("peer", peer->to_string());
  append_explanation(object, response.body, call.node.explain_document(*key, *peer));
  object.close();
  call.respond(std::move(response));
}

void explain_peer(Call call) {
  const auto peer = EndpointId::parse(call.id);
  if (!peer) return call.respond(problem(Code::invalid_argument, peer.error().message));
  Response response;
  JsonObject object(response.body);
  object.text("peer", peer->to_string());
  append_explanation(object, response.body, call.node.explain_peer(*peer));
  object.close();
  call.respond(std::move(response));
}

void get_quarantine(Call call) {
  Response response;
  JsonObject object(response.body);
  append_listed(object, response.body, call.node.quarantined());
  object.close();
  call.respond(std::move(response));
}

void get_quarantined(Call call) {
  const auto key = sync::document_key(call.collection, call.id);
  if (!key) return call.respond(problem(key.error()));
  const auto list = listed(call.node, *key);
  if (list.empty()) {
    return call.respond(
        problem(Code::not_found, fmt::format("not quarantined: {}/{}", call.collection, call.id)));
  }
  Response response;
  JsonObject object(response.body);
  append_listed(object, response.body, list);
  object.close();
  call.respond(std::move(response));
}

void retry_quarantined(Call call) {
  const auto key = sync::document_key(call.collection, call.id);
  if (!key) return call.respond(problem(key.error()));
  const auto asked = call.node.retry_quarantined(*key);
  if (!asked) return call.respond(problem(asked.error()));
  Response response;
  JsonObject object(response.body);
  object.text("collection", call.collection);
  object.text("id", call.id);
  object.member("asked");
  JsonArray array(response.body);
  for (const auto& peer : *asked) {
    array.element();
    append_json_string(response.body, peer.to_string());
  }
  array.close();
  append_listed(object, response.body, listed(call.node, *key));
  object.close();
  call.respond(std::move(response));
}

void drop_quarantined(Call call) {
  const auto key = sync::document_key(call.collection, call.id);
  if (!key) return call.respond(problem(key.error()));
  if (const auto dropped = call.node.drop_quarantined(*key); !dropped) {
    return call.respond(problem(dropped.error()));
  }
  Response response;
  JsonObject object(response.body);
  object.text("collection", call.collection);
  object.text("id", call.id);
  object.boolean("dropped", true);
  object.close();
  call.respond(std::move(response));
}

void get_backup(Call call) {
  call.node.backup([respond = std::move(call.respond)](Result<std::filesystem::path> copy) {
    if (!copy) return respond(problem(copy.error()));
    auto source = node::BackupSource::open(*copy);
    if (!source) return respond(problem(source.error()));
    Response response;
    response.content_type = "application/octet-stream";
    response.stream = std::make_unique<BackupStream>(std::move(*source));
    respond(std::move(response));
  });
}

void compact_store(Call call) {
  call.node.compact_store([respond = std::move(call.respond)](auto done) {
    if (!done) return respond(problem(done.error()));
    Response response;
    JsonObject object(response.body);
    object.number("bytes_before", done->bytes_before);
    object.number("bytes_after", done->bytes_after);
    object.close();
    respond(std::move(response));
  });
}

}  // namespace peat::broker
